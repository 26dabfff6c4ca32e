package post_test

import (
	"fmt"
	"slices"
	"testing"

	"xarchive/handler/internal/post"
)

// answer is a post as X gives it.
func answer(t *testing.T, data, includes string) *post.Post {
	t.Helper()
	p, err := post.Parse(fmt.Appendf(nil, `{"data":{"id":"1800000000000000003","author_id":"7","created_at":"2024-06-10T08:00:00Z",%s},"includes":{%s}}`, data, includes))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const (
	learnMore = `"entities":{"urls":[{"start":%d,"end":%d,"url":"https://help.x.com/a","expanded_url":"https://help.x.com/a","display_url":"Learn more"}]}`
	photo     = `"media":[{"media_key":"3_1","type":"photo","url":"https://pbs.twimg.com/media/x.png"}]`
	quotes    = `"text":"a","referenced_tweets":[{"type":"quoted","id":"1700000000000000001"}]`
	reposts   = `"text":"RT @bob: a","referenced_tweets":[{"type":"retweeted","id":"1700000000000000001"}]`
)

func noticeText(text string) string {
	n := len([]rune(text)) - 1
	return fmt.Sprintf(`"text":%q,`+learnMore, text, n-10, n)
}

func quoted(more string) string {
	return `"tweets":[{"id":"1700000000000000001","author_id":"8",` + more + `}],"users":[{"id":"8","username":"bob","name":"Bob"}]`
}

// TestChanges: text, media and withholding are compared, and nothing else.
func TestChanges(t *testing.T) {
	a := `"text":"a"`
	for name, c := range map[string]struct {
		before, now [2]string
		want        []post.Change
		back        []post.Change // the other way round
	}{
		"the same":                {[2]string{a}, [2]string{a}, nil, nil},
		"likes, language, sender": {[2]string{a + `,"public_metrics":{"like_count":1}`}, [2]string{a + `,"public_metrics":{"like_count":2},"lang":"en","source":"x","reply_settings":"following"`}, nil, nil},
		"the author's name":       {[2]string{a, `"users":[{"id":"7","username":"old","name":"Old"}]`}, [2]string{a, `"users":[{"id":"7","username":"new","name":"New"}]`}, nil, nil},
		"text":                    {[2]string{a}, [2]string{`"text":"b"`}, []post.Change{post.ChangedText}, []post.Change{post.ChangedText}},
		"long text":               {[2]string{a}, [2]string{a + `,"note_tweet":{"text":"a b c"}`}, []post.Change{post.ChangedText}, []post.Change{post.ChangedText}},
		"notice":                  {[2]string{noticeText("This is not here. Learn more.")}, [2]string{a}, []post.Change{post.TextGiven}, []post.Change{post.TextWithdrawn}},
		"handle in a notice":      {[2]string{noticeText("@old's account is withheld. Learn more.")}, [2]string{noticeText("@newer's account is withheld. Learn more.")}, nil, nil},
		"another notice":          {[2]string{noticeText("@old's account is withheld. Learn more.")}, [2]string{noticeText("@old's account is suspended. Learn more.")}, []post.Change{post.ChangedText}, []post.Change{post.ChangedText}},
		"media":                   {[2]string{a}, [2]string{a + `,"attachments":{"media_keys":["3_1"]}`, photo}, []post.Change{post.ChangedMedia}, []post.Change{post.ChangedMedia}},
		"media described later":   {[2]string{a + `,"attachments":{"media_keys":["3_1"]}`}, [2]string{a + `,"attachments":{"media_keys":["3_1"]}`, photo}, []post.Change{post.ChangedMedia}, nil},
		"withheld":                {[2]string{a}, [2]string{a + `,"withheld":{"country_codes":["DE","FR"]}`}, []post.Change{post.ChangedWithholding}, []post.Change{post.ChangedWithholding}},
		"order of countries":      {[2]string{a + `,"withheld":{"country_codes":["FR","DE"]}`}, [2]string{a + `,"withheld":{"country_codes":["DE","FR"]}`}, nil, nil},
		"article":                 {[2]string{a + `,"article":{"title":"T","plain_text":"whole text"}`}, [2]string{a + `,"article":{"title":"T","plain_text":"whole text, and more"}`}, []post.Change{post.ChangedText}, []post.Change{post.ChangedText}},
		"beginning of an article": {[2]string{a + `,"article":{"title":"T","preview_text":"whole"}`}, [2]string{a + `,"article":{"title":"T","plain_text":"whole text"}`}, []post.Change{post.ChangedText}, nil},
		"quoted post given":       {[2]string{quotes}, [2]string{quotes, quoted(`"text":"q"`)}, []post.Change{post.ReferenceGiven}, nil},
		"quoted post's notice":    {[2]string{quotes, quoted(noticeText("This is not here. Learn more."))}, [2]string{quotes, quoted(`"text":"q"`)}, []post.Change{post.TextGiven}, nil},
		"quoted post's likes":     {[2]string{quotes, quoted(`"text":"q"`)}, [2]string{quotes, quoted(`"text":"q","public_metrics":{"like_count":2}`)}, nil, nil},
		"handle in a repost":      {[2]string{reposts, quoted(`"text":"a"`)}, [2]string{`"text":"RT @robert: a","referenced_tweets":[{"type":"retweeted","id":"1700000000000000001"}]`, quoted(`"text":"a"`)}, nil, nil},
		"repost without original": {[2]string{reposts}, [2]string{reposts, quoted(`"text":"a"`)}, []post.Change{post.ReferenceGiven}, nil},
	} {
		before, now := answer(t, c.before[0], c.before[1]), answer(t, c.now[0], c.now[1])
		if got := now.Changes(before); !slices.Equal(got, c.want) {
			t.Errorf("%s: changes %v, want %v", name, got, c.want)
		}
		if got := before.Changes(now); !slices.Equal(got, c.back) {
			t.Errorf("%s: the other way round changes %v, want %v", name, got, c.back)
		}
		own := slices.ContainsFunc(append(c.want, c.back...), func(x post.Change) bool { return x != post.ReferenceGiven }) && name != "quoted post's notice"
		if same := before.Digest() == now.Digest(); same == own {
			t.Errorf("%s: the same digest: %v", name, same)
		}
	}
}
