package backup_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/backup"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/wait"
	"github.com/starling-rules/starling/runtime"
)

var version = runtime.NewBundle("starlark", "deploy.star", map[string][]byte{"deploy.star": []byte("def go(e): pass")}, nil)

func waitingRun(n int) *wait.Row {
	return &wait.Row{
		Run: fmt.Sprintf("%016x", n), Event: "Ev1", Key: "T1/C1", Rule: "deploy.star:go", Script: "deploy.star", Digest: version.Digest,
		Began: time.UnixMilli(1e12).UTC(), Base: []byte{1, 2, 3},
		Wait: &wait.Wait{
			Kind: wait.Event, Step: 2, Since: time.UnixMilli(1e12).UTC(), Until: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC), Title: "a message",
			Keys: []string{wait.Key("event", "T1", "message")}, State: runtime.NewDict("votes", int64(1)),
		},
	}
}

// park has one run wait, one be answered, and one have ended, on a version.
func park(t testing.TB, s queue.Store) {
	t.Helper()
	if err := s.PutSource(t.Context(), version.Digest.String(), runtime.AppendBundle(nil, version)); err != nil {
		t.Fatal(err)
	}
	g := wait.NewRegistry(wait.Options{Store: s})
	for n := range 3 {
		if err := g.Park(t.Context(), waitingRun(n)); err != nil {
			t.Fatal(err)
		}
	}
	answer := &wait.Answer{By: wait.ByEvent, At: time.UnixMilli(1e12), Value: runtime.NewDict("value", "yes"), Event: wait.Origin{ID: "Ev2", User: "U2"}}
	if _, won, err := g.Claim(t.Context(), waitingRun(1).Run, wait.Point{Step: 2}, answer); err != nil || !won {
		t.Fatal(won, err)
	}
	row, err := g.Get(t.Context(), waitingRun(2).Run)
	if err == nil {
		err = g.Finish(t.Context(), row)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// parked are the runs that have not ended, and what they wait on, as they are stored.
func parked(t testing.TB, s queue.Store) string {
	t.Helper()
	var lines []string
	for n := range 2 {
		p, err := s.Waits().Get(t.Context(), waitingRun(n).Run)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, fmt.Sprintf("%s %s %x", p.Run, p.Mark, p.Body))
	}
	b, err := s.Source(t.Context(), version.Digest.String())
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(append(lines, fmt.Sprintf("%x\n", b)), "\n")
}

// In another store runs go on waiting, and answered ones go on.
func TestRunsWaitInAnotherStore(t *testing.T) {
	t.Parallel()
	one, two := memory(t), memory(t)
	park(t, one)
	restore(t, &backup.Store{Queue: two, Now: time.Now}, archive(t, &backup.Store{Queue: one, Now: time.Now}), backup.RestoreOptions{})
	var continued []string
	g := wait.NewRegistry(wait.Options{Store: two, Continue: func(_ context.Context, r *wait.Row) error {
		continued = append(continued, r.Run+" "+r.Answer.Event.User)
		return nil
	}})
	if err := g.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if found := g.Find(&event.Event{Kind: event.Message, Team: "T1"}); !slices.Equal(found, []string{waitingRun(0).Run}) {
		t.Errorf("found %v", found)
	}
	if !slices.Equal(continued, []string{waitingRun(1).Run + " U2"}) {
		t.Errorf("continued %v", continued)
	}
	if _, err := g.Get(t.Context(), waitingRun(2).Run); !errors.Is(err, queue.ErrNotFound) {
		t.Errorf("one that had ended: %v", err)
	}
	timers, err := two.Timers().All(t.Context())
	if err != nil || !slices.ContainsFunc(timers, func(v queue.Timer) bool { return v.ID == wait.TimerPrefix+waitingRun(0).Run+".2" }) {
		t.Errorf("timers %v, %v", timers, err)
	}
}

// A run that has gone on since it was archived is not set back.
func TestARunIsNotSetBack(t *testing.T) {
	t.Parallel()
	s := memory(t)
	park(t, s)
	target := &backup.Store{Queue: s, Now: time.Now}
	old := archive(t, target)
	g := wait.NewRegistry(wait.Options{Store: s})
	if _, won, err := g.Claim(t.Context(), waitingRun(0).Run, wait.Point{Step: 2}, &wait.Answer{By: wait.ByOperator, At: time.Now()}); err != nil || !won {
		t.Fatal(won, err)
	}
	if _, told := restore(t, target, old, backup.RestoreOptions{Mode: backup.Replace}); slices.ContainsFunc(told, func(s string) bool { return strings.Contains(s, " wait ") }) {
		t.Errorf("told %v", told)
	}
	if row, err := g.Get(t.Context(), waitingRun(0).Run); err != nil || row.State != wait.Answered {
		t.Errorf("%+v, %v", row, err)
	}
	// What the archive does not have goes.
	empty := archive(t, &backup.Store{Queue: memory(t), Now: time.Now})
	restore(t, target, empty, backup.RestoreOptions{Mode: backup.Replace})
	for n, gone := range []bool{true, true, false} {
		if _, err := g.Get(t.Context(), waitingRun(n).Run); errors.Is(err, queue.ErrNotFound) != gone {
			t.Errorf("run %d: %v", n, err)
		}
	}
}

func TestAnArchiveHasNoOtherRunsAndVersions(t *testing.T) {
	t.Parallel()
	s := memory(t)
	park(t, s)
	p, err := s.Waits().Get(t.Context(), waitingRun(0).Run)
	if err != nil {
		t.Fatal(err)
	}
	ended, err := s.Waits().Get(t.Context(), waitingRun(2).Run)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		kind, key string
		data      []byte
		ok        bool
	}{
		"a run":               {backup.Wait, p.Run, p.Body, true},
		"of another id":       {backup.Wait, ended.Run, p.Body, false},
		"one that has ended":  {backup.Wait, ended.Run, ended.Body, false},
		"cut off":             {backup.Wait, p.Run, p.Body[:len(p.Body)-1], false},
		"nothing":             {backup.Wait, p.Run, nil, false},
		"a version":           {backup.Source, version.Digest.String(), runtime.AppendBundle(nil, version), true},
		"of another name":     {backup.Source, strings.Repeat("a", 32), runtime.AppendBundle(nil, version), false},
		"a version, garbaged": {backup.Source, version.Digest.String(), []byte{1, 2}, false},
	} {
		text := fmt.Sprintf(`{"kind":%q,"key":%q,"data":%q}`, c.kind, c.key, base64.StdEncoding.EncodeToString(c.data))
		if _, err := backup.ReadRecord([]byte(text)); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
