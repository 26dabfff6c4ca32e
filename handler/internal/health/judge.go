package health

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/secrets"
	"xarchive/handler/internal/state"

	"golang.org/x/sync/errgroup"
)

// Records is what the state says of itself; *state.Store.
type Records interface {
	Ticks
	// Jobs returns all jobs, and apart from them the records that cannot be read.
	Jobs(ctx context.Context) (list []state.Job, damaged []state.Damaged, err error)
	// Job returns state.ErrNotFound if there is none of that id.
	Job(ctx context.Context, id string) (state.Job, error)
	// Account returns an empty account for one that was never read.
	Account(ctx context.Context, id string) (state.Account, error)
	// Mentions returns an empty record for an account whose mentions were never read.
	Mentions(ctx context.Context, accountID string) (state.Mentions, error)
	// Activity returns state.ErrNotFound if X was never told to send events.
	Activity(ctx context.Context) (state.Activity, error)
	// Verification returns an empty one for an account whose archive was never read again.
	Verification(ctx context.Context, accountID string) (state.Verification, error)
	// NewestTasks returns each job's newest tasks, the newest first.
	NewestTasks(ctx context.Context, jobIDs []string) (list []state.Task, damaged []state.Damaged, err error)
	// Acknowledgements returns those of one account, or of all for "".
	Acknowledgements(ctx context.Context, accountID string) (list []state.Acknowledgement, damaged []state.Damaged, err error)
}

// Judge says how everything stands, to whoever asks: the pages, probes, alarms.
type Judge struct {
	Records  Records
	Settings func(ctx context.Context) ([]secrets.Info, error) // what is set
	Mentions bool                                              // what others write that mentions an account is archived, too
	Activity bool                                              // X sends events of posts
	Now      func() time.Time
}

const (
	// knock bounds the first call of the storage account. While that does not answer,
	// nothing is known, and whoever asks is to learn it at once.
	knock = 2 * time.Second
	// look bounds everything that follows.
	look = 20 * time.Second
	// accountsAtOnce is how many accounts are read at the same time.
	accountsAtOnce = 16
)

// errSilent: the storage account does not answer.
var errSilent = fault.New(fault.Storage, "the storage account does not answer in time")

// Standing is how a job stands.
type Standing struct {
	Job     state.Job
	Account state.Account
	Read    Verdict // what is read from X
	Deliver Verdict // what is delivered to Microsoft 365
	Archive Verdict // whether what is archived is as it was archived

	// Mentioned is how far what mentions the account is read, and Mentions what there is
	// to say of it; Mentioning whether it is read at all.
	Mentioned  state.Mentions
	Mentions   Verdict
	Mentioning bool
}

// Stand judges one job. tasks are its newest; those of other jobs are passed over.
// known are the acknowledgements of its losses.
func Stand(job state.Job, account state.Account, tasks []state.Task, archive state.Verification, known Known, now time.Time) Standing {
	return Standing{Job: job, Account: account, Read: Read(job, account, known, now), Deliver: Deliver(job, tasks, known, now), Archive: Archive(archive, now)}
}

// withMentions adds how far what mentions the account is read.
func (j Judge) withMentions(s Standing, m state.Mentions, known Known, now time.Time) Standing {
	s.Mentioned, s.Mentioning = m, j.Mentions
	if j.Mentions {
		s.Mentions = Mentions(s.Account, m, known, now)
	}
	return s
}

// mentions reads how far what mentions an account is read. A record that cannot be read
// is a problem of the mentions alone.
func (j Judge) mentions(ctx context.Context, accountID string) (state.Mentions, error) {
	m, err := j.Records.Mentions(ctx, accountID)
	var damaged state.Damaged
	if errors.As(err, &damaged) {
		return state.Mentions{AccountID: accountID, Problem: state.NewProblem(err, j.Now())}, nil
	}
	return m, err
}

// Name is what the job's account is called: by its name and its handle, as far as
// they are known.
func (j Standing) Name() string {
	switch {
	case j.Job.Handle == "":
		return cmp.Or(j.Job.AccountName, j.Job.AccountID)
	case j.Job.AccountName == "":
		return "@" + j.Job.Handle
	}
	return j.Job.AccountName + " (@" + j.Job.Handle + ")"
}

// Findings returns those of all verdicts, the gravest first.
func (j Standing) Findings() []Finding {
	all := slices.Concat(j.Read.Findings, j.Mentions.Findings, j.Deliver.Findings, j.Archive.Findings)
	slices.SortStableFunc(all, func(a, b Finding) int { return Worse(a.Level, b.Level) })
	return all
}

