package infra

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// azure is what the stand-ins for az and azd know. It lies in a file between two
// calls of theirs.
type azure struct {
	Tenant       string
	Apps         map[string]*entraApp // by client id
	Principals   []string             // client ids
	Vault        map[string]vaultSecret
	Env          map[string]string // azd's environment
	Archives     []archiveAccount
	Metrics      json.RawMessage
	Refusals     []refusal
	Calls        []string          // every command line, in order
	Arguments    [][]string        // of those of az
	ClientSecret []string          // given out
	Deployed     []byte            // the zip
	HangOn       string            // a secret that is never saved
	Deployment   map[string]string // outputs of one that was made without azd
}

type entraApp struct {
	Name      string
	URIs      []string
	Roles     []map[string]any
	Redirects []string
}

type vaultSecret struct{ Value, Expires string }

type archiveAccount struct{ Name, ID, Tag string }

// refusal fails the next calls that begin with some words.
type refusal struct {
	Words string
	Times int
	Exit  int
	Says  string
}

const statePlace = "FAKE_AZURE"

// TestMain lets this test's binary stand in for az and azd: under their names it
// does what they do, as far as the hooks use it. A command or an option that the
// real ones are not asked for is refused.
func TestMain(m *testing.M) {
	name := strings.TrimSuffix(filepath.Base(os.Args[0]), ".exe")
	if name != "az" && name != "azd" {
		os.Exit(m.Run())
	}
	a := loadAzure(os.Getenv(statePlace))
	a.Calls = append(a.Calls, name+" "+strings.Join(os.Args[1:], " "))
	if name == "az" {
		a.Arguments = append(a.Arguments, os.Args[1:])
	}
	out, err := a.call(name, os.Args[1:])
	a.save(os.Getenv(statePlace))
	if err != nil {
		fmt.Fprintln(os.Stderr, "ERROR:", err)
		var f failure
		if errors.As(err, &f) {
			os.Exit(f.exit)
		}
		os.Exit(2)
	}
	fmt.Println(out)
	os.Exit(0)
}

// failure ends a command with a status of its own.
type failure struct {
	exit int
	says string
}

func (f failure) Error() string { return f.says }

var missing = failure{3, "Resource does not exist or one of its queried reference-property objects are not present."}

func loadAzure(file string) *azure {
	text, err := os.ReadFile(file)
	if err != nil {
		panic(err)
	}
	a := &azure{}
	if err := json.Unmarshal(text, a); err != nil {
		panic(err)
	}
	return a
}

func (a *azure) save(file string) {
	text, err := json.Marshal(a)
	if err != nil {
		panic(err)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		panic(err)
	}
}

// call is one command line: words, then options with their values.
func (a *azure) call(program string, args []string) (string, error) {
	var words []string
	options := map[string]string{}
	for i := 0; i < len(args); i++ {
		if !strings.HasPrefix(args[i], "--") {
			words = append(words, args[i])
			continue
		}
		var values []string
		for i+1 < len(args) && !strings.HasPrefix(args[i+1], "--") {
			i++
			values = append(values, args[i])
		}
		options[args[i-len(values)]] = strings.Join(values, " ")
	}
	command := program + " " + strings.Join(words, " ")
	for i := range a.Refusals {
		if r := &a.Refusals[i]; r.Times > 0 && strings.HasPrefix(command, r.Words) {
			r.Times--
			return "", failure{r.Exit, r.Says}
		}
	}
	if program == "azd" {
		if len(words) != 4 || words[0] != "env" || words[1] != "set" {
			return "", fmt.Errorf("unknown command: %s", command)
		}
		a.Env[words[2]] = words[3]
		return "", nil
	}
	if strings.HasPrefix(command, "az account get-access-token -o json") {
		return accessToken(a.Tenant), nil // azd's, with auth.useAzCliAuth
	}
	answer := a.answers()[command]
	if answer == nil {
		return "", fmt.Errorf("unknown command: %s", command)
	}
	if options["--output"] == "" {
		return "", fmt.Errorf("%s: prints a table for people, want --output", command)
	}
	return answer(options)
}

