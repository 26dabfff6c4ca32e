// Package statement states of a month what the archive holds of each account: posts by
// kind, what is gone, what is missing, and up to when it is verified and delivered; for the
// records officer's files, as CSV and as a page.
package statement

import (
	"context"
	_ "embed"
	"encoding/csv"
	"errors"
	"fmt"
	"html/template"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/health"
	"xarchive/handler/internal/manifest"
	"xarchive/handler/internal/post"
	"xarchive/handler/internal/state"
)

// State is what is asked of the state; *state.Store.
type State interface {
	AccountIDs(ctx context.Context) ([]string, error)
	Account(ctx context.Context, id string) (state.Account, error)
	Mentions(ctx context.Context, accountID string) (state.Mentions, error)
	Verification(ctx context.Context, accountID string) (state.Verification, error)
	Jobs(ctx context.Context) (list []state.Job, damaged []state.Damaged, err error)
	NewestTasks(ctx context.Context, jobIDs []string) (list []state.Task, damaged []state.Damaged, err error)
}

// Archive is what is counted; *archive.Archive.
type Archive interface {
	Accounts(ctx context.Context) ([]string, error)
	Walk(ctx context.Context, accountID string, start, end time.Time, after string) iter.Seq2[archive.Entry, error]
	Gone(ctx context.Context, accountID string, start, end time.Time) (int, error)
}

// Manifests lists what was archived; *manifest.Store.
type Manifests interface {
	Parts(ctx context.Context, account string) ([]manifest.Part, error)
	Blob(ctx context.Context, account string, n int) (manifest.Blob, error)
}

// Maker makes statements.
type Maker struct {
	State     State
	Archive   Archive
	Manifests Manifests
	Now       func() time.Time
}

// Kinds are the kinds of an account's posts, in the order in which they are stated.
var Kinds = []post.Kind{post.Tweet, post.Retweet, post.Reply, post.Quote}

// Month is a UTC month.
type Month struct{ time.Time }

// ParseMonth reads 2026-11.
func ParseMonth(text string) (Month, error) {
	t, err := time.Parse("2006-01", text)
	if err != nil {
		return Month{}, fmt.Errorf("%q is no month: write it like 2026-11", text)
	}
	return Month{t}, nil
}

// Before returns the month before the one of a time.
func Before(t time.Time) Month {
	t = t.UTC()
	return Month{time.Date(t.Year(), t.Month()-1, 1, 0, 0, 0, 0, time.UTC)}
}

func (m Month) String() string { return m.Format("2006-01") }

// last is the last instant of the month.
func (m Month) last() time.Time { return m.AddDate(0, 1, 0).Add(-1) }

// of returns the gaps that the month has a part in.
func (m Month) of(gaps []state.Gap) (out []state.Gap) {
	for _, g := range gaps {
		if g.To.After(m.Time) && !g.From.After(m.last()) {
			out = append(out, g)
		}
	}
	return out
}

// Statement is what is stated of a month.
type Statement struct {
	Month    Month
	Made     time.Time // UTC
	Accounts []Account
}

// Account is what is stated of an account.
type Account struct {
	ID, Name string
	NoRecord bool // the archive has messages of it, and the state knows nothing of it: no gap, and nothing of today, is known

	// Of posts that were posted in the month.
	Posts       map[post.Kind]int // archived
	Further     int               // further messages about them
	Gone        int               // that X no longer gives
	Gaps        []state.Gap       // of the month, in which posts may be missing
	MentionGaps []state.Gap       // of the month, in which posts of others that mention the account may be missing
	Mentions    int               // posts of others that mention the account
	Foreign     int               // blobs among the messages that are not the connector's

	// Of the time of archiving, by the manifest.
	Listed  bool // the manifest says of all of the month what was archived
	New     int  // messages that were archived in the month, whenever they were posted
	GivenUp int  // posts of which X did not give all, given up in the month

	// Stated is X's own number of all of the account's posts, of all months, beside what
	// was archived then; nil where X was not asked, or did not answer.
	Stated *state.Stated

	// Today's.
	Waiting         int // posts of which something is still asked for
	SetAside        int // posts that could not be made into messages
	Covered         time.Time
	MentionsCovered time.Time // up to when posts of others that mention the account are read; zero if they were never
	Verified        time.Time // what was archived before is as it was archived; zero if that is not known
	Faults          int       // that the last reading found
	Delivered       time.Time // up to when the newest deliveries reach; zero if there is none
}

