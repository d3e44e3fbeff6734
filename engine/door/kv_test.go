package door_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/starling-rules/starling/engine/door"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/runtime"
)

func kvLive(t testing.TB) door.Live {
	t.Helper()
	s := queue.NewMemory(queue.MemoryOptions{})
	t.Cleanup(func() { _ = s.Close(t.Context()) })
	return door.NewLive(door.Deps{State: s.State(), Secrets: secrets, MaxKey: 20, MaxValue: 100})
}

func TestKV(t *testing.T) {
	t.Parallel()
	l := kvLive(t)
	step := 0
	ask := func(script, kind string, args ...any) string {
		step++
		v, err := l[kind].Do(t.Context(), &door.Run{ID: "r", Script: script}, runtime.Effect{Kind: kind, Step: step, Args: runtime.NewDict(args...)})
		if err != nil {
			return "error: " + err.Error()
		}
		b, err := runtime.AppendJSON(nil, v)
		if err != nil {
			return err.Error()
		}
		return string(b)
	}
	const a, b = "a.star", "lib/b.star"
	dict := runtime.NewDict("x", int64(1), "y", []runtime.Value{nil, true, 1.5})
	for i, tc := range []struct {
		script, kind string
		args         []any
		want         string
	}{
		{a, "kv.get", []any{"key", "k"}, "null"},
		{a, "kv.get", []any{"key", "k", "default", int64(7)}, "7"},
		{a, "kv.set", []any{"key", "k", "value", dict}, "null"},
		{a, "kv.get", []any{"key", "k"}, `{"x":1,"y":[null,true,1.5]}`},
		{b, "kv.get", []any{"key", "k"}, "null"},
		{a, "kv.get", []any{"key", "k", "shared", true}, "null"},
		{b, "kv.set", []any{"key", "k", "value", "shared", "shared", true}, "null"},
		{a, "kv.get", []any{"key", "k", "shared", true}, `"shared"`},
		{a, "kv.cas", []any{"key", "k", "old", runtime.NewDict("y", []runtime.Value{nil, true, 1.5}, "x", 1.0), "new", "v2"}, "true"},
		{a, "kv.cas", []any{"key", "k", "old", "v1", "new", "v3"}, "false"},
		{a, "kv.get", []any{"key", "k"}, `"v2"`},
		{a, "kv.cas", []any{"key", "k", "old", "v2", "new", nil}, "true"},
		{a, "kv.cas", []any{"key", "k", "old", nil, "new", "v4"}, "true"},
		{a, "kv.cas", []any{"key", "k", "old", nil, "new", "v5"}, "false"},
		{a, "kv.delete", []any{"key", "k"}, "true"},
		{a, "kv.delete", []any{"key", "k"}, "false"},
		{a, "kv.incr", []any{"key", "n"}, "1"},
		{a, "kv.incr", []any{"key", "n", "by", int64(41)}, "42"},
		{a, "kv.incr", []any{"key", "n", "by", int64(-2), "ttl", 60.0}, "40"},
		{a, "kv.set", []any{"key", "big", "value", int64(1<<63 - 1)}, "null"},
		{a, "kv.incr", []any{"key", "big"}, "error: kv.incr: the number would be too large"},
		{a, "kv.set", []any{"key", "s", "value", "text"}, "null"},
		{a, "kv.incr", []any{"key", "s"}, "error: kv.incr: the key holds a string, not an int"},
		{a, "kv.list", nil, `["big","n","s"]`},
		{a, "kv.list", []any{"prefix", "n"}, `["n"]`},
		{a, "kv.list", []any{"limit", int64(2)}, `["big","n"]`},
		{b, "kv.list", nil, `[]`},
		{b, "kv.list", []any{"shared", true}, `["k"]`},
		{a, "once", []any{"key", "welcome"}, "true"},
		{a, "once", []any{"key", "welcome"}, "false"},
		{b, "once", []any{"key", "welcome", "ttl", "1h"}, "true"},
		{a, "kv.get", []any{"key", "welcome"}, "null"},
		{a, "kv.set", []any{"key", "", "value", 1}, "error: kv.set: key is empty"},
		{a, "kv.set", []any{"key", strings.Repeat("k", 21), "value", 1}, "error: kv.set: key has 21 bytes, the limit is 20"},
		{a, "kv.set", []any{"key", "k", "value", strings.Repeat("v", 101)}, "error: kv.set: the value takes 103 bytes, the limit is 100"},
		{a, "kv.set", []any{"key", "k", "value", []runtime.Value{runtime.Func{}}}, "error: kv.set: a function cannot be stored"},
		{a, "kv.set", []any{"key", "k", "value", 1, "ttl", "soon"}, "error: kv.set: ttl: want a duration such as \"1h\""},
	} {
		if got := ask(tc.script, tc.kind, tc.args...); got != tc.want {
			t.Errorf("%d: %s %v in %s = %s, want %s", i, tc.kind, tc.args, tc.script, got, tc.want)
		}
	}
}

