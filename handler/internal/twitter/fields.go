package twitter

import gotwitter "github.com/g8rswimmer/go-twitter/v2"

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