// Total is how many posts of the month are archived.
func (a Account) Total() (n int) {
	for _, count := range a.Posts {
		n += count
	}
	return n
}

// Make makes the statement of a month for all accounts, or for one: those that the state
// knows, and those that the archive has messages of. [fault.NotFound] for one that neither
// has.
func (m Maker) Make(ctx context.Context, month Month, account string) (Statement, error) {
	s := Statement{Month: month, Made: m.Now().UTC().Truncate(time.Second)}
	known, err := m.State.AccountIDs(ctx)
	if err != nil {
		return s, err
	}
	archived, err := m.Archive.Accounts(ctx)
	if err != nil {
		return s, err
	}
	ids := append(slices.Clone(known), archived...)
	slices.Sort(ids)
	ids = slices.Compact(ids)
	if account != "" {
		if !slices.Contains(ids, account) {
			return s, fault.Refuse(fault.NotFound, "There is no account "+strconv.Quote(account)+" in the archive.")
		}
		ids = []string{account}
	}
	jobs, _, err := m.State.Jobs(ctx)
	if err != nil {
		return s, err
	}
	for _, id := range ids {
		a, err := m.account(ctx, month, id, jobs)
		if err != nil {
			return s, fmt.Errorf("account %s: %w", id, err)
		}
		a.NoRecord = !slices.Contains(known, id)
		s.Accounts = append(s.Accounts, a)
	}
	return s, nil
}

func (m Maker) account(ctx context.Context, month Month, id string, jobs []state.Job) (Account, error) {
	a := Account{ID: id, Name: id, Posts: map[post.Kind]int{}}
	record, err := m.State.Account(ctx, id)
	if err != nil {
		return a, err
	}
	for e, err := range m.Archive.Walk(ctx, id, month.Time, month.last(), "") {
		switch {
		case errors.Is(err, archive.ErrForeign):
			a.Foreign++
		case err != nil:
			return a, err
		case e.Key == e.PostID && e.Kind == post.Mentioning:
			a.Mentions++
		case e.Key == e.PostID:
			a.Posts[e.Kind]++
		default:
			a.Further++
		}
	}
	if a.Gone, err = m.Archive.Gone(ctx, id, month.Time, month.last()); err != nil {
		return a, err
	}
	mentions, err := m.State.Mentions(ctx, id)
	if err != nil && !errors.Is(err, state.ErrDamaged) {
		return a, err
	}
	a.Gaps, a.MentionGaps, a.MentionsCovered = month.of(record.Gaps), month.of(mentions.Gaps), mentions.Covered.End()
	if err := m.archived(ctx, month, &a); err != nil {
		return a, err
	}
	known, err := m.State.Verification(ctx, id)
	if err != nil && !errors.Is(err, state.ErrDamaged) {
		return a, err
	}
	a.Stated = record.Stated
	a.Waiting, a.SetAside, a.Covered, a.Verified = len(record.Waiting), record.SetAside.Posts, record.Covered.End(), known.Sound
	if known.Last != nil {
		for _, f := range known.Last.Report.Faults() {
			a.Faults += f.Count
		}
	}
	for _, job := range jobs {
		if job.AccountID != id {
			continue
		}
		a.Name = health.Standing{Job: job}.Name()
		tasks, _, err := m.State.NewestTasks(ctx, []string{job.ID})
		if err != nil {
			return a, err
		}
		a.Delivered = health.Deliver(job, tasks, nil, m.Now()).Until
	}
	return a, nil
}

