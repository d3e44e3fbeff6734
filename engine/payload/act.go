package payload

import (
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/starling-rules/starling/runtime"
)

// Act is something that somebody does in Slack. What is empty takes a value
// that looks like Slack's; a method for each kind makes the payload.
type Act struct {
	App App
	// User and Channel are ids; UserName and ChannelName go with them.
	User, UserName       string
	Channel, ChannelName string
	// ChannelType is channel, group, im or mpim; by default what the id says.
	ChannelType string
	// Text is that of the message, or what follows a command.
	Text string
	// TS is the message's own timestamp, or that of the message acted on;
	// Thread the thread it is in.
	TS, Thread string

	Command    string // with its slash
	CallbackID string
	// ActionID, BlockID and Element (its type: button) are those of the
	// element that is used; Value is what was chosen or typed: a text, or a
	// list of texts.
	ActionID, BlockID, Element string
	Value                      any
	Emoji                      string // without colons
	// Values are the inputs of a view or message, by action_id, or by
	// block_id and action_id; see State.
	Values Object
	// Message is the message acted on, View the view: as the app sent them.
	Message, View Object
	// Type is the type of an event that has no kind of its own; Fields are
	// added to the inner event, or to the payload of an interaction.
	Type   string
	Fields Object

	EventID, TriggerID, ResponseURL string

	// Now is the time of the act (default: the clock), Random makes n
	// characters of ids (default: at random).
	Now    time.Time
	Random func(n int) string
}

// kinds are the kinds of acts by the name that `starling trigger` gives them.
var kinds = map[string]func(Act) Payload{
	"message":          Act.ToMessage,
	"mention":          Act.ToMention,
	"command":          Act.ToCommand,
	"action":           Act.ToAction,
	"options":          Act.ToOptions,
	"view":             Act.ToSubmit,
	"view_closed":      Act.ToClose,
	"shortcut":         Act.ToShortcut,
	"message_shortcut": Act.ToMessageShortcut,
	"reaction":         Act.ToReaction,
	"reaction_removed": Act.ToReactionRemoved,
	"home":             Act.ToHome,
	"event":            Act.ToEvent,
}

// Kinds lists what Build takes, sorted.
func Kinds() []string { return slices.Sorted(maps.Keys(kinds)) }

// Build makes the payload of a kind: one of Kinds.
func (a Act) Build(kind string) (Payload, error) {
	f := kinds[kind]
	if f == nil {
		hint := ""
		if n := runtime.Nearest(kind, Kinds()); n != "" {
			hint = fmt.Sprintf(", did you mean %s?", n)
		}
		return Payload{}, fmt.Errorf("no kind %q%s (there are %s)", kind, hint, strings.Join(Kinds(), ", "))
	}
	return f(a), nil
}

// fill gives values to what is empty.
func (a Act) fill() Act {
	if a.Now.IsZero() {
		a.Now = time.Now()
	}
	if a.Random == nil {
		a.Random = random
	}
	def(&a.App.ID, "A0000000001")
	def(&a.App.BotUser, "U0000000BOT")
	def(&a.App.Team, "T0000000001")
	def(&a.App.Domain, "local")
	def(&a.User, "U0000000001")
	def(&a.UserName, "ada")
	def(&a.Channel, "C0000000001")
	def(&a.ChannelName, channelName(a.Channel))
	def(&a.ChannelType, channelType(a.Channel))
	def(&a.TS, fmt.Sprintf("%d.%06d", a.Now.Unix(), a.Now.Nanosecond()/1000))
	def(&a.EventID, "Ev"+a.Random(10))
	def(&a.TriggerID, fmt.Sprintf("%d.%s", a.Now.UnixNano(), strings.ToLower(a.Random(24))))
	return a
}

func def(p *string, v string) {
	if *p == "" {
		*p = v
	}
}

// channelType tells the type of a channel by its id.
func channelType(id string) string {
	switch id[0] {
	case 'D':
		return "im"
	case 'G':
		return "group"
	}
	return "channel"
}

// channelName is what Slack calls a conversation without a name of its own.
func channelName(id string) string {
	switch id[0] {
	case 'D':
		return "directmessage"
	case 'G':
		return "privategroup"
	}
	return "general"
}