// Level is that of the gravest verdict.
func (j Standing) Level() Level {
	return slices.MinFunc([]Level{j.Read.Level(), j.Mentions.Level(), j.Deliver.Level(), j.Archive.Level()}, Worse)
}

// Summary says how the job stands in a few words.
func (j Standing) Summary() string {
	all := j.Findings()
	switch {
	case len(all) == 0:
		return "All is well"
	case all[0].Known != nil: // all are
		return "Well, but for what is known to be lost"
	}
	return all[0].Title
}

// Asks reports whether a person is asked to do this.
func (j Standing) Asks(a Action) bool {
	return slices.ContainsFunc(j.Findings(), func(f Finding) bool { return f.Level == NeedsYou && f.Do == a })
}

// Report is how everything stands.
type Report struct {
	At       time.Time // UTC
	Settings []Finding // what is to be entered
	Timer    Finding
	Events   *Finding   // how X sends its events; nil if it is not to
	Jobs     []Standing // the graver first
	Damaged  []string   // names of records that cannot be read
}

// Level is the gravest of all. Before the first job it is Working.
func (r Report) Level() Level {
	level := Well
	worse := func(l Level) {
		if Worse(l, level) < 0 {
			level = l
		}
	}
	if len(r.Damaged) > 0 {
		worse(NeedsYou)
	}
	if len(r.Jobs) == 0 {
		worse(Working)
	}
	for _, f := range r.Settings {
		worse(f.Level)
	}
	for _, j := range r.Jobs {
		worse(j.Level())
	}
	worse(r.Timer.Level)
	if r.Events != nil {
		worse(r.Events.Level)
	}
	return level
}

// Report looks at everything. Its error says that the state cannot be read; the
// report has then the settings only.
func (j Judge) Report(ctx context.Context) (Report, error) {
	r := Report{At: j.Now().UTC()}
	settings := make(chan []Finding, 1)
	go func() { settings <- j.settings(ctx) }()
	err := j.state(ctx, &r)
	r.Settings = <-settings
	return r, err
}

// Job judges one job, of which the record is known.
func (j Judge) Job(ctx context.Context, job state.Job) (Standing, error) {
	ctx, cancel := context.WithTimeout(ctx, look)
	defer cancel()
	account, err := j.Records.Account(ctx, job.AccountID)
	if err != nil {
		return Standing{Job: job}, silent(ctx, err)
	}
	archive, err := j.verification(ctx, job.AccountID)
	if err != nil {
		return Standing{Job: job}, silent(ctx, err)
	}
	tasks, _, err := j.Records.NewestTasks(ctx, []string{job.ID})
	if err != nil {
		return Standing{Job: job}, silent(ctx, err)
	}
	mentioned, err := j.mentions(ctx, job.AccountID)
	if err != nil {
		return Standing{Job: job}, silent(ctx, err)
	}
	list, _, err := j.Records.Acknowledgements(ctx, job.AccountID)
	known, now := NewKnown(list, job.AccountID), j.Now().UTC()
	return j.withMentions(Stand(job, account, tasks, archive, known, now), mentioned, known, now), silent(ctx, err)
}

// JobOf judges the job of that id. It returns state.ErrNotFound if there is none.
func (j Judge) JobOf(ctx context.Context, id string) (Standing, error) {
	job, err := j.Records.Job(ctx, id)
	if err != nil {
		return Standing{}, err
	}
	return j.Job(ctx, job)
}

// Reach returns an error if the storage account does not answer. It takes no more than
// two seconds.
func (j Judge) Reach(ctx context.Context) error {
	_, err := j.lastTick(ctx)
	return err
}

func (j Judge) lastTick(ctx context.Context) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, knock)
	defer cancel()
	last, err := j.Records.LastTick(ctx)
	if errors.Is(err, state.ErrDamaged) {
		err = nil // the next tick replaces it
	}
	return last, silent(ctx, err)
}

// silent says of an error that came because time was over that storage did not answer.
func silent(ctx context.Context, err error) error {
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return errors.Join(errSilent, err)
	}
	return err
}

