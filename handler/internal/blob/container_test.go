package blob_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"xarchive/handler/internal/blob"
	"xarchive/handler/internal/blob/blobtest"
	"xarchive/handler/internal/fault"
	"xarchive/tests/sandbox/blobs"
)

func TestConditions(t *testing.T) {
	everywhere(t, func(t *testing.T, c *blob.Container) {
		ctx := t.Context()
		_, _, err := c.Read(ctx, "a")
		is(t, "reading what is not there", err, blob.ErrNotFound)
		_, err = c.Stat(ctx, "a")
		is(t, "looking for what is not there", err, blob.ErrNotFound)
		is(t, "removing what is not there", c.Remove(ctx, "a", blob.Condition{}), blob.ErrNotFound)
		_, err = c.Write(ctx, "a", []byte("x"), blob.Condition{ETag: `"0x1"`})
		is(t, "replacing what is not there", err, blob.ErrChanged)

		first, err := c.Write(ctx, "a", []byte("one"), blob.Condition{Absent: true})
		is(t, "making", err, nil)
		_, err = c.Write(ctx, "a", []byte("two"), blob.Condition{Absent: true})
		is(t, "making again", err, blob.ErrExists)
		second, err := c.Write(ctx, "a", []byte("two"), blob.Condition{ETag: first})
		is(t, "replacing", err, nil)
		_, err = c.Write(ctx, "a", []byte("three"), blob.Condition{ETag: first})
		is(t, "replacing an older version", err, blob.ErrChanged)
		is(t, "removing an older version", c.Remove(ctx, "a", blob.Condition{ETag: first}), blob.ErrChanged)
		info, err := c.Stat(ctx, "a")
		if err != nil || info.ETag != second || info.Size != 3 || info.Leased || time.Since(info.Modified) > time.Hour || info.Modified.Location() != time.UTC {
			t.Errorf("what is known of it: %+v, %v; expected ETag %s, size 3, not leased, a time of now in UTC", info, err, second)
		}

		l, err := c.Lease(ctx, "a", second)
		is(t, "leasing", err, nil)
		defer l.Release()
		_, err = c.Lease(ctx, "a", "")
		is(t, "leasing again", err, blob.ErrLeased)
		_, err = c.Write(ctx, "a", []byte("three"), blob.Condition{})
		is(t, "writing without the lease", err, blob.ErrLeased)
		is(t, "removing without the lease", c.Remove(ctx, "a", blob.Condition{ETag: second}), blob.ErrLeased)
		if _, info, err := c.Read(ctx, "a"); err != nil || !info.Leased {
			t.Errorf("reading a leased blob: %+v, %v; expected it to be leased", info, err)
		}
		_, err = c.Write(ctx, "a", []byte("three"), blob.Condition{Lease: l.ID, ETag: second})
		is(t, "writing under the lease", err, nil)
		_, err = c.Lease(ctx, "b", "")
		is(t, "leasing what is not there", err, blob.ErrNotFound)
		l.Release()
		_, err = c.Write(ctx, "a", []byte("four"), blob.Condition{Lease: l.ID})
		is(t, "writing under a lease given back", err, blob.ErrLost)
		_, err = c.Lease(ctx, "a", first)
		is(t, "leasing an older version", err, blob.ErrChanged)
		is(t, "removing", c.Remove(ctx, "a", blob.Condition{}), nil)
		if read := read(t, c, func() string { put(t, c, "z", "last"); return "z" }()); read != "last" {
			t.Errorf("read %q, expected %q", read, "last")
		}
	})
}

