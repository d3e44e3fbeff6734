package worker

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-rules/starling/runtime"
)

func TestFramesSurviveAnyCutting(t *testing.T) {
	t.Parallel()
	b := bundleOf("a.star", "on.message()")
	call := &runtime.Call{Script: b.Digest, Func: 3, When: -1, Input: bytes.Repeat([]byte("x"), 100_000), Now: time.Unix(5, 6).UTC()}
	stream := hello{Memory: 7, CPU: time.Second}.append(nil)
	stream = appendLoad(stream, frameLoad, b, runtime.DefaultLimits)
	stream = appendRun(stream, call)
	stream = appendForget(stream, b.Digest)
	for name, src := range map[string]io.Reader{
		"whole":    bytes.NewReader(stream),
		"one byte": iotest.OneByteReader(bytes.NewReader(stream)),
		"halves":   iotest.HalfReader(bytes.NewReader(stream)),
	} {
		f := newFrameReader(src, 1<<20, 1<<10)
		want := []byte{frameHello, frameLoad, frameRun, frameForget}
		for i, w := range want {
			typ, payload, err := f.next()
			if err != nil || typ != w {
				t.Fatalf("%s: frame %d: type %q, %v", name, i, typ, err)
			}
			switch typ {
			case frameHello:
				if h, err := decodeHello(payload); err != nil || h.Memory != 7 || h.CPU != time.Second {
					t.Errorf("hello: %+v, %v", h, err)
				}
			case frameLoad:
				got, lim, err := decodeLoad(payload)
				if err != nil || lim != runtime.DefaultLimits || cmp.Diff(b, got) != "" {
					t.Errorf("load: %+v, %+v, %v", got, lim, err)
				}
			case frameRun:
				got, err := runtime.DecodeCall(payload)
				if err != nil || cmp.Diff(call, got) != "" {
					t.Errorf("call: %v, %v", cmp.Diff(call, got), err)
				}
			}
		}
		if _, _, err := f.next(); err != io.EOF {
			t.Errorf("%s: at the end: %v, want EOF", name, err)
		}
	}
}

func TestFrameBounds(t *testing.T) {
	t.Parallel()
	read := func(s string) error {
		_, _, err := newFrameReader(strings.NewReader(s), 10, 1<<10).next()
		return err
	}
	if err := read("\x0b\x00\x00\x00pxxxxxxxxxxx"); !errors.Is(err, errFrame) {
		t.Errorf("too long: %v", err)
	}
	if err := read("\x0a\x00\x00\x00pxxxxxxxxx"); err != io.ErrUnexpectedEOF {
		t.Errorf("cut payload: %v", err)
	}
	if err := read("\x0a\x00"); err != io.ErrUnexpectedEOF {
		t.Errorf("cut head: %v", err)
	}
}

func TestHelloOfAnotherBuildIsRefused(t *testing.T) {
	t.Parallel()
	payload := runtime.AppendString(nil, "starling-worker-0")
	if _, err := decodeHello(append(payload, 0, 0, 0, 0)); err == nil || !strings.Contains(err.Error(), "different builds") {
		t.Errorf("got %v", err)
	}
}

func TestWordsKeepTheBeginning(t *testing.T) {
	t.Parallel()
	var w words
	_, _ = w.Write([]byte("fatal error: runtime: out of memory\n"))
	for range 100 {
		if n, err := w.Write(bytes.Repeat([]byte("trace\n"), 100)); n != 600 || err != nil {
			t.Fatalf("Write: %d, %v", n, err)
		}
	}
	if s := w.String(); len(s) != maxWords || !outOfMemory(s) || lastWords(s) != "fatal error: runtime: out of memory" {
		t.Errorf("%d bytes, %q", len(s), lastWords(s))
	}
}

func TestModulesDropTheLeastRecentlyUsed(t *testing.T) {
	t.Parallel()
	m := modules{max: 3}
	var bs []*runtime.Bundle
	for _, s := range []string{"a", "b", "c", "d"} {
		bs = append(bs, bundleOf(s, s))
	}
	for _, b := range bs[:3] {
		if out := m.add(b); out != nil {
			t.Fatalf("evicted %v", out)
		}
	}
	m.touch(bs[0].Digest)
	if out := m.add(bs[3]); len(out) != 1 || out[0] != bs[1].Digest {
		t.Errorf("evicted %v, want b", out)
	}
	if !m.drop(bs[0].Digest) || m.drop(bs[0].Digest) || m.has(bs[0].Digest) || !m.has(bs[2].Digest) {
		t.Error("drop")
	}
	big := bundleOf("big", strings.Repeat("x", maxModuleBytes))
	if out := m.add(big); len(out) != 2 || !m.has(big.Digest) || m.oldest.next != m.oldest {
		t.Errorf("evicted %d for a big one, want all others", len(out))
	}
	m.drop(big.Digest)
	if m.bytes != 0 || m.oldest != nil {
		t.Errorf("%d bytes left", m.bytes)
	}
}

