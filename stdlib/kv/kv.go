// Package kv declares the built-ins that keep state: kv.get, kv.set and their
// like, and once. All are effects; the store applies each at most once per
// step of a run, and a repeat returns the first result.
//
// Keys are private to the script. kv.shared.x is kv.x with shared=True: one
// namespace for all scripts. conversation.get and its like keep a dict for each
// person in each conversation (conversation.go).
//
//	Builtins   kv.get … kv.list, kv.shared.*, once, conversation.*
//	change     how kv.update reads, calls the script's function and stores
package kv

import (
	"slices"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib/internal/declare"
)

// The bounds of what is kept.
const (
	MaxKey   = 255      // bytes
	MaxValue = 64 << 10 // bytes of the value, as JSON or thereabouts
	MaxKeys  = 1000     // keys that one list returns
)

// Builtins returns the declarations of the module.
func Builtins() []*runtime.Builtin {
	own := operations()
	shared := operations()
	for _, b := range shared {
		b.Doc = b.Doc[:len(b.Doc)-1] + ", in the namespace that all scripts share."
		b.Long = "The same as `" + b.Name + "` with `shared=True`."
		b.Params = slices.DeleteFunc(b.Params, func(p runtime.Param) bool { return p.Name == "shared" })
		kind := b.Name
		do := ask
		if kind == "kv.update" {
			do = changeKey
		}
		b.Fn = func(x *runtime.Context, a *runtime.Args) (runtime.Value, error) { return do(x, a, kind, true) }
		b.Name = "kv.shared." + b.Name[len("kv."):]
		b.Examples = sharedExamples[kind]
	}
	return slices.Concat(own, shared, []*runtime.Builtin{once()}, conversations())
}

func operations() []*runtime.Builtin {
	key := declare.Arg("key", runtime.TString, "The key, at most 255 bytes.")
	ttl := declare.Key("ttl", runtime.TDuration, nil, "Forget the key after so long; kept for ever if left out.")
	def := declare.Opt("default", runtime.TAny, nil, "What a missing key yields.")
	value := func(name, doc string) runtime.Param { return declare.Arg(name, runtime.TAny, doc) }
	return []*runtime.Builtin{
		op("get", "Read the value of a key.", "the value, or default", []runtime.Param{key, def},
			runtime.Example{Star: `kv.get("last")`, Want: `{"effect":"kv.get","args":{"key":"last"}}`},
			runtime.Example{Star: `kv.get("count", 0)`, Want: `{"effect":"kv.get","args":{"key":"count","default":0}}`},
			runtime.Example{Star: `kv.get("")`, Fails: true, Want: "key is empty"}),
		op("set", "Store a value under a key.", "None", []runtime.Param{key, value("value", "Plain data, at most 64 KiB."), ttl},
			runtime.Example{
				Star: `kv.set("last", {"by": "U1"}, ttl="1d")`, Lua: `kv.set("last", {by = "U1"}, {ttl = "1d"})`,
				Want: `{"effect":"kv.set","args":{"key":"last","value":{"by":"U1"},"ttl":86400.0}}`,
			},
			runtime.Example{Star: `kv.set("token", secret("T"))`, Fails: true, Want: "secret"}),
		op("delete", "Remove a key.", "bool: whether it was there", []runtime.Param{key},
			runtime.Example{Star: `kv.delete("last")`, Want: `{"effect":"kv.delete","args":{"key":"last"}}`}),
		op("incr", "Add to the number under a key.", "int: the new number", []runtime.Param{
			key, declare.Opt("by", runtime.TInt, int64(1), "What to add; may be negative."), ttl,
		},
			runtime.Example{Star: `kv.incr("count")`, Want: `{"effect":"kv.incr","args":{"key":"count"}}`},
			runtime.Example{Star: `kv.incr("count", -1)`, Want: `{"effect":"kv.incr","args":{"key":"count","by":-1}}`}),
		op("cas", "Replace the value of a key if it is what was expected.", "bool: whether it was replaced", []runtime.Param{
			key, value("old", "What must be there; None if nothing must."), value("new", "What to store; None removes the key."), ttl,
		},
			runtime.Example{Star: `kv.cas("owner", "U1", "U2")`, Want: `{"effect":"kv.cas","args":{"key":"owner","old":"U1","new":"U2"}}`},
			runtime.Example{Star: `kv.cas("owner", None, "U1")`, Lua: `kv.cas("owner", nil, "U1")`, Want: `{"effect":"kv.cas","args":{"key":"owner","old":null,"new":"U1"}}`}),
		update(),
		op("list", "List the keys that begin with a text.", "list of strings, sorted", []runtime.Param{
			declare.Opt("prefix", runtime.TString, "", "How the keys begin."),
			declare.Key("limit", runtime.TInt, int64(100), "At most so many, up to 1000."),
			declare.Key("after", runtime.TString, nil, "Begin after this key: the last one of the list before."),
		},
			runtime.Example{Star: `kv.list("vote.")`, Want: `{"effect":"kv.list","args":{"prefix":"vote."}}`},
			runtime.Example{Star: `kv.list(limit=0)`, Lua: `kv.list({limit = 0})`, Fails: true, Want: "limit"}),
	}
}

