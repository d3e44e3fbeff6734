package door

import (
	"context"
	"time"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/slackapi"
	"github.com/starling-rules/starling/engine/wait"
	"github.com/starling-rules/starling/runtime"
)

// openRest follows the reference in the action id of the button that opens a form.
const openRest = "open"

// postForm is the message of a form, with the button that opens it.
func (l *live) postForm(ctx context.Context, r *Run, e runtime.Effect) (call, error) {
	return l.postQuestion(ctx, r, e, questionText(e), formElements(stepRef(r, e), e.Args))
}

func formElements(ref string, d *runtime.Dict) runtime.List {
	label := d.Text("button")
	if label == "" {
		label = "Open"
	}
	return runtime.List{runtime.NewDict("type", "button", "action_id", ref+"/"+openRest, "text", plainText(label), "style", "primary")}
}

// questionText is what is asked; a form without a text has a title.
func questionText(e runtime.Effect) string {
	if text := e.Args.Text("text"); text != "" || e.Kind != wait.AskForm {
		return text
	}
	return event.Escape(dict(dict(e.Args, "view"), "title").Text("text"))
}

// hearForm opens the form for whoever presses its button, and takes what is
// submitted.
func (l *live) hearForm(ctx context.Context, r *Run, w *wait.Wait, ev *event.Event) wait.Heard {
	switch ev.Kind {
	case event.Action:
		if !pressed(r, w, ev, openRest) {
			return wait.Heard{}
		}
	case event.Submit:
		if run, at, _, ok := wait.ParseRef(ev.CallbackID); !ok || run != r.ID || at != w.Point() {
			return wait.Heard{}
		}
	default:
		return wait.Heard{}
	}
	if no := l.notYours(ctx, w, ev); no != nil {
		return *no
	}
	if ev.Kind == event.Submit {
		values, _ := event.NewView(ev, nil).Field("values")
		return l.count(r, w, ev, runtime.NewDict("values", plain(values)))
	}
	asker := *r
	return wait.Heard{Verdict: wait.Refuse, Then: func(ctx context.Context) { l.openForm(ctx, &asker, w, ev) }}
}

// pressed reports whether an event is a click on the button of that name.
func pressed(r *Run, w *wait.Wait, ev *event.Event, name string) bool {
	for _, a := range ev.Actions {
		if run, at, rest, ok := wait.ParseRef(a.ActionID); ok && run == r.ID && at == w.Point() && rest == name {
			return true
		}
	}
	return false
}

// openForm shows the form to whoever pressed its button.
func (l *live) openForm(ctx context.Context, r *Run, w *wait.Wait, ev *event.Event) {
	var sent *sentBack
	if s := sentBackOf(w.Match); s != nil && s.user == ev.User {
		sent = s
	}
	ctx, cancel := context.WithTimeout(ctx, tellTime)
	defer cancel()
	code, err := l.openView(ctx, Trigger{ID: ev.TriggerID, At: ev.Received}, behalf(ev), formView(wait.Ref(r.ID, w.Point()), w.Match, sent))
	if code == "" && err == nil {
		return
	}
	l.Logger.Warn("a form could not be opened", "run", r.ID, "event_id", ev.ID, "err", err, "slack", code)
	text := "The form could not be opened (" + code + ")."
	if staleTrigger(code) {
		text = "That took too long for Slack to open the form. Press the button again."
	}
	l.tell(ctx, ev, w.Match.Text("channel"), text)
}

// formView is the form as it is opened: found again by its callback_id.
func formView(ref string, d *runtime.Dict, sent *sentBack) *runtime.Dict {
	view := dict(d, "view").Clone()
	if own := view.Text("callback_id"); own != "" {
		ref += "/" + own
	}
	view.Set("callback_id", ref)
	if sent != nil {
		view.Set("blocks", sent.fill(listArg(view, "blocks")))
	}
	return view
}

// openView opens a view if Slack still takes the trigger_id; code is Slack's
// error if it does not.
func (l *live) openView(ctx context.Context, t Trigger, o slackapi.CallOptions, view *runtime.Dict) (code string, err error) {
	if !l.usable(t) {
		return "expired_trigger_id", nil
	}
	res, err := l.Slack.Call(ctx, "views.open", runtime.NewDict("trigger_id", t.ID, "view", view), o)
	return res.Error, err
}

// staleTrigger reports whether another press of the button would help.
func staleTrigger(code string) bool {
	return code == "expired_trigger_id" || code == "trigger_expired" || exchangedTrigger(code)
}

// exchangedTrigger reports whether something was opened with the trigger_id.
func exchangedTrigger(code string) bool {
	return code == "exchanged_trigger_id" || code == "trigger_exchanged"
}

// triggerMargin is left of the life of a trigger_id for the way to Slack.
const triggerMargin = 500 * time.Millisecond

// usable reports whether Slack still takes a trigger_id when it gets there.
func (l *live) usable(t Trigger) bool {
	return t.ID != "" && (t.At.IsZero() || l.Now().Sub(t.At) <= triggerLife-triggerMargin)
}
