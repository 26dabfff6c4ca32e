package corpus

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// The accounts of the built-in corpus.
const (
	PressAccount   = "4100000017" // @ContosoEnergy, more than 200 posts
	SupportAccount = "4100000029" // @ContosoHelp
)

// Builtin makes the built-in corpus: two accounts of an energy company that does
// not exist, with every kind of post and everything odd that X is known to send.
// It is the same at every call, down to the bytes.
func Builtin() (*Corpus, error) { return builtin(0) }

// builtin makes the corpus with its story moved in time.
func builtin(by time.Duration) (*Corpus, error) {
	b := &builder{files: library{}, handles: map[string]*userObject{}, mediaByKey: map[string]mediaObject{}}
	c := b.cast()
	b.oldDays(c)
	b.press(c)
	b.oddities(c)
	b.pressSeries(c)
	b.support(c)
	slices.SortStableFunc(b.data, func(x, y *postObject) int { return CompareIDs(y.ID, x.ID) })

	raw, err := encode(map[string]any{
		"data":     b.data,
		"includes": map[string]any{"tweets": b.tweets, "users": b.users, "media": b.media, "polls": b.polls, "places": b.places},
		"errors":   b.errors,
	})
	if err != nil {
		return nil, err
	}
	if raw, err = shift(raw, by); err != nil {
		return nil, err
	}
	corpus, err := fromJSON(raw, []string{PressAccount, SupportAccount})
	if err != nil {
		return nil, fmt.Errorf("reading the built-in corpus: %w", err)
	}
	corpus.open = b.files.open
	return corpus, nil
}

// cast is who appears in the built-in corpus.
type cast struct {
	press, help, grid, council, journalist, charity, customer, locked, gone, japan *userObject
}

func (b *builder) cast() cast {
	return cast{
		press:      b.user(PressAccount, "ContosoEnergy", "Contoso Energy ⚡", "Wind, grid and home energy. Newsroom of Contoso Energy plc ($CTSO). Customers: @ContosoHelp", "business", "2007-10-22T09:00:00.000Z"),
		help:       b.user(SupportAccount, "ContosoHelp", "Contoso Energy Help", "Here for our customers 7am–10pm. Never send card details in a post.", "business", "2012-03-05T10:12:00.000Z"),
		grid:       b.user("4100000111", "NorthGridCo", "North Grid Company", "We keep the north's lights on.", "business", "2010-02-01T00:00:00.000Z"),
		council:    b.user("4100000112", "LarkfieldCouncil", "Larkfield County Council", "News from your county.", "government", "2009-05-12T00:00:00.000Z"),
		journalist: b.user("4100000113", "mira_okonjo", "Mira Okonjo", "Energy correspondent. Views mine.", "blue", "2011-08-30T00:00:00.000Z"),
		charity:    b.user("4100000114", "WarmHomesTrust", "Warm Homes Trust", "Nobody should be cold at home.", "none", "2013-11-02T00:00:00.000Z"),
		customer:   b.user("4100000115", "tomasz_w", "Tomasz W", "Dad of two. Bad puns.", "none", "2015-01-19T00:00:00.000Z"),
		locked:     b.user("4100000116", "quiet_street", "🔒 Quiet Street", "", "none", "2016-06-06T00:00:00.000Z"),
		gone:       b.user("4100000117", "pylonspotter", "Pylon Spotter", "I take pictures of pylons.", "none", "2014-04-14T00:00:00.000Z"),
		japan:      b.user("4100000118", "fuuryoku_news", "風力ニュース", "風力発電の最新情報をお届けします。", "none", "2017-09-01T00:00:00.000Z"),
	}
}

func (b *builder) user(id, handle, name, about, verified, created string) *userObject {
	photo := b.code("profile", id, 12) + "_normal.jpg"
	b.files[photo] = "profile.jpg"
	n := number(id)
	u := &userObject{
		ID: id, Name: name, Username: handle, CreatedAt: created, Description: about, Protected: handle == "quiet_street",
		Photo:    "https://pbs.twimg.com/profile_images/1700000000000000000/" + photo,
		Verified: verified != "none", Kind: verified,
		Metrics: map[string]int{"followers_count": n % 200000, "following_count": n % 900, "tweet_count": n % 30000, "listed_count": n % 400},
	}
	b.users = append(b.users, u)
	b.handles[strings.ToLower(handle)] = u
	return u
}

func (b *builder) addMedia(m mediaObject) {
	b.media = append(b.media, m)
	b.mediaByKey[m.Key] = m
}

func (b *builder) poll(status string, ends time.Time, minutes int, options ...string) *pollObject {
	p := &pollObject{Minutes: minutes, Ends: stamp(ends), Status: status}
	for i, label := range options {
		p.Options = append(p.Options, pollOption{i + 1, label, number(label) % 900})
	}
	return p
}

func (b *builder) place(id, full, name string, west, south, east, north float64) *placeObject {
	p := placeObject{id, full, name, "United Kingdom", "GB", "city", map[string]any{"type": "Feature", "bbox": []float64{west, south, east, north}, "properties": map[string]any{}}}
	b.places = append(b.places, p)
	return &p
}

// refuse has X say that it does not show a post.
func (b *builder) refuse(id, parameter string, exists bool) {
	r := refusal{Value: id, ResourceID: id, ResourceType: "tweet", Parameter: parameter, Title: "Not Found Error",
		Detail: "Could not find tweet with " + parameter + ": [" + id + "].", Type: "https://api.twitter.com/2/problems/resource-not-found"}
	if exists {
		r.Title, r.Detail = "Authorization Error", "Sorry, you are not authorized to see the Tweet with "+parameter+": ["+id+"]."
		r.Type = "https://api.twitter.com/2/problems/not-authorized-for-resource"
	}
	b.errors = append(b.errors, r)
}

// at reads a time of the corpus, in UTC.
func at(s string) time.Time {
	t, err := time.Parse("2006-01-02 15:04:05.000", s)
	if err != nil {
		panic(err) // a slip in the texts of this package
	}
	return t
}
