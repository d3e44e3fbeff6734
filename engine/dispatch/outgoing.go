package dispatch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/starling-rules/starling/engine/door"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/rules"
	"github.com/starling-rules/starling/runtime"
)

// The hooks of on.outgoing are asked before a message is sent, and what they
// made of it is recorded before it is sent: after a crash the same goes out,
// and they are not asked again. They are asked about what scripts say; the
// server's own notices are its own.

// refusedBy is why a message is not sent, as the script sees it.
type refusedBy struct{ why string }

func (r refusedBy) result() runtime.Value {
	return runtime.NewDict("ok", false, "error", "refused", "detail", r.why)
}

// outgoing returns the effect as the hooks want it: changed tells that it is
// another. A message that they refuse gives refused. The error is that of a
// server that stops.
func (r *run) outgoing(ctx context.Context, e runtime.Effect) (out runtime.Effect, changed bool, refused *refusedBy, err error) {
	set := r.d.Rules.Current()
	if r.notice || len(set.Outgoing()) == 0 && len(set.Missing(rules.Outgoing)) == 0 {
		return e, false, nil, nil
	}
	if _, ok := door.MessageOf(e); !ok {
		return e, false, nil, nil
	}
	if said := r.said; said != nil && e.Step == 0 { // the answer that came too late to be one
		return said.effect, true, said.refused, nil
	}
	for {
		out, changed, refused, err = r.askOutgoing(ctx, e)
		if !errors.Is(err, errGone) {
			return out, changed, refused, err
		}
	}
}

func (r *run) askOutgoing(ctx context.Context, e runtime.Effect) (out runtime.Effect, changed bool, refused *refusedBy, err error) {
	set := r.d.Rules.Current()
	if files := set.Missing(rules.Outgoing); len(files) > 0 {
		return e, false, r.refusedMessage(e, files[0], strings.Join(files, ", ")+" may hold a rule of on.outgoing, and does not load", nil), nil
	}
	for _, hook := range set.Outgoing() {
		skip, off := r.d.hookOff(hook)
		switch {
		case skip, hook.Own && hook.Script != r.Script:
			continue
		case off != "":
			return e, false, r.refusedMessage(e, hook.ID, "it is "+off, nil), nil
		}
		m, _ := door.MessageOf(e)
		h := hooked{rule: hook, id: runID(fmt.Sprintf("%s.%d", r.ID, e.Step), hook.ID), e: r.e, extra: []runtime.Value{r.messageValue(e, m)}}
		v, fail, err := r.d.ask(ctx, h)
		if err != nil {
			return e, false, nil, err
		}
		if fail != nil {
			r.d.judgeHook(h, fail)
			r.d.Metrics.Runs.WithLabelValues(hook.ID, string(Failed)).Inc()
			return e, false, r.refusedMessage(e, hook.ID, "it failed: "+fail.Error(), fail), nil
		}
		change, why := messageChange(v)
		if why != "" {
			return e, false, r.refusedMessage(e, hook.ID, why, nil), nil
		}
		if change == nil {
			continue
		}
		next, err := m.With(change)
		if err != nil {
			return e, false, r.refusedMessage(e, hook.ID, err.Error(), nil), nil
		}
		e, changed = next, true
	}
	return e, changed, nil, nil
}

// messageChange reads what a hook returned: nil leaves the message as it is;
// why tells that it is refused.
func messageChange(v runtime.Value) (change *runtime.Dict, why string) {
	switch v := v.(type) {
	case bool:
		if v {
			return nil, ""
		}
		return nil, "it returned False"
	case string:
		if v != "" {
			return runtime.NewDict("text", v), ""
		}
	case *runtime.Dict:
		return v, ""
	}
	return nil, "it returned " + describe(v) + ": True lets a message go, a text or a dict changes it"
}

func (r *run) refusedMessage(e runtime.Effect, hook, why string, fail *runtime.Error) *refusedBy {
	level, at := r.d.Logger.Info, ""
	if fail != nil {
		level, at = r.d.Logger.Error, fail.Pos.String()
	}
	level("message is refused", "event_id", r.e.ID, "rule", r.Rule, "run", r.ID, "effect", e.Kind, "by", hook, "at", at, "why", why)
	line := e.Kind + " is refused by " + hook + ": " + why
	r.notes.log(r.passes, runtime.LogLine{Level: slog.LevelWarn, Text: line, Pos: e.Pos})
	if r.d.Inspector != nil {
		r.trace.Logs = append(r.trace.Logs, "WARN "+line)
	}
	return &refusedBy{"on.outgoing of " + hook + ": " + why}
}

// messageValue is what a hook is given.
func (r *run) messageValue(e runtime.Effect, m door.Message) runtime.Value {
	kind := e.Kind
	if r.answering {
		kind = "answer"
	}
	d := runtime.NewDict("kind", kind, "method", orNil(m.Method), "rule", r.Rule, "script", r.Script, "run", r.ID,
		"event", eventFacts(r.e), "args", m.Part)
	for _, k := range []string{"channel", "user", "thread_ts", "ts", "text", "blocks", "attachments"} {
		v, _ := m.Part.Get(k)
		switch {
		case v != nil:
		case k == "channel" && slices.Contains([]string{"respond", "reply", "ephemeral", "update", "slack_action"}, e.Kind):
			v = orNil(r.e.Channel)
		case k == "user" && e.Kind == "dm":
			v = orNil(r.e.User)
		}
		d.Set(k, v)
	}
	text, err := runtime.AppendJSON(nil, hideSecrets(d))
	if err != nil {
		return d
	}
	return runtime.JSON(text)
}

// eventFacts is what rules that are told of another's run learn of its event.
func eventFacts(e *event.Event) *runtime.Dict {
	return runtime.NewDict("id", e.ID, "kind", string(e.Kind), "type", e.Type, "team", e.Team,
		"user", orNil(e.User), "channel", orNil(e.Channel), "text", orNil(e.Text))
}

// said is what the hooks made of an answer.
type said struct {
	effect  runtime.Effect
	refused *refusedBy
}

// outgoingAnswer asks the hooks about the answer of an event, if it is a
// message. It returns what is to be said: nil if that is refused.
func (r *run) outgoingAnswer(ctx context.Context, value runtime.Value) (runtime.Value, error) {
	if r.e.Kind != event.Command && r.e.Kind != event.Action {
		return value, nil
	}
	message, put := answerMessage(value)
	if message == nil {
		return value, nil
	}
	r.answering = true
	defer func() { r.answering = false }()
	e := runtime.Effect{Kind: "respond", Args: message, Pos: runtime.Position{Path: r.Script}}
	out, changed, refused, err := r.outgoing(ctx, e)
	switch {
	case err != nil:
		return nil, err
	case refused != nil:
		r.said = &said{out, refused}
		return nil, nil
	case !changed:
		return value, nil
	}
	r.said = &said{out, nil}
	return put(out.Args), nil
}

// answerMessage returns the message within an answer, and how to put another
// in its place: what http_reply made may hold one as well.
func answerMessage(value runtime.Value) (message *runtime.Dict, put func(*runtime.Dict) runtime.Value) {
	dict, _ := value.(*runtime.Dict)
	http := replyOf(dict)
	if http == nil {
		return messageOf(value), func(m *runtime.Dict) runtime.Value { return m }
	}
	body, _ := http.Get("json")
	if body == nil {
		body, _ = http.Get("body")
	}
	return messageOf(plain(body)), func(m *runtime.Dict) runtime.Value {
		changed := http.Clone()
		changed.Delete("body")
		changed.Set("json", m)
		return runtime.NewDict(httpReplyKey, changed)
	}
}
