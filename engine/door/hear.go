package door

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/slackapi"
	"github.com/starling-rules/starling/engine/wait"
	"github.com/starling-rules/starling/runtime"
)

// eventHandlers are of what waits for events. What these effects perform is to
// find out whom and where the script means.
func (l *live) eventHandlers(all Live) {
	waits := func(find func(context.Context, *Run, runtime.Effect) (*runtime.Dict, error), title func(*runtime.Dict) string) Handler {
		return Handler{
			Read: true, Repeat: Always(Again),
			Do: func(ctx context.Context, r *Run, e runtime.Effect) (runtime.Value, error) {
				match, err := find(ctx, r, e)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", e.Kind, err)
				}
				match.Set("teams", textList(l.teams(ctx, r, match)))
				return match, nil
			},
			Wait: func(_ context.Context, r *Run, e runtime.Effect, v runtime.Value) (*wait.Wait, error) {
				match, ok := plain(v).(*runtime.Dict)
				if !ok {
					return nil, nil
				}
				return &wait.Wait{
					Kind: e.Kind, Until: l.until(r, e), Match: match, Title: oneLine(title(match)), Keys: keysOf(e.Kind, match),
				}, nil
			},
			Hear: l.hearEvent, Resume: resumeEvent,
		}
	}
	all["wait_event"] = waits(l.matchEvent, func(m *runtime.Dict) string { return "event " + m.Text("kind") + " " + describe(dict(m, "match")) })
	all["wait_reply"] = waits(l.matchReply, func(m *runtime.Dict) string {
		return "reply in " + m.Text("channel") + " to " + m.Text("thread") + from(audienceOf(m))
	})
	all["wait_reaction"] = waits(l.matchReaction, func(m *runtime.Dict) string {
		return "reaction " + strings.Join(texts(m, "emoji"), " ") + " to " + m.Text("ts") + " in " + m.Text("channel") + from(audienceOf(m))
	})
}

func from(a audience) string {
	if a.everybody() {
		return ""
	}
	return " from " + a.mention()
}

// describe shows a condition in one line.
func describe(match *runtime.Dict) string {
	var parts []string
	for i := range match.Len() {
		f := match.Fields[i]
		var values []string
		for _, v := range wanted(f.Value) {
			if re, ok := v.(runtime.Regexp); ok {
				v = "/" + re.Pattern + "/"
			}
			values = append(values, fmt.Sprint(v))
		}
		parts = append(parts, f.Key+"="+strings.Join(values, "|"))
	}
	return strings.Join(parts, " ")
}

// wanted are the values of which one has to fit.
func wanted(v runtime.Value) runtime.List {
	if list, ok := plain(v).(runtime.List); ok {
		return list
	}
	return runtime.List{v}
}

// matchEvent replaces the names in a condition by ids.
func (l *live) matchEvent(ctx context.Context, r *Run, e runtime.Effect) (*runtime.Dict, error) {
	out := runtime.NewDict("kind", e.Args.Text("kind"))
	match := dict(e.Args, "match")
	if match == nil {
		return out, nil
	}
	ids := &runtime.Dict{}
	for _, f := range match.Fields {
		var list runtime.List
		for _, v := range wanted(f.Value) {
			if name, ok := v.(string); ok {
				id, err := l.idFor(ctx, f.Key, name, behalf(r.Event))
				if err != nil {
					return nil, fmt.Errorf("match.%s: %q cannot be looked up: %w", f.Key, name, err)
				}
				v = id
			}
			list = append(list, v)
		}
		ids.Set(f.Key, list)
	}
	out.Set("match", ids)
	return out, nil
}

// idFor is what a field of an event holds for what a script calls so.
func (l *live) idFor(ctx context.Context, field, name string, o slackapi.CallOptions) (string, error) {
	switch {
	case field == "channel" && !isID(name, "CGD"):
		return l.Slack.ChannelID(ctx, name, o)
	case field == "user" && !isID(name, "UW"):
		return l.Slack.UserID(ctx, name, o)
	case field == "reaction":
		return strings.Trim(name, ":"), nil
	}
	return name, nil
}

// matchReply is a thread and whose messages in it count.
func (l *live) matchReply(ctx context.Context, r *Run, e runtime.Effect) (*runtime.Dict, error) {
	channel, ts, err := l.messageOf(ctx, r, e, "thread", threadOf(r.Event))
	if err != nil {
		return nil, err
	}
	who, err := l.audience(ctx, r, e)
	if err != nil {
		return nil, err
	}
	out := runtime.NewDict("channel", channel, "thread", ts)
	who.put(out)
	return out, nil
}

