package script_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/internal/script"
)

func TestResolveStaysInsideTheRules(t *testing.T) {
	t.Parallel()
	m := script.Importer{Word: "load", Example: `load("lib/x.star", "y")`, Ext: ".star"}
	for _, c := range []struct{ from, name, want string }{
		{"a.star", "lib/x.star", "lib/x.star"},
		{"lib/a.star", "lib/x.star", "lib/x.star"},
		{"lib/a.star", "./x.star", "lib/x.star"},
		{"lib/a.star", "../x.star", "x.star"},
		{"lib/a.star", "b/../x.star", "x.star"},
		{"a.star", "@starling//omnibot/x.star", "@starling//omnibot/x.star"},
		{"@starling//omnibot/a.star", "./x.star", "@starling//omnibot/x.star"},
		{"@starling//omnibot/a.star", "lib/x.star", "lib/x.star"},
		{"a.star", "../x.star", "error: outside"},
		{"lib/a.star", "../../x.star", "error: outside"},
		{"a.star", "b/../../x.star", "error: outside"},
		{"a.star", "@starling//../x.star", "error: outside"},
		{"@starling//a.star", "../x.star", "error: outside"},
		{"a.star", "..", "error: outside"},
		{"a.star", "/etc/x.star", "error: absolute"},
		{"a.star", "@other//x.star", "error: no known library"},
		{"a.star", "", "error: no name"},
		{"a.star", ".", "error: no name"},
		{"a.star", "./", "error: no name"},
		{"a.star", "lib\\x.star", "error: no name"},
		{"a.star", "lib/x\x00.star", "error: no name"},
		{"a.star", "x.lua", "error: not a .star file"},
		{"a.star", "x", "error: not a .star file"},
		{"a.star", "x.star/", "x.star"},
	} {
		got, _, err := m.Resolve(c.from, c.name)
		if want, bad := strings.CutPrefix(c.want, "error: "); bad {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s loads %q: got %q, %v, want an error with %q", c.from, c.name, got, err, want)
			}
		} else if err != nil || got != c.want {
			t.Errorf("%s loads %q: got %q, %v, want %q", c.from, c.name, got, err, c.want)
		}
	}
}

func TestCutLeavesCharactersWhole(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "short", strings.Repeat("ä", 100), "\xff\xfe", strings.Repeat("\xff", 100)} {
		got := script.Cut(s, 21)
		if len(got) > 21 && len(s) > 21 || !utf8.ValidString(got) {
			t.Errorf("Cut(%q) = %q", s, got)
		}
	}
}

func TestShowBoundsAnError(t *testing.T) {
	t.Parallel()
	b := &runtime.Bundle{Main: "a.star", Files: map[string][]byte{"a.star": []byte("one\ntwo\n")}}
	long := strings.Repeat("x", 5000)
	stack := make([]runtime.Frame, 500)
	for i := range stack {
		stack[i].Pos = runtime.Position{Path: "a.star", Line: 2, Col: i}
	}
	e := script.Show(&runtime.Error{Msg: long, Hint: long, Stack: stack}, b)
	if e.Kind != runtime.RunError || len(e.Msg) > script.MaxMessage || len(e.Hint) > script.MaxMessage || len(e.Stack) != 50 {
		t.Errorf("got kind %s, %d and %d bytes, %d frames", e.Kind, len(e.Msg), len(e.Hint), len(e.Stack))
	}
	if e.Pos != stack[499].Pos || e.Stack[0].Pos != stack[0].Pos || e.Line != "two" {
		t.Errorf("got position %v, source line %q", e.Pos, e.Line)
	}
	if e := script.Show(&runtime.Error{}, b); e.Msg == "" || e.Pos.Path != "a.star" {
		t.Errorf("an empty error is shown as %+v", e)
	}
}

// pass is a script.Pass that does what is usual.
type pass struct{ stop *runtime.Error }

func (p *pass) Stopped() *runtime.Error { return p.stop }
func (p *pass) Stop(e *runtime.Error) *runtime.Error {
	if p.stop == nil {
		p.stop = e
	}
	return p.stop
}
func (p *pass) At() runtime.Position { return runtime.Position{Path: "a", Line: 7} }
func (p *pass) Site(string) (runtime.Position, map[string]runtime.Position) {
	return runtime.Position{Path: "a", Line: 8}, nil
}

func ledger(c *runtime.Call, lim runtime.Limits) *script.Ledger {
	return &script.Ledger{Pass: &pass{}, Call: c, Limits: lim.OrDefault()}
}

