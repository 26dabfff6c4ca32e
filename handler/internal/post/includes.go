package post

import (
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

// wireIncludes are the objects that an answer includes. X knows more groups;
// none of them belongs to a post's document.
type wireIncludes struct {
	Tweets []json.RawMessage `json:"tweets"`
	Users  []json.RawMessage `json:"users"`
	Media  []json.RawMessage `json:"media"`
	Polls  []json.RawMessage `json:"polls"`
	Places []json.RawMessage `json:"places"`
}

// includes are the objects that an answer or a document includes, each decoded
// once, however many posts need it.
type includes struct {
	tweets   group[wirePost]
	users    group[wireUser]
	media    group[wireMedia]
	polls    group[wirePoll]
	places   group[wirePlace]
	byHandle map[string]string // lower-case handle to user id
	handles  map[string]string // user id to handle, of those whom posts mention
	problems []object[Problem] // what X says it did not send
}

func newIncludes(w wireIncludes) *includes {
	in := &includes{byHandle: map[string]string{}, handles: map[string]string{}}
	index(&in.tweets, w.Tweets, func(o *object[wirePost]) string { return o.value.ID })
	index(&in.users, w.Users, func(o *object[wireUser]) string { return o.value.ID })
	index(&in.media, w.Media, func(o *object[wireMedia]) string { return o.value.Key })
	index(&in.polls, w.Polls, func(o *object[wirePoll]) string { return o.value.ID })
	index(&in.places, w.Places, func(o *object[wirePlace]) string { return o.value.ID })
	for id, u := range in.users.byID {
		in.byHandle[strings.ToLower(u.value.Username)] = id
	}
	return in
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
