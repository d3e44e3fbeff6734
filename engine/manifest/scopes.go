package manifest

import (
	"maps"
	"slices"
	"strings"
	"sync"
)

// all is the four kinds of conversations.
var all = []string{"channels", "groups", "im", "mpim"}

func each(what string, kinds ...string) []string {
	out := make([]string, len(kinds))
	for i, k := range kinds {
		out[i] = k + ":" + what
	}
	return out
}

// botScopes are the scopes of a bot token that built-ins need. slack_action and
// slack_pages go by their method.
var botScopes = map[string][]string{
	"reply": {"chat:write"}, "post": {"chat:write"}, "ephemeral": {"chat:write"}, "update": {"chat:write"}, "delete": {"chat:write"},
	"dm":    {"chat:write", "im:write"},
	"react": {"reactions:write"}, "unreact": {"reactions:write"},
	"upload":  {"files:write"},
	"user":    {"users:read", "users:read.email"},
	"channel": each("read", "channels", "groups"), "usergroup": {"usergroups:read"}, "emoji": {"emoji:read"},
	"ask": {"chat:write", "im:write"}, "ask_form": {"chat:write", "im:write"}, "wait_event": {}, "wait_reply": {}, "wait_reaction": {},
}

// posts are the built-ins whose messages are looked up in the conversation
// when a crash has hidden whether they were sent.
var posts = []string{"reply", "post", "dm", "ask", "ask_form", "slack_action"}

// lookupScopes permit that; without them such a message is not sent again.
var lookupScopes = append(each("history", all...), "metadata.message:read")

// methodTable: Slack's methods and the scopes of a bot token that they need; -
// is none, user: begins those of a user token, for methods that bots cannot
// call. A name that ends in a dot stands for all methods below it.
const methodTable = `
api.test                        -
assistant.threads.              assistant:write
auth.                           -
bookmarks.list                  bookmarks:read
bookmarks.                      bookmarks:write
bots.info                       users:read
calls.info                      calls:read
calls.                          calls:write
canvases.sections.lookup        canvases:read
canvases.                       canvases:write
chat.getPermalink               -
chat.scheduledMessages.list     -
chat.unfurl                     links:write
chat.                           chat:write
conversations.acceptSharedInvite  conversations.connect:write
conversations.approveSharedInvite conversations.connect:manage
conversations.declineSharedInvite conversations.connect:manage
conversations.inviteShared      conversations.connect:write
conversations.listConnectInvites conversations.connect:manage
conversations.canvases.create   canvases:write
conversations.history           channels:history groups:history im:history mpim:history
conversations.replies           channels:history groups:history im:history mpim:history
conversations.info              channels:read groups:read im:read mpim:read
conversations.list              channels:read groups:read im:read mpim:read
conversations.members           channels:read groups:read im:read mpim:read
conversations.open              im:write mpim:write
conversations.close             im:write mpim:write
conversations.join              channels:join
conversations.invite            channels:write.invites groups:write.invites
conversations.setTopic          channels:write.topic groups:write.topic
conversations.setPurpose        channels:write.topic groups:write.topic
conversations.                  channels:manage groups:write
dialog.open                     -
dnd.info                        dnd:read
dnd.teamInfo                    dnd:read
dnd.                            user:dnd:write
emoji.list                      emoji:read
files.info                      files:read
files.list                      files:read
files.remote.info               remote_files:read
files.remote.list               remote_files:read
files.remote.share              remote_files:share
files.remote.                   remote_files:write
files.sharedPublicURL           user:files:write
files.revokePublicURL           user:files:write
files.                          files:write
functions.                      -
migration.exchange              tokens.basic
oauth.                          -
openid.                         -
tooling.                        -
apps.event.                     -
pins.list                       pins:read
pins.                           pins:write
reactions.get                   reactions:read
reactions.list                  reactions:read
reactions.                      reactions:write
reminders.info                  user:reminders:read
reminders.list                  user:reminders:read
reminders.                      user:reminders:write
search.                         user:search:read
slackLists.items.info           lists:read
slackLists.items.list           lists:read
slackLists.                     lists:write
stars.list                      user:stars:read
stars.                          user:stars:write
team.billing.info               team.billing:read
team.preferences.list           team.preferences:read
team.profile.get                users.profile:read
team.info                       team:read
team.                           user:admin
usergroups.list                 usergroups:read
usergroups.users.list           usergroups:read
usergroups.                     usergroups:write
users.conversations             channels:read groups:read im:read mpim:read
users.getPresence               users:read
users.identity                  user:identity.basic
users.info                      users:read
users.list                      users:read
users.lookupByEmail             users:read.email
users.profile.get               users.profile:read
users.profile.set               user:users.profile:write
users.setPresence               users:write
users.                          user:users.profile:write
views.                          -
workflows.                      workflow.steps:execute
`

