package config

import "errors"

// LoadMail reads and checks what leads to the archive, see [LoadArchive], and by whose
// addresses messages are made: TENANT_ID, ARCHIVE_MAILBOX, AUTHOR_MAILBOXES. Whoever adds
// messages to the archive needs the same as the connector has.
func LoadMail(getenv func(string) string) (Config, error) {
	c, err := LoadArchive(getenv)
	s := &settings{getenv: getenv}
	c.TenantID = s.tenant("TENANT_ID")
	c.AuthorMailboxes = s.mailboxes("AUTHOR_MAILBOXES")
	c.ArchiveMailbox = s.mailbox("ARCHIVE_MAILBOX", "archive@"+c.TenantID+".invalid")
	return c, errors.Join(append([]error{err}, s.faults...)...)
}
