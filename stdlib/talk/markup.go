package talk

import (
	"slices"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib/internal/declare"
)

// markupKinds are what names can be turned into markup for.
var markupKinds = []string{"users", "channels", "usergroups", "specials"}

// readMarkup declares read_markup.
func readMarkup() *runtime.Builtin {
	b := effect("read_markup", "Turn the ids in a text into the names that people read.",
		"Only whole pieces of markup are replaced. What nobody knows the name of stays as it is.",
		"Repeated after a crash: it only reads.",
		func(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
			return x.Do("read_markup", runtime.NewDict("text", a.Text("text")))
		},
		[]runtime.Param{declare.Arg("text", runtime.TString, "Text in Slack's markup.")},
		runtime.Example{Star: `read_markup("ask <@U1>")`, Want: `{"effect":"read_markup","args":{"text":"ask <@U1>"}}`})
	b.Result = "dict: `text`, and what was replaced in it, markup to name: `users channels usergroups specials emoji emails urls`"
	return b
}

// writeMarkup declares write_markup.
func writeMarkup() *runtime.Builtin {
	b := effect("write_markup", "Turn @names, #channels and @here into Slack's markup.",
		"Only whole words count: not the @ of an address, not what stands in code or in markup. In blocks and attachments the texts are replaced wherever they are. Unknown names stay as they are.",
		"Repeated after a crash: it only reads.", writeMarkupFn,
		[]runtime.Param{
			declare.Arg("content", runtime.TString|runtime.TList|runtime.TDict, "Text, blocks or attachments."),
			declare.Opt("kinds", runtime.TList, nil, "Which of `users`, `channels`, `usergroups` and `specials`; all if left out."),
		},
		runtime.Example{
			Star: `write_markup("ask @ann", ["users"])`, Lua: `write_markup("ask @ann", {"users"})`,
			Want: `{"effect":"write_markup","args":{"content":"ask @ann","kinds":["users"]}}`,
		},
		runtime.Example{Star: `write_markup("ask @ann", ["user"])`, Lua: `write_markup("ask @ann", {"user"})`, Fails: true, Want: "users"})
	b.Result = "the content with markup in it"
	return b
}

func writeMarkupFn(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	kinds := declare.List(a, "kinds")
	if kinds == nil {
		for _, k := range markupKinds {
			kinds = append(kinds, k)
		}
	}
	for _, k := range kinds {
		if s, _ := k.(string); !slices.Contains(markupKinds, s) {
			return nil, declare.Hint("it knows users, channels, usergroups and specials", "write_markup: it cannot look for %v", k)
		}
	}
	v, _ := a.Get("content")
	if err := declare.Data(v); err != nil {
		return nil, declare.Hint("", "write_markup: content %v", err)
	}
	return x.Do("write_markup", runtime.NewDict("content", v, "kinds", kinds))
}
