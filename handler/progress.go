package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"xarchive/handler/internal/export"
)

// progress shows how far a command is: on a terminal in one line that is written
// over, elsewhere in a plain line now and then.
type progress struct {
	w        io.Writer
	terminal bool
	now      func() time.Time

	mu    sync.Mutex
	shown time.Time // when it was shown last
	last  int       // how many things were done then
	width int       // of the line that is on the terminal, in characters
}

const (
	terminalEvery = 200 * time.Millisecond
	lineEvery     = 30 * time.Second
	linePer       = 1000 // things done
)

func newProgress(f *os.File) *progress {
	info, err := f.Stat()
	return &progress{w: f, terminal: err == nil && info.Mode()&os.ModeCharDevice != 0, now: time.Now, shown: time.Now()}
}

// update shows a status, unless one was shown a moment ago.
func (p *progress) update(s export.Status) {
	p.show(s.Looked, func() string {
		text := fmt.Sprintf("%s, %s, up to %s", count(s.Messages, "message"), size(s.Bytes), s.At.Format(time.DateOnly))
		if s.Looked > s.Messages+s.LeftOut {
			text = fmt.Sprintf("%d looked at: %s", s.Looked, text)
		}
		if s.LeftOut > 0 {
			text += fmt.Sprintf(", %d left out", s.LeftOut)
		}
		return text
	})
}

// show shows a text, when so many things are done, unless one was shown a moment ago.
func (p *progress) show(done int, text func() string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if done < p.last { // the next step
		p.last = 0
	}
	now := p.now()
	since := now.Sub(p.shown)
	if p.terminal && since < terminalEvery || !p.terminal && since < lineEvery && done-p.last < linePer {
		return
	}
	p.shown, p.last = now, done
	if !p.terminal {
		fmt.Fprintln(p.w, text())
		return
	}
	line := text()
	fmt.Fprintf(p.w, "\r%-*s", p.width, line)
	p.width = len(line)
}

// line shows a line that stays.
func (p *progress) line(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	fmt.Fprintln(p.w, text)
}

// end takes away the line that is written over.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
}

func (p *progress) clear() {
	if p.width > 0 {
		fmt.Fprintf(p.w, "\r%*s\r", p.width, "")
		p.width = 0
	}
}
