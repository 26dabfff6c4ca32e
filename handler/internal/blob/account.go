// Package blob is the connector's way to Azure Blob Storage, and the only package
// that sends anything there: containers that are made when they are first needed,
// writes under a condition, leases, listings, and uploads of any length in bounded
// memory.
//
// An [Account] gives a [Container] of our own; [Shared] opens a container that
// somebody else's SAS URL leads to. Small records are written by
// [Container.Write], everything else by [Container.Upload].
//
// # Errors
//
// Every error of this package is one of the declared ones, the context's own
// cause, or has cause [fault.Storage] or [fault.StorageAccess]. No error holds a
// URL: the query of a shared access signature is a secret.
//
// # Answers that are lost
//
// A request may take effect although its answer never arrives. The SDK then sends
// it again, and a conditional write meets its own effect: the blob is there, or
// has another ETag. [Container.Write] and [Container.Upload] notice when a request
// was sent more than once, compare what is there with what they sent, and report
// success if it is the same. When every attempt fails, the error says so, and the
// write may have taken effect nevertheless: read before writing again.
package blob

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"

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
	HTTP             *http.Client // http.DefaultClient if nil
	Buffers          *Buffers     // of uploads, shared by all containers; unbounded if nil
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
	return &Container{account: a, name: name, buffers: a.Buffers, opening: make(chan struct{}, 1)}
}

// Existing returns the account's container of that name for a reader, which must
// change nothing: it is not made. If it is not there, every method returns
// ErrNoContainer. Nothing is sent yet.
func (a Account) Existing(name string) *Container {
	c := a.Container(name)
	c.existing = true
	return c
}

// Container is a blob container. One of our own account is made when it is first
// used, unless [Account.Existing] gave it. Its methods may be called by several
// goroutines at once.
type Container struct {
	account  Account
	name     string
	existing bool // it is never made
	buffers  *Buffers

	opened  atomic.Pointer[container.Client]
	opening chan struct{} // held by whoever opens the container
}

// Shared returns the container that a container SAS URL leads to. Such a
// container is somebody else's, and is not made. Nothing is sent yet. The error
// says that the URL cannot be read, without repeating it.
func Shared(sasURL string, hc *http.Client, buffers *Buffers) (*Container, error) {
	u, err := url.Parse(sasURL)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return nil, fmt.Errorf("opening a shared container: %w", errAddress)
	}
	client, err := container.NewClientWithNoCredential(sasURL, options(hc))
	if err != nil {
		return nil, fmt.Errorf("opening a shared container: %w", errAddress)
	}
	c := &Container{name: "shared", buffers: buffers}
	c.opened.Store(client)
	return c, nil
}

// client returns the container's client, once the container is known to exist.
func (c *Container) client(ctx context.Context) (*container.Client, error) {
	if client := c.opened.Load(); client != nil {
		return client, nil
	}
	select {
	case c.opening <- struct{}{}:
		defer func() { <-c.opening }()
	case <-ctx.Done():
		return nil, fmt.Errorf("opening blob container %q: %w", c.name, context.Cause(ctx))
	}
	if client := c.opened.Load(); client != nil {
		return client, nil
	}
	client, err := c.open()
	if err != nil {
		return nil, fmt.Errorf("opening blob container %q: %w", c.name, translate(ctx, err))
	}
	if c.existing {
		c.opened.Store(client)
		return client, nil
	}
	_, err = client.Create(ctx, nil)
	// An identity that may write blobs but not make containers is refused. The
	// container is then someone else's to make, and its absence is ErrNoContainer.
	if err != nil && !bloberror.HasCode(err, bloberror.ContainerAlreadyExists, bloberror.AuthorizationPermissionMismatch, bloberror.AuthorizationFailure) {
		return nil, fmt.Errorf("making blob container %q: %w", c.name, translate(ctx, err))
	}
	c.opened.Store(client)
	return client, nil
}

func (c *Container) open() (*container.Client, error) {
	if c.account.ConnectionString == "" {
		return container.NewClient(strings.TrimRight(c.account.URL, "/")+"/"+c.name, c.account.Credential, options(c.account.HTTP))
	}
	return container.NewClientFromConnectionString(c.account.connectionString(), c.name, options(c.account.HTTP))
}

func options(hc *http.Client) *container.ClientOptions {
	if hc == nil {
		hc = http.DefaultClient
	}
	return &container.ClientOptions{ClientOptions: policy.ClientOptions{
		Transport: hc, PerRetryPolicies: []policy.Policy{counting{}}}}
}

// Reach lists one blob, which shows that the container is there and lets the
// connector in. A SAS that allows no listing is refused.
func (c *Container) Reach(ctx context.Context) error {
	client, err := c.client(ctx)
	if err != nil {
		return err
	}
	one := int32(1)
	if _, err := client.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{MaxResults: &one}).NextPage(ctx); err != nil {
		return fmt.Errorf("listing blob container %q: %w", c.name, translate(ctx, err))
	}
	return nil
}
