package main

import (
	"strings"
	"testing"

	"xarchive/handler/internal/verify"
)

// TestWhatVerifySays: the last sentence claims what was checked, and no more; where
// something could not be checked it says so, and the command does not end well.
func TestWhatVerifySays(t *testing.T) {
	const all = "and the manifest lists the same messages"
	for name, c := range map[string]struct {
		report   verify.Report
		end      bool
		well     bool
		says, no string
	}{
		"all is listed, to the end":  {verify.Report{Messages: 3, Lines: 3}, true, true, all, "not known"},
		"some from before":           {verify.Report{Messages: 3, Lines: 2, Unlisted: 1}, true, true, "1 message of them is in no manifest", all},
		"none is listed":             {verify.Report{Messages: 3, Unlisted: 3}, true, true, "3 messages of them are in no manifest", all},
		"notes from before":          {verify.Report{Messages: 3, Lines: 3, Notes: 2, UnlistedNotes: 1}, true, true, "1 note beside messages, of posts that are gone", "not known"},
		"notes are read":             {verify.Report{Messages: 3, Lines: 5, Notes: 2}, true, true, "3 messages and 2 notes beside them and 0 raw answers", "not known"},
		"the end is not known":       {verify.Report{Messages: 3, Lines: 3}, false, false, "not known", all},
		"neither":                    {verify.Report{Messages: 3, Lines: 2, Unlisted: 1}, false, false, "not known", all},
		"altered":                    {verify.Report{Messages: 3, Lines: 3, Altered: verify.Faults{Count: 1, Named: []string{"a"}}}, true, false, "NOT as it was written", all},
		"nothing there, end unknown": {verify.Report{}, false, false, "nothing to verify", all},
	} {
		var out strings.Builder
		well := sayVerified(&out, "7", c.report, c.end)
		if well != c.well || !strings.Contains(out.String(), c.says) || strings.Contains(out.String(), c.no) {
			t.Errorf("%s: well %v, want %v; it says %q, want %q and not %q", name, well, c.well, out.String(), c.says, c.no)
		}
	}
}