// archived reads what was archived in the month from the manifest, the newest blob first.
func (m Maker) archived(ctx context.Context, month Month, a *Account) error {
	parts, err := m.Manifests.Parts(ctx, a.ID)
	if err != nil {
		return err
	}
	first, next := month.Format(time.DateOnly), month.AddDate(0, 1, 0).Format(time.DateOnly)
	a.Listed = len(parts) > 0 || a.Total()+a.Further == 0
	seen := map[string]bool{}
	for _, part := range slices.Backward(parts) {
		b, err := m.Manifests.Blob(ctx, a.ID, part.N)
		if errors.Is(err, manifest.ErrBroken) || err == nil && b.Head.Day == "" {
			a.Listed = false // of a blob without a day nobody knows the month
			return nil
		}
		if err != nil {
			return err
		}
		if b.Head.Day < first {
			return nil
		}
		if b.Head.Day >= next {
			continue
		}
		for _, line := range b.Lines {
			switch {
			case line.Event == manifest.GivenUp:
				a.GivenUp++
			case line.Event == "" && !seen[line.Path]:
				seen[line.Path] = true
				a.New++
			}
		}
	}
	return nil
}

// gaps words the account's gaps.
func (a Account) gaps() string {
	if a.NoRecord {
		return "not known"
	}
	return words(a.Gaps)
}

// words words gaps.
func words(gaps []state.Gap) string {
	var list []string
	for _, g := range gaps {
		list = append(list, moment(g.From)+" to "+moment(g.To)+" ("+string(g.Why)+")")
	}
	return strings.Join(list, "; ")
}

func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// CSV writes a statement as RFC 4180 has it, a line for each account.
func (s Statement) CSV(w io.Writer) error {
	out := csv.NewWriter(w)
	out.UseCRLF = true
	head := []string{"month", "account", "name"}
	for _, k := range Kinds {
		head = append(head, strings.ToLower(string(k)))
	}
	head = append(head, "posts", "further_messages", "gone", "gaps", "not_the_connectors", "archived_in_month", "given_up_in_month", "waiting", "set_aside", "read_until", "verified_until", "faults", "delivered_until", "x_states_posts", "x_stated_on", "archived_then", "gone_then", "missing_then", "made", "mentions", "mention_gaps", "mentions_read_until")
	if err := out.Write(head); err != nil {
		return err
	}
	for _, a := range s.Accounts {
		line := []string{s.Month.String(), a.ID, plain(a.Name)}
		for _, k := range Kinds {
			line = append(line, strconv.Itoa(a.Posts[k]))
		}
		waiting, aside := strconv.Itoa(a.Waiting), strconv.Itoa(a.SetAside)
		if a.NoRecord {
			waiting, aside = "", ""
		}
		archived, givenUp := "", ""
		if a.Listed {
			archived, givenUp = strconv.Itoa(a.New), strconv.Itoa(a.GivenUp)
		}
		stated := make([]string, 5) // empty where X's number is not known
		if x := a.Stated; x != nil {
			stated = []string{strconv.Itoa(x.Posts), x.At.UTC().Format(time.DateOnly), strconv.Itoa(x.Archived), strconv.Itoa(x.Gone), strconv.Itoa(max(0, x.Missing))}
		}
		line = append(line, strconv.Itoa(a.Total()), strconv.Itoa(a.Further), strconv.Itoa(a.Gone), a.gaps(), strconv.Itoa(a.Foreign), archived, givenUp,
			waiting, aside, moment(a.Covered), moment(a.Verified), strconv.Itoa(a.Faults), moment(a.Delivered))
		line = append(append(line, stated...), moment(s.Made), strconv.Itoa(a.Mentions), words(a.MentionGaps), moment(a.MentionsCovered))
		if err := out.Write(line); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// plain keeps a spreadsheet from taking a name that its owner chose for a formula.
func plain(name string) string {
	if strings.HasPrefix(name, "=") || strings.HasPrefix(name, "+") || strings.HasPrefix(name, "-") || strings.HasPrefix(name, "@") {
		return "'" + name
	}
	return name
}

//go:embed statement.html
var page string

var pageTemplate = template.Must(template.New("statement").Funcs(template.FuncMap{
	"number": health.Number,
	"day":    func(t time.Time) string { return t.UTC().Format("2 Jan 2006") },
	"moment": func(t time.Time) string {
		if t.IsZero() {
			return "not known"
		}
		return health.Moment(t)
	},
}).Parse(page))

// HTML writes a statement as a page that needs nothing else.
func (s Statement) HTML(w io.Writer) error {
	return pageTemplate.Execute(w, map[string]any{"S": s, "Kinds": Kinds})
}
