package message

import "testing"

func TestVisible(t *testing.T) {
	for text, want := range map[string]string{
		"plain": "plain", " a \n b ": "a b", "": "", "\u200b\u200b": "", "\u2800\u2800": "", "\u3164": "", "\u00ad\u2060\ufeff\u034f": "", "\u0301": "",
		"\u202eabc\u202c": "abc", "a\u200bb": "ab", "👩\u200d👧": "👩\u200d👧", "\u200da\u200d": "a", "a\u2028b": "a b", "\ufe0f": "", "نه\u200cبه": "نه\u200cبه", "a\x07b\xff": "a b\ufffd",
	} {
		if got := visible(text); got != want {
			t.Errorf("%+q: %+q, want %+q", text, got, want)
		}
	}
}

func TestClosed(t *testing.T) {
	for text, want := range map[string]string{
		"plain": "plain", "a\u202eb": "\u2068a\u202eb\u202c\u2069", "\u2067a\u202eb\u2069c": "\u2068\u2067a\u202ebc\u202c\u2069\u2069",
		"\u202cb\u2069": "\u2068b\u2069", "\u202aa\u202cb": "\u2068\u202aa\u202cb\u2069",
	} {
		if got := closed(text); got != want {
			t.Errorf("%+q: %+q, want %+q", text, got, want)
		}
	}
}

// TestEncoded: a field's text is in one encoded word where that is possible.
func TestEncoded(t *testing.T) {
	for text, want := range map[string]string{
		"plain text": "plain text", "Grüße": "=?utf-8?q?Gr=C3=BC=C3=9Fe?=", "日本語のニュース": "=?utf-8?b?5pel5pys6Kqe44Gu44OL44Ol44O844K5?=",
	} {
		if got := encoded(text); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func TestMarked(t *testing.T) {
	for text, want := range map[string]string{
		"a b": "a b", "a  b": "a&nbsp; b", " a": "&nbsp;a", "a\n b": "a<br>&nbsp;b", "<b>&": "&lt;b&gt;&amp;", "a\r\nb\rc\u2028d": "a<br>b<br>c<br>d",
		"a \tb": "a&nbsp;<span style=\"white-space:pre;mso-tab-count:1\">\t</span>b",
	} {
		if got := string(marked(text, true)); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// TestBlock: no further line of an author's text begins where one of ours does.
func TestBlock(t *testing.T) {
	if got, want := block("Tweet: ", "a\nDate: b\r\rc\u0085d"), "Tweet: a\n       Date: b\n\n       c\n       d"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
