package access

import (
	"cmp"
	"strings"
	"testing"
)

// TestNames: a person's names are one line of what can be seen. Nothing in them puts what stands
// beside them in another order, and they are bounded.
func TestNames(t *testing.T) {
	w := newWorld(t)
	for name, want := range map[string]string{
		"Ada Lovelace":                                     "Ada Lovelace",
		" Ada\r\n\tLovelace\u2028x\u0085y ":                "Ada Lovelace x y",
		"Ada\x00\x1b[31m\x7f\u009bK":                       "Ada[31mK",
		"Ada\u202e)rotartsinimdA(\u2066":                   "Ada)rotartsinimdA(",
		"A\u200fd\u200ba\u061c\ufeff\u00ad":                "Ada",
		"\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645": "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", // a joiner that is spelling
		strings.Repeat("é", 200):                           strings.Repeat("é", 100),
		"\u202e\x00":                                       "",
	} {
		token := w.signed(w.good(2, "azp", nil, "nonce", "n", "oid", "some-id", "name", name, "preferred_username", name, "roles", []string{"Reader"}))
		p, err := w.access.tokens.person(t.Context(), token, appID, "n")
		if err != nil || p.Name != want || p.User != cmp.Or(want, "some-id") || p.Role != Reader { // a person without a name has an id
			t.Errorf("%q: %+v, %v; want %q", name, p, err, want)
		}
	}
}
