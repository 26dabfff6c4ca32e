package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"xarchive/tests/sandbox"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
)

// patience is how long a page may take to become what a test waits for.
const patience = 30 * time.Second

// tab is a browser's tab or window, used as a person does: by what is written on
// labels and buttons. Its methods end the test where that cannot be done.
type tab struct {
	t   *testing.T
	s   *sandbox.Sandbox
	ctx context.Context
	id  target.ID

	also []string // where pages lead to
}

// newTab opens a tab in a profile of its own: no cookies, nothing cached. Pages lead to the
// connector, to X, and to what is named besides.
func newTab(t *testing.T, s *sandbox.Sandbox, also ...string) *tab {
	t.Helper()
	p := &tab{t: t, s: s, also: append([]string{s.HostURL, s.XURL}, also...)}
	p.attach(shared.browser, chromedp.WithNewBrowserContext())
	return p
}

func (p *tab) attach(parent context.Context, option chromedp.ContextOption) {
	p.t.Helper()
	for {
		ctx, cancel := chromedp.NewContext(parent, option, chromedp.WithListener(p.watch()))
		p.t.Cleanup(cancel)
		p.ctx = ctx
		err := chromedp.Do(ctx)
		if err == nil {
			break
		}
		// A new window goes from page to page at once, and Chromium refuses what is
		// asked in between. It makes few such steps, so this ends.
		if !strings.Contains(err.Error(), "navigated or closed") {
			p.t.Fatalf("opening a tab: %v", err)
		}
	}
	p.id = chromedp.FromContext(p.ctx).Target.TargetID
	call(p, network.Enable, network.EnableParams{})
	p.screen(desktop)
}

// watch notes what no page may do: fail in its script, break its own policy, or
// load something from elsewhere.
func (p *tab) watch() func(any) {
	var mu sync.Mutex
	var faults []string
	p.t.Cleanup(func() {
		mu.Lock()
		defer mu.Unlock()
		for _, f := range faults {
			p.t.Errorf("a page: %s", f)
		}
	})
	note := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		faults = append(faults, fmt.Sprintf(format, args...))
	}
	return func(event any) {
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			note("its script fails: %s", e.ExceptionDetails.Text)
		case *cdplog.EventEntryAdded:
			// A status of 403 is noted under network, and meant; recommendation is Chromium's
			// taste in forms.
			if e.Entry.Source != "network" && e.Entry.Source != "recommendation" {
				note("the console has: %s %s", e.Entry.Source, e.Entry.Text)
			}
		case *network.EventRequestWillBeSent:
			u := e.Request.URL
			if !slices.ContainsFunc(p.also, func(place string) bool { return strings.HasPrefix(u, place+"/") }) && !strings.HasPrefix(u, "about:") && !strings.HasPrefix(u, "data:") {
				note("it loads %s", u)
			}
		}
	}
}

// call sends the browser a command.
func call[P, R any](p *tab, command cdp.Command[P, R], params P) R {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	r, err := chromedp.Call(ctx, command, params)
	if err != nil {
		p.t.Fatalf("%v: %v", command, err)
	}
	return r
}

func (p *tab) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	err := chromedp.Do(ctx, steps...)
	if err != nil && !p.isOpen() {
		return // the step closed the window before it came to its own end
	}
	if err != nil {
		p.t.Fatalf("%s: %v\n%s", what, err, p.describe())
	}
}

// isOpen tells whether the window is still there.
func (p *tab) isOpen() bool {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(shared.browser, patience)
	defer cancel()
	all, err := chromedp.Targets(ctx)
	if err != nil {
		p.t.Fatalf("looking for windows: %v", err)
	}
	return slices.ContainsFunc(all, func(info *target.Info) bool { return info.TargetID == p.id })
}

// open goes to an address of the connector.
func (p *tab) open(path string) {
	p.t.Helper()
	p.do("opening "+path, chromedp.Navigate(p.s.HostURL+path))
}

// setUp opens a job's set-up page, as the Compliance Center does.
func (p *tab) setUp(jobID string) {
	p.t.Helper()
	p.open("/preview/OnJobCreating?jobId=" + jobID + "&tenantId=" + sandbox.TenantID)
}

