package importservice

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Client calls a connector as Microsoft's Compliance Center does. Every method but
// [Client.Call] checks the answer letter for letter; its error is a *[StatusError]
// when the connector answered with another status than 200.
type Client struct {
	tenantID      string
	url           func() string
	authorization string
	http          *http.Client
}

// NewClient returns a client that signs in with the tenant and APISecretKey. url
// is asked for the connector's address before each call.
func NewClient(url func() string, tenantID, apiSecretKey string) *Client {
	return &Client{
		tenantID:      tenantID,
		url:           url,
		authorization: "Basic " + base64.StdEncoding.EncodeToString([]byte(tenantID+":"+apiSecretKey)),
		http: &http.Client{
			Timeout:       4 * time.Minute, // over the 230 s that Azure allows an answer
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// WithAuthorization returns a client that sends another Authorization header; ""
// sends none.
func (c *Client) WithAuthorization(header string) *Client {
	other := *c
	other.authorization = header
	return &other
}

// StatusError is an answer with another status than 200.
type StatusError struct {
	Call    string // method and path
	Status  int
	Message string // of {"Message":…}
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("%s: the connector answered %d: %s", e.Call, e.Status, e.Message)
}

// maxAnswer bounds an answer of the connector, in bytes.
const maxAnswer = 8 << 20

// Call makes any call. A body that is not nil is sent as JSON. The error is of a
// connector that cannot be reached.
func (c *Client) Call(ctx context.Context, method, path string, query url.Values, body any) (status int, answer string, err error) {
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return 0, "", err
		}
		content = bytes.NewReader(text)
	}
	address := strings.TrimSuffix(c.url(), "/") + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, address, content)
	if err != nil {
		return 0, "", err
	}
	if c.authorization != "" {
		req.Header.Set("Authorization", c.authorization)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json; charset=utf-8")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, "", fmt.Errorf("calling the connector: %w", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return resp.StatusCode, "", fmt.Errorf("reading the connector's answer to %s %s: %w", method, path, err)
	}
	return resp.StatusCode, string(text), nil
}

// ask makes a call that must be answered 200 with a JSON value.
func (c *Client) ask(ctx context.Context, method, path string, query url.Values, body any) (value, error) {
	call := method + " " + path
	status, answer, err := c.Call(ctx, method, path, query, body)
	if err != nil {
		return value{}, err
	}
	if status != http.StatusOK {
		return value{}, statusError(call, status, answer)
	}
	return document("the answer to "+call, []byte(answer))
}

// command makes a call of which only the status matters.
func (c *Client) command(ctx context.Context, method, path string, query url.Values) error {
	status, answer, err := c.Call(ctx, method, path, query, nil)
	if err == nil && status != http.StatusOK {
		err = statusError(method+" "+path, status, answer)
	}
	return err
}

// statusError reads {"Message":…}; anything else is told as what it is.
func statusError(call string, status int, answer string) error {
	e := &StatusError{Call: call, Status: status}
	v, err := document("the answer", []byte(answer))
	if err == nil {
		var m map[string]value
		if m, err = v.object("Message"); err == nil {
			e.Message, err = m["Message"].text()
		}
	}
	if err != nil {
		e.Message = fmt.Sprintf(`(not {"Message":"…"}: %v) %.200q`, err, answer)
	}
	return e
}

// Validate is GET /setup/Validate: are tenant and secret right?
func (c *Client) Validate(ctx context.Context) error {
	v, err := c.ask(ctx, http.MethodGet, "/setup/Validate", nil, nil)
	if err != nil {
		return err
	}
	m, err := v.object("Status", "Message")
	if err == nil && (string(m["Status"].raw) != "true" || !m["Message"].null()) {
		err = v.errorf("want Status true and Message null")
	}
	return err
}

// IsCreated is GET /job/IsCreated.
func (c *Client) IsCreated(ctx context.Context, jobID string) (bool, error) {
	v, err := c.ask(ctx, http.MethodGet, "/job/IsCreated", url.Values{"jobId": {jobID}}, nil)
	if err != nil {
		return false, err
	}
	m, err := v.object("IsJobCreated", "Reason")
	if err == nil && !m["Reason"].null() {
		err = v.errorf("want Reason null")
	}
	if err != nil {
		return false, err
	}
	return m["IsJobCreated"].boolean()
}

// OnDeleted is DELETE /job/OnDeleted; 404 for an unknown job.
func (c *Client) OnDeleted(ctx context.Context, jobID string) error {
	return c.command(ctx, http.MethodDelete, "/job/OnDeleted", url.Values{"jobId": {jobID}})
}

