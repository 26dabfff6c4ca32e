package blobs_test

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
)

func ifMatch(tag azcore.ETag) *blob.AccessConditions {
	return &blob.AccessConditions{ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfMatch: &tag}}
}

func ifNoneMatch(tag azcore.ETag) *blob.AccessConditions {
	return &blob.AccessConditions{ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfNoneMatch: &tag}}
}

func withLease(id string) *blob.AccessConditions {
	return &blob.AccessConditions{LeaseAccessConditions: &blob.LeaseAccessConditions{LeaseID: &id}}
}

func (s *store) read(t *testing.T, name string, o *blob.DownloadStreamOptions) (string, error) {
	t.Helper()
	got, err := s.blob(name).DownloadStream(t.Context(), o)
	if err != nil {
		return "", err
	}
	if got.Body == nil { // how the SDK reports status 304
		return "", &azcore.ResponseError{StatusCode: http.StatusNotModified, ErrorCode: *got.ErrorCode}
	}
	defer got.Body.Close()
	content, err := io.ReadAll(got.Body)
	return string(content), err
}

func TestETags(t *testing.T) {
	eachStore(t, func(t *testing.T, s *store) {
		first := s.put(t, "a", "one")
		second := s.put(t, "a", "one")
		if first == second || !strings.HasPrefix(string(first), `"`) {
			t.Errorf("the ETags of two writes are %s and %s, expected quoted ones that differ", first, second)
		}
		got, err := s.blob("a").GetProperties(t.Context(), nil)
		if err != nil || *got.ETag != second || got.LastModified.IsZero() {
			t.Errorf("the properties say %v, %v, expected ETag %s", got.ETag, err, second)
		}
		set, err := s.blob("a").SetMetadata(t.Context(), map[string]*string{"k": to.Ptr("v")}, nil)
		if err != nil || *set.ETag == second {
			t.Errorf("metadata left the ETag %v (%v), expected a new one", set.ETag, err)
		}
		page, err := s.container.NewListBlobsFlatPager(nil).NextPage(t.Context())
		if err != nil || len(page.Segment.BlobItems) != 1 {
			t.Fatalf("listing: %v", err)
		}
		item := page.Segment.BlobItems[0].Properties
		if `"`+string(*item.ETag)+`"` != string(*set.ETag) {
			t.Errorf("the listing says ETag %s, expected %s without its quotes", *item.ETag, *set.ETag)
		}
		if *item.ContentLength != 3 || item.LastModified.IsZero() || *item.LeaseState != "available" || *item.LeaseStatus != "unlocked" {
			t.Errorf("the listing says %d bytes, time %v, lease %s and %s", *item.ContentLength, item.LastModified, *item.LeaseState, *item.LeaseStatus)
		}
	})
}

