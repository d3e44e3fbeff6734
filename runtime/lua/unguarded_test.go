package lua_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/lua"
	"github.com/starling-rules/starling/runtime/runtimetest"
)

func newBare(t testing.TB) *lua.Language {
	t.Helper()
	l, err := lua.NewUnguarded(runtimetest.Host())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// unguardedDiffers are cases about guards.
var unguardedDiffers = []string{"limit_steps", "limit_deadline", "limit_charge", "limit_load", "recursion"}

func TestUnguardedHasTheSameSemantics(t *testing.T) {
	t.Parallel()
	bare := runtime.NewLocal([]runtime.Language{newBare(t)}, runtime.LocalOptions{})
	plain := runtime.NewLocal([]runtime.Language{newLanguage(t)}, runtime.LocalOptions{})
	for _, c := range runtimetest.Cases(t) {
		b := c.Bundle("lua", ".lua")
		if b == nil || slices.Contains(unguardedDiffers, c.Name) {
			continue
		}
		if d := cmp.Diff(c.Transcript(t, plain, b), c.Transcript(t, bare, b)); d != "" {
			t.Errorf("%s (-guarded +unguarded):\n%s", c.Name, d)
		}
	}
}

func TestUnguardedIsBoundedByItsContextAlone(t *testing.T) {
	t.Parallel()
	m, man, err := newBare(t).Load(t.Context(), bundle(`on.message("x", function(e)
  if e.text == "loop" then while true do end end
  local t = {}
  for i = 1, 300 do t[i] = coroutine.create(function() end) end
  local s = "x"
  for i = 1, 22 do s = s .. s end
  local n = 0
  for i = 1, 3000000 do n = n + 1 end
  return {#t, #s, #("x"):rep(3000000), n}
end)`), runtime.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	call := callOf(man, hostileInput)
	call.Limits = runtime.Limits{Steps: 1000, Deadline: time.Millisecond}
	r := m.Run(context.Background(), call)
	if b, _ := runtime.AppendJSON(nil, r.Return); string(b) != "[300,4194304,3000000,3000000]" {
		t.Errorf("got %s, %v", b, r.Err)
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), 50*time.Millisecond, errors.New("enough"))
	defer cancel()
	call.Input = []byte(`{"text": "loop"}`)
	if r := m.Run(ctx, call); r.Err == nil || !strings.Contains(r.Err.Msg, "enough") {
		t.Errorf("a loop ended with %v", r.Err)
	}
}
