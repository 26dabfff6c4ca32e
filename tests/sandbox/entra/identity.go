package entra

import (
	"crypto/subtle"
	"net/http"
	"strconv"
	"strings"
)

// identityVersion is the only version of the endpoint that App Service documents.
const identityVersion = "2019-08-01"

// identity is the managed identity endpoint of App Service.
// https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference
func (s *Server) identity() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /msi/token", func(w http.ResponseWriter, r *http.Request) {
		s.counts.identity.Add(1)
		query := r.URL.Query()
		refuse := func(status int, text string) {
			s.counts.refused.Add(1)
			writeJSON(w, status, map[string]any{"statusCode": status, "message": text})
		}
		// The header keeps out requests that an attacker makes the app send.
		header := r.Header.Get("X-IDENTITY-HEADER")
		if subtle.ConstantTimeCompare([]byte(header), []byte(s.header)) != 1 {
			refuse(http.StatusUnauthorized, "Invalid or missing X-IDENTITY-HEADER.")
			return
		}
		resource := query.Get("resource")
		switch {
		case query.Get("api-version") != identityVersion:
			refuse(http.StatusBadRequest, "Unsupported api-version: use "+identityVersion+".")
			return
		case resource == "":
			refuse(http.StatusBadRequest, "The parameter resource is missing.")
			return
		}
		id := query.Get("client_id")
		if id != "" && !strings.EqualFold(id, s.options.ManagedIdentity) || query.Has("principal_id") || query.Has("mi_res_id") {
			refuse(http.StatusBadRequest, "No User Assigned or Delegated Managed Identity found for specified ClientId/ResourceId/PrincipalId.")
			return
		}
		now := s.now()
		token := s.Issue(Claims{
			Audience: resource, AppID: s.options.ManagedIdentity, IssuedAt: now, Expires: now.Add(lifetime),
			Extra: map[string]any{"appidacr": "2"}, // a certificate, which the platform holds
		})
		writeJSON(w, http.StatusOK, map[string]any{
			"access_token": token, "token_type": "Bearer", "resource": resource,
			"expires_on": strconv.FormatInt(now.Add(lifetime).Unix(), 10),
			"client_id":  s.options.ManagedIdentity,
		})
	})
	return mux
}
