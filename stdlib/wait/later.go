package wait

import (
	"strings"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib/internal/declare"
)

func later() []*runtime.Builtin {
	return []*runtime.Builtin{
		effect("sleep", "Wait for so long.",
			"The run holds nothing meanwhile, and goes on after restarts with the version of the script that it began with. `now()` stays the start of the run; `time.now()` as well.",
			"None", "The time that was begun before a crash counts.", sleep,
			[]runtime.Param{declare.Arg("duration", runtime.TDuration, "Such as `10m`, or a number of seconds; at most 366 days.")},
			runtime.Example{Star: `sleep("10m")`, Want: `{"effect":"sleep","args":{"duration":600.0}}`},
			runtime.Example{Star: `sleep(2.5)`, Want: `{"effect":"sleep","args":{"duration":2.5}}`},
			runtime.Example{Star: `sleep("-1s")`, Fails: true, Want: "sleep: duration: is \"-1s\", want nothing to 366 days"},
			runtime.Example{Star: `sleep("ten minutes")`, Fails: true, Want: "is not a duration"}),
		effect("after", "Call a function later, in a run of its own.",
			"The run that asks goes on at once. The function is called with the event and the data if it takes two parameters; if it takes one, with the data, or with the event if no data is given. "+
				"It runs with the version of the script that asked, also after restarts. It has to stand at the top level of a file: a function made in the run is gone after it.",
			"string: an id for `cancel`", "Asked for twice, it is called once.", after,
			[]runtime.Param{
				declare.Arg("delay", runtime.TDuration, "Such as `1h`, or a number of seconds; at most 366 days."),
				declare.Arg("fn", runtime.TFunc, "A function at the top level."),
				declare.Opt("data", runtime.TAny, nil, "Plain data for the function, at most 64 KB."),
			},
			runtime.Example{
				Star: "def remind(e, what):\n    return reply(\"Time to \" + what)\n\ndef start(e):\n    after(\"1h\", remind, \"stretch\")\n\non.mention(\"^remind me\", start)",
				Lua:  "local function remind(e, what)\n  return reply(\"Time to \" .. what)\nend\n\non.mention(\"^remind me\", function(e)\n  after(\"1h\", remind, \"stretch\")\nend)",
			},
			runtime.Example{
				Star: `after("1h", lambda e: reply("ping"))`, Lua: `after("1h", function(e) reply("ping") end)`,
				Fails: true, Want: "use a function that is defined at the top level of a file",
			}),
		effect("cancel", "Cancel what `after` was to call, or a waiting run of the same script.",
			"What has begun goes on.", "bool: whether there was something to cancel", "Repeated after a crash: to do it twice changes nothing.", cancel,
			[]runtime.Param{declare.Arg("id", runtime.TString, "What `after` returned, or the id of a run.")},
			runtime.Example{Star: `cancel("8f14e45fceea167a")`, Want: `{"effect":"cancel","args":{"id":"8f14e45fceea167a"}}`},
			runtime.Example{Star: `cancel("")`, Fails: true, Want: "cancel: id: is empty"}),
	}
}

func sleep(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	d := a.Dict.Clone()
	if err := duration(a, d, "duration", 0); err != nil {
		return nil, err
	}
	return await(x, "sleep", d)
}

// after is told its function by number: only those that stand at the top level
// have one, and the binding refuses all others.
func after(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	d := a.Dict.Clone()
	if err := duration(a, d, "delay", 0); err != nil {
		return nil, err
	}
	v, _ := a.Get("fn")
	_, given := a.Get("data")
	if f, ok := v.(runtime.Func); ok {
		if f.Required > 2 {
			return nil, declare.Hint("make a dict of what it needs", "after: fn: %s takes %d arguments, and gets the event and the data", f.Name, f.Required)
		}
		if given && f.Arity == 0 {
			return nil, declare.Hint("", "after: fn: %s takes no arguments, so data is for nobody", f.Name)
		}
	}
	data, _ := a.Get("data")
	if err := declare.Data(data); given && !unknown(data) && err != nil {
		return nil, declare.Hint("", "after: data: %v", err)
	}
	if declare.Size(data, maxData) > maxData {
		return nil, declare.Hint("keep it with kv.set, and give the key", "after: data: more than 64 KB")
	}
	return x.Do("after", d)
}

func cancel(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	id := strings.TrimSpace(a.Text("id"))
	switch {
	case id == "":
		return nil, declare.Hint("it is what after returned", "cancel: id: is empty")
	case len(id) > 255:
		return nil, declare.Hint("it is what after returned", "cancel: id: has %d bytes, the limit is 255", len(id))
	}
	return x.Do("cancel", runtime.NewDict("id", id))
}
