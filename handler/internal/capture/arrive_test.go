package capture_test

import (
	"context"
	"fmt"
	"slices"
	"time"

	"xarchive/handler/internal/state"
	"xarchive/tests/sandbox/corpus"
)

// arrive makes a few posts; some are shown late, have media, are edits or are deleted.
func (w *torture) arrive() {
	for range 1 + w.dice.n(3) {
		id := tortured[w.dice.n(5)/4]
		if w.dice.n(8) == 0 {
			w.edit(id)
			continue
		}
		if w.dice.n(30) == 0 {
			w.remove(id)
			continue
		}
		if w.dice.n(20) == 0 {
			w.change(id)
			continue
		}
		p := corpus.Post{Text: "post"}
		switch w.dice.n(8) {
		case 0:
			p.MediaKeys = []string{"3_a"}
		case 1:
			p.Refs = []corpus.Ref{{Type: "quoted", ID: "1700000000000000404"}}
		case 2:
			if w.dice.n(4) == 0 {
				p.MediaKeys = []string{"3_boom"}
			}
		}
		w.made(w.x.Post(id, p))
	}
}

// made takes note of a post. Some are shown late.
func (w *torture) made(p corpus.Post) {
	w.mu.Lock()
	w.posted = append(w.posted, p)
	w.mu.Unlock()
	if w.dice.n(8) == 0 {
		until := time.Now().Add(time.Duration(w.dice.n(int(w.late.Seconds()))) * time.Second)
		w.trace("post %s is shown from %s on", p.ID, until.Format("15:04:05"))
		w.x.ShowLate(p.ID, until)
	}
}

// some returns a post of the account that is not deleted nor edited, of the last so many.
func (w *torture) some(id string, last int) (corpus.Post, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	replaced := map[string]bool{}
	var own []corpus.Post
	for _, p := range w.posted {
		for _, version := range p.EditHistory {
			replaced[version] = replaced[version] || version != p.ID
		}
	}
	for _, p := range w.posted {
		if p.AuthorID == id && !w.deleted[p.ID] && !replaced[p.ID] {
			own = append(own, p)
		}
	}
	own = own[max(0, len(own)-last):]
	if len(own) == 0 {
		return corpus.Post{}, false
	}
	return own[w.dice.n(len(own))], true
}

// edit makes a new version of a post. Some are such that the earlier version is looked
// up, and of these some are muted.
func (w *torture) edit(id string) {
	p, ok := w.some(id, 5)
	if !ok || len(p.EditHistory) > 5 {
		return
	}
	version := corpus.NewID(time.Now(), 1<<20+w.dice.n(1<<20))
	history := append(slices.Clone(p.EditHistory), version)
	if len(p.EditHistory) == 0 {
		history = []string{p.ID, version}
	}
	if w.dice.n(3) == 0 {
		w.trace("look-ups of %s are muted", p.ID)
		w.x.Mute(p.ID)
		w.mu.Lock()
		w.muted = append(w.muted, p.ID)
		w.mu.Unlock()
	}
	w.trace("post %s is edited: %s", p.ID, version)
	w.made(w.x.Post(id, corpus.Post{ID: version, Text: "edited", EditHistory: history, Refs: p.Refs, MediaKeys: p.MediaKeys}))
}

// remove deletes a post in all of its versions.
func (w *torture) remove(id string) {
	p, ok := w.some(id, 20)
	if !ok {
		return
	}
	w.trace("post %s is deleted", p.ID)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, version := range append(slices.Clone(p.EditHistory), p.ID) {
		w.deleted[version] = true
		w.x.Delete(version)
	}
}

// change has X give a post differently, under the same id.
func (w *torture) change(id string) {
	p, ok := w.some(id, 5)
	if !ok {
		return
	}
	w.trace("post %s is changed", p.ID)
	w.x.Change(corpus.Post{ID: p.ID, AuthorID: id, CreatedAt: p.CreatedAt, Text: fmt.Sprint("changed ", w.dice.n(3)), Refs: p.Refs, MediaKeys: p.MediaKeys, EditHistory: p.EditHistory})
}

// leaveOut leaves posts out of X's next answer: a young one, which the overlap is there
// for, or some that capture may know.
func (w *torture) leaveOut() {
	var ids []string
	if p, ok := w.some(tortured[w.dice.n(2)], 3); ok && time.Since(p.CreatedAt) < w.late*4/5 {
		ids = append(ids, p.ID)
	}
	w.trace("posts %v are left out", ids)
	w.x.LeaveOut(1, ids...)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.left = append(w.left, ids...)
}

// unhide ends what leaveOut began.
func (w *torture) unhide() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.x.LeaveOut(0, w.left...)
	w.left = nil
}

// deliver does what a task does that asks for everything: it waits for coverage, says
// which window it delivers, and then lists the archive.
func (w *torture) deliver(id string) {
	a, err := w.state.Account(context.WithoutCancel(w.t.Context()), id)
	if err != nil || len(a.Covered) == 0 {
		return
	}
	window := state.Range{To: a.Covered.End()}
	for _, part := range a.Covered.Missing(window) {
		if len(a.Missing().Missing(part)) > 0 {
			return
		}
	}
	if err := w.state.AddDelivered(context.WithoutCancel(w.t.Context()), "job"+id, id, window); err != nil {
		w.t.Errorf("a task of account %s: %v", id, err)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.begun[id] = w.begun[id].Add(window)
	for _, key := range w.archivedOf(id) {
		w.listed[key] = true
	}
}
