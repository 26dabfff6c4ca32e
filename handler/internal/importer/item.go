// Package importer talks to the Office 365 Import service. [Items] makes an
// item of an archived message, a [Container] is where a task's items are uploaded
// to, and [Events] tells the service how a task ended.
//
// An item is a JSON file; its members are those of Microsoft's sample connector
// (microsoft/m365-sample-connector-csharp-aspnet, class Item). The service turns
// each into a message in the mailbox. All times are UTC, to the millisecond.
package importer

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"time"

	"xarchive/handler/internal/message"
	"xarchive/handler/internal/post"
)

// FileName returns the name of an item in its task's folder. key is the archive key
// of its message, such as 123 or 123.media; see [message.Key].
func FileName(key string) string { return key + ".json" }

// item is an item without its attachments, which are streamed before the rest of it: the
// order of members has no meaning, and a message's pictures come before its document.
type item struct {
	ContentAttachments *struct{} // always null in a context; see FromMessage

	SchemaVersion      string // "1.0"
	ID                 string `json:"Id"` // the message's archive key
	SourceType         string
	ItemType           string // Tweet, Retweet, Reply, Quote
	ContainerID        string `json:"ContainerId"` // the account's id
	ContainerName      string
	ThreadID           string  `json:"ThreadId"` // the post that began the conversation
	ParentID           *string `json:"ParentId"` // the post replied to; of a supplement its post
	Sender             user
	Recipients         []user
	SentTimeUTC        string `json:"SentTimeUtc"` // RFC 3339
	ContentType        int    // 0 HTML, 1 text
	Content            string
	PreContext         []item // the posts it answers, repeats or quotes; null for none
	PostContext        []item // always null
	NumOfLikes         int    // when it was archived
	MessagePreviewText string
}

type user struct {
	ID                  string `json:"Id"`
	UserProfilePhotoURL string `json:"UserProfilePhotoUrl"`
	Name                string
	EmailAddress        string
	MobileNumber        *string
}

const (
	contentHTML = 0
	previewSize = 200 // code points
)

// FromMessage writes the item of an archived message, which may be a supplement, with
// all of its attachments. mailboxes maps handles (lower case, without @) and
// id:<account id> to mail addresses. Attachments are streamed. It returns an error if eml is no message of the
// archive, and those of eml and w; what was written until then is no item.
func FromMessage(w io.Writer, eml io.Reader, mailboxes map[string]string) error {
	return write(w, eml, mailboxes, nil)
}

// write writes an item. Of files that are in without it says what that tells instead.
func write(w io.Writer, eml io.Reader, mailboxes map[string]string, without []leftOut) error {
	m, err := message.Open(eml)
	if err != nil {
		return err
	}
	files, err := writeAttachments(w, m, without)
	if err != nil {
		return fmt.Errorf("writing the attachments of an item: %w", err)
	}
	content, err := m.HTML()
	if err != nil {
		return err
	}
	it, err := newItem(m.Post, content, mailboxes, 0)
	if err != nil {
		return err
	}
	it.ID, it.MessagePreviewText = m.Key(), m.Preview(previewSize)
	if m.Supplement != "" {
		it.ParentID = &m.Post.ID // its place in the thread is below its post
	}
	rest, err := json.Marshal(it)
	if err != nil {
		return fmt.Errorf("writing the item of post %s: %w", it.ID, err)
	}
	if files > 0 {
		rest = append([]byte("]"), rest[len(noAttachments):]...)
	}
	if _, err := w.Write(rest); err != nil {
		return fmt.Errorf("writing the item of post %s: %w", it.ID, err)
	}
	return nil
}

// noAttachments begins an item that has none, attachments one that has some.
const (
	noAttachments = `{"ContentAttachments":null`
	attachments   = `{"ContentAttachments":[`
)

// maxContext bounds how far a chain of references is followed.
const maxContext = 2