// answers are the commands of az that the hooks use.
func (a *azure) answers() map[string]func(map[string]string) (string, error) {
	return map[string]func(map[string]string) (string, error){
		"az account show":                             a.showAccount,
		"az deployment sub show":                      a.showDeployment,
		"az ad app list":                              a.listApps,
		"az ad app create":                            a.createApp,
		"az ad app show":                              a.showApp,
		"az ad app update":                            a.updateApp,
		"az ad app credential reset":                  a.addCredential,
		"az ad sp show":                               a.showPrincipal,
		"az ad sp create":                             a.createPrincipal,
		"az keyvault secret list":                     a.listSecrets,
		"az keyvault secret show":                     a.showSecret,
		"az keyvault secret set":                      a.setSecret,
		"az resource list":                            a.listResources,
		"az functionapp deployment source config-zip": a.deploy,
		"az monitor metrics list":                     func(map[string]string) (string, error) { return string(a.Metrics), nil },
	}
}

func asJSON(v any) (string, error) {
	text, err := json.Marshal(v)
	return string(text), err
}

// made is what provisioning has left, with azd or without.
func (a *azure) made(name string) string {
	if a.Deployment != nil {
		return a.Deployment[name]
	}
	return a.Env[name]
}

func (a *azure) showAccount(o map[string]string) (string, error) {
	if o["--query"] == "id" {
		return a.made("AZURE_SUBSCRIPTION_ID"), nil
	}
	return a.Tenant, nil
}

// showDeployment answers as Azure does: it changes the case of outputs' names.
func (a *azure) showDeployment(o map[string]string) (string, error) {
	if a.Deployment == nil || o["--name"] != "xarchive-prod" {
		return "", failure{3, "(DeploymentNotFound)"}
	}
	type value map[string]any
	outputs := map[string]value{}
	for name, v := range a.Deployment {
		if name == "AZURE_SUBSCRIPTION_ID" || name == "AZURE_ENV_NAME" {
			continue // no outputs
		}
		outputs[strings.ToLower(name[:5])+name[5:]] = value{"type": "String", "value": v}
	}
	return asJSON(map[string]any{"outputs": outputs, "parameters": map[string]value{
		"environmentName": {"type": "String", "value": "prod"}, "tenantId": {"type": "String", "value": a.Tenant}, "archiveImmutabilityDays": {"type": "Int", "value": 0}}})
}

