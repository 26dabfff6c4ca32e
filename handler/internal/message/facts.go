package message

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"xarchive/handler/internal/post"
)

// notes returns the facts about a post that its text does not tell.
func notes(p *post.Post) []string {
	var out []string
	note := func(value, format string, args ...any) {
		if value != "" {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	if n := p.Version(); n > 1 || len(p.EditHistory) > 1 {
		text := fmt.Sprintf("Version %d of %d of an edited post", n, len(p.EditHistory))
		if earlier := p.EarlierVersions(); len(earlier) > 0 {
			text += "; earlier: " + oneLine(strings.Join(earlier, ", "))
		}
		out = append(out, text)
	}
	if r := p.Ref(post.RepliedTo); p.InReplyToUser.ID != "" && (r == nil || r.Post == nil) {
		out = append(out, "In reply to a post of "+at(p.InReplyToUser))
	}
	switch {
	case p.PlaceUnnamed:
		out = append(out, "Place "+oneLine(p.Place)+" (X did not send its name)")
	case p.Place != "":
		out = append(out, "Place: "+closed(oneLine(p.Place)))
	}
	note(p.Location, "Location: %s", oneLine(p.Location))
	note(p.Community, "Posted in community %s", oneLine(p.Community))
	note(p.Replies, "%s", oneLine(p.Replies))
	if p.Paid {
		out = append(out, "X marks this post as a paid partnership")
	}
	if p.Sensitive {
		out = append(out, "X marks this post as possibly sensitive")
	}
	note(p.Withheld, "X withholds %s", oneLine(p.Withheld))
	return append(out, exportNotes(p)...)
}

// mentionNotice says of another account's post why it is archived.
func mentionNotice(p *post.Post) []string {
	if p.Mentions.ID == "" {
		return nil
	}
	return []string{"This is a post of " + at(p.Author) + ", not of " + at(p.Mentions) + ". It is archived because it mentions " + at(p.Mentions) + "."}
}

// foot says what a message is derived from. It must not depend on when the message is
// written.
func foot(p *post.Post, document []byte) []string {
	sum := sha256.Sum256(document)
	source := "Source: X API v2, post " + p.ID + ". " + documentName + " is what X sent of it"
	if p.Export != nil {
		source = "Source: X's own data export, " + oneLine(p.Export.File) + ", post " + p.ID + ". " + documentName + " is what the export has of it"
	}
	return []string{
		source + ", SHA-256 " + hex.EncodeToString(sum[:]) + ".",
		"When it was captured is in the metadata of this message in the archive, with the version of the connector, and in the account's manifest: this message depends on the post alone.",
	}
}

func showTime(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04:05 UTC") }
