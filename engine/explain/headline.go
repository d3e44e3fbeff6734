package explain

import (
	"cmp"
	"encoding/json"
	"net/url"
	"strings"

	"github.com/starling-rules/starling/engine/event"
)

// Headline says in a few words what an event is about: what was written, the
// command, the ids of buttons, the request.
func Headline(e *event.Event) string {
	switch e.Kind {
	case event.Command:
		return strings.TrimSpace(e.Command + " " + e.Text)
	case event.Action, event.Options:
		ids := make([]string, len(e.Actions))
		for i, a := range e.Actions {
			ids[i] = a.ActionID
		}
		return strings.TrimSpace(strings.Join(ids, ", ") + " " + e.Query)
	case event.Submit, event.ViewClosed, event.Shortcut, event.Schedule:
		return e.CallbackID
	case event.Reaction:
		return ":" + e.Reaction + ":"
	case event.Webhook:
		if e.Request != nil {
			return e.Request.Method + " " + e.Request.Path
		}
	}
	return e.Text
}

// Names are the names of the event's channel and user as far as the payload
// holds them: of commands and interactions it does.
func Names(e *event.Event) (channel, user string) {
	switch e.Encoding {
	case event.Form:
		f, err := url.ParseQuery(string(e.Raw))
		if err != nil {
			return "", ""
		}
		channel, user = f.Get("channel_name"), f.Get("user_name")
	case event.JSON:
		var p struct {
			Channel, User json.RawMessage
			ChannelName   string `json:"channel_name"`
			UserName      string `json:"user_name"`
		}
		if json.Unmarshal(e.Raw, &p) != nil {
			return "", ""
		}
		channel, user = p.ChannelName, p.UserName
		var named struct{ Name, Username string }
		if json.Unmarshal(p.Channel, &named) == nil && named.Name != "" {
			channel = named.Name
		}
		named.Name = ""
		if json.Unmarshal(p.User, &named) == nil && named.Name+named.Username != "" {
			user = cmp.Or(named.Username, named.Name)
		}
	}
	if channel == "directmessage" || channel == "privategroup" { // not names, but what Slack says instead
		channel = ""
	}
	return channel, user
}
