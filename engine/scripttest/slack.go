package scripttest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/starling-rules/starling/engine/payload"
	"github.com/starling-rules/starling/runtime"
)

// The app under test, and the workspace that it is in.
const (
	appID    = "A0STARLING"
	botUser  = "U0STARLING"
	botID    = "B0STARLING"
	teamID   = "T0STARLING"
	teamName = "test"
)

// plausible is the answer of a Slack that lets the app do everything.
func (r *recorder) plausible(c *call, link string) payload.Object {
	args := c.args
	switch c.method {
	case responseURL:
		r.responded(args, link)
		return payload.Object{"ok": true}
	case "chat.postMessage", "chat.postEphemeral", "chat.meMessage":
		return r.posted(c)
	case "chat.update", "chat.delete":
		return r.changed(c)
	case "chat.scheduleMessage":
		return payload.Object{"ok": true, "channel": r.channelOf(args), "scheduled_message_id": "Q" + r.w.random(10), "post_at": toGo(value(args, "post_at"))}
	case "chat.getPermalink":
		return payload.Object{"ok": true, "channel": r.channelOf(args), "permalink": "https://test.slack.com/archives/" + r.channelOf(args) + "/p" + strings.ReplaceAll(args.Text("message_ts"), ".", "")}
	case "views.open", "views.push", "views.update", "views.publish":
		return r.viewed(c)
	case "auth.test":
		return payload.Object{"ok": true, "url": "https://test.slack.com/", "team": teamName, "team_id": teamID, "user": "starling", "user_id": botUser, "bot_id": botID, "app_id": appID}
	case "bots.info":
		return payload.Object{"ok": true, "bot": payload.Object{"id": botID, "app_id": appID, "user_id": botUser, "name": "starling"}}
	case "users.info":
		return payload.Object{"ok": true, "user": r.user(args.Text("user"))}
	case "users.lookupByEmail":
		return payload.Object{"ok": true, "user": r.user(args.Text("email"))}
	case "users.list":
		return payload.Object{"ok": true, "members": each(r.users, r.user), "response_metadata": payload.Object{"next_cursor": ""}}
	case "conversations.info":
		return payload.Object{"ok": true, "channel": r.channel(args.Text("channel"))}
	case "conversations.list", "users.conversations":
		return payload.Object{"ok": true, "channels": each(r.channels, r.channel), "response_metadata": payload.Object{"next_cursor": ""}}
	case "conversations.open":
		who, _, _ := strings.Cut(args.Text("users"), ",")
		return payload.Object{"ok": true, "channel": payload.Object{"id": "D" + r.w.s.r.names.user(who)[1:]}}
	case "files.getUploadURLExternal":
		id := "F" + r.w.random(10)
		return payload.Object{"ok": true, "file_id": id, "upload_url": uploadURL + id}
	case uploadCall:
		return payload.Object{"ok": true}
	case "files.completeUploadExternal":
		return payload.Object{"ok": true, "files": toGo(value(args, "files"))}
	case "conversations.history", "conversations.replies":
		return payload.Object{"ok": true, "messages": r.history(args), "has_more": false, "response_metadata": payload.Object{"next_cursor": ""}}
	}
	return listed(c.method)
}

// listed is the answer to a method of which nothing else is known: of one that
// lists, an empty list under the name that Slack gives it.
func listed(method string) payload.Object {
	out := payload.Object{"ok": true}
	area, verb, _ := strings.Cut(method, ".")
	switch {
	case method == "conversations.members":
		out["members"] = []any{}
	case method == "reactions.get":
		out["message"] = payload.Object{"reactions": []any{}}
	case method == "emoji.list":
		out["emoji"] = payload.Object{}
	case method == "pins.list" || method == "stars.list":
		out["items"] = []any{}
	case verb == "list" || strings.HasSuffix(verb, ".list"):
		out[area] = []any{}
		out["response_metadata"] = payload.Object{"next_cursor": ""}
	}
	return out
}

func each(names []string, f func(string) payload.Object) []any {
	out := make([]any, len(names))
	for i, n := range names {
		out[i] = f(n)
	}
	return out
}

func value(d *runtime.Dict, key string) runtime.Value {
	v, _ := d.Get(key)
	return v
}

func (r *recorder) user(who string) payload.Object {
	id := r.w.s.r.names.user(who)
	if id == botUser {
		return payload.Object{"id": id, "team_id": teamID, "name": "starling", "real_name": "starling", "is_bot": true, "deleted": false, "profile": payload.Object{"display_name": "starling", "bot_id": botID}}
	}
	name := r.w.s.r.names.name(id)
	title := strings.ToUpper(name[:1]) + name[1:]
	return payload.Object{
		"id": id, "team_id": teamID, "name": name, "real_name": title, "deleted": false, "is_bot": false, "tz": "UTC", "tz_offset": 0,
		"profile": payload.Object{"display_name": name, "real_name": title, "email": name + "@example.com"},
	}
}

func (r *recorder) channel(name string) payload.Object {
	id := r.w.s.r.names.channel(name)
	if id[0] == 'D' {
		return payload.Object{"id": id, "is_im": true, "user": "U" + id[1:]}
	}
	n := r.w.s.r.names.name(id)
	return payload.Object{"id": id, "name": n, "name_normalized": n, "is_channel": true, "is_private": id[0] == 'G', "is_member": true, "is_archived": false}
}

func (r *recorder) channelOf(args *runtime.Dict) string {
	name := args.Text("channel")
	if name == "" {
		return ""
	}
	if isID(name, "UW") {
		return "D" + name[1:]
	}
	return r.w.s.r.names.channel(name)
}

