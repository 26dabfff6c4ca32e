// Package message turns a post into the e-mail message that is archived, RFC 5322
// with MIME (RFC 2045 to 2049), and reads such a message.
//
//	From, To, Date, Subject          the author, the archive mailbox, when and what
//	Message-ID                       <postId@x.com>; of an edit <postId.N@x.com>
//	In-Reply-To, References          from the conversation, so that mail clients thread it
//	X-Message-Class                  IPM.NOTE.Twitter.<kind>
//	X-Twitter-Post-ID, -Author-ID, -Kind
//	X-Twitter-Media-Missing          key of a media file that could not be had, and why
//	X-Twitter-Media-Kept             key of a media file that is not the best copy, where it is from, and why
//	X-Twitter-Supplement             only in a supplement: media, media.2, …, missing
//	X-Twitter-Version-Missing        only in a supplement: id of a version that could not be had, and what is known
//	multipart/mixed, or multipart/related where pictures are shown in the text
//	├─ multipart/alternative         text/plain and text/html
//	├─ post.json                     X's own JSON of the post, byte for byte
//	└─ each photo and video          under its own name; Content-Location says where it came from
//
// A post has one message, and may have supplements: messages that are archived
// later with what the first one lacks. A [Supplement] answers the post's message,
// and can be read by itself: it has the same header, text and post.json.
//
// The same post with the same media always gives the same bytes: nothing in a
// message depends on the time or the machine it is written on.
//
// What an archived item must have:
// https://learn.microsoft.com/purview/archive-partner-third-party-data
package message

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"time"

	"xarchive/handler/internal/post"

	"github.com/emersion/go-message"
)

// Format is how an organization's messages are addressed.
type Format struct {
	To        string            // address of the archive mailbox
	Mailboxes map[string]string // address by handle, lower case and without @
}

// Attachment is a media file of a post, or the statement that it could not be had.
type Attachment struct {
	Media  post.Media
	Source string    // address that Body is read from
	Name   string    // of the file; see FileNames
	Type   string    // media type; see TypeOf
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
	root := message.Header{}
	boundary := boundaryOf(document)
	kind := "multipart/mixed"
	params := map[string]string{"boundary": boundary}
	for _, a := range attachments {
		if a.Body != nil && shownInline(a.Type) {
			kind = "multipart/related"
			params["type"] = "multipart/alternative" // RFC 2387, 3.1
		}
	}
	root.SetContentType(kind, params)
	f.setHeader(&root, p, s, attachments)

	out, err := message.CreateWriter(w, root)
	if err != nil {
		return fmt.Errorf("writing the header of post %s: %w", p.ID, err)
	}
	if err := writeBodies(out, "text-"+boundary, newView(p, s.notice(), mediaOf(attachments))); err != nil {
		return fmt.Errorf("writing the text of post %s: %w", p.ID, err)
	}
	json := part("application/json", nil)
	json.SetContentDisposition("attachment", map[string]string{"filename": documentName})
	if err := writePart(out, json, strings.NewReader(string(document))); err != nil {
		return fmt.Errorf("writing %s of post %s: %w", documentName, p.ID, err)
	}
	for _, a := range attachments {
		if a.Body == nil {
			continue
		}
		if err := writePart(out, mediaHeader(a), a.Body); err != nil {
			return fmt.Errorf("writing media %s of post %s: %w", a.Media.Key, p.ID, err)
		}
	}
	return out.Close()
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

func mediaHeader(a Attachment) message.Header {
	h := part(a.Type, nil)
	h.Set("Content-Location", oneLine(a.Source)) // RFC 2557, 4.2
	h.Set("Content-ID", "<"+contentID(a.Media)+">")
	h.SetContentDisposition("attachment", map[string]string{"filename": a.Name})
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
