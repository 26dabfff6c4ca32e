package x

import "net/http"

// Refusal is a state of the app, its project or its account in which X answers no call
// of the API. Calls that are refused read no post and cost nothing.
type Refusal int

const (
	Nothing           Refusal = iota
	CreditsDepleted           // the pay-per-use balance is empty: 402, with room in the rate limit
	UsageCapExceeded          // the monthly cap is reached: 429, with room in the rate limit
	NotEnrolled               // the app is in no project or package: 403
	NoReadPermission          // the app may not read: 403
	SignedInSuspended         // the account that signed in is suspended: 403, code 64
	OtherSignIn               // the call takes another kind of token: 403
)

// Refuse has X refuse every call of the API v2 for a reason; Nothing ends that.
func (s *Server) Refuse(why Refusal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refusal = why
}

// refused answers a call that X refuses. The rate limit's headers are set already.
func (s *Server) refused(a *answer, name string) bool {
	s.mu.Lock()
	why := s.refusal
	s.mu.Unlock()
	if name == "GET /2/usage/tweets" && why == UsageCapExceeded {
		return false // no post is read; whether X answers then is not documented
	}
	switch why {
	case CreditsDepleted:
		a.raw(http.StatusPaymentRequired, []byte(`{"account_id":1,"title":"CreditsDepleted","detail":"Your enrolled account does not have any credits to fulfill this request.","type":"`+problems+`credits"}`))
	case UsageCapExceeded:
		a.raw(http.StatusTooManyRequests, []byte(`{"account_id":1,"title":"UsageCapExceeded","detail":"Usage cap exceeded: Monthly product cap","type":"`+problems+`usage-capped","period":"Monthly","scope":"Product"}`))
	case NotEnrolled:
		a.raw(http.StatusForbidden, []byte(`{"client_id":"1","detail":"When authenticating requests to the Twitter API v2 endpoints, you must use keys and tokens from a Twitter developer App that is attached to a Project. You can create a project via the developer portal.","registration_url":"https://developer.twitter.com/en/docs/projects/overview","title":"Client Forbidden","required_enrollment":"Appropriate Level of API Access","reason":"client-not-enrolled","type":"`+problems+`client-forbidden"}`))
	case NoReadPermission:
		a.raw(http.StatusForbidden, []byte(`{"title":"Forbidden","status":403,"detail":"Your client app is not configured with the appropriate oauth1 app permissions for this endpoint.","type":"`+problems+`oauth1-permissions"}`))
	case SignedInSuspended:
		a.raw(http.StatusForbidden, []byte(`{"errors":[{"code":64,"message":"Your account is suspended and is not permitted to access this feature."}]}`))
	case OtherSignIn:
		a.raw(http.StatusForbidden, []byte(`{"title":"Unsupported Authentication","detail":"Authenticating with OAuth 1.0a User Context is forbidden for this endpoint.  Supported authentication types are [OAuth 2.0 Application-Only].","type":"`+problems+`unsupported-authentication","status":403}`))
	default:
		return false
	}
	return true
}
