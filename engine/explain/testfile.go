package explain

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/literal"
)

// Happened is what a test is made of: an event, and what the rules did with it.
type Happened struct {
	Event *event.Event
	// User and Channel are names to write instead of the ids: "@ada", "#ops".
	User, Channel string
	Runs          []Ran
	// Answer is what the sender was told: the body.
	Answer string
	// Scripts are those of the rules that ran; if none did, of those that
	// might have been meant.
	Scripts []string
}

// Ran is a run that has ended.
type Ran struct {
	Rule    string
	Outcome string
	Effects []Did
}

// Did is an effect with its arguments and its result, as JSON.
type Did struct {
	Kind         string
	Args, Result json.RawMessage
}

// Test writes a test of what happened, in the language of the first script. It
// runs as it stands under `starling test`; the payload of what nobody can do
// twice by hand is a file of its own beside it.
func Test(h Happened) []Skeleton {
	script := "rules.star"
	if len(h.Scripts) > 0 {
		script = h.Scripts[0]
	}
	w := testWriter{h: h, lua: path.Ext(script) == ".lua"}
	stem := strings.TrimSuffix(script, path.Ext(script))
	act, file := w.act(path.Base(stem))
	body := append(w.stubs(), "run = "+act)
	if w.lua {
		body[len(body)-1] = "local " + body[len(body)-1]
	}
	body = append(body, w.expectations()...)
	if len(h.Scripts) > 1 {
		body = append([]string{w.call("t.rules", w.quoted(h.Scripts), nil)}, body...)
	}
	out := []Skeleton{{File: stem + "_test" + path.Ext(script), Text: w.file(body)}}
	if file != nil {
		file.File = path.Join(path.Dir(stem), file.File)
		out = append(out, *file)
	}
	return out
}

// testWriter writes calls in one of the languages.
type testWriter struct {
	h   Happened
	lua bool
}

type named struct {
	name  string
	value any
}

// call writes a call with positional arguments, given as literals, and named ones.
func (w *testWriter) call(fn string, args []string, opts []named) string {
	var texts []string
	for _, o := range opts {
		texts = append(texts, o.name+" = "+w.literal(o.value))
	}
	if w.lua && len(texts) > 0 {
		texts = []string{"{" + strings.Join(texts, ", ") + "}"}
	}
	return fn + "(" + strings.Join(append(slices.Clone(args), texts...), ", ") + ")"
}

func (w *testWriter) quote(text string) string {
	if w.lua {
		return literal.Lua(text)
	}
	return literal.Starlark(text)
}

func (w *testWriter) quoted(texts []string) []string {
	out := make([]string, len(texts))
	for i, t := range texts {
		out[i] = w.quote(t)
	}
	return out
}

