// Package event is the normalised event: what arrived, with the few fields
// that storing, matching and most rules need already taken out, and the raw
// payload untouched beside them.
//
//	Event        what is stored, matched and sent to workers
//	Parse…       from a request body or socket frame to an Event
//	View         what a script sees as `e`: fields computed when looked at
//	Tokens       mentions, channels, links, … parsed from Slack's markup
//
// The package knows no HTTP, no store and no rules.
package event

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/starling-rules/starling/runtime"
)

// Kind is the kind of an event: SPEC §6.
type Kind string

// The kinds of events.
const (
	Message    Kind = "message"
	Mention    Kind = "mention"
	Command    Kind = "command"
	Action     Kind = "action"
	Submit     Kind = "view"
	ViewClosed Kind = "view_closed"
	Shortcut   Kind = "shortcut"
	Options    Kind = "options"
	Reaction   Kind = "reaction"
	Home       Kind = "home"
	Other      Kind = "event"
	Webhook    Kind = "webhook"
	Schedule   Kind = "schedule"
)

// Kinds lists the kinds of events.
var Kinds = []Kind{Message, Mention, Command, Action, Submit, ViewClosed, Shortcut, Options, Reaction, Home, Other, Webhook, Schedule}

// Answered reports whether the sender of an event of this kind waits for an
// answer that a rule gives (SPEC §7, Answering).
func (e *Event) Answered() bool {
	switch e.Kind {
	case Command, Submit, Options, Webhook:
		return true
	case Action:
		return e.Type == "interactive_message" || e.Type == "dialog_submission" || e.Type == "dialog_suggestion"
	}
	return false
}

// Encoding tells what Raw is.
type Encoding uint8

// The encodings of a raw payload.
const (
	JSON Encoding = iota // a JSON object
	Form                 // application/x-www-form-urlencoded, as sent
	HTTP                 // a webhook request: see Request
	None                 // no payload (schedule)
)

// Event is one thing that arrived. It is immutable once it is stored; its
// strings and bytes own their memory (nothing refers to a request buffer).
type Event struct {
	// ID is unique and stable over retries: Slack's event_id, or "tr-" and
	// the trigger_id, or "h-" and a hash of the payload (SPEC §4).
	ID   string
	Kind Kind
	// Type is Slack's own: the inner event's type, the interaction's type,
	// "slash_commands". Subtype is that of a message.
	Type    string
	Subtype string

	// Team is the workspace that has installed the app: the one that the
	// payload's authorization names, else the one that receives it.
	Team       string
	Enterprise string
	App        string // api_app_id
	BotUser    string // user id of this app's bot, from authorizations, if known
	BotID      string // bot_id of the author of a message, if any
	AuthorApp  string // app_id of the author of a message, if any

	User     string
	Channel  string
	TS       string
	ThreadTS string
	EventTS  string
	// Text is the text of a message (of the new version of an edited one), or
	// the text after a slash command.
	Text string

	Command     string // "/deploy"
	CallbackID  string
	TriggerID   string
	ResponseURL string
	Reaction    string // emoji name without colons
	// Actions are the actions of a block_actions payload, or the one element
	// that asks for options.
	Actions []ActionRef
	Query   string // what was typed, for options

	// Flags of messages.
	Edited    bool // message_changed
	Unchanged bool // message_changed whose text is what it was
	IM        bool // in a direct message
	ThreadMsg bool // thread_ts set and not the thread's parent
	Removed   bool // reaction_removed

	// OrgWide is set if the event is delivered for an installation of the app in
	// all of the organisation (is_enterprise_install).
	OrgWide bool
	// Shared is set if the event is from a channel that is shared with another
	// organisation (Slack Connect).
	Shared bool

	Received    time.Time
	Retry       int
	RetryReason string
	// Via is "http", "socket" or "local"; Bot the configured name of the bot.
	Via string
	Bot string
	// Reply is where the answer goes if the sender waits for it on another
	// process; empty if nobody waits.
	Reply string

	Encoding Encoding
	// Raw is the payload exactly as Slack sent it: the JSON body, the value
	// of payload=, or the form of a slash command.
	Raw []byte
	// Request is set for webhooks, ScheduledAt for schedules.
	Request     *Request
	ScheduledAt time.Time
}

// ActionRef identifies one interactive element.
type ActionRef struct {
	ActionID string
	BlockID  string
	Type     string
	Value    string
}

// Conversation is the key of order and shard: events of one conversation start
// in order of arrival.
func (e *Event) Conversation() string {
	if e.Channel != "" {
		return e.Team + "/" + e.Channel
	}
	return e.Team + "/" + e.User
}

