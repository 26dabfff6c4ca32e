package twitter

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	gotwitter "github.com/g8rswimmer/go-twitter/v2"
)

// MaxTimeline is how many posts back X's timelines reach.
const MaxTimeline = 3200

// PageSize is how many posts X gives in one page, at most.
const PageSize = 100

// MaxLookup is how many posts can be looked up in one call.
const MaxLookup = 100

// Query says which part of a timeline is wanted.
type Query struct {
	SinceID  string    // newer than this post; "" for no bound
	UntilID  string    // older than this post; "" for no bound
	EndTime  time.Time // posted before; whole seconds, at least 10 seconds ago
	PageFrom string    // X's token of the page; "" for the first
}

// What is asked for: everything X offers about a post that an archive of public
// posts can use. Metrics that only the author may see are left out, X refuses
// the whole request when one post is too old for them.
// https://docs.x.com/x-api/fundamentals/fields, .../expansions
var (
	expansions = []gotwitter.Expansion{
		gotwitter.ExpansionAuthorID, gotwitter.ExpansionInReplyToUserID, gotwitter.ExpansionEntitiesMentionsUserName,
		gotwitter.ExpansionReferencedTweetsID, gotwitter.ExpansionReferencedTweetsIDAuthorID,
		gotwitter.ExpansionAttachmentsMediaKeys, gotwitter.ExpansionAttachmentsPollIDs, gotwitter.ExpansionGeoPlaceID,
		"edit_history_tweet_ids", "referenced_tweets.id.attachments.media_keys", "entities.note.mentions.username",
		"article.cover_media", "article.media_entities",
	}
	tweetFields = []gotwitter.TweetField{
		gotwitter.TweetFieldID, gotwitter.TweetFieldText, gotwitter.TweetFieldAuthorID, gotwitter.TweetFieldCreatedAt,
		gotwitter.TweetFieldConversationID, gotwitter.TweetFieldInReplyToUserID, gotwitter.TweetFieldReferencedTweets,
		gotwitter.TweetFieldAttachments, gotwitter.TweetFieldEntities, gotwitter.TweetFieldGeo, gotwitter.TweetFieldLanguage,
		gotwitter.TweetFieldPublicMetrics, gotwitter.TweetFieldPossiblySensitve, gotwitter.TweetFieldSource,
		gotwitter.TweetFieldWithHeld, gotwitter.TweetFieldContextAnnotations,
		"note_tweet", "edit_history_tweet_ids", "edit_controls", "reply_settings", "article", "card_uri", "community_id",
		"display_text_range", "media_metadata",
	}
	userFields = []gotwitter.UserField{
		gotwitter.UserFieldID, gotwitter.UserFieldName, gotwitter.UserFieldUserName, gotwitter.UserFieldProfileImageURL,
		gotwitter.UserFieldVerified, gotwitter.UserFieldProtected, gotwitter.UserFieldCreatedAt,
	}
	mediaFields = []gotwitter.MediaField{
		gotwitter.MediaFieldMediaKey, gotwitter.MediaFieldType, gotwitter.MediaFieldURL, gotwitter.MediaFieldPreviewImageURL,
		gotwitter.MediaFieldAltText, gotwitter.MediaFieldWidth, gotwitter.MediaFieldHeight, gotwitter.MediaFieldDurationMS,
		gotwitter.MediaFieldVariants,
	}
	pollFields = []gotwitter.PollField{
		gotwitter.PollFieldID, gotwitter.PollFieldOptions, gotwitter.PollFieldDurationMinutes,
		gotwitter.PollFieldEndDateTime, gotwitter.PollFieldVotingStatus,
	}
	placeFields = []gotwitter.PlaceField{
		gotwitter.PlaceFieldID, gotwitter.PlaceFieldFullName, gotwitter.PlaceFieldName, gotwitter.PlaceFieldCountry,
		gotwitter.PlaceFieldCountryCode, gotwitter.PlaceFieldPlaceType, gotwitter.PlaceFieldGeo, gotwitter.PlaceFieldContainedWithin,
	}
)

// Timeline reads one page of an account's posts, newest first. Every post in
// the answer is billed. An account that X does not show at all (protected,
// suspended, gone) is ErrForbidden, never an empty page.
func (c *Client) Timeline(ctx context.Context, accountID string, q Query) (Answer, error) {
	answer, err := call(ctx, "reading the timeline of account "+accountID, func(ctx context.Context) error {
		_, err := c.api.UserTweetTimeline(ctx, accountID, gotwitter.UserTweetTimelineOpts{
			Expansions: expansions, TweetFields: tweetFields, UserFields: userFields,
			MediaFields: mediaFields, PollFields: pollFields, PlaceFields: placeFields,
			MaxResults: PageSize, SinceID: q.SinceID, UntilID: q.UntilID,
			EndTime: q.EndTime.UTC(), PaginationToken: q.PageFrom,
		})
		return err
	})
	if err != nil {
		return Answer{}, err
	}
	var got struct {
		Data   json.RawMessage
		Meta   *struct{}
		Errors []struct{ Title, Detail string }
	}
	if err := json.Unmarshal(answer.Raw, &got); err != nil {
		return Answer{}, fmt.Errorf("reading the timeline of account %s: %w: %w", accountID, ErrUnavailable, err)
	}
	if got.Meta == nil {
		why := "X sent neither posts nor a count"
		if len(got.Errors) > 0 {
			why = got.Errors[0].Title + ": " + got.Errors[0].Detail
		}
		return Answer{}, fmt.Errorf("reading the timeline of account %s: %w: %s", accountID, ErrForbidden, why)
	}
	return answer, nil
}

// Lookup reads posts by id, MaxLookup at most. Every post in the answer is
// billed; one that is gone or protected is among its errors.
func (c *Client) Lookup(ctx context.Context, ids []string) (Answer, error) {
	return call(ctx, fmt.Sprintf("looking up %d posts", len(ids)), func(ctx context.Context) error {
		_, err := c.api.TweetLookup(ctx, ids, gotwitter.TweetLookupOpts{
			Expansions: expansions, TweetFields: tweetFields, UserFields: userFields,
			MediaFields: mediaFields, PollFields: pollFields, PlaceFields: placeFields,
		})
		return err
	})
}
