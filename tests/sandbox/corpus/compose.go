package corpus

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode"
)

// builder composes the built-in corpus: from what a person typed to what X sends.
type builder struct {
	files      library
	users      []*userObject
	handles    map[string]*userObject
	data       []*postObject
	tweets     []*postObject // includes.tweets
	media      []mediaObject
	mediaByKey map[string]mediaObject
	polls      []pollObject
	places     []placeObject
	errors     []refusal
	mediaCount int
}

// draft is a post as its author made it.
type draft struct {
	by                      *userObject
	at                      time.Time
	seq                     int    // tells apart posts of one millisecond
	id                      string // set for ids from before 2010
	text                    string
	reply, quote, retweet   *postObject
	goneReply, goneQuote    string // ids of posts that X does not show
	goneReplyTo             *userObject
	media                   []string
	poll                    *pollObject
	place                   *placeObject
	article                 *article
	lang                    string
	sensitive               bool
	withheld                *withheld
	community, card, source string
	history                 []string // ids of all versions
	untimed                 bool     // no created_at, as in old exports
	elsewhere               bool     // for includes.tweets, not data
}

// post composes a post and adds it to the corpus.
func (b *builder) post(d draft) *postObject {
	p := &postObject{
		ID: d.id, AuthorID: d.by.ID, Lang: d.lang, ReplySettings: "everyone", Source: d.source,
		PossiblySensitive: d.sensitive, Withheld: d.withheld, CommunityID: d.community, CardURI: d.card,
		Article: d.article, author: d.by,
	}
	if p.ID == "" {
		p.ID = NewID(d.at, d.seq)
		p.EditControls = &editControls{5, len(d.history) == 0 && d.reply == nil, stamp(d.at.Add(time.Hour))}
	}
	if p.Lang == "" {
		p.Lang = "en"
	}
	if !d.untimed {
		p.CreatedAt = stamp(d.at)
	}
	p.ConversationID = p.ID
	p.EditHistory = []string{p.ID}
	if d.history != nil {
		p.EditHistory, p.EditControls.Remaining = d.history, 6-len(d.history)
	}
	n := number(p.ID)
	p.Metrics = map[string]int{"retweet_count": n % 41, "reply_count": n % 17, "like_count": n % 613, "quote_count": n % 7, "bookmark_count": n % 11, "impression_count": 2000 + n%90000}

	if d.retweet != nil {
		p.Text, p.Entities = retweetText(d.retweet)
		p.Refs = []refObject{{"retweeted", d.retweet.ID}}
		p.Lang = d.retweet.Lang
		return b.add(p, d.elsewhere)
	}
	for _, r := range []struct {
		kind, gone string
		to         *postObject
		user       *userObject
	}{{"replied_to", d.goneReply, d.reply, d.goneReplyTo}, {"quoted", d.goneQuote, d.quote, nil}} {
		id, user := r.gone, r.user
		if r.to != nil {
			id, user = r.to.ID, r.to.author
		}
		if id == "" {
			continue
		}
		p.Refs = append(p.Refs, refObject{r.kind, id})
		if r.kind == "replied_to" {
			p.ConversationID, p.InReplyTo = id, user.ID
			if r.to != nil {
				p.ConversationID = r.to.ConversationID
			}
		}
	}
	var links []link // that X appends: quoted post, then media
	if d.goneQuote != "" {
		links = append(links, link{to: "https://x.com/i/web/status/" + d.goneQuote})
	} else if d.quote != nil {
		links = append(links, link{to: "https://x.com/" + d.quote.author.Username + "/status/" + d.quote.ID})
	}
	if len(d.media) > 0 {
		p.Attachments = &attachments{MediaKeys: d.media}
		links = append(links, link{to: "https://x.com/" + d.by.Username + "/status/" + p.ID + "/" + b.mediaByKey[d.media[0]].kind + "/1", media: d.media})
	}
	if d.article != nil {
		links = append(links, link{to: "https://x.com/i/article/" + p.ID})
	}
	p.Text, p.Entities = b.compose(p.ID, d.text, links)
	if typed := []rune(p.Text); len(typed) > 280 && len(links) == 0 {
		p.Note = &note{p.Text, p.Entities}
		short := d.text[:strings.LastIndex(string([]rune(d.text)[:250]), " ")] + "…"
		p.Text, p.Entities = b.compose(p.ID, short, []link{{to: "https://x.com/i/web/status/" + p.ID}})
	}
	p.DisplayRange = []int{0, len([]rune(p.Text))}
	if d.poll != nil {
		d.poll.ID = NewID(d.at, 77)
		if p.Attachments == nil {
			p.Attachments = &attachments{}
		}
		p.Attachments.PollIDs = []string{d.poll.ID}
		b.polls = append(b.polls, *d.poll)
	}
	if d.place != nil {
		p.Geo = &geo{d.place.ID}
	}
	return b.add(p, d.elsewhere)
}

func (b *builder) add(p *postObject, elsewhere bool) *postObject {
	if elsewhere {
		b.tweets = append(b.tweets, p)
	} else {
		b.data = append(b.data, p)
	}
	return p
}