func TestLedgerMeetsTheJournal(t *testing.T) {
	t.Parallel()
	args := &runtime.Dict{Fields: []runtime.Field{{Key: "key", Value: "k"}}}
	hash := runtime.Effect{Kind: "kv.get", Args: args}.Hash()
	l := ledger(&runtime.Call{Results: []runtime.StepResult{{Hash: hash, Kind: "kv.get", Value: "v"}, {Hash: hash, Kind: "kv.get", Err: "no"}}}, runtime.Limits{})
	if v, err := l.Ask("kv.get", args); v != "v" || err != nil {
		t.Errorf("the recorded result: got %v, %v", v, err)
	}
	if bad := l.Settled(); bad == nil || bad.Kind != runtime.DivergedError || !strings.Contains(bad.Msg, "step 2") {
		t.Errorf("an end before the journal's: got %v", bad)
	}
	l.Pass = &pass{}
	if _, err := l.Ask("kv.get", args); err == nil || err.Error() != "no" {
		t.Errorf("the recorded error: got %v", err)
	}
	if v, err := l.Ask("kv.get", args); v != (runtime.Pending{Step: 3}) || err != nil || len(l.Effects) != 1 || l.Effects[0].Step != 3 || l.Effects[0].Pos.Line != 7 {
		t.Errorf("a new effect: got %v, %v, %+v", v, err, l.Effects)
	}
	if l.Settled() != nil {
		t.Error("the journal was met")
	}
	l = ledger(&runtime.Call{Results: []runtime.StepResult{{Hash: 1, Kind: "send"}}}, runtime.Limits{})
	var own *runtime.Error
	if _, err := l.Ask("kv.get", args); !errors.As(err, &own) || own.Kind != runtime.DivergedError || !strings.Contains(own.Msg, "asks for kv.get, the journal holds send") {
		t.Errorf("another effect: got %v", err)
	}
}

func TestLedgerCountsWhatIsAskedFor(t *testing.T) {
	t.Parallel()
	l := ledger(&runtime.Call{}, runtime.Limits{})
	deep := runtime.Value("x")
	for range 100 {
		deep = runtime.List{deep}
	}
	if _, err := l.Ask("kv.set", &runtime.Dict{Fields: []runtime.Field{{Key: "value", Value: deep}}}); err == nil {
		t.Fatal("asked for an effect with arguments nested 100 deep")
	}
	if _, err := l.Ask("send", nil); err != nil || len(l.Effects) != 1 || l.Effects[0].Step != 1 {
		t.Errorf("after one that was refused: %+v, %v; want step 1", l.Effects, err)
	}
}

func TestLedgerHoldsTheLimits(t *testing.T) {
	t.Parallel()
	l := ledger(&runtime.Call{SkipLogs: 1}, runtime.Limits{Effects: 1, Output: 60})
	for i, want := range []string{"", "limit is 1", "limit is 1"} {
		if _, err := l.Ask("send", nil); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("effect %d: %v", i+1, err)
		}
	}
	l.Pass = &pass{}
	for i, want := range []string{"", "", "", "output"} {
		if err := l.Log(runtime.LogLine{Text: "x"}); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("line %d: %v", i+1, err)
		}
	}
	if len(l.Logs) != 2 {
		t.Errorf("%d lines, want those after the first", len(l.Logs))
	}
	if err := l.Register(runtime.Registration{Name: "on.x"}); err == nil || !strings.Contains(err.Error(), "while the script is loaded") {
		t.Errorf("a late registration: %v", err)
	}
	l.Loading = true
	if _, err := l.Ask("send", nil); err == nil || !strings.Contains(err.Error(), "in a handler") && !strings.Contains(err.Error(), "while the script is loaded") {
		t.Errorf("an early effect: %v", err)
	}
	if err := l.Register(runtime.Registration{Name: "on.x"}); err != nil || len(l.Registered) != 1 || l.Registered[0].Pos.Line != 8 {
		t.Errorf("a registration: %v, %+v", err, l.Registered)
	}
	l.Silent = true
	if err := l.Register(runtime.Registration{Name: "on.x"}); err != nil || len(l.Registered) != 1 {
		t.Errorf("a registration of another file: %v", err)
	}
}

func TestCancelledTellsTheCause(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("drained"))
	if e := script.Cancelled(ctx); e.Kind != runtime.InternalError || !strings.Contains(e.Msg, "drained") {
		t.Errorf("got %+v", e)
	}
	ctx, stop := context.WithTimeout(t.Context(), 0)
	defer stop()
	if e := script.Cancelled(ctx); e.Limit != runtime.LimitDeadline {
		t.Errorf("got %+v", e)
	}
	own := &runtime.Error{Kind: runtime.LimitError, Limit: runtime.LimitMemory}
	ctx, cancel = context.WithCancelCause(t.Context())
	cancel(own)
	if e := script.Cancelled(ctx); e != own {
		t.Errorf("got %+v", e)
	}
}