// OnRemediation is GET /job/OnRemediation: the admin is to sign in again.
func (c *Client) OnRemediation(ctx context.Context, jobID string) error {
	return c.command(ctx, http.MethodGet, "/job/OnRemediation", url.Values{"jobId": {jobID}, "remediationType": {"Relogin"}})
}

// OAuthURL is GET /api/ConnectorSetup/OAuthUrl: where the admin signs in with X.
func (c *Client) OAuthURL(ctx context.Context, redirectURL string) (string, error) {
	v, err := c.ask(ctx, http.MethodGet, "/api/ConnectorSetup/OAuthUrl", url.Values{"jobType": {"Twitter"}, "redirectUrl": {redirectURL}}, nil)
	if err != nil {
		return "", err
	}
	return v.filled()
}

// StoreToken is POST /api/ConnectorSetup/StoreToken, after X has called back.
func (c *Client) StoreToken(ctx context.Context, jobID, temporaryAccessCode, redirectURL string) error {
	return c.yes(ctx, http.MethodPost, "/api/ConnectorSetup/StoreToken", nil, map[string]string{
		"temporaryAccessCode": temporaryAccessCode, "redirectUrl": redirectURL, "jobId": jobID})
}

// Entity is an account that a job can archive.
type Entity struct {
	ID          string
	Name        string
	AlreadyUsed bool
}

// GetEntities is GET /api/ConnectorSetup/GetEntities.
func (c *Client) GetEntities(ctx context.Context, jobID string) ([]Entity, error) {
	v, err := c.ask(ctx, http.MethodGet, "/api/ConnectorSetup/GetEntities", url.Values{"jobType": {"Twitter"}, "jobId": {jobID}}, nil)
	if err != nil {
		return nil, err
	}
	elements, err := v.list()
	if err != nil {
		return nil, err
	}
	var entities []Entity
	for _, e := range elements {
		m, err := e.object("Id", "Name", "AdditionalInfo", "AlreadyUsed")
		if err != nil {
			return nil, err
		}
		id, idErr := m["Id"].filled()
		name, nameErr := m["Name"].filled()
		used, usedErr := m["AlreadyUsed"].boolean()
		if err := all(idErr, nameErr, usedErr); err != nil {
			return nil, err
		}
		if !m["AdditionalInfo"].null() {
			return nil, m["AdditionalInfo"].errorf("not null")
		}
		entities = append(entities, Entity{id, name, used})
	}
	return entities, nil
}

// SavePage is POST /api/ConnectorSetup/SavePage: this job archives that account.
func (c *Client) SavePage(ctx context.Context, jobID string, e Entity) (bool, error) {
	v, err := c.ask(ctx, http.MethodPost, "/api/ConnectorSetup/SavePage", url.Values{"jobId": {jobID}, "tenantId": {c.tenantID}},
		map[string]string{"Id": e.ID, "Name": e.Name})
	if err != nil {
		return false, err
	}
	return v.boolean()
}

// DeleteToken is GET /api/ConnectorSetup/DeleteToken.
func (c *Client) DeleteToken(ctx context.Context, jobID string) error {
	return c.yes(ctx, http.MethodGet, "/api/ConnectorSetup/DeleteToken", url.Values{"jobType": {"Twitter"}, "jobId": {jobID}}, nil)
}

// GetConfiguration is GET /api/Configuration.
func (c *Client) GetConfiguration(ctx context.Context) (map[string]string, error) {
	v, err := c.ask(ctx, http.MethodGet, "/api/Configuration", nil, nil)
	if err != nil {
		return nil, err
	}
	var settings map[string]*string
	if err := json.Unmarshal(v.raw, &settings); err != nil || settings == nil {
		return nil, v.errorf("not an object of strings")
	}
	texts := map[string]string{}
	for name, s := range settings {
		if s == nil {
			return nil, v.errorf("%s is null", name)
		}
		texts[name] = *s
	}
	return texts, nil
}

// SetConfiguration is POST /api/Configuration; an empty value leaves a setting as
// it is.
func (c *Client) SetConfiguration(ctx context.Context, settings map[string]string) error {
	return c.yes(ctx, http.MethodPost, "/api/Configuration", nil, settings)
}

// yes makes a call that must be answered with true.
func (c *Client) yes(ctx context.Context, method, path string, query url.Values, body any) error {
	v, err := c.ask(ctx, method, path, query, body)
	if err != nil {
		return err
	}
	ok, err := v.boolean()
	if err == nil && !ok {
		err = v.errorf("false")
	}
	return err
}

func (v value) boolean() (bool, error) {
	switch string(v.raw) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, v.errorf("neither true nor false")
}
