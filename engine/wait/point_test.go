package wait_test

import (
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/wait"
	"github.com/starling-rules/starling/runtime"
)

func TestRefsNameOneWait(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]wait.Point{
		"starling.ask:r1.2": {Step: 2}, "starling.ask:r1.2/0": {Step: 2}, "starling.ask:r1.0": {},
		"starling.ask:r1.2~1": {Step: 2, Round: 1}, "starling.ask:r1.12~30/continue": {Step: 12, Round: 30},
	} {
		run, at, rest, ok := wait.ParseRef(text)
		back := wait.Ref(run, at)
		if rest != "" {
			back += "/" + rest
		}
		if !ok || run != "r1" || at != want || back != text {
			t.Errorf("%s: %s %+v %q %v, again %s", text, run, at, rest, ok, back)
		}
	}
	for _, bad := range []string{
		"", "starling.ask:", "starling.ask:r1", "starling.ask:.2", "starling.ask:r1.", "starling.ask:r1.-1", "starling.ask:r1.x",
		"starling.ask:r1.2~", "starling.ask:r1.2~0", "starling.ask:r1.2~-1", "starling.ask:r1.2~x", "starling.ask:r1.~1", "mine",
	} {
		if run, at, _, ok := wait.ParseRef(bad); ok {
			t.Errorf("%q is taken for %s %+v", bad, run, at)
		}
	}
}

func TestAPointComesBeforeAnother(t *testing.T) {
	t.Parallel()
	order := []wait.Point{{}, {Step: 2}, {Step: 2, Round: 1}, {Step: 2, Round: 2}, {Step: 3}}
	for i, p := range order {
		for j, q := range order {
			if got := p.Before(q); got != (i < j) {
				t.Errorf("%s before %s: %v", p, q, got)
			}
		}
	}
}

// What was stored before there were rounds is in the first.
func TestAFirstRoundIsStoredAsThereWereNone(t *testing.T) {
	t.Parallel()
	const stored = "\x01\x03ask\x01t\x02\x00\x00\x00\x00\x00"
	if got := wait.AppendWait(nil, &wait.Wait{Kind: wait.Ask, Step: 2, Title: "t"}); string(got) != stored {
		t.Errorf("stored as %q", got)
	}
	d := runtime.NewDecoder([]byte(stored))
	if w := wait.DecodeWait(d); d.Finish() != nil || w.Point() != (wait.Point{Step: 2}) {
		t.Errorf("read as %+v", w)
	}
}

// A row keeps in which round its waits are, and so does its mark.
func TestARowKeepsItsRounds(t *testing.T) {
	t.Parallel()
	s := memory(t)
	g := wait.NewRegistry(wait.Options{Store: s})
	r := rowOf(7)
	first := r.Wait
	second := *first
	second.Round = 3
	r.Wait, r.Past = &second, []wait.Past{{Wait: first, Answer: &wait.Answer{By: wait.ByOperator, At: time.Now()}}}
	if err := g.Park(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	row, err := g.Get(t.Context(), r.Run)
	if err != nil {
		t.Fatal(err)
	}
	if row.Wait.Point() != (wait.Point{Step: 2, Round: 3}) || row.Past[0].Wait.Point() != (wait.Point{Step: 2}) {
		t.Errorf("%s after %s", row.Wait.Point(), row.Past[0].Wait.Point())
	}
	if w, a := row.At(wait.Point{Step: 2}); w == nil || a == nil || w.Round != 0 {
		t.Errorf("the first: %+v %+v", w, a)
	}
	if w, a := row.At(wait.Point{Step: 2, Round: 3}); w == nil || a != nil || w.Round != 3 {
		t.Errorf("the newest: %+v %+v", w, a)
	}
	if w, _ := row.At(wait.Point{Step: 2, Round: 1}); w != nil {
		t.Errorf("it has waited in a round that there was not: %+v", w)
	}
	var got []wait.Summary
	if err := g.List(t.Context(), func(s wait.Summary) { got = append(got, s) }); err != nil || len(got) != 1 || got[0].Step != 2 || got[0].Round != 3 {
		t.Errorf("listed: %+v %v", got, err)
	}
	if _, won, err := g.Claim(t.Context(), r.Run, wait.Point{Step: 2}, &wait.Answer{By: wait.ByTimeout, At: time.Now()}); won || err != nil {
		t.Errorf("the time of the first round ends a later one: %v %v", won, err)
	}
}
