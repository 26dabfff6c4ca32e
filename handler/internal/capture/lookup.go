package capture

import (
	"context"
	"errors"
	"slices"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/message"
	"xarchive/handler/internal/post"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/twitter"
)

// lookup reads posts by id, in calls of 100. Every answer is retained under key,
// named by the ids that were asked for, so that a look-up that is interrupted asks
// only for the rest. allowed, unless it is nil, is asked before X is; its error ends the
// look-up.
func (t *turn) lookup(ctx context.Context, key string, ids []string, allowed func(n int) error) (post.Page, error) {
	var all post.Page
	for some := range slices.Chunk(ids, twitter.MaxLookup) {
		raw, err := t.capture.opt.State.Answer(ctx, t.account.ID, key, some)
		var page post.Page
		switch {
		case err == nil:
			t.retained = true
			page, err = twitter.ReadAnswer(raw.JSON)
			t.lookedUp(raw, page, some)
		case errors.Is(err, state.ErrNotFound):
			if allowed != nil {
				if err := allowed(len(some)); err != nil {
					return post.Page{}, err
				}
			}
			page, err = t.askLookup(ctx, key, some)
		}
		if err != nil {
			return post.Page{}, err
		}
		all.Posts = append(all.Posts, page.Posts...)
		all.Unreadable = append(all.Unreadable, page.Unreadable...)
		all.Errors = append(all.Errors, page.Errors...)
	}
	return all, nil
}

// askLookup asks X for posts by id, and retains the answer if it accounts for all of
// them: an answer that does not is asked for again another time.
func (t *turn) askLookup(ctx context.Context, key string, ids []string) (post.Page, error) {
	var answer twitter.Answer
	err := t.call(ctx, func(x X) (err error) {
		answer, err = x.Lookup(ctx, ids)
		return err
	})
	if err != nil {
		return post.Page{}, err
	}
	kept, err := t.keepRaw(ctx, answer)
	if err != nil {
		return post.Page{}, err
	}
	t.lookedUp(kept, answer.Page, ids)
	if len(unaccounted(ids, answer.Page)) == 0 {
		t.retained = true
		err = t.capture.opt.State.PutAnswer(ctx, t.account.ID, key, ids, kept)
	}
	return answer.Page, err
}

// saysNothing reports whether X failed to answer a look-up: it does not say what became
// of the posts, at least not now.
func saysNothing(ctx context.Context, err error) bool {
	if ctx.Err() != nil {
		return false
	}
	for _, kind := range []error{errLater, twitter.ErrUnavailable, twitter.ErrForbidden, twitter.ErrInvalid, twitter.ErrNotFound} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// ownVersions returns posts but for earlier versions that are of another account: X
// names an edit's versions by their ids alone.
func (t *turn) ownVersions(ctx context.Context, docs []post.Document) []post.Document {
	return slices.DeleteFunc(slices.Clone(docs), func(d post.Document) bool {
		foreign := d.Earlier && d.Post != nil && d.Post.Author.ID != t.account.ID
		if foreign {
			t.log.WarnContext(ctx, "X gives a post of another account as an earlier version; it is not archived", "post", d.ID, "of", d.Post.Author.ID)
		}
		return foreign
	})
}

// versionsIn returns the answer to a look-up of earlier versions, with none of another
// account.
func (t *turn) versionsIn(ctx context.Context, page post.Page) post.Page {
	page.Posts = slices.Clone(page.Posts)
	for i := range page.Posts {
		page.Posts[i].Earlier = true
	}
	page.Posts = t.ownVersions(ctx, page.Posts)
	return page
}

// unaccounted returns the ids that an answer neither has nor explains.
func unaccounted(ids []string, page post.Page) []string {
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool {
		return explained(page, id) || slices.ContainsFunc(page.Posts, func(d post.Document) bool { return d.ID == id })
	})
}

// reason returns what X says of a post that it does not give; "" if it says nothing.
func reason(page post.Page, id string) string {
	for _, p := range page.Errors {
		if p.ResourceID == id || p.Value == id {
			return p.Title + ": " + p.Detail
		}
	}
	return ""
}

// archivedPost reports whether a post of the account is in the archive. again: a process
// that was killed may have archived it and not come to listing it and noting it
// for the next task. Repeating that is harmless.
func (t *turn) archivedPost(ctx context.Context, id string, again bool) (bool, error) {
	e, err := t.capture.opt.Archive.FindPost(ctx, t.account.ID, id)
	if errors.Is(err, archive.ErrNotFound) {
		return false, nil
	}
	if err != nil || !again {
		return err == nil, err
	}
	t.list(e)
	return true, t.noteLate(ctx, e.Created, e.Key, e.Name)
}

