package keyvault

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	azfake "github.com/Azure/azure-sdk-for-go/sdk/azcore/fake"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets/fake"
)

// pageSize is the most that Key Vault lists in one answer.
const pageSize = 25

// request is one request: its vault, and what the fake does not pass on.
type request struct {
	vault *vault
	url   *url.URL // scheme and host included
}

// server is Azure's fake server for one request. The fake keeps the state of
// listings by path, which would mix the listings of two clients; so each request has
// a fake of its own, and the next link says where to go on.
func (r request) server() *fake.Server {
	return &fake.Server{
		GetSecret: func(_ context.Context, name, id string, _ *azsecrets.GetSecretOptions) (azfake.Responder[azsecrets.GetSecretResponse], azfake.ErrorResponder) {
			v, err := r.vault.get(name, id)
			return respond(azsecrets.GetSecretResponse{Secret: r.secret(name, v)}, err)
		},
		SetSecret: func(_ context.Context, name string, p azsecrets.SetSecretParameters, _ *azsecrets.SetSecretOptions) (azfake.Responder[azsecrets.SetSecretResponse], azfake.ErrorResponder) {
			if p.Value == nil {
				return respond(azsecrets.SetSecretResponse{}, bad("Property value is missing."))
			}
			added := version{value: *p.Value, contentType: p.ContentType, tags: p.Tags}
			added.apply(p.SecretAttributes)
			v, err := r.vault.set(name, added, false)
			return respond(azsecrets.SetSecretResponse{Secret: r.secret(name, v)}, err)
		},
		UpdateSecretProperties: func(_ context.Context, name, id string, p azsecrets.UpdateSecretPropertiesParameters, _ *azsecrets.UpdateSecretPropertiesOptions) (azfake.Responder[azsecrets.UpdateSecretPropertiesResponse], azfake.ErrorResponder) {
			v, err := r.vault.update(name, id, func(v *version) {
				v.apply(p.SecretAttributes)
				if p.ContentType != nil {
					v.contentType = p.ContentType
				}
				if p.Tags != nil {
					v.tags = p.Tags
				}
			})
			answer := r.secret(name, v)
			answer.Value = nil // never in this answer
			return respond(azsecrets.UpdateSecretPropertiesResponse{Secret: answer}, err)
		},
		DeleteSecret: func(_ context.Context, name string, _ *azsecrets.DeleteSecretOptions) (azfake.Responder[azsecrets.DeleteSecretResponse], azfake.ErrorResponder) {
			s, err := r.vault.remove(name)
			return respond(azsecrets.DeleteSecretResponse{DeletedSecret: r.deleted(s)}, err)
		},
		GetDeletedSecret: func(_ context.Context, name string, _ *azsecrets.GetDeletedSecretOptions) (azfake.Responder[azsecrets.GetDeletedSecretResponse], azfake.ErrorResponder) {
			s, err := r.vault.getDeleted(name)
			return respond(azsecrets.GetDeletedSecretResponse{DeletedSecret: r.deleted(s)}, err)
		},
		RecoverDeletedSecret: func(_ context.Context, name string, _ *azsecrets.RecoverDeletedSecretOptions) (azfake.Responder[azsecrets.RecoverDeletedSecretResponse], azfake.ErrorResponder) {
			s, err := r.vault.recover(name)
			if err != nil {
				return respond(azsecrets.RecoverDeletedSecretResponse{}, err)
			}
			answer := r.secret(s.name, s.newest())
			answer.Value = nil // never in this answer
			return respond(azsecrets.RecoverDeletedSecretResponse{Secret: answer}, nil)
		},
		PurgeDeletedSecret: func(_ context.Context, name string, _ *azsecrets.PurgeDeletedSecretOptions) (resp azfake.Responder[azsecrets.PurgeDeletedSecretResponse], errResp azfake.ErrorResponder) {
			if err := r.vault.purge(name); err != nil {
				errResp.SetError(err)
			}
			resp.SetResponse(http.StatusNoContent, azsecrets.PurgeDeletedSecretResponse{}, nil)
			return resp, errResp
		},
		NewListSecretPropertiesPager: func(*azsecrets.ListSecretPropertiesOptions) (resp azfake.PagerResponder[azsecrets.ListSecretPropertiesResponse]) {
			page, next, err := cut(r, r.vault.list(false))
			if err != nil {
				resp.AddError(err)
				return resp
			}
			var answer azsecrets.ListSecretPropertiesResponse
			answer.NextLink = next
			for _, s := range page {
				answer.Value = append(answer.Value, r.properties(s.name, "", s.newest()))
			}
			resp.AddPage(http.StatusOK, answer, nil)
			return resp
		},
		NewListSecretPropertiesVersionsPager: func(name string, _ *azsecrets.ListSecretPropertiesVersionsOptions) (resp azfake.PagerResponder[azsecrets.ListSecretPropertiesVersionsResponse]) {
			all, err := r.vault.versions(name)
			page, next, cutErr := cut(r, all)
			if err == nil {
				err = cutErr
			}
			if err != nil {
				resp.AddError(err)
				return resp
			}
			var answer azsecrets.ListSecretPropertiesVersionsResponse
			answer.NextLink = next
			for _, v := range page {
				answer.Value = append(answer.Value, r.properties(name, v.id, v))
			}
			resp.AddPage(http.StatusOK, answer, nil)
			return resp
		},
		NewListDeletedSecretPropertiesPager: func(*azsecrets.ListDeletedSecretPropertiesOptions) (resp azfake.PagerResponder[azsecrets.ListDeletedSecretPropertiesResponse]) {
			page, next, err := cut(r, r.vault.list(true))
			if err != nil {
				resp.AddError(err)
				return resp
			}
			var answer azsecrets.ListDeletedSecretPropertiesResponse
			answer.NextLink = next
			for _, s := range page {
				d := r.deleted(s)
				answer.Value = append(answer.Value, &azsecrets.DeletedSecretProperties{
					Attributes: d.Attributes, ContentType: d.ContentType, ID: r.id(s.name, ""), RecoveryID: d.RecoveryID,
					Tags: d.Tags, DeletedDate: d.DeletedDate, ScheduledPurgeDate: d.ScheduledPurgeDate,
				})
			}
			resp.AddPage(http.StatusOK, answer, nil)
			return resp
		},
	}
}

