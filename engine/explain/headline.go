package explain

import (
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
