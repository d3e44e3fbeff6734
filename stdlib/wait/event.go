package wait

import (
	"regexp"
	"strings"
	"time"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib/internal/declare"
)

const (
	eventResult = "dict of the event's fields, None on time-out"
	eventRepeat = "Nothing is sent; after a crash the wait goes on where it was."
	eventLong   = "Rules that match the event run as well. The result has the fields of the event that are there (`.kind`, `.type`, `.user`, `.channel`, `.ts`, `.thread_ts`, `.text`, `.values`, `.json`, …; see `starling docs e`), and `.at`, when it arrived, in seconds since 1970. What happened before the wait began is not seen."
)

// kinds are those of the events that can be waited for.
var kinds = []string{"message", "mention", "command", "action", "view", "view_closed", "shortcut", "reaction", "home", "event", "webhook"}

// matchable are the fields that a wait can compare.
var matchable = []string{
	"type", "subtype", "team", "user", "channel", "ts", "thread_ts", "text", "command", "action_id", "block_id", "value",
	"callback_id", "reaction", "removed", "edited", "method", "path",
}

// The bounds of match.
const (
	maxMatch  = 20  // values of a field
	maxText   = 300 // bytes of a value
	maxRegexp = 500 // bytes of a pattern
)

func events() []*runtime.Builtin {
	kind := declare.Arg("kind", runtime.TString, "Kind of the event, as `e.kind`.")
	kind.Values = kinds
	removed := declare.Key("removed", runtime.TBool, false, "Wait for the emoji to be taken away instead.")
	const message = runtime.TString | runtime.TDict
	return []*runtime.Builtin{
		effect("wait_event", "Wait for an event.",
			"The fields that `match` can name are `"+strings.Join(matchable, "`, `")+"`. "+
				"Each is compared with a text, with a pattern made by `re.compile`, which is searched for, or with a list of which one has to fit; a channel may be given as `#name`, a person as `@name`. "+
				"Own messages and those of other bots are skipped, edits unless `edited` is among the fields. "+eventLong,
			eventResult, eventRepeat, waitEvent,
			[]runtime.Param{
				kind,
				declare.Opt("match", runtime.TDict, nil, "What the fields of the event have to be."),
				timeoutParam(),
			},
			runtime.Example{
				Star: `wait_event("webhook", {"path": "/hooks/ci/42"}, timeout="1h")`, Lua: `wait_event("webhook", {path = "/hooks/ci/42"}, {timeout = "1h"})`,
				Want: `{"effect":"wait_event","args":{"kind":"webhook","match":{"path":"/hooks/ci/42"},"timeout":3600.0}}`,
			},
			runtime.Example{
				Star: `wait_event("message", {"channel": "#ops", "user": ["U1", "@ann"], "text": re.compile("(?i)^done")})`,
				Lua:  `wait_event("message", {channel = "#ops", user = {"U1", "@ann"}, text = re.compile("(?i)^done")})`,
			},
			runtime.Example{Star: `wait_event("mesage")`, Fails: true, Want: "did you mean \"message\"?"},
			runtime.Example{
				Star: `wait_event("message", {"chanel": "#ops"})`, Lua: `wait_event("message", {chanel = "#ops"})`,
				Fails: true, Want: "match.chanel: is no field",
			}),
		effect("wait_reply", "Wait for a message in a thread.", eventLong, eventResult, eventRepeat, waitReply,
			[]runtime.Param{
				declare.Opt("thread", message, nil, "The message that the thread stands under: its `ts`, or the result of the call that posted it; that of the event if left out."),
				whoParam("Whose messages count."), timeoutParam(),
			},
			runtime.Example{
				Star: `wait_reply({"ok": True, "channel": "C1", "ts": "1700000000.000100"}, who="U1", timeout="10m")`,
				Lua:  `wait_reply({ok = true, channel = "C1", ts = "1700000000.000100"}, {who = "U1", timeout = "10m"})`,
				Want: `{"effect":"wait_reply","args":{"thread":{"channel":"C1","ts":"1700000000.000100"},"who":["U1"],"timeout":600.0}}`,
			},
			runtime.Example{Star: `wait_reply(who=["@ann"])`, Lua: `wait_reply({who = {"@ann"}})`, Want: `{"effect":"wait_reply","args":{"who":["@ann"]}}`},
			runtime.Example{Star: `wait_reply("yesterday")`, Fails: true, Want: "not the ts of a message"}),
		effect("wait_reaction", "Wait for an emoji on a message.", eventLong, eventResult, eventRepeat, waitReaction,
			[]runtime.Param{
				declare.Opt("message", message, nil, "The message: its `ts`, or the result of the call that posted it; that of the event if left out."),
				declare.Key("emoji", runtime.TString|runtime.TList, nil, "Which emoji: names with or without colons, in any skin tone; any if left out."),
				whoParam("Whose reactions count."), timeoutParam(), removed,
			},
			runtime.Example{
				Star: `wait_reaction("1700000000.000100", emoji="eyes", timeout="10m")`, Lua: `wait_reaction("1700000000.000100", {emoji = "eyes", timeout = "10m"})`,
				Want: `{"effect":"wait_reaction","args":{"message":{"ts":"1700000000.000100"},"emoji":["eyes"],"timeout":600.0}}`,
			},
			runtime.Example{
				Star: `wait_reaction(emoji=[":+1:", ":-1:"], who="@oncall")`, Lua: `wait_reaction({emoji = {":+1:", ":-1:"}, who = "@oncall"})`,
				Want: `{"effect":"wait_reaction","args":{"emoji":["+1","-1"],"who":["@oncall"]}}`,
			},
			runtime.Example{Star: `wait_reaction(emoji="thumbs up")`, Lua: `wait_reaction({emoji = "thumbs up"})`, Fails: true, Want: "not the name of an emoji"}),
	}
}

