package fault

import (
	"cmp"
	"errors"
	"net/http"
	"time"
)

// Meaning is what a cause means to those who meet it.
type Meaning struct {
	Cause Cause
	// Status is the HTTP status of a call that failed for this cause.
	Status int
	// Sentence says what happened, Advice what a person can do or what happens
	// by itself. Both are whole sentences, without secrets.
	Sentence, Advice string
	// NeedsPerson reports whether it stays so until a person acts.
	NeedsPerson bool
}

// Words returns sentence and advice as one text.
func (m Meaning) Words() string {
	if m.Advice == "" {
		return m.Sentence
	}
	return m.Sentence + " " + m.Advice
}

// Of returns what an error means. For no error it is the meaning of None.
func Of(err error) Meaning {
	m := CauseOf(err).Meaning()
	var c Caused
	if !errors.As(err, &c) {
		return m
	}
	if own, ok := c.(interface{ FaultSentence() string }); ok && own.FaultSentence() != "" {
		m.Sentence, m.Advice = own.FaultSentence(), ""
	}
	return m
}

// RetryAfter returns how long a caller has to wait before the next try; 0 if the
// error does not say.
func RetryAfter(err error) time.Duration {
	var c interface {
		error
		RetryAfter() time.Duration
	}
	if !errors.As(err, &c) {
		return 0
	}
	return c.RetryAfter()
}

// Meaning returns what a cause means. A word that is not a cause, as a newer
// version may have stored, means what Other means.
func (c Cause) Meaning() Meaning {
	c = cmp.Or(c, None)
	m, known := meanings[c]
	if !known {
		m = meanings[Other]
	}
	m.Cause = c
	return m
}

const (
	goesOn = "The connector tries again by itself, and then reads what was posted since."
	safe   = "The connector tries again by itself; the posts are safe in the archive."
)

