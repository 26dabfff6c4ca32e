package state_test

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"xarchive/handler/internal/state"
)

// sections are the records' headings in docs/format.md, by their kind in format.
var sections = map[string]string{
	"job": "Job", "account": "Account", "owner": "Owner", "reads": "Reads", "task": "Task", "items": "Items", "found": "Found", "delivered": "Delivered",
	"late": "Late", "aside-post": "Aside post", "sign-in": "Sign-in", "signed-out": "Signed out", "sweep": "Sweep", "tick": "Tick", "day": "Day",
	"round": "Round", "verification": "Verification", "ack": "Acknowledgement",
	"gone": "Gone", "audit": "Audit", "change": "Change", "history": "History", "mentions": "Mentions", "activity": "Activity", "event": "Event", "seen": "Event",
}

// TestFormatIsDocumented: every member of every record is named in its section.
func TestFormatIsDocumented(t *testing.T) {
	data, err := os.ReadFile("../../../docs/format.md")
	must(t, err)
	byHeading := map[string]string{}
	for _, part := range strings.Split("\n"+string(data), "\n## ")[1:] {
		heading, text, _ := strings.Cut(part, "\n")
		byHeading[heading] = text
	}
	check := func(heading string, record reflect.Type) {
		text, there := byHeading[heading]
		if !there {
			t.Errorf("docs/format.md has no section %q", heading)
		}
		named := map[string]bool{}
		for _, name := range regexp.MustCompile("`[A-Za-z0-9]+`").FindAllString(text, -1) {
			named[strings.Trim(name, "`")] = true
		}
		for _, member := range members(record, record) {
			if !named[member] {
				t.Errorf("docs/format.md, section %s, does not name `%s`", heading, member)
			}
		}
	}
	for kind, record := range format {
		check(sections[kind], reflect.TypeOf(record))
	}
	check("Range", reflect.TypeFor[state.Range]())
	check("Problem", reflect.TypeFor[state.Problem]())
}

// members returns the names of a record's JSON members and of those within them,
// but for ranges and problems, which have their own sections.
func members(root, r reflect.Type) (out []string) {
	for r.Kind() == reflect.Pointer || r.Kind() == reflect.Slice || r.Kind() == reflect.Map {
		r = r.Elem()
	}
	own := r == reflect.TypeFor[state.Range]() || r == reflect.TypeFor[state.Problem]()
	if r.Kind() != reflect.Struct || r == reflect.TypeFor[time.Time]() || own && r != root {
		return nil
	}
	for i := range r.NumField() {
		field := r.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name != "" && name != "-" {
			out = append(out, name)
		}
		out = append(out, members(root, field.Type)...)
	}
	return out
}
