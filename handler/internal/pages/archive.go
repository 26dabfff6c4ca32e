package pages

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"xarchive/handler/internal/audit"

	"xarchive/handler/internal/browse"
	"xarchive/handler/internal/export"
	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/health"
	"xarchive/handler/internal/post"
	"xarchive/handler/internal/statement"
	"xarchive/handler/internal/verify"
)

// archivePage is the messages of an account.
type archivePage struct {
	Accounts []choice
	Kinds    []choice
	Fields   archiveFields
	Found    *browse.Found // nil if nothing was searched
	Lines    []messageLine
	Next     string // where the search goes on; "" at its end
	First    string // the search from its beginning; "" if this is that
	Searched string // what was looked at, in words
	Verified *verified
	Problem  string
}

// archiveFields is what a person asks for, as it was typed.
type archiveFields struct{ Account, From, To, Kind, Text string }

type choice struct {
	Value, Label string
	Chosen       bool
}

type messageLine struct {
	browse.Message
	Link string
}

// verified is what a verification found.
type verified struct {
	verify.Report
	Whole bool // all that was asked for was compared
}

func archiveURL(account string) string {
	return "/Archive?" + url.Values{"account": {account}}.Encode()
}

func messageURL(name string) string { return "/Archive/Message?" + url.Values{"name": {name}}.Encode() }

// archive is /Archive?account=&from=&to=&kind=&text=&before=. A form verifies or takes
// out what the fields say.
func (q *request) archive() {
	if !q.enter() {
		return
	}
	value, do := q.query, "" // an address only looks
	if q.r.Method == http.MethodPost {
		value, do = q.field, q.field("do")
	}
	page := archivePage{Fields: archiveFields{value("account"), value("from"), value("to"), value("kind"), strings.TrimSpace(value("text"))}}
	code := http.StatusOK
	err := q.fillArchive(&page, value("before"), do)
	if errors.Is(err, errAnswered) {
		return
	}
	if err != nil {
		problem := q.explain("looking into the archive", err)
		page.Problem, code = problem.Message, problem.Status
	}
	q.show(code, "archive", "Archive", page)
}

// errAnswered: the request has been answered already, with a file.
var errAnswered = errors.New("answered")

func (q *request) fillArchive(page *archivePage, before, do string) error {
	ctx := q.r.Context()
	page.Kinds = []choice{{"", "All kinds", page.Fields.Kind == ""}}
	for _, k := range post.Kinds() {
		page.Kinds = append(page.Kinds, choice{string(k), string(k), strings.EqualFold(page.Fields.Kind, string(k))})
	}
	if err := q.pages.opt.Health.Reach(ctx); err != nil {
		return err
	}
	ids, err := q.pages.opt.Archive.Accounts(ctx)
	if err != nil {
		return err
	}
	jobs, _, err := q.pages.opt.Health.Records.Jobs(ctx)
	if err != nil {
		return err
	}
	names := map[string]string{}
	for _, j := range jobs {
		names[j.AccountID] = accountName(j)
	}
	if page.Fields.Account == "" && len(ids) > 0 {
		page.Fields.Account = ids[0]
	}
	for _, id := range ids {
		page.Accounts = append(page.Accounts, choice{id, cmp.Or(names[id], id+" (no longer archived)"), id == page.Fields.Account})
	}
	slices.SortFunc(page.Accounts, func(a, b choice) int { return cmp.Compare(a.Label, b.Label) })
	if len(ids) == 0 {
		return nil
	}
	asked, err := page.Fields.query()
	if err != nil {
		return err
	}
	switch do {
	case "export":
		return q.export(asked)
	case "statement":
		return q.statement(asked.Account)
	case "verify":
		account, err := q.pages.opt.Health.Records.Account(ctx, asked.Account)
		if err != nil {
			return err
		}
		report, whole, err := q.pages.opt.Archive.Verify(ctx, asked.Account, asked.From, asked.To, account.Manifest, account.Settled(q.pages.opt.Now().UTC().Add(-10*time.Minute)))
		if err != nil {
			return err
		}
		page.Verified = &verified{report, whole}
		return nil
	}
	found, err := q.pages.opt.Archive.Find(ctx, asked, before)
	if err != nil {
		return err
	}
	page.Found = &found
	for _, m := range found.Messages {
		page.Lines = append(page.Lines, messageLine{m, messageURL(m.Name)})
	}
	if found.Next != "" {
		page.Next = page.Fields.url(found.Next)
	}
	if before != "" {
		page.First = page.Fields.url("")
	}
	page.Searched = searched(found)
	return nil
}

