package door

import (
	"context"
	"fmt"

	"github.com/starling-rules/starling/engine/slackapi"
	"github.com/starling-rules/starling/runtime"
)

// action builds the call of slack_action.
func (l *live) action(ctx context.Context, r *Run, e runtime.Effect) (call, error) {
	c := call{method: e.Args.Text("method"), args: without(dict(e.Args, "args")), o: behalf(r.Event)}
	c.o.AsUser = flag(e.Args, "as_user", false)
	c.o.Idempotent = flag(e.Args, "idempotent", false)
	if c.method == "" {
		return c, fmt.Errorf("slack_action: no method is given")
	}
	if parse := dict(e.Args, "parse"); parse != nil {
		if err := l.unparseFields(ctx, c, parse); err != nil {
			return c, fmt.Errorf("slack_action: %w", err)
		}
	}
	if flag(e.Args, "fill", true) {
		l.fillFresh(ctx, r, &c)
	}
	if slackapi.Known(c.method).Class == slackapi.Posts {
		mark(r, e, c.args)
	}
	return c, nil
}

func (l *live) slackAction(ctx context.Context, r *Run, e runtime.Effect) (runtime.Value, error) {
	c, err := l.action(ctx, r, e)
	if err != nil {
		return nil, err
	}
	res, err := l.perform(ctx, r, c)
	if err != nil {
		return nil, err
	}
	if !res.OK && flag(e.Args, "check", false) {
		return nil, fmt.Errorf("slack_action: %s: %s", c.method, res.Error)
	}
	return res.Body, nil
}

// repeatAction classifies slack_action and slack_pages by their method.
func repeatAction(e runtime.Effect) Repeat {
	if flag(e.Args, "idempotent", false) {
		return Again
	}
	switch slackapi.Known(e.Args.Text("method")).Class {
	case slackapi.Read, slackapi.Reaction:
		return Again
	case slackapi.Posts:
		if e.Kind == "slack_action" {
			return Lookup
		}
	}
	return Never
}

// The bounds of slack_pages, in items.
const (
	defaultItems = 1000
	maxItems     = 10_000
)

// slackPages collects the items of a method that answers in pages.
func (l *live) slackPages(ctx context.Context, r *Run, e runtime.Effect) (runtime.Value, error) {
	method, args := e.Args.Text("method"), without(dict(e.Args, "args"))
	if flag(e.Args, "fill", true) {
		fill(ctx, slackapi.Known(method), args, r.Event)
	}
	limit := min(max(integer(e.Args, "max", defaultItems), 1), maxItems)
	if _, ok := args.Get("limit"); !ok {
		args.Set("limit", min(limit, 200))
	}
	o := behalf(r.Event)
	o.AsUser = flag(e.Args, "as_user", false)
	key := e.Args.Text("key")
	var items []runtime.Value
	problem, cut := "", false
	last, complete, err := l.Slack.Pages(ctx, method, args, o, 0, func(page slackapi.Result) bool {
		list, name := listOf(page.Body, key)
		if list == nil {
			problem = "no_list"
			return false
		}
		key = name
		for i := 0; i < list.Len(); i++ {
			if int64(len(items)) == limit {
				cut = true
				return false
			}
			items = append(items, item(list.Index(i)))
		}
		return int64(len(items)) < limit
	})
	if err != nil {
		return nil, err
	}
	out := runtime.NewDict("ok", last.OK && problem == "", "error", nil, "items", items, "complete", complete && !cut && problem == "")
	switch {
	case problem != "":
		out.Set("error", problem)
		out.Set("detail", "the answer of "+method+" has no single list; name it with key=")
	case !last.OK:
		out.Set("error", last.Error)
	}
	return out, nil
}

// listOf finds the list in an answer: the one named, or the only one.
func listOf(body runtime.JSON, key string) (found *runtime.View, name string) {
	w, err := runtime.ParseView(body)
	if err != nil {
		return nil, ""
	}
	for _, k := range w.Keys() {
		v, _ := w.Get(k)
		list, ok := v.(*runtime.View)
		if !ok || !list.IsList() || key != "" && k != key {
			continue
		}
		if found != nil {
			return nil, ""
		}
		found, name = list, k
	}
	return found, name
}

// item is one element of a list, detached from the page.
func item(v runtime.Value) runtime.Value {
	if w, ok := v.(*runtime.View); ok {
		return runtime.JSON(w.JSON())
	}
	return v
}
