// Package message turns a post into the e-mail message that is archived, RFC 5322
// with MIME (RFC 2045 to 2049), and reads such a message.
//
//	From, To, Date, Subject          the author, the archive mailbox, when and what
//	Message-ID                       <postId@x.com>; of an edit <postId.N@x.com>
//	In-Reply-To, References          from the conversation, so that mail clients thread it
//	X-Message-Class                  IPM.NOTE.Twitter.<kind>
//	X-Twitter-Post-ID, -Author-ID, -Kind
//	X-Twitter-Mentions-ID            only of another account's post: the account that it mentions and is archived for
//	X-Twitter-Media-Missing          key of a media file that could not be had, and why
//	X-Twitter-Media-Kept             key of a media file that is not the best copy, where it is from, and why
//	X-Twitter-Text-Missing           id of a post of whose text X gave only a notice of its own, and that notice
//	X-Twitter-Source                 export, if the post is from X's own data export and not from its API
//	X-Twitter-Deleted                when the post was deleted on X, if it stands among the deleted ones of the export; or unknown
//	X-Twitter-Text-Cut               that the export has not all of the text, and why
//	X-Twitter-Supplement             only in a supplement: media, media.2, …, version, version.2, …, missing
//	X-Twitter-Changed                only in a supplement named version: in what it differs from the message before it
//	X-Twitter-Version-Missing        only in a supplement: id of a version that could not be had, and what is known
//	multipart/mixed
//	├─ multipart/related             only where pictures are shown in the text
//	│  ├─ multipart/alternative      text/plain and text/html
//	│  └─ each picture               Content-Disposition inline; Content-ID is what the HTML refers to
//	├─ post.json                     X's own JSON of the post, byte for byte
//	└─ each other file               a film under its own name
//
// A media file's part says where it came from (Content-Location) and of which media it
// is (X-Twitter-Media-Key).
//
// A post has one message, and may have supplements: messages that are archived
// later with what the first one lacks. A [Supplement] answers the post's message,
// and can be read by itself: it has the same header, text and post.json.
//
// The same post with the same media always gives the same bytes: nothing in a
// message depends on the time or the machine it is written on. What does vary, such as
// when the post was captured, is kept beside the message, in the archive.
// docs/message.md shows what a message says.
//
// What an archived item must have:
// https://learn.microsoft.com/purview/archive-partner-third-party-data
package message

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"xarchive/handler/internal/post"

	"github.com/emersion/go-message"
)

// Format is how an organization's messages are addressed.
type Format struct {
	To        string            // address of the archive mailbox
	Mailboxes map[string]string // addresses by handle, lower case and without @, and by id:<account id>
}

// Attachment is a media file of a post, or the statement that it could not be had. A
// still picture of a video (post.Still) stands for it in the text where there is one;
// nothing is stated of one that could not be had.
type Attachment struct {
	Media  post.Media
	Source string    // address that Body is read from, or its path in X's data export
	Name   string    // of the file; see FileNames. Write gives it the extension of its bytes
	Type   string    // media type; see TypeOf. Where the bytes tell another, that one counts
	Body   io.Reader // nil if the file is missing

	// Missing says why there is no Body, and Until until when (UTC) the file is
	// asked for again; the zero time if it is not. Until is part of the message's
	// bytes: it must not depend on when the message is written.
	Missing string
	Until   time.Time

	// NotBetter says why Body is not of the best source; "" if it is.
	NotBetter string
}

// domain is that of Message-ID and Content-ID.
const domain = "x.com"

// documentName is the file name of the post's document in its message.
const documentName = "post.json"

// Write writes the message of a post. document is the post's document, from which
// p was parsed. Bodies are read once, in order, and are never held in memory. It
// returns an error of a body as it is; what was written before it is no message.
func (f Format) Write(w io.Writer, p *post.Post, document []byte, attachments []Attachment) error {
	return f.write(w, p, document, Supplement{}, attachments)
}

// WriteSupplement writes a supplement to the message of a post, with the media
// that it brings. It is like [Format.Write] in all else.
func (f Format) WriteSupplement(w io.Writer, p *post.Post, document []byte, s Supplement, attachments []Attachment) error {
	if err := checkSupplement(s.Name); err != nil {
		return fmt.Errorf("writing a supplement to post %s: %w", p.ID, err)
	}
	return f.write(w, p, document, s, attachments)
}

