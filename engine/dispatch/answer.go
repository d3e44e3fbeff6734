package dispatch

import (
	"context"
	"errors"
	"net/http"

	"github.com/starling-rules/starling/engine/door"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/runtime"
)

// answer does what the handler's return value means for the kind of event
// (SPEC §7, Answering). A value that is no legal answer is logged and
// answered empty.
func (r *run) answer(ctx context.Context, value runtime.Value) {
	value = plain(value)
	switch {
	case r.ErrorOf >= 0: // what an on.error rule returns answers nobody
	case r.e.Kind == event.Message || r.e.Kind == event.Mention:
		if m := messageOf(value); m != nil {
			r.effectAfter(ctx, "post", r.inConversation(m))
			return
		}
		if value != nil {
			r.illegal(value)
		}
	case !r.Answer:
		if value != nil {
			r.illegal(value)
		}
	default:
		r.answerAnswered(ctx, value)
	}
}

// answerAnswered answers the kinds of events whose sender waits.
func (r *run) answerAnswered(ctx context.Context, value runtime.Value) {
	say, err := r.outgoingAnswer(ctx, value)
	if err != nil {
		r.cutOff = true
		return
	}
	a, ok := answerFor(r.e, say)
	if !ok {
		r.illegal(value)
		a = emptyAnswer(r.e)
	}
	tooLong := r.e.Via == "socket" && len(a.SocketPayload()) > event.MaxSocketPayload // Slack would not read it
	if tooLong || r.e.Kind == event.Command && door.TakesSeveral(messageOf(say)) {
		r.d.deliver(r.e, emptyAnswer(r.e))
		r.late(ctx, value)
		return
	}
	if r.d.deliver(r.e, a) || !ok || value == nil {
		return
	}
	r.late(ctx, value)
}

// late uses another way for an answer that came after the sender had gone.
func (r *run) late(ctx context.Context, value runtime.Value) {
	dict, _ := value.(*runtime.Dict)
	if http := replyOf(dict); http != nil {
		value, _ = http.Get("json")
		dict, _ = value.(*runtime.Dict)
	}
	switch r.e.Kind {
	case event.Command, event.Action:
		if m := messageOf(value); m != nil {
			r.effectAfter(ctx, "respond", m)
		}
	case event.Submit:
		switch action := dict.Text("response_action"); action {
		case "update", "push":
			view, _ := dict.Get("view")
			args := runtime.NewDict("method", "views.update", "args", runtime.NewDict("view", view, "view_id", viewID(r.e.Raw)))
			r.effectAfter(ctx, "slack_action", args)
		case "":
		default:
			r.d.Logger.Warn("answer came too late and is dropped", "rule", r.Rule, "run", r.ID, "answer", action)
		}
	default:
		r.d.Logger.Warn("answer came too late and is dropped", "rule", r.Rule, "run", r.ID, "kind", string(r.e.Kind))
	}
}

// effectAfter performs an effect on behalf of the returned value or of the
// failure, as the last step of the run: journaled, and not repeated after a
// crash. It is the server's own, so that the limits of scripts do not apply.
func (r *run) effectAfter(ctx context.Context, kind string, args *runtime.Dict) {
	e := runtime.Effect{Kind: kind, Args: args, Pos: runtime.Position{Path: r.Script}}
	hash, flight := e.Hash(), r.last
	if flight != nil && flight.Done {
		return
	}
	if flight != nil && flight.Hash != hash {
		flight = nil // for another outcome than this time
	}
	v, err := r.journal(ctx, e, hash, flight, nil)
	if errors.Is(err, errAbandoned) {
		r.cutOff = true
		return
	}
	res := runtime.StepResult{Value: v}
	if err != nil {
		res.Err = err.Error()
	}
	r.effectAfterwards = &step{Hash: hash, Kind: kind, Args: args, Pos: e.Pos, Done: true, At: r.d.Now(), Value: v, Err: res.Err}
	if text := resultError(res); text != "" {
		r.d.Logger.Error("send the returned value", "run", r.ID, "rule", r.Rule, "effect", kind, "err", text)
	}
}

