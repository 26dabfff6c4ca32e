package ingestiontest

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// members describes an object: a rule for each member, by name.
type members map[string]rule

// rule is what a member must be.
type rule struct {
	required bool
	check    func(where string, value any) error
}

func (m members) check(where string, object map[string]any) error {
	for name, r := range m {
		if _, there := object[name]; r.required && !there {
			return fmt.Errorf("%s has no %s", where, name)
		}
	}
	for name, value := range object {
		r, known := m[name]
		if !known {
			return fmt.Errorf("%s has a member %q that is not known", where, name)
		}
		if err := r.check(where+"."+name, value); err != nil {
			return err
		}
	}
	return nil
}

func text(longest int) rule {
	return rule{check: func(where string, value any) error {
		s, ok := value.(string)
		if !ok || utf8.RuneCountInString(s) > longest || strings.ContainsRune(s, 0) {
			return fmt.Errorf("%s is not a text of %d characters at most: %.80v", where, longest, value)
		}
		return nil
	}}
}

func number() rule {
	return rule{check: func(where string, value any) error {
		if _, ok := value.(float64); !ok {
			return fmt.Errorf("%s is not a number: %v", where, value)
		}
		return nil
	}}
}

func version() rule {
	return must(rule{check: func(where string, value any) error {
		if value != 2.0 {
			return fmt.Errorf("%s is %v, not 2", where, value)
		}
		return nil
	}})
}

func flag() rule {
	return rule{check: func(where string, value any) error {
		if _, ok := value.(bool); !ok {
			return fmt.Errorf("%s is not true or false: %v", where, value)
		}
		return nil
	}}
}

func pattern(expression string) rule {
	compiled := regexp.MustCompile(expression)
	return rule{check: func(where string, value any) error {
		if s, ok := value.(string); !ok || !compiled.MatchString(s) {
			return fmt.Errorf("%s is %v", where, value)
		}
		return nil
	}}
}

func must(r rule) rule {
	r.required = true
	return r
}

func properties() rule {
	return rule{check: func(where string, value any) error {
		object, ok := value.(map[string]any)
		for name, v := range object {
			if name == "" || utf8.RuneCountInString(name) > 150 {
				return fmt.Errorf("%s has a bad name %q", where, name)
			}
			if err := text(8192).check(where+"."+name, v); err != nil {
				return err
			}
		}
		if !ok {
			return fmt.Errorf("%s is not an object", where)
		}
		return nil
	}}
}

// list is the rule for a list of 1 to most objects.
func list(most int, of members) rule {
	return must(rule{check: func(where string, value any) error {
		all, ok := value.([]any)
		if !ok || len(all) == 0 || len(all) > most {
			return fmt.Errorf("%s is not a list of 1 to %d", where, most)
		}
		for _, one := range all {
			object, ok := one.(map[string]any)
			if !ok {
				return fmt.Errorf("%s holds something that is no object", where)
			}
			if err := of.check(where, object); err != nil {
				return err
			}
		}
		return nil
	}})
}

// duration is DD.HH:MM:SS.MMMMMM, less than 1000 days.
const duration = `^[0-9]{2,3}\.([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{6}$`

const severity = `^(Verbose|Information|Warning|Error|Critical)$`

// types are the base types that the exporters send, with the name of the envelope.
var types = map[string]struct {
	name    string
	members members
}{
	"RequestData": {"Request", members{
		"ver": version(), "id": must(pattern(`^[0-9a-f]{16}$`)), "name": text(1024), "duration": must(pattern(duration)), "success": must(flag()),
		"responseCode": must(text(1024)), "source": text(1024), "url": text(2048), "properties": properties()}},
	"RemoteDependencyData": {"RemoteDependency", members{
		"ver": version(), "id": pattern(`^[0-9a-f]{16}$`), "name": must(text(1024)), "resultCode": text(1024), "data": text(8192), "type": text(1024),
		"target": text(1024), "duration": must(pattern(duration)), "success": flag(), "properties": properties()}},
	"MessageData": {"Message", members{
		"ver": version(), "message": must(text(32768)), "severityLevel": pattern(severity), "properties": properties()}},
	"ExceptionData": {"Exception", members{
		"ver": version(), "severityLevel": pattern(severity), "problemId": text(1024), "properties": properties(),
		"exceptions": list(10, members{
			"id": number(), "outerId": number(), "typeName": text(1024), "message": must(text(32768)), "hasFullStack": flag(), "stack": text(32768)})}},
	"MetricData": {"Metric", members{
		"ver": version(), "properties": properties(),
		// The service allows more than one and ignores them, so more than one must fail.
		"metrics": list(1, members{
			"ns": text(256), "name": must(text(1024)), "kind": pattern(`^(Measurement|Aggregation)$`), "value": must(number()),
			"count": number(), "min": number(), "max": number(), "stdDev": number()})}},
}