func TestContent(t *testing.T) {
	eachStore(t, func(t *testing.T, s *store) {
		done, err := s.upload(t.Context(), "a/b c+ü%.txt", "one", &blockblob.UploadOptions{
			HTTPHeaders: &blob.HTTPHeaders{BlobContentType: to.Ptr("text/plain"), BlobContentDisposition: to.Ptr("attachment")},
			Metadata:    map[string]*string{"posted": to.Ptr("today"), "count": to.Ptr("3")},
		})
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.blob("a/b c+ü%.txt").DownloadStream(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(got.Body)
		if err != nil || string(content) != "one" {
			t.Errorf("read %q, %v", content, err)
		}
		sum := md5.Sum([]byte("one"))
		if *got.ETag != *done.ETag || *got.ContentType != "text/plain" || *got.ContentDisposition != "attachment" || !bytes.Equal(got.ContentMD5, sum[:]) || *got.ContentLength != 3 {
			t.Errorf("the headers are %v, %v, %v, %x, %v", *got.ETag, *got.ContentType, *got.ContentDisposition, got.ContentMD5, *got.ContentLength)
		}
		names := slices.Sorted(maps.Keys(got.Metadata))
		if strings.ToLower(strings.Join(names, " ")) != "count posted" {
			t.Errorf("the metadata are %v", names)
		}
		if *got.LeaseState != "available" || *got.LeaseStatus != "unlocked" || *got.BlobType != "BlockBlob" {
			t.Errorf("the lease is %s, %s", *got.LeaseState, *got.LeaseStatus)
		}
	})
}

func TestRanges(t *testing.T) {
	const text, unsatisfiable = "0123456789", "Requested Range Not Satisfiable: InvalidRange"
	for _, c := range []struct {
		offset, count              int64
		content, expected, azurite string
	}{
		{0, 4, "0123", "ok", "ok"},
		{3, 0, "3456789", "ok", "ok"},
		{8, 50, "89", "ok", "ok"},
		{50, 1, "", unsatisfiable, unsatisfiable},
		// RFC 9110, section 14.1.2: a range that begins at the length is not satisfiable.
		{10, 1, "", unsatisfiable, "ok"},
	} {
		t.Run(fmt.Sprint(c.offset, " ", c.count), func(t *testing.T) {
			eachStore(t, func(t *testing.T, s *store) {
				s.put(t, "a", text)
				got, err := s.read(t, "a", &blob.DownloadStreamOptions{Range: blob.HTTPRange{Offset: c.offset, Count: c.count}})
				want(t, err, s.either(c.expected, c.azurite))
				if got != c.content {
					t.Errorf("read %q, expected %q", got, c.content)
				}
			})
		})
	}
}

func TestContainers(t *testing.T) {
	eachStore(t, func(t *testing.T, s *store) {
		_, err := s.container.Create(t.Context(), nil)
		want(t, err, "Conflict: ContainerAlreadyExists")
		_, err = s.container.GetProperties(t.Context(), nil)
		want(t, err, "ok")
		_, err = s.open(t, "Not-A-Name").Create(t.Context(), nil)
		want(t, err, "Bad Request: InvalidResourceName")
		missing := &store{container: s.open(t, "t-missing"), azurite: s.azurite}
		const gone = "Not Found: ContainerNotFound"
		_, err = missing.upload(t.Context(), "a", "x", nil)
		want(t, err, gone)
		_, err = missing.read(t, "a", nil)
		want(t, err, gone)
		_, err = missing.blob("a").GetProperties(t.Context(), nil)
		want(t, err, gone)
		_, err = missing.blob("a").Delete(t.Context(), nil)
		want(t, err, gone)
		_, err = missing.container.NewListBlobsFlatPager(nil).NextPage(t.Context())
		want(t, err, gone)
		_, err = missing.container.Delete(t.Context(), nil)
		want(t, err, gone)
	})
}

func TestBlocks(t *testing.T) {
	id := func(n int) string { return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%04d", n)) }
	stage := func(t *testing.T, s *store, n int, text string) {
		t.Helper()
		if _, err := s.blob("a").StageBlock(t.Context(), id(n), streaming.NopCloser(strings.NewReader(text)), nil); err != nil {
			t.Fatal(err)
		}
	}
	eachStore(t, func(t *testing.T, s *store) {
		stage(t, s, 1, "one ")
		stage(t, s, 2, "two ")
		_, err := s.read(t, "a", nil)
		want(t, err, "Not Found: BlobNotFound") // blocks alone are no blob
		page, err := s.container.NewListBlobsFlatPager(nil).NextPage(t.Context())
		if err != nil || len(page.Segment.BlobItems) != 0 {
			t.Errorf("the listing shows a blob that is not committed: %v", err)
		}
		_, err = s.blob("a").CommitBlockList(t.Context(), []string{id(1), id(3)}, nil)
		want(t, err, "Bad Request: InvalidBlockList")
		_, err = s.blob("a").CommitBlockList(t.Context(), []string{id(2), id(1)}, nil)
		want(t, err, "ok")
		got, err := s.read(t, "a", nil)
		if err != nil || got != "two one " {
			t.Errorf("read %q, %v", got, err)
		}
		stage(t, s, 2, "zwei ")
		_, err = s.blob("a").CommitBlockList(t.Context(), []string{id(1), id(2)}, nil) // one block is committed, one is new
		want(t, err, "ok")
		if got, err = s.read(t, "a", nil); err != nil || got != "one zwei " {
			t.Errorf("read %q, %v", got, err)
		}
		_, err = s.blob("a").StageBlock(t.Context(), "not base64!", streaming.NopCloser(strings.NewReader("x")), nil)
		want(t, err, "Bad Request: InvalidQueryParameterValue")
	})
}

func TestStreams(t *testing.T) {
	eachStore(t, func(t *testing.T, s *store) {
		content := strings.Repeat("0123456789", 250_000)
		_, err := s.blob("long").UploadStream(t.Context(), strings.NewReader(content), &blockblob.UploadStreamOptions{BlockSize: 1 << 20, Concurrency: 3})
		want(t, err, "ok")
		got, err := s.read(t, "long", nil)
		if err != nil || got != content {
			t.Errorf("read %d bytes, %v, expected %d", len(got), err, len(content))
		}
	})
}

func TestListing(t *testing.T) {
	eachStore(t, func(t *testing.T, s *store) {
		for _, name := range []string{"a", "b/1", "b/2", "b/c/3", "d & <e>", "f"} {
			if _, err := s.upload(t.Context(), name, name, &blockblob.UploadOptions{Metadata: map[string]*string{"word": to.Ptr(name[:1])}}); err != nil {
				t.Fatal(err)
			}
		}
		flat := func(o *container.ListBlobsFlatOptions) (names []string) {
			for pager := s.container.NewListBlobsFlatPager(o); pager.More(); {
				page, err := pager.NextPage(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if o != nil && o.MaxResults != nil && len(page.Segment.BlobItems) > int(*o.MaxResults) {
					t.Errorf("a page has %d names, expected at most %d", len(page.Segment.BlobItems), *o.MaxResults)
				}
				for _, item := range page.Segment.BlobItems {
					names = append(names, *item.Name)
					if word := item.Metadata["word"]; o != nil && o.Include.Metadata && (word == nil || *word != (*item.Name)[:1]) {
						t.Errorf("%s has metadata %v", *item.Name, item.Metadata)
					}
				}
			}
			return names
		}
		deep := func(prefix string, most int32) (names []string) {
			for pager := s.container.NewListBlobsHierarchyPager("/", &container.ListBlobsHierarchyOptions{Prefix: &prefix, MaxResults: &most}); pager.More(); {
				page, err := pager.NextPage(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				for _, item := range page.Segment.BlobPrefixes {
					names = append(names, *item.Name)
				}
				for _, item := range page.Segment.BlobItems {
					names = append(names, *item.Name)
				}
			}
			slices.Sort(names)
			return names
		}
		for _, c := range []struct {
			what     string
			got      []string
			expected string
		}{
			{"all", flat(nil), "a|b/1|b/2|b/c/3|d & <e>|f"},
			{"in pages", flat(&container.ListBlobsFlatOptions{MaxResults: to.Ptr(int32(2)), Include: container.ListBlobsInclude{Metadata: true}}), "a|b/1|b/2|b/c/3|d & <e>|f"},
			{"with a prefix", flat(&container.ListBlobsFlatOptions{Prefix: to.Ptr("b/")}), "b/1|b/2|b/c/3"},
			{"with a prefix, in pages", flat(&container.ListBlobsFlatOptions{Prefix: to.Ptr("b/"), MaxResults: to.Ptr(int32(1))}), "b/1|b/2|b/c/3"},
			{"with a prefix of nothing", flat(&container.ListBlobsFlatOptions{Prefix: to.Ptr("z")}), ""},
			{"the top", deep("", 10), "a|b/|d & <e>|f"},
			{"the top, in pages", deep("", 1), "a|b/|d & <e>|f"},
			{"a folder", deep("b/", 10), "b/1|b/2|b/c/"},
		} {
			if got := strings.Join(c.got, "|"); got != c.expected {
				t.Errorf("listing %s: %s, expected %s", c.what, got, c.expected)
			}
		}
	})
}

// TestRefused: a request that is neither signed nor has a SAS learns nothing.
func TestRefused(t *testing.T) {
	eachStore(t, func(t *testing.T, s *store) {
		s.put(t, "a", "secret")
		answer, err := s.http.Get(s.blob("a").URL())
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode != http.StatusForbidden || answer.Header.Get("x-ms-error-code") != "AuthorizationFailure" || strings.Contains(string(body), "secret") {
			t.Errorf("status %d, code %s, %v: expected a refusal", answer.StatusCode, answer.Header.Get("x-ms-error-code"), err)
		}
	})
}