func (f Format) write(w io.Writer, p *post.Post, document []byte, s Supplement, attachments []Attachment) error {
	files, err := look(p, attachments, s.Name == "")
	if err != nil {
		return err
	}
	root := message.Header{}
	boundary := boundaryOf(document)
	root.SetContentType("multipart/mixed", map[string]string{"boundary": boundary})
	f.setHeader(&root, p, s, files)

	out, err := message.CreateWriter(w, root)
	if err != nil {
		return fmt.Errorf("writing the header of post %s: %w", p.ID, err)
	}
	v := newView(p, s.notice(), s.mediaView(), mediaOf(files))
	v.Foot = foot(p, document)
	if err := writeShown(out, boundary, p, v, files); err != nil {
		return err
	}
	json := part("application/json", nil)
	json.SetContentDisposition("attachment", map[string]string{"filename": documentName})
	if err := writePart(out, json, strings.NewReader(string(document))); err != nil {
		return fmt.Errorf("writing %s of post %s: %w", documentName, p.ID, err)
	}
	if err := writeMedia(out, p, files, func(a file) bool { return !shownInline(a.Type) }); err != nil {
		return err
	}
	return out.Close()
}

// writeShown writes the text, and with it the pictures that it shows (RFC 2387).
func writeShown(out *message.Writer, boundary string, p *post.Post, v view, files []file) error {
	pictures := slices.ContainsFunc(files, func(a file) bool { return a.Body != nil && shownInline(a.Type) })
	if !pictures {
		if err := writeBodies(out, "text-"+boundary, v); err != nil {
			return fmt.Errorf("writing the text of post %s: %w", p.ID, err)
		}
		return nil
	}
	h := message.Header{}
	h.SetContentType("multipart/related", map[string]string{"boundary": "shown-" + boundary, "type": "multipart/alternative"})
	related, err := out.CreatePart(h)
	if err != nil {
		return err
	}
	if err := writeBodies(related, "text-"+boundary, v); err != nil {
		return fmt.Errorf("writing the text of post %s: %w", p.ID, err)
	}
	if err := writeMedia(related, p, files, func(a file) bool { return shownInline(a.Type) }); err != nil {
		return err
	}
	return related.Close()
}

// writeMedia writes the media files that are wanted.
func writeMedia(out *message.Writer, p *post.Post, files []file, wanted func(file) bool) error {
	for _, a := range files {
		if a.Body == nil || !wanted(a) {
			continue
		}
		if err := writePart(out, mediaHeader(a), a.Body); err != nil {
			return fmt.Errorf("writing media %s of post %s: %w", a.Media.Key, p.ID, err)
		}
	}
	return nil
}

// boundaryOf returns a MIME boundary that depends on the post alone and that its
// author cannot have foreseen.
func boundaryOf(document []byte) string {
	sum := sha256.Sum256(document)
	return hex.EncodeToString(sum[:16])
}

// writeBodies writes the text as multipart/alternative: plain, then HTML.
func writeBodies(out *message.Writer, boundary string, v view) error {
	h := message.Header{}
	h.SetContentType("multipart/alternative", map[string]string{"boundary": boundary})
	both, err := out.CreatePart(h)
	if err != nil {
		return err
	}
	html, err := renderHTML(v)
	if err != nil {
		return err
	}
	for _, body := range []struct{ kind, text string }{{"text/plain", renderText(v)}, {"text/html", html}} {
		h := message.Header{}
		h.Set("Content-Transfer-Encoding", "quoted-printable")
		h.SetContentType(body.kind, map[string]string{"charset": "utf-8"})
		if err := writePart(both, h, strings.NewReader(body.text)); err != nil {
			return err
		}
	}
	return both.Close()
}

// part is the header of a part in base64.
func part(kind string, params map[string]string) message.Header {
	h := message.Header{}
	h.Set("Content-Transfer-Encoding", "base64")
	h.SetContentType(kind, params)
	return h
}

// keyField names, in a media file's part, the media that it is of.
const keyField = "X-Twitter-Media-Key"

func mediaHeader(a file) message.Header {
	h := part(a.Type, nil)
	h.Set("Content-Location", oneLine(a.Source)) // RFC 2557, 4.2
	h.AddRaw([]byte(keyField + ": " + token(a.Media.Key) + "\r\n"))
	disposition := "attachment"
	if shownInline(a.Type) {
		disposition = "inline"
		h.Set("Content-ID", "<"+contentID(a.Media)+">")
	}
	h.SetContentDisposition(disposition, map[string]string{"filename": a.Name})
	return h
}

// contentID names a media file in its message (RFC 2392): cid:<key>@x.com.
func contentID(m post.Media) string { return token(m.Key) + "@" + domain }

func writePart(out *message.Writer, h message.Header, body io.Reader) error {
	w, err := out.CreatePart(h)
	if err != nil {
		return err
	}
	if _, err := io.Copy(w, body); err != nil {
		return err
	}
	return w.Close()
}
