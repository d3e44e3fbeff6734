// Package commands declares the built-ins that know what people can ask the bot
// for: the rules in force, as far as the person behind the event may run them.
// They are effects; the server answers from its rules.
package commands

import (
	"strings"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib/internal/declare"
)

// MaxText bounds what is looked up or repeated, in bytes.
const MaxText = 4000

const command = "A command is a dict: `usage`, how it is written; `help`, one line; `about`, more of it; `kind`, as `mention`; `name`; `script` and `group`, what the script says it is for; " +
	"`arguments`, a list of dicts (`name written type required choices default`); `channels`, where it works, empty for everywhere; `here`, whether it works where the event is from."

// Builtins returns the declarations of the module.
func Builtins() []*runtime.Builtin {
	return []*runtime.Builtin{
		{
			Name: "commands.list", Doc: "List what the person behind the event can ask the bot for.",
			Long: "These are the rules that have `args`, slash commands, and others of messages, mentions, reactions and shortcuts that have a `help` or a docstring. " +
				"What the person may not run is left out: by `users`, `teams` and `bots`, and by permissions. So is what is switched off, and what has `help=\"\"`. " + command,
			Result: "list of commands, those of one script together", Purity: runtime.Asks, Since: declare.Since,
			Repeat: "Repeated after a crash: it only reads.",
			Examples: []runtime.Example{
				{Star: `commands.list()`, Want: `{"effect":"commands.list","args":{}}`},
			},
		},
		{
			Name: "commands.find", Doc: "Find what somebody may have meant by a text.",
			Long: "`command` is the rule that is for the text, or None. Without one, `near` has commands that are written much like it, and `elsewhere` those that it names and that work in other channels. " +
				"Only what the person behind the event may run is found. " + command,
			Params: []runtime.Param{declare.Opt("text", runtime.TString, nil, "What was asked, without the mention of the bot; the text of the event if left out.")},
			Result: "dict: `text`, `command`, `near` and `elsewhere`", Purity: runtime.Asks, Since: declare.Since,
			Repeat: "Repeated after a crash: it only reads.", Fn: bounded("commands.find", true),
			Examples: []runtime.Example{
				{Star: `commands.find("deploi api")`, Want: `{"effect":"commands.find","args":{"text":"deploi api"}}`},
			},
		},
		{
			Name: "commands.again", Doc: "Take a text as if the person behind the event had just asked the bot for it.",
			Long: "All rules see it as a message of that person, in the same place. What was repeated cannot repeat again.",
			Params: []runtime.Param{
				declare.Arg("text", runtime.TString, "What is asked, without the mention of the bot."),
			},
			Result: "result: `.ok` and `.error`", Purity: runtime.Asks, Since: declare.Since,
			Repeat: "Applied once per step of a run.", Fn: bounded("commands.again", false),
			Examples: []runtime.Example{
				{Star: `commands.again("deploy api")`, Want: `{"effect":"commands.again","args":{"text":"deploy api"}}`},
				{Star: `commands.again(" ")`, Fails: true, Want: "text is empty"},
			},
		},
	}
}

// bounded asks for the effect with a text that is not too long.
func bounded(kind string, optional bool) func(*runtime.Context, *runtime.Args) (runtime.Value, error) {
	return func(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
		text := a.Text("text")
		switch {
		case !optional && strings.TrimSpace(text) == "":
			return nil, declare.Hint("", "%s: text is empty", kind)
		case len(text) > MaxText:
			return nil, declare.Hint("", "%s: text has %d bytes, the limit is %d", kind, len(text), MaxText)
		}
		return x.Do(kind, a.Dict)
	}
}