// literal writes a value of decoded JSON.
func (w *testWriter) literal(v any) string {
	word := func(star, lua string) string {
		if w.lua {
			return lua
		}
		return star
	}
	switch v := v.(type) {
	case nil:
		return word("None", "nil")
	case bool:
		if v {
			return word("True", "true")
		}
		return word("False", "false")
	case string:
		return w.quote(v)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case []any:
		parts := make([]string, len(v))
		for i := range v {
			parts[i] = w.literal(v[i])
		}
		return word("[", "{") + strings.Join(parts, ", ") + word("]", "}")
	case map[string]any:
		var parts []string
		for _, k := range slices.Sorted(maps.Keys(v)) {
			parts = append(parts, word(w.quote(k)+": ", "["+w.quote(k)+"] = ")+w.literal(v[k]))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return word("None", "nil")
}

// place are the options that say who did it, and where.
func (w *testWriter) place(where bool) []named {
	var opts []named
	e := w.h.Event
	if who := orText(w.h.User, e.User); who != "" {
		opts = append(opts, named{"user", who})
	}
	if ch := orText(w.h.Channel, e.Channel); where && ch != "" {
		if e.IM {
			return append(opts, named{"im", true})
		}
		opts = append(opts, named{"channel", ch})
	}
	return opts
}

func orText(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// act writes what sets off the rules; the file holds its payload if words do
// not do.
func (w *testWriter) act(stem string) (string, *Skeleton) {
	e := w.h.Event
	opts := w.place(true)
	if e.ThreadMsg {
		opts = append(opts, named{"thread_ts", e.ThreadTS})
	}
	switch {
	case e.Kind == event.Mention && e.Directed():
		return w.call("t.mention", []string{w.quote(afterMention(e.Text))}, opts), nil
	case e.Kind == event.Message && !e.Edited && e.BotID == "" && (e.Subtype == "" || e.Subtype == "me_message"):
		if e.Directed() && !e.IM {
			return w.call("t.mention", []string{w.quote(afterMention(e.Text))}, opts), nil
		}
		return w.call("t.message", []string{w.quote(e.Text)}, opts), nil
	case e.Kind == event.Command:
		return w.call("t.command", []string{w.quote(strings.TrimSpace(e.Command + " " + e.Text))}, opts), nil
	case e.Kind == event.Reaction:
		if e.Removed {
			opts = append(opts, named{"removed", true})
		}
		return w.call("t.react", []string{w.quote(e.Reaction)}, opts), nil
	case e.Kind == event.Home:
		return w.call("t.home", nil, w.place(false)), nil
	case e.Kind == event.Shortcut && e.Type == "shortcut":
		return w.call("t.shortcut", []string{w.quote(e.CallbackID)}, w.place(false)), nil
	case e.Kind == event.Action && len(e.Actions) == 1 && e.Actions[0].Type == "button" && e.Channel != "":
		a := e.Actions[0]
		args := []string{w.quote(a.ActionID)}
		if a.Value != "" {
			args = append(args, w.quote(a.Value))
		}
		return w.call("t.click", args, append(opts, named{"bare", true}, named{"block", a.BlockID})), nil
	case e.Kind == event.Webhook && e.Request != nil && utf8.Valid(e.Raw):
		return w.call("t.webhook", []string{w.quote(e.Request.Method + " " + e.Request.Path)}, w.request()), nil
	case e.Kind == event.Schedule:
		return w.call("t.tick", []string{w.quote(e.CallbackID)}, nil), nil
	}
	ext := ".json"
	if e.Encoding == event.Form {
		ext = ".form"
	}
	f := &Skeleton{File: stem + "_" + identifier(Headline(e), string(e.Kind)) + ext, Text: string(e.Raw) + "\n"}
	return w.call("t.event", []string{w.quote(f.File)}, nil), f
}

// request are the options of a webhook.
func (w *testWriter) request() []named {
	e := w.h.Event
	var opts []named
	var v any
	switch {
	case len(e.Raw) == 0:
	case json.Unmarshal(e.Raw, &v) == nil && v != nil:
		opts = append(opts, named{"json", v})
	default:
		opts = append(opts, named{"body", string(e.Raw)})
	}
	return opts
}

// stubs answer what the runs asked of others, and hold what they remembered.
func (w *testWriter) stubs() []string {
	var out []string
	for _, r := range w.h.Runs {
		for _, d := range r.Effects {
			args, result := object(d.Args), object(d.Result)
			switch {
			case strings.HasPrefix(d.Kind, "http_"):
				url, _ := args["url"].(string)
				method := strings.ToUpper(strings.TrimPrefix(d.Kind, "http_"))
				if m, ok := args["method"].(string); ok {
					method = strings.ToUpper(m)
				}
				opts := []named{{"status", result["status"]}}
				if result["json"] != nil {
					opts = append(opts, named{"json", result["json"]})
				} else if text, _ := result["text"].(string); text != "" {
					opts = append(opts, named{"text", text})
				}
				if status, _ := result["status"].(float64); status == 0 {
					opts = []named{{"error", "connection_refused"}}
				}
				out = append(out, w.call("t.http.stub", []string{w.quote(method), w.quote(orText(url, "*"))}, opts))
			case d.Kind == "kv.get":
				var v any
				key, _ := args["key"].(string)
				if json.Unmarshal(d.Result, &v) == nil && v != nil && key != "" {
					out = append(out, w.call("t.kv.set", []string{w.quote(key), w.literal(v)}, nil))
				}
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func object(raw json.RawMessage) map[string]any {
	var o map[string]any
	_ = json.Unmarshal(raw, &o)
	return o
}

// expectations say what happened, in words of t.expect.
func (w *testWriter) expectations() []string {
	if len(w.h.Runs) == 0 {
		return []string{"t.expect(run).ignored()"}
	}
	var out []string
	say := func(method string, args []string, opts ...named) {
		line := w.call("t.expect(run)."+method, args, opts)
		if !slices.Contains(out, line) {
			out = append(out, line)
		}
	}
	failed := false
	for _, r := range w.h.Runs {
		for _, d := range r.Effects {
			w.effect(say, d)
		}
		failed = failed || r.Outcome == "failed"
	}
	if failed {
		return []string{w.call("t.expect(run).failed", nil, nil)}
	}
	w.answered(say)
	if len(out) == 0 {
		say("done", nil)
	}
	return out
}

// effect says what one effect did.
func (w *testWriter) effect(say func(string, []string, ...named), d Did) {
	args := object(d.Args)
	str := func(k string) string { s, _ := args[k].(string); return s }
	switch d.Kind {
	case "respond", "reply":
		say("replied", w.texts(str("text")))
	case "post":
		if str("channel") == w.h.Event.Channel {
			say("replied", w.texts(str("text")))
			return
		}
		opts := []named{{"channel", str("channel")}}
		if t := str("text"); t != "" {
			opts = append(opts, named{"text", t})
		}
		say("called", []string{w.quote("chat.postMessage")}, opts...)
	case "dm":
		say("called", []string{w.quote("chat.postMessage")}, named{"text", str("text")})
	case "ephemeral":
		say("called", []string{w.quote("chat.postEphemeral")}, named{"text", str("text")})
	case "update":
		say("called", []string{w.quote("chat.update")})
	case "delete":
		say("called", []string{w.quote("chat.delete")})
	case "react":
		say("reacted", w.texts(str("emoji")))
	case "open_modal":
		view, _ := args["view"].(map[string]any)
		id, _ := view["callback_id"].(string)
		say("opened", w.texts(id))
	case "publish_home":
		say("called", []string{w.quote("views.publish")})
	case "slack_action":
		say("called", []string{w.quote(str("method"))})
	}
}

func (w *testWriter) texts(text string) []string {
	if text == "" {
		return nil
	}
	return []string{w.quote(text)}
}

// answered says what the sender was told.
func (w *testWriter) answered(say func(string, []string, ...named)) {
	e := w.h.Event
	if !e.Answered() || w.h.Answer == "" {
		return
	}
	a := object(json.RawMessage(w.h.Answer))
	text, _ := a["text"].(string)
	action, _ := a["response_action"].(string)
	switch {
	case e.Kind == event.Submit && action == "errors":
		say("answered", nil, named{"errors", a["errors"]})
	case e.Kind == event.Submit && action != "":
		say("answered", nil, named{"action", action})
	case e.Kind == event.Command && text != "":
		say("answered", []string{w.quote(text)})
	case e.Kind == event.Webhook && a == nil:
		say("answered", nil, named{"text", w.h.Answer})
	}
}

// file puts a test around its lines.
func (w *testWriter) file(body []string) string {
	name := plainWords(Headline(w.h.Event))
	if name == "" {
		name = string(w.h.Event.Kind)
	}
	if w.lua {
		return fmt.Sprintf("-- Recorded: loosen with t.like(\"...*\") what is another every time.\n\ntest(%s, function(t)\n  %s\nend)\n",
			w.quote(string(w.h.Event.Kind)+": "+name), strings.Join(body, "\n  "))
	}
	return fmt.Sprintf("# Recorded: loosen with t.like(\"...*\") what is another every time.\n\ndef test_%s(t):\n    %s\n",
		identifier(string(w.h.Event.Kind)+" "+name, "recorded"), strings.Join(body, "\n    "))
}
