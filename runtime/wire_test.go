package runtime_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/starling-rules/starling/runtime"
)

var place = runtime.Position{Path: "rules/a.star", Line: 3, Col: 4}

func wireBundle() *runtime.Bundle {
	return runtime.NewBundle("starlark", "a.star", map[string][]byte{"a.star": []byte("x = 1"), "lib/b.star": {}}, everything())
}

func wireManifest() *runtime.Manifest {
	return &runtime.Manifest{
		Digest: runtime.Digest{1, 2}, Steps: 99,
		Registrations: []runtime.Registration{
			{Name: "on.message", Args: runtime.NewDict("pattern", "x", "fn", runtime.Func{Index: 1, Name: "f", Arity: 1}), Pos: place, ArgPos: map[string]runtime.Position{"fn": place}},
			{Name: "on.home", Args: &runtime.Dict{}},
		},
		Logs:    []runtime.LogLine{{Level: slog.LevelWarn, Text: "t", Attrs: runtime.NewDict("a", int64(1)), Pos: place}, {Text: "u"}},
		Missing: []runtime.Missing{{Name: "./b.star", Path: "lib/b.star", Pos: place}},
	}
}

func wireCall() *runtime.Call {
	return &runtime.Call{
		Script: runtime.Digest{7}, Func: 3, When: -1, Input: []byte("in"), Extra: []runtime.Value{nil, "x"}, RunID: "r1",
		Now: time.Unix(1_700_000_000, 123).UTC(), Seed: 1 << 63,
		Results: []runtime.StepResult{
			{Hash: 5, Kind: "kv.get", Value: everything()}, {Hash: 6, Err: "no"}, {Value: runtime.JSON(make([]byte, 300))},
		},
		SkipLogs: 2, Limits: runtime.DefaultLimits,
	}
}

func wireReplies() []*runtime.Reply {
	return []*runtime.Reply{
		{Status: runtime.Done, Return: runtime.Pending{Step: 4}, FromEffect: true, Effects: []runtime.Effect{{Step: 4, Kind: "send", Args: runtime.NewDict("text", "x"), Pos: place}}},
		{Status: runtime.Done, Return: runtime.List{"a"}, Logs: []runtime.LogLine{{Text: "t"}}, Steps: 5, Took: time.Second, Heap: 1 << 30},
		{Status: runtime.Failed, Err: &runtime.Error{
			Kind: runtime.LimitError, Msg: "m", Hint: "h", Limit: "steps", Pos: place, Line: "x = 1",
			Stack: []runtime.Frame{{Name: "f", Pos: place}},
		}},
		{Status: runtime.Suspended},
	}
}

func TestWireFormsSurvive(t *testing.T) {
	t.Parallel()
	same := func(name string, want, got any, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
	b, err := runtime.DecodeBundle(runtime.AppendBundle(nil, wireBundle()))
	same("bundle", wireBundle(), b, err)
	m, err := runtime.DecodeManifest(runtime.AppendManifest(nil, wireManifest()))
	same("manifest", wireManifest(), m, err)
	c, err := runtime.DecodeCall(runtime.AppendCall(nil, wireCall()))
	same("call", wireCall(), c, err)
	zero, err := runtime.DecodeCall(runtime.AppendCall(nil, &runtime.Call{}))
	same("empty call", &runtime.Call{}, zero, err)
	for _, want := range wireReplies() {
		r, err := runtime.DecodeReply(runtime.AppendReply(nil, want))
		same("reply", want, r, err)
	}
	es := runtime.Errors{wireReplies()[2].Err, {Kind: runtime.SyntaxError, Msg: "x"}}
	got, err := runtime.DecodeErrors(runtime.AppendErrors(nil, es))
	same("errors", es, got, err)
}

func TestWireDecodersRefuseCutFrames(t *testing.T) {
	t.Parallel()
	frames := map[string][]byte{
		"bundle": runtime.AppendBundle(nil, wireBundle()), "manifest": runtime.AppendManifest(nil, wireManifest()),
		"call": runtime.AppendCall(nil, wireCall()), "reply": runtime.AppendReply(nil, wireReplies()[2]),
	}
	for name, frame := range frames {
		for n := range len(frame) {
			if decodeAny(name, frame[:n]) == nil {
				t.Fatalf("%s: the first %d of %d bytes are taken for the whole", name, n, len(frame))
			}
		}
		if decodeAny(name, append(frame, 0)) == nil {
			t.Errorf("%s: a byte too many is taken", name)
		}
	}
}

func decodeAny(name string, frame []byte) (err error) {
	switch name {
	case "bundle":
		_, err = runtime.DecodeBundle(frame)
	case "manifest":
		_, err = runtime.DecodeManifest(frame)
	case "call":
		_, err = runtime.DecodeCall(frame)
	case "reply":
		_, err = runtime.DecodeReply(frame)
	default:
		_, err = runtime.DecodeErrors(frame)
	}
	return err
}

func FuzzWire(f *testing.F) {
	f.Add(runtime.AppendBundle(nil, wireBundle()))
	f.Add(runtime.AppendManifest(nil, wireManifest()))
	f.Add(runtime.AppendCall(nil, wireCall()))
	for _, r := range wireReplies() {
		f.Add(runtime.AppendReply(nil, r))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, name := range []string{"bundle", "manifest", "call", "reply", "errors"} {
			_ = decodeAny(name, b) // must neither panic nor run away
		}
		if r, err := runtime.DecodeReply(b); err == nil {
			if _, err := runtime.DecodeReply(runtime.AppendReply(nil, r)); err != nil {
				t.Fatalf("decode what was encoded: %v", err)
			}
		}
	})
}

func BenchmarkWireCallAndReply(b *testing.B) {
	c, r := wireCall(), wireReplies()[0]
	c.Results = nil
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = runtime.AppendCall(buf[:0], c)
		if _, err := runtime.DecodeCall(buf); err != nil {
			b.Fatal(err)
		}
		buf = runtime.AppendReply(buf[:0], r)
		if _, err := runtime.DecodeReply(buf); err != nil {
			b.Fatal(err)
		}
	}
}
