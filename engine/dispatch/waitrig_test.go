package dispatch_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/starling-rules/starling/engine/dispatch"
	"github.com/starling-rules/starling/engine/door"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/wait"
	"github.com/starling-rules/starling/runtime"
)

// waitProbes are effects that wait: for a click on what they have sent, and for
// a message with the text that is their key.
var waitProbes = []string{"probe.ask", "probe.event"}

// waiters are the handlers of what waits. They keep no state: what is known of
// a wait is in its row.
func (s *server) waiters(all door.Live) {
	all["probe.ask"] = door.Handler{Do: s.do, Repeat: door.Always(door.Lookup), Find: s.find, Wait: s.waitAsk, Hear: hearAsk, Resume: s.resumeAsk, Lost: s.lost}
	all["probe.event"] = door.Handler{
		Do:   func(context.Context, *door.Run, runtime.Effect) (runtime.Value, error) { return nil, nil },
		Read: true, Repeat: door.Always(door.Again), Wait: waitEvent, Hear: hearEvent, Resume: s.resumeAsk,
	}
	all["sleep"] = door.Handler{
		Do:   func(context.Context, *door.Run, runtime.Effect) (runtime.Value, error) { return nil, nil },
		Read: true, Repeat: door.Always(door.Again),
		Wait: func(_ context.Context, r *door.Run, e runtime.Effect, _ runtime.Value) (*wait.Wait, error) {
			v, _ := e.Args.Get("duration")
			d, err := runtime.ToDuration(v)
			return &wait.Wait{Until: r.Intended.Add(d), Title: "sleep"}, err
		},
	}
	all["after"] = door.Handler{Repeat: door.Always(door.Again), Do: func(ctx context.Context, r *door.Run, e runtime.Effect) (runtime.Value, error) {
		delay, _ := e.Args.Get("delay")
		fn, _ := e.Args.Get("fn")
		data, _ := e.Args.Get("data")
		d, err := runtime.ToDuration(delay)
		if err != nil {
			return nil, err
		}
		return r.Later(ctx, e, time.Now().Add(d), fn.(runtime.Func), data)
	}}
	all["cancel"] = door.Handler{Repeat: door.Always(door.Again), Do: func(ctx context.Context, r *door.Run, e runtime.Effect) (runtime.Value, error) {
		return r.Cancel(ctx, e.Args.Text("id"))
	}}
	all["starling.tell"] = door.Handler{Do: func(_ context.Context, r *door.Run, e runtime.Effect) (runtime.Value, error) {
		s.w.far.tell(r.Event.User + ": " + e.Args.Text("text"))
		return nil, nil
	}}
}

func until(r *door.Run, e runtime.Effect) time.Time {
	if v, ok := e.Args.Get("timeout"); ok {
		if d, err := runtime.ToDuration(v); err == nil {
			return r.Intended.Add(d)
		}
	}
	return time.Time{}
}

func (s *server) waitAsk(_ context.Context, r *door.Run, e runtime.Effect, v runtime.Value) (*wait.Wait, error) {
	if ok, _ := v.(*runtime.Dict).Get("ok"); ok != true {
		return nil, nil
	}
	return &wait.Wait{Until: until(r, e), Title: keyOf(e), State: runtime.NewDict("votes", int64(0))}, nil
}

// hearAsk takes the value of the button. "vote" is one of two that are needed.
func hearAsk(_ context.Context, _ *door.Run, w *wait.Wait, e *event.Event) wait.Heard {
	switch value := e.Actions[0].Value; {
	case e.User == "stranger":
		return wait.Heard{Verdict: wait.Refuse, Tell: "not for you"}
	case value == "vote":
		n, _ := w.State.Get("votes")
		state := runtime.NewDict("votes", n.(int64)+1)
		if n == int64(0) {
			return wait.Heard{Verdict: wait.Partial, State: state, Tell: "counted"}
		}
		return wait.Heard{Verdict: wait.Match, Answer: runtime.NewDict("value", "both"), State: state}
	default:
		return wait.Heard{Verdict: wait.Match, Answer: runtime.NewDict("value", value)}
	}
}

