package pages

import (
	"net/url"
	"testing"
)

// TestSignOutEndsTheSession: a copy of the browser's cookie is good for nothing once its
// owner has signed out, at whichever instance it is shown.
func TestSignOutEndsTheSession(t *testing.T) {
	w := newWorld(t)
	owner, thief, other := w.browser(), w.browser(), w.browser()
	owner.signIn("/Configure")
	other.signIn("/Configure")
	at, err := url.Parse(w.server.URL)
	if err != nil {
		t.Fatal(err)
	}
	thief.http.Jar.SetCookies(at, owner.http.Jar.Cookies(at))
	thief.get("/Status", 200, "Sign out") // no page can tell a copy from the cookie
	token := thief.csrf()

	owner.get("/Configure", 200)
	owner.post("/Views/SignOut", 303)
	for range 2 {
		thief.get("/Status", 200, "APISecretKey")
		if status := thief.send("POST", "/Configure", "do=save&TwitterApiKeyValue=stolen&csrf="+token); status != 403 {
			t.Errorf("a form of the ended session: %d", status)
		}
		guard, work, _ := w.Instance(nil) // another instance
		w.serve(guard, work)
	}
	other.get("/Status", 200, "Sign out")

	// While storage fails, nobody is signed out by it, and who signs out is told.
	w.BreakState(true)
	other.get("/Configure", 200, "Sign out")
	other.post("/Views/SignOut", 503, "do", "x")
	other.has("signed out in this browser", "copied")
	w.BreakState(false)
	other.get("/Configure", 200, "APISecretKey")
}
