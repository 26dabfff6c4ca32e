package message

import (
	"cmp"
	"mime"
	"strings"
	"unicode"

	"xarchive/handler/internal/post"
)

// oneLine folds white space and drops control characters: what comes from X must
// not begin a header field of its own.
func oneLine(s string) string {
	return strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd"))), " ")
}

// splitLines splits a text at its ends of line, however they are written. Every place
// where a reader's program may break the line counts, so that no line of an author's
// begins where one of ours could.
func splitLines(text string) []string {
	return strings.Split(lineEnds.Replace(strings.ToValidUTF8(text, "\ufffd")), "\n")
}

var lineEnds = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\v", "\n", "\f", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n")

// visible keeps of a text what can be seen, on one line: it drops characters without
// width, those that turn the direction of writing, and blanks that are no white space.
// Joiners and variation selectors stay between visible characters, where they shape an
// emoji or a letter. It returns "" for a text without anything visible.
func visible(s string) string {
	var b strings.Builder
	for _, r := range oneLine(s) {
		switch {
		case isBlank(r):
			r = ' '
		case isJoiner(r):
			if b.Len() == 0 {
				continue
			}
		case unicode.Is(unicode.Cf, r) && !unicode.Is(unicode.Prepended_Concatenation_Mark, r), unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r):
			continue
		}
		b.WriteRune(r)
	}
	text := strings.TrimRightFunc(strings.Join(strings.Fields(b.String()), " "), func(r rune) bool { return r == ' ' || r == '\u200c' || r == '\u200d' })
	if !strings.ContainsFunc(text, func(r rune) bool { return !isJoiner(r) && !unicode.IsSpace(r) && !unicode.Is(unicode.Mn, r) }) {
		return ""
	}
	return text
}

// isBlank reports whether a character is drawn as nothing without being white space: an
// empty Braille pattern, the Hangul fillers and the like.
func isBlank(r rune) bool {
	switch r {
	case '\u2800', '\u3164', '\uffa0', '\u115f', '\u1160', '\u17b4', '\u17b5':
		return true
	}
	return unicode.IsSpace(r)
}

// isJoiner reports whether a character without width shapes its neighbours.
func isJoiner(r rune) bool {
	return r == '\u200c' || r == '\u200d' || r >= '\ufe00' && r <= '\ufe0f' || r >= 0xe0020 && r <= 0xe007f
}

// Characters that turn the direction of writing (UAX #9).
const (
	lre, rle, pdf, lro, rlo = '\u202a', '\u202b', '\u202c', '\u202d', '\u202e'
	lri, rli, fsi, pdi      = '\u2066', '\u2067', '\u2068', '\u2069'
)

// closed returns a line in which every turn of direction is ended, so that what
// follows it is read as it stands. Ends without a beginning are left out. A text
// without turns is returned as it is.
func closed(line string) string {
	if !strings.ContainsAny(line, "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069") {
		return line
	}
	var b strings.Builder
	var open []rune // the ends that are due
	for _, r := range line {
		switch r {
		case lre, rle, lro, rlo:
			open = append(open, pdf)
		case lri, rli, fsi:
			open = append(open, pdi)
		case pdf, pdi:
			if len(open) == 0 || open[len(open)-1] != r {
				continue
			}
			open = open[:len(open)-1]
		}
		b.WriteRune(r)
	}
	for i := len(open) - 1; i >= 0; i-- {
		b.WriteRune(open[i])
	}
	return string(fsi) + b.String() + string(pdi)
}

// encoded returns a header field's text in encoded words (RFC 2047): in one word where
// it fits, else in the encoding that takes less room.
func encoded(s string) string {
	q, b := mime.QEncoding.Encode("utf-8", s), mime.BEncoding.Encode("utf-8", s)
	if strings.Count(q, "=?") > 1 && len(b) < len(q) {
		return b
	}
	return q
}

// token keeps what may stand in an address or a content id unquoted.
func token(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '-':
			return r
		}
		return '_'
	}, cmp.Or(s, "_"))
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// bounded puts a text on one line of at most 300 characters.
func bounded(s string) string {
	text := oneLine(s)
	if r := []rune(text); len(r) > 300 {
		return string(r[:300]) + "…"
	}
	return text
}

// initials are the first letters of an author's name, for want of a picture.
func initials(u post.User) string {
	var letters []rune
	for _, word := range strings.Fields(cmp.Or(visible(u.Name), u.Username)) {
		for _, r := range word {
			if unicode.IsLetter(r) || unicode.IsDigit(r) {
				letters = append(letters, unicode.ToUpper(r))
				break
			}
		}
	}
	switch n := len(letters); {
	case n == 0:
		return "X"
	case n > 1:
		return string([]rune{letters[0], letters[n-1]})
	}
	return string(letters)
}
