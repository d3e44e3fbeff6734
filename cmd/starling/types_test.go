package main

import (
	"bytes"
	"errors"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/lua"
	"github.com/starling-rules/starling/stdlib"
	"github.com/starling-rules/starling/stdlib/doc"
)

// The fields of the event are documented in stdlib/doc and made in
// engine/event: neither knows the other, so here both are held together.
func TestEveryFieldOfTheEventIsDocumented(t *testing.T) {
	t.Parallel()
	var documented []string
	for _, f := range doc.EventFields() {
		documented = append(documented, f.Name)
	}
	slices.Sort(documented)
	if have := event.FieldNames(); !slices.Equal(have, documented) {
		t.Errorf("events have  %v\ndocumented are %v", have, documented)
	}
}

func TestStubsParse(t *testing.T) {
	t.Parallel()
	lib, err := stdlib.Library()
	if err != nil {
		t.Fatal(err)
	}
	r := &doc.Reader{Library: lib}
	t.Run("lua", func(t *testing.T) {
		t.Parallel()
		var text bytes.Buffer
		if err := r.LuaTypes(&text); err != nil {
			t.Fatal(err)
		}
		l, err := lua.New(runtime.Host{})
		if err != nil {
			t.Fatal(err)
		}
		// It declares globals, which no rule may: all but the syntax is refused.
		b := runtime.NewBundle(l.Name(), "starling.lua", map[string][]byte{"starling.lua": text.Bytes()}, nil)
		_, _, err = l.Load(t.Context(), b, runtime.Limits{})
		var problems runtime.Errors
		if errors.As(err, &problems); len(problems) == 0 {
			t.Fatalf("want problems with names (got %v)", err)
		}
		for _, p := range problems {
			if p.Kind != runtime.NameError && !strings.Contains(p.Msg, "global") {
				t.Errorf("%s: %s", p.Kind, p.Detail())
			}
		}
		for _, b := range lib.All() {
			if b.Name != "print" && b.Name != "type" && !bytes.Contains(text.Bytes(), []byte("\nfunction "+b.Name+"(")) && !bytes.Contains(text.Bytes(), []byte("\n"+b.Name+" = nil")) {
				t.Errorf("%s is missing", b.Name)
			}
		}
	})
	t.Run("star", func(t *testing.T) {
		t.Parallel()
		python, err := exec.LookPath("python3")
		if err != nil {
			t.Skip("there is no python3 to parse the stub with")
		}
		var text bytes.Buffer
		if err := r.StarTypes(&text); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), python, "-c", "import ast,sys; ast.parse(sys.stdin.read())")
		cmd.Stdin = &text
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	})
}
