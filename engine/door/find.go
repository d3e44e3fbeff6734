package door

import (
	"context"
	"strconv"
	"time"

	"github.com/starling-rules/starling/engine/slackapi"
	"github.com/starling-rules/starling/runtime"
)

// A posted message carries the run and step that posted it, so that a crash
// between posting and recording can be told from one before posting.
const markType = "starling_run"

// The bounds of a look-up. The clocks of Slack and of this machine may differ
// by as much as a signature's window allows.
const (
	findSkew  = 5 * time.Minute
	findPages = 10
	findTime  = 2 * time.Minute
)

// mark puts the metadata on a message, unless the author gave some.
func mark(r *Run, e runtime.Effect, args *runtime.Dict) {
	if _, given := args.Get("metadata"); !given {
		args.Set("metadata", runtime.NewDict("event_type", markType,
			"event_payload", runtime.NewDict("run", r.ID, "step", int64(e.Step))))
	}
}

// finder looks for the message that a call would post.
func (l *live) finder(build builder) func(context.Context, *Run, runtime.Effect) (runtime.Value, bool, bool) {
	return func(ctx context.Context, r *Run, e runtime.Effect) (runtime.Value, bool, bool) {
		ctx, cancel := context.WithTimeout(ctx, findTime)
		defer cancel()
		c, err := build(ctx, r, e)
		if err != nil || c.failed != nil || slackapi.Known(c.method).Class != slackapi.Posts {
			return nil, false, false
		}
		if meta := dict(c.args, "metadata"); meta.Text("event_type") != markType {
			return nil, false, false
		}
		return l.find(ctx, r, e, c)
	}
}

func (l *live) find(ctx context.Context, r *Run, e runtime.Effect, c call) (v runtime.Value, found, known bool) {
	known = l.search(ctx, r, c, func(page slackapi.Result, channel string) bool {
		v, found = ourMessage(page.Body, channel, r.ID, e.Step, 0)
		return !found
	})
	if found {
		note(ctx, "found by its metadata")
		return v, true, true
	}
	return nil, false, known
}

// search shows the pages of the conversation that a call would post to, from
// when the run intended it, until more is false. It reports whether all were
// shown.
func (l *live) search(ctx context.Context, r *Run, c call, look func(page slackapi.Result, channel string) (more bool)) bool {
	since := r.Intended
	if since.IsZero() {
		since = r.Event.Received
	}
	channel, err := l.Slack.ChannelID(ctx, channelRef(c.args.Text("channel")), c.o)
	if err != nil || since.IsZero() {
		return false
	}
	args := runtime.NewDict("channel", channel, "include_all_metadata", true, "inclusive", true, "limit", int64(200),
		"oldest", strconv.FormatInt(since.Add(-findSkew).Unix(), 10)+".000000")
	method := "conversations.history"
	if thread := c.args.Text("thread_ts"); thread != "" {
		method = "conversations.replies"
		args.Set("ts", thread)
	}
	last, complete, err := l.Slack.Pages(ctx, method, args, c.o, findPages, func(page slackapi.Result) bool {
		return look(page, channel)
	})
	return err == nil && last.OK && complete
}

// ourMessage finds the message of this run, step and part of a long text in a
// page, and makes the answer that chat.postMessage gave for it.
func ourMessage(page runtime.JSON, channel, run string, step, part int) (runtime.Value, bool) {
	list, _ := listOf(page, "messages")
	for i := 0; list != nil && i < list.Len(); i++ {
		m, ok := list.Index(i).(*runtime.View)
		if !ok {
			continue
		}
		meta, _ := sub(m, "metadata")
		payload, ok := sub(meta, "event_payload")
		if !ok || field(meta, "event_type") != markType || field(payload, "run") != run {
			continue
		}
		if s := field(payload, "step"); s != int64(step) && s != strconv.Itoa(step) {
			continue
		}
		if p, _ := field(payload, "part").(int64); p != int64(part) {
			continue
		}
		b, err := runtime.AppendJSON(nil, runtime.NewDict("ok", true, "channel", channel, "ts", field(m, "ts"), "message", runtime.JSON(m.JSON())))
		return runtime.JSON(b), err == nil
	}
	return nil, false
}

func sub(w *runtime.View, name string) (*runtime.View, bool) {
	v, ok := field(w, name).(*runtime.View)
	return v, ok
}

func field(w *runtime.View, name string) runtime.Value {
	if w == nil {
		return nil
	}
	v, _ := w.Get(name)
	return v
}
