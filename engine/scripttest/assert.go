package scripttest

import (
	"fmt"
	"strings"

	"github.com/starling-rules/starling/runtime"
)

// finder finds the world of the test that calls a built-in; it may be nil.
type finder func(*runtime.Context) *world

// raise makes the error of f; its details are kept if there is a world.
func (find finder) raise(x *runtime.Context, f *Failure) error {
	if find != nil {
		if w := find(x); w != nil {
			return w.raise(f)
		}
	}
	e := f.Error
	return &e
}

func (find finder) assertion(name, doc string, fn func(a *runtime.Args) *Failure, example string, params ...runtime.Param) *runtime.Builtin {
	return &runtime.Builtin{
		Name: "assert." + name, Doc: doc, Params: append(params, opt("message", runtime.TString, "What to say if it is not so.")),
		Result: "None", Purity: runtime.Pure, Examples: []runtime.Example{{Star: example, Want: "null"}},
		Fn: func(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
			f := fn(a)
			if f == nil {
				return nil, nil
			}
			if m := a.Text("message"); m != "" {
				f.Error.Msg = m + ": " + f.Error.Msg
			}
			return nil, find.raise(x, f)
		},
	}
}

func get(a *runtime.Args, name string) runtime.Value {
	v, _ := a.Get(name)
	return plain(v)
}

func (find finder) assertBuiltins() []*runtime.Builtin {
	anything := runtime.TAny | runtime.TObject
	return []*runtime.Builtin{
		find.assertion("eq", "Two values are equal.", func(a *runtime.Args) *Failure {
			got, want := get(a, "got"), get(a, "want")
			if equal(want, got) || isPattern(want) && matches(want, got) {
				return nil
			}
			return differing(want, got, "not equal")
		}, `assert.eq(1 + 1, 2)`, arg("got", anything, "What there is."), arg("want", anything, "What is wanted.")),
		find.assertion("ne", "Two values differ.", func(a *runtime.Args) *Failure {
			if !equal(get(a, "a"), get(a, "b")) {
				return nil
			}
			return failf("both are %s", clip(render(get(a, "a"))))
		}, `assert.ne(1, 2)`, arg("a", anything, "One."), arg("b", anything, "The other.")),
		find.assertion("true", "A value is true: not False, None, 0, or empty. In Lua, where true is a word of the language, write assert.ok.", isTrue,
			`assert.true(1 < 2)`, arg("value", anything, "The value.")),
		find.assertion("ok", "The same as assert.true, under a name that Lua can write.", isTrue,
			`assert.ok(1 < 2)`, arg("value", anything, "The value.")),
		find.assertion("contains", "A text has a part, a list an element, a dict a key.", func(a *runtime.Args) *Failure {
			in, part := get(a, "value"), get(a, "part")
			if contains(in, part) {
				return nil
			}
			return failf("%s does not contain %s", clip(render(in)), clip(render(part)))
		}, `assert.contains("hello", "ell")`, arg("value", anything, "A text, list or dict."), arg("part", runtime.TAny, "What is in it.")),
		find.assertion("matches", "A value is as described: t.like for texts, dicts in the keys that are wanted.", func(a *runtime.Args) *Failure {
			got, want := get(a, "got"), get(a, "want")
			if s, ok := want.(string); ok {
				if t, ok := got.(string); ok && glob(s, t) {
					return nil
				}
			}
			if matches(want, got) {
				return nil
			}
			return differing(want, like(want, got), "no match")
		}, `assert.matches("hello ada", "hello *")`, arg("got", anything, "What there is."), arg("want", runtime.TAny, "What is wanted; in a text, * stands for anything.")),
		find.fails(), testBuiltin(),
	}
}

func isTrue(a *runtime.Args) *Failure {
	if v := get(a, "value"); !truthy(v) {
		return failf("got %s", clip(render(v)))
	}
	return nil
}