func respond[T any](answer T, err error) (resp azfake.Responder[T], errResp azfake.ErrorResponder) {
	if err != nil {
		errResp.SetError(err)
	}
	resp.SetResponse(http.StatusOK, answer, nil)
	return resp, errResp
}

// cut returns the page that a request asks for, and the link to the next one.
func cut[T any](r request, all []T) ([]T, *string, error) {
	query := r.url.Query()
	size, from := pageSize, 0
	if text := query.Get("maxresults"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > pageSize {
			return nil, nil, bad("maxresults must be between 1 and 25.")
		}
		size = n
	}
	if text := query.Get("$skiptoken"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return nil, nil, bad("The skip token is invalid.")
		}
		from = n
	}
	from = min(from, len(all))
	end := min(from+size, len(all))
	if end == len(all) {
		return all[from:], nil, nil
	}
	query.Set("$skiptoken", strconv.Itoa(end))
	link := *r.url
	link.RawQuery = query.Encode()
	return slices.Clone(all[from:end]), to.Ptr(link.String()), nil
}

// apply takes over attributes that are given.
func (v *version) apply(a *azsecrets.SecretAttributes) {
	if a == nil {
		return
	}
	if a.Enabled != nil {
		v.disabled = !*a.Enabled
	}
	if a.Expires != nil {
		v.expires = a.Expires
	}
	if a.NotBefore != nil {
		v.notBefore = a.NotBefore
	}
}

func (r request) id(name, version string) *azsecrets.ID {
	id := r.url.Scheme + "://" + r.url.Host + "/secrets/" + name
	if version != "" {
		id += "/" + version
	}
	return to.Ptr(azsecrets.ID(id))
}

func attributes(v version) *azsecrets.SecretAttributes {
	return &azsecrets.SecretAttributes{
		Enabled: to.Ptr(!v.disabled), Expires: v.expires, NotBefore: v.notBefore,
		Created: to.Ptr(v.created), Updated: to.Ptr(v.updated),
		RecoverableDays: to.Ptr[int32](retention), RecoveryLevel: to.Ptr("Recoverable+Purgeable"),
	}
}

func (r request) secret(name string, v version) azsecrets.Secret {
	return azsecrets.Secret{
		ID: r.id(name, v.id), Value: to.Ptr(v.value), Attributes: attributes(v), ContentType: v.contentType, Tags: v.tags,
	}
}

func (r request) properties(name, id string, v version) *azsecrets.SecretProperties {
	return &azsecrets.SecretProperties{ID: r.id(name, id), Attributes: attributes(v), ContentType: v.contentType, Tags: v.tags}
}

// deleted describes a deleted secret; its value is not told.
func (r request) deleted(s secret) azsecrets.DeletedSecret {
	if len(s.versions) == 0 {
		return azsecrets.DeletedSecret{} // of a refused request
	}
	v := s.newest()
	return azsecrets.DeletedSecret{
		ID: r.id(s.name, v.id), Attributes: attributes(v), ContentType: v.contentType, Tags: v.tags,
		RecoveryID:  to.Ptr(r.url.Scheme + "://" + r.url.Host + "/deletedsecrets/" + s.name),
		DeletedDate: to.Ptr(s.deletedAt), ScheduledPurgeDate: to.Ptr(s.deletedAt.Add(retention * 24 * time.Hour)),
	}
}
