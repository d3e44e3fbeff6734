package event

// The keys that parsing looks at, in any object. Whatever else an object holds
// stays in Raw.
const (
	kType = iota
	kSubtype
	kEvent
	kEventID
	kEventTS
	kTeam
	kTeamID
	kContextTeamID
	kEnterprise
	kEnterpriseID
	kAPIAppID
	kAuthorizations
	kChallenge
	kUser
	kUserID
	kBotID
	kAppID
	kText
	kTS
	kThreadTS
	kDeletedTS
	kChannel
	kChannelID
	kChannelType
	kMessage
	kPreviousMessage
	kItem
	kReaction
	kID
	kActions
	kActionID
	kBlockID
	kName
	kValue
	kCallbackID
	kTriggerID
	kResponseURL
	kContainer
	kMessageTS
	kView
	kCommand
	kIsBot
	kOriginalMessage
	kOrgWide
	kExtShared
	kContextEnterpriseID
	kInstalledTeamID
	nKeys
)

func keyIndex(k []byte) int {
	switch string(k) {
	case "type":
		return kType
	case "subtype":
		return kSubtype
	case "event":
		return kEvent
	case "event_id":
		return kEventID
	case "event_ts":
		return kEventTS
	case "team":
		return kTeam
	case "team_id":
		return kTeamID
	case "context_team_id":
		return kContextTeamID
	case "enterprise":
		return kEnterprise
	case "enterprise_id":
		return kEnterpriseID
	case "api_app_id":
		return kAPIAppID
	case "authorizations":
		return kAuthorizations
	case "challenge":
		return kChallenge
	case "user":
		return kUser
	case "user_id":
		return kUserID
	case "bot_id":
		return kBotID
	case "app_id":
		return kAppID
	case "text":
		return kText
	case "ts":
		return kTS
	case "thread_ts":
		return kThreadTS
	case "deleted_ts":
		return kDeletedTS
	case "channel":
		return kChannel
	case "channel_id":
		return kChannelID
	case "channel_type":
		return kChannelType
	case "message":
		return kMessage
	case "previous_message":
		return kPreviousMessage
	case "item":
		return kItem
	case "reaction":
		return kReaction
	case "id":
		return kID
	}
	return actionKeyIndex(k)
}

// actionKeyIndex is the half of keyIndex that interactions and commands need.
func actionKeyIndex(k []byte) int {
	switch string(k) {
	case "actions":
		return kActions
	case "action_id":
		return kActionID
	case "block_id":
		return kBlockID
	case "name":
		return kName
	case "value":
		return kValue
	case "callback_id":
		return kCallbackID
	case "trigger_id":
		return kTriggerID
	case "response_url":
		return kResponseURL
	case "container":
		return kContainer
	case "message_ts":
		return kMessageTS
	case "view":
		return kView
	case "command":
		return kCommand
	case "is_bot":
		return kIsBot
	case "original_message":
		return kOriginalMessage
	case "is_enterprise_install":
		return kOrgWide
	case "is_ext_shared_channel":
		return kExtShared
	case "context_enterprise_id":
		return kContextEnterpriseID
	case "app_installed_team_id":
		return kInstalledTeamID
	}
	return -1
}

// fields are the known fields of one object.
type fields [nKeys]*node

// scan collects the known fields of v. A key that is there twice is a fault:
// readers differ in which one counts. If v is no object all fields are absent.
func (f *fields) scan(v *node) error {
	*f = fields{}
	if !v.isObject() {
		return nil
	}
	v.below(func(c *node) { f[c.key] = c })
	if v.twice >= 0 {
		return unusable("a key is there twice in one object: %s", keyNames[v.twice])
	}
	return nil
}

// text returns a field that is a string, else nil.
func (f *fields) text(i int) []byte { return f[i].text() }

// id returns a field that is a string, or the id of one that is an object:
// Slack sends users, channels and teams both ways.
func (f *fields) id(i int) []byte {
	if v := f[i]; v.isObject() {
		return v.get(kID).text()
	}
	return f[i].text()
}

// first returns the first that is not empty.
func first(texts ...[]byte) []byte {
	for _, t := range texts {
		if len(t) > 0 {
			return t
		}
	}
	return nil
}

// keyNames are the names for error messages, by index.
var keyNames = func() (names [nKeys]string) {
	for _, n := range []string{
		"type", "subtype", "event", "event_id", "event_ts", "team", "team_id", "context_team_id",
		"enterprise", "enterprise_id", "api_app_id", "authorizations", "challenge", "user", "user_id", "bot_id",
		"app_id", "text", "ts", "thread_ts", "deleted_ts", "channel", "channel_id", "channel_type", "message",
		"previous_message", "item", "reaction", "id", "actions", "action_id", "block_id", "name", "value",
		"callback_id", "trigger_id", "response_url", "container", "message_ts", "view", "command", "is_bot",
		"original_message", "is_enterprise_install", "is_ext_shared_channel", "context_enterprise_id", "app_installed_team_id",
	} {
		names[keyIndex([]byte(n))] = n
	}
	return names
}()
