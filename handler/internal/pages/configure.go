package pages

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"xarchive/handler/internal/access"
	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/jobs"
	"xarchive/handler/internal/secrets"
)

// configurePage is the settings.
type configurePage struct {
	Groups      []settingGroup
	Unknown     bool // settings cannot be read: nobody knows which are set
	ReadOnly    bool // settings come from the environment
	Problem     string
	Saved       int
	Nothing     bool // a form came without any value
	Results     []testResult
	Callback    string
	EntraReturn string // redirect URI of the Entra app; "" where the public address is not known
	Consent     string // where an administrator consents to the Import service
}

type settingGroup struct {
	Title, Where string
	Settings     []settingField
}

// settingField is a setting's field. A secret's value is never in it.
type settingField struct {
	secrets.Info
	Field, Label, Hint string // Field is the name in the form
	Shown              string // its value, of the two that are no secrets
}

// settingWords is what the page says of a setting, where people copy it from, and
// what its form calls it.
type settingWords struct{ group, field, label, hint string }

const (
	groupX     = "X"
	groupEntra = "Microsoft Entra"
)

var settings = map[string]settingWords{
	secrets.TwitterAPIKey:            {groupX, "TwitterApiKeyValue", "API Key", ""},
	secrets.TwitterAPISecretKey:      {groupX, "TwitterApiSecretKeyValue", "API Secret Key", ""},
	secrets.TwitterAccessToken:       {groupX, "TwitterAccessTokenValue", "Access Token", "Of the app's own account. Each job signs in with the account it archives; this one is for the connection test, and for a connector without Key Vault."},
	secrets.TwitterAccessTokenSecret: {groupX, "TwitterAccessTokenSecretValue", "Access Token Secret", ""},
	secrets.AADApplicationID:         {groupEntra, "AADAppIdValue", "Application (client) ID", ""},
	secrets.AADApplicationSecret:     {groupEntra, "AADAppSecretValue", "Client secret", "The secret's Value, not its Secret ID. It expires: note the day."},
	secrets.AADApplicationURI:        {groupEntra, "AADAppUriValue", "Application ID URI", "As under Expose an API, to the letter."},
}

// label is what the page calls a setting.
func label(setting string) string { return settings[setting].label }

// groupSettings puts the settings into the page's groups.
func groupSettings(infos []secrets.Info) []settingGroup {
	groups := []settingGroup{
		{Title: groupX, Where: "X developer portal, your app, Keys and tokens"},
		{Title: groupEntra, Where: "Azure portal, Microsoft Entra ID, App registrations, your app"},
	}
	for _, info := range infos {
		words := settings[info.Name]
		for i := range groups {
			if groups[i].Title == words.group {
				groups[i].Settings = append(groups[i].Settings, settingField{Info: info, Field: words.field, Label: words.label, Hint: words.hint})
			}
		}
	}
	return groups
}

// configure is /Configure.
func (q *request) configure() {
	if !q.enter() {
		return
	}
	ctx := q.r.Context()
	page, status := configurePage{Callback: q.callback(), Consent: consentURL(q.pages.opt.TenantID)}, http.StatusOK
	if q.pages.opt.PublicURL != "" {
		page.EntraReturn = EntraReturn(q.pages.opt.PublicURL)
	}
	page.Saved, _ = strconv.Atoi(q.query("saved"))
	page.Nothing = q.query("saved") == "0"
	if q.r.Method == http.MethodPost {
		page.Saved, page.Nothing = 0, false
		switch q.field("do") {
		case "save":
			values := map[string]string{}
			for _, s := range jobs.Settings() {
				values[s] = q.field(settings[s].field)
			}
			saved, err := q.pages.opt.Jobs.SaveSettings(ctx, values)
			if err == nil {
				q.redirect("/Configure?saved=" + strconv.Itoa(saved))
				return
			}
			problem := q.explain("saving settings", jobs.WithWords(err, label))
			page.Problem, status = problem.Message, problem.Status
		case "test":
			page.Results = q.test()
		}
	}
	infos, err := q.pages.opt.Jobs.Settings(ctx)
	if err != nil {
		problem := q.explain("reading settings", err)
		if page.Problem == "" {
			page.Problem, status = problem.Message, problem.Status
		}
		page.Unknown = true
		for _, s := range jobs.Settings() {
			infos = append(infos, secrets.Info{Name: s})
		}
	}
	page.Groups, page.ReadOnly = groupSettings(infos), q.pages.opt.Jobs.ReadOnly()
	if !page.Unknown {
		q.showPublic(page.Groups)
	}
	q.show(status, "configure", "Settings", page)
}

// showPublic adds the values that are no secrets: the Compliance Center asks for them.
// One that cannot be read is not shown.
func (q *request) showPublic(groups []settingGroup) {
	for _, g := range groups {
		for i, s := range g.Settings {
			if s.Set && (s.Name == secrets.AADApplicationID || s.Name == secrets.AADApplicationURI) {
				g.Settings[i].Shown, _ = q.pages.opt.Jobs.Public(q.r.Context(), s.Name)
			}
		}
	}
}

// testResult is how the test of a connection went.
type testResult struct {
	Name string
	OK   bool
	Says string
}

// testTime bounds a test; somebody is waiting for it.
const testTime = 30 * time.Second

// test tries all connections side by side.
func (q *request) test() []testResult {
	ctx, cancel := context.WithTimeout(q.r.Context(), testTime)
	defer cancel()
	tests := q.pages.opt.Connections(q.callback())
	results := make([]testResult, len(tests))
	var all sync.WaitGroup
	for i, t := range tests {
		all.Go(func() {
			results[i] = testResult{Name: t.Name, OK: true, Says: t.Good}
			if err := t.Try(ctx); err != nil {
				results[i].OK, results[i].Says = false, fault.Of(err).Words()
				q.pages.opt.Log.WarnContext(ctx, "a connection test failed", "connection", t.Name, "says", results[i].Says, "error", err.Error())
			}
		})
	}
	all.Wait()
	return results
}

// consentURL is where a tenant's administrator lets the Import service in.
func consentURL(tenantID string) string {
	return "https://login.microsoftonline.com/" + tenantID + "/oauth2/authorize?client_id=" + access.ImportService + "&response_type=code&redirect_uri=https://portal.azure.com/&nonce=1234&prompt=admin_consent"
}
