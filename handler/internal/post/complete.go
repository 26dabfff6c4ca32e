package post

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
)

// lookupDepth is how many levels of references a document is completed to: the posts
// that the post refers to, and those that these refer to. X includes one level only,
// and does not always include everything of it.
const lookupDepth = 2

// Lacks returns the ids of the posts that must be looked up for the document to be
// whole: posts within two levels of reference that X neither included nor explained,
// and posts that are there without their author, photos or other media. It is empty
// for a whole document, for one that cannot be read, and for what X says it does
// not give. A look-up of these ids and [Complete] may bring posts that themselves
// lack something; a second round brings all there is.
func (d Document) Lacks() []string {
	_, in, root := d.open()
	if root == nil {
		return nil
	}
	var out []string
	in.eachReferred(root.value, func(id string, o *object[wirePost]) {
		switch {
		case CheckID(id) != nil || in.explained(id) || slices.Contains(out, id):
		case o == nil || !in.attached(o.value):
			out = append(out, id)
		}
	})
	return out
}

// Complete returns a document with what the answer of a look-up adds to it: of the
// posts that the document lacks the post itself, its author, media, polls and place,
// and what X says of those that it does not give. The document's own objects stay
// byte for byte as they are; those found follow them, byte for byte, in the order
// of the references. It returns doc itself if found adds nothing.
func Complete(doc Document, found Page) Document {
	env, in, root := doc.open()
	if root == nil {
		return doc
	}
	before := in.size()
	answers := map[string]Document{}
	for _, d := range found.Posts {
		answers[d.ID] = d
	}
	for _, id := range doc.Lacks() {
		if d, ok := answers[id]; ok {
			in.take(d)
		}
		for _, p := range found.Errors {
			if raw := []byte(p.Raw); (p.ResourceID == id || p.Value == id) && len(raw) > 0 && !in.said(raw) {
				in.problems = append(in.problems, object[Problem]{raw: raw, value: p})
			}
		}
	}
	if in.size() == before {
		return doc
	}
	words := root.value.Words
	for _, o := range in.tweets.byID {
		words = cmp.Or(words, o.value.Words) // one request speaks one vocabulary
	}
	out := Document{ID: doc.ID, JSON: in.envelope(env.Data, words), Earlier: doc.Earlier}
	out.Post, out.Err = Parse(out.JSON)
	if env.Mentions != "" {
		return out.AsMention(env.Mentions)
	}
	return out
}

// open reads a document; root is nil if it cannot be read.
func (d Document) open() (e envelope, in *includes, root *object[wirePost]) {
	if json.Unmarshal(d.JSON, &e) != nil || e.Source == ExportSource {
		return e, nil, nil
	}
	in = newIncludes(e.Includes, nil)
	in.problems = readProblems(e.Errors)
	if root = readObject[wirePost](e.Data); CheckID(root.value.ID) != nil {
		return e, in, nil
	}
	return e, in, root
}

// eachReferred calls visit for the posts within two levels of reference, the nearer
// level first; o is nil where a post is not included.
func (in *includes) eachReferred(root wirePost, visit func(id string, o *object[wirePost])) {
	level := []wirePost{root}
	for range lookupDepth {
		var next []wirePost
		for _, w := range level {
			for _, r := range w.Referenced {
				if r.ID == root.ID {
					continue
				}
				o := in.tweets.byID[r.ID]
				visit(r.ID, o)
				if o != nil {
					next = append(next, o.value)
				}
			}
		}
		level = next
	}
}

// attached reports whether the author, media and polls of an included post are included
// or explained.
func (in *includes) attached(w wirePost) bool {
	whole := w.AuthorID == "" || in.users.byID[w.AuthorID] != nil || in.explained(w.AuthorID)
	for _, key := range w.mediaKeys() {
		whole = whole && (key == "" || in.media.byID[key] != nil || in.explained(key))
	}
	for _, id := range w.Attachments.PollIDs {
		whole = whole && (in.polls.byID[id] != nil || in.explained(id))
	}
	return whole
}

// explained reports whether X says why it did not send the object of that id.
func (in *includes) explained(id string) bool {
	return slices.ContainsFunc(in.problems, func(p object[Problem]) bool { return p.value.ResourceID == id || p.value.Value == id })
}

// said reports whether a problem is among those of the document.
func (in *includes) said(raw []byte) bool {
	return slices.ContainsFunc(in.problems, func(p object[Problem]) bool { return bytes.Equal(p.raw, raw) })
}

// take adds a post that was looked up, with its own author, media, polls and place, and
// what X says of them.
func (in *includes) take(d Document) {
	_, from, root := d.open()
	if root == nil {
		return
	}
	w := root.value
	in.tweets.add(w.ID, root)
	in.users.pick(from.users, w.AuthorID)
	for _, key := range w.mediaKeys() {
		in.media.pick(from.media, key)
	}
	for _, id := range w.Attachments.PollIDs {
		in.polls.pick(from.polls, id)
	}
	in.places.pick(from.places, w.Geo.PlaceID)
	for _, p := range from.problems {
		if !in.said(p.raw) {
			in.problems = append(in.problems, p)
		}
	}
}

// size is how many objects and problems there are.
func (in *includes) size() int {
	return len(in.tweets.raw) + len(in.users.raw) + len(in.media.raw) + len(in.polls.raw) + len(in.places.raw) + len(in.problems)
}