// TestKVRepeatedAfterCrash holds that a step is applied once, and that its
// repeat returns the first result.
func TestKVRepeatedAfterCrash(t *testing.T) {
	t.Parallel()
	l := kvLive(t)
	ask := func(run string, resumed bool, kind string, args ...any) string {
		if kind != "kv.get" && l[kind].Repeat(runtime.Effect{Kind: kind}) != door.Again {
			t.Errorf("%s may not be repeated", kind)
		}
		v, err := l[kind].Do(t.Context(), &door.Run{ID: run, Script: "a.star", Resumed: resumed}, runtime.Effect{Kind: kind, Step: 1, Args: runtime.NewDict(args...)})
		return fmt.Sprint(v, err)
	}
	first := ask("run1", false, "kv.incr", "key", "n")
	_ = ask("run2", false, "kv.incr", "key", "n")
	if again := ask("run1", true, "kv.incr", "key", "n"); again != first || first != "1 <nil>" {
		t.Errorf("first %s, repeated %s", first, again)
	}
	if now := ask("run3", false, "kv.get", "key", "n"); now != "2 <nil>" {
		t.Errorf("after the repeat: %s", now)
	}
	first = ask("run4", false, "once", "key", "o")
	if again := ask("run4", true, "once", "key", "o"); again != first || first != "true <nil>" {
		t.Errorf("once: first %s, repeated %s", first, again)
	}
	if fresh := ask("run5", true, "kv.incr", "key", "n"); fresh != "3 <nil>" {
		t.Errorf("a resumed run whose step was never applied: %s", fresh)
	}
}

func TestKeysOfScriptsDoNotMeet(t *testing.T) {
	t.Parallel()
	// A directory may be called like a script.
	if a, b := door.KVSpace("a.star", false)+"b.star//k", door.KVSpace("a.star/b.star", false)+"k"; a == b {
		t.Errorf("%s is a key of two scripts", a)
	}
	if strings.HasPrefix(door.KVSpace("x", false), door.KVSpace("", true)) {
		t.Error("a script's keys are among the shared ones")
	}
}

func TestDryRun(t *testing.T) {
	t.Parallel()
	h, err := door.NewHTTP(door.HTTPOptions{})
	if err != nil {
		t.Fatal(err)
	}
	l := door.NewLive(door.Deps{State: kvState(t), HTTP: h, Slack: slackClient(t, func(string, *runtime.Dict) string {
		t.Error("Slack was called")
		return ""
	})})
	for kind := range l {
		v, err := l[kind].Do(t.Context(), &door.Run{DryRun: true}, runtime.Effect{Kind: kind, Args: runtime.NewDict("key", "k", "url", "http://x.example")})
		if err != nil || door.Outcome(v, err) != "ok" {
			t.Errorf("%s: %v %v", kind, v, err)
		}
	}
}

func kvState(t testing.TB) queue.State {
	t.Helper()
	s := queue.NewMemory(queue.MemoryOptions{})
	t.Cleanup(func() { _ = s.Close(t.Context()) })
	return s.State()
}
