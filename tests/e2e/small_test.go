package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"xarchive/tests/sandbox/corpus"
)

// firstAccount is the first of the accounts of [accounts].
const firstAccount = "7770001"

// accounts is a corpus of so many accounts, numbered from firstAccount, with these
// posts, each an object as X has it. More are made with [world.post].
func accounts(t *testing.T, n int, posts ...string) *corpus.Corpus {
	t.Helper()
	var ids []string
	for i := range n {
		ids = append(ids, fmt.Sprint(7770001+i))
	}
	return accountsNamed(t, ids, posts...)
}

// accountsNamed is a corpus of accounts with these ids.
func accountsNamed(t *testing.T, ids []string, posts ...string) *corpus.Corpus {
	t.Helper()
	var users []map[string]string
	for _, id := range ids {
		users = append(users, map[string]string{"id": id, "name": "Contoso " + id, "username": "contoso" + id})
	}
	objects := []json.RawMessage{}
	for _, p := range posts {
		objects = append(objects, json.RawMessage(p))
	}
	dir := t.TempDir()
	for name, v := range map[string]any{"accounts.json": ids, "posts.json": map[string]any{"data": objects, "includes": map[string]any{"users": users}}} {
		content, err := json.Marshal(v)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), content, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	c, err := corpus.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// post makes a post of that time. X shows it from now on.
func (w *world) post(account string, at time.Time) corpus.Post {
	return w.X.Post(account, corpus.Post{Text: "A post", CreatedAt: at})
}

// wantKeys checks that an account's messages are those of the posts.
func (w *world) wantKeys(account string, posts ...corpus.Post) {
	w.t.Helper()
	var got, want []string
	for name := range w.messages(account) {
		got = append(got, strings.TrimSuffix(name[strings.LastIndex(name, "/")+1:], ".eml"))
	}
	for _, p := range posts {
		want = append(want, p.ID)
	}
	slices.Sort(got)
	slices.Sort(want)
	if slices.Equal(got, want) {
		return
	}
	missing := slices.DeleteFunc(slices.Clone(want), func(key string) bool { return slices.Contains(got, key) })
	extra := slices.DeleteFunc(slices.Clone(got), func(key string) bool { return slices.Contains(want, key) })
	w.t.Errorf("account %s: %d messages, want %d; missing are %d %.200q, too many %d %.200q", account, len(got), len(want), len(missing), missing, len(extra), extra)
}

// wantLog checks that a line of the handler's log holds all the words.
func (w *world) wantLog(words ...string) {
	w.t.Helper()
	for line := range strings.Lines(w.log.String()) {
		if !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(line, word) }) {
			return
		}
	}
	w.t.Errorf("no line of the log holds %q", words)
}
