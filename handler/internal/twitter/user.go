package twitter

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	gotwitter "github.com/g8rswimmer/go-twitter/v2"

	"xarchive/handler/internal/post"
)

// User is an account of X as X describes it.
type User struct {
	ID       string
	Name     string // display name
	Username string // handle, without @

	// PostCount is how many posts the account has, reposts among them, as
	// [Client.User] tells; 0 from other calls. X counts with some delay.
	PostCount int
}

// wireUser is X's user object.
// https://docs.x.com/x-api/fundamentals/data-dictionary#user
type wireUser struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Username string    `json:"username"`
	Created  time.Time `json:"created_at"`
	Metrics  struct {
		Posts *int `json:"tweet_count"`
	} `json:"public_metrics"`
}

// User reads an account by its id, which is billed as one user read. An account
// that X does not show is [ErrSuspended], [ErrGone] or [ErrForbidden]; an answer without
// that account or its number of posts is [ErrIncomplete].
func (c *Client) User(ctx context.Context, id string) (User, error) {
	what := "reading account " + id
	rec, err := call(ctx, what, func(ctx context.Context) error {
		_, err := c.api.UserLookup(ctx, []string{id}, gotwitter.UserLookupOpts{UserFields: accountFields})
		return err
	})
	if err != nil {
		return User{}, err
	}
	if err := c.counted(ctx, rec, Users, dataIDs(rec.body)); err != nil {
		return User{}, fmt.Errorf("%s: counting what X sent: %w", what, err)
	}
	u, err := readUser(rec.body)
	switch {
	case err != nil:
		return User{}, fmt.Errorf("%s: %w", what, err)
	case u.ID != id:
		return User{}, fmt.Errorf("%s: %w: it is about account %s", what, ErrIncomplete, u.ID)
	case u.Metrics.Posts == nil:
		// Not 0: a caller would take the account for an empty one.
		return User{}, fmt.Errorf("%s: %w: it does not say how many posts the account has", what, ErrIncomplete)
	}
	return User{ID: u.ID, Name: u.Name, Username: u.Username, PostCount: *u.Metrics.Posts}, nil
}

// readUser reads an answer with one user.
func readUser(raw []byte) (wireUser, error) {
	var got struct {
		Data   wireUser
		Errors []post.Problem
	}
	switch err := json.Unmarshal(raw, &got); {
	case err != nil:
		return wireUser{}, fmt.Errorf("%w: %w", ErrIncomplete, err)
	case got.Data.ID == "" && len(got.Errors) > 0:
		return wireUser{}, notShown(got.Errors[0])
	case got.Data.ID == "":
		return wireUser{}, fmt.Errorf("%w: it names no account", ErrIncomplete)
	}
	return got.Data, nil
}
