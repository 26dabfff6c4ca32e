package post

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// AsMention returns the document of another account's post as it is archived for the
// account that it mentions: with that account's id in the member `mentions`, and else as
// it was. A post of the account itself, and a document that has the member, is
// returned as it is. What cannot be read as a post has the member, too: it may be read
// by a later version.
func (d Document) AsMention(accountID string) Document {
	if d.Post != nil && (d.Post.Author.ID == accountID || d.Post.Mentions.ID != "") || CheckID(accountID) != nil {
		return d
	}
	body, whole := bytes.CutSuffix(bytes.TrimSpace(d.JSON), []byte("}"))
	if !whole {
		return d
	}
	out := Document{ID: d.ID, Earlier: d.Earlier, JSON: fmt.Appendf(nil, `%s,"mentions":%s}`, body, quoted(accountID))}
	out.Post, out.Err = Parse(out.JSON)
	return out
}

// IsMention reports whether a document is another account's post that is archived because
// it mentions an account ([Document.AsMention]), also where it cannot be read as a post.
func IsMention(document []byte) bool {
	var e struct {
		Mentions string `json:"mentions"`
	}
	return json.Unmarshal(document, &e) == nil && e.Mentions != ""
}
