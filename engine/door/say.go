package door

import (
	"context"

	"github.com/starling-rules/starling/engine/slackapi"
	"github.com/starling-rules/starling/runtime"
)

// say performs an effect that posts a message: a long text goes out in several,
// in order, and a run that follows an edit changes what was said before.
func (l *live) say(build builder) Handler {
	whole := func(ctx context.Context, r *Run, e runtime.Effect) ([]call, error) {
		c, err := build(ctx, r, e)
		if err != nil {
			return nil, err
		}
		return l.inParts(r, e, c), nil
	}
	return Handler{
		Repeat: Always(Lookup),
		Do: func(ctx context.Context, r *Run, e runtime.Effect) (runtime.Value, error) {
			parts, err := whole(ctx, r, e)
			if err != nil {
				return nil, err
			}
			return l.sayAll(ctx, r, e, parts, nil)
		},
		Find: func(ctx context.Context, r *Run, e runtime.Effect) (runtime.Value, bool, bool) {
			parts, err := whole(ctx, r, e)
			if before, missing := l.earlier(ctx, r); len(before.ts) > 0 || missing != nil {
				return nil, false, missing == nil // a change can be made once more
			}
			if err != nil || len(parts) < 2 {
				return l.finder(build)(ctx, r, e)
			}
			return l.findParts(ctx, r, e, parts)
		},
	}
}

// inParts are the calls that a message takes: one, or as many as its text is
// cut into. What shows blocks or attachments is not cut: there the text is what
// notifications say.
func (l *live) inParts(r *Run, e runtime.Effect, c call) []call {
	if c.failed != nil {
		return []call{c}
	}
	c.args.Delete("split")
	if !flag(e.Args, "split", true) || !textAlone(c.args) {
		return []call{c}
	}
	texts := splitText(c.args.Text("text"), maxSaid)
	if len(texts) < 2 {
		return []call{c}
	}
	parts := make([]call, len(texts))
	for i, text := range texts {
		parts[i] = c
		parts[i].args = c.args.Clone()
		parts[i].args.Set("text", text)
		if meta := dict(c.args, "metadata"); i > 0 && meta.Text("event_type") == markType {
			parts[i].args.Set("metadata", runtime.NewDict("event_type", markType,
				"event_payload", runtime.NewDict("run", r.ID, "step", int64(e.Step), "part", int64(i))))
		}
	}
	return parts
}

// TakesSeveral reports whether a message is so long that it goes out in several.
func TakesSeveral(message *runtime.Dict) bool {
	return len(message.Text("text")) > maxSaid && textAlone(message) && len(splitText(message.Text("text"), maxSaid)) > 1
}

func textAlone(args *runtime.Dict) bool {
	for _, name := range [...]string{"blocks", "attachments"} {
		if v, _ := args.Get(name); v != nil {
			return false
		}
	}
	return true
}

// sayAll makes the calls in order, but for those that were made before, and
// stops at the first that Slack refuses. The result is that of the first, so
// that its ts is where a thread begins; parts are the ts of all.
func (l *live) sayAll(ctx context.Context, r *Run, e runtime.Effect, parts []call, made map[int]runtime.JSON) (runtime.Value, error) {
	before, err := l.earlier(ctx, r)
	if err != nil {
		return nil, err
	}
	if len(parts) == 1 && !l.follows(r) {
		return l.do(ctx, r, parts[0])
	}
	var first *runtime.Dict
	var now said
	for i, c := range parts {
		body, done := made[i]
		if !done {
			if body, err = l.sayPart(ctx, r, before.change(c, i), c); err != nil {
				return nil, err
			}
		}
		v, err := runtime.ParseJSON(body)
		if err != nil {
			return nil, err
		}
		res, _ := v.(*runtime.Dict)
		if ok, _ := res.Get("ok"); ok != true {
			if first == nil {
				return res, nil
			}
			first.Set("ok", false)
			first.Set("error", res.Text("error"))
			break
		}
		if first == nil {
			first = res
		}
		now.channel, now.ts = res.Text("channel"), append(now.ts, res.Text("ts"))
	}
	l.remember(ctx, r, e, now)
	l.takeBack(ctx, r, before, len(now.ts))
	if len(parts) > 1 {
		all := make(runtime.List, len(now.ts))
		for i, ts := range now.ts {
			all[i] = ts
		}
		first.Set("parts", all)
	}
	return first, nil
}

// sayPart makes a call; one that changes a message which is not there any more
// becomes a message.
func (l *live) sayPart(ctx context.Context, r *Run, c, post call) (runtime.JSON, error) {
	res, err := l.perform(ctx, r, c)
	if err == nil && !res.OK && c.method != post.method && gone(res.Error) {
		res, err = l.perform(ctx, r, post)
	}
	return res.Body, err
}

// takeBack deletes what an edited message needs no more of its answer.
func (l *live) takeBack(ctx context.Context, r *Run, before said, left int) {
	for ; left < len(before.ts); left++ {
		c := call{method: "chat.delete", args: runtime.NewDict("channel", before.channel, "ts", before.ts[left]), o: behalf(r.Event)}
		if res, err := l.perform(ctx, r, c); err != nil || !res.OK && !gone(res.Error) {
			l.Logger.Warn("a part of an answer that was longer is left", "rule", r.Rule, "run", r.ID, "err", err, "slack", res.Error)
		}
	}
}

// findParts looks for what a long message had become before a crash. What is
// missing of it, is sent now; if nothing is there, that is for Do.
func (l *live) findParts(ctx context.Context, r *Run, e runtime.Effect, parts []call) (runtime.Value, bool, bool) {
	if meta := dict(parts[0].args, "metadata"); meta.Text("event_type") != markType {
		return nil, false, false
	}
	made := map[int]runtime.JSON{}
	look, cancel := context.WithTimeout(ctx, findTime)
	defer cancel()
	known := l.search(look, r, parts[0], func(page slackapi.Result, channel string) bool {
		for i := range parts {
			if v, ok := ourMessage(page.Body, channel, r.ID, e.Step, i); ok {
				made[i], _ = v.(runtime.JSON)
			}
		}
		return len(made) < len(parts)
	})
	if len(made) == len(parts) {
		known = true
	}
	if !known || len(made) == 0 {
		return nil, false, known
	}
	note(ctx, "found in part by its metadata")
	v, err := l.sayAll(ctx, r, e, parts, made)
	return v, err == nil, err == nil
}
