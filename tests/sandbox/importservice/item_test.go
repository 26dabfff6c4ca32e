package importservice_test

import (
	"encoding/json"
	"strings"
	"testing"

	"xarchive/tests/sandbox/importservice"
)

const (
	sender = `{"Id":"7","UserProfilePhotoUrl":null,"Name":"Contoso","EmailAddress":"contoso@x.invalid","MobileNumber":null}`
	media  = `{"AttachmentType":"media","AttachmentFileName":"a.jpg","Uri":"https://pbs.twimg.com/media/a.jpg","Content":"/9j/"}`
)

// item makes an item; replacements are pairs of a member and its JSON, "" to leave
// it out.
func item(replacements ...string) string {
	members := [][2]string{{"SchemaVersion", `"1.0"`}, {"Id", `"100"`}, {"SourceType", `"Twitter"`}, {"ItemType", `"Tweet"`}, {"ContainerId", `"7"`},
		{"ContainerName", `"Contoso"`}, {"ThreadId", `"100"`}, {"ParentId", `null`}, {"Sender", sender}, {"Recipients", `[]`},
		{"SentTimeUtc", `"2026-01-31T13:45:00.000Z"`}, {"ContentType", `0`}, {"Content", `"<p>Hello</p>"`}, {"PreContext", `null`}, {"PostContext", `null`},
		{"NumOfLikes", `3`}, {"MessagePreviewText", `"Hello"`}, {"ContentAttachments", `[` + media + `]`}}
	var parts []string
	for _, m := range members {
		for i := 0; i < len(replacements); i += 2 {
			if replacements[i] == m[0] {
				m[1] = replacements[i+1]
			}
		}
		if m[1] != "" {
			parts = append(parts, `"`+m[0]+`":`+m[1])
		}
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func nested(n int) string {
	text := item()
	for range n {
		text = item("PreContext", "["+text+"]")
	}
	return text
}

func TestCheckItem(t *testing.T) {
	for name, good := range map[string]string{
		"plain": item(), "no media": item("ContentAttachments", "null"), "context": item("PreContext", "["+item("Id", `"99"`, "ContentAttachments", "null")+"]"),
		"reply": item("ParentId", `"99"`), "text": item("ContentType", "1"), "recipient": item("Recipients", "["+sender+"]"), "no text": item("Content", `""`, "MessagePreviewText", `""`),
		"deep": nested(8),
	} {
		if err := importservice.CheckItem([]byte(good)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	attachment := func(old, new string) string {
		return item("ContentAttachments", "["+strings.Replace(media, old, new, 1)+"]")
	}
	for want, bad := range map[string]string{
		"not JSON": "{", "follows": item() + " {}", "not an object": "[]", "not UTF-8": item("Content", "\"\xff\""),
		"SchemaVersion": item("SchemaVersion", `"1.1"`), ".Id: not a string": item("Id", `100`), ".Id: empty": item("Id", `""`),
		"SourceType": item("SourceType", `"twitter"`), "ItemType": item("ItemType", `null`), `"ThreadId" is missing`: item("ThreadId", ""), "ParentId": item("ParentId", `9`),
		"Sender": item("Sender", `null`), "Sender.Name": item("Sender", strings.Replace(sender, `"Contoso"`, `""`, 1)), "EmailAddress": item("Sender", strings.Replace(sender, "@", "", 1)),
		"Recipients": item("Recipients", `null`), "Recipients[0]": item("Recipients", `[1]`), "not a UTC time": item("SentTimeUtc", `"2026-01-31T13:45:00+01:00"`), "SentTimeUtc": item("SentTimeUtc", `"31 Jan 2026"`),
		"ContentType": item("ContentType", `2`), "ContentType: not": item("ContentType", `"0"`), "NumOfLikes": item("NumOfLikes", `-1`), "NumOfLikes: not": item("NumOfLikes", `1.0`),
		"PreContext[0]": item("PreContext", `[{}]`), "PostContext": item("PostContext", `{}`), "nested": nested(9),
		"unknown member": strings.Replace(item(), `{"`, `{"Extra":1,"`, 1), `unknown member "id"`: strings.Replace(item(), `"Id":"100"`, `"id":"100"`, 1),
		"twice":          strings.Replace(item(), `{"`, `{"Id":"1","`, 1),
		"AttachmentType": attachment("media", "photo"), "is a path": attachment("a.jpg", "x/a.jpg"), "absolute URL": attachment("https://", ""), "not base64": attachment("/9j/", "_9j_"),
		"no content": attachment("/9j/", ""), "line break": attachment("/9j/", `/9j/\n`), "AttachmentFileName\" is missing": attachment(`"AttachmentFileName":"a.jpg",`, ""),
	} {
		err := importservice.CheckItem([]byte(bad))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
}

func FuzzCheckItem(f *testing.F) {
	f.Add([]byte(item()))
	f.Add([]byte(nested(2)))
	f.Fuzz(func(t *testing.T, file []byte) {
		if importservice.CheckItem(file) != nil {
			return
		}
		var it struct{ SchemaVersion, Id, SourceType string }
		if err := json.Unmarshal(file, &it); err != nil || it.SchemaVersion != "1.0" || it.Id == "" || it.SourceType != "Twitter" {
			t.Errorf("taken: %s", file)
		}
	})
}
