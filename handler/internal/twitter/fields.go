package twitter

import (
	"slices"

	gotwitter "github.com/g8rswimmer/go-twitter/v2"

	"xarchive/handler/internal/post"
)

// asking is what is asked for in one vocabulary: everything X offers about a post that
// an archive of public posts can use. Metrics that only the author may see are left
// out: X refuses the whole request when one post is too old for them. So are the
// expansions that bring the users whom a post mentions, who may be billed: their
// handles and names are in the post's own entities.
//
// The names are those of X's OpenAPI documents 2.166 (older) and 2.167 (newer). X
// drops a name that it does not know in silence, so that a request must never have
// names of both.
// https://docs.x.com/x-api/fundamentals/fields, .../expansions
type asking struct {
	vocabulary post.Vocabulary
	expansions []gotwitter.Expansion
	postFields []gotwitter.TweetField
	userFields []gotwitter.UserField
}

// asks returns what is asked for in a vocabulary.
func asks(v post.Vocabulary) asking {
	if v == post.PostWords {
		return asking{v,
			append(slices.Clone(expansions), "referenced_posts", "edit_history_post_ids", gotwitter.ExpansionInReplyToUserID),
			append(slices.Clone(postFields), "note_post", "article_title"), userFields}
	}
	return asking{v,
		append(slices.Clone(expansions), gotwitter.ExpansionReferencedTweetsID, gotwitter.ExpansionReferencedTweetsIDAuthorID,
			"referenced_tweets.id.attachments.media_keys", "edit_history_tweet_ids"),
		append(slices.Clone(postFields), "note_tweet", gotwitter.TweetFieldAuthorID, gotwitter.TweetFieldInReplyToUserID,
			gotwitter.TweetFieldReferencedTweets, "edit_history_tweet_ids"),
		append(slices.Clone(userFields), "affiliation")}
}

// What both vocabularies call the same. In the newer one author_id, in_reply_to_user_id,
// referenced_posts and edit_history_post_ids are no fields: they come with their
// expansions only.
var (
	expansions = []gotwitter.Expansion{
		gotwitter.ExpansionAuthorID, gotwitter.ExpansionAttachmentsMediaKeys, "attachments.media_source_tweet",
		gotwitter.ExpansionAttachmentsPollIDs, gotwitter.ExpansionGeoPlaceID, "article.cover_media", "article.media_entities",
	}
	postFields = []gotwitter.TweetField{
		gotwitter.TweetFieldID, gotwitter.TweetFieldText, gotwitter.TweetFieldCreatedAt, gotwitter.TweetFieldConversationID,
		gotwitter.TweetFieldAttachments, gotwitter.TweetFieldEntities, gotwitter.TweetFieldGeo, gotwitter.TweetFieldLanguage,
		gotwitter.TweetFieldPublicMetrics, gotwitter.TweetFieldPossiblySensitve, gotwitter.TweetFieldSource,
		gotwitter.TweetFieldWithHeld, gotwitter.TweetFieldContextAnnotations,
		"edit_controls", "reply_settings", "article", "card_uri", "community_id", "display_text_range", "media_metadata",
		"paid_partnership", "matched_media_notes", "suggested_source_links", "suggested_source_links_with_counts", "scopes",
	}
	userFields = []gotwitter.UserField{
		gotwitter.UserFieldID, gotwitter.UserFieldName, gotwitter.UserFieldUserName, gotwitter.UserFieldProfileImageURL,
		gotwitter.UserFieldVerified, gotwitter.UserFieldProtected, gotwitter.UserFieldCreatedAt, gotwitter.UserFieldDescription,
		gotwitter.UserFieldLocation, "verified_type", "parody",
	}
	accountFields = []gotwitter.UserField{ // of one account
		gotwitter.UserFieldID, gotwitter.UserFieldName, gotwitter.UserFieldUserName, gotwitter.UserFieldPublicMetrics,
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