func waitEvent(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	d := a.Dict.Clone()
	if m := declare.Dict(a, "match"); m != nil {
		for _, f := range m.Fields {
			if err := checkMatch(f); err != nil {
				return nil, err
			}
		}
		d.Set("match", m)
	}
	if err := duration(a, d, "timeout", time.Second); err != nil {
		return nil, err
	}
	return await(x, "wait_event", d)
}

func checkMatch(f runtime.Field) error {
	at := "match." + f.Key
	known := false
	for _, name := range matchable {
		known = known || name == f.Key
	}
	if !known {
		hint := "it has " + strings.Join(matchable, ", ")
		if n := runtime.Nearest(f.Key, matchable); n != "" {
			hint = "did you mean " + n + "?"
		}
		return declare.Hint(hint, "wait_event: %s: is no field that can be waited for", at)
	}
	list, ok := declare.Plain(f.Value).(runtime.List)
	if !ok {
		return checkWanted(at, f.Value)
	}
	if len(list) == 0 || len(list) > maxMatch {
		return declare.Hint("", "wait_event: %s: has %d values, want 1 to %d", at, len(list), maxMatch)
	}
	for _, v := range list {
		if err := checkWanted(at, v); err != nil {
			return err
		}
	}
	return nil
}

func checkWanted(at string, v runtime.Value) error {
	switch v := v.(type) {
	case string:
		if v == "" || len(v) > maxText {
			return declare.Hint("", "wait_event: %s: has %d bytes, want 1 to %d", at, len(v), maxText)
		}
	case runtime.Regexp:
		if len(v.Pattern) > maxRegexp {
			return declare.Hint("", "wait_event: %s: has a pattern of %d bytes, want at most %d", at, len(v.Pattern), maxRegexp)
		}
	case bool, runtime.Unknown:
	default:
		return declare.Hint("such as \"C1\" or re.compile(\"…\")", "wait_event: %s: is a %s, want a string, a bool, or a pattern", at, runtime.TypeName(v))
	}
	return nil
}

func waitReply(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	d := a.Dict.Clone()
	if err := message(a, d, "thread", true); err != nil {
		return nil, err
	}
	return awaitPeople(x, a, d)
}

var emojiName = regexp.MustCompile(`^[\pL\pN_+'-][\pL\pN_+'.&()-]*(::skin-tone-[2-6])?$`)

func waitReaction(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	d := a.Dict.Clone()
	if err := message(a, d, "message", false); err != nil {
		return nil, err
	}
	if v, given := d.Get("emoji"); given && !unknown(v) {
		list, ok := declare.Plain(v).(runtime.List)
		if !ok {
			list = runtime.List{v}
		}
		names := make(runtime.List, len(list))
		for i, e := range list {
			s, _ := e.(string)
			if s = strings.Trim(s, ":"); !unknown(e) && (len(s) > 200 || !emojiName.MatchString(s)) {
				return nil, declare.Hint("such as \"eyes\" or \"+1\"", "wait_reaction: emoji: %q is not the name of an emoji", e)
			}
			names[i] = s
		}
		if len(names) == 0 || len(names) > maxMatch {
			return nil, declare.Hint("", "wait_reaction: emoji: has %d names, want 1 to %d", len(names), maxMatch)
		}
		d.Set("emoji", names)
	}
	return awaitPeople(x, a, d)
}

// awaitPeople waits after the parameters that waits for people share are checked.
func awaitPeople(x *runtime.Context, a *runtime.Args, d *runtime.Dict) (runtime.Value, error) {
	if err := people(a, d); err != nil {
		return nil, err
	}
	if err := duration(a, d, "timeout", time.Second); err != nil {
		return nil, err
	}
	return await(x, a.Builtin.Name, d)
}
