package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// archiveTag marks the archive's storage account, with the environment's name as
// its value (infra/archive-storage.bicep).
const archiveTag = "xarchive-archive"

// predown stands between `azd down` and the archive. It asks Azure, not the azd
// environment, which archives there are, and lets nothing be deleted whose
// name was not given. When in doubt it refuses.
func (h *hook) predown(ctx context.Context) error {
	env, err := h.setting("AZURE_ENV_NAME")
	if err != nil {
		return err
	}
	subscription, err := h.setting("AZURE_SUBSCRIPTION_ID")
	if err != nil {
		return err
	}
	var accounts []struct{ Name, ID string }
	err = h.az.json(ctx, &accounts, "resource", "list", "--subscription", subscription, "--tag", archiveTag+"="+env, "--query", "[].{name:name,id:id}")
	if err != nil {
		return fmt.Errorf("whether there is an archive cannot be found out, so nothing is deleted: %w", err)
	}
	if len(accounts) == 0 {
		h.say("There is no archive in this environment.")
		return nil
	}
	allowed := strings.FieldsFunc(h.getenv("ALLOW_ARCHIVE_DELETION"), func(r rune) bool { return r == ',' || r == ' ' })
	var kept []string
	for _, a := range accounts {
		h.say("Taking this environment down would delete the storage account %s: %s.\nWith it go all archived messages, their earlier versions, and what soft delete keeps.", a.Name, h.content(ctx, a.ID))
		if !slices.Contains(allowed, a.Name) {
			kept = append(kept, a.Name)
		}
	}
	if len(kept) > 0 {
		return fmt.Errorf("refused. Copy the archive first (docs/operations.md, Take the archive elsewhere). If it is to be deleted: ALLOW_ARCHIVE_DELETION=%s %s", strings.Join(kept, ","), h.down())
	}
	h.say("ALLOW_ARCHIVE_DELETION names it: going on. The Key Vault stays recoverable for 90 days.")
	return nil
}

// content says how much is in an account, by the account's own metrics, which a
// reader of the resource may see without seeing a post. They are up to a day old.
func (h *hook) content(ctx context.Context, accountID string) string {
	var answer struct {
		Value []struct {
			Name       struct{ Value string }
			Timeseries []struct{ Data []struct{ Average *float64 } }
		}
	}
	err := h.az.json(ctx, &answer, "monitor", "metrics", "list", "--resource", accountID+"/blobServices/default",
		"--metrics", "BlobCount", "BlobCapacity", "--aggregation", "Average", "--interval", "PT1H", "--offset", "2d")
	if err != nil {
		return "how much is in it could not be read"
	}
	last := map[string]float64{}
	for _, metric := range answer.Value {
		for _, series := range metric.Timeseries {
			for _, d := range series.Data {
				if d.Average != nil {
					last[metric.Name.Value] = *d.Average
				}
			}
		}
	}
	count, isCounted := last["BlobCount"]
	if !isCounted {
		return "Azure has not counted what is in it yet (it does so once a day)"
	}
	return fmt.Sprintf("about %.0f blobs, %.1f MiB", count, last["BlobCapacity"]/(1<<20))
}

// down is the command that takes the environment down, of which this is a part.
func (h *hook) down() string {
	if h.deployment != "" {
		return h.again("predown")
	}
	return "azd down"
}