// matchReaction is a message, the emoji, and whose reactions count.
func (l *live) matchReaction(ctx context.Context, r *Run, e runtime.Effect) (*runtime.Dict, error) {
	channel, ts, err := l.messageOf(ctx, r, e, "message", r.Event.TS)
	if err != nil {
		return nil, err
	}
	who, err := l.audience(ctx, r, e)
	if err != nil {
		return nil, err
	}
	out := runtime.NewDict("channel", channel, "ts", ts)
	if names := texts(e.Args, "emoji"); len(names) > 0 {
		out.Set("emoji", textList(names))
	}
	if flag(e.Args, "removed", false) {
		out.Set("removed", true)
	}
	who.put(out)
	return out, nil
}

// messageOf is the message that an argument names, or that of the event.
func (l *live) messageOf(ctx context.Context, r *Run, e runtime.Effect, name, own string) (channel, ts string, err error) {
	m := dict(e.Args, name)
	if channel = channelRef(m.Text("channel")); channel == "" {
		channel = r.Event.Channel
	}
	if ts = m.Text("ts"); ts == "" {
		ts = own
	}
	if channel == "" || ts == "" {
		return "", "", fmt.Errorf("the event belongs to no message: say which with %s=", name)
	}
	channel, err = l.Slack.ChannelID(ctx, channel, behalf(r.Event))
	return channel, ts, err
}

// teams are the workspaces whose events a wait is for: that of the run, and
// none, as webhooks have it. A run that came from none has that of the bot.
func (l *live) teams(ctx context.Context, r *Run, match *runtime.Dict) []string {
	teams := []string{""}
	if r.Event.Team != "" {
		teams = append(teams, r.Event.Team)
	} else if id, err := l.Slack.Identity(ctx, behalf(r.Event)); err == nil && id.Team != "" {
		teams = append(teams, id.Team)
	}
	for _, v := range texts(dict(match, "match"), "team") {
		if !slices.Contains(teams, v) {
			teams = append(teams, v)
		}
	}
	return teams
}

// telling are the fields that keys can be made of, the most selective first.
var telling = []struct{ field, key string }{
	{"action_id", "action"},
	{"callback_id", "callback"},
	{"thread_ts", "thread"},
	{"path", "path"},
	{"command", "command"},
	{"channel", "channel"},
	{"user", "user"},
	{"reaction", "reaction"},
	{"type", "type"},
}

// keysOf are the keys by which a wait is found: one of its fields, and that for
// each value and workspace that it may have.
func keysOf(kind string, match *runtime.Dict) []string {
	var keys []string
	for _, team := range texts(match, "teams") {
		switch kind {
		case wait.Reply:
			keys = append(keys, wait.Key("reply", team, match.Text("channel"), match.Text("thread")))
		case wait.Reaction:
			keys = append(keys, wait.Key("reaction", team, match.Text("channel"), match.Text("ts")))
		default:
			for _, k := range alike(match.Text("kind")) {
				keys = append(keys, fieldKeys(team, string(k), dict(match, "match"))...)
			}
		}
	}
	return keys
}

// alike are the kinds that an event of a kind may arrive as.
func alike(kind string) []event.Kind {
	if k := event.Kind(kind); k != event.Message && k != event.Mention {
		return []event.Kind{k}
	}
	return []event.Kind{event.Message, event.Mention}
}

func fieldKeys(team, kind string, match *runtime.Dict) []string {
	for _, f := range telling {
		v, given := match.Get(f.field)
		if !given {
			continue
		}
		var keys []string
		for _, want := range wanted(v) {
			s, ok := want.(string)
			if !ok { // a pattern is tried on all
				keys = nil
				break
			}
			if f.field != "thread_ts" {
				keys = append(keys, wait.Key("event", team, kind, f.key, s))
				continue
			}
			channels := texts(match, "channel")
			for _, c := range channels {
				keys = append(keys, wait.Key("event", team, kind, f.key, c+"/"+s))
			}
		}
		if len(keys) > 0 {
			return keys
		}
	}
	return []string{wait.Key("event", team, kind)}
}

// hearEvent tests an event.
func (l *live) hearEvent(ctx context.Context, r *Run, w *wait.Wait, ev *event.Event) wait.Heard {
	if !slices.Contains(texts(w.Match, "teams"), ev.Team) {
		return wait.Heard{}
	}
	heard := false
	switch w.Kind {
	case wait.Reply:
		heard = written(ev, false) && ev.Channel == w.Match.Text("channel") && ev.ThreadTS == w.Match.Text("thread") && ev.TS != ev.ThreadTS
	case wait.Reaction:
		heard = hearReaction(w.Match, ev)
	default:
		heard = fits(w.Match, ev)
	}
	if !heard {
		return wait.Heard{}
	}
	if who := audienceOf(w.Match); !who.everybody() {
		may, err := l.allows(ctx, who, ev)
		if err != nil && !may {
			l.Logger.Warn("it cannot be found out whether somebody is waited for", "run", r.ID, "event_id", ev.ID, "err", err)
		}
		if !may {
			return wait.Heard{}
		}
	}
	return wait.Heard{Verdict: wait.Match, Answer: fieldsOf(ev)}
}

