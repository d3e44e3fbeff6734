package door

import (
	"context"
	"time"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/runtime"
)

// Slack takes a response_url five times within half an hour.
const (
	responseUses = 5
	responseLife = 30 * time.Minute
)

// respond answers where the event came from, a long text in several messages.
// In doubt it is never repeated.
func (l *live) respond(ctx context.Context, r *Run, e runtime.Effect) (runtime.Value, error) {
	var texts []string
	if flag(e.Args, "split", true) && textAlone(e.Args) {
		texts = splitText(e.Args.Text("text"), maxSaid)
	}
	e.Args = without(e.Args, "split")
	if len(texts) < 2 {
		return l.respondOnce(ctx, r, e)
	}
	if !l.fresh(r) {
		c, err := l.instead(ctx, r, e)
		if err != nil {
			return nil, err
		}
		return l.sayAll(ctx, r, e, l.inParts(r, e, c), nil)
	}
	var first runtime.Value
	for i, text := range texts {
		part, used := e, *r
		part.Args = e.Args.Clone()
		part.Args.Set("text", text)
		if i > 0 { // only the first takes the place of something
			part.Args.Delete("replace")
			part.Args.Delete("delete")
		}
		if r.Responses != nil {
			used.Responses = func() int { return r.Responses() + i }
		}
		v, err := l.respondOnce(ctx, &used, part)
		if err != nil || !isOK(v) {
			return v, err
		}
		if i == 0 {
			first = v
		}
	}
	return first, nil
}

// isOK reads .ok of a result.
func isOK(v runtime.Value) bool {
	switch v := v.(type) {
	case *runtime.Dict:
		return flag(v, "ok", false)
	case runtime.JSON:
		w, err := runtime.ParseView(v)
		if err != nil {
			return false
		}
		ok, _ := w.Get("ok")
		return ok == true
	}
	return false
}

// respondOnce goes through the event's response_url while Slack takes that,
// else through the Web API.
func (l *live) respondOnce(ctx context.Context, r *Run, e runtime.Effect) (runtime.Value, error) {
	body := responseOf(r.Event, e.Args)
	if whole := dict(e.Args, "message"); whole != nil {
		body, e.Args = without(whole), ownTerms(whole)
	}
	if l.fresh(r) {
		res, err := l.Slack.Respond(ctx, r.Event.ResponseURL, body)
		if err != nil {
			return nil, err
		}
		switch res.Error {
		case "expired_url", "used_url", "http_404":
			note(ctx, "response_url: "+res.Error)
		default:
			note(ctx, "through response_url")
			return res.Body, nil
		}
	}
	c, err := l.instead(ctx, r, e)
	if err != nil {
		return nil, err
	}
	if c.failed == nil {
		note(ctx, "through "+c.method)
	}
	if c.failed == nil && l.follows(r) {
		return l.sayAll(ctx, r, e, []call{c}, nil)
	}
	return l.do(ctx, r, c)
}

// ownTerms are the arguments of respond that a response in Slack's terms stands for.
func ownTerms(message *runtime.Dict) *runtime.Dict {
	args := without(message, "response_type", "replace_original", "delete_original")
	if kind := message.Text("response_type"); kind != "" {
		args.Set("ephemeral", kind != "in_channel")
	}
	args.Set("replace", flag(message, "replace_original", false))
	args.Set("delete", flag(message, "delete_original", false))
	return args
}

// fresh reports whether the event's response_url may still be used.
func (l *live) fresh(r *Run) bool {
	e := r.Event
	if e.ResponseURL == "" || !l.Slack.ResponseURL(e.ResponseURL) {
		return false
	}
	if !e.Received.IsZero() && l.Now().Sub(e.Received) >= responseLife {
		return false
	}
	return r.Responses == nil || r.Responses() < responseUses
}

// responseOf is the body for a response_url.
func responseOf(e *event.Event, args *runtime.Dict) *runtime.Dict {
	m := without(args, "ephemeral", "replace", "delete")
	if v, given := args.Get("ephemeral"); given && v != nil {
		kind := "in_channel"
		if v == true {
			kind = "ephemeral"
		}
		m.Set("response_type", kind)
	}
	switch {
	case flag(args, "delete", false):
		m.Set("delete_original", true)
	case flag(args, "replace", false):
		m.Set("replace_original", true)
	case e.Kind == event.Action:
		// Old interactive messages are replaced by default.
		m.Set("replace_original", false)
	}
	if _, given := m.Get("thread_ts"); !given && e.ThreadTS != "" {
		m.Set("thread_ts", e.ThreadTS)
	}
	return m
}

// instead is the Web API call that does what the response would have done.
func (l *live) instead(ctx context.Context, r *Run, e runtime.Effect) (call, error) {
	args := without(e.Args, "ephemeral", "replace", "delete")
	o := behalf(r.Event)
	if r.Event.Channel == "" {
		if r.Event.User == "" {
			return fail("no_conversation", "respond: the event belongs to no conversation")
		}
		// A global shortcut or a home tab has no conversation but a person.
		channel, err := l.Slack.DM(ctx, r.Event.User, o)
		if err != nil {
			return refusedCall(err)
		}
		args.Set("channel", channel)
		return call{method: "chat.postMessage", args: args, o: o}, nil
	}
	args.Set("channel", r.Event.Channel)
	switch {
	case flag(e.Args, "delete", false):
		return call{method: "chat.delete", args: runtime.NewDict("channel", r.Event.Channel, "ts", r.Event.TS), o: o}, nil
	case flag(e.Args, "replace", false):
		args.Set("ts", r.Event.TS)
		args.Delete("thread_ts")
		return call{method: "chat.update", args: args, o: o}, nil
	}
	if _, given := args.Get("thread_ts"); !given && r.Event.ThreadTS != "" {
		args.Set("thread_ts", r.Event.ThreadTS)
	}
	// A command's answer is ephemeral at a response_url unless it says
	// otherwise; it stays so when the URL is used up.
	private := r.Event.ResponseURL != "" && r.Event.User != ""
	if flag(e.Args, "ephemeral", private) && r.Event.User != "" {
		args.Set("user", r.Event.User)
		return call{method: "chat.postEphemeral", args: args, o: o}, nil
	}
	return call{method: "chat.postMessage", args: args, o: o}, nil
}