func waitEvent(_ context.Context, r *door.Run, e runtime.Effect, _ runtime.Value) (*wait.Wait, error) {
	return &wait.Wait{
		Until: until(r, e), Title: keyOf(e), Match: runtime.NewDict("text", keyOf(e)),
		Keys: []string{wait.Key("event", r.Event.Team, "message", "channel", r.Event.Channel)},
	}, nil
}

func hearEvent(_ context.Context, _ *door.Run, w *wait.Wait, e *event.Event) wait.Heard {
	if e.Text != w.Match.Text("text") {
		return wait.Heard{}
	}
	return wait.Heard{Verdict: wait.Match, Answer: runtime.NewDict("value", e.User)}
}

// resumeAsk is idempotent, as it has to be: it is no effect that is counted. The
// value "vain" leads nowhere, nor does the time in the second round of what has
// "vain" in its key: that round is over soon.
func (s *server) resumeAsk(_ context.Context, r *door.Run, e runtime.Effect, w *wait.Wait, a *wait.Answer) (runtime.Value, error) {
	if !s.point() {
		return nil, context.Canceled
	}
	value := a.Value.Text("value")
	if a.By == wait.ByOperator {
		v, _ := a.Value.Get("answer")
		value = fmt.Sprint(v)
	}
	vain := strings.Contains(keyOf(e), "vain")
	if value == "vain" || vain && w.Round == 1 && a.By == wait.ByTimeout {
		next := &wait.Wait{Title: fmt.Sprint(keyOf(e), " again ", w.Round+1), State: runtime.NewDict("votes", int64(0))}
		if vain && w.Round == 0 {
			next.Until = time.Now().Add(5 * time.Millisecond)
		}
		s.w.far.vain.Add(1)
		return nil, &door.WaitAgain{Wait: next}
	}
	if a.Event.TriggerID != "" && r.Trigger().User != a.Event.User {
		value = "of another trigger"
	}
	return runtime.NewDict("by", a.By, "value", value, "user", a.Event.User), nil
}

func (s *server) lost(_ context.Context, _ *door.Run, _ *wait.Wait, a *wait.Answer, e *event.Event) {
	who := "nobody"
	if a != nil {
		who = a.By + " " + a.Event.User
	}
	s.w.far.tell(e.User + ": too late, it was " + strings.TrimSpace(who))
}

// Points of the store at which a server may be killed: before and behind each
// write about runs that wait.

func (s *store) Put(ctx context.Context, r queue.Record) error {
	if !strings.HasPrefix(r.ID, "wait:") {
		return s.Store.Put(ctx, r)
	}
	if !s.s.point() {
		return queue.ErrClosed
	}
	err := s.Store.Put(ctx, r)
	if !s.s.point() {
		return queue.ErrClosed
	}
	return err
}

func (s *store) Waits() queue.Waits   { return &waits{s.Store.Waits(), s.s} }
func (s *store) Timers() queue.Timers { return &timers{s.Store.Timers(), s.s} }

type waits struct {
	queue.Waits
	s *server
}

func (w *waits) Put(ctx context.Context, p queue.Parked, ttl time.Duration) (uint64, error) {
	if !w.s.point() {
		return 0, queue.ErrClosed
	}
	rev, err := w.Waits.Put(ctx, p, ttl)
	if !w.s.point() {
		return 0, queue.ErrClosed
	}
	return rev, err
}

func (w *waits) Get(ctx context.Context, run string) (queue.Parked, error) {
	if w.s.dead.Load() {
		return queue.Parked{}, queue.ErrClosed
	}
	return w.Waits.Get(ctx, run)
}

type timers struct {
	queue.Timers
	s *server
}

func (t *timers) Set(ctx context.Context, v queue.Timer) error {
	if !t.s.point() {
		return queue.ErrClosed
	}
	return t.Timers.Set(ctx, v)
}

func (t *timers) Cancel(ctx context.Context, key, id string) error {
	if !t.s.point() {
		return queue.ErrClosed
	}
	return t.Timers.Cancel(ctx, key, id)
}

// tells are what people were told alone.
type tells struct {
	mu   sync.Mutex
	list []string
}

func (f *far) tell(text string) {
	f.tells.mu.Lock()
	defer f.tells.mu.Unlock()
	f.tells.list = append(f.tells.list, text)
}

func (f *far) said() []string {
	f.tells.mu.Lock()
	defer f.tells.mu.Unlock()
	return append([]string(nil), f.tells.list...)
}

