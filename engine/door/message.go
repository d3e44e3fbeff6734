package door

import (
	"fmt"
	"slices"
	"strings"

	"github.com/starling-rules/starling/runtime"
)

// Message is what an effect says in a conversation.
type Message struct {
	// Method is Slack's name of what is called, "" if it is respond's own way.
	Method string
	// Part are the arguments that are the message; the effect's own, or a dict
	// among them.
	Part *runtime.Dict

	effect runtime.Effect
	key    string // of Part within the effect's arguments; "": it is all of them
}

// methods are Slack's by the built-in that stands for one.
var methods = map[string]string{
	"respond": "", "reply": "chat.postMessage", "post": "chat.postMessage", "dm": "chat.postMessage",
	"ephemeral": "chat.postEphemeral", "update": "chat.update", "ask": "chat.postMessage", "ask_form": "chat.postMessage", "upload": "files.completeUploadExternal",
}

// silent are the methods of chat that say nothing.
var silent = []string{"chat.delete", "chat.deleteScheduledMessage", "chat.getPermalink", "chat.scheduledMessages.list"}

// contents are the fields of a message that show something.
var contents = []string{"text", "blocks", "attachments", "markdown_text", "comment", "initial_comment"}

// MessageOf returns the message that an effect is about to send, if it is one.
func MessageOf(e runtime.Effect) (Message, bool) {
	m := Message{effect: e, Part: e.Args}
	if e.Kind == "slack_action" {
		m.Method, m.key = e.Args.Text("method"), "args"
		if !strings.HasPrefix(m.Method, "chat.") || slices.Contains(silent, m.Method) {
			return m, false
		}
		if m.Part = dict(e.Args, "args"); m.Part == nil {
			m.Part = &runtime.Dict{}
		}
		return m, true
	}
	method, ok := methods[e.Kind]
	if !ok {
		return m, false
	}
	m.Method = method
	if whole := dict(e.Args, "message"); whole != nil && e.Kind == "respond" {
		m.Part, m.key = whole, "message"
	}
	return m, slices.ContainsFunc(contents, func(k string) bool { v, _ := m.Part.Get(k); return v != nil && v != "" })
}

// With returns the effect with its message changed: each field of change takes
// the place of that of the message, None takes it away. Where a message goes
// cannot be changed.
func (m Message) With(change *runtime.Dict) (runtime.Effect, error) {
	part := m.Part.Clone()
	for _, f := range change.Fields {
		if !slices.Contains(contents, f.Key) {
			return m.effect, fmt.Errorf("%s of a message cannot be changed: %s can", f.Key, strings.Join(contents, ", "))
		}
		if f.Value == nil {
			part.Delete(f.Key)
			continue
		}
		part.Set(f.Key, f.Value)
	}
	e := m.effect
	if m.key == "" {
		e.Args = part
		return e, nil
	}
	e.Args = e.Args.Clone()
	e.Args.Set(m.key, part)
	return e, nil
}
