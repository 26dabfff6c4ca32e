package importservice

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"
)

// account is the service's storage account.
type account struct {
	endpoint string
	key      *azblob.SharedKeyCredential
	client   *azblob.Client
}

func openAccount(connectionString string) (*account, error) {
	parts := map[string]string{}
	for _, part := range strings.Split(connectionString, ";") {
		name, v, _ := strings.Cut(part, "=")
		parts[strings.ToLower(strings.TrimSpace(name))] = v
	}
	a := &account{endpoint: strings.TrimSuffix(parts["blobendpoint"], "/")}
	if a.endpoint == "" || parts["accountname"] == "" {
		return nil, errors.New("the Import service's connection string must have AccountName, AccountKey and BlobEndpoint")
	}
	var err error
	if a.key, err = azblob.NewSharedKeyCredential(parts["accountname"], parts["accountkey"]); err != nil {
		return nil, fmt.Errorf("the Import service's connection string: AccountKey: %w", err)
	}
	if a.client, err = azblob.NewClientWithSharedKeyCredential(a.endpoint, a.key, nil); err != nil {
		return nil, fmt.Errorf("opening the Import service's storage account: %w", err)
	}
	return a, nil
}

func (a *account) container(name string) *container.Client {
	return a.client.ServiceClient().NewContainerClient(name)
}

// create makes a container.
func (a *account) create(ctx context.Context, name string) error {
	if _, err := a.container(name).Create(ctx, nil); err != nil {
		return fmt.Errorf("creating the container %s: %w", name, err)
	}
	return nil
}

// sign returns the URL of a container with a SAS that allows to create and write
// blobs, and neither to read nor to list them.
func (a *account) sign(name string, expires time.Time) (string, error) {
	return a.signValues(sas.BlobSignatureValues{ContainerName: name, ExpiryTime: expires.UTC(), Permissions: allowed})
}

// policyID names the stored access policy of a container's SAS. Taking the policy
// away is how a SAS is revoked.
// https://learn.microsoft.com/rest/api/storageservices/define-stored-access-policy
const policyID = "task"

// allowed is what a SAS allows: to create and to write blobs.
const allowed = "cw"

// signRevocable is sign for a SAS that can be revoked. What it allows and until when
// is not in the URL, but in the container's policy.
func (a *account) signRevocable(ctx context.Context, name string, expires time.Time) (string, error) {
	_, err := a.container(name).SetAccessPolicy(ctx, &container.SetAccessPolicyOptions{
		ContainerACL: []*container.SignedIdentifier{{ID: to.Ptr(policyID), AccessPolicy: &container.AccessPolicy{
			Start: to.Ptr(time.Now().Add(-24 * time.Hour).UTC()), Expiry: to.Ptr(expires.UTC()), Permission: to.Ptr(allowed)}}}})
	if err != nil {
		return "", fmt.Errorf("setting the access policy of %s: %w", name, err)
	}
	return a.signValues(sas.BlobSignatureValues{ContainerName: name, Identifier: policyID})
}

func (a *account) signValues(values sas.BlobSignatureValues) (string, error) {
	query, err := values.SignWithSharedKey(a.key)
	if err != nil {
		return "", fmt.Errorf("signing for the container %s: %w", values.ContainerName, err)
	}
	return a.endpoint + "/" + values.ContainerName + "?" + query.Encode(), nil
}

// revoke ends the validity of every SAS of signRevocable.
func (a *account) revoke(ctx context.Context, name string) error {
	if _, err := a.container(name).SetAccessPolicy(ctx, nil); err != nil {
		return fmt.Errorf("revoking the SAS of %s: %w", name, err)
	}
	return nil
}

// list returns the names of blobs below a prefix, without it, in order of name.
func (a *account) list(ctx context.Context, name, prefix string) ([]string, error) {
	var names []string
	pager := a.container(name).NewListBlobsFlatPager(&container.ListBlobsFlatOptions{Prefix: &prefix})
	for pager.More() {
		page, err := pager.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("listing the container %s: %w", name, err)
		}
		for _, b := range page.Segment.BlobItems {
			names = append(names, strings.TrimPrefix(*b.Name, prefix))
		}
	}
	return names, nil
}

// maxItem bounds an item that is read, in bytes. X takes videos of 512 MB, which
// are a third longer in base64; a sandbox has none of them.
const maxItem = 256 << 20

func (a *account) read(ctx context.Context, name, blob string) ([]byte, error) {
	answer, err := a.container(name).NewBlobClient(blob).DownloadStream(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", blob, err)
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(io.LimitReader(answer.Body, maxItem+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", blob, err)
	}
	if len(content) > maxItem {
		return nil, fmt.Errorf("reading %s: it has more than %d bytes", blob, maxItem)
	}
	return content, nil
}
