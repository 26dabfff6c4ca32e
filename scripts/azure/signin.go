package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
)

// appRole is a role of the Entra app that people can be given.
// https://learn.microsoft.com/graph/api/resources/approle
type appRole struct {
	AllowedMemberTypes []string `json:"allowedMemberTypes"`
	Description        string   `json:"description"`
	DisplayName        string   `json:"displayName"`
	ID                 string   `json:"id"`
	IsEnabled          bool     `json:"isEnabled"`
	Value              string   `json:"value"`
}

// roles are those that the connector's pages know.
var roles = []appRole{
	{[]string{"User"}, "Sees status, archive and changes of the X archive connector. Changes nothing.", "Reader", "", true, "Reader"},
	{[]string{"User"}, "Changes settings and jobs of the X archive connector, exports messages.", "Administrator", "", true, "Administrator"},
}

// signIn lets people sign in to the pages with Entra: it makes the roles, and registers the
// address that Entra sends them back to. It only adds, and nobody needs it to come in:
// APISecretKey goes on working. So where the directory refuses, that is said, and the rest
// goes on.
func (h *hook) signIn(ctx context.Context, id, url string) error {
	var app struct {
		Roles []appRole
		URIs  []string
	}
	back := strings.TrimRight(url, "/") + "/Views/Entra/Return"
	err := h.settle(ctx, "the Entra app", errNotFound, func() error {
		return h.az.json(ctx, &app, "ad", "app", "show", "--id", id, "--query", "{roles:appRoles,uris:web.redirectUris}")
	})
	if err != nil {
		return fmt.Errorf("reading the Entra app's roles: %w", err)
	}
	change := []string{"ad", "app", "update", "--id", id}
	list := app.Roles
	for _, r := range roles {
		if slices.ContainsFunc(app.Roles, func(there appRole) bool { return there.Value == r.Value }) {
			continue
		}
		r.ID = uuid.NewString()
		list = append(list, r)
	}
	if len(list) > len(app.Roles) { // a list replaces the one before
		text, err := json.Marshal(list)
		if err != nil {
			return err
		}
		change = append(change, "--app-roles", string(text))
	}
	if !slices.Contains(app.URIs, back) {
		change = append(append(change, "--web-redirect-uris"), append(app.URIs, back)...)
	}
	if len(change) > 5 {
		_, err = h.az.run(ctx, append(change, "--output", "none")...)
	}
	switch {
	case errors.Is(err, errForbidden):
		h.say("\nNobody can sign in with Microsoft yet: you may not change the Entra app, so it has not the roles Reader and Administrator and\n"+
			"the redirect URI (Web) %s. An owner of the app runs `%s` once. APISecretKey works without.", back, h.again("postprovision"))
		return nil
	case err != nil:
		return fmt.Errorf("making the Entra app's roles: %w", err)
	}
	h.say(`
People sign in to the connector's pages with Microsoft once they have a role of the app:
  Microsoft Entra, Enterprise applications, the app %s, Users and groups
  Reader sees everything, Administrator may change it (docs/setup.md, step 6)`, id)
	return nil
}