// newItem returns the item of a post, which is at that depth of its context.
func newItem(p *post.Post, content string, mailboxes map[string]string, depth int) (item, error) {
	it := item{
		SchemaVersion: "1.0", ID: p.ID, SourceType: "Twitter", ItemType: string(p.Kind()),
		ContainerID: p.Author.ID, ContainerName: name(p.Author), ThreadID: p.ConversationID,
		Sender: user{ID: p.Author.ID, UserProfilePhotoURL: p.Author.PhotoURL, Name: name(p.Author),
			EmailAddress: message.Mailbox(p.Author, mailboxes)},
		Recipients: []user{}, SentTimeUTC: formatTime(p.CreatedAt), ContentType: contentHTML, Content: content,
		NumOfLikes: p.Likes, MessagePreviewText: message.Preview(p, previewSize),
	}
	if it.ThreadID == "" {
		it.ThreadID = p.ID
	}
	if parent := p.Ref(post.RepliedTo); parent != nil {
		it.ParentID = &parent.ID
	}
	for _, r := range p.References {
		if r.Post == nil || depth == maxContext {
			continue
		}
		content, err := message.HTML(r.Post)
		if err != nil {
			return item{}, err
		}
		context, err := newItem(r.Post, content, mailboxes, depth+1)
		if err != nil {
			return item{}, err
		}
		it.PreContext = append(it.PreContext, context)
	}
	return it, nil
}

// timeLayout is RFC 3339 in UTC, to the millisecond.
const timeLayout = "2006-01-02T15:04:05.000Z"

// formatTime formats a time as items and the event API have it.
func formatTime(t time.Time) string { return t.UTC().Format(timeLayout) }

func name(u post.User) string { return cmp.Or(u.Name, u.Username, u.ID, "unknown") }

// attachment is a member of ContentAttachments without Content, which is streamed
// after it.
type attachment struct {
	AttachmentType     string
	AttachmentFileName string
	URI                string `json:"Uri"`
}

// writeAttachments streams the media of a message as the beginning of an item, and
// returns how many there are. If there are none it writes nothing. In place of one that
// is left out stands its preview, if there is any.
func writeAttachments(w io.Writer, m *message.Message, without []leftOut) (n int, err error) {
	for index := 0; ; index++ {
		part, err := m.Next()
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		if i := slices.IndexFunc(without, func(l leftOut) bool { return l.index == index }); i >= 0 {
			left := without[i]
			m.LeaveOut(part.Name, left.why, left.previewName)
			if left.preview == nil {
				continue
			}
			part.Name, part.Body = left.previewName, bytes.NewReader(left.preview)
		}
		before := ","
		if n == 0 {
			before = attachments
		}
		n++
		if _, err := io.WriteString(w, before); err != nil {
			return n, err
		}
		part.Source = address(part.Source, m.PostID)
		if err := writeAttachment(w, part); err != nil {
			return n, err
		}
	}
}

// address is where a file can be had on X. One of X's data export has no address of its
// own, and stands on its post's page.
func address(source, postID string) string {
	if u, err := url.Parse(source); err == nil && u.IsAbs() {
		return source
	}
	return "https://x.com/i/status/" + url.PathEscape(postID)
}

func writeAttachment(w io.Writer, part message.Part) error {
	head, err := json.Marshal(attachment{AttachmentType: "media", AttachmentFileName: part.Name, URI: part.Source})
	if err != nil {
		return err
	}
	if _, err := w.Write(head[:len(head)-1]); err != nil {
		return err
	}
	if _, err := io.WriteString(w, `,"Content":"`); err != nil {
		return err
	}
	encoder := base64.NewEncoder(base64.StdEncoding, w)
	if _, err := io.Copy(encoder, part.Body); err != nil {
		return fmt.Errorf("copying %s: %w", part.Name, err)
	}
	if err := encoder.Close(); err != nil {
		return err
	}
	_, err = io.WriteString(w, `"}`)
	return err
}
