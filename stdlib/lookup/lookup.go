// Package lookup declares the built-ins that find people, conversations, user groups and emoji.
// They are effects: the server answers from its cache, or asks Slack.
package lookup

import (
	"strings"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib/internal/declare"
)

// Builtins returns the declarations of the module.
func Builtins() []*runtime.Builtin {
	return []*runtime.Builtin{
		find("user", "Find a person.", "Id, e-mail address, or @name.",
			"result: `.ok`, `.error`, and the fields of Slack's user (`.id`, `.name`, `.profile`, …)",
			runtime.Example{Star: `user("ann@example.com")`, Want: `{"effect":"user","args":{"id":"ann@example.com"}}`},
			runtime.Example{Star: `user("<@U1|ann>")`, Want: `{"effect":"user","args":{"id":"U1"}}`},
			runtime.Example{Star: `user("")`, Fails: true, Want: "id is empty"}),
		find("channel", "Find a conversation.", "Id, or name with or without #.",
			"result: `.ok`, `.error`, and the fields of Slack's conversation (`.id`, `.name`, `.topic`, …)",
			runtime.Example{Star: `channel("#general")`, Want: `{"effect":"channel","args":{"id":"#general"}}`},
			runtime.Example{Star: `channel("<#C1|general>")`, Want: `{"effect":"channel","args":{"id":"C1"}}`}),
		find("usergroup", "Find a user group.", "Id, @handle, or name.",
			"result: `.ok`, `.error`, and the fields of Slack's user group (`.id`, `.handle`, `.name`, …)",
			runtime.Example{Star: `usergroup("@oncall")`, Want: `{"effect":"usergroup","args":{"id":"@oncall"}}`},
			runtime.Example{Star: `usergroup("<!subteam^S1|@oncall>")`, Want: `{"effect":"usergroup","args":{"id":"S1"}}`}),
		find("emoji", "Find a custom emoji.", "Name, with or without colons.",
			"result: `.ok`, `.error`, `.name` and `.url`; the alias of a standard emoji has no image: `.url` is None and `.alias` its name",
			runtime.Example{Star: `emoji(":party_parrot:")`, Want: `{"effect":"emoji","args":{"id":":party_parrot:"}}`},
			runtime.Example{Star: `emoji("")`, Fails: true, Want: "id is empty"}),
		find("bot_info", "Find out about a bot.", "Id of the bot (B…), as messages have it in `bot_id`.",
			"result: `.ok`, `.error`, and the fields of Slack's bot (`.id`, `.name`, `.app_id`, …)",
			runtime.Example{Star: `bot_info("B1")`, Want: `{"effect":"bot_info","args":{"id":"B1"}}`}),
		message,
	}
}

var message = &runtime.Builtin{
	Name: "find_message", Doc: "Find one message of a conversation.",
	Long: "In a thread or not. Answers come from a cache, for some minutes. Unknown: `.ok` is False.",
	Params: []runtime.Param{
		declare.Arg("channel", runtime.TString, "Id, or name with or without #."),
		declare.Arg("ts", runtime.TString, "The message's timestamp, as events have it in `ts`."),
	},
	Result: "result: `.ok`, `.error`, and the fields of Slack's message (`.text`, `.user`, `.bot_id`, …)",
	Purity: runtime.Asks, Since: declare.Since, Repeat: "Repeated after a crash: it only reads.",
	Examples: []runtime.Example{
		{Star: `find_message("C1", "1700000000.000100")`, Want: `{"effect":"find_message","args":{"channel":"C1","ts":"1700000000.000100"}}`},
		{Star: `find_message("C1", "")`, Fails: true, Want: "ts is empty"},
	},
	Fn: func(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
		channel, ts := unwrap(a.Text("channel")), a.Text("ts")
		switch {
		case channel == "" || channel == "#":
			return nil, declare.Hint("", "find_message: channel is empty")
		case ts == "":
			return nil, declare.Hint("", "find_message: ts is empty")
		case len(channel) > 255 || len(ts) > 255:
			return nil, declare.Hint("", "find_message: the limit of channel and ts is 255 bytes")
		}
		return x.Do("find_message", runtime.NewDict("channel", channel, "ts", ts))
	},
}

func find(name, doc, param, result string, ex ...runtime.Example) *runtime.Builtin {
	return &runtime.Builtin{
		Name: name, Doc: doc, Long: "Answers come from a cache that Slack's events keep fresh. Unknown: `.ok` is False.",
		Params: []runtime.Param{declare.Arg("id", runtime.TString, param+" A mention in Slack's markup is understood.")},
		Result: result, Purity: runtime.Asks, Since: declare.Since, Repeat: "Repeated after a crash: it only reads.",
		Examples: ex,
		Fn: func(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
			id := unwrap(a.Text("id"))
			if id == "" || id == "#" || id == "@" {
				return nil, declare.Hint("", "%s: id is empty", name)
			}
			if len(id) > 255 {
				return nil, declare.Hint("", "%s: id has %d bytes, the limit is 255", name, len(id))
			}
			return x.Do(name, runtime.NewDict("id", id))
		},
	}
}

// unwrap takes the id out of <@U1|name>, <#C1|name> and <!subteam^S1|@name>.
func unwrap(s string) string {
	if len(s) < 4 || s[0] != '<' || s[len(s)-1] != '>' {
		return s
	}
	inner := s[1 : len(s)-1]
	if id, ok := strings.CutPrefix(inner, "!subteam^"); ok {
		s = id
	} else if inner[0] == '@' || inner[0] == '#' {
		s = inner[1:]
	} else {
		return s
	}
	for i := range len(s) {
		if s[i] == '|' {
			return s[:i]
		}
	}
	return s
}
