package functionshost

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// route is a route template as function.json has it. It follows ASP.NET Core's
// routing, which the Functions host uses:
// https://learn.microsoft.com/aspnet/core/fundamentals/routing#route-templates
//
// Supported is what a function of ours may need: literal segments, and segments that
// are one parameter, optional, a catch-all, or constrained by regular expressions.
// Everything else is refused, rather than matched otherwise than the host does.
type route struct {
	template string
	segments []segment
}

type segment struct {
	literal     string // if name is ""
	name        string
	catchAll    bool
	optional    bool // may be missing
	constraints []constraint
}

type constraint func(value string) bool

// parseRoute reads a template.
func parseRoute(template string) (*route, error) {
	r := &route{template: template}
	rest := strings.TrimPrefix(strings.TrimPrefix(template, "~"), "/")
	names := map[string]bool{}
	if rest == "" {
		return r, nil
	}
	parts, err := splitTemplate(rest)
	if err != nil {
		return nil, fmt.Errorf("route %q: %w", template, err)
	}
	for i, part := range parts {
		s, err := parseSegment(part)
		if err != nil {
			return nil, fmt.Errorf("route %q: segment %q: %w", template, part, err)
		}
		if s.catchAll && i != len(parts)-1 {
			return nil, fmt.Errorf("route %q: the catch-all {*%s} must be the last segment", template, s.name)
		}
		if s.name != "" {
			key := strings.ToLower(s.name)
			if names[key] {
				return nil, fmt.Errorf("route %q: the parameter %q is there twice", template, s.name)
			}
			names[key] = true
		}
		r.segments = append(r.segments, s)
	}
	return r, nil
}

// splitTemplate cuts a template at the slashes that are not inside a parameter.
func splitTemplate(template string) ([]string, error) {
	template = strings.TrimSuffix(template, "/")
	var parts []string
	depth, start := 0, 0
	for i := 0; i < len(template); i++ {
		switch template[i] {
		case '{':
			if i+1 < len(template) && template[i+1] == '{' {
				i++ // an escaped brace
				continue
			}
			depth++
		case '}':
			if depth > 0 && i+1 < len(template) && template[i+1] == '}' {
				i++
				continue
			}
			depth--
		case '/':
			if depth == 0 {
				parts = append(parts, template[start:i])
				start = i + 1
			}
		}
		if depth < 0 || depth > 1 {
			return nil, errors.New("braces do not match; inside a constraint a brace is written twice")
		}
	}
	if depth != 0 {
		return nil, errors.New("braces do not match; inside a constraint a brace is written twice")
	}
	return append(parts, template[start:]), nil
}

func parseSegment(part string) (segment, error) {
	if part == "" {
		return segment{}, errors.New("it is empty")
	}
	if !strings.ContainsAny(part, "{}") {
		if strings.Contains(part, "?") {
			return segment{}, errors.New("a literal may not contain a question mark")
		}
		return segment{literal: part}, nil
	}
	if !strings.HasPrefix(part, "{") || !strings.HasSuffix(part, "}") || strings.Contains(unescapeBraces(part[1:len(part)-1]), "}/{") {
		return segment{}, errors.New("text and parameters in one segment are not supported here")
	}
	return parseParameter(part[1 : len(part)-1])
}

func unescapeBraces(s string) string {
	return strings.NewReplacer("{{", "{", "}}", "}").Replace(s)
}

func parseParameter(text string) (segment, error) {
	var s segment
	for strings.HasPrefix(text, "*") {
		s.catchAll, text = true, text[1:]
	}
	if strings.HasSuffix(text, "?") {
		s.optional, text = true, text[:len(text)-1]
	}
	end := strings.IndexByte(text, ':')
	if end < 0 {
		end = len(text)
	}
	s.name = text[:end]
	if s.name == "" || strings.ContainsAny(s.name, "/{}?*=") {
		return s, fmt.Errorf("%q is not a parameter's name", s.name)
	}
	for text = text[end:]; strings.HasPrefix(text, ":"); {
		var one string
		one, text = cutConstraint(text[1:])
		c, err := parseConstraint(unescapeBraces(one))
		if err != nil {
			return s, err
		}
		s.constraints = append(s.constraints, c)
	}
	if text != "" {
		return s, fmt.Errorf("cannot read %q", text)
	}
	if s.optional && s.catchAll {
		return s, errors.New("a catch-all is optional already")
	}
	return s, nil
}

// cutConstraint cuts one constraint off. Its argument ends at the closing
// parenthesis that the parameter's end or another constraint follows.
func cutConstraint(text string) (one, rest string) {
	open := strings.IndexByte(text, '(')
	if next := strings.IndexByte(text, ':'); open < 0 || next >= 0 && next < open {
		if next < 0 {
			next = len(text)
		}
		return text[:next], text[next:]
	}
	for i := open; i < len(text); i++ {
		if text[i] == ')' && (i+1 == len(text) || text[i+1] == ':') {
			return text[:i+1], text[i+1:]
		}
	}
	return text, ""
}

// parseConstraint reads regex(expression), which ignores case, as there.
// https://learn.microsoft.com/aspnet/core/fundamentals/routing#route-constraints
func parseConstraint(text string) (constraint, error) {
	argument, ok := strings.CutPrefix(text, "regex(")
	argument, closed := strings.CutSuffix(argument, ")")
	if !ok || !closed || argument == "" {
		return nil, fmt.Errorf("the constraint %q is not regex(expression), the only one known here", text)
	}
	expression, err := regexp.Compile("(?i)" + argument)
	if err != nil {
		return nil, fmt.Errorf("the constraint %q is not a regular expression: %w", text, err)
	}
	return func(v string) bool {
		v = strings.ReplaceAll(v, "ſ", "\uFFFD") // for Go it is an s, for .NET it is none
		// In .NET, $ also matches before a line feed at the end.
		return expression.MatchString(v) || expression.MatchString(strings.TrimSuffix(v, "\n"))
	}, nil
}

// match tells whether a path, as decodePath gives it, is this route's. Letters'
// case does not matter, nor does one slash at the end; a doubled slash does.
func (r *route) match(path string) bool {
	rest := strings.TrimPrefix(path, "/")
	var have []string
	if rest != "" {
		have = strings.Split(strings.TrimSuffix(rest, "/"), "/")
	}
	for i, s := range r.segments {
		if s.catchAll {
			if i >= len(have) {
				return len(s.constraints) == 0 // no constraint holds of what is not there
			}
			return allHold(s.constraints, strings.Join(have[i:], "/"))
		}
		if i >= len(have) {
			if s.name == "" || !s.optional {
				return false
			}
			continue
		}
		switch {
		case have[i] == "":
			return false
		case s.name == "":
			if !strings.EqualFold(s.literal, have[i]) {
				return false
			}
		case !allHold(s.constraints, have[i]):
			return false
		}
	}
	return len(have) <= len(r.segments)
}

func allHold(constraints []constraint, value string) bool {
	for _, c := range constraints {
		if !c(value) {
			return false
		}
	}
	return true
}