// resultError is the error text of a result that says it is not ok.
func resultError(res runtime.StepResult) string {
	if res.Err != "" {
		return res.Err
	}
	d, _ := plain(res.Value).(*runtime.Dict)
	if ok, is := d.Get("ok"); is && ok == false {
		return d.Text("error")
	}
	return ""
}

// answerEmpty tells the sender that there is nothing to say.
func (r *run) answerEmpty() {
	if r.Answer {
		r.d.deliver(r.e, emptyAnswer(r.e))
	}
}

func (r *run) illegal(value runtime.Value) {
	r.d.Logger.Warn("returned value is no answer for this kind of event",
		"rule", r.Rule, "run", r.ID, "kind", string(r.e.Kind), "type", runtime.TypeName(value))
	r.trace.Logs = append(r.trace.Logs, "WARN returned "+runtime.TypeName(value)+" is no answer for a "+string(r.e.Kind))
}

// inConversation addresses a message to where the event came from.
func (r *run) inConversation(m *runtime.Dict) *runtime.Dict {
	args := runtime.NewDict("channel", r.e.Channel)
	if r.e.ThreadTS != "" {
		args.Set("thread_ts", r.e.ThreadTS)
	}
	for _, f := range m.Fields {
		args.Set(f.Key, f.Value)
	}
	return args
}

// aborted answers a webhook whose handler has called abort, which is a way to
// answer and no failure.
func (r *run) aborted(fail *runtime.Error) bool {
	a := abortAnswer(fail)
	if a == nil || r.e.Kind != event.Webhook || !r.Answer || r.ErrorOf >= 0 {
		return false
	}
	r.d.deliver(r.e, a)
	return true
}

// failed tells the people concerned, shortly and without internals.
func (r *run) failed(ctx context.Context) {
	r.apologise(ctx, "Something went wrong here. Whoever looks after this can find it as run "+r.ID+".", http.StatusInternalServerError)
}

// apologise tells whoever waits, or has asked for something, that nothing
// comes of it. Webhooks are answered with the status.
func (r *run) apologise(ctx context.Context, notice string, status int) {
	if r.ErrorOf >= 0 {
		return
	}
	r.notice = true
	if r.Answer {
		if r.d.deliver(r.e, failureAnswer(r.e, notice, r.ID, status)) {
			return
		}
	}
	switch r.e.Kind {
	case event.Command, event.Action, event.Shortcut:
		if r.e.ResponseURL != "" {
			r.effectAfter(ctx, "respond", runtime.NewDict("text", notice))
			return
		}
		fallthrough
	case event.Mention:
		if r.e.Channel != "" && r.e.User != "" {
			r.effectAfter(ctx, "ephemeral", runtime.NewDict("channel", r.e.Channel, "user", r.e.User, "text", notice))
		}
	}
}

// failureAnswer is what the sender is told when its rule failed.
func failureAnswer(e *event.Event, notice, run string, status int) *event.Answer {
	switch e.Kind {
	case event.Webhook:
		return &event.Answer{Status: status, ContentType: "text/plain; charset=utf-8", Body: []byte("run " + run + "\n")}
	case event.Submit:
		if block := firstInput(e.Raw); block != "" {
			return jsonAnswer(runtime.NewDict("response_action", "errors", "errors", runtime.NewDict(block, notice)))
		}
		return nil
	case event.Command:
		return jsonAnswer(runtime.NewDict("response_type", "ephemeral", "text", notice))
	}
	return emptyAnswer(e)
}

// failureValue is what an on.error rule is given.
func failureValue(r *run) runtime.Value {
	f := r.a.all()[r.ErrorOf]
	d := runtime.NewDict("run", f.ID, "rule", f.Rule, "script", f.Script, "error", nil, "event", eventFacts(r.e))
	if r.cause != nil {
		cause := errorDict(r.cause)
		cause.Set("detail", r.cause.Detail())
		d.Set("error", cause)
	}
	text, err := runtime.AppendJSON(nil, d)
	if err != nil {
		return d
	}
	return runtime.JSON(text)
}

func orNil(s string) runtime.Value {
	if s == "" {
		return nil
	}
	return s
}
