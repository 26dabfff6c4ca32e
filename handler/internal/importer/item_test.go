package importer_test

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"xarchive/handler/internal/importer"
	"xarchive/handler/internal/message"
	"xarchive/handler/internal/post"
	"xarchive/tests/sandbox/importservice"
)

const document = `{"data":{"id":"1800000000000000003","text":"Look &lt;b&gt; https://t.co/a","author_id":"7","created_at":"2024-06-10T08:00:00.123Z",
 "conversation_id":"1600000000000000000","referenced_tweets":[{"type":"replied_to","id":"1700000000000000002"},{"type":"quoted","id":"1700000000000000009"}],
 "attachments":{"media_keys":["3_1","3_2"]},"public_metrics":{"like_count":5}},
"includes":{"tweets":[{"id":"1700000000000000002","text":"asked","author_id":"8"}],
 "users":[{"id":"7","username":"Ann","name":"Ann Ö","profile_image_url":"https://pbs.twimg.com/profile_images/a.jpg"},{"id":"8","username":"bob","name":"Bob"}],
 "media":[{"media_key":"3_1","type":"photo","url":"https://pbs.twimg.com/media/x.png"},{"media_key":"3_2","type":"photo","url":"https://pbs.twimg.com/media/gone.png"}]}}`

// eml is the message of a document; bodies are by media key.
func eml(t *testing.T, doc string, bodies map[string]string) io.Reader {
	t.Helper()
	p, err := post.Parse([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	var attachments []message.Attachment
	for _, m := range p.Shown() {
		a := message.Attachment{Media: m, Source: m.URL, Name: post.FileName(m.URL), Type: "image/png", Missing: "status 404"}
		if body, ok := bodies[m.Key]; ok {
			a.Body, a.Missing = strings.NewReader(body), ""
		}
		attachments = append(attachments, a)
	}
	var b bytes.Buffer
	if err := (message.Format{To: "a@contoso.example"}).Write(&b, p, []byte(doc), attachments); err != nil {
		t.Fatal(err)
	}
	return &b
}

// TestItem: every member, and what the Import service's stand-in makes of it.
func TestItem(t *testing.T) {
	var out bytes.Buffer
	if err := importer.FromMessage(&out, eml(t, document, map[string]string{"3_1": "\x89PNG"}), map[string]string{"ann": "ann@contoso.example"}); err != nil {
		t.Fatal(err)
	}
	if err := importservice.CheckItem(out.Bytes()); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	var got map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	content, _ := got["Content"].(string)
	for _, part := range []string{"Look &lt;b&gt;", "asked", "not archived: status 404"} {
		if !strings.Contains(content, part) {
			t.Errorf("Content lacks %q: %s", part, content)
		}
	}
	if strings.Contains(content, "cid:") || strings.Contains(content, `src="http`) {
		t.Errorf("Content refers to what an item does not have: %s", content)
	}
	context, _ := got["PreContext"].([]any)
	if len(context) != 1 || context[0].(map[string]any)["Id"] != "1700000000000000002" {
		t.Errorf("PreContext %v", context)
	}
	delete(got, "Content")
	delete(got, "PreContext")
	const want = `{"SchemaVersion":"1.0","Id":"1800000000000000003","SourceType":"Twitter","ItemType":"Reply","ContainerId":"7","ContainerName":"Ann Ö",
		"ThreadId":"1600000000000000000","ParentId":"1700000000000000002",
		"Sender":{"Id":"7","UserProfilePhotoUrl":"https://pbs.twimg.com/profile_images/a.jpg","Name":"Ann Ö","EmailAddress":"ann@contoso.example","MobileNumber":null},
		"Recipients":[],"SentTimeUtc":"2024-06-10T08:00:00.123Z","ContentType":0,"PostContext":null,"NumOfLikes":5,"MessagePreviewText":"Look <b> https://t.co/a",
		"ContentAttachments":[{"AttachmentType":"media","AttachmentFileName":"x.png","Uri":"https://pbs.twimg.com/media/x.png","Content":"iVBORw=="}]}`
	var wanted map[string]any
	if err := json.Unmarshal([]byte(want), &wanted); err != nil {
		t.Fatal(err)
	}
	a, _ := json.Marshal(got)
	b, _ := json.Marshal(wanted)
	if !bytes.Equal(a, b) {
		t.Errorf("item\n%s, want\n%s", a, b)
	}
}

// TestPlainItem: what a post without anything has null for.
func TestPlainItem(t *testing.T) {
	var out bytes.Buffer
	if err := importer.FromMessage(&out, eml(t, `{"data":{"id":"1800000000000000003","text":"","author_id":"7"}}`, nil), nil); err != nil {
		t.Fatal(err)
	}
	if err := importservice.CheckItem(out.Bytes()); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	for _, part := range []string{`"ContentAttachments":null`, `"PreContext":null`, `"ParentId":null`, `"ThreadId":"1800000000000000003"`, `"EmailAddress":"7@x.invalid"`} {
		if !strings.Contains(out.String(), part) {
			t.Errorf("the item lacks %s: %s", part, &out)
		}
	}
}

// TestNoMessage: what is no message of ours makes no item.
func TestNoMessage(t *testing.T) {
	for _, text := range []string{"", "Subject: x\r\n\r\nbody", "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Disposition: attachment; filename=x\r\n\r\n{}\r\n--b--\r\n"} {
		if err := importer.FromMessage(io.Discard, strings.NewReader(text), nil); err == nil {
			t.Errorf("%q made an item", text)
		}
	}
}
