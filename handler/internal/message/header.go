package message

import (
	"cmp"
	"fmt"
	"io"
	netmail "net/mail"
	"slices"
	"strconv"
	"strings"

	"xarchive/handler/internal/post"

	"github.com/emersion/go-message"
	"github.com/emersion/go-message/mail"
)

// Header fields that Read needs. The value of the first three is a media key or a
// post id, a space, and a statement for people.
const (
	missingField    = "X-Twitter-Media-Missing"
	keptField       = "X-Twitter-Media-Kept"
	versionField    = "X-Twitter-Version-Missing"
	supplementField = "X-Twitter-Supplement"
	changedField    = "X-Twitter-Changed" // changes, with blanks between
)

// textField names a post of whose text X gave only a notice, and the notice.
const textField = "X-Twitter-Text-Missing"

// setHeader sets the message's header fields. go-message writes them in the
// reverse order of setting.
func (f Format) setHeader(h *message.Header, p *post.Post, s Supplement, files []file) {
	state := func(field, text string) { h.Add(field, encoded(text)) }
	raw := func(name, value string) { h.AddRaw([]byte(name + ": " + value + "\r\n")) } // keeps the name's case
	for _, v := range slices.Backward(s.Versions) {
		state(versionField, v.field())
	}
	for _, a := range slices.Backward(files) {
		if a.Media.Type == post.Still {
			continue
		} else if a.Body == nil {
			state(missingField, fieldKey(a.Media)+" "+missingStatement(a.Attachment))
		} else if a.NotBetter != "" {
			state(keptField, fieldKey(a.Media)+" "+keptStatement(a.Attachment))
		}
	}
	for _, n := range slices.Backward(p.Notices()) {
		state(textField, n.ID+" "+bounded(n.Text.Shown()))
	}
	setExport(p, state, raw)
	if len(s.Changes) > 0 {
		var words []string
		for _, c := range s.Changes {
			words = append(words, token(string(c)))
		}
		raw(changedField, strings.Join(words, " "))
	}
	if s.Name != "" {
		raw(supplementField, s.Name)
	}
	raw("X-Message-Class", "IPM.NOTE.Twitter."+string(p.Kind()))
	raw("X-Twitter-Kind", string(p.Kind()))
	if p.Mentions.ID != "" {
		raw("X-Twitter-Mentions-ID", token(p.Mentions.ID))
	}
	if p.Author.ID != "" {
		raw("X-Twitter-Author-ID", token(p.Author.ID))
	}
	raw("X-Twitter-Post-ID", p.ID)
	parent, references := thread(p)
	id := messageID(p)
	if s.Name != "" { // it answers the post's own message
		parent, references, id = id, append(references, id), s.id(p)
	}
	if len(references) > 0 {
		h.Set("References", strings.Join(references, " "))
	}
	if parent != "" {
		h.Set("In-Reply-To", parent)
	}
	raw("Message-ID", id)
	h.Set("Subject", encoded(prefix(s.Name, s.Changes)+subject(p)))
	m := mail.Header{Header: *h}
	m.SetDate(p.CreatedAt.UTC())
	m.SetAddressList("To", []*mail.Address{{Address: f.To}})
	m.SetAddressList("From", []*mail.Address{{Name: displayName(p.Author), Address: Mailbox(p.Author, f.Mailboxes)}})
	m.AddRaw([]byte("MIME-Version: 1.0\r\n"))
	*h = m.Header
}

// fieldKey is a media's key as a header field has it, without white space.
func fieldKey(m post.Media) string { return strings.ReplaceAll(oneLine(m.Key), " ", "_") }

// messageID returns the Message-ID of a post's own message: <postId@x.com>, of the N-th
// version of an edited post <postId.N@x.com>.
func messageID(p *post.Post) string { return versionID(p.ID, p.Version()) }

func versionID(postID string, version int) string {
	postID = token(postID) // X's word for an id, where it is not the post's own
	if version > 1 {
		return fmt.Sprintf("<%s.%d@%s>", postID, version, domain)
	}
	return "<" + postID + "@" + domain + ">"
}

// thread returns what a message answers and the messages that lead to it
// (RFC 5322, 3.6.4): for a reply the post replied to and the one that began the
// conversation, for an edit the versions before it.
func thread(p *post.Post) (parent string, references []string) {
	add := func(id string) {
		if id != "" && id != messageID(p) && !slices.Contains(references, id) {
			references = append(references, id)
		}
	}
	if p.ConversationID != "" && p.ConversationID != p.ID && answers(p) {
		add(versionID(p.ConversationID, 1))
	}
	if ref := p.Ref(post.RepliedTo); ref != nil {
		parent = versionID(ref.ID, 1)
		if ref.Post != nil {
			parent = messageID(ref.Post)
		}
		add(parent)
	}
	for i, id := range p.EarlierVersions() {
		before := versionID(id, i+1)
		add(before)
		if p.Ref(post.RepliedTo) == nil {
			parent = before
		}
	}
	return parent, references
}

// FirstVersion returns the id of the first version of the post whose own message r is: of
// one that was never edited, or that is the first, "". It reads the header only, where
// the versions before an edit are the last that it refers to.
func FirstVersion(r io.Reader) (string, error) {
	m, err := netmail.ReadMessage(r)
	if err != nil {
		return "", fmt.Errorf("reading a message's header: %w", err)
	}
	id, _, _ := strings.Cut(strings.Trim(m.Header.Get("Message-ID"), "<>"), "@")
	_, number, _ := strings.Cut(id, ".")
	version, err := strconv.Atoi(number)
	references := strings.Fields(m.Header.Get("References"))
	if err != nil || version < 2 || len(references) < version-1 {
		return "", nil
	}
	first, _, _ := strings.Cut(strings.Trim(references[len(references)-(version-1)], "<>"), "@")
	return first, nil
}

// answers reports whether a post is a reply, whoever it is archived for.
func answers(p *post.Post) bool { return p.Ref(post.RepliedTo) != nil && p.Ref(post.Retweeted) == nil }

// Mailbox returns the mail address of an account: the one that its id or its handle is
// mapped to, or <handle>@x.invalid, in a domain that no mail ever reaches (RFC 2606). The
// id goes first: it stays when the account is renamed, and a handle that was given up
// may be another's.
func Mailbox(u post.User, mailboxes map[string]string) string {
	if mapped := mailboxes["id:"+u.ID]; mapped != "" {
		return mapped
	}
	if mapped := mailboxes[strings.ToLower(u.Username)]; mapped != "" && u.Username != "" {
		return mapped
	}
	name := token(cmp.Or(u.Username, u.ID, "unknown"))
	name = name[:min(len(name), 64)] // RFC 5321, 4.5.3.1.1; a handle has 15 at most
	return strings.ToLower(name) + "@x.invalid"
}

// displayName is an author's name for people: Name (@handle). A name that turns the
// direction of writing ends that before the handle.
func displayName(u post.User) string {
	switch name := closed(oneLine(u.Name)); {
	case u.Username == "":
		return cmp.Or(name, at(u))
	case name == "":
		return at(u)
	default:
		return name + " (" + at(u) + ")"
	}
}

func at(u post.User) string {
	if u.Username == "" {
		return "account " + oneLine(u.ID)
	}
	return "@" + closed(oneLine(u.Username))
}
