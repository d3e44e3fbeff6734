package worker

import (
	"testing"
	"time"

	"github.com/starling-rules/starling/runtime"
)

// A machine that is taken away cannot be had in a test: what a pool would have
// found is told to it.
func TestAQuickPassIsExcusedIfTheMachineWasAway(t *testing.T) {
	t.Parallel()
	p, err := New(Options{Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close(t.Context())
	b := runtime.NewBundle("test", "a.test", map[string][]byte{"a.test": []byte("x")}, nil)
	if _, err := p.Load(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	pass := func(cmd string) *runtime.Reply {
		t.Helper()
		r, err := p.Run(t.Context(), &runtime.Call{Script: b.Digest, Func: 7, When: -1, Input: []byte(cmd), RunID: "r"})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	away := func(d time.Duration) {
		time.AfterFunc(100*time.Millisecond, func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.lost.spells = append(p.lost.spells, spell{time.Now(), d})
		})
	}
	excused := func(cmd string, want uint64) {
		t.Helper()
		before := p.Stats().Excused
		if r := pass(cmd); !missed(r.Err) {
			t.Fatalf("%s: %+v", cmd, r)
		}
		if got := p.Stats().Excused - before; got < want || want == 0 && got > 0 {
			t.Errorf("%s: excused %d times, want %d", cmd, got, want)
		}
	}
	away(time.Second)
	excused("spin", 0) // nothing is known of it
	for range 50 {
		pass("echo 1")
	}
	away(time.Second)
	excused("spin", 1)
	if s := p.Stats(); s.Slowed != 1 {
		t.Errorf("%+v: want it slow, for the second time nothing was lost", s)
	}
}
