package wait

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/runtime"
)

// Options configure a Registry. Store is required.
type Options struct {
	Store queue.Store
	// Continue makes an answered run go on. It is called at least once for each
	// answer, also after a restart, and must make a repeat harmless.
	Continue func(ctx context.Context, row *Row) error
	// Retention is how long ended runs are kept, default 14 days, and
	// RetentionBytes how many bytes of them, default 128 MiB: the oldest go.
	Retention      time.Duration
	RetentionBytes int64
	// Changed is told how many runs wait, whenever that changes. May be nil.
	Changed func(waiting int)
	Now     func() time.Time
	Logger  *slog.Logger
}

// The defaults of retention.
const (
	DefaultRetention      = 14 * 24 * time.Hour
	DefaultRetentionBytes = 128 << 20
)

// Registry is the runs that wait. Safe for concurrent use, by any number of
// processes on one store.
type Registry struct {
	o     Options
	rows  queue.Waits
	index Index
	most  int64 // bytes that rows of waiting runs may take; 0: no bound

	loaded   chan struct{} // closed when the rows have been read once
	loading  sync.Once
	ended    atomic.Int64 // bytes of ended rows, as far as this process knows
	trimming sync.Mutex
	telling  sync.Mutex
}

// NewRegistry returns a registry that knows nothing yet: see Follow and Load.
func NewRegistry(o Options) *Registry {
	if o.Retention <= 0 {
		o.Retention = DefaultRetention
	}
	if o.RetentionBytes <= 0 {
		o.RetentionBytes = DefaultRetentionBytes
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	g := &Registry{o: o, rows: o.Store.Waits(), loaded: make(chan struct{})}
	if room := g.rows.Room(); room > 0 {
		g.most = room / 4 * 3
		g.o.RetentionBytes = min(g.o.RetentionBytes, room/8)
	}
	return g
}

// ErrTooMany says that no more runs can wait: their rows fill the store.
var ErrTooMany = errors.New("too many runs wait")

// ErrCrowded says that MaxPerKey runs wait for the same already.
var ErrCrowded = errors.New("too many runs wait for the same events")

// MaxPerKey is how many runs may wait with one key: each event that bears it is
// tested against all of them.
const MaxPerKey = 2000

// TimerPrefix begins the ids of the timers of waits.
const TimerPrefix = "wait/"

// timerID names the timer of one wait of a run: a late one of a wait before
// does no harm.
func timerID(r *Row) string { return TimerPrefix + r.Run + "." + r.Wait.Point().String() }

// ParseTimer reads the id of a timer.
func ParseTimer(id string) (run string, at Point, ok bool) {
	id, ok = strings.CutPrefix(id, TimerPrefix)
	if !ok {
		return "", Point{}, false
	}
	run, number, _ := strings.Cut(id, ".")
	at, ok = ParsePoint(number)
	return run, at, ok
}

// tell passes on how many wait, one caller at a time: who is told last is told
// the newest.
func (g *Registry) tell() {
	if g.o.Changed == nil {
		return
	}
	g.telling.Lock()
	defer g.telling.Unlock()
	g.o.Changed(g.index.Len())
}

// Rev is the newest revision that this process knows of a run that waits; 0: none.
func (g *Registry) Rev(run string) uint64 { return g.index.rev(run) }

// Shared reports whether other processes write to the store as well: then what
// this one knows of a row may be old for a moment.
func (g *Registry) Shared() bool { return g.rows.Shared() }

// Len is how many runs wait, as far as this process knows.
func (g *Registry) Len() int { return g.index.Len() }

// Get returns a row, or queue.ErrNotFound.
func (g *Registry) Get(ctx context.Context, run string) (*Row, error) {
	known := g.index.rev(run)
	p, err := g.rows.Get(ctx, run)
	if err != nil {
		if errors.Is(err, queue.ErrNotFound) {
			g.index.drop(run, known) // not what was written since
		}
		return nil, err
	}
	return decodeRow(p)
}

// Find returns the runs that an event may be for: those that share a key with
// it. It does not look into the store.
func (g *Registry) Find(e *event.Event) []string {
	if !g.index.keyed() {
		return nil
	}
	return g.index.find(KeysOf(e))
}

// List calls f with a summary of every row, in no order.
func (g *Registry) List(ctx context.Context, f func(Summary)) error {
	return g.rows.List(ctx, func(p queue.Parked) {
		if s, err := Summarize(p); err == nil {
			f(s)
		}
	})
}

// Expect has events find a run by what it is about to wait for, before it is
// parked: none that comes meanwhile is missed. Whoever finds no row, or an older
// one, waits for it as long as Expected says that it is to come. The function
// that is returned ends this: call it, once, when the run is parked, or will not be.
func (g *Registry) Expect(run string, w *Wait) (over func()) {
	return g.index.expect(run, w.hashes())
}

// Expected reports whether a run is about to be parked, in this process. Ask
// before the row is read: it is there when this is no more so.
func (g *Registry) Expected(run string) bool { return g.index.expects(run) }

// write stores a row in the place of what was read, and indexes it: what it is
// to be found by before it is there, so that no event comes in between.
func (g *Registry) write(ctx context.Context, r *Row, ttl time.Duration) error {
	p := r.park()
	if r.State == Waiting {
		defer g.Expect(r.Run, r.Wait)()
	}
	rev, err := g.rows.Put(ctx, p, ttl)
	if err != nil {
		return err
	}
	r.Rev, p.Rev = rev, rev
	s, err := readMark(p, false)
	if err != nil {
		return err
	}
	if s.State == Waiting {
		g.index.set(s)
	} else {
		g.index.drop(r.Run, rev)
	}
	g.tell()
	return nil
}

// Park stores a run that waits, in the place of revision r.Rev (0: it is new),
// and sets its timer. It can be repeated: that the run waits there already, or
// has gone on since, is no error.
func (g *Registry) Park(ctx context.Context, r *Row) error {
	r.State, r.Answer = Waiting, nil
	if r.Rev == 0 && g.most > 0 && g.index.Bytes() > g.most { // what waits already must be able to go on
		return fmt.Errorf("park: %w: %d of them take %d MiB", ErrTooMany, g.index.Len(), g.index.Bytes()>>20)
	}
	if g.index.crowd(r.Wait.hashes()) > MaxPerKey {
		return fmt.Errorf("park: %w", ErrCrowded)
	}
	for {
		err := g.write(ctx, r, 0)
		if err == nil {
			return g.setTimer(ctx, r)
		}
		if !errors.Is(err, queue.ErrChanged) {
			return fmt.Errorf("park: %w", err)
		}
		now, err := g.Get(ctx, r.Run)
		switch {
		case errors.Is(err, queue.ErrNotFound):
			r.Rev = 0
		case err != nil:
			return err
		case Reached(now, r.Wait.Point()):
			if now.State == Waiting && now.Wait.Point() == r.Wait.Point() {
				return g.parked(ctx, now)
			}
			return nil
		default:
			r.Rev = now.Rev
		}
	}
}

// parked indexes a row that turned out to be there: who wrote it was not told,
// or is no more. Then it sets its timer.
func (g *Registry) parked(ctx context.Context, r *Row) error {
	defer g.Expect(r.Run, r.Wait)() // what becomes of it meanwhile is noted
	now, err := g.rows.Get(ctx, r.Run)
	if err != nil {
		return err
	}
	if s, err := readMark(now, false); err == nil {
		g.index.set(s)
		g.tell()
	}
	return g.setTimer(ctx, r)
}

// Reached reports whether a run has parked at a point, or gone beyond it.
func Reached(r *Row, at Point) bool {
	return r.State == Ended || r.Wait != nil && !r.Wait.Point().Before(at)
}

func (g *Registry) setTimer(ctx context.Context, r *Row) error {
	if r.Wait.Until.IsZero() {
		return nil
	}
	return g.o.Store.Timers().Set(ctx, queue.Timer{ID: timerID(r), Key: r.Key, At: r.Wait.Until})
}

// Claim answers the wait at a point. Of several that try, one has won: it, and a
// repeat of it, is told so and has the run go on (Continue). The others are
// given the row as the winner left it. queue.ErrNotFound if there is no such run.
func (g *Registry) Claim(ctx context.Context, run string, at Point, a *Answer) (row *Row, won bool, err error) {
	for {
		r, err := g.Get(ctx, run)
		if err != nil {
			return nil, false, err
		}
		switch {
		case r.State == Answered && r.Wait.Point() == at && same(r.Answer, a):
			return r, true, nil // this very answer, before
		case r.State != Waiting || r.Wait.Point() != at:
			return r, false, nil
		}
		if err = g.Take(ctx, r, a, nil); err == nil {
			return r, true, nil
		}
		if !errors.Is(err, queue.ErrChanged) {
			return nil, false, err
		}
	}
}

// same reports whether two answers are one.
func same(a, b *Answer) bool {
	return a != nil && a.By == b.By && a.Event.Key == b.Event.Key && a.Who == b.Who && (a.By == ByEvent || a.By == ByTimeout || a.At.Equal(b.At))
}

// Take answers a wait that was read as r, or fails with queue.ErrChanged; state
// replaces that of the wait, if it is not nil.
func (g *Registry) Take(ctx context.Context, r *Row, a *Answer, state *runtime.Dict) error {
	next := *r
	next.State, next.Answer, next.Wait = Answered, a, withState(r.Wait, state)
	if err := g.write(ctx, &next, 0); err != nil {
		return err
	}
	*r = next
	return nil
}

// Count notes an event that counts towards the answer of a wait that was read
// as r, and the state that it leaves; or fails with queue.ErrChanged.
func (g *Registry) Count(ctx context.Context, r *Row, state *runtime.Dict, key string) error {
	next := *r
	next.Wait = withState(r.Wait, state)
	next.Heard = append(slices.Clone(r.Heard[max(0, len(r.Heard)-maxHeard+1):]), key)
	return g.write(ctx, &next, 0)
}

func withState(w *Wait, state *runtime.Dict) *Wait {
	if state == nil {
		return w
	}
	next := *w
	next.State = state
	return &next
}

// Ensure sets the timer of a run that waits: who parked it may not have come so far.
func (g *Registry) Ensure(ctx context.Context, r *Row) error {
	if r.State != Waiting {
		return nil
	}
	return g.setTimer(ctx, r)
}

// Continue has an answered run go on, and ends its timer.
func (g *Registry) Continue(ctx context.Context, r *Row) error {
	if g.o.Continue == nil {
		return nil
	}
	if err := g.o.Continue(ctx, r); err != nil {
		return err
	}
	if r.Wait != nil && !r.Wait.Until.IsZero() && (r.Answer == nil || r.Answer.By != ByTimeout) {
		if err := g.o.Store.Timers().Cancel(ctx, r.Key, timerID(r)); err != nil {
			g.o.Logger.Debug("a timer is left to run out", "run", r.Run, "err", err)
		}
	}
	return nil
}

// Begin stores a run that has yet to begin, or to go on from a base, and has it
// go on at once, or when its wait says.
func (g *Registry) Begin(ctx context.Context, r *Row) error {
	if r.Answer == nil {
		return g.Park(ctx, r)
	}
	r.State = Answered
	err := g.write(ctx, r, 0)
	if errors.Is(err, queue.ErrChanged) { // it is there already
		if r, err = g.Get(ctx, r.Run); err != nil || r.State != Answered {
			return err
		}
	}
	if err != nil {
		return err
	}
	return g.Continue(ctx, r)
}

// Finish keeps a run that has ended, in the place of its row, for the retention.
func (g *Registry) Finish(ctx context.Context, r *Row) error {
	r.State, r.Ended = Ended, g.o.Now()
	for {
		err := g.write(ctx, r, g.o.Retention)
		if err == nil {
			break
		}
		if !errors.Is(err, queue.ErrChanged) {
			return fmt.Errorf("keep an ended run: %w", err)
		}
		now, err := g.Get(ctx, r.Run)
		switch {
		case errors.Is(err, queue.ErrNotFound):
			r.Rev = 0
		case err != nil:
			return err
		case now.State == Ended:
			return nil
		default:
			r.Rev = now.Rev
		}
	}
	if g.ended.Add(int64(len(r.Base))) > g.o.RetentionBytes {
		g.trim(ctx)
	}
	return nil
}
