package blobs_test

import (
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/lease"
	"github.com/google/uuid"

	"xarchive/tests/sandbox/blobs"
)

func (s *store) lease(t *testing.T, name, id string) *lease.BlobClient {
	t.Helper()
	l, err := lease.NewBlobClient(s.blob(name), &lease.BlobClientOptions{LeaseID: &id})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestLeases: each case begins with blob "held", leased under id held, and blob
// "free", never leased.
func TestLeases(t *testing.T) {
	held, other := uuid.NewString(), uuid.NewString()
	const (
		idMissing   = "Precondition Failed: LeaseIdMissing"
		idMismatch  = "Precondition Failed: LeaseIdMismatchWithBlobOperation"
		notPresent  = "Precondition Failed: LeaseNotPresentWithBlobOperation"
		opMismatch  = "Conflict: LeaseIdMismatchWithLeaseOperation"
		isPresent   = "Conflict: LeaseAlreadyPresent"
		invalidTime = "Bad Request: InvalidHeaderValue"
	)
	type operation = func(*testing.T, *store) error
	put := func(name, id string) operation {
		return func(t *testing.T, s *store) error {
			o := &blockblob.UploadOptions{}
			if id != "" {
				o.AccessConditions = withLease(id)
			}
			_, err := s.upload(t.Context(), name, "new", o)
			return err
		}
	}
	commit := func(name, id string) operation {
		return func(t *testing.T, s *store) error {
			o := &blockblob.CommitBlockListOptions{}
			if id != "" {
				o.AccessConditions = withLease(id)
			}
			_, err := s.blob(name).CommitBlockList(t.Context(), nil, o)
			return err
		}
	}
	remove := func(name, id string) operation {
		return func(t *testing.T, s *store) error {
			o := &blob.DeleteOptions{}
			if id != "" {
				o.AccessConditions = withLease(id)
			}
			_, err := s.blob(name).Delete(t.Context(), o)
			return err
		}
	}
	get := func(name, id string) operation {
		return func(t *testing.T, s *store) error {
			o := &blob.DownloadStreamOptions{}
			if id != "" {
				o.AccessConditions = withLease(id)
			}
			_, err := s.read(t, name, o)
			return err
		}
	}
	acquire := func(name, id string, seconds int32) operation {
		return func(t *testing.T, s *store) error {
			_, err := s.lease(t, name, id).AcquireLease(t.Context(), seconds, nil)
			return err
		}
	}
	renew := func(name, id string) operation {
		return func(t *testing.T, s *store) error {
			_, err := s.lease(t, name, id).RenewLease(t.Context(), nil)
			return err
		}
	}
	release := func(name, id string) operation {
		return func(t *testing.T, s *store) error {
			_, err := s.lease(t, name, id).ReleaseLease(t.Context(), nil)
			return err
		}
	}
	for _, c := range []struct {
		name     string
		do       operation
		expected string
	}{
		{"put without the id", put("held", ""), idMissing},
		{"put with another id", put("held", other), idMismatch},
		{"put with the id", put("held", held), "ok"},
		{"put with an id where no lease is", put("free", held), notPresent},
		{"put with an id where no blob is", put("new", held), "ok"},
		{"commit without the id", commit("held", ""), idMissing},
		{"commit with the id", commit("held", held), "ok"},
		{"delete without the id", remove("held", ""), idMissing},
		{"delete with another id", remove("held", other), idMismatch},
		{"delete with the id", remove("held", held), "ok"},
		{"delete with an id where no lease is", remove("free", held), notPresent},
		{"get without the id", get("held", ""), "ok"},
		{"get with the id", get("held", held), "ok"},
		{"get with another id", get("held", other), idMismatch},
		{"get with an id where no lease is", get("free", held), notPresent},
		{"block without the id", func(t *testing.T, s *store) error {
			_, err := s.blob("held").StageBlock(t.Context(), "MQ==", streaming.NopCloser(strings.NewReader("x")), nil)
			return err
		}, idMissing},
		{"acquire what is held", acquire("held", other, 15), isPresent},
		{"acquire what one holds", acquire("held", held, 60), "ok"},
		{"acquire for too short a time", acquire("free", other, 14), invalidTime},
		{"acquire for too long a time", acquire("free", other, 61), invalidTime},
		{"acquire for ever", acquire("free", other, -1), "ok"},
		{"acquire what is not there", acquire("new", other, 15), "Not Found: BlobNotFound"},
		{"renew", renew("held", held), "ok"},
		{"renew with another id", renew("held", other), opMismatch},
		{"renew what was never leased", renew("free", other), opMismatch},
		{"renew what is not there", renew("new", other), "Not Found: BlobNotFound"},
		{"release", release("held", held), "ok"},
		{"release with another id", release("held", other), opMismatch},
		{"release what was never leased", release("free", other), opMismatch},
		{"acquire what was released", func(t *testing.T, s *store) error {
			want(t, release("held", held)(t, s), "ok")
			return acquire("held", other, 15)(t, s)
		}, "ok"},
		{"renew what was released", func(t *testing.T, s *store) error {
			want(t, release("held", held)(t, s), "ok")
			return renew("held", held)(t, s)
		}, opMismatch},
		{"renew after a put", func(t *testing.T, s *store) error {
			want(t, put("held", held)(t, s), "ok")
			return renew("held", held)(t, s)
		}, "ok"},
		{"renew what was deleted and put again", func(t *testing.T, s *store) error {
			want(t, remove("held", held)(t, s), "ok")
			want(t, put("held", "")(t, s), "ok")
			return renew("held", held)(t, s)
		}, opMismatch},
		{"put if nothing is there, where a lease is", func(t *testing.T, s *store) error {
			_, err := s.upload(t.Context(), "held", "new", &blockblob.UploadOptions{AccessConditions: ifNoneMatch("*")})
			return err
		}, "Conflict: BlobAlreadyExists"},
		{"acquire if unchanged, and it changed", func(t *testing.T, s *store) error {
			_, err := s.lease(t, "free", other).AcquireLease(t.Context(), 15, &lease.BlobAcquireOptions{ModifiedAccessConditions: ifMatch(otherTag).ModifiedAccessConditions})
			return err
		}, "Precondition Failed: ConditionNotMet"},
	} {
		t.Run(c.name, func(t *testing.T) {
			eachStore(t, func(t *testing.T, s *store) {
				s.put(t, "held", "old")
				s.put(t, "free", "old")
				want(t, acquire("held", held, 30)(t, s), "ok")
				want(t, c.do(t, s), c.expected)
			})
		})
	}
}

// TestLeaseShown: properties and listings say that a blob is leased, and the lease
// leaves its ETag alone.
func TestLeaseShown(t *testing.T) {
	eachStore(t, func(t *testing.T, s *store) {
		tag, id := s.put(t, "a", "x"), uuid.NewString()
		got, err := s.lease(t, "a", id).AcquireLease(t.Context(), 15, nil)
		if err != nil || *got.LeaseID != id {
			t.Fatalf("acquired %v, %v, expected %s", got.LeaseID, err, id)
		}
		head, err := s.blob("a").GetProperties(t.Context(), nil)
		if err != nil || *head.LeaseState != "leased" || *head.LeaseStatus != "locked" || *head.LeaseDuration != "fixed" || *head.ETag != tag {
			t.Errorf("the properties say %v %v %v %v, %v", *head.LeaseState, *head.LeaseStatus, *head.LeaseDuration, *head.ETag, err)
		}
		page, err := s.container.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{MaxResults: to.Ptr(int32(1))}).NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if p := page.Segment.BlobItems[0].Properties; *p.LeaseState != "leased" || *p.LeaseStatus != "locked" || *p.LeaseDuration != "fixed" {
			t.Errorf("the listing says %v %v %v", *p.LeaseState, *p.LeaseStatus, *p.LeaseDuration)
		}
	})
}

