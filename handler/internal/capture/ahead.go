package capture

import (
	"context"

	"xarchive/handler/internal/panics"
	"xarchive/handler/internal/twitter"
)

// ahead is a page that X is asked for while the page before it is retained. Nothing
// is taken from its answer, not even X's rate limit, until that page is written down.
type ahead struct {
	query  twitter.Query
	stop   context.CancelFunc
	done   chan struct{} // closed when answer and err are set
	answer twitter.Answer
	err    error
}

// askAhead asks for the page that follows page n of the run, if there is one.
func (t *turn) askAhead(ctx context.Context, n int, token string) {
	if token == "" || t.x == nil || n+1 >= t.maxPages() {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	a := &ahead{query: t.query(token), stop: cancel, done: make(chan struct{})}
	x, account := t.x, t.account.ID // the turn goes on meanwhile, and nothing of it is touched
	go func() {
		defer close(a.done)
		defer cancel()
		a.err = panics.Catch(func() (err error) {
			a.answer, err = x.Timeline(ctx, account, a.query)
			return err
		})
	}()
	t.ahead = a
}

// wait returns X's answer. It ends with the context of the turn.
func (a *ahead) wait() (twitter.Answer, error) {
	<-a.done
	return a.answer, a.err
}

// dropAhead ends the request that is on its way.
func (t *turn) dropAhead() {
	if t.ahead != nil {
		t.ahead.stop()
		<-t.ahead.done
		t.ahead = nil
	}
}