func TestListing(t *testing.T) {
	everywhere(t, func(t *testing.T, c *blob.Container) {
		ctx := t.Context()
		for _, name := range []string{"7/2024/01/a b+c%.eml", "7/2024/02/ü.eml", "7/2025/01/x.eml", "70/2024/01/y.eml", "7/z"} {
			if _, err := c.Upload(ctx, name, blob.Upload{Metadata: func(sum string) map[string]string { return map[string]string{"Kind": "k", "sha256": sum} }}, text(name)); err != nil {
				t.Fatal(err)
			}
		}
		var names []string
		for info, err := range c.List(ctx, "7/", true) {
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, info.Name)
			if stat, err := c.Stat(ctx, info.Name); err != nil || stat.ETag != info.ETag || !stat.Modified.Equal(info.Modified) {
				t.Errorf("listed %+v, looked for %+v, %v; expected the same version", info, stat, err)
			}
			if info.Metadata["kind"] != "k" || info.Size != int64(len(info.Name)) || info.ETag == "" {
				t.Errorf("%+v: expected its metadata in lower case, its size and an ETag", info)
			}
		}
		if want := []string{"7/2024/01/a b+c%.eml", "7/2024/02/ü.eml", "7/2025/01/x.eml", "7/z"}; !slices.Equal(names, want) {
			t.Errorf("listed %q, expected %q", names, want)
		}
		for info := range c.List(ctx, "70/", false) {
			is(t, "removing the version that was listed", c.Remove(ctx, info.Name, blob.Condition{ETag: info.ETag}), nil)
			put(t, c, info.Name, "again")
			is(t, "removing it when it was replaced", c.Remove(ctx, info.Name, blob.Condition{ETag: info.ETag}), blob.ErrChanged)
			break // a listing may be left
		}
		for prefix, want := range map[string][]string{"": {"7/", "70/"}, "7/": {"7/2024/", "7/2025/"}, "7/2024/": {"7/2024/01/", "7/2024/02/"}, "8/": nil} {
			if got, err := c.Folders(ctx, prefix); err != nil || !slices.Equal(got, want) {
				t.Errorf("folders of %q: %q, %v; expected %q", prefix, got, err, want)
			}
		}
	})
}

// A listing of several pages is one sequence, and blobs that come and go
// meanwhile do not disturb the others.
func TestListingWhileOthersChange(t *testing.T) {
	s := blobs.New(blobs.Options{PageSize: 3})
	c := blobtest.On(s).Container(blobtest.Name)
	for i := range 10 {
		put(t, c, fmt.Sprintf("a/%02d", i), "x")
	}
	var names []string
	for info, err := range c.List(t.Context(), "a/", false) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, strings.TrimPrefix(info.Name, "a/"))
		if info.Name == "a/01" {
			is(t, "removing", c.Remove(t.Context(), "a/01", blob.Condition{}), nil)
			is(t, "removing", c.Remove(t.Context(), "a/08", blob.Condition{}), nil)
			put(t, c, "a/055", "new")
		}
	}
	if got, want := strings.Join(names, " "), "00 01 02 03 04 05 055 06 07 09"; got != want {
		t.Errorf("listed %s, expected %s", got, want)
	}
	if got, err := c.Folders(t.Context(), ""); err != nil || !slices.Equal(got, []string{"a/"}) {
		t.Errorf("folders over several pages: %q, %v; expected one", got, err)
	}
}

// A write that took effect though its answer was lost is a success, but only if it
// is still what is there.
func TestWriteWhoseAnswerIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := blobtest.Server(t)
		first := put(t, c, "a", "zero")
		s.Before(losing("PutBlob", 1))
		first, err := c.Write(t.Context(), "a", []byte("one"), blob.Condition{ETag: first})
		if now, _ := s.Get(blobtest.Name, "a"); err != nil || first != now.ETag {
			t.Fatalf("by ETag: ETag %s, %v; expected %s", first, err, now.ETag)
		}
		s.Before(losing("PutBlob", 1))
		if _, err = c.Write(t.Context(), "b", []byte("one"), blob.Condition{Absent: true}); err != nil {
			t.Errorf("create-only: %v; expected success", err)
		}
		// Another instance replaces it before the second try.
		s.Before(func(o blobs.Op) error {
			if o.Name != "PutBlob" {
				return nil
			}
			s.Before(nil)
			if _, err := c.Write(background, "a", []byte("theirs"), blob.Condition{ETag: first}); err != nil {
				t.Error(err)
			}
			return &blobs.Drop{}
		})
		_, err = c.Write(t.Context(), "a", []byte("ours"), blob.Condition{ETag: first})
		is(t, "replaced by another instance meanwhile", err, blob.ErrChanged)
		if got := read(t, c, "a"); got != "theirs" {
			t.Errorf("now there: %q, expected the other's", got)
		}
		// Without a second try, the same bytes are somebody else's.
		_, err = c.Write(t.Context(), "b", []byte("one"), blob.Condition{Absent: true})
		is(t, "the same bytes of another", err, blob.ErrExists)
		// When every try fails, the write may have taken effect, and the error says it failed.
		s.Before(losing("PutBlob", 100))
		if _, err = c.Write(t.Context(), "c", []byte("one"), blob.Condition{Absent: true}); fault.CauseOf(err) != fault.Storage {
			t.Errorf("every answer lost: %v; expected cause %s", err, fault.Storage)
		}
		s.Before(losing("DeleteBlob", 1))
		is(t, "a removal whose answer is lost", c.Remove(t.Context(), "b", blob.Condition{}), blob.ErrNotFound)
	})
}

