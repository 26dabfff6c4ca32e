package reads

import (
	"math"
	"time"

	"xarchive/handler/internal/state"
	"xarchive/handler/internal/twitter"
)

// Price is what X asks for a read, in US dollars (pay per use, autumn 2026). Posts that
// X counts as owned, read by their author's own app, cost a fifth; which those are, no
// answer says. Nor does X say whether it bills people who come along with posts.
// https://docs.x.com/x-api/getting-started/pricing
func Price(purpose string) float64 {
	switch twitter.Purpose(purpose) {
	case twitter.Users, twitter.Counts:
		return 0.010
	}
	return 0.005
}

// newPosts reports whether reads for a purpose are made whatever the limit.
func newPosts(purpose string) bool {
	return purpose == string(twitter.Posts) || purpose == string(twitter.LookUps)
}

// Summary is what one account or several have read.
type Summary struct {
	By      state.ReadsFor // this month, by purpose
	Posts   int            // of them reads of posts, which the limit is about
	Dollars float64        // of all of them, at the full price

	PerDay      float64 // reads of posts a day in the last seven days, today's included
	ToMonthsEnd int     // reads of posts of this month, if the rest of it is like the last seven days
	DollarsEnd  float64 // of all reads, likewise
	NewToCome   float64 // reads for new posts that are to come in this month, likewise
}

// Sum returns what was read in the month of a time, and what that comes to at its end.
func Sum(list []state.Reads, now time.Time) Summary {
	now = now.UTC()
	s := Summary{By: state.ReadsFor{}}
	var week, weekNew, weekDollars float64
	for _, r := range list {
		for purpose, n := range r.Months[month(now)] {
			s.By[purpose] += n
			s.Dollars += Price(purpose) * float64(n)
			if ofPosts(purpose) {
				s.Posts += n
			}
		}
		for back := range 7 {
			for purpose, n := range r.Days[now.AddDate(0, 0, -back).Format(time.DateOnly)] {
				weekDollars += Price(purpose) * float64(n)
				if ofPosts(purpose) {
					week += float64(n)
				}
				if newPosts(purpose) {
					weekNew += float64(n)
				}
			}
		}
	}
	end := time.Date(now.Year(), now.Month()+1, 1, 0, 0, 0, 0, time.UTC)
	days := end.Sub(now).Hours() / 24
	s.PerDay, s.NewToCome = week/7, weekNew/7*days
	s.ToMonthsEnd = s.Posts + int(math.Round(s.PerDay*days))
	s.DollarsEnd = s.Dollars + weekDollars/7*days
	return s
}

func ofPosts(purpose string) bool {
	return purpose != string(twitter.Users) && purpose != string(twitter.Counts)
}