func bundleOf(path, text string) *runtime.Bundle {
	return runtime.NewBundle("starlark", path, map[string][]byte{path: []byte(text)}, nil)
}

// FuzzAnswers feeds what a worker might send to the server's side of the
// protocol: nothing may panic, and no frame beyond the bound may be taken.
func FuzzAnswers(f *testing.F) {
	add := func(typ byte, body []byte) {
		b := append(beginFrame(nil, typ), 1, 2) // number and heap of a byte each
		f.Add(endFrame(append(b, body...), 0))
	}
	pos := runtime.Position{Path: "a.star", Line: 3, Col: 4}
	scriptErr := &runtime.Error{Kind: runtime.RunError, Msg: "m", Hint: "h", Pos: pos, Stack: []runtime.Frame{{Name: "f", Pos: pos}}}
	add(frameReply, runtime.AppendReply(nil, &runtime.Reply{Status: runtime.Done, Return: runtime.Pending{Step: 1}}))
	add(frameReply, runtime.AppendReply(nil, &runtime.Reply{
		Status: runtime.Suspended, Steps: 9, Took: 5, Logs: []runtime.LogLine{{Text: "t", Attrs: runtime.NewDict("k", int64(1))}},
		Effects: []runtime.Effect{{Step: 1, Kind: "post", Args: runtime.NewDict("l", runtime.List{nil, true, 1.5, []byte("b"), runtime.JSON("{}")}), Pos: pos}},
	}))
	add(frameReply, runtime.AppendReply(nil, &runtime.Reply{Status: runtime.Failed, Err: scriptErr}))
	add(frameErrors, runtime.AppendErrors(nil, runtime.Errors{scriptErr, scriptErr}))
	add(frameManifest, runtime.AppendManifest(nil, &runtime.Manifest{
		Registrations: []runtime.Registration{{
			Name: "on.x", Args: runtime.NewDict("f", runtime.Func{Index: 1, Name: "f", Pos: pos}, "s", runtime.Secret{Parts: []runtime.SecretPart{{Name: "n"}}}),
			Pos: pos, ArgPos: map[string]runtime.Position{"f": pos},
		}},
		Missing: []runtime.Missing{{Name: "m", Path: "m", Pos: pos}},
	}))
	add(frameLoaded, nil)
	add(frameRefused, []byte("no"))
	f.Add([]byte("\xff\xff\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		r := newFrameReader(bytes.NewReader(stream), 1<<16, 1<<10)
		for {
			typ, payload, err := r.next()
			if err != nil {
				return
			}
			if len(payload) > 1<<16 {
				t.Fatalf("frame of %d bytes", len(payload))
			}
			a, err := decodeAnswer(typ, payload)
			if err != nil {
				if !errors.Is(err, errFrame) {
					t.Fatalf("error %v is not marked as a bad frame", err)
				}
				continue
			}
			for _, load := range []bool{true, false} {
				tk := &task{load: load, script: &script{bundle: bundleOf("a", "b")}, call: &runtime.Call{}, limits: runtime.DefaultLimits}
				_ = flight{t: tk}.check(typ, &a)
				_ = flight{t: tk, preload: true}.check(typ, &a)
			}
			if a.manifest != nil {
				newScript(bundleOf("a", "b"), a.manifest)
			}
		}
	})
}

// FuzzRequests does the same for the worker's side.
func FuzzRequests(f *testing.F) {
	b := bundleOf("a.star", "x")
	f.Add(appendLoad(nil, frameLoad, b, runtime.DefaultLimits))
	f.Add(appendRun(nil, &runtime.Call{Script: b.Digest, Input: []byte("i"), Results: []runtime.StepResult{{Hash: 1, Value: "v", Err: "e"}}}))
	f.Add(hello{Memory: 1}.append(nil))
	f.Fuzz(func(_ *testing.T, stream []byte) {
		r := newFrameReader(bytes.NewReader(stream), 1<<16, 1<<10)
		for {
			typ, payload, err := r.next()
			if err != nil {
				return
			}
			switch typ {
			case frameHello:
				_, _ = decodeHello(payload)
			case frameRun:
				_, _ = runtime.DecodeCall(payload)
			default:
				_, _, _ = decodeLoad(payload)
			}
		}
	})
}
