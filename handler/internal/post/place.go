package post

import (
	"slices"
	"strings"
	"unicode"
)

// placed returns the links at the positions where their words are, in the order of
// the text, none overlapping another.
func (t Text) placed(runes []rune) []Link {
	var out, astray []Link
	free := func(start, end int) bool {
		return !slices.ContainsFunc(out, func(l Link) bool { return start < l.End && l.Start < end })
	}
	for _, l := range t.Links {
		switch {
		case l.Start < 0 || l.End <= l.Start || l.End > len(runes) || !l.stands(runes[l.Start:l.End]) || cutsEscape(runes, l.Start, l.End):
			astray = append(astray, l)
		case free(l.Start, l.End):
			out = append(out, l)
		}
	}
	for _, l := range astray {
		if l.Kind == PlainURL && slices.ContainsFunc(out, func(o Link) bool { return o.Kind == PlainURL && o.URL == l.URL }) {
			continue // X names an address once for each of the media it stands for
		}
		if start, end, ok := l.nearest(runes, free); ok {
			l.Start, l.End = start, end
			out = append(out, l)
		}
	}
	slices.SortFunc(out, func(a, b Link) int { return a.Start - b.Start })
	return out
}

// stands reports whether a piece of the text is what the link's words are. The words
// "Learn more" of one of X's notices are the link's display.
func (l Link) stands(piece []rune) bool {
	text := unescape(string(piece))
	if l.Kind == PlainURL {
		return text == unescape(l.URL) || text != "" && text == unescape(l.Display) || strings.EqualFold(text, "Learn more")
	}
	return sameWords(text, l.Words)
}

// sameWords compares handles and tags: without case, and with the full-width signs
// that X takes as well.
func sameWords(a, b string) bool {
	return strings.EqualFold(narrow.Replace(a), narrow.Replace(b)) && b != ""
}

var narrow = strings.NewReplacer("＠", "@", "＃", "#", "＄", "$")

// nearest finds the free place closest to X's position that has the link's words.
func (l Link) nearest(runes []rune, free func(start, end int) bool) (start, end int, ok bool) {
	words := []rune(l.Words)
	if len(words) == 0 {
		return 0, 0, false
	}
	first := unicode.ToLower(words[0])
	for i := 0; i+len(words) <= len(runes); i++ {
		if r := runes[i]; unicode.ToLower(r) != first && !strings.ContainsRune("＠＃＄", r) {
			continue
		}
		j := i + len(words)
		if j < len(runes) && inWord(runes[j]) || i > 0 && inWord(runes[i-1]) || !l.stands(runes[i:j]) || !free(i, j) {
			continue
		}
		if !ok || distance(i, l.Start) < distance(start, l.Start) {
			start, end, ok = i, j, true
		}
	}
	return start, end, ok
}

func inWord(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }

func distance(a, b int) int { return max(a-b, b-a) }

// cutsEscape reports whether a cut at start or end would fall inside an escape
// such as &amp;, which would then come out as two broken halves.
func cutsEscape(runes []rune, start, end int) bool {
	whole := unescape(string(runes))
	parts := unescape(string(runes[:start])) +
		unescape(string(runes[start:end])) +
		unescape(string(runes[end:]))
	return whole != parts
}
