package keyvault

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets/fake"
)

// maxBody bounds what a request may send: a value, escaped, and its tags.
const maxBody = 256 << 10

// handler serves the secrets' part of Key Vault's REST API. Routes are named as the
// SDK names its operations, by which the fake tells them apart.
func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	for pattern, operation := range map[string]string{
		"GET /secrets":                        "NewListSecretPropertiesPager",
		"GET /secrets/{name}":                 "GetSecret",
		"GET /secrets/{name}/{$}":             "GetSecret", // as the SDK asks for the newest version
		"GET /secrets/{name}/{version}":       "GetSecret",
		"GET /secrets/{name}/versions":        "NewListSecretPropertiesVersionsPager",
		"PUT /secrets/{name}":                 "SetSecret",
		"PATCH /secrets/{name}/{$}":           "UpdateSecretProperties",
		"PATCH /secrets/{name}/{version}":     "UpdateSecretProperties",
		"DELETE /secrets/{name}":              "DeleteSecret",
		"GET /deletedsecrets":                 "NewListDeletedSecretPropertiesPager",
		"GET /deletedsecrets/{name}":          "GetDeletedSecret",
		"DELETE /deletedsecrets/{name}":       "PurgeDeletedSecret",
		"POST /deletedsecrets/{name}/recover": "RecoverDeletedSecret",
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, operation) })
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, "") })
	return mux
}

// serve does what Key Vault does before and after an operation. "" is one that
// this stand-in, or Key Vault, does not have.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, operation string) {
	if s.down.Load() {
		s.count(operation)
		refuse(w, &failure{http.StatusServiceUnavailable, "ServiceUnavailable", "", "The service is unavailable."})
		return
	}
	if f := s.admit(r); f != nil {
		s.count("challenge")
		challenge := `Bearer authorization="` + s.options.Authority + `", resource="` + Resource + `"`
		w.Header().Set("WWW-Authenticate", challenge)
		refuse(w, f)
		return
	}
	s.count(operation)
	switch {
	case s.forbid.Load():
		refuse(w, &failure{http.StatusForbidden, "Forbidden", "ForbiddenByRbac", "Caller is not authorized to perform action on resource. If role assignments, deny assignments or role definitions were changed recently, please observe propagation time."})
		return
	case operation == "":
		refuse(w, &failure{http.StatusNotFound, "NotFound", "", "There is no such operation here."})
		return
	case r.URL.Query().Get("api-version") == "":
		refuse(w, bad("The query parameter api-version is missing."))
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		refuse(w, &failure{http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "", "The request is too large."})
		return
	}
	if operation == "SetSecret" || operation == "UpdateSecretProperties" {
		if !json.Valid(body) {
			refuse(w, bad("The request body is not JSON."))
			return
		}
	}
	answer, err := s.ask(r, operation, body)
	if err != nil {
		var f *failure
		if !errors.As(err, &f) {
			f = &failure{http.StatusBadRequest, "BadParameter", "", err.Error()}
		}
		refuse(w, f)
		return
	}
	defer answer.Body.Close()
	if answer.ContentLength != 0 {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
	}
	w.Header().Set("Cache-Control", "no-cache")
	w.WriteHeader(answer.StatusCode)
	_, _ = io.Copy(w, answer.Body) // the client went away
}

// ask has the fake answer a request, as if the SDK had called it in this process.
func (s *Server) ask(r *http.Request, operation string, body []byte) (*http.Response, error) {
	at := &url.URL{Scheme: "https", Host: r.Host, Path: strings.TrimSuffix(r.URL.Path, "/"), RawQuery: r.URL.RawQuery}
	ctx := context.WithValue(r.Context(), runtime.CtxAPINameKey{}, "Client."+operation)
	req, err := http.NewRequestWithContext(ctx, r.Method, at.String(), strings.NewReader(string(body)))
	if err != nil {
		return nil, err
	}
	req.Header = r.Header.Clone()
	return fake.NewServerTransport(request{s.vault, at}.server()).Do(req)
}

// admit checks the token; nil lets the request in.
func (s *Server) admit(r *http.Request) *failure {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || token == "" {
		return &failure{http.StatusUnauthorized, "Unauthorized", "", "AKV10000: Request is missing a Bearer or PoP token."}
	}
	if s.options.Verify == nil {
		return nil
	}
	if err := s.options.Verify(token, Resource); err != nil {
		return &failure{http.StatusUnauthorized, "Unauthorized", "", "AKV10032: The token is not valid for this vault: " + err.Error()}
	}
	return nil
}

// refuse answers as Key Vault does.
// https://learn.microsoft.com/azure/key-vault/general/rest-error-codes
func refuse(w http.ResponseWriter, f *failure) {
	type inner struct {
		Code string `json:"code"`
	}
	var answer struct {
		Error struct {
			Code    string `json:"code"`
			Message string `json:"message"`
			Inner   *inner `json:"innererror,omitempty"`
		} `json:"error"`
	}
	answer.Error.Code, answer.Error.Message = f.code, f.message
	if f.inner != "" {
		answer.Error.Inner = &inner{f.inner}
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	w.WriteHeader(f.status)
	_ = json.NewEncoder(w).Encode(answer) // the client went away
}
