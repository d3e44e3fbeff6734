package kv

import (
	"fmt"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib/internal/declare"
)

// Scopes are whose state conversation.* keeps, the first by default. What
// user, channel and thread are is taken from the event, by the server.
var Scopes = []string{"person", "thread", "channel", "user"}

// ConversationTTL is how long the state of a conversation is kept after the
// last change, in seconds.
const ConversationTTL = 24 * 60 * 60

const conversationLong = "The state is a dict of the script, one for each person in each channel and thread. " +
	"`scope` widens it: `thread` is all people in the thread (or under the message), `channel` all people in the channel, " +
	"`user` the person wherever. It is forgotten when nothing was stored for `ttl`; a restart keeps it."

func conversations() []*runtime.Builtin {
	name := declare.Arg("name", runtime.TString, "The name of the field, at most 255 bytes.")
	field := declare.Opt("name", runtime.TString, nil, "The name of a field; the whole dict if left out.")
	ttl := declare.Key("ttl", runtime.TDuration, "1d", "Forget the whole state when nothing was stored for so long.")
	return []*runtime.Builtin{
		talk("get", "Read the state of the conversation.", "the value, or default; the dict if no name is given", []runtime.Param{
			field, declare.Opt("default", runtime.TAny, nil, "What a missing field yields."),
		},
			runtime.Example{Star: `conversation.get("step", "start")`, Want: `{"effect":"conversation.get","args":{"name":"step","default":"start"}}`},
			runtime.Example{Star: `conversation.get()`, Want: `{"effect":"conversation.get","args":{}}`},
			runtime.Example{
				Star: `conversation.get("n", scope="tread")`, Lua: `conversation.get("n", nil, {scope = "tread"})`,
				Fails: true, Want: "one of",
			}),
		talk("set", "Store a field of the state of the conversation.", "None", []runtime.Param{
			name, declare.Arg("value", runtime.TAny, "Plain data; None removes the field."), ttl,
		},
			runtime.Example{
				Star: `conversation.set("step", "date", ttl="10m")`, Lua: `conversation.set("step", "date", {ttl = "10m"})`,
				Want: `{"effect":"conversation.set","args":{"name":"step","value":"date","ttl":600.0}}`,
			},
			runtime.Example{Star: `conversation.set("", 1)`, Fails: true, Want: "name is empty"}),
		talk("update", "Change the state of the conversation with a function, as one step.", "the new state", []runtime.Param{
			declare.Arg("fn", runtime.TCallable, "Called with the dict, empty at first; returns the new one, or None to forget it. It has to be pure, as that of kv.update."), ttl,
		},
			runtime.Example{
				Star: `conversation.update(lambda s: {"n": s.get("n", 0) + 1}, scope="thread")`,
				Lua:  `conversation.update(function(s) return {n = (s.n or 0) + 1} end, {scope = "thread"})`,
				Want: `{"effect":"conversation.update","args":{"scope":"thread"}}`,
			}),
		talk("delete", "Forget a field of the state of the conversation, or all of it.", "bool: whether it was there", []runtime.Param{field},
			runtime.Example{Star: `conversation.delete()`, Want: `{"effect":"conversation.delete","args":{}}`}),
	}
}

// talk declares a built-in of the module.
func talk(name, doc, result string, params []runtime.Param, ex ...runtime.Example) *runtime.Builtin {
	kind := "conversation." + name
	fn := func(x *runtime.Context, a *runtime.Args) (runtime.Value, error) { return ask(x, a, kind, false) }
	if name == "update" {
		fn = changeState
	}
	return &runtime.Builtin{
		Name: kind, Doc: doc, Long: conversationLong, Result: result,
		Params: append(params, declare.OneOf("scope", Scopes, Scopes[0], "Whose state.")),
		Purity: runtime.Asks, Since: declare.Since, Repeat: repeat, Examples: ex, Fn: fn,
	}
}

func changeState(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	if err := checkArgs(x, a); err != nil {
		return nil, err
	}
	fn, err := callable(a)
	if err != nil {
		return nil, err
	}
	where := &runtime.Dict{}
	if s := a.Text("scope"); s != "" {
		where.Set("scope", s)
	}
	declare.Seconds(a.Dict, "ttl")
	c := &change{x: x, kind: "conversation.update", where: where, fn: fn, absent: &runtime.Dict{}}
	c.check = func(v runtime.Value) error {
		switch p := declare.Plain(v).(type) {
		case nil, *runtime.Dict:
		case runtime.List:
			if len(p) > 0 { // in Lua an empty table is both
				return wantState(v)
			}
		default:
			return wantState(v)
		}
		return checkValue(x, "conversation.update", "the new state", v)
	}
	c.ttl, _ = a.Get("ttl")
	return c.run()
}

func wantState(v runtime.Value) error {
	return declare.Hint("return the dict, or None to forget it", "%s", fmt.Sprintf("conversation.update: the function returned a %s, want a dict", runtime.TypeName(v)))
}
