// Package payload builds what Slack sends to an app: the same JSON and forms,
// from the few things that differ from case to case. The local Slack, the test
// runner and `starling trigger` share it.
//
//	App       the workspace and the app in it: envelopes of every kind
//	Act       something that somebody does, and the payload that Slack makes of it
//	Payload   content type and body, ready to be signed and sent
//	State     the state of inputs, as it goes with actions and submissions
//
// The package sends nothing and knows neither rules nor events.
package payload

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strconv"
	"time"
)

// Object is a JSON object.
type Object = map[string]any

// Verification is the deprecated field `token` of payloads; it proves nothing.
const Verification = "local-development"

// The content types that Slack sends.
const (
	JSONType = "application/json"
	FormType = "application/x-www-form-urlencoded"
)

// App is the app that is told, and the workspace that it is installed in. The
// zero value is completed by Act.
type App struct {
	ID         string // api_app_id
	BotUser    string // user id of its bot
	Team       string
	Domain     string // of the team
	Enterprise string // empty: the team belongs to none
	// Wide says that the app is installed in the whole organization.
	Wide bool
}

// Person is a user by id and name.
type Person struct{ ID, Name string }

// Payload is a request body.
type Payload struct {
	ContentType string
	Body        []byte
	// JSON is the payload without the form around it; of a slash command,
	// which is nothing but a form, the form.
	JSON []byte
}

// Callback is the envelope of an event of the Events API.
func (a App) Callback(id string, at time.Time, inner Object) Object {
	authorized := a.Team
	if a.Wide {
		authorized = "" // the organization, not one of its teams
	}
	return Object{
		"token": Verification, "team_id": a.Team, "context_team_id": a.Team, "context_enterprise_id": orNull(a.Enterprise),
		"api_app_id": a.ID, "event": inner, "type": "event_callback", "event_id": id, "event_time": at.Unix(),
		"authorizations": []Object{{
			"enterprise_id": orNull(a.Enterprise), "team_id": orNull(authorized), "user_id": a.BotUser, "is_bot": true, "is_enterprise_install": a.Wide,
		}},
		"is_ext_shared_channel": false, "event_context": "4-" + id,
	}
}

// Interaction begins the payload of an interaction: who did it, and with trigger
// not empty, the right to open a view.
func (a App) Interaction(typ string, who Person, trigger string) Object {
	p := Object{
		"type": typ, "token": Verification, "api_app_id": a.ID,
		"team": Object{"id": a.Team, "domain": a.Domain}, "enterprise": nil, "is_enterprise_install": a.Wide,
		"user": Object{"id": who.ID, "username": who.Name, "name": who.Name, "team_id": a.Team},
	}
	if a.Enterprise != "" {
		p["enterprise"] = Object{"id": a.Enterprise}
	}
	if trigger != "" {
		p["trigger_id"] = trigger
	}
	return p
}

// CommandForm is the form of a slash command, without its response_url.
func (a App) CommandForm(command, text string, who, channel Person, trigger string) url.Values {
	f := url.Values{
		"token": {Verification}, "team_id": {a.Team}, "team_domain": {a.Domain},
		"channel_id": {channel.ID}, "channel_name": {channel.Name}, "user_id": {who.ID}, "user_name": {who.Name},
		"command": {command}, "text": {text}, "api_app_id": {a.ID},
		"is_enterprise_install": {strconv.FormatBool(a.Wide)}, "trigger_id": {trigger},
	}
	if a.Enterprise != "" {
		f.Set("enterprise_id", a.Enterprise)
	}
	return f
}

// JSON is a payload that is sent as it is.
func JSON(o Object) Payload {
	b := encode(o)
	return Payload{JSONType, b, b}
}

// Form is the payload of an interaction, which is sent inside a form.
func Form(o Object) Payload {
	b := encode(o)
	return Payload{FormType, []byte(url.Values{"payload": {string(b)}}.Encode()), b}
}

// Fields is a payload that is a form itself.
func Fields(f url.Values) Payload {
	b := []byte(f.Encode())
	return Payload{FormType, b, b}
}

// encode writes JSON as Slack does: <, > and & are not escaped.
func encode(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic("payload: encode: " + err.Error()) // values of callers are data that was decoded from JSON
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}