// searched says what was looked at, and what was not.
func searched(f browse.Found) string {
	if f.Looked == 0 {
		return "There is nothing to look at in this time."
	}
	text := "Looked at " + health.Plural(f.Looked, "message") + ", back to " + moment(f.Back)
	if f.Next != "" {
		return text + "; older ones are not searched yet."
	}
	return text + ": all there are in this time."
}

// query reads the fields.
func (f archiveFields) query() (export.Query, error) {
	q := export.Query{Account: f.Account, Format: export.Zip, Text: f.Text}
	var err error
	if f.From != "" {
		if q.From, err = export.ParseFrom(f.From); err != nil {
			return q, err
		}
	}
	if f.To != "" {
		if q.To, err = export.ParseTo(f.To); err != nil {
			return q, err
		}
	}
	if f.Kind != "" {
		if q.Kinds, err = export.ParseKinds(f.Kind); err != nil {
			return q, err
		}
	}
	return q, q.Check()
}

func (f archiveFields) url(before string) string {
	v := url.Values{}
	for name, value := range map[string]string{"account": f.Account, "from": f.From, "to": f.To, "kind": f.Kind, "text": f.Text, "before": before} {
		if value != "" {
			v.Set(name, value)
		}
	}
	return "/Archive?" + v.Encode()
}

// export answers with a zip file, as it is made.
func (q *request) export(asked export.Query) error {
	name := "archive-" + asked.Account
	if !asked.From.IsZero() {
		name += "-from-" + asked.From.Format(time.DateOnly)
	}
	if !asked.To.IsZero() {
		name += "-to-" + asked.To.Format(time.DateOnly)
	}
	failed, err := q.pages.opt.Changes.Begin(q.r.Context(), audit.Change{What: audit.Exported, Account: asked.Account, Detail: name + ".zip"})
	if err != nil {
		return err
	}
	file := q.file("application/zip", name+".zip")
	status, err := q.pages.opt.Archive.Export(q.r.Context(), file, asked)
	if errors.Is(err, export.ErrTooMany) {
		err = nil // export.json in it says that it is not whole
		q.pages.opt.Log.WarnContext(q.r.Context(), "an export by a page ended before all messages were in it", "account", asked.Account, "messages", status.Messages)
	}
	if err == nil {
		q.pages.opt.Log.InfoContext(q.r.Context(), "messages were exported by a page", "account", asked.Account, "messages", status.Messages, "leftOut", status.LeftOut, "bytes", status.Bytes)
	}
	return file.end(q, failed(err))
}

// statementTime bounds the making of a statement.
const statementTime = 100 * time.Second

// statement answers with a month's statement of an account as CSV.
func (q *request) statement(account string) error {
	month, err := statement.ParseMonth(q.field("month"))
	if err != nil {
		return fault.Refuse(fault.BadRequest, "Choose a month, written like 2026-11.")
	}
	ctx, cancel := context.WithTimeout(q.r.Context(), statementTime)
	defer cancel()
	s, err := q.pages.opt.Statement(ctx, month, account)
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fault.RefuseWith(fault.Storage, "The statement cannot be made while you wait. The timer makes one of each month; handler statement makes any.", err)
	}
	if err != nil {
		return err
	}
	file := q.file("text/csv; charset=utf-8", "statement-"+account+"-"+month.String()+".csv")
	return file.end(q, s.CSV(file))
}

