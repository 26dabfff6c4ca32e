package post

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// object is a JSON object that X sent, with what was read of it.
type object[T any] struct {
	raw      json.RawMessage
	value    T
	problems []string // members that could not be read, each "member: why"
}

// readObject reads an object. A member of an unexpected type costs that member
// and not the object: it is named in problems.
func readObject[T any](raw json.RawMessage) *object[T] {
	o := &object[T]{raw: raw}
	if json.Unmarshal(raw, &o.value) == nil {
		return o
	}
	// Unmarshal read what it could, and reported only the first mismatch.
	var members map[string]json.RawMessage
	if json.Unmarshal(raw, &members) != nil {
		return o // not an object: its id is missing, and it is refused for that
	}
	for _, member := range slices.Sorted(maps.Keys(members)) {
		alone, err := json.Marshal(map[string]json.RawMessage{member: members[member]})
		if err == nil {
			err = json.Unmarshal(alone, new(T))
		}
		if err != nil {
			o.problems = append(o.problems, fmt.Sprintf("%s: %v", member, err))
		}
	}
	return o
}

// named returns the problems with the name of the object that has them.
func (o *object[T]) named(name string) (out []string) {
	for _, problem := range o.problems {
		out = append(out, name+"."+problem)
	}
	return out
}

// group holds objects of one kind by id, each id once.
type group[T any] struct {
	byID map[string]*object[T]
	raw  [][]byte // the objects in the order they were added
}

func (g *group[T]) add(id string, o *object[T]) bool {
	if id == "" || o == nil || g.byID[id] != nil {
		return false
	}
	if g.byID == nil {
		g.byID = map[string]*object[T]{}
	}
	g.byID[id] = o
	g.raw = append(g.raw, o.raw)
	return true
}

// pick adds the object of that id from another group, and reports whether it
// was there and is new.
func (g *group[T]) pick(from group[T], id string) bool { return g.add(id, from.byID[id]) }

// wireIncludes are the objects that an answer includes, by the group that they are in.
type wireIncludes map[string][]json.RawMessage

// UnmarshalJSON reads the groups. One that is not known may have any form: what is no
// list is kept as a list of one.
func (w *wireIncludes) UnmarshalJSON(raw []byte) error {
	var groups map[string]json.RawMessage
	if err := json.Unmarshal(raw, &groups); err != nil {
		return err
	}
	*w = wireIncludes{}
	for name, raw := range groups {
		var list []json.RawMessage
		if err := json.Unmarshal(raw, &list); err != nil {
			if slices.Contains(known, name) {
				return fmt.Errorf("includes.%s: %w", name, err)
			}
			list = []json.RawMessage{raw}
		}
		(*w)[name] = list
	}
	return nil
}

// known are the groups that hold what posts are known to need, in the order in which
// a document has them.
var known = []string{"tweets", "posts", "users", "media", "polls", "places"}

// includes are the objects that an answer or a document includes, each decoded
// once, however many posts need it.
type includes struct {
	tweets   group[wirePost]
	users    group[wireUser]
	media    group[wireMedia]
	polls    group[wirePoll]
	places   group[wirePlace]
	byHandle map[string]string // lower-case handle to user id
	others   []otherObject
	handles  map[string]string // user id to handle, of those whom posts mention
	problems []object[Problem] // what X says it did not send
	made     int               // posts that were made of these objects for the post being read
}

// otherObject is an object of a group that is not known here, such as topics.
type otherObject struct {
	group string
	raw   json.RawMessage
	ids   []string // what a post that needs it would name it by; none if that cannot be told
}

// newIncludes reads what is included. Posts that were looked up count before those of
// the same id that came along: they have more.
func newIncludes(w wireIncludes, looked []json.RawMessage) *includes {
	in := &includes{byHandle: map[string]string{}, handles: map[string]string{}}
	for _, list := range [][]json.RawMessage{looked, w["tweets"], w["posts"]} {
		index(&in.tweets, list, func(o *object[wirePost]) string { return o.value.ID })
	}
	index(&in.users, w["users"], func(o *object[wireUser]) string { return o.value.ID })
	index(&in.media, w["media"], func(o *object[wireMedia]) string { return o.value.Key })
	index(&in.polls, w["polls"], func(o *object[wirePoll]) string { return o.value.ID })
	index(&in.places, w["places"], func(o *object[wirePlace]) string { return o.value.ID })
	for _, name := range slices.Sorted(maps.Keys(w)) {
		if slices.Contains(known, name) {
			continue
		}
		for _, raw := range w[name] {
			in.others = append(in.others, otherObject{name, raw, idsOf(raw)})
		}
	}
	for id, u := range in.users.byID {
		in.byHandle[strings.ToLower(u.value.Username)] = id
	}
	return in
}

// idsOf returns what names an object: its id, its key, or whatever it calls so.
func idsOf(raw json.RawMessage) (ids []string) {
	var members map[string]json.RawMessage
	_ = json.Unmarshal(raw, &members) // what is not an object has no name
	for name, value := range members {
		var id string
		if (name == "id" || strings.HasSuffix(name, "_id") || strings.HasSuffix(name, "_key")) && json.Unmarshal(value, &id) == nil && id != "" {
			ids = append(ids, id)
		}
	}
	return ids
}

// mayNeed reports whether an object of an unknown group may belong to a post: the
// post's bytes hold its name, or it has none.
func (o otherObject) mayNeed(post []byte) bool {
	return len(o.ids) == 0 || slices.ContainsFunc(o.ids, func(id string) bool { return bytes.Contains(post, []byte(`"`+id+`"`)) })
}

// lacks reports whether something that a reference to a post needs is neither included
// nor explained: the post, its author, its media.
func (in *includes) lacks(id string, explained func(id string) bool) bool {
	o := in.tweets.byID[id]
	if o == nil {
		return !explained(id)
	}
	if author := o.value.AuthorID; author == "" || in.users.byID[author] == nil && !explained(author) {
		return true
	}
	return slices.ContainsFunc(o.value.mediaKeys(), func(key string) bool {
		return key != "" && in.media.byID[key] == nil && !explained(key)
	})
}

// index decodes a list and adds its objects. One without an id cannot be
// referred to and is left out.
func index[T any](g *group[T], list []json.RawMessage, id func(*object[T]) string) {
	for _, raw := range list {
		o := readObject[T](raw)
		g.add(id(o), o)
	}
}

// complete reports whether everything that an included post needs is included.
func (in *includes) complete(w wirePost) bool {
	whole := in.users.byID[w.AuthorID] != nil && (w.Geo.PlaceID == "" || in.places.byID[w.Geo.PlaceID] != nil)
	for _, key := range w.mediaKeys() {
		whole = whole && (key == "" || in.media.byID[key] != nil)
	}
	for _, id := range w.Attachments.PollIDs {
		whole = whole && in.polls.byID[id] != nil
	}
	for _, r := range w.Referenced {
		whole = whole && in.tweets.byID[r.ID] != nil
	}
	return whole
}
