package message

import (
	"fmt"
	"strings"

	"xarchive/handler/internal/post"
)

// Header fields of messages that are made of X's own data export.
const (
	sourceField  = "X-Twitter-Source"   // export; absent: X's API
	deletedField = "X-Twitter-Deleted"  // when the post was deleted on X, RFC 3339, or unknown
	cutField     = "X-Twitter-Text-Cut" // why the text is not whole, for people
)

// setExport sets what tells a message of X's data export from one of its API.
func setExport(p *post.Post, state, raw func(field, text string)) {
	if p.Export == nil {
		return
	}
	if lead := cutLead(p); lead != "" {
		state(cutField, strings.TrimSuffix(lead, ":"))
	}
	if p.Export.Deleted {
		at := "unknown"
		if !p.Export.DeletedAt.IsZero() {
			at = p.Export.DeletedAt.UTC().Format("2006-01-02T15:04:05Z")
		}
		raw(deletedField, at)
	}
	raw(sourceField, post.ExportSource)
}

// cutLead says that a text is not whole, or may not be; "" of one that is.
func cutLead(p *post.Post) string {
	x := p.Export
	switch {
	case x == nil:
		return ""
	case x.Repost:
		return "X's data export has of a repost only this beginning, and not the post that it repeats:"
	case x.Cut && x.Undecided > 0:
		return fmt.Sprintf("X's data export cuts this text off. %s, and which one is not certain, so none is shown:", mayBe(x.Undecided))
	case x.Cut:
		return "X's data export seems to cut this text off, and has the rest nowhere:"
	case x.Undecided > 0:
		return fmt.Sprintf("This text may be the beginning of a longer one. %s, and which one is not certain, so none is shown:", mayBe(x.Undecided))
	}
	return ""
}

func mayBe(n int) string {
	if n == 1 {
		return "One long text in it may be the whole one, or that of another post"
	}
	return fmt.Sprintf("%d long texts in it may be the whole one", n)
}

// exportNotes are what a reader of a message from X's data export has to know.
func exportNotes(p *post.Post) (out []string) {
	x := p.Export
	if x == nil {
		return nil
	}
	switch {
	case x.Deleted && !x.DeletedAt.IsZero():
		out = append(out, "Deleted on X: "+showTime(x.DeletedAt))
	case x.Deleted:
		out = append(out, "Deleted on X; its data export does not say when")
	}
	if x.Circle {
		out = append(out, "Shared with a Circle only, not with everybody")
	}
	if p.Community == "" && inCommunity(x.File) {
		out = append(out, "Posted in a community, which X's data export does not name")
	}
	if x.Links {
		out = append(out, "It links to a post; whether it quotes it, X's data export does not say")
	}
	return append(out, "From X's own data export, which lacks descriptions of pictures, names of others, what this post quotes or answers, polls and who may reply")
}

// inCommunity reports whether a data file has posts of communities.
func inCommunity(file string) bool { return strings.Contains(file, "community-tweet") }
