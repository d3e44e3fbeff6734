package main

import (
	"bytes"
	"errors"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/scripttest"
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
	lib, err := runtime.NewLibrary(stdlib.Builtins(), scripttest.Builtins())
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
		// In parts, because a rule may not be as long. It declares globals, which
		// no rule may: all but the syntax is refused.
		part := ""
		for block := range strings.SplitSeq(text.String(), "\n\n") {
			if part += block + "\n\n"; len(part) > 30_000 {
				wantLuaSyntax(t, l, part)
				part = ""
			}
		}
		wantLuaSyntax(t, l, part)
		for _, b := range lib.All() {
			if b.Name == "print" || b.Name == "type" { // Lua's own
				continue
			}
			name := strings.Replace(b.Name, "t.expect.", "t_expect.", 1)
			if !strings.Contains(text.String(), "\nfunction "+name+"(") && !strings.Contains(text.String(), "[\""+name[strings.LastIndexByte(name, '.')+1:]+"\"] = function(") && !strings.Contains(text.String(), "\n"+name+" = nil") {
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
		for _, want := range []string{"    def expect(run: Any) -> _t._expect:", "def replied(text: Any = None, *, times: int | None = None, **more: Any) -> _t._expect:"} {
			if !strings.Contains(text.String(), want) {
				t.Errorf("the stub lacks %s", want)
			}
		}
		cmd.Stdin = &text
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	})
}

func wantLuaSyntax(t *testing.T, l *lua.Language, text string) {
	t.Helper()
	b := runtime.NewBundle(l.Name(), "starling.lua", map[string][]byte{"starling.lua": []byte(text)}, nil)
	_, _, err := l.Load(t.Context(), b, runtime.Limits{})
	var problems runtime.Errors
	if err != nil && !errors.As(err, &problems) {
		t.Fatal(err)
	}
	for _, p := range problems {
		if p.Kind == runtime.SyntaxError || p.Kind == runtime.LimitError {
			t.Errorf("%s: %s", p.Kind, p.Detail())
		}
	}
}
