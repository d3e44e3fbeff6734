package on

import (
	"slices"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib/internal/declare"
)

// hook declares a registration around rules; of the options of every rule it
// has those named.
func hook(name, doc, long string, own []runtime.Param, common []string, ex ...runtime.Example) *runtime.Builtin {
	params := []runtime.Param{handler("Called with what it is to judge.")}
	params = append(params, own...)
	for _, p := range options(name) {
		if slices.Contains(common, p.Name) {
			params = append(params, p)
		}
	}
	return &runtime.Builtin{
		Name: "on." + name, Doc: doc, Long: long, Params: params,
		Result: "None", Purity: runtime.Register, Since: declare.Since, Examples: ex,
	}
}

// hooks are asked before other rules run, and before what they say is sent.
func hooks() []*runtime.Builtin {
	const names = runtime.TString | runtime.TList
	return []*runtime.Builtin{
		hook("guard", "Ask a function about every event before any rule is matched.",
			"It returns `True` to let the event go on. `False`, or a text for whoever asked, refuses it: no rule of any script sees it. "+
				"A failure, a limit, a function that returns nothing or anything else refuses as well, and so does a guard that went beyond its limits and is switched off. "+
				"Guards hold for the rules of all scripts; they are asked by priority, file and line, and the first refusal counts. "+
				"A guard may read (`kv.get`, `user`, `usergroup`, …), for a second in all or as `timeout` says; what would change anything is refused.",
			[]runtime.Param{declare.Key("kinds", names, nil, "Only for events of these kinds, such as `command`; all if left out.")},
			[]string{"name", "help", "channels", "users", "teams", "bots", "priority", "owner", "timeout", "enabled"},
			runtime.Example{
				Star: "def freeze(e):\n    if kv.get(\"freeze\"):\n        return \"Nothing is deployed today.\"\n    return True\non.guard(freeze, kinds=[\"command\"])",
				Lua:  "on.guard(function(e) if kv.get(\"freeze\") then return \"Nothing is deployed today.\" end return true end, {kinds = {\"command\"}})",
			},
			runtime.Example{
				Star: "on.guard(lambda e: True, stop=True)", Fails: true, Want: "stop",
				Lua: "on.guard(function(e) return true end, {stop = true})",
			}),
		hook("outgoing", "Ask a function about every message that a script is about to send.",
			"It is given the message: `kind` (the built-in that sends it, or `answer`), `method`, `channel`, `user`, `thread_ts`, `text`, `blocks`, `attachments`, `args` with all of it, "+
				"`rule`, `script`, `run`, and `event` as on.error has it. It returns `True` to let it go as it is, a text to say instead, or a dict of what to change (`{\"text\": …, \"blocks\": …}`). "+
				"`False` refuses the message: the built-in returns `.ok = False, .error = \"refused\"`. A failure, a limit, or nothing returned refuses as well. "+
				"What is asked about are messages of all scripts: `respond reply post dm ephemeral update`, returned texts, and `slack_action` of `chat.…`; not the server's own notices. "+
				"Several are asked by priority, file and line, each with what the one before made of the message. They may read, and send nothing themselves.",
			[]runtime.Param{declare.Key("own", runtime.TBool, false, "Only about messages of the same script.")},
			[]string{"name", "help", "priority", "owner", "timeout", "enabled"},
			runtime.Example{
				Star: "def hush(m):\n    return re.sub(\"tok_[a-z0-9]+\", \"…\", m.text) if m.text else True\non.outgoing(hush)",
				Lua:  "on.outgoing(function(m) if m.text then return re.sub(\"tok_[a-z0-9]+\", \"…\", m.text) end return true end)",
			}),
	}
}
