package scripttest

import (
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/payload"
	"github.com/starling-rules/starling/runtime"
)

// act begins something that a person does: who and where, from the arguments
// that all such built-ins share.
func (w *world) act(a *runtime.Args) payload.Act {
	names := w.s.r.names
	team, app := w.addressee(a)
	act := payload.Act{
		App:  payload.App{ID: app, BotUser: botUser, Team: team, Domain: teamName},
		User: names.user(or(a.Text("user"), "@ada")), Channel: names.channel(or(a.Text("channel"), "#general")),
		Text: a.Text("text"), Thread: a.Text("thread_ts"), TS: a.Text("ts"), Now: w.clock.Now(), Random: w.random,
	}
	if a.Bool("im", false) {
		act.Channel = "D" + act.User[1:]
	}
	act.UserName = names.name(act.User)
	if act.Channel[0] == 'C' {
		act.ChannelName = names.name(act.Channel)
		w.slack.know(&w.slack.channels, act.ChannelName)
	}
	w.slack.know(&w.slack.users, act.UserName)
	if act.TS == "" {
		act.TS = w.slack.stamp()
	}
	if d := a.Map("fields"); d != nil {
		act.Fields, _ = toGo(d).(payload.Object)
	}
	return act
}

func or(s, def string) string {
	if s == "" {
		return def
	}
	return s
}

// team is the id of the team that the event is for.
func (w *world) team(a *runtime.Args) string {
	name := a.Text("team")
	if name == "" {
		return teamID
	}
	if id := w.s.cfg.Teams[name]; id != "" {
		return id
	}
	id, _ := w.s.r.names.TeamID(name)
	return id
}

// receive takes a payload as the way in does, and runs what it sets off.
func (w *world) receive(r *run, p payload.Payload, bot string) error {
	m := event.Meta{Received: w.clock.Now(), Via: "http", Bot: bot}
	var e *event.Event
	var control event.Control
	var err error
	if p.ContentType == payload.FormType {
		e, control, err = event.ParseForm(p.Body, m)
	} else {
		e, control, err = event.Parse(p.Body, m)
	}
	switch {
	case err != nil:
		return err
	case control.Verify || control.SSLCheck:
		return nil // the way in answers by itself
	}
	if e.BotUser == "" {
		e.BotUser = botUser
	}
	return w.deliver(r, e)
}

// finish is the end of every act: what the test is told at once.
func (w *world) finish(r *run, err error) (runtime.Value, error) {
	if f := w.web.missing(); f != nil {
		f.about(r)
		return nil, w.raise(f)
	}
	if err == nil {
		return r, nil
	}
	f := failureOf(err, w.s.path)
	if f.Error.Pos.Path == w.s.path && f.Error.Pos.Line == 0 {
		f.Error.Pos = runtime.Position{}
	}
	return nil, w.raise(f)
}

// message is t.message.
func message(w *world, x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	r := w.newRun(x, "t.message")
	act := w.act(a)
	extra(a, &act)
	if channel, ts, thread, err := w.messageOf(a); err != nil {
		return w.finish(r, err)
	} else if ts != "" {
		act.Channel, act.Thread = channel, or(thread, ts)
	}
	var p payload.Payload
	switch {
	case a.Has("edited"):
		p = w.edited(act, a.Text("edited"))
	case a.Bool("deleted", false):
		p = w.deleted(act)
	default:
		p = act.ToMessage()
	}
	return w.finish(r, w.receive(r, p, a.Text("bot")))
}

// extra adds the fields of a message that have parameters of their own.
func extra(a *runtime.Args, act *payload.Act) {
	for param, field := range map[string]string{"files": "files", "blocks": "blocks", "subtype": "subtype", "bot_id": "bot_id"} {
		v, ok := a.Get(param)
		if !ok {
			continue
		}
		if act.Fields == nil {
			act.Fields = payload.Object{}
		}
		act.Fields[field] = toGo(v)
		if param == "files" && !a.Has("subtype") {
			act.Fields["subtype"] = "file_share"
		}
	}
}

