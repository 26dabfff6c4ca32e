package functionshost

import (
	"bytes"
	"io"
	"log/slog"
	"strings"
	"sync"
)

// The host's category of what a handler writes to its outputs, and its levels by the
// words of host.json.
// https://learn.microsoft.com/azure/azure-functions/configure-monitoring#configure-log-levels
const consoleCategory = "Host.Function.Console"

var logLevels = map[string]slog.Level{"trace": slog.LevelDebug - 4, "debug": slog.LevelDebug, "information": slog.LevelInfo,
	"warning": slog.LevelWarn, "error": slog.LevelError, "critical": slog.LevelError + 4, "none": slog.LevelError + 8}

// consoleLevel is the level from which on the host passes the handler's lines on, to
// Application Insights and to its own console alike: that of the longest prefix of the
// category.
func consoleLevel(levels map[string]string) slog.Level {
	level, longest := slog.LevelInfo, -1
	for category, word := range levels {
		matches := strings.HasPrefix(consoleCategory, category)
		length := len(category)
		if strings.EqualFold(category, "default") {
			matches, length = true, 0
		}
		if l, known := logLevels[strings.ToLower(word)]; known && matches && length > longest {
			level, longest = l, length
		}
	}
	return level
}

func stdoutLevel([]byte) slog.Level { return slog.LevelInfo }

// stderrLevel takes every line for an error, but for one in which "warn" stands.
func stderrLevel(line []byte) slog.Level {
	if bytes.Contains(bytes.ToLower(line), []byte("warn")) {
		return slog.LevelWarn
	}
	return slog.LevelError
}

// lines writes whole lines, of several workers and both their outputs, as far as their
// level is high enough.
type lines struct {
	mu             sync.Mutex
	stdout, stderr io.Writer
	from           slog.Level
	line           func(level slog.Level, text string) // may be nil
}

// lineWriter cuts an output into lines. One that does not end is cut at 1 MiB.
type lineWriter struct {
	lines  *lines
	level  func([]byte) slog.Level
	errors bool // it is the handler's stderr
	kept   []byte
}

func (l *lineWriter) Write(p []byte) (int, error) {
	l.kept = append(l.kept, p...)
	for {
		end := bytes.IndexByte(l.kept, '\n') + 1
		if end == 0 {
			break
		}
		l.write(l.kept[:end])
		l.kept = append(l.kept[:0], l.kept[end:]...)
	}
	if len(l.kept) >= 1<<20 {
		l.flush()
	}
	return len(p), nil
}

// flush writes what the process left without a line's end.
func (l *lineWriter) flush() {
	if len(l.kept) > 0 {
		l.write(append(l.kept, '\n'))
		l.kept = l.kept[:0]
	}
}

// write never fails: a process must not be ended by its reader's trouble.
func (l *lineWriter) write(line []byte) {
	l.lines.mu.Lock()
	defer l.lines.mu.Unlock()
	level := l.level(line)
	if level < l.lines.from {
		return
	}
	to := l.lines.stdout
	if l.errors {
		to = l.lines.stderr
	}
	_, _ = to.Write(line)
	if l.lines.line != nil {
		l.lines.line(level, strings.TrimSuffix(string(line), "\n"))
	}
}
