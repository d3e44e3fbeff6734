package door

import (
	"context"
	"time"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/runtime"
)

// tellTime bounds what is said to somebody beside the run.
const tellTime = 30 * time.Second

// tell says something to the user of an event alone: where the event came
// from, else in a channel that is given, else in a direct message.
func (l *live) tell(ctx context.Context, ev *event.Event, channel, text string) {
	if text == "" || ev.User == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, tellTime)
	defer cancel()
	if l.Slack.ResponseURL(ev.ResponseURL) && l.Now().Sub(ev.Received) < responseLife {
		body := runtime.NewDict("text", text, "response_type", "ephemeral", "replace_original", false)
		if ev.ThreadTS != "" {
			body.Set("thread_ts", ev.ThreadTS)
		}
		if res, err := l.Slack.Respond(ctx, ev.ResponseURL, body); err == nil && res.OK {
			return
		}
	}
	o := behalf(ev)
	if ev.Channel != "" {
		channel = ev.Channel
	}
	if channel != "" {
		args := runtime.NewDict("channel", channel, "user", ev.User, "text", text)
		if ev.ThreadTS != "" && ev.Channel != "" {
			args.Set("thread_ts", ev.ThreadTS)
		}
		if res, err := l.Slack.Call(ctx, "chat.postEphemeral", args, o); err == nil && res.OK {
			return
		}
	}
	dm, err := l.Slack.DM(ctx, ev.User, o)
	if err == nil {
		_, err = l.Slack.Call(ctx, "chat.postMessage", runtime.NewDict("channel", dm, "text", text), o)
	}
	if err != nil {
		l.Logger.Warn("somebody could not be told", "event_id", ev.ID, "err", err)
	}
}

// Tell says something to the user of an event alone: to whoever clicked a button
// that is not for them, say. Nobody waits for more than that it is tried.
func (l Live) Tell(ctx context.Context, r *Run, ev *event.Event, text string) {
	if h, ok := l[tellKind]; ok && text != "" {
		told := *r
		told.Event = ev
		_, _ = h.Do(ctx, &told, runtime.Effect{Kind: tellKind, Args: runtime.NewDict("text", text)})
	}
}

// tellKind is an effect of the server's own: no built-in asks for it.
const tellKind = "starling.tell"

func (l *live) doTell(ctx context.Context, r *Run, e runtime.Effect) (runtime.Value, error) {
	l.tell(ctx, r.Event, e.Args.Text("channel"), e.Args.Text("text"))
	return runtime.NewDict("ok", true), nil
}
