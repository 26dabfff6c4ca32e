package activity

import (
	"context"
	"slices"

	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/twitter"
)

// Check asks X whether it sends events here. Nothing is changed, and nothing costs.
func (k *Keeper) Check(ctx context.Context) error {
	_, hooks, err := k.webhooks(ctx)
	if err != nil {
		return err
	}
	switch at := slices.IndexFunc(hooks, func(h twitter.Webhook) bool { return h.URL == k.opt.Address }); {
	case at < 0:
		return fault.Refuse(fault.XRefused, "X has no webhook for "+k.opt.Address+". The connector registers it at its next tick; if it is not there after some minutes, see the status page.")
	case !hooks[at].Valid:
		return fault.Refuse(fault.XRefused, "X has found that "+k.opt.Address+" does not answer as it must. The connector has X ask again within the hour; see that the address can be reached from the internet.")
	}
	return nil
}
