package corpus

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// BuiltinUntil is the built-in corpus moved by whole days, so that it ends in the 24
// hours before now: what shows the last days has something to show. The posts from
// before its story begins stay where they are.
func BuiltinUntil(now time.Time) (*Corpus, error) {
	c, err := Builtin()
	if err != nil {
		return nil, err
	}
	newest := time.Time{}
	for _, account := range c.Accounts() {
		if at := c.Posts(account)[0].CreatedAt; at.After(newest) {
			newest = at
		}
	}
	const day = 24 * time.Hour
	return builtin(now.Sub(newest) / day * day)
}

// story is when the built-in corpus begins to tell one.
var story = time.Date(2024, 10, 1, 0, 0, 0, 0, time.UTC)

var idOrTime = regexp.MustCompile(`\d{18,19}|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z`)

// shift moves the ids of posts in a text, and its times, from the story on.
func shift(text []byte, by time.Duration) ([]byte, error) {
	if by == 0 {
		return text, nil
	}
	var out []byte
	done := 0
	for _, place := range idOrTime.FindAllIndex(text, -1) {
		found := string(text[place[0]:place[1]])
		before := text[max(place[0]-1, 0)]
		out = append(out, text[done:place[0]]...)
		done = place[1]
		if at, err := time.Parse(time.RFC3339, found); err == nil {
			if !at.Before(story) {
				found = stamp(at.Add(by))
			}
		} else if at, isID := IDTime(found); isID && !at.Before(story) && before != '_' { // not the key of a medium
			n, err := strconv.ParseUint(found, 10, 64)
			if err != nil {
				return nil, fmt.Errorf("moving the post %s: %w", found, err)
			}
			found = strconv.FormatUint(n+uint64(by.Milliseconds())<<22, 10)
		}
		out = append(out, found...)
	}
	return slices.Concat(out, text[done:]), nil
}