// fails calls a function that must fail.
func (find finder) fails() *runtime.Builtin {
	b := find.assertion("fails", "A function fails.", nil, `assert.fails(lambda: fail("no"), "no")`,
		arg("fn", runtime.TCallable, "Called without arguments."), opt("error", runtime.TAny, "A part of the error, or a pattern."))
	b.Examples[0].Lua = `assert.fails(function() fail("no") end, "no")`
	b.Fn = func(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
		v, _ := a.Get("fn")
		_, err := v.(runtime.Callable)()
		if err == nil {
			return nil, &runtime.Error{Kind: runtime.RunError, Msg: "the function did not fail"}
		}
		e, ok := err.(*runtime.Error)
		if !ok || e.Kind == runtime.LimitError || e.Kind == runtime.InternalError {
			return nil, err
		}
		want := get(a, "error")
		if s, is := want.(string); want == nil || is && strings.Contains(e.Msg, s) || !is && matches(want, e.Msg) {
			return nil, nil
		}
		return nil, find.raise(x, differing(want, e.Msg, "the function failed with another error"))
	}
	return b
}

// testBuiltin names a test, which is how Lua has them.
func testBuiltin() *runtime.Builtin {
	return &runtime.Builtin{
		Name: "test", Doc: "Names a test, at the top level of a *_test file. Functions called test_… are tests without it.", Purity: runtime.Register, Result: "None",
		Params: []runtime.Param{arg("name", runtime.TString, "The name."), arg("fn", runtime.TFunc, "Called as fn(t).")},
		Examples: []runtime.Example{{
			Star: `test("says hello", lambda t: t.expect(t.message("hi")).replied("hello"))`,
			Lua:  `test("says hello", function(t) t.expect(t.message("hi")).replied("hello") end)`,
		}},
	}
}

func truthy(v runtime.Value) bool {
	switch v := v.(type) {
	case nil:
		return false
	case bool:
		return v
	case int64:
		return v != 0
	case float64:
		return v != 0
	case string:
		return v != ""
	case runtime.List:
		return len(v) > 0
	case *runtime.Dict:
		return v.Len() > 0
	}
	return true
}

func contains(in, part runtime.Value) bool {
	switch in := in.(type) {
	case string:
		if isPattern(part) {
			return matches(part, in)
		}
		s, ok := part.(string)
		return ok && strings.Contains(in, s)
	case runtime.List:
		for _, e := range in {
			if matches(part, e) {
				return true
			}
		}
	case *runtime.Dict:
		s, ok := part.(string)
		_, has := in.Get(s)
		return ok && has
	}
	return false
}

// table is t.table: each case in a world of its own.
func table(w *world, x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	v, _ := a.Get("cases")
	fn, _ := a.Get("fn")
	cases, ok := v.(*runtime.Dict)
	if !ok {
		cases = &runtime.Dict{}
		for i, c := range v.(runtime.List) {
			name := fmt.Sprint(i + 1)
			if d, ok := c.(*runtime.Dict); ok && d.Text("name") != "" {
				name = d.Text("name")
			}
			cases.Fields = append(cases.Fields, runtime.Field{Key: name, Value: c})
		}
	}
	if cases.Len() == 0 {
		return nil, &runtime.Error{Kind: runtime.RunError, Msg: "t.table: there are no cases"}
	}
	for _, c := range cases.Fields {
		if err := w.again(); err != nil {
			return nil, err
		}
		if err := w.attempt(c.Key, fn.(runtime.Callable), w.tester, data(c.Value)); err != nil {
			return nil, err
		}
	}
	return nil, w.again()
}

// oneCase is t.case.
func oneCase(w *world, _ *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	fn, _ := a.Get("fn")
	return nil, w.attempt(a.Text("name"), fn.(runtime.Callable), w.tester)
}

// attempt runs a part of a test. What fails in it is kept, and the test goes on.
func (w *world) attempt(name string, fn runtime.Callable, args ...runtime.Value) error {
	before := len(w.all)
	_, err := fn(args...)
	var kept []*Failure
	if err != nil {
		e, ok := err.(*runtime.Error)
		if !ok || e.Kind == runtime.LimitError || e.Kind == runtime.InternalError {
			return err
		}
		kept = append(kept, w.failureOf(e))
	} else {
		kept = w.failedRuns(w.all[before:])
	}
	for _, r := range w.all[before:] {
		r.excused = true // it is told of here
	}
	for _, f := range kept {
		f.Case = strings.TrimPrefix(name+"/"+f.Case, "/")
		f.Case = strings.TrimSuffix(f.Case, "/")
	}
	w.failed = append(w.failed, kept...)
	return nil
}
