package dispatch_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/dispatch"
	"github.com/starling-rules/starling/engine/door"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/runtime"
)

// simple is the rule of the benchmarks: one effect, whose result is not looked at.
const simple = `
def go(e):
    probe.again(key = "hello " + e.user)
on.message("deploy", go)
`

// feed is a store that hands one event at a time to the dispatcher, and keeps
// nothing: what is measured is the dispatcher.
type feed struct {
	queue.Store
	handle  func(queue.Delivery)
	ready   chan struct{}
	settled chan struct{}
}

func (f *feed) Consume(ctx context.Context, _ int, handle func(queue.Delivery)) error {
	f.handle = handle
	close(f.ready)
	<-ctx.Done()
	return nil
}

type fed struct {
	id   string
	body []byte
	f    *feed
}

func (d *fed) ID() string                                   { return d.id }
func (d *fed) Body() []byte                                 { return d.body }
func (d *fed) Stored() time.Time                            { return time.Time{} }
func (d *fed) Shard() int                                   { return 0 }
func (d *fed) Attempt() int                                 { return 1 }
func (d *fed) History() []queue.Entry                       { return nil }
func (d *fed) Append(context.Context, ...queue.Entry) error { return nil }
func (d *fed) AppendLater(...queue.Entry)                   {}
func (d *fed) Settle(...queue.Entry)                        { d.f.settled <- struct{}{} }
func (d *fed) Dead(context.Context, string) error           { return nil }

func (d *fed) Claim(names []string) []bool {
	held := make([]bool, len(names))
	for i := range held {
		held[i] = true
	}
	return held
}

// benchEvent is a message as it is stored.
func benchEvent() []byte {
	raw := `{"token":"x","team_id":"T1","api_app_id":"A1","type":"event_callback","event_id":"Ev1","event_time":1,"event":{"type":"message","user":"U1","text":"please deploy api to prod now","channel":"C1","ts":"1.1","blocks":[{"type":"rich_text","elements":[{"type":"rich_text_section","elements":[{"type":"text","text":"please deploy api to prod now"}]}]}]}}`
	return message("1", "please deploy api to prod now", func(e *event.Event) { e.Raw = []byte(raw) }).Encode(nil)
}

// BenchmarkLeaseToFirstEffect is the whole way of a leased event to its first
// effect, the pass included; BenchmarkPassAlone is that pass.
func BenchmarkLeaseToFirstEffect(b *testing.B) {
	w := newWorld(b, map[string]string{"a.star": simple})
	f := &feed{Store: w.store, ready: make(chan struct{}), settled: make(chan struct{}, 1)}
	reached := make(chan struct{}, 1)
	w.start(func(o *dispatch.Options) {
		o.Store, o.Logger = f, slog.New(slog.DiscardHandler)
		o.Live["probe.again"] = door.Handler{Repeat: door.Always(door.Again), Do: func(context.Context, *door.Run, runtime.Effect) (runtime.Value, error) {
			reached <- struct{}{}
			return nil, nil
		}}
	})
	<-f.ready
	d := &fed{id: "1", body: benchEvent(), f: f}
	b.ReportAllocs()
	for b.Loop() {
		f.handle(d)
		<-reached
		<-f.settled
	}
}

func BenchmarkPassAlone(b *testing.B) {
	w := newWorld(b, map[string]string{"a.star": simple})
	s := w.start()
	rule := s.loader.Current().Rules()[0]
	c := &runtime.Call{
		Script: rule.Digest, Func: rule.Func, When: -1, RunID: "r", Now: time.Now(),
		Input: event.AppendInput(nil, benchEvent(), nil), Limits: runtime.DefaultLimits,
	}
	b.ReportAllocs()
	for b.Loop() {
		r, err := s.pool.Run(context.Background(), c)
		if err != nil || len(r.Effects) != 1 {
			b.Fatal(r, err)
		}
	}
}

// BenchmarkStoredToSettled is the same over the store in memory, intent and
// outcome appended, one event after another.
func BenchmarkStoredToSettled(b *testing.B) {
	w := newWorld(b, map[string]string{"a.star": simple})
	done := make(chan struct{}, 1)
	s := w.start(func(o *dispatch.Options) {
		o.Store, o.Logger = w.store, slog.New(slog.DiscardHandler)
		o.Live["probe.again"] = door.Handler{Repeat: door.Always(door.Again), Do: func(context.Context, *door.Run, runtime.Effect) (runtime.Value, error) {
			done <- struct{}{}
			return nil, nil
		}}
	})
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		e := message(string([]byte{'b', byte(i), byte(i >> 8), byte(i >> 16)}), "please deploy api to prod now")
		if err := s.Accept(context.Background(), e); err != nil {
			b.Fatal(err)
		}
		<-done
	}
}