func (w *world) inner(act payload.Act, text string) payload.Object {
	m := payload.Object{"type": "message", "user": act.User, "text": text, "ts": act.TS, "team": act.App.Team}
	if act.Thread != "" {
		m["thread_ts"] = act.Thread
	}
	return m
}

func (w *world) callback(act payload.Act, inner payload.Object) payload.Payload {
	inner["channel"], inner["channel_type"], inner["event_ts"] = act.Channel, channelType(act.Channel), w.slack.stamp()
	inner["ts"], inner["hidden"], inner["type"] = inner["event_ts"], true, "message"
	maps.Copy(inner, act.Fields)
	return payload.JSON(act.App.Callback("Ev"+w.random(10), act.Now, inner))
}

func channelType(id string) string {
	switch id[0] {
	case 'D':
		return "im"
	case 'G':
		return "group"
	}
	return "channel"
}

// edited is a message whose text was old before.
func (w *world) edited(act payload.Act, old string) payload.Payload {
	now := w.inner(act, act.Text)
	now["edited"] = payload.Object{"user": act.User, "ts": w.slack.stamp()}
	return w.callback(act, payload.Object{"subtype": "message_changed", "message": now, "previous_message": w.inner(act, old)})
}

func (w *world) deleted(act payload.Act) payload.Payload {
	return w.callback(act, payload.Object{"subtype": "message_deleted", "deleted_ts": act.TS, "previous_message": w.inner(act, act.Text)})
}

// mention is t.mention: Slack reports one message twice.
func mention(w *world, x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	r := w.newRun(x, "t.mention")
	act := w.act(a)
	extra(a, &act)
	if !strings.Contains(act.Text, "<@"+botUser) {
		act.Text = strings.TrimSpace("<@" + botUser + "> " + act.Text)
	}
	err := w.receive(r, act.ToMessage(), a.Text("bot"))
	if err == nil && act.Channel[0] != 'D' {
		err = w.receive(r, act.ToMention(), a.Text("bot"))
	}
	return w.finish(r, err)
}

// command is t.command: "/deploy api prod".
func command(w *world, x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	r := w.newRun(x, "t.command")
	act := w.act(a)
	act.Command, act.Text, _ = strings.Cut(strings.TrimSpace(a.Text("command")), " ")
	if t := a.Text("text"); t != "" {
		act.Text = t
	}
	act.Text = strings.TrimSpace(act.Text)
	act.ResponseURL = w.slack.hook("commands", &surface{kind: "message", channel: act.Channel, viewer: act.User})
	err := w.receive(r, act.ToCommand(), a.Text("bot"))
	if m := r.answerMessage(); m != nil && err == nil {
		w.slack.responded(m, act.ResponseURL)
	}
	return w.finish(r, err)
}

// hook makes a response_url.
func (r *recorder) hook(what string, about *surface) string {
	link := "https://hooks.slack.com/" + what + "/" + teamID + "/" + r.w.random(11) + "/" + r.w.random(24)
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	r.hooks[link] = about
	return link
}

// reaction is t.react.
func reaction(w *world, x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	r := w.newRun(x, "t.react")
	act := w.act(a)
	act.Emoji = strings.Trim(a.Text("emoji"), ":")
	if channel, ts, _, err := w.messageOf(a); err != nil {
		return w.finish(r, err)
	} else if ts != "" {
		act.TS, act.Channel = ts, channel
	}
	p := act.ToReaction()
	if a.Bool("removed", false) {
		p = act.ToReactionRemoved()
	}
	return w.finish(r, w.receive(r, p, a.Text("bot")))
}

