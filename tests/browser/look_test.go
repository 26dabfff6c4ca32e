package browser

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
)

// screen is how a page is looked at.
type screen struct {
	name          string
	width, height int64
	scheme        string // prefers-color-scheme
}

var (
	desktop = screen{"light", 1280, 800, "light"}
	dark    = screen{"dark", 1280, 800, "dark"}
	phone   = screen{"phone", 320, 640, "light"}
)

// screens is where the pictures go.
const screens = root + "/build/screens"

// screen makes the tab's window one of these.
func (p *tab) screen(s screen) {
	p.t.Helper()
	call(p, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: s.width, Height: s.height, DeviceScaleFactor: 1})
	call(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: s.scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}}})
}

// look looks at the page on every screen: what axe-core says, whether anything sticks
// out, and what it looks like.
func (p *tab) look(name string) {
	p.t.Helper()
	if err := os.MkdirAll(screens, 0o755); err != nil {
		p.t.Fatal(err)
	}
	ask[any](p, axe(p.t)+"; null")
	for _, s := range []screen{desktop, dark, phone} {
		p.screen(s)
		// Two frames: the second begins when the first, with the new style, is drawn.
		ask[any](p, `new Promise(drawn => requestAnimationFrame(() => requestAnimationFrame(() => drawn(null))))`)
		if wide := ask[int64](p, `document.documentElement.scrollWidth`); wide > s.width {
			p.t.Errorf("%s, %s: the page is %d px wide, the screen %d", name, s.name, wide, s.width)
		}
		for _, v := range p.violations() {
			p.t.Errorf("%s, %s: %s", name, s.name, v)
		}
		beyond := true
		picture := call(p, page.CaptureScreenshot, page.CaptureScreenshotParams{CaptureBeyondViewport: &beyond})
		if err := os.WriteFile(filepath.Join(screens, name+"-"+s.name+".png"), picture.Data, 0o644); err != nil {
			p.t.Fatal(err)
		}
	}
	p.screen(desktop)
}

// violation is what axe-core has against a page.
// https://www.deque.com/axe/core-documentation/api-documentation/
type violation struct {
	ID, Impact, Help string
	Nodes            []struct {
		HTML           string
		FailureSummary string
	}
}

func (v violation) String() string {
	text := fmt.Sprintf("%s (%s): %s", v.ID, v.Impact, v.Help)
	for _, n := range v.Nodes {
		text += fmt.Sprintf("\n  %.200s\n    %s", n.HTML, n.FailureSummary)
	}
	return text
}

// violations are all that axe-core finds, of whatever impact: a page that is to be
// used with any device has no excuse for a moderate one either.
func (p *tab) violations() []violation {
	p.t.Helper()
	result := ask[string](p, `axe.run(document, {resultTypes: ["violations"]}).then(r => JSON.stringify({rules: r.passes.length, violations: r.violations}))`)
	var found struct {
		Rules      int
		Violations []violation
	}
	if err := json.Unmarshal([]byte(result), &found); err != nil {
		p.t.Fatalf("reading what axe-core found: %v", err)
	}
	if found.Rules < 10 {
		p.t.Errorf("axe-core applied %d rules only: it has not seen the page", found.Rules)
	}
	return found.Violations
}

// axeSource installs axe-core, once, if it is not there, and reads it.
var axeSource = sync.OnceValues(func() (string, error) {
	const path = "node_modules/axe-core/axe.min.js"
	if _, err := os.Stat(path); err != nil {
		out, err := exec.Command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error").CombinedOutput()
		if err != nil {
			return "", fmt.Errorf("npm ci in tests/browser (Node.js 18 or newer is needed): %w\n%s", err, out)
		}
	}
	source, err := os.ReadFile(path)
	return string(source), err
})

func axe(t *testing.T) string {
	t.Helper()
	source, err := axeSource()
	if err != nil {
		t.Fatal(err)
	}
	return source
}