// RunKey is what run ids derive from, together with the rule: the same for a
// retried event, and for `message` and `app_mention` of one message.
func (e *Event) RunKey() string {
	if (e.Kind == Message || e.Kind == Mention) && e.TS != "" && e.Channel != "" {
		if e.Edited || e.Subtype == "message_deleted" {
			return "m/" + e.Conversation() + "/" + e.TS + "/" + e.EventTS
		}
		return "m/" + e.Conversation() + "/" + e.TS
	}
	return e.ID
}

// Encode appends the stored form of e.
func (e *Event) Encode(b []byte) []byte {
	b = append(b, eventVersion)
	for _, s := range e.texts() {
		b = runtime.AppendString(b, *s)
	}
	b = runtime.AppendString(b, string(e.Kind))
	var flags byte
	for i, f := range e.flags() {
		if *f {
			flags |= 1 << i
		}
	}
	b = append(b, flags, byte(e.Encoding))
	b = binary.AppendVarint(b, e.Received.UnixNano())
	b = binary.AppendVarint(b, int64(e.Retry))
	b = binary.AppendUvarint(b, uint64(len(e.Actions)))
	for _, a := range e.Actions {
		for _, s := range [...]string{a.ActionID, a.BlockID, a.Type, a.Value} {
			b = runtime.AppendString(b, s)
		}
	}
	b = runtime.AppendString(b, e.Raw)
	if e.Encoding == HTTP {
		r := e.Request
		if r == nil {
			r = &Request{}
		}
		for _, s := range [...]string{r.Method, r.Path, r.Query, r.Remote} {
			b = runtime.AppendString(b, s)
		}
		b = binary.AppendUvarint(b, uint64(len(r.Headers)))
		for _, h := range r.Headers {
			b = runtime.AppendString(runtime.AppendString(b, h.Name), h.Value)
		}
	}
	if e.Kind == Schedule {
		b = binary.AppendVarint(b, e.ScheduledAt.UnixNano())
	}
	return b
}

// Decode reads what Encode wrote. The event shares b's memory.
func Decode(b []byte) (*Event, error) {
	d := runtime.NewDecoder(b)
	if v := d.Byte(); v != eventVersion {
		d.Fail("unknown event version %d", v)
	}
	e := &Event{}
	texts := arenas.Get().(*arena)
	defer arenas.Put(texts)
	defer texts.drop()
	for _, s := range e.texts() {
		texts.put(s, d.Bytes())
	}
	kind := d.Bytes()
	texts.put((*string)(&e.Kind), kind)
	flags := d.Byte()
	for i, f := range e.flags() {
		*f = flags&(1<<i) != 0
	}
	e.Encoding = Encoding(d.Byte())
	e.Received = time.Unix(0, d.Varint())
	e.Retry = int(d.Varint())
	if n := d.Count(); n > 0 && d.Err() == nil {
		e.Actions = make([]ActionRef, n)
		for i := range e.Actions {
			a := &e.Actions[i]
			for _, s := range [...]*string{&a.ActionID, &a.BlockID, &a.Type, &a.Value} {
				texts.put(s, d.Bytes())
			}
		}
	}
	e.Raw = d.Bytes()
	if e.Encoding == HTTP {
		e.Request = &Request{Method: d.String(), Path: d.String(), Query: d.String(), Remote: d.String()}
		for n := d.Count(); n > 0 && d.Err() == nil; n-- {
			e.Request.Headers = append(e.Request.Headers, Header{d.String(), d.String()})
		}
	}
	if Kind(kind) == Schedule {
		e.ScheduledAt = time.Unix(0, d.Varint())
	}
	if err := d.Finish(); err != nil {
		return nil, fmt.Errorf("decode event: %w", err)
	}
	texts.flush()
	return e, nil
}

// eventVersion is the first byte of a stored event.
const eventVersion = 1

// texts lists the string fields in their stored order.
func (e *Event) texts() [25]*string {
	return [...]*string{
		&e.ID, &e.Type, &e.Subtype, &e.Team, &e.Enterprise, &e.App, &e.BotUser, &e.BotID, &e.AuthorApp,
		&e.User, &e.Channel, &e.TS, &e.ThreadTS, &e.EventTS, &e.Text, &e.Command, &e.CallbackID, &e.TriggerID,
		&e.ResponseURL, &e.Reaction, &e.Query, &e.RetryReason, &e.Via, &e.Bot, &e.Reply,
	}
}

func (e *Event) flags() [7]*bool {
	return [...]*bool{&e.Edited, &e.Unchanged, &e.IM, &e.ThreadMsg, &e.Removed, &e.OrgWide, &e.Shared}
}