func (a *azure) listApps(o map[string]string) (string, error) {
	ids := []string{}
	for id, app := range a.Apps {
		if o["--filter"] == "displayName eq '"+app.Name+"'" {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return asJSON(ids)
}

func (a *azure) createApp(o map[string]string) (string, error) {
	if o["--sign-in-audience"] != "AzureADMyOrg" {
		return "", errors.New("the app would be open to other tenants")
	}
	id := fmt.Sprintf("00000000-0000-4000-8000-%012d", len(a.Apps)+1)
	a.Apps[id] = &entraApp{Name: o["--display-name"]}
	return id, nil
}

func (a *azure) showApp(o map[string]string) (string, error) {
	app := a.Apps[o["--id"]]
	if app == nil {
		return "", missing
	}
	switch o["--query"] {
	case "identifierUris":
		return asJSON(append([]string{}, app.URIs...))
	case "{roles:appRoles,uris:web.redirectUris}":
		return asJSON(map[string]any{"roles": append([]map[string]any{}, app.Roles...), "uris": append([]string{}, app.Redirects...)})
	}
	return "", nil
}

func (a *azure) updateApp(o map[string]string) (string, error) {
	app := a.Apps[o["--id"]]
	if app == nil {
		return "", missing
	}
	for option, value := range o {
		switch option {
		case "--id", "--output":
		case "--identifier-uris":
			app.URIs = []string{value}
		case "--web-redirect-uris":
			app.Redirects = strings.Fields(value)
		case "--app-roles":
			before := app.Roles
			if err := json.Unmarshal([]byte(value), &app.Roles); err != nil {
				return "", err
			}
			for _, r := range before { // as Graph does: an enabled role cannot be removed
				if !slices.ContainsFunc(app.Roles, func(now map[string]any) bool { return now["id"] == r["id"] }) {
					return "", failure{1, "(CannotDeleteOrUpdateEnabledEntitlement)"}
				}
			}
		default:
			return "", errors.New("unknown option " + option)
		}
	}
	return "", nil
}

func (a *azure) addCredential(o map[string]string) (string, error) {
	if a.Apps[o["--id"]] == nil {
		return "", missing
	}
	if _, isAppended := o["--append"]; !isAppended {
		return "", errors.New("without --append every other secret of the app is deleted")
	}
	secret := fmt.Sprintf("client-secret~%d.x", len(a.ClientSecret)+1)
	a.ClientSecret = append(a.ClientSecret, secret)
	return secret, nil
}

func (a *azure) showPrincipal(o map[string]string) (string, error) {
	if !slices.Contains(a.Principals, o["--id"]) {
		return "", missing
	}
	return "", nil
}

func (a *azure) createPrincipal(o map[string]string) (string, error) {
	if slices.Contains(a.Principals, o["--id"]) {
		return "", failure{1, "The service principal cannot be created: it exists already."}
	}
	a.Principals = append(a.Principals, o["--id"])
	return "", nil
}

func (a *azure) listSecrets(o map[string]string) (string, error) {
	type row struct {
		Name    string  `json:"name"`
		Expires *string `json:"expires"`
	}
	rows := []row{}
	for name, s := range a.Vault {
		r := row{Name: name}
		if s.Expires != "" {
			r.Expires = &s.Expires
		}
		rows = append(rows, r)
	}
	return asJSON(rows)
}

func (a *azure) showSecret(o map[string]string) (string, error) {
	s, isThere := a.Vault[o["--name"]]
	if !isThere {
		return "", failure{3, "(SecretNotFound)"}
	}
	return s.Value, nil
}

func (a *azure) setSecret(o map[string]string) (string, error) {
	if o["--encoding"] != "utf-8" {
		return "", errors.New("az would save the file as base64")
	}
	// As az does: it opens the file by its name.
	content, err := os.ReadFile(o["--file"])
	if err != nil {
		return "", err
	}
	if a.HangOn == o["--name"] {
		a.save(os.Getenv(statePlace)) // with the call
		time.Sleep(time.Hour)         // until it is killed
	}
	a.Vault[o["--name"]] = vaultSecret{string(content), o["--expires"]}
	return "", nil
}

func (a *azure) listResources(o map[string]string) (string, error) {
	if o["--subscription"] == "" {
		return "", errors.New("of which subscription?")
	}
	found := []map[string]string{}
	for _, acc := range a.Archives {
		if o["--tag"] == acc.Tag {
			found = append(found, map[string]string{"name": acc.Name, "id": acc.ID})
		}
	}
	return asJSON(found)
}

func (a *azure) deploy(o map[string]string) (string, error) {
	if o["--subscription"] != a.made("AZURE_SUBSCRIPTION_ID") || o["--resource-group"] != a.made("AZURE_RESOURCE_GROUP") || o["--name"] != a.made("CONNECTOR_APP_NAME") {
		return "", missing
	}
	if o["--build-remote"] != "false" {
		return "", errors.New("Azure would try to build it")
	}
	content, err := os.ReadFile(o["--src"])
	a.Deployed = content
	return "", err
}

// accessToken is what az answers to azd: an unsigned token of a person of the tenant.
func accessToken(tenant string) string {
	part := func(v any) string {
		text, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		return base64.RawURLEncoding.EncodeToString(text)
	}
	claims := map[string]any{"oid": firstApp, "tid": tenant, "upn": "admin@contoso.example", "exp": 4070908800}
	answer, err := json.Marshal(map[string]any{"accessToken": part(map[string]string{"alg": "none"}) + "." + part(claims) + ".x",
		"expiresOn": "2099-01-01 00:00:00.000000", "expires_on": 4070908800, "tenant": tenant, "tokenType": "Bearer"})
	if err != nil {
		panic(err)
	}
	return string(answer)
}
