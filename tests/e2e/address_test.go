package e2e

import (
	"encoding/json"
	"net/netip"
	"net/url"
	"os"
	"testing"

	"xarchive/tests/sandbox"
)

// TestAddressesAreNumbers: everything of the sandbox listens on 127.0.0.1 only, and a
// machine may look for localhost at [::1] first, where somebody else may listen. What the
// connector is told to call is therefore an address and no name.
func TestAddressesAreNumbers(t *testing.T) {
	o := sandbox.Options{InMemory: true}
	w := start(t, o)
	raw, err := os.ReadFile("../../local.settings.json.sample")
	if err != nil {
		t.Fatal(err)
	}
	var sample struct{ Values map[string]string }
	if err := json.Unmarshal(raw, &sample); err != nil {
		t.Fatal(err)
	}
	for what, values := range map[string]map[string]string{"the sandbox's settings": w.Settings(o), "local.settings.json.sample": sample.Values} {
		addresses := 0
		for name, value := range values {
			u, err := url.Parse(value)
			if err != nil || u.Host == "" {
				continue
			}
			addresses++
			if ip, err := netip.ParseAddr(u.Hostname()); err != nil || ip.String() != "127.0.0.1" {
				t.Errorf("%s: %s is %s", what, name, value)
			}
		}
		if addresses < 6 {
			t.Errorf("%s name %d addresses, want those of X, Entra, Key Vault, the Import service, the identity and the proxy", what, addresses)
		}
	}
	if u, err := url.Parse(w.Host.URL()); err != nil || u.Hostname() != "127.0.0.1" {
		t.Errorf("the host answers at %s", w.Host.URL())
	}
}