// TestLeaseExpires follows the documented table of what a lease that ran out allows.
// It has a clock of its own, so it cannot run against Azurite.
// https://learn.microsoft.com/rest/api/storageservices/lease-blob#outcomes-of-lease-operations-on-blobs-by-lease-state
func TestLeaseExpires(t *testing.T) {
	id, other := uuid.NewString(), uuid.NewString()
	for _, c := range []struct {
		name     string
		do       func(*testing.T, *store) error
		expected string
	}{
		{"renewed, as nobody wrote", func(t *testing.T, s *store) error {
			_, err := s.lease(t, "a", id).RenewLease(t.Context(), nil)
			return err
		}, "ok"},
		{"not renewed after a write", func(t *testing.T, s *store) error {
			s.put(t, "a", "new")
			_, err := s.lease(t, "a", id).RenewLease(t.Context(), nil)
			return err
		}, "Conflict: LeaseIdMismatchWithLeaseOperation"},
		{"not renewed once another holds it", func(t *testing.T, s *store) error {
			if _, err := s.lease(t, "a", other).AcquireLease(t.Context(), 15, nil); err != nil {
				t.Fatal(err)
			}
			_, err := s.lease(t, "a", id).RenewLease(t.Context(), nil)
			return err
		}, "Conflict: LeaseIdMismatchWithLeaseOperation"},
		{"released", func(t *testing.T, s *store) error {
			_, err := s.lease(t, "a", id).ReleaseLease(t.Context(), nil)
			return err
		}, "ok"},
		{"no write with its id", func(t *testing.T, s *store) error {
			_, err := s.upload(t.Context(), "a", "new", &blockblob.UploadOptions{AccessConditions: withLease(id)})
			return err
		}, "Precondition Failed: LeaseNotPresentWithBlobOperation"},
		{"deleted without its id", func(t *testing.T, s *store) error {
			_, err := s.blob("a").Delete(t.Context(), nil)
			return err
		}, "ok"},
	} {
		t.Run(c.name, func(t *testing.T) {
			now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
			server := blobs.New(blobs.Options{Now: func() time.Time { return now }})
			s := &store{connection: server.ConnectionString(), http: server.Client()}
			s.container = s.open(t, "leases")
			if _, err := s.container.Create(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			s.put(t, "a", "old")
			if _, err := s.lease(t, "a", id).AcquireLease(t.Context(), 15, nil); err != nil {
				t.Fatal(err)
			}
			now = now.Add(15*time.Second - 1)
			if b, _ := server.Get("leases", "a"); b.LeaseID != id {
				t.Errorf("the lease is %q before its end, expected %s", b.LeaseID, id)
			}
			now = now.Add(1)
			head, err := s.blob("a").GetProperties(t.Context(), nil)
			if err != nil || *head.LeaseState != "expired" || *head.LeaseStatus != "unlocked" {
				t.Errorf("the lease is %v and %v (%v), expected it expired", *head.LeaseState, *head.LeaseStatus, err)
			}
			want(t, c.do(t, s), c.expected)
		})
	}
}