// messageOf is the message that to= names: that of the event of a run, or the
// last one of that text that the rules have sent. thread is the one it is in.
func (w *world) messageOf(a *runtime.Args) (channel, ts, thread string, err error) {
	to, ok := a.Get("to")
	if !ok {
		return "", "", "", nil
	}
	if of, is := to.(*run); is {
		for _, e := range of.events {
			if e.TS != "" && e.Channel != "" {
				return e.Channel, e.TS, e.ThreadTS, nil
			}
		}
		return "", "", "", &runtime.Error{Kind: runtime.RunError, Msg: a.Builtin.Name + ": to: the run is not one of a message"}
	}
	s, there := w.slack.sent(plain(to))
	if s == nil {
		e := &runtime.Error{Kind: runtime.RunError, Msg: a.Builtin.Name + ": to: the rules have sent no such message", Hint: "they have sent none"}
		if len(there) > 0 {
			e.Hint = "they have sent " + strings.Join(there, ", ")
		}
		return "", "", "", e
	}
	thread, _ = s.body["thread_ts"].(string)
	return s.channel, s.ts, thread, nil
}

// home is t.home.
func home(w *world, x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	r := w.newRun(x, "t.home")
	act := w.act(a)
	act.Channel = "D" + act.User[1:]
	return w.finish(r, w.receive(r, act.ToHome(), a.Text("bot")))
}

// shortcut is t.shortcut: of a message if there is one to act on.
func shortcut(w *world, x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	r := w.newRun(x, "t.shortcut")
	act := w.act(a)
	act.CallbackID = a.Text("callback_id")
	p := act.ToShortcut()
	if a.Has("text") || a.Has("ts") || a.Has("thread_ts") {
		act.ResponseURL = w.slack.hook("app", &surface{kind: "message", channel: act.Channel, viewer: act.User, ts: act.TS})
		p = act.ToMessageShortcut()
	}
	return w.finish(r, w.receive(r, p, a.Text("bot")))
}

// payloadFiles are the endings by which a recorded payload is known.
var payloadFiles = []string{".json", ".form", ".txt"}

// anyEvent is t.event: an event by its type, or a payload recorded in a file.
func anyEvent(w *world, x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	r := w.newRun(x, "t.event")
	name := a.Text("type")
	if strings.Contains(name, "/") || slices.Contains(payloadFiles, filepath.Ext(name)) {
		p, err := w.recorded(name)
		if err != nil {
			return w.finish(r, err)
		}
		return w.finish(r, w.receive(r, p, a.Text("bot")))
	}
	act := w.act(a)
	act.Type = name
	// Events differ in what they say: what is not given is not there.
	for param, field := range map[string]*string{"user": &act.User, "channel": &act.Channel, "ts": &act.TS} {
		if !a.Has(param) {
			*field = ""
		}
	}
	if rest := a.Map("more"); rest != nil {
		if act.Fields == nil {
			act.Fields = payload.Object{}
		}
		merge(act.Fields, rest)
	}
	return w.finish(r, w.receive(r, act.ToEvent(), a.Text("bot")))
}

// recorded reads a payload: JSON of any kind, or a form as it was sent. The
// path is relative to the test file.
func (w *world) recorded(name string) (payload.Payload, error) {
	p := filepath.FromSlash(name)
	if !filepath.IsAbs(p) {
		p = filepath.Join(filepath.Dir(w.s.file), p)
	}
	b, err := os.ReadFile(p)
	if err != nil {
		return payload.Payload{}, fmt.Errorf("read the payload: %w", err)
	}
	w.s.r.depends(p)
	text := strings.TrimSpace(string(b))
	if strings.HasPrefix(text, "{") {
		return payload.Payload{ContentType: payload.JSONType, Body: []byte(text), JSON: []byte(text)}, nil
	}
	if _, err := url.ParseQuery(text); err != nil || !strings.Contains(text, "=") {
		return payload.Payload{}, fmt.Errorf("%s is neither JSON nor a form", name)
	}
	return payload.Payload{ContentType: payload.FormType, Body: []byte(text)}, nil
}

// depends notes a file that tests read.
func (r *runner) depends(file string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.watch[file] = true
}
