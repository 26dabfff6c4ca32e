package twitter

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"xarchive/handler/internal/post"
	"xarchive/tests/sandbox/corpus"
	"xarchive/tests/sandbox/x"
)

// searched is a server of X with the built-in corpus, months after its last post, and a
// client in the app's name.
func searched(t *testing.T) (*x.Server, *corpus.Corpus, *AppClient) {
	t.Helper()
	all, err := corpus.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Until(time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)))
	server := x.New(x.Options{Corpus: all, ConsumerKey: "ke y", ConsumerSecret: "sec:ret"})
	return server, all, new(Words).App(server.Client(), "https://api.x.com", App{Key: "ke y", Secret: "sec:ret"})
}

// TestSearch: the whole archive is searched in either vocabulary, page by page, and
// brings the posts that the account has posted itself, whole. X counts as many. What is
// counted as read is what X bills.
func TestSearch(t *testing.T) {
	for _, words := range []x.Vocabulary{x.TweetWords, x.PostWords} {
		synctest.Test(t, func(t *testing.T) {
			server, all, c := searched(t)
			server.Understand(words)
			var billed []string
			counts := 0
			c = c.Counting(func(_ context.Context, r Reads) error {
				day := r.At.Format("2006-01-02 ")
				switch r.Purpose {
				case Counts:
					counts++
				case Users:
					day += "user "
				case History:
				default:
					t.Errorf("read for %q", r.Purpose)
				}
				for _, id := range r.IDs {
					billed = append(billed, day+id)
				}
				return nil
			})
			owner, err := c.Owner(t.Context(), corpus.PressAccount)
			if err != nil || owner.Username == "" || owner.PostCount == 0 || owner.Created.IsZero() {
				t.Fatalf("%+v, %v", owner, err)
			}
			var want []string
			for _, p := range all.Posts(corpus.PressAccount) {
				if p.Kind != corpus.Retweet {
					want = append(want, p.ID)
				}
			}
			s := Search{Handle: owner.Username, From: time.Date(2006, 3, 21, 0, 0, 0, 0, time.UTC), To: time.Now().Add(-time.Minute)}
			var got []string
			for pages := 0; ; pages++ {
				answer, err := c.Search(t.Context(), s)
				if err != nil {
					t.Fatal(err)
				}
				for _, d := range answer.Page.Posts {
					if d.Earlier {
						continue
					}
					if d.Err != nil || d.Post == nil || d.Post.Author.ID != corpus.PressAccount {
						t.Errorf("post %s: %v, %+v", d.ID, d.Err, d.Post)
					}
					got = append(got, d.ID)
				}
				if s.PageFrom = answer.Page.Meta.NextToken; s.PageFrom == "" {
					break
				}
			}
			slices.SortFunc(want, post.CompareIDs)
			slices.SortFunc(got, post.CompareIDs)
			if !slices.Equal(got, want) {
				t.Errorf("%d posts, want %d", len(got), len(want))
			}
			counted := 0
			posts := all.Posts(corpus.PressAccount)
			first := posts[len(posts)-1].CreatedAt.AddDate(0, -1, 0)
			for from := first.Truncate(24 * time.Hour); from.Before(s.To); from = from.AddDate(0, 0, 31) {
				to := from.AddDate(0, 0, 31)
				if to.After(s.To) {
					to = s.To
				}
				n, err := c.Count(t.Context(), Search{Handle: owner.Username, From: from, To: to})
				if err != nil {
					t.Fatal(err)
				}
				counted += n
			}
			if counted != len(want) {
				t.Errorf("X counts %d posts, want %d", counted, len(want))
			}
			slices.Sort(billed)
			if bill := server.Billed(); !slices.Equal(slices.Compact(billed), bill) || counts != server.Stats().Counts {
				t.Errorf("%d reads and %d counts are counted, X bills %d and %d", len(billed), counts, len(bill), server.Stats().Counts)
			}
		})
	}
}

// TestSearchToken: a token that X no longer takes is refused once, and replaced; keys that
// are wrong are said to be.
func TestSearchToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, _, c := searched(t)
		if _, err := c.Owner(t.Context(), corpus.PressAccount); err != nil {
			t.Fatal(err)
		}
		server.ForgetAppToken()
		if _, err := c.Owner(t.Context(), corpus.PressAccount); !errors.Is(err, ErrUnauthorized) {
			t.Errorf("with a token that is forgotten: %v", err)
		}
		if _, err := c.Owner(t.Context(), corpus.PressAccount); err != nil {
			t.Errorf("after it was refused: %v", err)
		}
		wrong := new(Words).App(server.Client(), "https://api.x.com", App{Key: "ke y", Secret: "wrong"})
		if _, err := wrong.Owner(t.Context(), corpus.PressAccount); !errors.Is(err, ErrUnauthorized) {
			t.Errorf("with a wrong secret: %v", err)
		}
	})
}
