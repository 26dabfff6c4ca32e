// Package storage opens the organization's own Azure storage account, by
// managed identity or by connection string, and hands out its containers. Nothing
// is sent before a container is first used; one that does not exist is then made.
package storage

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
)

// developmentStorage is what `UseDevelopmentStorage=true` stands for: Azurite on
// its default port, with its published account and key.
// https://learn.microsoft.com/azure/storage/common/storage-use-azurite
const developmentStorage = "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;" +
	"AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;" +
	"BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1;"

// Account is a storage account.
type Account struct {
	// One of these two.
	URL              string // blob endpoint, reached with Credential
	ConnectionString string

	Credential azcore.TokenCredential
	HTTP       *http.Client
}

// Container returns the account's container of that name.
func (a Account) Container(name string) *Container {
	return &Container{account: a, name: name}
}

// Container is a blob container that is made when it is first needed.
type Container struct {
	account Account
	name    string

	mu     sync.Mutex
	client *container.Client
}

// Client is the container's client, once the container is known to exist.
func (c *Container) Client(ctx context.Context) (*container.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.client != nil {
		return c.client, nil
	}
	client, err := c.open()
	if err != nil {
		return nil, fmt.Errorf("opening blob container %q: %w", c.name, err)
	}
	_, err = client.Create(ctx, nil)
	// An identity that may write blobs but not make containers is refused; the
	// container is then someone else's to make, and its absence shows at once.
	if err != nil && !bloberror.HasCode(err, bloberror.ContainerAlreadyExists, bloberror.AuthorizationPermissionMismatch, bloberror.AuthorizationFailure) {
		return nil, fmt.Errorf("making blob container %q: %w", c.name, err)
	}
	c.client = client
	return client, nil
}

// Reach asks the storage service for something of the container, so that it is
// known to be there and to let the connector in.
func (c *Container) Reach(ctx context.Context) error {
	client, err := c.Client(ctx)
	if err != nil {
		return err
	}
	one := int32(1)
	if _, err := client.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{MaxResults: &one}).NextPage(ctx); err != nil {
		return fmt.Errorf("listing blob container %q: %w", c.name, err)
	}
	return nil
}

func (c *Container) open() (*container.Client, error) {
	options := &container.ClientOptions{ClientOptions: policy.ClientOptions{Transport: c.account.HTTP}}
	if c.account.ConnectionString == "" {
		return container.NewClient(strings.TrimRight(c.account.URL, "/")+"/"+c.name, c.account.Credential, options)
	}
	text := c.account.ConnectionString
	if strings.EqualFold(strings.TrimRight(strings.ReplaceAll(text, " ", ""), ";"), "UseDevelopmentStorage=true") {
		text = developmentStorage
	}
	return container.NewClientFromConnectionString(text, c.name, options)
}
