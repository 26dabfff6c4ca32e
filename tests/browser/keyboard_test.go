package browser

import (
	"encoding/json"
	"testing"

	"xarchive/tests/sandbox"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

func (p *tab) keys(what, keys string) {
	p.t.Helper()
	p.do(what, chromedp.KeyEvent(keys))
}

// tabTo presses Tab until the control with this name has the focus. Whatever has it
// on the way must show it.
func (p *tab) tabTo(name string) {
	p.t.Helper()
	quoted, _ := json.Marshal(name)
	for range 20 {
		p.keys("Tab", kb.Tab)
		type focused struct {
			Name  string
			Shown bool
		}
		at := ask[focused](p, `(() => {
			const e = document.activeElement, style = getComputedStyle(e);
			return {Name: (e.labels?.[0] ?? e).innerText.trim(), Shown: e === document.body || style.outlineStyle !== "none" && style.outlineWidth !== "0px"};
		})()`)
		if !at.Shown {
			p.t.Errorf("%q has the focus and does not show it", at.Name)
		}
		if at.Name == name {
			return
		}
	}
	p.t.Fatalf("Tab does not lead to %s\n%s", quoted, p.describe())
}

// TestKeyboard is the set-up of a job without a mouse.
func TestKeyboard(t *testing.T) {
	s := world(t)
	p := newTab(t, s)
	p.setUp("job-press")
	p.heading("Sign in")
	p.until("the focus in the field for the secret", `document.activeElement.id === "secret"`) // the tenant's is filled in
	p.keys("typing the secret", sandbox.APISecretKey+kb.Enter)
	p.heading("Sign in with X")

	p.keys("Tab", kb.Tab)
	if got := ask[string](p, `document.activeElement.innerText`); got != "Skip to content" {
		t.Errorf("the first stop is %q, want the way past the navigation", got)
	}
	p.keys("Enter", kb.Enter)
	w := p.window(func() {
		p.tabTo("Login with X")
		p.keys("Enter", kb.Enter)
	})
	w.heading("Authorize Contoso archive to access your account?")
	w.tabTo("Contoso Energy ⚡\n@ContosoEnergy")
	w.keys("the second account", kb.ArrowDown)
	w.tabTo("Authorize app")
	w.keys("Enter", kb.Enter)
	w.closed()
	p.heading("Is this the account?")
	p.sees("@ContosoHelp")
	p.tabTo("Save and continue")
	p.keys("Enter", kb.Enter)
	p.heading("The job is set up")
	wantCreated(t, s, "job-press", true)
	p.tabTo("Status")
	p.keys("Enter", kb.Enter)
	p.heading("Status")
}
