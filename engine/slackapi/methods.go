package slackapi

import (
	"fmt"
	"sort"
	"strings"
	"sync"
)

// Class says what repeating a method would do.
type Class uint8

// The classes of methods. Of an unknown method the worst is assumed.
const (
	Write    Class = iota // changes something each time
	Read                  // changes nothing
	Reaction              // adds or removes a reaction: the second time is an error that says so
	Posts                 // posts a message that can be looked up by its metadata
)

// Trait is something known of a method.
type Trait uint16

// The traits of methods. A Need is an argument without which the method fails
// and which an event can give.
const (
	NeedChannel   Trait = 1 << iota // channel
	NeedTS                          // ts
	NeedTimestamp                   // timestamp
	NeedMessageTS                   // message_ts
	NeedUser                        // user
	NeedUserID                      // user_id
	NeedTrigger                     // trigger_id
	NeedTeam                        // team_id, with the token of an organisation
	TakesJSON                       // arguments may be sent as JSON
	TakesMetadata                   // metadata of a message
	PerChannel                      // limited per channel, and kept in order there
)

// Method is what is known of a Web API method.
type Method struct {
	Name   string // empty if unknown
	Tier   int    // 1 to 4; 0 if special or unknown
	Class  Class
	Traits Trait
}

// Has reports whether the method has a trait.
func (m Method) Has(t Trait) bool { return m.Traits&t != 0 }

// Label is the name, or "other": metrics must not grow with what scripts call.
func (m Method) Label() string {
	if m.Name == "" {
		return "other"
	}
	return m.Name
}

// Known returns what is known of a method; an unknown one is a Write that
// takes a form and needs nothing.
func Known(name string) Method { return methods()[name] }