// methodScopes finds the line of a method; ok is false if nothing is known of
// it. user tells that only a user token can call it.
func methodScopes(method string) (scopes []string, user, ok bool) {
	line, ok := methodLines()[method]
	for at := len(method); !ok && at > 0; {
		at = strings.LastIndexByte(method[:at], '.')
		if at < 0 {
			break
		}
		line, ok = methodLines()[method[:at+1]]
	}
	for _, s := range line {
		if rest, found := strings.CutPrefix(s, "user:"); found {
			s, user = rest, true
		}
		scopes = append(scopes, s)
	}
	return scopes, user, ok
}

var methodLines = sync.OnceValue(func() map[string][]string { return parse(methodTable) })

// eventTable: the events that a bot can subscribe to, and the scopes that they
// need; any of several lets it in, and all are asked for.
const eventTable = `
app_home_opened                 -
app_mention                     app_mentions:read
app_uninstalled                 -
assistant_thread_context_changed assistant:write
assistant_thread_started        assistant:write
call_rejected                   calls:read
channel_archive                 channels:read
channel_created                 channels:read
channel_deleted                 channels:read
channel_history_changed         channels:history
channel_id_changed              channels:read
channel_left                    channels:read
channel_rename                  channels:read
channel_shared                  channels:read groups:read
channel_unarchive               channels:read
channel_unshared                channels:read groups:read
dnd_updated_user                dnd:read
email_domain_changed            team:read
emoji_changed                   emoji:read
file_change                     files:read
file_created                    files:read
file_deleted                    files:read
file_public                     files:read
file_shared                     files:read
file_unshared                   files:read
function_executed               -
group_archive                   groups:read
group_close                     groups:read
group_deleted                   groups:read
group_history_changed           groups:history
group_left                      groups:read
group_open                      groups:read
group_rename                    groups:read
group_unarchive                 groups:read
im_created                      im:read
im_history_changed              im:history
im_open                         im:read
im_close                        im:read
link_shared                     links:read
member_joined_channel           channels:read groups:read
member_left_channel             channels:read groups:read
message.app_home                -
message.channels                channels:history
message.groups                  groups:history
message.im                      im:history
message.mpim                    mpim:history
message_metadata_deleted        metadata.message:read
message_metadata_posted         metadata.message:read
message_metadata_updated        metadata.message:read
pin_added                       pins:read
pin_removed                     pins:read
reaction_added                  reactions:read
reaction_removed                reactions:read
shared_channel_invite_accepted  conversations.connect:manage
shared_channel_invite_approved  conversations.connect:manage
shared_channel_invite_declined  conversations.connect:manage
shared_channel_invite_received  conversations.connect:read
shared_channel_invite_requested conversations.connect:manage
star_added                      stars:read
star_removed                    stars:read
subteam_created                 usergroups:read
subteam_members_changed         usergroups:read
subteam_self_added              usergroups:read
subteam_self_removed            usergroups:read
subteam_updated                 usergroups:read
team_access_granted             -
team_access_revoked             -
team_domain_change              team:read
team_join                       users:read
team_rename                     team:read
tokens_revoked                  -
user_change                     users:read
user_huddle_changed             users:read
user_profile_changed            users:read
user_status_changed             users:read
workflow_deleted                workflow.steps:execute
workflow_published              workflow.steps:execute
workflow_step_deleted           workflow.steps:execute
workflow_step_execute           workflow.steps:execute
workflow_unpublished            workflow.steps:execute
`

var eventLines = sync.OnceValue(func() map[string][]string { return parse(eventTable) })

// unsubscribed are types that on.event sees without a subscription: what Slack
// sends anyway, and interactions.
var unsubscribed = []string{
	"app_rate_limited", "url_verification", "slack_commands", "slash_commands", "webhook", "schedule", "malformed",
	"block_actions", "block_suggestion", "view_submission", "view_closed", "shortcut", "message_action", "interactive_message",
	"dialog_submission", "dialog_cancellation", "dialog_suggestion", "workflow_step_edit",
}

// eventNames are the events that can be subscribed to, for "did you mean".
func eventNames() []string { return slices.Sorted(maps.Keys(eventLines())) }

func parse(table string) map[string][]string {
	out := map[string][]string{}
	for line := range strings.Lines(table) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		if f[1] == "-" {
			f = f[:1]
		}
		out[f[0]] = f[1:]
	}
	return out
}
