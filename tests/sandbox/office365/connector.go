package office365

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// call calls the connector as the Compliance Center does, with Basic authorization.
func (s *Service) call(ctx context.Context, method, path string, query url.Values, body any) (status int, answer string, err error) {
	data, err := encode(body)
	if err != nil {
		return 0, "", err
	}
	address := s.options.ConnectorURL() + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(data))
	if err != nil {
		return 0, "", err
	}
	if data != nil {
		req.Header.Set("Content-Type", "application/json; charset=utf-8")
	}
	req.SetBasicAuth(s.options.TenantID, s.options.APISecretKey)
	resp, err := s.client.Do(req)
	if err != nil {
		return 0, "", fmt.Errorf("calling the connector: %w", err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return 0, "", fmt.Errorf("reading the connector's answer: %w", err)
	}
	return resp.StatusCode, strings.TrimSpace(string(raw)), nil
}

// Call makes any call of the connector.
func (s *Service) Call(ctx context.Context, method, path string, query url.Values, body any) (status int, answer string, err error) {
	return s.call(ctx, method, path, query, body)
}

// Validate is GET /setup/Validate.
func (s *Service) Validate(ctx context.Context) error {
	v, err := decode[struct {
		Status  bool
		Message *string
	}](s.call(ctx, http.MethodGet, "/setup/Validate", nil, nil))
	if err == nil && (!v.Status || v.Message != nil) {
		err = fmt.Errorf("the connector answers %+v", v)
	}
	return err
}

// IsCreated is GET /job/IsCreated.
func (s *Service) IsCreated(ctx context.Context, jobID string) (bool, error) {
	v, err := decode[struct {
		IsJobCreated bool
		Reason       *string
	}](s.call(ctx, http.MethodGet, "/job/IsCreated", url.Values{"jobId": {jobID}}, nil))
	return v.IsJobCreated, err
}

// OnDeleted is DELETE /job/OnDeleted.
func (s *Service) OnDeleted(ctx context.Context, jobID string) (status int, answer string, err error) {
	return s.call(ctx, http.MethodDelete, "/job/OnDeleted", url.Values{"jobId": {jobID}}, nil)
}

// OnRemediation is GET /job/OnRemediation.
func (s *Service) OnRemediation(ctx context.Context, jobID string) (status int, answer string, err error) {
	return s.call(ctx, http.MethodGet, "/job/OnRemediation", url.Values{"jobId": {jobID}, "remediationType": {"Relogin"}}, nil)
}

// Entity is an account that the connector offers.
type Entity struct {
	ID             string `json:"Id"`
	Name           string
	AdditionalInfo *string
	AlreadyUsed    bool
}

// OAuthURL is GET /api/ConnectorSetup/OAuthUrl.
func (s *Service) OAuthURL(ctx context.Context, redirectURL string) (string, error) {
	return decode[string](s.call(ctx, http.MethodGet, "/api/ConnectorSetup/OAuthUrl", url.Values{"jobType": {"Twitter"}, "redirectUrl": {redirectURL}}, nil))
}

// StoreToken is POST /api/ConnectorSetup/StoreToken, with the query of the address
// that X sent the browser back to.
func (s *Service) StoreToken(ctx context.Context, jobID, redirectURL, callback string) error {
	_, query, _ := strings.Cut(callback, "?")
	return wantTrue(s.call(ctx, http.MethodPost, "/api/ConnectorSetup/StoreToken", nil,
		map[string]string{"temporaryAccessCode": query, "redirectUrl": redirectURL, "jobId": jobID}))
}

// GetEntities is GET /api/ConnectorSetup/GetEntities.
func (s *Service) GetEntities(ctx context.Context, jobID string) ([]Entity, error) {
	return decode[[]Entity](s.call(ctx, http.MethodGet, "/api/ConnectorSetup/GetEntities", url.Values{"jobType": {"Twitter"}, "jobId": {jobID}}, nil))
}

// SavePage is POST /api/ConnectorSetup/SavePage.
func (s *Service) SavePage(ctx context.Context, jobID string, e Entity) (bool, error) {
	return decode[bool](s.call(ctx, http.MethodPost, "/api/ConnectorSetup/SavePage", url.Values{"jobId": {jobID}, "tenantId": {s.options.TenantID}},
		map[string]string{"Id": e.ID, "Name": e.Name}))
}

// DeleteToken is GET /api/ConnectorSetup/DeleteToken.
func (s *Service) DeleteToken(ctx context.Context, jobID string) error {
	return wantTrue(s.call(ctx, http.MethodGet, "/api/ConnectorSetup/DeleteToken", url.Values{"jobType": {"Twitter"}, "jobId": {jobID}}, nil))
}