// MethodNames lists the known methods, sorted.
func MethodNames() []string {
	names := make([]string, 0, len(methods()))
	for n := range methods() {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

var methods = sync.OnceValue(func() map[string]Method { return parseMethods(methodTable) })

func parseMethods(table string) map[string]Method {
	classes := map[string]Class{"w": Write, "r": Read, "x": Reaction, "p": Posts}
	traits := map[string]Trait{
		"channel": NeedChannel, "ts": NeedTS, "timestamp": NeedTimestamp, "message_ts": NeedMessageTS, "user": NeedUser, "user_id": NeedUserID,
		"trigger": NeedTrigger, "team": NeedTeam, "json": TakesJSON, "metadata": TakesMetadata, "lane": PerChannel,
	}
	m := map[string]Method{}
	for line := range strings.Lines(table) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		class, ok := classes[f[2]]
		if !ok || len(f[1]) != 1 {
			panic(fmt.Sprintf("slackapi: bad line in the table of methods: %q", line))
		}
		e := Method{Name: f[0], Tier: int(f[1][0] - '0'), Class: class}
		for _, word := range f[3:] {
			t, ok := traits[word]
			if !ok {
				panic(fmt.Sprintf("slackapi: unknown trait %q of %s", word, f[0]))
			}
			e.Traits |= t
		}
		m[e.Name] = e
	}
	return m
}

// methodTable: name, tier, class (r read, w write, x reaction, p posts), traits.
// Tiers are a hint only: what counts is Retry-After. Arguments that would turn
// a rule's mistake on the wrong person (kick, invite, assistant status) are not
// among the needs, so they are never filled from an event.
const methodTable = `
api.test                              4 r json
apps.connections.open                 1 w json
apps.event.authorizations.list        4 r json
apps.manifest.validate                3 r
apps.uninstall                        1 w
assistant.threads.setStatus           0 w json
assistant.threads.setSuggestedPrompts 2 w json
assistant.threads.setTitle            2 w json
auth.revoke                           3 w
auth.teams.list                       2 r
auth.test                             0 r json
bookmarks.add                         2 w
bookmarks.edit                        2 w
bookmarks.list                        3 r
bookmarks.remove                      2 w
bots.info                             3 r team
calls.add                             2 w json
calls.end                             2 w json
calls.info                            2 r json
calls.update                          2 w json
canvases.access.delete                3 w json
canvases.access.set                   3 w json
canvases.create                       2 w json
canvases.delete                       3 w json
canvases.edit                         3 w json
canvases.sections.lookup              3 r json
chat.appendStream                     4 w json lane
chat.delete                           3 w json channel ts lane
chat.deleteScheduledMessage           3 w json channel
chat.getPermalink                     0 r channel message_ts
chat.meMessage                        3 w json channel lane
chat.postEphemeral                    4 w json channel user lane
chat.postMessage                      0 p json channel metadata lane
chat.scheduleMessage                  3 w json channel metadata
chat.scheduledMessages.list           3 r json team
chat.startStream                      2 w json lane
chat.stopStream                       2 w json lane
chat.unfurl                           3 w json
chat.update                           3 w json channel ts metadata lane
conversations.acceptSharedInvite      2 w json
conversations.approveSharedInvite     2 w json
conversations.archive                 2 w json
conversations.canvases.create         2 w json
conversations.close                   2 w json
conversations.create                  2 w json team
conversations.declineSharedInvite     2 w json
conversations.history                 3 r channel
conversations.info                    3 r channel
conversations.invite                  3 w json
conversations.inviteShared            2 w
conversations.join                    3 w json
conversations.kick                    3 w json
conversations.leave                   3 w json
conversations.list                    2 r team
conversations.listConnectInvites      1 r
conversations.mark                    3 w json
conversations.members                 4 r channel
conversations.open                    3 w json
conversations.rename                  2 w json
conversations.replies                 3 r channel
conversations.setPurpose              2 w json
conversations.setTopic                2 w json
conversations.unarchive               2 w json
dialog.open                           3 w json trigger
dnd.endDnd                            2 w json
dnd.endSnooze                         2 w json
dnd.info                              3 r team
dnd.setSnooze                         2 w
dnd.teamInfo                          2 r team
emoji.list                            2 r
files.comments.delete                 2 w json
files.completeUploadExternal          4 w json
files.delete                          3 w json
files.getUploadURLExternal            4 w
files.info                            4 r
files.list                            3 r team
files.remote.add                      2 w
files.remote.info                     2 r
files.remote.list                     2 r
files.remote.remove                   2 w
files.remote.share                    2 w
files.remote.update                   2 w
files.revokePublicURL                 3 w json
files.sharedPublicURL                 3 w json
functions.completeError               3 w json
functions.completeSuccess             3 w json
migration.exchange                    2 r team
oauth.v2.access                       4 w
oauth.v2.exchange                     4 w
openid.connect.token                  4 w
openid.connect.userInfo               4 r
pins.add                              2 w json channel timestamp
pins.list                             2 r channel
pins.remove                           2 w json channel timestamp
reactions.add                         3 x json channel timestamp
reactions.get                         3 r channel timestamp
reactions.list                        2 r team
reactions.remove                      2 x json channel timestamp
reminders.add                         2 w json team
reminders.complete                    2 w json team
reminders.delete                      2 w json team
reminders.info                        2 r team
reminders.list                        2 r team
search.all                            2 r team
search.files                          2 r team
search.messages                       2 r team
slackLists.items.create               2 w json
slackLists.items.delete               2 w json
slackLists.items.info                 2 r
slackLists.items.list                 2 r
slackLists.items.update               2 w json
stars.add                             2 w json
stars.list                            3 r team
stars.remove                          2 w json
team.accessLogs                       2 r team
team.billableInfo                     2 r team
team.billing.info                     3 r
team.info                             3 r
team.integrationLogs                  2 r team
team.preferences.list                 2 r
team.profile.get                      3 r
tooling.tokens.rotate                 1 w
usergroups.create                     2 w json team
usergroups.disable                    2 w json team
usergroups.enable                     2 w json team
usergroups.list                       2 r team
usergroups.update                     2 w json team
usergroups.users.list                 2 r team
usergroups.users.update               2 w json team
users.conversations                   3 r team
users.deletePhoto                     2 w
users.discoverableContacts.lookup     2 r
users.getPresence                     3 r user
users.identity                        3 r
users.info                            4 r user
users.list                            2 r team
users.lookupByEmail                   3 r
users.profile.get                     4 r
users.profile.set                     3 w json
users.setPhoto                        2 w
users.setPresence                     2 w json
views.open                            4 w json trigger
views.publish                         4 w json user_id
views.push                            4 w json trigger
views.update                          4 w json
workflows.stepCompleted               3 w json
workflows.stepFailed                  3 w json
workflows.updateStep                  3 w json
`
