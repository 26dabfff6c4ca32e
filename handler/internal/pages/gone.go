package pages

import (
	"errors"
	"slices"

	"xarchive/handler/internal/state"

	"golang.org/x/sync/errgroup"
)

// goneList is what of an account's archived posts X no longer gives, as a page shows it.
type goneList struct {
	Now, Back int // posts that X does not give now; that it gives again
	More      int // that are not shown
	Posts     []state.GonePost
}

// goneShown is how many posts are shown, those noticed last.
const goneShown = 100

// listsAtOnce is how many accounts' lists are read at the same time.
const listsAtOnce = 16

func newGoneList(g state.Gone) goneList {
	l := goneList{Now: g.Now(), More: g.More}
	l.Back = len(g.Posts) - l.Now
	l.Posts = slices.Clone(g.Posts)
	slices.Reverse(l.Posts)
	if over := len(l.Posts) - goneShown; over > 0 {
		l.Posts, l.More = l.Posts[:goneShown], l.More+over
	}
	return l
}

// gone reads which posts of the jobs' accounts are gone, several at once, and returns
// the names of records that cannot be read.
func (q *request) gone(list []jobHealth) ([]string, error) {
	damaged := make([]state.Damaged, len(list))
	group, ctx := errgroup.WithContext(q.r.Context())
	group.SetLimit(listsAtOnce)
	for i := range list {
		group.Go(func() error {
			g, err := q.pages.opt.Records.Gone(ctx, list[i].Job.AccountID)
			if errors.As(err, &damaged[i]) {
				return nil
			}
			list[i].Gone = newGoneList(g)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var unread []string
	for _, d := range damaged {
		if d.Err != nil {
			unread = append(unread, d.Name)
		}
	}
	return unread, nil
}