func (j Judge) state(ctx context.Context, r *Report) error {
	last, err := j.lastTick(ctx)
	if err != nil {
		return err
	}
	r.Timer = Timer(last, r.At)
	ctx, cancel := context.WithTimeout(ctx, look)
	defer cancel()
	jobs, damaged, err := j.Records.Jobs(ctx)
	if err != nil {
		return silent(ctx, err)
	}
	ids := make([]string, len(jobs))
	for i, job := range jobs {
		ids[i] = job.ID
	}
	tasks, more, err := j.Records.NewestTasks(ctx, ids)
	if err != nil {
		return silent(ctx, err)
	}
	known, unknown, err := j.Records.Acknowledgements(ctx, "")
	if err != nil {
		return silent(ctx, err)
	}
	accounts, archives, mentioned, unread, err := j.accounts(ctx, jobs)
	if err != nil {
		return silent(ctx, err)
	}
	if r.Events, err = j.events(ctx, len(jobs), r.At); err != nil {
		return silent(ctx, err)
	}
	byJob := map[string][]state.Task{}
	for _, t := range tasks {
		byJob[t.JobID] = append(byJob[t.JobID], t)
	}
	for i, job := range jobs {
		known := NewKnown(known, job.AccountID)
		r.Jobs = append(r.Jobs, j.withMentions(Stand(job, accounts[i], byJob[job.ID], archives[i], known, r.At), mentioned[i], known, r.At))
	}
	slices.SortFunc(r.Jobs, func(x, y Standing) int {
		return cmp.Or(Worse(x.Level(), y.Level()), cmp.Compare(x.Name(), y.Name()), cmp.Compare(x.Job.ID, y.Job.ID))
	})
	for _, d := range slices.Concat(damaged, more, unknown, unread) {
		r.Damaged = append(r.Damaged, d.Name)
	}
	return nil
}

// accounts reads the jobs' accounts, several at once. One whose record cannot be read
// is among the damaged, and its account says so.
func (j Judge) accounts(ctx context.Context, jobs []state.Job) (accounts []state.Account, archives []state.Verification, mentioned []state.Mentions, damaged []state.Damaged, err error) {
	accounts, archives, mentioned = make([]state.Account, len(jobs)), make([]state.Verification, len(jobs)), make([]state.Mentions, len(jobs))
	unread := make([]state.Damaged, len(jobs))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(accountsAtOnce)
	for i, job := range jobs {
		group.Go(func() (err error) {
			accounts[i], err = j.Records.Account(ctx, job.AccountID)
			if errors.As(err, &unread[i]) {
				accounts[i] = state.Account{ID: job.AccountID, Problem: state.NewProblem(err, j.Now())}
				err = nil
			}
			if err == nil {
				archives[i], err = j.verification(ctx, job.AccountID)
			}
			if err == nil {
				mentioned[i], err = j.mentions(ctx, job.AccountID)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, nil, nil, nil, err
	}
	return accounts, archives, mentioned, slices.DeleteFunc(unread, func(d state.Damaged) bool { return d.Err == nil }), nil
}

// verification reads how an account's archive was found. A record that cannot be read is
// none: the next day's reading replaces it.
func (j Judge) verification(ctx context.Context, accountID string) (state.Verification, error) {
	known, err := j.Records.Verification(ctx, accountID)
	if errors.Is(err, state.ErrDamaged) {
		err = nil
	}
	return known, err
}

// settings is what has to be entered under Settings.
func (j Judge) settings(ctx context.Context) []Finding {
	ctx, cancel := context.WithTimeout(ctx, knock)
	defer cancel()
	infos, err := j.Settings(ctx)
	if err != nil {
		if fault.CauseOf(err) == fault.Interrupted {
			err = secrets.ErrUnavailable
		}
		return []Finding{{Level: NeedsYou, Title: "Settings cannot be read", Text: fault.Of(err).Words(), Do: Settings}}
	}
	set := map[string]bool{}
	for _, info := range infos {
		set[info.Name] = info.Set
	}
	var v Verdict
	if !(set[secrets.TwitterAPIKey] && set[secrets.TwitterAPISecretKey]) {
		v.say(NeedsYou, "Enter the keys of your X app", "Without them nobody can sign in with X and nothing is read.")
		v.do(Settings)
	}
	if !(set[secrets.AADApplicationID] && set[secrets.AADApplicationSecret] && set[secrets.AADApplicationURI]) {
		v.say(NeedsYou, "Enter the Entra app's ID, secret and URI", "Without them nothing can be handed to Microsoft 365. Posts are archived in your storage all the same.")
		v.do(Settings)
	}
	return v.Findings
}
