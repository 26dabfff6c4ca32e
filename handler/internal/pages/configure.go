package pages

import (
	"net/http"
	"strconv"
	"strings"

	"xarchive/handler/internal/connector"
	"xarchive/handler/internal/secrets"
)

// configurePage is the settings.
type configurePage struct {
	Groups   []settingGroup
	Unknown  bool // settings cannot be read: nobody knows which are set
	ReadOnly bool // settings come from the environment
	Problem  string
	Saved    int
	Results  []result // of a test
	Callback string
	Consent  string // where an administrator consents to the Import service
}

type settingGroup struct {
	Title, Where string
	Settings     []settingField
}

// settingField is a setting's field. Its value is never in it.
type settingField struct {
	connector.SettingInfo
	Label, Hint string
}

// wording is how a setting is called where people copy it from.
func wording(secret string) (label, hint string) {
	switch secret {
	case secrets.TwitterAPIKey:
		return "API Key", ""
	case secrets.TwitterAPISecretKey:
		return "API Secret Key", ""
	case secrets.TwitterAccessToken:
		return "Access Token", "Of the app's own account. Each job signs in with the account it archives; this one is for the connection test, and for a connector without Key Vault."
	case secrets.TwitterAccessTokenSecret:
		return "Access Token Secret", ""
	case secrets.AADApplicationID:
		return "Application (client) ID", ""
	case secrets.AADApplicationSecret:
		return "Client secret", "The secret's Value, not its Secret ID. It expires: note the day."
	case secrets.AADApplicationURI:
		return "Application ID URI", "As under Expose an API, to the letter."
	}
	return secret, ""
}

// inLabels names settings in a message for people as the page does.
func inLabels(message string) string {
	for _, s := range connector.AllSettings() {
		label, _ := wording(s.Secret)
		message = strings.ReplaceAll(message, s.Member+" ", label+" ")
	}
	return message
}

// configure is /Configure.
func (p *Pages) configure(v *visit) {
	if !v.enter() {
		return
	}
	ctx := v.r.Context()
	page, status := configurePage{Callback: v.callback(), Consent: consentURL(p.TenantID)}, http.StatusOK
	page.Saved, _ = strconv.Atoi(v.query("saved"))
	if v.r.Method == http.MethodPost {
		page.Saved = 0
		switch v.field("do") {
		case "save":
			values := map[string]string{}
			for _, s := range connector.AllSettings() {
				values[s.Member] = v.field(s.Member)
			}
			saved, err := p.API.SaveSettings(ctx, values)
			if err == nil {
				v.redirect("/Configure?saved=" + strconv.Itoa(saved))
				return
			}
			told := p.API.Explain(ctx, "saving settings", err)
			page.Problem, status = inLabels(told.Message), told.Status
		case "test":
			page.Results = p.test(ctx, v.callback())
		}
	}
	infos, err := p.API.Settings(ctx)
	if err != nil {
		told := p.API.Explain(ctx, "reading settings", err)
		if page.Problem == "" {
			page.Problem, status = told.Message, told.Status
		}
		page.Unknown = true
		for _, s := range connector.AllSettings() {
			infos = append(infos, connector.SettingInfo{Setting: s})
		}
	}
	x := settingGroup{Title: "X", Where: "X developer portal, your app, Keys and tokens"}
	entra := settingGroup{Title: "Microsoft Entra", Where: "Azure portal, Microsoft Entra ID, App registrations, your app"}
	for _, info := range infos {
		field := settingField{SettingInfo: info}
		field.Label, field.Hint = wording(info.Secret)
		group := &x
		switch info.Secret {
		case secrets.AADApplicationID, secrets.AADApplicationSecret, secrets.AADApplicationURI:
			group = &entra
		}
		group.Settings = append(group.Settings, field)
	}
	page.Groups, page.ReadOnly = []settingGroup{x, entra}, p.API.ReadOnly()
	v.show(status, "configure", "Settings", page)
}

// consentURL is where a tenant's administrator lets the Import service in.
func consentURL(tenantID string) string {
	return "https://login.microsoftonline.com/" + tenantID + "/oauth2/authorize?client_id=" + importService + "&response_type=code&redirect_uri=https://portal.azure.com/&nonce=1234&prompt=admin_consent"
}

// importService is the application id of Microsoft's Office 365 Import service.
const importService = "570d0bec-d001-4c4e-985e-3ab17fdc3073"
