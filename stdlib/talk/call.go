package talk

import (
	"regexp"
	"slices"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib/internal/declare"
)

func calls() []*runtime.Builtin {
	shared := []runtime.Param{
		declare.Key("as_user", runtime.TBool, false, "Use the user token instead of the bot's."),
		declare.Key("fill", runtime.TBool, true, "Take a missing channel, timestamp, user or trigger_id from the event where the method needs it."),
	}
	rest := declare.Rest("fields", "Further arguments of the method, by Slack's names.")
	action := append([]runtime.Param{
		declare.Arg("method", runtime.TString, "Slack's name of the method, such as `chat.postMessage`."),
		declare.Opt("args", runtime.TDict, nil, "Arguments of the method, for names that are options here or cannot be written as keywords."),
	}, shared...)
	action = append(action,
		declare.Key("check", runtime.TBool, false, "Fail the run if Slack refuses the call."),
		declare.Key("parse", runtime.TDict|runtime.TString, nil, "Turn @names, #channels and @here in text fields into Slack's markup: `{\"text\": [\"users\", \"channels\", \"specials\"]}`. A text is Slack's own argument of that name."),
		declare.Key("idempotent", runtime.TBool, false, "The call may be repeated after a crash."),
		rest)
	pages := append([]runtime.Param{
		declare.Arg("method", runtime.TString, "Slack's name of a method that answers in pages, such as `users.list`."),
		declare.Opt("args", runtime.TDict, nil, "Arguments of the method."),
	}, shared...)
	pages = append(pages,
		declare.Key("key", runtime.TString, nil, "Name of the list in the answer; the only list if left out."),
		declare.Key("max", runtime.TInt, int64(1000), "Stop after so many items, at most 10,000."),
		rest)
	collected := effect("slack_pages", "Call a Web API method page by page and collect the items.", "`limit` sets the size of a page.",
		"Repeated after a crash: only methods that read answer in pages.", slackPages, pages,
		runtime.Example{
			Star: `slack_pages("users.list", max=50)`, Lua: `slack_pages("users.list", {max = 50})`,
			Want: `{"effect":"slack_pages","args":{"method":"users.list","max":50}}`,
		},
		runtime.Example{Star: `slack_pages("users.list", max=0)`, Lua: `slack_pages("users.list", {max = 0})`, Fails: true, Want: "max"})
	collected.Result = "result: `.ok`, `.error`, `.items`, and `.complete` unless there was more"
	return []*runtime.Builtin{
		readMarkup(), writeMarkup(),
		effect("slack_action", "Call any method of Slack's Web API by its name.",
			"Dicts and lists are encoded as the method wants them. What Slack answers is the result, good or bad; `check=True` makes a bad one fail the run.",
			"Methods that read are repeated after a crash, posted messages are looked up, other calls are repeated only with `idempotent=True`.", slackAction, action,
			runtime.Example{
				Star: `slack_action("chat.postMessage", channel="C1", text="hi")`, Lua: `slack_action("chat.postMessage", {channel = "C1", text = "hi"})`,
				Want: `{"effect":"slack_action","args":{"method":"chat.postMessage","args":{"channel":"C1","text":"hi"}}}`,
			},
			runtime.Example{
				Star: `slack_action("chat.postMessage", {"text": "ask @ann"}, parse={"text": ["users"]}, as_user=True)`,
				Lua:  `slack_action("chat.postMessage", {text = "ask @ann"}, {parse = {text = {"users"}}, as_user = true})`,
				Want: `{"effect":"slack_action","args":{"method":"chat.postMessage","args":{"text":"ask @ann"},"as_user":true,"parse":{"text":["users"]}}}`,
			},
			runtime.Example{Star: `slack_action("postMessage")`, Fails: true, Want: "not the name of a Web API method"},
			runtime.Example{
				Star: `slack_action("chat.postMessage", parse={"text": ["user"]})`, Lua: `slack_action("chat.postMessage", {parse = {text = {"user"}}})`,
				Fails: true, Want: "users",
			}),
		collected,
	}
}

var methodName = regexp.MustCompile(`^[a-z][A-Za-z0-9]*(\.[A-Za-z0-9_]+)+$`)

// maxItems bounds what slack_pages collects in one result.
const maxItems = 10_000

// slackAction gathers args and the keywords into one dict.
func slackAction(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	out, fields, err := method(a)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"as_user", "fill", "check", "idempotent"} {
		copyArg(out, a, name)
	}
	if v, ok := a.Get("parse"); ok {
		switch p := declare.Plain(v).(type) {
		case string:
			fields.Set("parse", p)
		case *runtime.Dict:
			if err := checkParse(p); err != nil {
				return nil, err
			}
			out.Set("parse", p)
		}
	}
	setArgs(out, fields)
	return x.Do("slack_action", out)
}

func slackPages(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	out, fields, err := method(a)
	if err != nil {
		return nil, err
	}
	if n := a.Int("max", 1); n < 1 || n > maxItems {
		return nil, declare.Hint("leave it out for 1000", "slack_pages: max is %d, want 1 to %d", n, maxItems)
	}
	for _, name := range []string{"as_user", "fill", "key", "max"} {
		copyArg(out, a, name)
	}
	setArgs(out, fields)
	return x.Do("slack_pages", out)
}

// method starts the effect's arguments, and merges args with the keywords.
func method(a *runtime.Args) (out, fields *runtime.Dict, err error) {
	name := a.Text("method")
	if len(name) > 100 || !methodName.MatchString(name) {
		return nil, nil, declare.Hint("write it as Slack does: \"chat.postMessage\"", "%s: %q is not the name of a Web API method", a.Builtin.Name, name)
	}
	fields = declare.Dict(a, "args").Clone()
	if rest := declare.Dict(a, "fields"); rest != nil {
		for _, f := range rest.Fields {
			fields.Set(f.Key, f.Value)
		}
	}
	if _, ok := fields.Get("token"); ok {
		return nil, nil, declare.Hint("tokens stay in the server; as_user=True picks the user token", "%s: a token cannot be given", a.Builtin.Name)
	}
	return runtime.NewDict("method", name), fields, nil
}

// setArgs puts the method's arguments second, where a reader looks for them.
func setArgs(out, fields *runtime.Dict) {
	if fields.Len() == 0 {
		return
	}
	out.Fields = append(out.Fields[:1:1], append([]runtime.Field{{Key: "args", Value: fields}}, out.Fields[1:]...)...)
}

func copyArg(out *runtime.Dict, a *runtime.Args, name string) {
	if v, ok := a.Get(name); ok {
		out.Set(name, v)
	}
}

func checkParse(p *runtime.Dict) error {
	for _, f := range p.Fields {
		list, ok := declare.Plain(f.Value).(runtime.List)
		if !ok {
			return declare.Hint("such as {\"text\": [\"users\"]}", "slack_action: parse[%q] is a %s, want a list", f.Key, runtime.TypeName(f.Value))
		}
		for _, k := range list {
			s, _ := k.(string)
			if !slices.Contains(markupKinds, s) {
				return declare.Hint("it knows users, channels, usergroups and specials", "slack_action: parse[%q] cannot look for %q", f.Key, s)
			}
		}
	}
	return nil
}