// subtypes are those of messages that somebody wrote.
var subtypes = []string{"", "file_share", "me_message", "thread_broadcast", "reply_broadcast", "message_changed"}

// written reports whether an event is a message that a person wrote, or with
// edits changed.
func written(ev *event.Event, edits bool) bool {
	if ev.Kind != event.Message && ev.Kind != event.Mention {
		return false
	}
	return slices.Contains(subtypes, ev.Subtype) && ev.BotID == "" && ev.User != "USLACKBOT" && !ownEvent(ev) && (!ev.Edited || edits && !ev.Unchanged)
}

// ownEvent reports whether this app's own bot, or the app for a user, did it.
func ownEvent(ev *event.Event) bool {
	return ev.User != "" && ev.User == ev.BotUser || ev.AuthorApp != "" && ev.AuthorApp == ev.App
}

func hearReaction(match *runtime.Dict, ev *event.Event) bool {
	if ev.Kind != event.Reaction || ev.Channel != match.Text("channel") || ev.TS != match.Text("ts") ||
		ev.Removed != flag(match, "removed", false) || ownEvent(ev) {
		return false
	}
	names := texts(match, "emoji")
	base, _, _ := strings.Cut(ev.Reaction, "::")
	return len(names) == 0 || slices.Contains(names, ev.Reaction) || slices.Contains(names, base)
}

// fits reports whether an event is of the kind and has the fields of a condition.
func fits(m *runtime.Dict, ev *event.Event) bool {
	kind, match := event.Kind(m.Text("kind")), dict(m, "match")
	_, edits := match.Get("edited")
	switch kind {
	case event.Message:
		if !written(ev, edits) {
			return false
		}
	case event.Mention:
		if !written(ev, edits) || !ev.Directed() {
			return false
		}
	default:
		if _, removed := match.Get("removed"); ev.Kind != kind || kind == event.Reaction && (ownEvent(ev) || ev.Removed && !removed) {
			return false
		}
	}
	for i := range match.Len() {
		if f := match.Fields[i]; !slices.ContainsFunc(wanted(f.Value), func(v runtime.Value) bool { return has(ev, f.Key, v) }) {
			return false
		}
	}
	return true
}

// maxSearched is how much of a text a pattern is tried on, as in rules.
const maxSearched = 8 << 10

// has reports whether a field of an event is what is wanted.
func has(ev *event.Event, field string, want runtime.Value) bool {
	for _, have := range fieldValues(ev, field) {
		switch want := want.(type) {
		case runtime.Regexp:
			s, ok := have.(string)
			re, err := regexp.Compile(want.Pattern)
			if ok && err == nil && re.MatchString(s[:min(len(s), maxSearched)]) {
				return true
			}
		default:
			if have == want {
				return true
			}
		}
	}
	return false
}

// fieldValues are what an event has in a field: several elements may have been used.
func fieldValues(ev *event.Event, field string) runtime.List {
	switch field {
	case "action_id", "block_id", "value":
		var list runtime.List
		for _, a := range ev.Actions {
			list = append(list, map[string]string{"action_id": a.ActionID, "block_id": a.BlockID, "value": a.Value}[field])
		}
		return list
	case "reaction":
		base, _, _ := strings.Cut(ev.Reaction, "::")
		return runtime.List{ev.Reaction, base}
	}
	v, _ := event.NewView(ev, nil).Field(field)
	return runtime.List{v}
}

// skippedFields are not kept of an event: what concerns its delivery, and what
// others hold the parts of.
var skippedFields = []string{"retry", "retry_reason", "match", "args", "bot_user", "app", "blocks", "state", "view", "actions", "message"}

// maxRaw bounds the payload that is kept of an event.
const maxRaw = 64 << 10

// fieldsOf are the fields of an event that are there, as data.
func fieldsOf(ev *event.Event) *runtime.Dict {
	view, out := event.NewView(ev, nil), &runtime.Dict{}
	for _, name := range event.FieldNames() {
		if slices.Contains(skippedFields, name) || name == "raw" && len(ev.Raw) > maxRaw {
			continue
		}
		v, _ := view.Field(name)
		if v = plain(v); v == nil || v == false {
			continue
		}
		if l, ok := v.(runtime.List); ok && len(l) == 0 {
			continue
		}
		out.Set(name, runtime.Plain(v))
	}
	out.Set("at", unix(ev.Received))
	return out
}

// resumeEvent is the event, or what an operator gave in its place.
func resumeEvent(_ context.Context, _ *Run, _ runtime.Effect, _ *wait.Wait, a *wait.Answer) (runtime.Value, error) {
	switch {
	case a.By == wait.ByTimeout || a.By == wait.ByCancel || a.Value == nil:
		return nil, nil
	case a.By == wait.ByOperator:
		if v := operatorGave(a); v != nil {
			return asJSON(v)
		}
		return nil, nil
	}
	return asJSON(a.Value)
}
