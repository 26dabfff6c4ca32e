package fault

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestAlarmsRingForWhatNeedsAPerson: the deployment's alert knows every cause that
// stays until a person acts, and no other.
func TestAlarmsRingForWhatNeedsAPerson(t *testing.T) {
	text, err := os.ReadFile("../../../infra/alerts.bicep")
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(text), "var personCauses = [")
	list, _, _ = strings.Cut(list, "]")
	var rings []string
	for _, m := range regexp.MustCompile(`'([a-z_]+)'`).FindAllStringSubmatch(list, -1) {
		rings = append(rings, m[1])
	}
	byOthers := map[Cause]string{
		XUsageCap:      "usage-cap: X is asked once a day only, so that rule looks back further",
		ImportFinal:    "failed-tasks",
		ArchiveAltered: "altered-message",
	}
	var want []string
	for cause, m := range maps.All(meanings) {
		if m.NeedsPerson && byOthers[cause] == "" {
			want = append(want, string(cause))
		}
	}
	slices.Sort(rings)
	slices.Sort(want)
	if !slices.Equal(rings, want) {
		t.Errorf("the alert needs-person has\n%v\nthese need a person:\n%v", rings, want)
	}
	for cause, rule := range byOthers {
		name, _, _ := strings.Cut(rule, ":")
		if !strings.Contains(string(text), "name: '"+name+"'") {
			t.Errorf("%s is left to %s, which is not there", cause, name)
		}
	}
}