// random returns n characters of Slack's ids.
func random(n int) string {
	const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ" // 32 letters: no bias
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	for i := range b {
		b[i] = alphabet[b[i]%32]
	}
	return string(b)
}

func (a Act) person() Person { return Person{a.User, a.UserName} }

// callback wraps an inner event, with Fields added.
func (a Act) callback(inner Object) Payload {
	maps.Copy(inner, a.Fields)
	return JSON(a.App.Callback(a.EventID, a.Now, inner))
}

// ToMessage is somebody posting a message.
func (a Act) ToMessage() Payload {
	a = a.fill()
	m := a.posted("message")
	m["channel_type"] = a.ChannelType
	return a.callback(m)
}

// ToMention is somebody mentioning the bot: Text gets the mention in front if
// it holds none.
func (a Act) ToMention() Payload {
	a = a.fill()
	if !strings.Contains(a.Text, "<@"+a.App.BotUser) {
		a.Text = strings.TrimSpace("<@" + a.App.BotUser + "> " + a.Text)
	}
	return a.callback(a.posted("app_mention"))
}

// posted is what message and app_mention have in common.
func (a Act) posted(typ string) Object {
	m := Object{
		"type": typ, "user": a.User, "text": a.Text, "ts": a.TS, "event_ts": a.TS, "team": a.App.Team, "channel": a.Channel,
		"client_msg_id": strings.ToLower(a.Random(26)), "blocks": []any{RichText(a.Text, a.Random(5))},
	}
	if a.Thread != "" {
		m["thread_ts"] = a.Thread
	}
	return m
}

// ToReaction is somebody adding a reaction to the message TS.
func (a Act) ToReaction() Payload { return a.reaction("reaction_added") }

// ToReactionRemoved is somebody taking a reaction back.
func (a Act) ToReactionRemoved() Payload { return a.reaction("reaction_removed") }

func (a Act) reaction(typ string) Payload {
	a = a.fill()
	def(&a.Emoji, "eyes")
	return a.callback(Object{
		"type": typ, "user": a.User, "reaction": strings.Trim(a.Emoji, ":"), "item_user": a.App.BotUser,
		"item": Object{"type": "message", "channel": a.Channel, "ts": a.TS}, "event_ts": a.stamp(),
	})
}

// stamp is the time of the act as a timestamp of its own.
func (a Act) stamp() string { return fmt.Sprintf("%d.%06d", a.Now.Unix(), a.Now.Nanosecond()/1000) }

// ToHome is somebody opening the app's home.
func (a Act) ToHome() Payload {
	a = a.fill()
	if a.Channel[0] != 'D' {
		a.Channel = "D0000000001"
	}
	return a.callback(Object{"type": "app_home_opened", "user": a.User, "channel": a.Channel, "tab": "home", "event_ts": a.stamp()})
}

// ToEvent is an event of type Type, with Fields; user, channel and text are
// those of the act where they are given.
func (a Act) ToEvent() Payload {
	inner := Object{}
	for k, v := range map[string]string{"user": a.User, "channel": a.Channel, "text": a.Text, "ts": a.TS, "thread_ts": a.Thread} {
		if v != "" {
			inner[k] = v
		}
	}
	a = a.fill()
	def(&a.Type, "team_join")
	typ, sub, _ := strings.Cut(a.Type, ".")
	inner["type"], inner["event_ts"] = typ, a.stamp()
	if sub != "" {
		inner["subtype"] = sub
	}
	return a.callback(inner)
}

// ToCommand is somebody giving a slash command.
func (a Act) ToCommand() Payload {
	a = a.fill()
	def(&a.Command, "/hello")
	if a.Command[0] != '/' {
		a.Command = "/" + a.Command
	}
	f := a.App.CommandForm(a.Command, a.Text, a.person(), Person{a.Channel, a.ChannelName}, a.TriggerID)
	if a.ResponseURL != "" {
		f.Set("response_url", a.ResponseURL)
	}
	for k, v := range a.Fields {
		f.Set(k, text(v))
	}
	return Fields(f)
}
