package door

import (
	"context"
	"time"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/slackapi"
	"github.com/starling-rules/starling/engine/wait"
	"github.com/starling-rules/starling/runtime"
)

// A modal can be opened for three seconds after somebody has done something.
// Where these are over, the person is shown a button that brings a new
// trigger_id, and the run waits for it to be pressed.

// continueTime is how long a button that brings a trigger_id is waited for.
// What only one person sees is gone when that person reloads Slack.
const continueTime = time.Hour

// continueAgain is how often that button is shown again: it was pressed in time,
// but the run, or Slack, came to it too late.
const continueAgain = 3

// continueRest follows the reference in the action id of that button.
const continueRest = "continue"

// newestTrigger is what the run has of the newest interaction.
func newestTrigger(r *Run) Trigger {
	if r.Trigger != nil {
		return r.Trigger()
	}
	return Trigger{ID: r.Event.TriggerID, ResponseURL: r.Event.ResponseURL, User: r.Event.User, At: r.Event.Received}
}

// openModal opens a view while Slack takes the trigger_id, else it asks for
// another one.
func (l *live) openModal(ctx context.Context, r *Run, e runtime.Effect) (runtime.Value, error) {
	c := call{method: "views.open", args: without(e.Args), o: behalf(r.Event)}
	newest := newestTrigger(r)
	own := c.args.Text("trigger_id") == "" || c.args.Text("trigger_id") == newest.ID
	// Later is there where a run can wait.
	if own && r.Later != nil && !l.usable(newest) {
		if v, asked := l.askTrigger(ctx, r, e, newest, 0); asked {
			return v, nil
		}
	}
	l.fillFresh(ctx, r, &c)
	res, err := l.perform(ctx, r, c)
	if err != nil {
		return nil, err
	}
	if own && r.Later != nil && !res.OK && staleTrigger(res.Error) {
		if v, asked := l.askTrigger(ctx, r, e, newest, 0); asked {
			return v, nil
		}
	}
	return res.Body, nil
}

// askTrigger shows a person the button that brings a new trigger_id. It is not
// asked if nobody is known whom to show it. Round is that of the wait for it.
func (l *live) askTrigger(ctx context.Context, r *Run, e runtime.Effect, newest Trigger, round int) (*runtime.Dict, bool) {
	user := newest.User
	if user == "" {
		user = r.Event.User
	}
	if user == "" {
		return nil, false
	}
	title := dict(dict(e.Args, "view"), "title").Text("text")
	text := "Press the button to go on"
	if title != "" {
		text += ": " + event.Escape(title)
	}
	ref := wait.Ref(r.ID, wait.Point{Step: e.Step, Round: round})
	button := runtime.NewDict("type", "button", "action_id", ref+"/"+continueRest, "text", plainText("Continue"), "style", "primary")
	blocks := runtime.List{
		runtime.NewDict("type", "section", "text", markdown(text)),
		runtime.NewDict("type", "actions", "block_id", ref, "elements", runtime.List{button}),
	}
	res, err := l.showTo(ctx, r, newest, user, text, blocks)
	if err != nil || !res.OK {
		l.Logger.Warn("nobody can be asked for a new trigger_id", "run", r.ID, "err", err, "slack", res.Error)
		return nil, false
	}
	note(ctx, "the trigger_id is too old: asked for another one")
	return runtime.NewDict("ask_trigger", user, "title", title), true
}

// showTo shows blocks to one person alone: in answer to what the person did
// last, else in the conversation of the event, else in that with the app.
func (l *live) showTo(ctx context.Context, r *Run, newest Trigger, user, text string, blocks runtime.List) (slackapi.Result, error) {
	if l.Slack.ResponseURL(newest.ResponseURL) && l.Now().Sub(newest.At) < responseLife {
		body := runtime.NewDict("text", text, "blocks", blocks, "response_type", "ephemeral", "replace_original", false)
		if res, err := l.Slack.Respond(ctx, newest.ResponseURL, body); err == nil && res.OK {
			return res, nil
		}
	}
	o := behalf(r.Event)
	if r.Event.Channel != "" {
		args := runtime.NewDict("channel", r.Event.Channel, "user", user, "text", text, "blocks", blocks)
		if r.Event.ThreadTS != "" {
			args.Set("thread_ts", r.Event.ThreadTS)
		}
		if res, err := l.Slack.Call(ctx, "chat.postEphemeral", args, o); err == nil && res.OK {
			return res, nil
		}
	}
	dm, err := l.Slack.DM(ctx, user, o)
	if err != nil {
		return slackapi.Result{}, err
	}
	return l.Slack.Call(ctx, "chat.postMessage", runtime.NewDict("channel", dm, "text", text, "blocks", blocks), o)
}