// meanings is the only place that says what a cause means.
var meanings = map[Cause]Meaning{
	None: {Status: http.StatusOK},

	XUnauthorized: {"", http503, "X no longer accepts the account's sign-in or the app's keys.", "Sign in with X again; if that does not help, check the X keys under Settings.", true},
	XKeys:         {"", http500, "X refuses the app's keys.", "Somebody made new ones, or the app is gone: copy the API Key and Secret from X's developer console, enter them under Settings, and have the accounts sign in with X again.", true},
	XForbidden:    {"", http500, "X does not let the app read.", "Give the app read permission in X's developer console, then sign in with X again.", true},
	XRateLimit:    {"", http503, "X's rate limit is used up.", "The connector waits, goes on by itself, and then reads what was posted since.", false},
	XCredits:      {"", http503, "The credits at X are used up, so X answers nothing.", "Buy credits in X's developer console. The connector tries again every hour, and then reads what was posted since.", true},
	XUsageCap:     {"", http503, "The month's cap on reads at X is reached, so X answers nothing until its reset.", "Raise the cap in X's developer console, or wait for the day on which it begins again. The connector tries again on that day and once a day until then, and then reads what was posted since.", true},
	XNotEnrolled:  {"", http500, "X does not serve the app: it belongs to no project or package.", "Open the app in X's developer console and add it to a project with access to the API.", true},
	XProtected:    {"", http500, "X does not show the account's posts: they are protected.", "Sign in with X as the account itself, or have its owner make the posts public.", true},
	XSuspended:    {"", http500, "X has suspended or locked the account.", "Its owner signs in at x.com, where X says what to do. The connector tries again by itself.", true},
	XGone:         {"", http500, "X no longer has the account.", "If its owner closed it, it can be brought back at x.com for 30 days. What is archived stays.", true},
	XChanged:      {"", http500, "X changed its answer: it lacks parts of posts that it must have.", "Nothing of such an answer is archived, so that no post is archived in part. Look for a newer version of the connector; it goes on where it stopped.", true},
	XRefused:      {"", http500, "X refuses the request.", "The connector's log says what X said.", true},
	XUnavailable:  {"", http503, "X cannot be reached.", goesOn, false},
	XIncomplete:   {"", http503, "An answer of X lacks posts that X must have sent.", "The time is not counted as covered. The connector tries again by itself.", false},
	XSignIn:       {"", http500, "X refuses the sign-in.", "Check the X keys and the callback address under Settings, then sign in again.", true},
	NotSignedIn:   {"", http.StatusBadRequest, "No account has signed in with X for this job.", "Sign in first.", true},
	Clock:         {"", http500, "The clock of the machine that runs the connector is wrong.", "Set it right; X refuses requests that are signed with a wrong time.", true},

	SecretNotSet:   {"", http500, "A secret is missing.", "Look under Settings which one, and enter it.", true},
	SecretReadOnly: {"", http.StatusConflict, "The connector's settings come from the environment and cannot be saved.", "Set KEY_VAULT_URL to a vault in which the connector may write secrets.", true},
	KeyVault:       {"", http503, "The Key Vault cannot be reached.", "The connector tries again by itself. If it stays so, check KEY_VAULT_URL, and the network between the app and the vault.", false},
	KeyVaultAccess: {"", http503, "The Key Vault refuses the connector.", "Give its identity the role Key Vault Secrets Officer on the vault, and let the vault's network rules admit it. A new role takes some minutes.", true},

	Storage:        {"", http503, "The storage account does not answer as it should.", "The connector tries again by itself. If it stays so, check the network between the app and the account.", false},
	StorageAccess:  {"", http503, "The storage account refuses the connector.", "Give its identity back its roles on the two containers (azd provision does so; Storage Blob Data Contributor is enough), and let the account's network rules admit it. A new role takes some minutes.", true},
	ArchiveAltered: {"", http500, "An archived message does not have the bytes that were archived.", "Find out who changed it. Nothing is delivered from it.", true},
	StateDamaged:   {"", http500, "A record of the connector cannot be read.", "Everything else goes on. Restore the blob that the log names from its versions, or report it.", true},
	StateNewer:     {"", http503, "A newer version of the connector wrote a record that this version cannot read.", "Deploy the newer version again.", true},
	SetAside:       {"", http500, "A post could not be made into a message.", "X's answer is kept under set-aside; a later version of the connector takes it up again.", true},

	SASRefused:  {"", http500, "The container that the Compliance Center named cannot be written to.", safe, false},
	EntraSignIn: {"", http500, "Entra gives no token for the Office 365 Import service.", "Test the connections under Settings to see why.", true},
	Import:      {"", http503, "The Office 365 Import service did not take the delivery.", safe, false},
	ImportFinal: {"", http500, "The Office 365 Import service refuses the delivery for good.", "The posts are safe in the archive. The task says what the service answered.", true},

	ImportDay: {"", http503, "Microsoft 365 takes 200,000 items a day from a connector, and today's are delivered.", "The rest waits in the archive and is delivered tomorrow, by itself.", false},

	ClaimLost:   {"", http503, "Another instance of the connector took over.", "It goes on where this one stopped.", false},
	Claimed:     {"", http503, "Another instance of the connector works on it just now.", "Send the request again later.", false},
	Interrupted: {"", http503, "The time for it was over before it was done.", "The connector goes on at the next tick.", false},
	Panic:       {"", http500, "The connector met an error of its own.", "The log has the details; please report it.", true},
	Settings:    {"", http500, "The settings are faulty.", "The log says which, and what to set.", true},

	BadRequest: {"", http.StatusBadRequest, "The request is wrong.", "", false},
	TooLarge:   {"", http.StatusRequestEntityTooLarge, "The request is too large.", "", false},
	NotFound:   {"", http.StatusNotFound, "There is nothing here.", "", false},

	TooManyTasks: {"", http.StatusTooManyRequests, "The job has as many open tasks as it may have.", "They end by themselves, at the latest two days after their window. Send the request again later.", false},

	OtherSite:        {"", http.StatusForbidden, "Another site has told the browser to send this.", "Nothing was done.", false},
	Unauthorized:     {"", http.StatusUnauthorized, "Not authorized.", "", false},
	TooManyAttempts:  {"", http.StatusTooManyRequests, "Too many attempts have failed.", "Try again later.", false},
	UnknownAuthority: {"", http503, "The connector cannot check authorizations now.", "Try again later.", false},

	Other: {"", http500, "Something failed that the connector has no words for.", "It tries again by itself; its log says more.", false},
}

const (
	http500 = http.StatusInternalServerError
	http503 = http.StatusServiceUnavailable
)
