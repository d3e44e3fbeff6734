package scripttest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/starling-rules/starling/engine/payload"
	"github.com/starling-rules/starling/runtime"
)

// surface is something with elements in it that the app has shown: a message,
// a modal, the home tab.
type surface struct {
	kind    string // message, view, home
	channel string // of a message
	ts      string
	viewer  string // of an ephemeral message, or whose home it is
	body    payload.Object
}

// target is an element that was found.
type target struct {
	on        *surface
	block, el payload.Object
	value     any // what choosing it means: the option of a menu
}

// label is the text that people see on an element.
func label(el payload.Object) string {
	for _, k := range []string{"text", "placeholder"} {
		if t, ok := el[k].(payload.Object); ok {
			s, _ := t["text"].(string)
			return s
		}
	}
	return ""
}

// find looks for an element by its text or action_id, in what was shown last
// first. If nothing is called like that, what is there is listed.
func (r *recorder) find(name string) (*target, []string) {
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	var there []string
	for _, s := range slices.Backward(r.surfaces) {
		for _, b := range payload.Blocks(s.body) {
			for _, el := range payload.Elements(b) {
				id, _ := el["action_id"].(string)
				if id == name || label(el) == name {
					return &target{on: s, block: b, el: el}, nil
				}
				for _, o := range payload.OptionsOf(el) {
					if label(o) == name {
						return &target{on: s, block: b, el: el, value: o["value"]}, nil
					}
				}
				there = append(there, describe(el, id))
			}
		}
	}
	return nil, there
}

// sent looks for a message by its text, the last one first. If there is none,
// the texts of what is there are listed.
func (r *recorder) sent(want runtime.Value) (found *surface, there []string) {
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	for _, s := range slices.Backward(r.surfaces) {
		text, _ := s.body["text"].(string)
		if s.kind != "message" || s.viewer != "" {
			continue
		}
		if matches(want, text) {
			return s, nil
		}
		there = append(there, strconv.Quote(clip(text)))
	}
	return nil, there
}

func describe(el payload.Object, id string) string {
	kind, _ := el["type"].(string)
	if l := label(el); l != "" {
		return kind + " " + strconv.Quote(l) + " (" + id + ")"
	}
	return kind + " " + id
}

// nothing is the error of an element that is not there.
func nothing(name string, there []string) error {
	e := &runtime.Error{Kind: runtime.RunError, Msg: "t.click: nothing that was sent has a button " + strconv.Quote(name)}
	switch len(there) {
	case 0:
		e.Hint = "the rules have sent no message or view with buttons"
	default:
		e.Hint = "there is " + strings.Join(there, ", ")
	}
	return e
}

// click is t.click: a person uses what a rule has sent.
func click(w *world, x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	r := w.newRun(x, "t.click")
	name := a.Text("name")
	t, there := w.slack.find(name)
	if t == nil {
		if a.Bool("bare", false) {
			return w.bareClick(r, a)
		}
		return w.finish(r, nothing(name, there))
	}
	act := w.act(a)
	w.on(t.on, a, &act)
	act.ActionID, _ = t.el["action_id"].(string)
	act.BlockID, _ = t.block["block_id"].(string)
	act.Value = t.value
	if v, ok := a.Get("value"); ok {
		act.Value = toGo(v)
	}
	if d := a.Map("values"); d != nil {
		act.Values, _ = toGo(d).(payload.Object)
	}
	return w.finish(r, w.receive(r, act.ToAction(), a.Text("bot")))
}

// on places an act on a surface.
func (w *world) on(s *surface, a *runtime.Args, act *payload.Act) {
	if s.viewer != "" && !a.Has("user") {
		act.User, act.UserName = s.viewer, w.s.r.names.name(s.viewer)
	}
	if s.kind != "message" {
		act.View = s.body
		return
	}
	if s.channel != "" {
		act.Channel = s.channel
		act.ChannelName = w.s.r.names.name(s.channel)
	}
	act.Message, act.TS = s.body, s.ts
	act.Thread, _ = s.body["thread_ts"].(string)
	act.ResponseURL = w.slack.hook("actions", s)
	if s.viewer != "" {
		act.Fields = payload.Object{"container": payload.Object{"type": "message", "message_ts": s.ts, "channel_id": s.channel, "is_ephemeral": true}}
	}
}

// bareClick is a click on a message of which nothing is known but the ids.
func (w *world) bareClick(r *run, a *runtime.Args) (runtime.Value, error) {
	act := w.act(a)
	act.ActionID, act.BlockID = a.Text("name"), a.Text("block")
	if v, ok := a.Get("value"); ok {
		act.Value = toGo(v)
	}
	act.ResponseURL = w.slack.hook("actions", &surface{kind: "message", channel: act.Channel, ts: act.TS, body: payload.Object{}})
	return w.finish(r, w.receive(r, act.ToAction(), a.Text("bot")))
}

// suggest is t.options: a person types into a select whose options the app gives.
func suggest(w *world, x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	r := w.newRun(x, "t.options")
	act := w.act(a)
	act.ActionID, act.Value = a.Text("action_id"), a.Text("query")
	if t, _ := w.slack.find(act.ActionID); t != nil {
		w.on(t.on, a, &act)
		act.BlockID, _ = t.block["block_id"].(string)
	}
	return w.finish(r, w.receive(r, act.ToOptions(), a.Text("bot")))
}

