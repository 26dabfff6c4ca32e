package capture_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"slices"
	"strings"
	"time"

	"xarchive/handler/internal/manifest"
	"xarchive/handler/internal/post"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/verify"
	"xarchive/tests/sandbox/corpus"
)

// nothingIsMissing checks what everything else is for.
func (w *world) nothingIsMissing() {
	w.t.Helper()
	(&torture{world: w}).nothingIsMissing(account)
	w.sweptClean()
}

func (w *torture) nothingIsMissing(id string) {
	w.t.Helper()
	a := w.recordOf(id)
	have := w.archivedOf(id)
	gaps := a.Missing()
	own := 0
	for _, p := range w.posted {
		if p.AuthorID != id || w.deleted[p.ID] {
			continue
		}
		own++
		switch {
		case slices.Contains(have, p.ID):
			w.hasFiles(p, have)
		case !gaps.Contains(instant(p.CreatedAt)):
			w.t.Errorf("post %s of %s is not archived and in no gap: covered %v, gaps %v", p.ID, p.CreatedAt, a.Covered, a.Gaps)
		}
	}
	if own < w.reach-20 && len(gaps) > 0 {
		w.t.Errorf("a gap is recorded although X reaches all %d posts: %v", own, a.Gaps)
	}
	w.gapsAreOpen(id)
	if end := a.Covered.End(); end.Before(time.Now().Add(-time.Minute)) {
		w.t.Errorf("covered only to %s at %s: %+v", end, time.Now(), a)
	}
	if a.Run != nil || !a.Incomplete.IsZero() || a.SetAside.Posts > 0 || len(a.Lost) > 0 || a.Problem != nil {
		w.t.Errorf("run %+v, incomplete since %s, set aside %+v, lost %v, problem %+v", a.Run, a.Incomplete, a.SetAside, a.Lost, a.Problem)
	}
	// Every message is in the manifest, and the other way round.
	report, err := verify.Account(context.WithoutCancel(w.t.Context()), verify.Options{Archive: w.archive,
		Manifests: manifest.New(w.storage.Container("archive")), Account: id, To: time.Now(), Newest: a.Manifest, Settled: time.Now().AddDate(1, 0, 0), Named: 10})
	if err != nil || !report.Sound() || report.Unlisted+report.Pending > 0 || report.Messages < len(have) || report.Raw == 0 && len(have) > 0 {
		w.t.Errorf("the archive does not verify: %+v, %v", report, err)
	}
	w.hasAnswers(id, have)
	for key, waiting := range a.Waiting {
		if !w.deleted[waiting.PostID] {
			w.t.Errorf("%s is still waited for: %+v", key, waiting)
		}
	}
	if len(w.asideNames()) > 0 {
		w.t.Errorf("still set aside: %v", w.asideNames())
	}
}

// hasAnswers checks that the manifest names, for each message that is a post's own, an
// answer of X that is kept as it came and holds the post. One that a process archived and
// was killed before listing may be listed without; the answer is kept all the same.
func (w *torture) hasAnswers(id string, have []string) {
	w.t.Helper()
	named, unnamed := map[string]bool{}, map[string]bool{}
	chain := manifest.New(w.storage.Container("archive"))
	ctx := context.WithoutCancel(w.t.Context())
	parts, err := chain.Parts(ctx, id)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, part := range parts {
		b, err := chain.Blob(ctx, id, part.N)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, line := range b.Lines {
			if len(line.Raw) == 0 {
				unnamed[line.Key] = true
			}
			for _, raw := range line.Raw {
				answer := w.rawAnswer(raw.Path)
				sum := sha256.Sum256(answer)
				if hex.EncodeToString(sum[:]) != raw.SHA256 || raw.RequestID == "" {
					w.t.Errorf("%s: %+v is not what is there", line.Path, raw)
				}
				if bytes.Contains(answer, []byte(`"id":"`+line.PostID+`"`)) {
					named[line.Key] = true
				}
			}
		}
	}
	for _, key := range have {
		if !strings.Contains(key, ".") && !named[key] && !(unnamed[key] && w.isKept(key)) {
			w.t.Errorf("message %s goes back to no answer of X", key)
		}
	}
}

// isKept reports whether an answer of X that holds a post is kept.
func (w *world) isKept(postID string) bool {
	return slices.ContainsFunc(w.blobs.Names("archive"), func(name string) bool {
		return strings.HasPrefix(name, "raw/") && bytes.Contains(w.rawAnswer(name), []byte(`"id":"`+postID+`"`))
	})
}

// rawAnswer unpacks an answer of X.
func (w *world) rawAnswer(name string) []byte {
	w.t.Helper()
	packed, _, err := w.storage.Container("archive").Read(context.WithoutCancel(w.t.Context()), name)
	if err != nil {
		w.t.Fatal(err)
	}
	unpack, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		w.t.Fatal(err)
	}
	answer, err := io.ReadAll(unpack)
	if err != nil {
		w.t.Fatal(err)
	}
	return answer
}

// hasFiles checks that each of a post's media is in its message or in one supplement. A
// message that has the post as X gave it later may have it besides.
func (w *world) hasFiles(p corpus.Post, have []string) {
	w.t.Helper()
	for _, key := range p.MediaKeys {
		n, later := 0, false
		for _, message := range have {
			later = later || strings.HasPrefix(message, p.ID+".version")
			if message == p.ID || strings.HasPrefix(message, p.ID+".media") {
				n += strings.Count(w.message(message), "filename="+strings.TrimPrefix(key, "3_")+".png")
			}
		}
		if n != 1 && !(later && n == 0 && strings.Contains(w.message(p.ID+".version"), "filename="+strings.TrimPrefix(key, "3_")+".png")) {
			w.t.Errorf("media %s of post %s is archived %d times, want once", key, p.ID, n)
		}
	}
}

// nothingIsUndelivered checks that each message of a time that a task has begun to deliver
// was found by a task, or is noted for the next one.
func (w *torture) nothingIsUndelivered(id string) {
	w.t.Helper()
	noted := w.lateOf(id)
	created := map[string]time.Time{}
	for _, p := range w.posted {
		created[p.ID] = p.CreatedAt.UTC().Truncate(time.Second)
	}
	for _, key := range w.archivedOf(id) {
		postID, _, _ := strings.Cut(key, ".")
		at := created[postID]
		if w.begun[id].Contains(state.Range{From: at, To: at.Add(1)}) && !w.listed[key] && !slices.Contains(noted, key) {
			w.t.Errorf("message %s of %s is neither delivered nor noted for the next task", key, at)
		}
	}
}

// sweptClean checks that what a crash left behind is removed by the daily sweep once it is
// old enough.
func (w *world) sweptClean() {
	w.t.Helper()
	time.Sleep(8 * 24 * time.Hour)
	removed, ran, err := w.state.Sweep(w.t.Context(), time.Now())
	if err != nil || !ran {
		w.t.Errorf("the sweep: ran %v, removed %d, %v", ran, removed, err)
	}
	w.noPages()
}

// archivedOf returns the keys of all archived messages of an account, in order.
func (w *world) archivedOf(id string) []string {
	var keys []string
	for _, name := range w.blobs.Names("archive") {
		if rest, ok := strings.CutPrefix(name, id+"/"); ok && strings.HasSuffix(rest, ".eml") {
			keys = append(keys, strings.TrimSuffix(rest[strings.LastIndex(rest, "/")+1:], ".eml"))
		}
	}
	slices.SortFunc(keys, func(a, b string) int { return post.CompareIDs(a, b) })
	return keys
}
