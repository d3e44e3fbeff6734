package stdlib_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/star"
	"github.com/starling-rules/starling/stdlib"
)

// TestExamplesInStarlark executes every example of every declaration.
func TestExamplesInStarlark(t *testing.T) {
	t.Parallel()
	lib, err := stdlib.Library()
	if err != nil {
		t.Fatal(err)
	}
	lang, err := star.New(runtime.Host{Library: lib})
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range lib.All() {
		for i, e := range b.Examples {
			t.Run(fmt.Sprintf("%s/%d", b.Name, i), func(t *testing.T) {
				t.Parallel()
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
func loadExample(t *testing.T, lang *star.Language, b *runtime.Builtin, e runtime.Example) {
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
	if _, ok := regs[0].Args.Get("fn"); !ok {
		t.Fatalf("%s\nregistered no function", e.Star)
	}
}

// runExample runs an expression as the body of a handler.
func runExample(t *testing.T, lang *star.Language, b *runtime.Builtin, e runtime.Example) {
	t.Helper()
	module, manifest, err := load(lang, "def example():\n    return "+e.Star+"\non.error(example)\n")
	if err != nil {
		t.Fatalf("%s\n%v", e.Star, err)
	}
	fn, _ := manifest.Registrations[0].Args.Get("fn")
	r := module.Run(context.Background(), &runtime.Call{
		Func: fn.(runtime.Func).Index, When: -1, RunID: "run", Now: time.Unix(1_700_000_000, 0), Seed: 7,
	})
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
		wantJSON(t, e, got)
	}
}

func load(lang *star.Language, text string) (runtime.Module, *runtime.Manifest, error) {
	bundle := runtime.NewBundle("starlark", "example.star", map[string][]byte{"example.star": []byte(text)}, nil)
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

func wantJSON(t *testing.T, e runtime.Example, got runtime.Value) {
	t.Helper()
	b, err := runtime.AppendJSON(nil, got)
	if err != nil {
		t.Fatalf("%s\n%v", e.Star, err)
	}
	if diff := cmp.Diff(parse(t, []byte(e.Want)), parse(t, b)); diff != "" {
		t.Fatalf("%s\n(-want +got)\n%s", e.Star, diff)
	}
}

// parse keeps numbers as they are written: 1 is not 1.0.
func parse(t *testing.T, text []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%s: not JSON: %v", text, err)
	}
	return v
}
