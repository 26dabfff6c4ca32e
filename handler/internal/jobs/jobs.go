// Package jobs is what the connector does for its two callers, the Compliance
// Center's calls (package api) and people in front of a browser (package pages):
// sign accounts in with X, save and delete jobs, accept tasks, and keep the
// settings. It only writes down what is asked for; capture and deliver do the
// work at the next tick.
//
// It knows nothing of HTTP requests. Its errors are those of package fault: each
// says its cause, and what a caller did wrong is a refusal with a sentence for a
// person ([fault.Refuse]).
package jobs

import (
	"context"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"time"

	"xarchive/handler/internal/audit"
	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/secrets"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/twitter"
)

// State keeps jobs, tasks and sign-ins; *state.Store. Where nothing else is said,
// an error means that the storage account failed.
type State interface {
	// Job must return state.ErrNotFound for a job that does not exist.
	Job(ctx context.Context, id string) (state.Job, error)
	// UpdateJob must call change with the job as it is now, or with an empty one
	// if there is none, and write what change made of it only if nobody else has
	// written meanwhile. An error of change is returned, and nothing is written.
	UpdateJob(ctx context.Context, id string, change func(*state.Job) error) error
	// DeleteJob removes the job, its open tasks and its hold on the account. It
	// must return state.ErrNotFound for a job that does not exist.
	DeleteJob(ctx context.Context, id string) error

	// TakeAccount makes the job the one that archives the account. It must return
	// state.ErrTaken if another job is, also when two try at the same moment, and
	// nil if this job is already.
	TakeAccount(ctx context.Context, accountID, jobID string, now time.Time) error
	// Owner returns the id of the job that archives the account, "" if none does.
	Owner(ctx context.Context, accountID string, now time.Time) (jobID string, err error)
	// ReleaseOwner lets other jobs archive the account, if this job does.
	ReleaseOwner(ctx context.Context, accountID, jobID string) error

	// AddTask must return only once the task is durable. added is false if the
	// task was known. state.ErrClaimed: it is being delivered just now, and its new
	// container cannot be noted. state.ErrTooMany: too many of the job are open.
	AddTask(ctx context.Context, task state.Task) (added bool, err error)

	// ChangeHistory must call change with what is asked for of the account's older posts, an
	// empty record if nothing is, and write what change made of it. An error of change is
	// returned, and nothing is written.
	ChangeHistory(ctx context.Context, accountID string, change func(*state.History) error) error

	// Acknowledge must return state.ErrExists if the same losses are acknowledged.
	Acknowledge(ctx context.Context, a state.Acknowledgement) error

	PutSignIn(ctx context.Context, in state.SignIn) error
	// SignIn must return state.ErrNotFound if there is no sign-in for the token, or
	// if it has expired.
	SignIn(ctx context.Context, token string, now time.Time) (state.SignIn, error)
	// SignIns returns those that have not expired.
	SignIns(ctx context.Context, now time.Time) ([]state.SignIn, error)
	// TakeSignIn removes a sign-in. It must return state.ErrNotFound when another
	// took it first.
	TakeSignIn(ctx context.Context, token string) error
}

// Secrets gives and keeps secrets; *secrets.Store, whose package says what the
// errors secrets.ErrNotSet, ErrReadOnly and ErrUnavailable mean.
type Secrets interface {
	KeyStore
	Get(ctx context.Context, name string) (string, error)
	Describe(ctx context.Context, names ...string) ([]secrets.Info, error)
}

// Audit is the log of who changed what; *audit.Log.
type Audit interface {
	// Begin must return only once the change is written down. failed returns the
	// change's error, which it writes down as well; nil is none.
	Begin(ctx context.Context, c audit.Change) (failed func(error) error, err error)
}

// Options is what Jobs needs.
type Options struct {
	TenantID string // GUID, the only tenant served
	XAPIURL  string // without trailing slash
	State    State
	Secrets  Secrets
	HTTP     *http.Client    // for calls to X
	Count    twitter.Counter // takes note of what is read of X; nil: nobody
	Now      func() time.Time
	Log      *slog.Logger
	Audit    Audit

	// AllowLoopbackBlobs lets a task's container be on this machine: for an
	// emulator, where the connector's own storage is one too.
	AllowLoopbackBlobs bool
}

// Jobs does what the package comment says. Its methods may be called at once.
type Jobs struct {
	opt  Options
	keys *Keys
}

// New returns Jobs. Nothing is sent yet.
func New(o Options) *Jobs { return &Jobs{opt: o, keys: NewKeys(o.Secrets)} }

// ReadOnly reports whether settings come from the environment, so that nothing can
// be saved and nobody can sign in with X.
func (j *Jobs) ReadOnly() bool { return j.opt.Secrets.Writable() != nil }

// change makes a change that is written down before. It is not made if it cannot be
// written down.
func (j *Jobs) change(ctx context.Context, c audit.Change, do func() error) error {
	failed, err := j.opt.Audit.Begin(ctx, c)
	if err != nil {
		return err
	}
	return failed(do())
}

// bad is the refusal of wrong input.
func bad(sentence string) error { return fault.Refuse(fault.BadRequest, sentence) }

// idForm is what ids of jobs and tasks look like; they become parts of blob names.
var idForm = regexp.MustCompile(`^[A-Za-z0-9._-]{1,128}$`)

// CheckID refuses what cannot be the id of a job or a task: it could not be part
// of a blob's name, in which Azure wants no part that ends in a dot. name is what
// the caller calls the id.
// https://learn.microsoft.com/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata
func CheckID(name, id string) error {
	switch {
	case id == "":
		return bad(name + " is missing.")
	case !idForm.MatchString(id) || strings.HasSuffix(id, "."):
		return bad(name + " must be 1 to 128 letters, digits, '.', '_' or '-', and not end in '.'.")
	}
	return nil
}