// modal finds the modal that is open: the last one, or the last with that
// callback_id.
func (r *recorder) modal(callback string) *surface {
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	for _, s := range slices.Backward(r.surfaces) {
		if s.kind == "view" && (callback == "" || s.body["callback_id"] == callback) {
			return s
		}
	}
	return nil
}

// submit is t.submit: a person fills in the open modal and sends it.
func submit(w *world, x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	r := w.newRun(x, "t.submit")
	act := w.act(a)
	act.CallbackID = a.Text("callback_id")
	values := &runtime.Dict{}
	for _, from := range []string{"values", "more"} {
		if d := a.Map(from); d != nil {
			for _, f := range d.Fields {
				values.Set(f.Key, f.Value)
			}
		}
	}
	act.Values, _ = toGo(values).(payload.Object)
	s := w.slack.modal(act.CallbackID)
	if s == nil {
		if act.CallbackID == "" {
			return w.finish(r, &runtime.Error{Kind: runtime.RunError, Msg: "t.submit: no modal is open", Hint: "let a rule open one, or name a view: t.submit(\"callback_id\", values = {…})"})
		}
		return w.finish(r, w.receive(r, act.ToSubmit(), a.Text("bot")))
	}
	act.View = s.body
	if err := checkValues(s.body, act.Values); err != nil {
		return w.finish(r, err)
	}
	err := w.receive(r, act.ToSubmit(), a.Text("bot"))
	if err == nil && !(len(r.ended()) > 0 && r.outcome() == "failed" && r.answer == nil) {
		w.slack.submitted(r, s)
	}
	return w.finish(r, err)
}

// checkValues refuses values for inputs that the view does not have, and the
// lack of those that it requires: Slack lets nobody send that.
func checkValues(view, values payload.Object) error {
	known := map[string]bool{}
	var names []string
	for _, b := range payload.Blocks(view) {
		block, _ := b["block_id"].(string)
		for _, el := range payload.Elements(b) {
			id, _ := el["action_id"].(string)
			known[id], known[block] = true, true
			names = append(names, id)
			if b["type"] != "input" || b["optional"] == true {
				continue
			}
			st := payload.ElementState(el, valueFor(values, block, id), payload.Picker{})
			kind, _ := el["type"].(string)
			switch v := st[payload.StateKey(kind)].(type) {
			case nil:
			case []any:
				if len(v) > 0 || kind == "checkboxes" {
					continue
				}
			default:
				continue
			}
			return &runtime.Error{Kind: runtime.RunError, Msg: fmt.Sprintf("t.submit: input %q is required and has no value", id), Hint: "t.submit(" + id + " = …), or make it optional in the view"}
		}
	}
	for k := range values {
		if !known[k] {
			e := &runtime.Error{Kind: runtime.RunError, Msg: fmt.Sprintf("t.submit: the view has no input %q", k), Hint: "it has " + strings.Join(names, ", ")}
			if n := runtime.Nearest(k, names); n != "" {
				e.Hint = "did you mean " + n + "?"
			}
			return e
		}
	}
	return nil
}

func valueFor(values payload.Object, block, action string) any {
	if in, ok := values[block].(payload.Object); ok {
		if v, ok := in[action]; ok {
			return v
		}
	}
	return values[action]
}

// submitted does what the answer to a submitted modal says.
func (r *recorder) submitted(run *run, s *surface) {
	var answer *runtime.Dict
	if run.answer != nil {
		v, _ := runtime.ParseJSON(run.answer.Body)
		answer, _ = v.(*runtime.Dict)
	}
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	at := slices.Index(r.surfaces, s)
	body, _ := toGo(value(answer, "view")).(payload.Object)
	switch answer.Text("response_action") {
	case "errors":
		d, _ := value(answer, "errors").(*runtime.Dict)
		run.errors = d
	case "push":
		if body != nil {
			r.surfaces = append(r.surfaces, &surface{kind: "view", body: r.view(body)})
		}
	case "update":
		if body != nil && at >= 0 {
			body["id"] = s.body["id"]
			r.surfaces = slices.Delete(r.surfaces, at, at+1)
			r.surfaces = append(r.surfaces, &surface{kind: "view", body: r.view(body)})
		}
	case "clear":
		r.surfaces = slices.DeleteFunc(r.surfaces, func(s *surface) bool { return s.kind == "view" })
	default:
		if at >= 0 && !run.late {
			r.surfaces = slices.Delete(r.surfaces, at, at+1)
		}
	}
}

// closeView is t.close: a person closes the open modal.
func closeView(w *world, x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	r := w.newRun(x, "t.close")
	act := w.act(a)
	act.CallbackID = a.Text("callback_id")
	s := w.slack.modal(act.CallbackID)
	switch {
	case s == nil && act.CallbackID == "":
		return w.finish(r, &runtime.Error{Kind: runtime.RunError, Msg: "t.close: no modal is open", Hint: "let a rule open one, or name a view: t.close(\"callback_id\")"})
	case s != nil && s.body["notify_on_close"] != true:
		return w.finish(r, &runtime.Error{Kind: runtime.RunError, Msg: "t.close: the view does not ask to be told when it is closed", Hint: "open it with notify_on_close = True"})
	case s != nil:
		act.View = s.body
	}
	err := w.receive(r, act.ToClose(), a.Text("bot"))
	w.mu.Lock()
	if at := slices.Index(w.slack.surfaces, s); at >= 0 {
		w.slack.surfaces = slices.Delete(w.slack.surfaces, at, at+1)
	}
	w.mu.Unlock()
	return w.finish(r, err)
}