// rows are the parked runs, by state.
func (w *world) rows(state wait.State) []wait.Summary {
	w.t.Helper()
	var out []wait.Summary
	err := w.registry().List(context.Background(), func(s wait.Summary) {
		if s.State == state {
			out = append(out, s)
		}
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// registry is that of an operator beside the servers.
func (w *world) registry() *wait.Registry {
	return wait.NewRegistry(wait.Options{Store: w.store, Continue: func(ctx context.Context, row *wait.Row) error {
		return dispatch.PutContinuation(ctx, w.store, row)
	}})
}

// waiting waits for one run to wait for an effect of that kind, and returns it.
func (w *world) waiting(kind string) wait.Summary {
	w.t.Helper()
	var got wait.Summary
	eventually(w.t, "a run that waits for "+kind, func() bool {
		for _, s := range w.rows(wait.Waiting) {
			if s.Kind == kind {
				got = s
				return true
			}
		}
		return false
	})
	return got
}

// ended waits for a run to end, and returns its row.
func (w *world) ended(run string) *wait.Row {
	w.t.Helper()
	var row *wait.Row
	eventually(w.t, "the end of run "+run, func() bool {
		r, err := w.registry().Get(context.Background(), run)
		row = r
		return err == nil && r.State == wait.Ended
	})
	return row
}

// click is a press of a button that a run has sent.
func click(id, user, value, run string, step int) *event.Event {
	return clickAt(id, user, value, run, wait.Point{Step: step})
}

func clickAt(id, user, value, run string, at wait.Point) *event.Event {
	return &event.Event{
		ID: id, Kind: event.Action, Type: "block_actions", Team: "T1", App: "A1", User: user, Channel: "C1", TriggerID: "trigger-" + id,
		Actions:  []event.ActionRef{{ActionID: wait.Ref(run, at) + "/0", Type: "button", Value: value}},
		Received: time.Now(), Via: "local", Raw: []byte(`{"type":"block_actions"}`),
	}
}

func (s *server) click(id, user, value string, on wait.Summary) {
	s.w.t.Helper()
	if err := s.Accept(context.Background(), clickAt(id, user, value, on.Run, wait.Point{Step: on.Step, Round: on.Round})); err != nil && !errors.Is(err, queue.ErrDuplicate) {
		s.w.t.Fatalf("click %s: %v", id, err)
	}
}

// gated is a store whose writes of parked runs pass a gate first.
type gated struct {
	queue.Store
	gate  func(queue.Parked)              // called before a write
	after func(queue.Parked, error) error // and behind it
	watch func(context.Context) error     // called before all are read, to be followed
	reads atomic.Int64                    // how often a row was read
}

func (g *gated) over(o *dispatch.Options) {
	g.Store = o.Store
	o.Store = g
}

func (g *gated) Waits() queue.Waits { return &gatedWaits{g.Store.Waits(), g} }

type gatedWaits struct {
	queue.Waits
	g *gated
}

func (w *gatedWaits) Get(ctx context.Context, run string) (queue.Parked, error) {
	w.g.reads.Add(1)
	return w.Waits.Get(ctx, run)
}

func (w *gatedWaits) Watch(ctx context.Context, f func(queue.Parked), all func()) error {
	if w.g.watch != nil {
		if err := w.g.watch(ctx); err != nil {
			return err
		}
	}
	return w.Waits.Watch(ctx, f, all)
}

func (w *gatedWaits) Put(ctx context.Context, p queue.Parked, ttl time.Duration) (uint64, error) {
	if w.g.gate != nil {
		w.g.gate(p)
	}
	rev, err := w.Waits.Put(ctx, p, ttl)
	if w.g.after != nil {
		err = w.g.after(p, err)
	}
	return rev, err
}

func dictOf(pairs ...any) *runtime.Dict { return runtime.NewDict(pairs...) }

func (w *world) remove(path string) {
	w.t.Helper()
	if err := os.Remove(filepath.Join(w.dir, path)); err != nil {
		w.t.Fatal(err)
	}
}

// answered reports whether a row that is written is one whose wait is over.
func answered(p queue.Parked) bool {
	s, err := wait.Summarize(p)
	return err == nil && s.State == wait.Answered
}