// download is a file that is sent as it is made.
type download struct {
	w      io.Writer
	header func()
	begun  bool
}

// file makes the answer a file for the browser to keep. Nothing is sent before its first
// byte, so that what fails until then is explained on a page.
func (q *request) file(contentType, name string) *download {
	return &download{w: q.w, header: func() {
		h := q.w.Header()
		h.Set("Content-Type", contentType)
		h.Set("Content-Disposition", `attachment; filename="`+name+`"`)
	}}
}

// Write implements io.Writer.
func (d *download) Write(b []byte) (int, error) {
	if !d.begun {
		d.begun = true
		d.header()
	}
	return d.w.Write(b)
}

// end ends a file. One that was begun and failed is cut off, so that the browser does
// not take it for whole.
func (d *download) end(q *request, err error) error {
	if err == nil {
		return errAnswered
	}
	if !d.begun {
		return err
	}
	q.explain("sending a file", err)
	panic(http.ErrAbortHandler)
}

// messagePage is one message.
type messagePage struct {
	Shown   browse.Shown
	Name    string
	Account string // its messages
	Body    string // address of what it says; "" if it says nothing in HTML
	File    string // address of its bytes
	Problem string
}

// message is /Archive/Message?name=.
func (q *request) message() {
	if !q.enter() {
		return
	}
	shown, err := q.shownMessage()
	if err != nil {
		problem := q.explain("showing a message", err)
		q.show(problem.Status, "message", "Message", messagePage{Problem: problem.Message})
		return
	}
	name := url.Values{"name": {shown.Entry.Name}}.Encode()
	account, _, _ := strings.Cut(shown.Entry.Name, "/")
	page := messagePage{Shown: shown, Name: shown.Entry.Name, Account: archiveURL(account), File: "/Archive/File?" + name}
	if shown.HTML != "" {
		page.Body = "/Archive/Body?" + name
		q.policy("frame-src 'self'")
	}
	q.show(http.StatusOK, "message", "Message "+shown.Entry.Key, page)
}

func (q *request) shownMessage() (browse.Shown, error) {
	ctx := q.r.Context()
	if err := q.pages.opt.Health.Reach(ctx); err != nil {
		return browse.Shown{}, err
	}
	entry, err := q.pages.opt.Archive.Entry(ctx, q.query("name"))
	if err != nil {
		return browse.Shown{}, err
	}
	return q.pages.opt.Archive.Show(ctx, entry)
}

// body is /Archive/Body?name=: what a message says, as it is archived. It may do
// nothing at all: no script, no form, nothing from elsewhere.
func (q *request) body() {
	if !q.enter() {
		return
	}
	shown, err := q.shownMessage()
	if err != nil {
		problem := q.explain("showing a message", err)
		q.fault(problem.Status, "The message cannot be shown", problem.Message)
		return
	}
	h := q.w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'; sandbox")
	h.Set("X-Frame-Options", "SAMEORIGIN")
	h.Set("Content-Type", "text/html; charset=utf-8")
	_, _ = io.WriteString(q.w, shown.HTML)
}

// fileOf is /Archive/File?name=: a message's bytes.
func (q *request) fileOf() {
	if !q.enter() {
		return
	}
	ctx := q.r.Context()
	err := q.pages.opt.Health.Reach(ctx)
	if err == nil {
		entry, missing := q.pages.opt.Archive.Entry(ctx, q.query("name"))
		err = missing
		if err == nil {
			file := q.file("message/rfc822", entry.Key+".eml")
			err = file.end(q, q.pages.opt.Archive.Copy(ctx, file, entry))
		}
	}
	if errors.Is(err, errAnswered) {
		return
	}
	problem := q.explain("sending a message", err)
	q.fault(problem.Status, "The message cannot be downloaded", problem.Message)
}