// missingVersions returns, by the post that names them, the ids of versions that are
// neither among the posts nor in the archive nor waited for.
func (t *turn) missingVersions(ctx context.Context, docs []post.Document, versions func(*post.Post) []string) (missing map[string][]string, ids []string, err error) {
	here := map[string]bool{}
	for _, d := range docs {
		here[d.ID] = true
	}
	for _, w := range t.account.Waiting {
		for _, id := range w.Versions {
			here[id] = true
		}
	}
	missing = map[string][]string{}
	for _, d := range docs {
		if d.Post == nil || t.isKnown(d.ID) || d.Post.Kind() == post.Mentioning {
			continue
		}
		for _, id := range versions(d.Post) {
			if here[id] {
				continue
			}
			here[id] = true
			archived, err := t.archivedPost(ctx, id, t.resumed)
			if err != nil {
				return nil, nil, err
			}
			if !archived {
				missing[d.ID] = append(missing[d.ID], id)
				ids = append(ids, id)
			}
		}
	}
	return missing, ids, nil
}

// earlierVersions looks up the earlier versions of edited posts that are not archived
// yet. Those that X does not give are asked for again for a day, and then stated
// as missing.
func (t *turn) earlierVersions(ctx context.Context, docs []post.Document, key string) ([]post.Document, error) {
	missing, ids, err := t.missingVersions(ctx, docs, (*post.Post).EarlierVersions)
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	found, err := t.lookup(ctx, key, ids, nil)
	failed := err
	if err != nil && !saysNothing(ctx, err) {
		return nil, err
	}
	found = t.versionsIn(ctx, found)
	for _, d := range docs {
		absent := notGiven(missing[d.ID], found)
		if len(absent) == 0 {
			continue
		}
		t.log.WarnContext(ctx, "X does not give an earlier version of an edited post; it is asked for again", "post", d.ID, "versions", absent)
		w := state.Waiting{PostID: d.ID, Name: archive.Name(t.account.ID, d.Post.CreatedAt, d.ID), Versions: absent, Why: reason(found, absent[0])}
		if failed != nil {
			w.Why = failed.Error()
		}
		t.wait(w)
	}
	return found.Posts, nil
}

// notGiven returns the ids that an answer does not have, explained or not.
func notGiven(ids []string, page post.Page) []string {
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool {
		return slices.ContainsFunc(page.Posts, func(d post.Document) bool { return d.ID == id })
	})
}

// askForVersions asks again for earlier versions of an archived post.
func (t *turn) askForVersions(ctx context.Context, w state.Waiting) error {
	var versions []string
	for _, id := range w.Versions {
		archived, err := t.archivedPost(ctx, id, true)
		if err != nil {
			return err
		}
		if !archived {
			versions = append(versions, id)
		}
	}
	if len(versions) == 0 {
		t.settled(ctx, w, false)
		return nil
	}
	w.Versions = versions
	var answer twitter.Answer
	err := t.call(ctx, func(x X) (err error) {
		answer, err = x.Lookup(ctx, w.Versions)
		return err
	})
	failed := err
	if err != nil && (!saysNothing(ctx, err) || errors.Is(err, errLater)) {
		return err
	}
	page := t.versionsIn(ctx, answer.Page)
	if failed == nil && (len(page.Posts) > 0 || t.overdue(w)) { // else nothing is made of it
		kept, err := t.keepRaw(ctx, answer)
		if err != nil {
			return err
		}
		t.lookedUp(kept, page, w.Versions)
		if t.overdue(w) { // what is stated as missing goes back to this answer
			t.cameFrom(kept, w.PostID)
			defer delete(t.origins, w.PostID)
		}
	}
	if err := t.archiveAll(ctx, page.Posts, func(int) {}); err != nil {
		return err
	}
	absent := notGiven(w.Versions, page)
	if len(absent) == 0 {
		t.settled(ctx, w, false)
		return nil
	}
	w.Versions, w.Why = absent, reason(page, absent[0])
	if failed != nil {
		w.Why = failed.Error()
	}
	if !t.overdue(w) {
		t.account.Waiting[w.Key()] = w
		if errors.Is(failed, twitter.ErrIncomplete) { // it neither sends them nor says why
			return nil
		}
		return failed
	}
	if err := t.stateMissing(ctx, w, page); err != nil && !errors.Is(err, archive.ErrNotFound) {
		return err
	}
	t.settled(ctx, w, true)
	return nil
}

// stateMissing archives the statement that X did not give earlier versions of a post.
func (t *turn) stateMissing(ctx context.Context, w state.Waiting, page post.Page) error {
	m, err := t.ownMessage(ctx, w)
	if err != nil {
		return err
	}
	var versions []message.MissingVersion
	for _, id := range w.Versions {
		versions = append(versions, message.MissingVersion{ID: id, From: w.Since, To: t.now().UTC(), Said: reason(page, id)})
	}
	return t.supplement(ctx, m, "missing", versions, nil)
}
