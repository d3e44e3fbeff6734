package stdlib_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/lua"
	"github.com/starling-rules/starling/runtime/star"
	"github.com/starling-rules/starling/stdlib"
)

// dialect is how the examples are written and executed in one language.
type dialect struct {
	runtime.Language
	text func(runtime.Example) string
	// body makes a script of an expression; %s is its place.
	body string
	// exact tells 1 from 1.0.
	exact bool
}

// TestExamplesInStarlark executes every example of every declaration.
func TestExamplesInStarlark(t *testing.T) {
	t.Parallel()
	lib := library(t)
	lang, err := star.New(runtime.Host{Library: lib})
	if err != nil {
		t.Fatal(err)
	}
	executeAll(t, lib, dialect{
		Language: lang, exact: true, body: "def example():\n    return %s\non.error(example)\n",
		text: func(e runtime.Example) string { return e.Star },
	})
}

// TestExamplesInLua does the same for Lua.
func TestExamplesInLua(t *testing.T) {
	t.Parallel()
	lib := library(t)
	lang, err := lua.New(runtime.Host{Library: lib})
	if err != nil {
		t.Fatal(err)
	}
	executeAll(t, lib, dialect{
		Language: lang, body: "on.error(function() return %s end)\n",
		text: func(e runtime.Example) string {
			if e.Lua == "" {
				return e.Star
			}
			return e.Lua
		},
	})
}

func library(t *testing.T) *runtime.Library {
	t.Helper()
	lib, err := stdlib.Library()
	if err != nil {
		t.Fatal(err)
	}
	return lib
}

func executeAll(t *testing.T, lib *runtime.Library, lang dialect) {
	for _, b := range lib.All() {
		for i, e := range b.Examples {
			t.Run(fmt.Sprintf("%s/%d", b.Name, i), func(t *testing.T) {
				t.Parallel()
				e.Star = lang.text(e)
				if b.Purity == runtime.Register {
					loadExample(t, lang, b, e)
					return
				}
				runExample(t, lang, b, e)
			})
		}
	}
}

// loadExample loads an example that registers a rule.
func loadExample(t *testing.T, lang dialect, b *runtime.Builtin, e runtime.Example) {
	t.Helper()
	_, manifest, err := load(lang, e.Star)
	if e.Fails {
		wantError(t, e, err)
		return
	}
	if err != nil {
		t.Fatalf("%s\n%v", e.Star, err)
	}
	regs := manifest.Registrations
	if len(regs) != 1 || regs[0].Name != b.Name {
		t.Fatalf("%s\nregistered %+v", e.Star, regs)
	}
	if !slices.ContainsFunc(regs[0].Args.Fields, func(f runtime.Field) bool { _, is := f.Value.(runtime.Func); return is }) {
		t.Fatalf("%s\nregistered no function", e.Star)
	}
}

// runExample runs an expression as the body of a handler.
func runExample(t *testing.T, lang dialect, b *runtime.Builtin, e runtime.Example) {
	t.Helper()
	// What needs functions beside its own is a whole script.
	text, whole := e.Star, strings.Contains(e.Star, "\non.")
	if !whole {
		text = fmt.Sprintf(lang.body, e.Star)
	}
	module, manifest, err := load(lang, text)
	if err != nil {
		t.Fatalf("%s\n%v", e.Star, err)
	}
	fn, _ := manifest.Registrations[0].Args.Get("fn")
	call := &runtime.Call{Func: fn.(runtime.Func).Index, When: -1, RunID: "run", Now: time.Unix(1_700_000_000, 0), Seed: 7}
	if whole {
		call.Extra = []runtime.Value{&runtime.Dict{}}
	}
	r := module.Run(context.Background(), call)
	if e.Fails {
		if r.Err == nil {
			t.Fatalf("%s\ndid not fail", e.Star)
		}
		wantError(t, e, r.Err)
		return
	}
	if r.Err != nil {
		t.Fatalf("%s\n%v", e.Star, r.Err.Detail())
	}
	got := r.Return
	if len(r.Effects) > 0 {
		got = runtime.NewDict("effect", r.Effects[0].Kind, "args", r.Effects[0].Args)
	} else if b.Purity == runtime.Asks && b.Name != "hash.hmac" {
		t.Fatalf("%s\nasked for nothing", e.Star)
	}
	if e.Want != "" {
		wantJSON(t, lang, e, got)
	}
}

func load(lang dialect, text string) (runtime.Module, *runtime.Manifest, error) {
	name := "example" + lang.Ext()
	bundle := runtime.NewBundle(lang.Name(), name, map[string][]byte{name: []byte(text)}, nil)
	return lang.Load(context.Background(), bundle, runtime.Limits{}.OrDefault())
}

func wantError(t *testing.T, e runtime.Example, err error) {
	t.Helper()
	if err == nil {
		t.Fatalf("%s\ndid not fail", e.Star)
	}
	text := err.Error()
	var errs runtime.Errors
	if errors.As(err, &errs) {
		text = errs.Detail()
	}
	if !strings.Contains(text, e.Want) {
		t.Fatalf("%s\nfailed with %s\nwant %s", e.Star, text, e.Want)
	}
}

func wantJSON(t *testing.T, lang dialect, e runtime.Example, got runtime.Value) {
	t.Helper()
	b, err := runtime.AppendJSON(nil, got)
	if err != nil {
		t.Fatalf("%s\n%v", e.Star, err)
	}
	if diff := cmp.Diff(parse(t, lang, []byte(e.Want)), parse(t, lang, b)); diff != "" {
		t.Fatalf("%s\n(-want +got)\n%s", e.Star, diff)
	}
}

// parse keeps numbers as they are written where the language does.
func parse(t *testing.T, lang dialect, text []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	if lang.exact {
		d.UseNumber()
	}
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%s: not JSON: %v", text, err)
	}
	return v
}