// fill types into the field with this label.
func (p *tab) fill(label, value string) {
	p.t.Helper()
	field := chromedp.Search(`//input[@id=//label[normalize-space()="` + label + `"]/@for]`)
	p.do("filling in "+label, chromedp.Clear(field), chromedp.SendKeys(field, value))
}

// press clicks the first button, link or summary with this text.
func (p *tab) press(text string) {
	p.t.Helper()
	p.do("pressing "+text, chromedp.Click(chromedp.Search(`//button[normalize-space()="`+text+`"] | //a[normalize-space()="`+text+`"] | //summary[normalize-space()="`+text+`"]`)))
}

// sees waits until the page says all of these texts.
func (p *tab) sees(texts ...string) {
	p.t.Helper()
	for _, text := range texts {
		quoted, _ := json.Marshal(text)
		p.until(`seeing "`+text+`"`, `document.readyState === "complete" && document.body.innerText.replace(/\s+/g, " ").includes(`+string(quoted)+`)`)
	}
}

// heading waits until the page's main heading is this.
func (p *tab) heading(text string) {
	p.t.Helper()
	quoted, _ := json.Marshal(text)
	p.until(`the heading "`+text+`"`, `document.readyState === "complete" && document.querySelector("h1")?.innerText === `+string(quoted))
}

// until waits until an expression is true. Between two pages there is nobody to ask,
// which only means not yet.
func (p *tab) until(what, expression string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		if is, err := chromedp.Run(ctx, chromedp.Evaluate[bool](expression)); err == nil && is {
			return
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			p.t.Fatalf("waited in vain for %s\n%s", what, p.describe())
		}
	}
}

// ask evaluates an expression in the page.
func ask[T any](p *tab, expression string) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatalf("asking the page for %.80s: %v\n%s", expression, err, p.describe())
	}
	return v
}

// describe says where the tab is, for a test that failed.
func (p *tab) describe() string {
	ctx, cancel := context.WithTimeout(p.ctx, 5*time.Second)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`location.href.split("?")[0] + "\n" + document.body.innerText`))
	if err != nil {
		return "the page cannot be asked: " + err.Error()
	}
	return "the page is " + text
}

// signIn fills in who it is.
func (p *tab) signIn(secret string) {
	p.t.Helper()
	p.heading("Sign in")
	p.fill("Tenant ID", sandbox.TenantID)
	p.fill("APISecretKey", secret)
	p.press("Sign in")
}

// window does what opens a window, and returns that.
func (p *tab) window(open func()) *tab {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	opened := chromedp.WaitNewTarget(ctx, func(info *target.Info) bool { return info.OpenerID == p.id }) // others test too
	open()
	select {
	case id, ok := <-opened:
		if !ok {
			p.t.Fatal("no window opened")
		}
		w := &tab{t: p.t, s: p.s, also: p.also}
		w.attach(p.ctx, chromedp.WithTargetID(id))
		return w
	case <-ctx.Done():
		p.t.Fatalf("no window opened\n%s", p.describe())
		return nil
	}
}

// closed waits until the window has closed.
func (p *tab) closed() {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for p.isOpen() {
		select {
		case <-again.C:
		case <-ctx.Done():
			p.t.Fatalf("the window does not close\n%s", p.describe())
		}
	}
}

// atX decides on X's page: as whom to sign in, "" to cancel.
func (p *tab) atX(handle string) {
	p.t.Helper()
	p.heading("Authorize Contoso archive to access your account?")
	if handle == "" {
		p.press("Cancel")
		return
	}
	p.do("choosing "+handle, chromedp.Click(chromedp.Search(`//label[contains(., "`+handle+`")]`)))
	p.press("Authorize app")
}

// withoutScript turns JavaScript off in the tab's pages.
func (p *tab) withoutScript() {
	p.t.Helper()
	call(p, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
}

// withScript turns JavaScript on again.
func (p *tab) withScript() {
	p.t.Helper()
	call(p, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: false})
}

// count counts elements, also where pages run no script.
func (p *tab) count(selector string) int {
	p.t.Helper()
	quoted, _ := json.Marshal(selector)
	return int(ask[int64](p, `document.querySelectorAll(`+string(quoted)+`).length`))
}
