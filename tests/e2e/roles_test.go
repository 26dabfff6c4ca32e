package e2e

import (
	"encoding/json"
	"os"
	"slices"
	"sync"
	"testing"

	"xarchive/tests/sandbox"
	"xarchive/tests/sandbox/blobs"
	"xarchive/tests/sandbox/importservice"
)

// dataActions is what Azure asks of a role for each call.
// https://learn.microsoft.com/rest/api/storageservices/authorize-with-azure-active-directory#permissions-for-blob-service-operations
var dataActions = map[string]string{
	"ListBlobs": "blobs/read", "GetBlob": "blobs/read", "GetBlobProperties": "blobs/read",
	"PutBlob": "blobs/write", "PutBlock": "blobs/write", "PutBlockList": "blobs/write", "SetBlobMetadata": "blobs/write",
	"AcquireLease": "blobs/write", "RenewLease": "blobs/write", "ReleaseLease": "blobs/write",
	"DeleteBlob": "blobs/delete",
}

// archiveRole reads what the deployment's own role allows on the archive.
func archiveRole(t *testing.T) (allowed []string) {
	t.Helper()
	text, err := os.ReadFile("../infra/testdata/default.snapshot.json")
	if err != nil {
		t.Fatal(err)
	}
	var s struct {
		PredictedResources []struct {
			Type       string
			Properties struct {
				Permissions []struct{ DataActions []string }
			}
		}
	}
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	for _, r := range s.PredictedResources {
		for _, p := range r.Properties.Permissions {
			allowed = append(allowed, p.DataActions...)
		}
	}
	if len(allowed) == 0 {
		t.Fatal("the deployment has no role of its own")
	}
	return allowed
}

// TestArchiveRoleIsEnough: the whole job, while the
// storage account refuses whatever the roles of a deployment do not allow: on the
// archive container all but its role, on both to make or to delete a container.
func TestArchiveRoleIsEnough(t *testing.T) {
	t.Parallel()
	w := start(t, sandbox.Options{InMemory: true})
	for _, name := range []string{"archive", "connector-state"} {
		if _, err := w.container(name).Create(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
	}
	allowed := archiveRole(t)
	var mu sync.Mutex
	asked, refused := map[string]bool{}, map[string]bool{}
	w.Memory.Before(func(op blobs.Op) error {
		mu.Lock()
		defer mu.Unlock()
		asked[op.Container+" "+op.Name] = true
		action, isData := dataActions[op.Name]
		if isData && (op.Container != "archive" || slices.Contains(allowed, "Microsoft.Storage/storageAccounts/blobServices/containers/"+action)) {
			return nil
		}
		refused[op.Container+" "+op.Name] = true
		return &blobs.Answer{Status: 403, Code: "AuthorizationPermissionMismatch"}
	})
	account := w.Corpus.Accounts()[0]
	w.connect("job", account)
	w.request(importservice.Task{JobID: "job", TaskID: "all", Start: beginning, End: w.newest()})
	w.tick()
	w.Memory.Before(nil)
	w.wantArchived(account, w.Corpus.All(account))
	w.wantDelivered("job", "all", importservice.Success, w.Corpus.All(account))
	w.wantClean()
	mu.Lock()
	defer mu.Unlock()
	for _, call := range []string{"archive PutBlob", "archive ListBlobs", "archive GetBlob", "connector-state DeleteBlob", "connector-state AcquireLease"} {
		if !asked[call] {
			t.Errorf("there was no %s: this test proves less than it should", call)
		}
	}
	// That a container is there is found out by making it; the refusal is no trouble.
	delete(refused, "archive CreateContainer")
	delete(refused, "connector-state CreateContainer")
	for call := range refused {
		t.Errorf("the roles do not allow %s", call)
	}
}
