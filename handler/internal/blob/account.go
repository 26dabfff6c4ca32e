// Package blob is the connector's way to Azure Blob Storage, and the only user of
// azblob: containers that are made when they are first needed, blobs that can only
// be created, leases, listings, and uploads of any length in bounded memory.
//
// Every error of this package is one of the declared ones, the context's own,
// or has cause [fault.Storage] or [fault.StorageAccess]. No error holds a URL: the
// query of a shared access signature is a secret.
package blob

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"xarchive/handler/internal/loopback"

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

// Account is a storage account. One of URL and ConnectionString is set.
type Account struct {
	URL              string // blob endpoint, reached with Credential
	ConnectionString string // `UseDevelopmentStorage=true` is accepted
	Credential       azcore.TokenCredential
	HTTP             *http.Client
	Buffers          *Buffers // of uploads; shared by all containers
}

// connectionString returns the account's connection string in full.
func (a Account) connectionString() string {
	if strings.EqualFold(strings.TrimRight(strings.ReplaceAll(a.ConnectionString, " ", ""), ";"), "UseDevelopmentStorage=true") {
		return developmentStorage
	}
	return a.ConnectionString
}

// Emulated reports whether the account is an emulator on this machine.
func (a Account) Emulated() bool {
	endpoint := a.URL
	for part := range strings.SplitSeq(a.connectionString(), ";") {
		if name, value, _ := strings.Cut(strings.TrimSpace(part), "="); strings.EqualFold(name, "BlobEndpoint") {
			endpoint = value
		}
	}
	u, err := url.Parse(endpoint)
	return err == nil && loopback.Host(u.Hostname())
}

// Container returns the account's container of that name. Nothing is sent yet.
func (a Account) Container(name string) *Container {
	return &Container{account: a, name: name, buffers: a.Buffers}
}

// Container is a blob container. One of our own account is made when it is first
// used.
type Container struct {
	account Account
	name    string
	buffers *Buffers

	mu     sync.Mutex
	opened *container.Client
}

// Shared returns the container that a container SAS URL leads to. Such a
// container is somebody else's, and is not made. Nothing is sent yet. The error
// says that the URL cannot be read, without repeating it.
func Shared(sasURL string, hc *http.Client, buffers *Buffers) (*Container, error) {
	if u, err := url.Parse(sasURL); err != nil || u.Host == "" {
		return nil, fmt.Errorf("opening a shared container: %w", errAddress)
	}
	client, err := container.NewClientWithNoCredential(sasURL, &container.ClientOptions{
		ClientOptions: policy.ClientOptions{Transport: hc}})
	if err != nil {
		return nil, fmt.Errorf("opening a shared container: %w", errAddress)
	}
	return &Container{name: "shared", opened: client, buffers: buffers}, nil
}

// client returns the container's client, once the container is known to exist.
func (c *Container) client(ctx context.Context) (*container.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.opened != nil {
		return c.opened, nil
	}
	client, err := c.open()
	if err != nil {
		return nil, fmt.Errorf("opening blob container %q: %w", c.name, translate(err))
	}
	_, err = client.Create(ctx, nil)
	// An identity that may write blobs but not make containers is refused; the
	// container is then someone else's to make, and its absence shows at once.
	if err != nil && !bloberror.HasCode(err, bloberror.ContainerAlreadyExists, bloberror.AuthorizationPermissionMismatch, bloberror.AuthorizationFailure) {
		return nil, fmt.Errorf("making blob container %q: %w", c.name, translate(err))
	}
	c.opened = client
	return client, nil
}

func (c *Container) open() (*container.Client, error) {
	options := &container.ClientOptions{ClientOptions: policy.ClientOptions{Transport: c.account.HTTP}}
	if c.account.ConnectionString == "" {
		return container.NewClient(strings.TrimRight(c.account.URL, "/")+"/"+c.name, c.account.Credential, options)
	}
	return container.NewClientFromConnectionString(c.account.connectionString(), c.name, options)
}

// Reach asks the storage service for something of the container, which shows
// that it is there and lets the connector in.
func (c *Container) Reach(ctx context.Context) error {
	client, err := c.client(ctx)
	if err != nil {
		return err
	}
	one := int32(1)
	if _, err := client.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{MaxResults: &one}).NextPage(ctx); err != nil {
		return fmt.Errorf("listing blob container %q: %w", c.name, translate(err))
	}
	return nil
}
