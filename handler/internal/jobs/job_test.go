package jobs_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"xarchive/handler/internal/jobs"
	"xarchive/handler/internal/jobs/jobstest"
	"xarchive/handler/internal/secrets"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/twitter"
)

// signedIn has an account signed in for a job.
func signedIn(w *jobstest.World, jobID, account, handle string) {
	w.T.Helper()
	token, secret := w.X.Token(account)
	a := twitter.Account{Token: twitter.Token{Token: token, Secret: secret}, UserID: account, ScreenName: handle}
	if err := w.Keys.SaveAccount(w.T.Context(), jobID, a); err != nil {
		w.T.Fatal(err)
	}
}

// TestSave: a job knows its account by name and by handle, whoever saves it, and by
// the handle alone while X does not answer.
func TestSave(t *testing.T) {
	w := jobstest.New(t)
	ctx := t.Context()
	_, err := w.Jobs.Save(ctx, "j-1", jobstest.Press)
	wantStatus(t, "nobody has signed in", err, 400)
	signedIn(w, "j-1", jobstest.Press, jobstest.PressHandle)
	_, err = w.Jobs.Save(ctx, "j-1", jobstest.Help)
	wantStatus(t, "another account than was shown", err, 400)

	w.X.Down(true)
	if saved, err := w.Jobs.Save(ctx, "j-1", jobstest.Press); !saved || err != nil {
		t.Fatalf("saved: %v, %v", saved, err)
	}
	want := state.Job{V: state.Version, ID: "j-1", TenantID: jobstest.Tenant, AccountID: jobstest.Press, Handle: jobstest.PressHandle, CreatedAt: w.Now(), SignedInAt: w.Now()}
	if job, _ := w.Job("j-1"); job != want {
		t.Errorf("while X is down it is %+v, want %+v", job, want)
	}
	w.X.Down(false)
	w.Pass(time.Hour)
	if saved, err := w.Jobs.Save(ctx, "j-1", jobstest.Press); !saved || err != nil {
		t.Fatalf("saved again: %v, %v", saved, err)
	}
	want.AccountName = jobstest.PressName
	if job, _ := w.Job("j-1"); job != want {
		t.Errorf("it is %+v, want %+v", job, want)
	}
}

// TestOneJobForAnAccount: an account belongs to one job, until that job is deleted
// or turns to another account.
func TestOneJobForAnAccount(t *testing.T) {
	w := jobstest.New(t)
	ctx := t.Context()
	save := func(jobID, account, handle string) bool {
		t.Helper()
		signedIn(w, jobID, account, handle)
		saved, err := w.Jobs.Save(ctx, jobID, account)
		if err != nil {
			t.Fatal(err)
		}
		return saved
	}
	if !save("j-1", jobstest.Press, jobstest.PressHandle) || save("j-2", jobstest.Press, jobstest.PressHandle) {
		t.Fatal("two jobs have one account")
	}
	if c, err := w.Jobs.Candidate(ctx, "j-2"); err != nil || !c.Used || c.User.Name != jobstest.PressName {
		t.Errorf("the second job may choose %+v, %v", c, err)
	}
	if c, err := w.Jobs.Candidate(ctx, "j-1"); err != nil || c.Used {
		t.Errorf("the first job may choose %+v, %v", c, err)
	}
	if !save("j-1", jobstest.Help, jobstest.HelpHandle) || !save("j-2", jobstest.Press, jobstest.PressHandle) {
		t.Error("a job that has turned to another account still holds the first")
	}
	if err := w.Jobs.Delete(ctx, "j-1"); err != nil {
		t.Fatal(err)
	}
	if !save("j-3", jobstest.Help, jobstest.HelpHandle) {
		t.Error("a deleted job still holds its account")
	}
}

