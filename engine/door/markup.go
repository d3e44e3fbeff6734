package door

import (
	"context"
	"fmt"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/slackapi"
	"github.com/starling-rules/starling/runtime"
)

// readMarkup performs read_markup: names for the ids in a text.
func (l *live) readMarkup(ctx context.Context, r *Run, e runtime.Effect) (runtime.Value, error) {
	o := behalf(r.Event)
	name := func(what string, find func(context.Context, string, slackapi.CallOptions) (runtime.JSON, error), fields ...string) func(string) string {
		return func(id string) string {
			obj, err := find(ctx, id, o)
			if !l.resolved(ctx, what, err) {
				return ""
			}
			return textOf(obj, fields...)
		}
	}
	read := event.Read(e.Args.Text("text"), event.Namer{
		User:    name("user", l.Slack.User, "name"),
		Channel: name("channel", l.Slack.Channel, "name"),
		Group:   name("user group", l.Slack.Usergroup, "handle", "name"),
	})
	return readable(read), ctx.Err()
}

// readable is the result of read_markup.
func readable(r event.Readable) *runtime.Dict {
	out := runtime.NewDict("text", r.Text)
	for _, f := range []struct {
		name string
		list []event.Label
	}{
		{"users", r.Users},
		{"channels", r.Channels},
		{"usergroups", r.Groups},
		{"specials", r.Specials},
		{"emoji", r.Emoji},
		{"emails", r.Emails},
		{"urls", r.Addresses},
	} {
		d := &runtime.Dict{}
		for _, l := range f.list {
			var label runtime.Value
			if l.Label != "" {
				label = l.Label
			}
			d.Set(l.Raw, label)
		}
		out.Set(f.name, d)
	}
	return out
}

// textOf returns the first field of an object that is a text and not empty.
func textOf(obj runtime.JSON, fields ...string) string {
	w, err := runtime.ParseView(obj)
	if err != nil {
		return ""
	}
	for _, f := range fields {
		v, _ := w.Get(f)
		if s, _ := v.(string); s != "" {
			return s
		}
	}
	return ""
}

// writeMarkup performs write_markup: ids for the names in a text, in blocks or
// in attachments.
func (l *live) writeMarkup(ctx context.Context, r *Run, e runtime.Effect) (runtime.Value, error) {
	kinds, _ := e.Args.Get("kinds")
	list, _ := plain(kinds).([]runtime.Value)
	n, err := l.namesFor(ctx, list, behalf(r.Event))
	if err != nil {
		return nil, fmt.Errorf("write_markup: %w", err)
	}
	content, _ := e.Args.Get("content")
	return unparseContent(content, n), ctx.Err()
}

// namesFor returns what resolves the names of these kinds.
func (l *live) namesFor(ctx context.Context, kinds []runtime.Value, o slackapi.CallOptions) (names, error) {
	var n names
	for _, k := range kinds {
		switch k {
		case "users":
			n.user = func(name string) (string, bool) {
				id, err := l.Slack.UserID(ctx, name, o)
				return id, l.resolved(ctx, "user", err)
			}
		case "channels":
			n.channel = func(name string) (string, bool) {
				id, err := l.Slack.ChannelID(ctx, name, o)
				return id, l.resolved(ctx, "channel", err)
			}
		case "usergroups", "subteams":
			n.group = func(name string) (string, bool) {
				id, err := l.Slack.UsergroupID(ctx, name, o)
				return id, l.resolved(ctx, "user group", err)
			}
		case "specials":
			n.specials = true
		default:
			return n, fmt.Errorf("it cannot look for %v: it knows users, channels, usergroups and specials", k)
		}
	}
	return n, nil
}

// markupFields are the fields of blocks and attachments that hold text in
// Slack's markup, or an object with such a text.
var markupFields = map[string]bool{
	"text": true, "fields": true, "elements": true, "blocks": true, "accessory": true, "pretext": true, "value": true, "fallback": true, "attachments": true,
}

// unparseContent is unparse for a text, and for every markup text within
// blocks and attachments. It returns a copy.
func unparseContent(v runtime.Value, n names) runtime.Value {
	if s, ok := v.(string); ok {
		return unparse(s, n)
	}
	return unparseIn(v, n, "")
}

func unparseIn(v runtime.Value, n names, within string) runtime.Value {
	switch v := plain(v).(type) {
	case []runtime.Value:
		out := make(runtime.List, len(v))
		for i, item := range v {
			out[i] = unparseIn(item, n, within)
		}
		return out
	case *runtime.Dict:
		out := &runtime.Dict{Fields: make([]runtime.Field, 0, v.Len())}
		kind := v.Text("type")
		for _, f := range v.Fields {
			value := f.Value
			s, isText := value.(string)
			switch {
			case !markupFields[f.Key]:
			case isText && f.Key == "value" && within != "fields": // of a button: the script's own
			case isText && kind == "plain_text", isText && kind == "text": // shown as they are
			case isText:
				value = unparse(s, n)
			default:
				value = unparseIn(value, n, f.Key)
			}
			out.Fields = append(out.Fields, runtime.Field{Key: f.Key, Value: value})
		}
		return out
	}
	return v
}
