package secrets

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"xarchive/handler/internal/loopback"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"
)

// Credential returns the connector's own identity in Azure, with which it reaches Key
// Vault and storage: in Azure (IDENTITY_ENDPOINT is set) the app's managed identity,
// or the user-assigned one that AZURE_CLIENT_ID names; on a developer's machine
// whoever is signed in with az or azd. No token is asked for yet.
func Credential(getenv func(string) string, hc *http.Client) (azcore.TokenCredential, error) {
	options := azcore.ClientOptions{Transport: hc}
	if getenv("IDENTITY_ENDPOINT") == "" {
		credential, err := azidentity.NewDefaultAzureCredential(&azidentity.DefaultAzureCredentialOptions{ClientOptions: options})
		if err != nil {
			return nil, fmt.Errorf("finding an identity for Azure: %w", err)
		}
		return credential, nil
	}
	managed := &azidentity.ManagedIdentityCredentialOptions{ClientOptions: options}
	if id := getenv("AZURE_CLIENT_ID"); id != "" {
		managed.ID = azidentity.ClientID(id)
	}
	credential, err := azidentity.NewManagedIdentityCredential(managed)
	if err != nil {
		return nil, fmt.Errorf("using the app's managed identity: %w", err)
	}
	return credential, nil
}

// vault is an Azure Key Vault.
// https://learn.microsoft.com/rest/api/keyvault/secrets
type vault struct {
	client *azsecrets.Client
	host   string
}

func openVault(vaultURL string, credential azcore.TokenCredential, hc *http.Client) (*vault, error) {
	u, err := url.Parse(vaultURL)
	if err != nil {
		return nil, fmt.Errorf("opening Key Vault: %w", err)
	}
	client, err := azsecrets.NewClient(vaultURL, credential, &azsecrets.ClientOptions{
		ClientOptions: policy.ClientOptions{
			Transport: hc,
			Retry:     policy.RetryOptions{MaxRetries: 2, RetryDelay: 300 * time.Millisecond, MaxRetryDelay: 3 * time.Second, TryTimeout: 10 * time.Second},
		},
		// The vault's challenge says for which resource it wants a token. Only a vault
		// in the resource's own domain gets one; a stand-in on this machine has none.
		DisableChallengeResourceVerification: loopback.Host(u.Hostname()),
	})
	if err != nil {
		return nil, fmt.Errorf("opening Key Vault %s: %w", u.Host, err)
	}
	return &vault{client, u.Host}, nil
}

func (*vault) writable() error { return nil }

func (v *vault) get(ctx context.Context, name string) (string, error) {
	answer, err := v.client.GetSecret(ctx, name, "", nil)
	if isStatus(err, http.StatusNotFound) {
		return "", notSet(name)
	}
	if err != nil {
		return "", v.failed("reading secret "+name, err)
	}
	if answer.Value == nil {
		return "", notSet(name)
	}
	return *answer.Value, nil
}

// setTimeout bounds set: bringing a deleted secret back takes Key Vault seconds.
const setTimeout = time.Minute

// set saves a secret. The name of a deleted one stays taken while Key Vault can
// still recover it (soft delete); set then has it recovered, waits until it is
// back, and saves the new value as its next version.
func (v *vault) set(ctx context.Context, name, value string) error {
	ctx, cancel := context.WithTimeout(ctx, setTimeout)
	defer cancel()
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 3*time.Second) {
		_, err := v.client.SetSecret(ctx, name, azsecrets.SetSecretParameters{Value: &value}, nil)
		if err == nil {
			return nil
		}
		if !isStatus(err, http.StatusConflict) {
			return v.failed("saving secret "+name, err)
		}
		// It may still be on its way out (404, 409): then the next round recovers it.
		_, recoverErr := v.client.RecoverDeletedSecret(ctx, name, nil)
		if recoverErr != nil && !isStatus(recoverErr, http.StatusNotFound, http.StatusConflict) {
			return v.failed("recovering secret "+name, recoverErr)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return v.failed("saving secret "+name, err)
		}
	}
}

func (v *vault) remove(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	_, err := v.client.DeleteSecret(ctx, name, nil)
	if err != nil && !isStatus(err, http.StatusNotFound) {
		return v.failed("deleting secret "+name, err)
	}
	return nil
}

func isStatus(err error, statuses ...int) bool {
	var answer *azcore.ResponseError
	if !errors.As(err, &answer) {
		return false
	}
	for _, status := range statuses {
		if answer.StatusCode == status {
			return true
		}
	}
	return false
}

// failed describes a failure on one line. The SDK's own text runs over many, with
// headers and bodies.
func (v *vault) failed(doing string, err error) error {
	var answer *azcore.ResponseError
	switch {
	case errors.As(err, &answer) && answer.StatusCode == http.StatusForbidden:
		return fmt.Errorf("%s in %s: %w: status 403 %s", doing, v.host, ErrForbidden, answer.ErrorCode)
	case errors.As(err, &answer):
		return fmt.Errorf("%s in %s: %w: status %d %s", doing, v.host, ErrUnavailable, answer.StatusCode, answer.ErrorCode)
	}
	text := []rune(strings.Join(strings.Fields(err.Error()), " "))
	if len(text) > 400 {
		text = append(text[:400], '…')
	}
	return fmt.Errorf("%s in %s: %w: %s", doing, v.host, ErrUnavailable, string(text))
}