// waitTrigger is the wait for that button, if it is shown.
func (l *live) waitTrigger(_ context.Context, _ *Run, _ runtime.Effect, v runtime.Value) (*wait.Wait, error) {
	d, ok := v.(*runtime.Dict)
	if !ok || d.Text("ask_trigger") == "" {
		return nil, nil
	}
	return l.clickOn(d, "a click on Continue"), nil
}

// clickOn is that wait; d says for whom, and what is to be opened.
func (l *live) clickOn(d *runtime.Dict, title string) *wait.Wait {
	if t := d.Text("title"); t != "" {
		title += ", to open " + t
	}
	return &wait.Wait{
		Kind: wait.Trigger, Until: l.Now().Add(continueTime), Title: oneLine(title),
		Match: runtime.NewDict("users", runtime.List{d.Text("ask_trigger")}),
	}
}

// hearTrigger takes the click on that button. Nobody else is shown it.
func (l *live) hearTrigger(ctx context.Context, r *Run, w *wait.Wait, ev *event.Event) wait.Heard {
	if ev.Kind != event.Action || !pressed(r, w, ev, continueRest) {
		return wait.Heard{}
	}
	if no := l.notYours(ctx, w, ev); no != nil {
		return *no
	}
	return wait.Heard{Verdict: wait.Match, Answer: runtime.NewDict("user", ev.User)}
}

// resumeTrigger opens the view with the new trigger_id: what open_modal was to
// do. If that is too old by now, as when the server was down meanwhile, it asks
// for another one: also where a crash hides whether the view was opened, for it
// is the person who says so, by pressing the button or not. Slack opens one view
// for a trigger_id.
func (l *live) resumeTrigger(ctx context.Context, r *Run, e runtime.Effect, w *wait.Wait, a *wait.Answer) (runtime.Value, error) {
	if a.By != wait.ByEvent {
		return slackapi.Failed("expired_trigger_id", "nobody pressed the button that brings a new one").Body, nil
	}
	l.takeAway(ctx, a.Event)
	if !l.usable(Trigger{ID: a.Event.TriggerID, At: a.Event.Received}) {
		return l.askAgain(ctx, r, e, w, a, slackapi.Failed("expired_trigger_id", "the run came to it too late"))
	}
	args := without(e.Args)
	args.Set("trigger_id", a.Event.TriggerID)
	res, err := l.Slack.Call(ctx, "views.open", args, behalf(r.Event))
	switch {
	case err != nil:
		return nil, err
	case res.OK || !staleTrigger(res.Error):
		return res.Body, nil
	case r.Resumed && exchangedTrigger(res.Error): // by this run, before the crash
		return slackapi.Failed("interrupted", "the server ended while the modal was opened").Body, nil
	}
	return l.askAgain(ctx, r, e, w, a, res)
}

// askAgain asks whoever pressed the button for another trigger_id, a few times;
// then what has failed is the result.
func (l *live) askAgain(ctx context.Context, r *Run, e runtime.Effect, w *wait.Wait, a *wait.Answer, failed slackapi.Result) (runtime.Value, error) {
	if w.Round >= continueAgain {
		return failed.Body, nil
	}
	newest := Trigger{ID: a.Event.TriggerID, ResponseURL: a.Event.ResponseURL, User: a.Event.User, At: a.Event.Received}
	v, asked := l.askTrigger(ctx, r, e, newest, w.Round+1)
	if !asked {
		return failed.Body, nil
	}
	return nil, &WaitAgain{l.clickOn(v, "another click on Continue")}
}

// takeAway removes the button from what the person sees, beside the run.
func (l *live) takeAway(ctx context.Context, from wait.Origin) {
	if !l.Slack.ResponseURL(from.ResponseURL) {
		return
	}
	beside := context.WithoutCancel(ctx)
	go func() {
		beside, cancel := context.WithTimeout(beside, tellTime)
		defer cancel()
		_, _ = l.Slack.Respond(beside, from.ResponseURL, runtime.NewDict("delete_original", true))
	}()
}

func (l *live) lostTrigger(ctx context.Context, _ *Run, _ *wait.Wait, _ *wait.Answer, ev *event.Event) {
	l.tell(ctx, ev, "", "This button has been used, or it is over. If there is a newer one, press that.")
}
