package worker_test

import (
	"context"
	"errors"
	"testing"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/worker"
)

func TestRunReturnsWhatTheScriptReturned(t *testing.T) {
	t.Parallel()
	p := newPool(t, worker.Options{})
	d := load(t, p, "hello")
	wantReturn(t, p, d, "echo hi", "hi")
	wantReturn(t, p, d, "source", "hello")
}

func TestUnknownScriptIsAnError(t *testing.T) {
	t.Parallel()
	p := newPool(t, worker.Options{})
	d := load(t, p, "x")
	p.Forget(d)
	_, err := p.Run(context.Background(), &runtime.Call{Script: d})
	if !errors.Is(err, runtime.ErrUnknownScript) {
		t.Fatalf("got %v, want ErrUnknownScript", err)
	}
}

func TestSpinIsKilledAtTheDeadline(t *testing.T) {
	t.Parallel()
	p := newPool(t, worker.Options{Workers: 1})
	d := load(t, p, "x\ndef seven")
	e := wantError(t, p, d, "spin", runtime.LimitError, runtime.LimitDeadline)
	if e.Pos.Line != 2 || e.Line != "def seven" {
		t.Errorf("position %v, line %q", e.Pos, e.Line)
	}
	wantReturn(t, p, d, "echo on", "on")
	if s := p.Stats(); s.Killed != 1 {
		t.Errorf("killed %d, want 1", s.Killed)
	}
}