type link struct {
	to    string
	media []string
}

// compose writes a text as X sends it, &, < and > escaped and addresses replaced
// by t.co links, with its entities. Positions are code points of that text.
func (b *builder) compose(id, typed string, appended []link) (string, *entities) {
	var out []rune
	e := &entities{}
	write := func(s string) { out = append(out, []rune(s)...) }
	url := func(l link) {
		short := "https://t.co/" + b.code("url", id+l.to, 10)
		start := len(out)
		write(short)
		display := strings.TrimPrefix(strings.TrimPrefix(l.to, "https://"), "www.")
		if r := []rune(display); len(r) > 26 {
			display = string(r[:25]) + "…"
		}
		if l.media == nil {
			e.URLs = append(e.URLs, urlEntity{Start: start, End: len(out), URL: short, Expanded: l.to, Display: display})
		}
		for _, key := range l.media { // X repeats the link for each photo
			e.URLs = append(e.URLs, urlEntity{start, len(out), short, l.to, "pic.x.com/" + short[len("https://t.co/"):], key})
		}
	}
	in := []rune(typed)
	for i := 0; i < len(in); {
		free := i == 0 || !unicode.IsLetter(in[i-1]) && !unicode.IsDigit(in[i-1]) && in[i-1] != '&'
		word := func(from int, ok func(rune) bool) string {
			j := from
			for j < len(in) && ok(in[j]) {
				j++
			}
			return string(in[from:j])
		}
		handle := word(i+1, func(r rune) bool { return r < 128 && (unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_') })
		tag := word(i+1, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) || r == '_' })
		cash := word(i+1, unicode.IsUpper)
		start := len(out)
		switch {
		case strings.HasPrefix(string(in[i:min(i+8, len(in))]), "https://"):
			to := strings.TrimRight(word(i, func(r rune) bool { return !unicode.IsSpace(r) }), ".,)!?")
			url(link{to: to})
			i += len([]rune(to))
		case free && in[i] == '@' && b.handles[strings.ToLower(handle)] != nil:
			write("@" + handle)
			e.Mentions = append(e.Mentions, mentionEntity{start, len(out), handle, b.handles[strings.ToLower(handle)].ID})
			i += 1 + len(handle)
		case free && in[i] == '#' && strings.ContainsFunc(tag, unicode.IsLetter):
			write("#" + tag)
			e.Hashtags = append(e.Hashtags, tagEntity{start, len(out), tag})
			i += 1 + len([]rune(tag))
		case free && in[i] == '$' && cash != "" && len(cash) <= 6:
			write("$" + cash)
			e.Cashtags = append(e.Cashtags, tagEntity{start, len(out), cash})
			i += 1 + len(cash)
		default:
			write(escape.Replace(string(in[i])))
			i++
		}
	}
	for _, l := range appended {
		if len(out) > 0 {
			write(" ")
		}
		url(l)
	}
	if len(e.URLs)+len(e.Mentions)+len(e.Hashtags)+len(e.Cashtags) == 0 {
		e = nil
	}
	return string(out), e
}

var escape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// retweetText is "RT @author: " and the text, 140 code points at most, with the
// entities that are whole in it.
func retweetText(of *postObject) (string, *entities) {
	head := "RT @" + of.author.Username + ": "
	whole := []rune(of.Text)
	shift, keep := len([]rune(head)), len(whole)
	text := head + of.Text
	if shift+keep > 140 {
		keep = 139 - shift
		text = head + string(whole[:keep]) + "…"
	}
	e := &entities{Mentions: []mentionEntity{{3, shift - 2, of.author.Username, of.author.ID}}}
	if of.Entities != nil {
		for _, m := range of.Entities.Mentions {
			if m.End <= keep {
				e.Mentions = append(e.Mentions, mentionEntity{m.Start + shift, m.End + shift, m.Username, m.ID})
			}
		}
		for _, u := range of.Entities.URLs {
			if u.End <= keep {
				u.Start, u.End = u.Start+shift, u.End+shift
				e.URLs = append(e.URLs, u)
			}
		}
		for _, h := range of.Entities.Hashtags {
			if h.End <= keep {
				e.Hashtags = append(e.Hashtags, tagEntity{h.Start + shift, h.End + shift, h.Tag})
			}
		}
	}
	return text, e
}

// code is n letters and signs that depend on what they stand for and nothing else.
func (b *builder) code(kind, of string, n int) string {
	sum := sha256.Sum256([]byte(kind + " " + of))
	return strings.NewReplacer("-", "a", "_", "b").Replace(base64.URLEncoding.EncodeToString(sum[:]))[:n]
}

// number is a number that depends on s and nothing else.
func number(s string) int {
	sum := sha256.Sum256([]byte(s))
	return int(sum[0])<<16 | int(sum[1])<<8 | int(sum[2])
}

// stamp is a time as X writes it: in whole seconds, though the id knows better.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05") + ".000Z" }

// encode writes JSON as X does: no escapes that JSON does not need.
func encode(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("writing the built-in corpus: %w", err)
	}
	return bytes.TrimSpace(buf.Bytes()), nil
}
