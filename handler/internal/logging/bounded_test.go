package logging_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"xarchive/handler/internal/logging"
)

// TestBounded: of a flood so many lines a minute are written, the rest is counted.
func TestBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log := logging.New(&out, &out, slog.LevelInfo)
		few := logging.Bounded(log, 30)
		time.Sleep(time.Until(time.Now().Truncate(time.Minute).Add(time.Minute)))
		for i := range 1000 {
			few.With("n", i).Info("refused")
		}
		log.Info("something else")
		if got := strings.Count(out.String(), "msg=refused"); got != 30 {
			t.Errorf("%d lines, want 30", got)
		}
		if !strings.Contains(out.String(), "something else") {
			t.Error("the flood keeps other lines away")
		}
		time.Sleep(time.Minute)
		few.Info("refused")
		few.Info("refused")
		if got := strings.Count(out.String(), "msg=refused"); got != 32 || strings.Count(out.String(), "lines=970") != 1 {
			t.Errorf("%d lines, want 32 and the count of the others once:\n%s", got, out.String()[max(0, out.Len()-600):])
		}
	})
}
