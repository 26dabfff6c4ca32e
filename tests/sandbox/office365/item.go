package office365

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// Item is an item as the Import service takes it; the members are those of class
// Item in Microsoft's sample connector.
type Item struct {
	SchemaVersion      string
	ID                 string `json:"Id"`
	SourceType         string
	ItemType           string
	ContainerID        string `json:"ContainerId"`
	ContainerName      string
	ThreadID           string  `json:"ThreadId"`
	ParentID           *string `json:"ParentId"`
	Sender             User
	Recipients         []User
	SentTimeUTC        string `json:"SentTimeUtc"`
	ContentType        int
	Content            string
	PreContext         []Item
	PostContext        []Item
	NumOfLikes         int64
	MessagePreviewText string
	ContentAttachments []Attachment
}

// User is who sent or got an item.
type User struct {
	ID                  string `json:"Id"`
	UserProfilePhotoURL string `json:"UserProfilePhotoUrl"`
	Name                string
	EmailAddress        string
	MobileNumber        *string
}

// Attachment is a file of an item.
type Attachment struct {
	AttachmentType     string
	AttachmentFileName string
	URI                string `json:"Uri"`
	Content            string // base64
}

// Bytes are the attachment's.
func (a Attachment) Bytes() ([]byte, error) { return base64.StdEncoding.DecodeString(a.Content) }

// members of an item, all of which must be there.
var members = []string{"SchemaVersion", "Id", "SourceType", "ItemType", "ContainerId", "ContainerName", "ThreadId", "ParentId", "Sender", "Recipients",
	"SentTimeUtc", "ContentType", "Content", "PreContext", "PostContext", "NumOfLikes", "MessagePreviewText", "ContentAttachments"}

// CheckItem tells what is wrong with an item's bytes.
func CheckItem(data []byte) error {
	_, err := ParseItem(data)
	return err
}

// ParseItem reads an item, strictly.
func ParseItem(data []byte) (Item, error) {
	var item Item
	if err := strict(data, &item); err != nil {
		return Item{}, fmt.Errorf("not an item: %w", err)
	}
	if err := checkMembers(data); err != nil {
		return Item{}, err
	}
	return item, item.check(0)
}

// checkMembers wants each member once.
func checkMembers(data []byte) error {
	d := json.NewDecoder(bytes.NewReader(data))
	var got []string
	if _, err := d.Token(); err != nil {
		return err
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil && err != io.EOF {
			return err
		}
		got = append(got, name.(string))
	}
	slices.Sort(got)
	want := slices.Sorted(slices.Values(members))
	if !slices.Equal(got, want) {
		return fmt.Errorf("an item has the members %q, it must have %q", got, want)
	}
	return nil
}

func (i Item) check(depth int) error {
	switch {
	case depth > 5:
		return errors.New("the contexts of an item are nested without end")
	case i.SchemaVersion != "1.0", i.ID == "", i.SourceType != "Twitter", i.ContainerID == "", i.Content == "":
		return fmt.Errorf("item %q lacks a member that must not be empty", i.ID)
	case !slices.Contains([]string{"Tweet", "Retweet", "Reply", "Quote"}, i.ItemType):
		return fmt.Errorf("item %s has the type %q", i.ID, i.ItemType)
	case i.ContentType != 0 && i.ContentType != 1:
		return fmt.Errorf("item %s has the content type %d", i.ID, i.ContentType)
	case i.Sender.ID == "" || i.Sender.Name == "" || i.Sender.EmailAddress == "":
		return fmt.Errorf("item %s has no sender", i.ID)
	case i.Recipients == nil:
		return fmt.Errorf("item %s has null for Recipients", i.ID)
	}
	if _, err := time.Parse("2006-01-02T15:04:05.999Z", i.SentTimeUTC); err != nil {
		return fmt.Errorf("item %s: %w", i.ID, err)
	}
	for _, a := range i.ContentAttachments {
		if a.AttachmentType != "media" || a.AttachmentFileName == "" || a.URI == "" {
			return fmt.Errorf("item %s has an attachment without type, name or address", i.ID)
		}
		if _, err := a.Bytes(); err != nil {
			return fmt.Errorf("attachment %s of item %s: %w", a.AttachmentFileName, i.ID, err)
		}
	}
	for _, c := range slices.Concat(i.PreContext, i.PostContext) {
		if err := c.check(depth + 1); err != nil {
			return fmt.Errorf("context of item %s: %w", i.ID, err)
		}
	}
	return nil
}
