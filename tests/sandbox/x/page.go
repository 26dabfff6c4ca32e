package x

import (
	"bytes"
	"html/template"
	"net/http"
)

type signInView struct {
	App, Token, Form, Action, Host string
	Accounts                       []signInAccount
}

type signInAccount struct {
	ID, Name, Username string
	Chosen             bool
}

func (a *answer) html(status int, page *template.Template, view any) {
	var b bytes.Buffer
	if err := page.Execute(&b, view); err != nil {
		a.problem(http.StatusInternalServerError, "Internal Error", "")
		return
	}
	a.status, a.body = status, b.Bytes()
	a.header.Set("Content-Type", "text/html; charset=utf-8")
	a.header.Set("Cache-Control", "no-store")
	a.header.Set("Referrer-Policy", "no-referrer")
	a.header.Set("X-Frame-Options", "DENY")
	a.header.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
}

const pageHead = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sign in to X (stand-in)</title>
<style>
:root { color-scheme: light dark; --edge: #8886; --blue: #1a6fb0; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0; }
header { padding: .8rem 1.5rem; border-bottom: 1px solid var(--edge); }
main { max-width: 30rem; margin: 2.5rem auto; padding: 0 1.5rem; }
h1 { font-size: 1.5rem; line-height: 1.25; }
fieldset { border: 1px solid var(--edge); border-radius: 12px; padding: .5rem 1rem; margin: 1.5rem 0; }
legend { padding: 0 .4rem; font-weight: 600; }
label { display: flex; gap: .8rem; align-items: center; padding: .6rem 0; cursor: pointer; }
small { opacity: .75; }
button { font: inherit; font-weight: 600; border-radius: 99px; padding: .6rem 1.4rem; border: 1px solid var(--edge); cursor: pointer; }
button.main { background: var(--blue); color: #fff; border-color: var(--blue); }
:focus-visible { outline: 3px solid #e9940c; outline-offset: 2px; }
</style>
</head>
<body>
<header><strong>X</strong> <small>stand-in for tests: no real account, no password</small></header>
<main>
`

var pageSignIn = template.Must(template.New("sign-in").Parse(pageHead + `<h1>Authorize {{.App}} to access your account?</h1>
<form method="post" action="{{.Action}}">
<input type="hidden" name="oauth_token" value="{{.Token}}">
<input type="hidden" name="authenticity_token" value="{{.Form}}">
<fieldset>
<legend>Sign in as</legend>
{{range .Accounts}}<label><input type="radio" name="account" value="{{.ID}}"{{if .Chosen}} checked{{end}}> <span>{{.Name}}<br><small>@{{.Username}}</small></span></label>
{{end}}</fieldset>
<p>This app will be able to see posts from this account's timeline. It will not be able to post.</p>
<p><button class="main" name="decision" value="authorize">Authorize app</button>
<button name="decision" value="cancel">Cancel</button></p>
</form>
<p><small>You go back to {{.Host}} afterwards.</small></p>
</main></body></html>
`))

var pageExpired = template.Must(template.New("expired").Parse(pageHead + `<h1>Whoa there!</h1>
<p>The request token for this page is invalid. It may have already been used, or expired because it is too old.
Please go back to the site or application that sent you here and try again.</p>
</main></body></html>
`))