// Containers of our own are made on demand, once; others are not.
func TestContainerOnDemand(t *testing.T) {
	c, s := blobtest.Server(t)
	if got := s.Containers(); len(got) != 0 {
		t.Fatalf("containers before anything is asked: %q", got)
	}
	for range 3 {
		is(t, "reaching", c.Reach(t.Context()), nil)
	}
	if got := s.Calls(); got.ByName["CreateContainer"] != 1 || got.List != 3 {
		t.Errorf("calls %+v; expected one creation and three listings", got.ByName)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("why")
	cancel(why)
	is(t, "an ended context", blobtest.On(s).Container("other").Reach(ctx), why)

	shared, err := blob.Shared("https://blobs.invalid/"+blobs.DefaultAccount+"/elsewhere?sv=2024-01-01&sr=c&sp=cw&sig=hush", s.Client(), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = shared.Write(t.Context(), "a", []byte("x"), blob.Condition{})
	is(t, "writing into a container that is not there", err, blob.ErrNoContainer)
	if errors.Is(err, blob.ErrNotFound) {
		t.Error("a missing container is not a missing blob")
	}
	if slices.Contains(s.Containers(), "elsewhere") {
		t.Error("somebody else's container was made")
	}
}

// An identity that may not make containers works in those that others have made.
func TestContainerOfAnIdentityThatMayNotMakeIt(t *testing.T) {
	c, s := blobtest.Server(t)
	s.Before(func(o blobs.Op) error {
		if o.Name == "CreateContainer" {
			return &blobs.Answer{Status: 403, Code: "AuthorizationPermissionMismatch"}
		}
		return nil
	})
	_, _, err := c.Read(t.Context(), "a")
	is(t, "reading", err, blob.ErrNoContainer)
	s.Before(nil)
	is(t, "another connection", blobtest.On(s).Container(blobtest.Name).Reach(t.Context()), nil)
	put(t, c, "a", "x")
}

func TestEmulated(t *testing.T) {
	for _, test := range []struct {
		account blob.Account
		want    bool
	}{
		{blob.Account{ConnectionString: "UseDevelopmentStorage=true"}, true},
		{blob.Account{ConnectionString: "usedevelopmentstorage = true;"}, true},
		{blob.Account{ConnectionString: "AccountName=a;BlobEndpoint=http://127.0.0.1:10000/a;"}, true},
		{blob.Account{ConnectionString: "AccountName=a; blobendpoint=http://localhost:1/a"}, true},
		{blob.Account{ConnectionString: "AccountName=a;EndpointSuffix=core.windows.net"}, false},
		{blob.Account{ConnectionString: "AccountName=a;BlobEndpoint=https://a.blob.core.windows.net"}, false},
		{blob.Account{URL: "https://a.blob.core.windows.net"}, false},
		{blob.Account{URL: "http://127.0.0.1:10000/a"}, true},
		{blob.Account{}, false},
	} {
		if got := test.account.Emulated(); got != test.want {
			t.Errorf("%q %q: emulated %v, expected %v", test.account.URL, test.account.ConnectionString, got, test.want)
		}
	}
}

// TestExistingContainerIsNotMade: a reader changes nothing.
func TestExistingContainerIsNotMade(t *testing.T) {
	s := blobs.New(blobs.Options{})
	c := blobtest.On(s).Existing("archive")
	_, err := c.Stat(t.Context(), "a")
	is(t, "looking into a container that is not there", err, blob.ErrNoContainer)
	for _, err := range c.List(t.Context(), "", false) {
		is(t, "listing a container that is not there", err, blob.ErrNoContainer)
	}
	_, err = c.Folders(t.Context(), "")
	is(t, "listing the folders of a container that is not there", err, blob.ErrNoContainer)
	if made := s.Containers(); len(made) != 0 {
		t.Errorf("containers %q were made, expected none", made)
	}
	if _, err := blobtest.On(s).Container("archive").Write(t.Context(), "a", []byte("x"), blob.Condition{}); err != nil {
		t.Fatal(err)
	}
	data, _, err := c.Read(t.Context(), "a")
	if string(data) != "x" || err != nil {
		t.Errorf("read %q, %v, expected x", data, err)
	}
}
