package blobs_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
)

const otherTag = azcore.ETag(`"0x8D0000000000000"`)

func TestConditions(t *testing.T) {
	type operation = func(*testing.T, *store, *blob.AccessConditions) error
	put := func(name string) operation {
		return func(t *testing.T, s *store, c *blob.AccessConditions) error {
			_, err := s.upload(t.Context(), name, "new", &blockblob.UploadOptions{AccessConditions: c})
			return err
		}
	}
	commit := func(name string) operation {
		return func(t *testing.T, s *store, c *blob.AccessConditions) error {
			id := base64.StdEncoding.EncodeToString([]byte("1"))
			if _, err := s.blob(name).StageBlock(t.Context(), id, streaming.NopCloser(strings.NewReader("new")), nil); err != nil {
				t.Fatal(err)
			}
			_, err := s.blob(name).CommitBlockList(t.Context(), []string{id}, &blockblob.CommitBlockListOptions{AccessConditions: c})
			return err
		}
	}
	get := func(name string) operation {
		return func(t *testing.T, s *store, c *blob.AccessConditions) error {
			answer, err := s.blob(name).DownloadStream(t.Context(), &blob.DownloadStreamOptions{AccessConditions: c})
			if err != nil {
				return err
			}
			if answer.ErrorCode != nil { // azblob before v1.8.1 takes 304 for no error
				return errors.New("Not Modified: " + *answer.ErrorCode)
			}
			return answer.Body.Close()
		}
	}
	head := func(name string) operation {
		return func(t *testing.T, s *store, c *blob.AccessConditions) error {
			_, err := s.blob(name).GetProperties(t.Context(), &blob.GetPropertiesOptions{AccessConditions: c})
			return err
		}
	}
	remove := func(name string) operation {
		return func(t *testing.T, s *store, c *blob.AccessConditions) error {
			_, err := s.blob(name).Delete(t.Context(), &blob.DeleteOptions{AccessConditions: c})
			return err
		}
	}
	metadata := func(name string) operation {
		return func(t *testing.T, s *store, c *blob.AccessConditions) error {
			_, err := s.blob(name).SetMetadata(t.Context(), map[string]*string{"a": to.Ptr("b")}, &blob.SetMetadataOptions{AccessConditions: c})
			return err
		}
	}
	const same = azcore.ETag("that of the blob")
	const notMet = "Precondition Failed: ConditionNotMet"
	for _, c := range []struct {
		name              string
		do                operation
		match, none       azcore.ETag
		expected, azurite string // azurite is "" where it agrees
	}{
		{name: "put over a blob", do: put("there"), expected: "ok"},
		{name: "put if nothing is there, and there is", do: put("there"), none: "*", expected: "Conflict: BlobAlreadyExists"},
		{name: "put if nothing is there", do: put("new"), none: "*", expected: "ok"},
		{name: "put if unchanged", do: put("there"), match: same, expected: "ok"},
		{name: "put if unchanged, and it changed", do: put("there"), match: otherTag, expected: notMet},
		{name: "put if unchanged, and it is gone", do: put("new"), match: otherTag, expected: notMet},
		// "Specify the wildcard character (*) to perform the operation only if the resource does exist":
		// https://learn.microsoft.com/rest/api/storageservices/specifying-conditional-headers-for-blob-service-operations
		{name: "put if anything is there, and nothing is", do: put("new"), match: "*", expected: notMet, azurite: "ok"},
		{name: "put if changed, and it did not", do: put("there"), none: same, expected: notMet},
		{name: "commit over a blob", do: commit("there"), expected: "ok"},
		{name: "commit if nothing is there, and there is", do: commit("there"), none: "*", expected: "Conflict: BlobAlreadyExists"},
		{name: "commit if nothing is there but blocks", do: commit("new"), none: "*", expected: "ok"},
		{name: "commit if unchanged, and it changed", do: commit("there"), match: otherTag, expected: notMet},
		{name: "get if unchanged", do: get("there"), match: same, expected: "ok"},
		{name: "get if unchanged, and it changed", do: get("there"), match: otherTag, expected: notMet},
		{name: "get if changed, and it did not", do: get("there"), none: same, expected: "Not Modified: ConditionNotMet"},
		{name: "get if changed", do: get("there"), none: otherTag, expected: "ok"},
		{name: "get what is not there", do: get("new"), expected: "Not Found: BlobNotFound"},
		{name: "get if unchanged, and it is gone", do: get("new"), match: otherTag, expected: notMet},
		{name: "head of what is not there", do: head("new"), expected: "Not Found: BlobNotFound"},
		{name: "head if changed, and it did not", do: head("there"), none: same, expected: "Not Modified: ConditionNotMet"},
		{name: "head if unchanged, and it changed", do: head("there"), match: otherTag, expected: notMet},
		{name: "delete", do: remove("there"), expected: "ok"},
		{name: "delete what is not there", do: remove("new"), expected: "Not Found: BlobNotFound"},
		{name: "delete if unchanged", do: remove("there"), match: same, expected: "ok"},
		{name: "delete if unchanged, and it changed", do: remove("there"), match: otherTag, expected: notMet},
		// "Specify the wildcard character (*) to perform the operation only if the resource does not exist", same page.
		{name: "delete if nothing is there, and there is", do: remove("there"), none: "*", expected: notMet, azurite: "ok"},
		{name: "metadata", do: metadata("there"), expected: "ok"},
		{name: "metadata of what is not there", do: metadata("new"), expected: "Not Found: BlobNotFound"},
		{name: "metadata if unchanged, and it changed", do: metadata("there"), match: otherTag, expected: notMet},
	} {
		t.Run(c.name, func(t *testing.T) {
			eachStore(t, func(t *testing.T, s *store) {
				tag := s.put(t, "there", "old")
				conditions := &blob.ModifiedAccessConditions{}
				for given, to := range map[azcore.ETag]**azcore.ETag{c.match: &conditions.IfMatch, c.none: &conditions.IfNoneMatch} {
					switch given {
					case "":
					case same:
						*to = &tag
					default:
						*to = &given
					}
				}
				expected := c.expected
				if c.azurite != "" {
					expected = s.either(c.expected, c.azurite)
				}
				want(t, c.do(t, s, &blob.AccessConditions{ModifiedAccessConditions: conditions}), expected)
			})
		})
	}
}