// TestTwoJobsAtTheSameMoment: of two jobs that choose an account at the same moment,
// one gets it, also while the other has taken the account and is not yet written.
func TestTwoJobsAtTheSameMoment(t *testing.T) {
	w := jobstest.New(t)
	ctx := t.Context()
	for _, id := range []string{"j-1", "j-2"} {
		signedIn(w, id, jobstest.Press, jobstest.PressHandle)
	}
	if err := w.State.TakeAccount(ctx, jobstest.Press, "j-1", w.Now()); err != nil {
		t.Fatal(err)
	}
	if saved, err := w.Jobs.Save(ctx, "j-2", jobstest.Press); saved || err != nil {
		t.Errorf("the second job is saved while the first is on its way: %v, %v", saved, err)
	}
	if saved, err := w.Jobs.Save(ctx, "j-1", jobstest.Press); !saved || err != nil {
		t.Errorf("the first job is not saved: %v, %v", saved, err)
	}
	if err := w.Jobs.Delete(ctx, "j-1"); err != nil {
		t.Fatal(err)
	}
	signedIn(w, "j-1", jobstest.Press, jobstest.PressHandle)

	var (
		all   sync.WaitGroup
		saved [2]bool
	)
	for i, id := range []string{"j-1", "j-2"} {
		_, instance, _ := w.Instance(nil)
		all.Go(func() {
			var err error
			if saved[i], err = instance.Save(context.Background(), id, jobstest.Press); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if saved[0] == saved[1] {
		t.Errorf("both are answered %v", saved[0])
	}
}

// TestAJobFromBeforeHoldsItsAccount: a job that was saved when nobody wrote down who
// archives an account keeps it.
func TestAJobFromBeforeHoldsItsAccount(t *testing.T) {
	w := jobstest.New(t)
	ctx := t.Context()
	old := state.Job{ID: "old", AccountID: jobstest.Press, CreatedAt: w.Now()}
	if err := w.State.UpdateJob(ctx, "old", func(j *state.Job) error { *j = old; return nil }); err != nil {
		t.Fatal(err)
	}
	signedIn(w, "new", jobstest.Press, jobstest.PressHandle)
	if saved, err := w.Jobs.Save(ctx, "new", jobstest.Press); saved || err != nil {
		t.Errorf("the new job takes the account: %v, %v", saved, err)
	}
}

// TestSetup: what the set-up page shows, step by step.
func TestSetup(t *testing.T) {
	w := jobstest.New(t)
	ctx := t.Context()
	if s, err := w.Jobs.Setup(ctx, "j-1"); err != nil || s.Job != nil || s.Account.ID != "" {
		t.Errorf("at the beginning: %+v, %v", s, err)
	}
	signedIn(w, "j-1", jobstest.Press, jobstest.PressHandle)
	w.Save(state.Job{ID: "j-2", AccountID: jobstest.Press})
	s, err := w.Jobs.Setup(ctx, "j-1")
	if err != nil || s.Account.ID != jobstest.Press || s.Account.Username != jobstest.PressHandle || s.UsedBy != "j-2" || s.Job != nil {
		t.Errorf("signed in: %+v, %v", s, err)
	}
	if err := w.Jobs.Delete(ctx, "j-2"); err != nil {
		t.Fatal(err)
	}
	if saved, err := w.Jobs.Save(ctx, "j-1", jobstest.Press); !saved || err != nil {
		t.Errorf("saved: %v, %v", saved, err)
	}
	if s, err := w.Jobs.Setup(ctx, "j-1"); err != nil || s.Job == nil || s.Job.Handle != jobstest.PressHandle || s.UsedBy != "" {
		t.Errorf("saved: %+v, %v", s, err)
	}
	_, withoutVault, _ := w.Instance(w.WithoutVault())
	if s, err := withoutVault.Setup(ctx, "j-9"); err != nil || !s.ReadOnly || s.Account.Username != jobstest.PressHandle || s.UsedBy != "j-1" {
		t.Errorf("without a vault: %+v, %v", s, err)
	}
}

// TestSettingErrorNamesTheSetting: each caller words it with its own name for the
// setting.
func TestSettingErrorNamesTheSetting(t *testing.T) {
	w := jobstest.New(t)
	ctx := t.Context()
	label := func(setting string) string { return "The field " + setting }
	_, err := w.Jobs.SaveSettings(ctx, map[string]string{secrets.TwitterAccessToken: "good", secrets.AADApplicationID: "with space"})
	wantStatus(t, "white space", err, 400)
	if got := messageOf(jobs.WithWords(err, label)); !strings.HasPrefix(got, "The field aad-application-id has white space") {
		t.Errorf("it is told %q", got)
	}
	if w.Vault.Value(secrets.TwitterAccessToken) != "" {
		t.Error("a good value is saved beside a wrong one")
	}
	w.Vault.Refuse("PUT", secrets.AADApplicationID)
	saved, err := w.Jobs.SaveSettings(ctx, map[string]string{secrets.TwitterAccessToken: " good\n", secrets.AADApplicationID: "id"})
	wantStatus(t, "a vault that refuses", err, 503)
	got := messageOf(jobs.WithWords(err, label))
	for _, want := range []string{"The field aad-application-id could not be saved.", "Key Vault Secrets Officer", "Saved were only The field twitter-access-token."} {
		if !strings.Contains(got, want) {
			t.Errorf("it is told %q, want %q", got, want)
		}
	}
	if saved != 1 || w.Vault.Value(secrets.TwitterAccessToken) != "good" {
		t.Errorf("%d settings are saved", saved)
	}
}
