// Package importer speaks with the Office 365 Import service: it makes items of
// archived messages, puts them into a task's container, and tells the service that
// the task is through.
//
// An item is a JSON file; its members are those of Microsoft's sample connector
// (class Item of its SDK). The service turns it into a message in the mailbox.
package importer

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"xarchive/handler/internal/message"
	"xarchive/handler/internal/post"
)

// FileName is the name of a post's item in its task's folder.
func FileName(postID string) string { return postID + ".json" }

// item is an item without its attachments, which are streamed after it.
type item struct {
	SchemaVersion      string // "1.0"
	ID                 string `json:"Id"`
	SourceType         string
	ItemType           string // Tweet, Retweet, Reply, Quote
	ContainerID        string `json:"ContainerId"` // the account's id
	ContainerName      string
	ThreadID           string  `json:"ThreadId"` // the post that began the conversation
	ParentID           *string `json:"ParentId"` // the post replied to
	Sender             user
	Recipients         []user
	SentTimeUTC        string `json:"SentTimeUtc"` // RFC 3339
	ContentType        int    // 0 HTML, 1 text
	Content            string
	PreContext         []item // the posts it answers, repeats or quotes; null for none
	PostContext        []item // always null
	NumOfLikes         int    // when it was archived
	MessagePreviewText string
	ContentAttachments *struct{} // always null in a context; see FromMessage
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

// FromMessage writes the item of an archived message. mailboxes maps handles
// (lower case, without @) to mail addresses. Attachments are streamed; where it
// fails, what was written is no item.
func FromMessage(w io.Writer, eml io.Reader, mailboxes map[string]string) error {
	m, err := message.Read(eml)
	if err != nil {
		return err
	}
	it, err := newItem(m.Post, m.Missing, mailboxes, 0)
	if err != nil {
		return err
	}
	if err := writeItem(w, it, m); err != nil {
		return fmt.Errorf("writing the item of post %s: %w", it.ID, err)
	}
	return nil
}

// maxContext bounds how far a chain of references is followed.
const maxContext = 2

func newItem(p *post.Post, missing map[string]string, mailboxes map[string]string, depth int) (item, error) {
	content, err := message.HTML(p, missing)
	if err != nil {
		return item{}, err
	}
	it := item{
		SchemaVersion: "1.0", ID: p.ID, SourceType: "Twitter", ItemType: string(p.Kind()),
		ContainerID: p.Author.ID, ContainerName: name(p.Author), ThreadID: p.ConversationID,
		Sender: user{ID: p.Author.ID, UserProfilePhotoURL: p.Author.PhotoURL, Name: name(p.Author),
			EmailAddress: message.Mailbox(p.Author, mailboxes)},
		Recipients: []user{}, SentTimeUTC: formatTime(p.CreatedAt), ContentType: contentHTML, Content: content,
		NumOfLikes: p.Likes, MessagePreviewText: p.Text.Preview(previewSize),
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
		context, err := newItem(r.Post, nil, mailboxes, depth+1)
		if err != nil {
			return item{}, err
		}
		it.PreContext = append(it.PreContext, context)
	}
	return it, nil
}

// timeLayout is RFC 3339 in UTC, to the millisecond.
const timeLayout = "2006-01-02T15:04:05.000Z"

// formatTime writes a time as items and the event API have it.
func formatTime(t time.Time) string { return t.UTC().Format(timeLayout) }

func name(u post.User) string { return cmp.Or(u.Name, u.Username, u.ID, "unknown") }

// attachment is one member of ContentAttachments but for Content, which is
// streamed after it.
type attachment struct {
	AttachmentType     string
	AttachmentFileName string
	URI                string `json:"Uri"`
}

// writeItem writes an item and streams the media of its message into it.
func writeItem(w io.Writer, it item, m *message.Message) error {
	head, err := json.Marshal(it)
	if err != nil {
		return err
	}
	const null = `"ContentAttachments":null}`
	if _, err := w.Write(head[:len(head)-len(null)]); err != nil {
		return err
	}
	first := true
	for {
		part, err := m.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		before := ","
		if first {
			before, first = `"ContentAttachments":[`, false
		}
		if _, err := io.WriteString(w, before); err != nil {
			return err
		}
		if err := writeAttachment(w, part); err != nil {
			return err
		}
	}
	end := "]}"
	if first {
		end = null
	}
	_, err = io.WriteString(w, end)
	return err
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
