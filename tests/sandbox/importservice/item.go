package importservice

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"net/url"
	"strings"
)

// maxContext bounds how deep items hold items.
const maxContext = 8

// CheckItem tells whether a file is an item as the Import service reads it: every
// member there, none unknown, each of its type, attachments in base64. The error
// says which member is wrong. The members are those of the Item class in the SDK of
// Microsoft's sample connector.
func CheckItem(file []byte) error {
	v, err := document("item", file)
	if err != nil {
		return err
	}
	return checkItem(v, 0)
}

func checkItem(v value, depth int) error {
	if depth > maxContext {
		return v.errorf("items are nested more than %d deep", maxContext)
	}
	m, err := v.object("SchemaVersion", "Id", "SourceType", "ItemType", "ContainerId", "ContainerName", "ThreadId", "ParentId", "Sender", "Recipients",
		"SentTimeUtc", "ContentType", "Content", "PreContext", "PostContext", "NumOfLikes", "MessagePreviewText", "ContentAttachments")
	if err != nil {
		return err
	}
	for _, name := range []string{"Id", "ItemType", "ContainerId", "ContainerName", "ThreadId"} {
		if _, err := m[name].filled(); err != nil {
			return err
		}
	}
	for _, name := range []string{"Content", "MessagePreviewText"} {
		if _, err := m[name].text(); err != nil {
			return err
		}
	}
	_, timeErr := m["SentTimeUtc"].utc()
	_, typeErr := m["ContentType"].count(1)
	_, likesErr := m["NumOfLikes"].count(math.MaxInt)
	return all(timeErr, typeErr, likesErr,
		m["SchemaVersion"].one("1.0"), m["SourceType"].one("Twitter"), m["ParentId"].textOrNull(),
		checkUser(m["Sender"]),
		each(m["Recipients"], checkUser),
		eachOrNull(m["PreContext"], func(c value) error { return checkItem(c, depth+1) }),
		eachOrNull(m["PostContext"], func(c value) error { return checkItem(c, depth+1) }),
		eachOrNull(m["ContentAttachments"], checkAttachment))
}

// each checks every element of a list.
func each(v value, check func(value) error) error {
	elements, err := v.list()
	for _, e := range elements {
		err = all(err, check(e))
	}
	return err
}

// eachOrNull checks every element of a list that may also be null.
func eachOrNull(v value, check func(value) error) error {
	if v.null() {
		return nil
	}
	return each(v, check)
}

func checkUser(v value) error {
	m, err := v.object("Id", "UserProfilePhotoUrl", "Name", "EmailAddress", "MobileNumber")
	if err != nil {
		return err
	}
	_, idErr := m["Id"].filled()
	_, nameErr := m["Name"].filled()
	address, addressErr := m["EmailAddress"].filled()
	if addressErr == nil && !strings.Contains(address, "@") {
		addressErr = m["EmailAddress"].errorf("not an address")
	}
	return all(idErr, nameErr, addressErr, m["UserProfilePhotoUrl"].textOrNull(), m["MobileNumber"].textOrNull())
}

func checkAttachment(v value) error {
	m, err := v.object("AttachmentType", "AttachmentFileName", "Uri", "Content")
	if err != nil {
		return err
	}
	name, err := m["AttachmentFileName"].filled()
	if err == nil && strings.ContainsAny(name, `/\`) {
		err = m["AttachmentFileName"].errorf("%q is a path", name)
	}
	source, uriErr := m["Uri"].text()
	if uriErr == nil {
		if u, parseErr := url.Parse(source); parseErr != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
			uriErr = m["Uri"].errorf("%q is not an absolute URL", source)
		}
	}
	return all(err, uriErr, m["AttachmentType"].one("media"), checkBase64(m["Content"]))
}

// checkBase64 wants RFC 4648 section 4 with padding, and at least a byte.
func checkBase64(v value) error {
	var content string
	if err := json.Unmarshal(v.raw, &content); err != nil || content == "" {
		return v.errorf("no content")
	}
	if strings.ContainsAny(content, "\r\n") {
		return v.errorf("a line break in base64")
	}
	if _, err := base64.StdEncoding.Strict().DecodeString(content); err != nil {
		return v.errorf("not base64: %v", err)
	}
	return nil
}