// stamp is a timestamp that no other message has.
func (r *recorder) stamp() string {
	t := max(r.w.clock.Now().UnixMicro(), r.lastTS+1)
	r.lastTS = t
	return fmt.Sprintf("%d.%06d", t/1e6, t%1e6)
}

// message is what Slack makes of the arguments of a post.
func (r *recorder) message(args *runtime.Dict, ts string) payload.Object {
	m := payload.Object{
		"type": "message", "user": botUser, "bot_id": botID, "app_id": appID, "team": teamID, "text": args.Text("text"), "ts": ts,
	}
	for _, k := range []string{"blocks", "attachments", "thread_ts", "metadata"} {
		if v, ok := args.Get(k); ok && v != nil {
			m[k] = toGo(v)
		}
	}
	identify(m, r.w)
	return m
}

// identify gives blocks and elements the ids that Slack gives those without.
func identify(o payload.Object, w *world) {
	blocks := payload.Blocks(o)
	for _, b := range blocks {
		if s, _ := b["block_id"].(string); s == "" {
			b["block_id"] = w.random(5)
		}
		for _, el := range payload.Elements(b) {
			if s, _ := el["action_id"].(string); s == "" {
				el["action_id"] = w.random(5)
			}
		}
	}
}

func (r *recorder) posted(c *call) payload.Object {
	ts, channel := r.stamp(), r.channelOf(c.args)
	m := r.message(c.args, ts)
	s := &surface{kind: "message", channel: channel, ts: ts, body: m}
	if c.method == "chat.postEphemeral" {
		s.viewer = c.args.Text("user")
		r.surfaces = append(r.surfaces, s)
		return payload.Object{"ok": true, "message_ts": ts}
	}
	r.surfaces = append(r.surfaces, s)
	return payload.Object{"ok": true, "channel": channel, "ts": ts, "message": m}
}

func (r *recorder) changed(c *call) payload.Object {
	channel, ts := r.channelOf(c.args), c.args.Text("ts")
	at := slices.IndexFunc(r.surfaces, func(s *surface) bool { return s.channel == channel && s.ts == ts })
	out := payload.Object{"ok": true, "channel": channel, "ts": ts}
	if at >= 0 {
		old := r.surfaces[at]
		r.surfaces = slices.Delete(r.surfaces, at, at+1)
		if c.method == "chat.update" {
			r.surfaces = append(r.surfaces, &surface{kind: old.kind, channel: channel, ts: ts, viewer: old.viewer, body: r.message(c.args, ts)})
		}
	}
	if c.method == "chat.update" {
		out["text"], out["message"] = c.args.Text("text"), r.message(c.args, ts)
	}
	return out
}

// responded does what a response_url does.
func (r *recorder) responded(args *runtime.Dict, link string) {
	about := r.hooks[link]
	if about == nil {
		about = &surface{kind: "message"}
	}
	gone := value(args, "delete_original") == true
	if gone || value(args, "replace_original") == true {
		if i := slices.Index(r.surfaces, about); i >= 0 {
			r.surfaces = slices.Delete(r.surfaces, i, i+1)
		}
		if gone {
			return
		}
		fresh := *about
		fresh.body = r.message(args, about.ts)
		*about = fresh
		r.surfaces = append(r.surfaces, about)
		return
	}
	ts := r.stamp()
	s := &surface{kind: "message", channel: about.channel, ts: ts, body: r.message(args, ts)}
	if args.Text("response_type") != "in_channel" {
		s.viewer = about.viewer
	}
	r.surfaces = append(r.surfaces, s)
}

func (r *recorder) history(args *runtime.Dict) []any {
	out := []any{}
	channel, thread := r.channelOf(args), args.Text("ts")
	for _, s := range slices.Backward(r.surfaces) {
		if s.kind != "message" || s.channel != channel || s.viewer != "" {
			continue
		}
		if thread != "" && s.ts != thread && s.body["thread_ts"] != thread {
			continue
		}
		out = append(out, s.body)
	}
	return out
}

// viewed opens, replaces or publishes a view.
func (r *recorder) viewed(c *call) payload.Object {
	body, _ := toGo(value(c.args, "view")).(payload.Object)
	if body == nil {
		return payload.Object{"ok": false, "error": "invalid_arguments"}
	}
	s := &surface{kind: "view"}
	if c.method == "views.publish" {
		s.kind, s.viewer = "home", c.args.Text("user_id")
	}
	if c.method == "views.update" {
		id, external := c.args.Text("view_id"), c.args.Text("external_id")
		for i, old := range r.surfaces {
			if old.kind != "message" && (old.body["id"] == id || external != "" && old.body["external_id"] == external) {
				body["id"] = old.body["id"]
				r.surfaces = slices.Delete(r.surfaces, i, i+1)
				break
			}
		}
	}
	s.body = r.view(body)
	r.surfaces = append(r.surfaces, s)
	return payload.Object{"ok": true, "view": s.body}
}

// view is a view as Slack keeps it.
func (r *recorder) view(body payload.Object) payload.Object {
	out := payload.Object{"team_id": teamID, "app_id": appID, "bot_id": botID, "private_metadata": "", "callback_id": "", "hash": r.w.random(10)}
	for k, v := range body {
		out[k] = v
	}
	if out["id"] == nil {
		out["id"] = "V" + r.w.random(10)
	}
	out["root_view_id"] = out["id"]
	identify(out, r.w)
	return out
}