var sharedExamples = map[string][]runtime.Example{
	"kv.get":    {{Star: `kv.shared.get("motd")`, Want: `{"effect":"kv.get","args":{"key":"motd","shared":true}}`}},
	"kv.set":    {{Star: `kv.shared.set("motd", "hi")`, Want: `{"effect":"kv.set","args":{"key":"motd","value":"hi","shared":true}}`}},
	"kv.delete": {{Star: `kv.shared.delete("motd")`, Want: `{"effect":"kv.delete","args":{"key":"motd","shared":true}}`}},
	"kv.incr":   {{Star: `kv.shared.incr("seen", 2)`, Want: `{"effect":"kv.incr","args":{"key":"seen","by":2,"shared":true}}`}},
	"kv.cas":    {{Star: `kv.shared.cas("k", 1, 2)`, Want: `{"effect":"kv.cas","args":{"key":"k","old":1,"new":2,"shared":true}}`}},
	"kv.update": {{
		Star: `kv.shared.update("seen", lambda n: n + 1, default=0)`, Lua: `kv.shared.update("seen", function(n) return n + 1 end, {default = 0})`,
		Want: `{"effect":"kv.update","args":{"key":"seen","shared":true}}`,
	}},
	"kv.list": {{Star: `kv.shared.list()`, Want: `{"effect":"kv.list","args":{"shared":true}}`}},
}

const repeat = "Applied once per step of a run: after a crash it returns the first result."

func op(name, doc, result string, params []runtime.Param, ex ...runtime.Example) *runtime.Builtin {
	kind, do := "kv."+name, ask
	if name == "update" {
		do = changeKey
	}
	return &runtime.Builtin{
		Name: kind, Doc: doc, Result: result,
		Params: append(params, declare.Key("shared", runtime.TBool, false, "Use the namespace that all scripts share.")),
		Purity: runtime.Asks, Since: declare.Since, Repeat: repeat, Examples: ex,
		Fn: func(x *runtime.Context, a *runtime.Args) (runtime.Value, error) { return do(x, a, kind, false) },
	}
}

func once() *runtime.Builtin {
	return &runtime.Builtin{
		Name: "once", Doc: "Tell whether this is the first time for a key.",
		Long: "Asks and remembers in one step, so that of several runs one alone is told True.",
		Params: []runtime.Param{
			declare.Arg("key", runtime.TString, "What is done once, at most 255 bytes."),
			declare.Opt("ttl", runtime.TDuration, nil, "It is a first time again after so long; never if left out."),
		},
		Result: "bool: True the first time", Purity: runtime.Asks, Since: declare.Since, Repeat: repeat,
		Fn: func(x *runtime.Context, a *runtime.Args) (runtime.Value, error) { return ask(x, a, "once", false) },
		Examples: []runtime.Example{
			{Star: `once("welcome U1", "1d")`, Want: `{"effect":"once","args":{"key":"welcome U1","ttl":86400.0}}`},
			{Star: `once("k", 0)`, Fails: true, Want: "ttl"},
		},
	}
}

// ask checks the bounds and asks for the effect.
func ask(x *runtime.Context, a *runtime.Args, kind string, shared bool) (runtime.Value, error) {
	if err := checkArgs(x, a); err != nil {
		return nil, err
	}
	d := a.Dict
	declare.Seconds(d, "ttl")
	if shared {
		d = d.Clone()
		d.Set("shared", true)
	}
	return x.Do(kind, d)
}

// checkArgs holds the arguments to the bounds, whichever of them there are.
func checkArgs(x *runtime.Context, a *runtime.Args) error {
	name := a.Builtin.Name
	for _, p := range a.Builtin.Params {
		if (p.Name == "key" || p.Name == "name" && !p.Optional) && a.Text(p.Name) == "" {
			return declare.Hint("", "%s: %s is empty", name, p.Name)
		}
	}
	for _, p := range []string{"key", "name", "prefix", "after"} {
		if n := len(a.Text(p)); n > MaxKey {
			return declare.Hint("hash.sha256 shortens it", "%s: %s has %d bytes, the limit is %d", name, p, n, MaxKey)
		}
	}
	if n := a.Int("limit", 1); n < 1 || n > MaxKeys {
		return declare.Hint("", "%s: limit is %d, want 1 to %d", name, n, MaxKeys)
	}
	if a.Has("ttl") && a.Duration("ttl", 0) <= 0 {
		return declare.Hint("", "%s: ttl must be more than nothing", name)
	}
	for _, p := range []string{"value", "old", "new", "default"} {
		if v, given := a.Get(p); given {
			if err := checkValue(x, name, p, v); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkValue holds a value to what is kept: plain data within the bounds.
func checkValue(x *runtime.Context, name, what string, v runtime.Value) error {
	if err := declare.Data(v); err != nil {
		return declare.Hint("", "%s: %s %v", name, what, err)
	}
	n := declare.Size(v, MaxValue)
	if err := declare.ChargeText(x, n); err != nil {
		return err
	}
	if n > MaxValue {
		return declare.Hint("keep a part of it, or several keys", "%s: %s takes more than %d bytes", name, what, MaxValue)
	}
	return nil
}
