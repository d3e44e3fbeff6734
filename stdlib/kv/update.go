package kv

import (
	"errors"
	"fmt"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib/internal/declare"
)

const updateLong = "The function is given the present value, or default, and returns the new one; None removes the key. " +
	"It has to be pure: when another run has changed the key meanwhile, it is called again with what is there now, " +
	"so that no change of either is lost. Built-ins with an effect are refused in it."

func update() *runtime.Builtin {
	b := op("update", "Change the value of a key with a function, as one step.", "the new value", []runtime.Param{
		declare.Arg("key", runtime.TString, "The key, at most 255 bytes."),
		declare.Arg("fn", runtime.TCallable, "Called with the value; returns the new one."),
		declare.Key("default", runtime.TAny, nil, "What the function is given if there is no such key."),
		declare.Key("ttl", runtime.TDuration, nil, "Forget the key after so long; kept for ever if left out."),
	},
		runtime.Example{
			Star: `kv.update("votes", lambda old: old + ["U1"], default=[])`,
			Lua:  `kv.update("votes", function(old) old[#old + 1] = "U1"; return old end, {default = {}})`,
			Want: `{"effect":"kv.update","args":{"key":"votes"}}`,
		},
		runtime.Example{Star: `kv.update("", lambda old: 1)`, Lua: `kv.update("", function(old) return 1 end)`, Fails: true, Want: "key is empty"})
	b.Long = updateLong
	return b
}

// change is the effect behind kv.update and conversation.update. It is asked
// for twice or more: first, without a value, for what is there; then to store
// what the function makes of it, unless that has changed. The new value is an
// argument of the effect, and so in the journal: a run that is taken up again
// stores what it meant to store the first time.
type change struct {
	x    *runtime.Context
	kind string
	// where are the arguments that say which cell is meant.
	where *runtime.Dict
	ttl   runtime.Value
	fn    runtime.Callable
	// absent is what fn is given if there is nothing.
	absent runtime.Value
	check  func(runtime.Value) error
}

func (c *change) run() (runtime.Value, error) {
	cell, err := c.ask(c.where)
	for err == nil {
		old, _ := cell.Get("value")
		if found, _ := cell.Get("found"); found != true {
			old = c.absent
		}
		var next runtime.Value
		if next, err = c.call(old); err != nil {
			return nil, err
		}
		was, _ := cell.Get("was")
		args := c.where.Clone()
		args.Set("value", next)
		args.Set("was", was)
		if c.ttl != nil {
			args.Set("ttl", c.ttl)
		}
		if cell, err = c.ask(args); err == nil {
			if done, _ := cell.Get("done"); done == true {
				return next, nil
			}
		}
	}
	return nil, err
}

// ask waits for the effect: what fn makes of a value cannot be put off.
func (c *change) ask(args *runtime.Dict) (*runtime.Dict, error) {
	v, err := c.x.Do(c.kind, args)
	if err != nil {
		return nil, err
	}
	if _, pending := v.(runtime.Pending); pending {
		return nil, c.x.Suspend()
	}
	d, ok := declare.Plain(v).(*runtime.Dict)
	if !ok {
		return nil, fmt.Errorf("%s: the store answers with a %s", c.kind, runtime.TypeName(v))
	}
	return d, nil
}

// call calls the function, which may ask for nothing: it is called again where
// a value has changed, and its effects would be done again.
func (c *change) call(old runtime.Value) (runtime.Value, error) {
	do := c.x.Do
	c.x.Do = func(kind string, _ *runtime.Dict) (runtime.Value, error) {
		return nil, declare.Hint("do it before or after", "%s has an effect, which is not possible in the function of %s", kind, c.kind)
	}
	defer func() { c.x.Do = do }()
	next, err := c.fn(old)
	if err != nil {
		return nil, err
	}
	if _, pending := next.(runtime.Pending); pending {
		return nil, c.x.Suspend()
	}
	return next, c.check(next)
}

func changeKey(x *runtime.Context, a *runtime.Args, kind string, shared bool) (runtime.Value, error) {
	if err := checkArgs(x, a); err != nil {
		return nil, err
	}
	fn, err := callable(a)
	if err != nil {
		return nil, err
	}
	where := runtime.NewDict("key", a.Text("key"))
	if shared || a.Bool("shared", false) {
		where.Set("shared", true)
	}
	declare.Seconds(a.Dict, "ttl")
	c := &change{x: x, kind: kind, where: where, fn: fn, check: func(v runtime.Value) error {
		return checkValue(x, a.Builtin.Name, "the new value", v)
	}}
	c.ttl, _ = a.Get("ttl")
	c.absent, _ = a.Get("default")
	return c.run()
}

func callable(a *runtime.Args) (runtime.Callable, error) {
	v, _ := a.Get("fn")
	fn, ok := v.(runtime.Callable)
	if !ok {
		return nil, errors.New("fn is no function")
	}
	return fn, nil
}
