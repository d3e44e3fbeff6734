// Package breaker keeps rules switched off: those that went beyond their
// limits again and again, and those that an operator wants to rest.
//
//	Breaker   Off on every event; Good and Breach after every run
//	Switch    why, since when and on which version a rule is off
//
//	     Breach × 3 in a row               another version, Enable
//	on ─────────────────────► off (by breaker) ─────────────────────► on
//	 └── Disable ───────────► disabled (by an operator) ── Enable ──► on
//
// Breaches are counted in memory, per process. What is off is kept in the
// store's state, so that it stays off over a restart and in every process of a
// cluster: it is read at the start, and again when another process has changed
// it (a counter tells that, see record.go). Asking whether a rule is off
// touches no store and takes no lock.
//
// The package knows no rules, no runs and no Slack.
package breaker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/starling-rules/starling/engine/metric"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/runtime"
)

// State tells whether a rule sees events.
type State string

// The states of a rule. A rule that is On has no Switch.
const (
	On       State = "on"
	Off      State = "off"      // by the breaker
	Disabled State = "disabled" // by an operator
)

// Switch says of one rule that it is off.
type Switch struct {
	Rule  string `json:"rule"`
	State State  `json:"state"`
	// Why is one line for operators and authors.
	Why   string    `json:"why"`
	Since time.Time `json:"since"`
	// Digest is the version that went beyond its limits: another one is on.
	// Zero if an operator has switched the rule off, whatever its version.
	Digest runtime.Digest `json:"version"`
	// Run is the id of the last run that went beyond its limits, or of the one
	// that there would have been if Limit is runtime.LimitMatch.
	Run string `json:"run,omitempty"`
	// Limit is the limit that the last breach was of, and Others how many more
	// rules of its owner went off along with this one, of which the owner is
	// told once.
	Limit  string `json:"limit,omitempty"`
	Others int    `json:"others,omitempty"`
	// Owner is who is told, Team, Enterprise and Bot on whose behalf.
	Owner      string `json:"owner,omitempty"`
	Team       string `json:"team,omitempty"`
	Enterprise string `json:"enterprise,omitempty"`
	Bot        string `json:"bot,omitempty"`
	// Notice is how far telling the owner has come, Claimed when somebody last
	// set about it.
	Notice  Notice    `json:"notice,omitempty"`
	Claimed time.Time `json:"claimed,omitzero"`
}

// Notice is how far telling the owner has come.
type Notice string

// The states of a notice; empty: there is nobody to tell.
const (
	Claimed Notice = "claimed" // a process is at it, or was when it ended
	Told    Notice = "told"
)

// Breach is a run that went beyond a limit.
type Breach struct {
	Rule   string
	Digest runtime.Digest
	Run    string
	// Limit is the name of the limit, or "crash" when the worker died of it.
	Limit string
	Err   *runtime.Error
	// As in Switch.
	Owner, Team, Enterprise, Bot string
}

// Options configure a Breaker. State is required.
type Options struct {
	State queue.State
	// Trip is how many breaches in a row switch a rule off (default 3).
	Trip int
	// Shared tells that other processes use the same state: it is looked at
	// every Poll (default 2 s).
	Shared bool
	Poll   time.Duration
	// Tell sends the owner a notice. again: an earlier attempt may have
	// succeeded. An error means that it is worth another attempt. May be nil.
	Tell func(ctx context.Context, s Switch, again bool) error

	Now     func() time.Time
	Logger  *slog.Logger
	Metrics *metric.Set
}

// Breaker is safe for concurrent use.
type Breaker struct {
	o   Options
	off atomic.Pointer[map[string]Switch] // by rule; immutable
	// counting tells that count may hold something.
	counting atomic.Bool

	// store is held over whatever reads or changes the store along with off, so
	// that the two go the same way. It is taken before mu.
	store sync.Mutex

	mu    sync.Mutex
	count map[string]*row // breaches in a row, by rule
	lines map[string]line // by rule
	// unsaved are the switches of this process that are not stored yet.
	unsaved map[string]bool
	known   string // the counter of changes when the state was last read

	jobs sync.WaitGroup
	done context.Context // ends when what is not written by then is given up
	end  context.CancelFunc
}

// row is the breaches of one rule since its last good run. Those of the limit
// "match" are counted on their own, for no run makes up for them: a pattern
// that takes long may well match. They are forgotten after forgetMatch.
type row struct {
	digest  runtime.Digest
	limits  []string
	matches []string
	matched time.Time // the last of matches
}

// forgetMatch is how far apart two breaches in a row of the limit "match" may be.
const forgetMatch = time.Hour

// line ends the waiting of a rule's runs for their first pass.
type line struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
}

// ErrOff is the cause with which the context of Line ends.
var ErrOff = errors.New("rule is switched off")

// New returns a breaker that knows of no rule yet: call Load.
func New(o Options) *Breaker {
	if o.Trip == 0 {
		o.Trip = 3
	}
	if o.Poll == 0 {
		o.Poll = 2 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Metrics == nil {
		o.Metrics = metric.New("")
	}
	b := &Breaker{o: o, count: map[string]*row{}, lines: map[string]line{}, unsaved: map[string]bool{}}
	b.off.Store(&map[string]Switch{})
	b.done, b.end = context.WithCancel(context.Background())
	return b
}

// Off reports whether a version of a rule is off, and why.
func (b *Breaker) Off(rule string, d runtime.Digest) (Switch, bool) {
	off := *b.off.Load()
	if len(off) == 0 {
		return Switch{}, false
	}
	s, ok := off[rule]
	return s, ok && s.holds(d)
}

// holds reports whether the switch is meant for that version.
func (s Switch) holds(d runtime.Digest) bool { return s.State == Disabled || s.Digest == d }

// All lists what is off, by rule.
func (b *Breaker) All() []Switch {
	return slices.SortedFunc(maps.Values(*b.off.Load()), func(x, y Switch) int { return strings.Compare(x.Rule, y.Rule) })
}

// Line is a context for waiting in line for the first pass of a rule's run: it
// ends, with ErrOff as its cause, when the rule is switched off. The parent is
// the same at every call.
func (b *Breaker) Line(parent context.Context, rule string) context.Context {
	b.mu.Lock()
	defer b.mu.Unlock()
	l, ok := b.lines[rule]
	if !ok {
		l.ctx, l.cancel = context.WithCancelCause(parent)
		b.lines[rule] = l
	}
	return l.ctx
}

// Good ends the row of breaches of a rule.
func (b *Breaker) Good(rule string) {
	if !b.counting.Load() {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if r := b.count[rule]; r != nil && len(r.matches) > 0 {
		r.limits = nil
	} else {
		delete(b.count, rule)
	}
	b.counting.Store(len(b.count) > 0)
}

// Breach counts a run that went beyond a limit, and switches its rule off if
// it is one too many in a row: then tripped is true.
func (b *Breaker) Breach(x Breach) (s Switch, tripped bool) {
	off := b.Breaches([]Breach{x})
	if len(off) == 0 {
		return Switch{}, false
	}
	return off[0], true
}

// Breaches is Breach for several rules at once: of those that are switched off
// each owner is told once. It returns what is off now and was not.
func (b *Breaker) Breaches(xs []Breach) []Switch {
	b.mu.Lock()
	defer b.mu.Unlock()
	var off []Switch
	first := map[string]int{} // by owner
	for _, x := range xs {
		s, tripped := b.counted(x)
		if !tripped {
			continue
		}
		if at, told := first[s.Owner]; told {
			off[at].Others++
		} else if first[s.Owner] = len(off); s.Owner != "" && b.o.Tell != nil {
			s.Notice, s.Claimed = Claimed, s.Since
		}
		off = append(off, s)
	}
	if len(off) > 0 {
		b.put(off...)
		b.o.Logger.Warn("rule is switched off: change its file, or run starling rules enable, to switch it on",
			"rule", off[0].Rule, "others", len(off)-1, "limit", off[0].Limit, "why", off[0].Why, "run", off[0].Run, "owner", off[0].Owner)
	}
	for _, s := range off {
		b.unsaved[s.Rule] = true
		b.o.Metrics.Tripped.WithLabelValues(s.Rule).Inc()
	}
	if len(off) > 0 {
		b.jobs.Go(func() {
			for _, s := range off {
				b.keep(s)
			}
		})
	}
	return off
}

// counted counts one breach, and makes the switch if it is one too many.
// b.mu is held.
func (b *Breaker) counted(x Breach) (s Switch, tripped bool) {
	if s, ok := (*b.off.Load())[x.Rule]; ok && s.holds(x.Digest) {
		return Switch{}, false // of a run that was under way
	}
	r := b.count[x.Rule]
	if r == nil || r.digest != x.Digest {
		r = &row{digest: x.Digest}
		b.count[x.Rule] = r
		b.counting.Store(true)
	}
	limits, now := &r.limits, b.o.Now()
	if x.Limit == runtime.LimitMatch {
		limits = &r.matches
		if now.Sub(r.matched) > forgetMatch {
			r.matches = nil
		}
		r.matched = now
	}
	if *limits = append(*limits, x.Limit); len(*limits) < b.o.Trip {
		return Switch{}, false
	}
	delete(b.count, x.Rule)
	return Switch{
		Rule: x.Rule, State: Off, Why: why(*limits, x.Err), Since: now.UTC(), Digest: x.Digest, Run: x.Run, Limit: x.Limit,
		Owner: x.Owner, Team: x.Team, Enterprise: x.Enterprise, Bot: x.Bot,
	}, true
}

// maxWhy bounds the text of the error within Switch.Why, in bytes.
const maxWhy = 300

func why(limits []string, err *runtime.Error) string {
	names := slices.Compact(slices.Sorted(slices.Values(limits)))
	what := fmt.Sprintf("switched off after %d breaches of limits in a row (%s)", len(limits), strings.Join(names, ", "))
	if err == nil {
		return what
	}
	text := err.Error()
	if len(text) > maxWhy {
		text = strings.ToValidUTF8(text[:maxWhy], "") + "…"
	}
	return what + ", the last at " + text
}

// put makes switches hold in this process. b.mu is held.
func (b *Breaker) put(switches ...Switch) {
	off := maps.Clone(*b.off.Load())
	for _, s := range switches {
		off[s.Rule] = s
		if l, ok := b.lines[s.Rule]; ok {
			l.cancel(ErrOff)
			delete(b.lines, s.Rule)
		}
	}
	b.off.Store(&off)
}

// lift makes rules be on in this process. b.mu is held.
func (b *Breaker) lift(rules ...string) {
	off := maps.Clone(*b.off.Load())
	for _, rule := range rules {
		delete(off, rule)
		delete(b.count, rule)
	}
	b.off.Store(&off)
}

// Changed is told of the versions in force. Rules that went beyond their
// limits on another version are switched on; current returns the version of a
// rule, or false for one that is not there.
func (b *Breaker) Changed(current func(rule string) (runtime.Digest, bool)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var on []Switch
	var lifted []string
	for rule, s := range *b.off.Load() {
		if d, ok := current(rule); ok && !s.holds(d) {
			on, lifted = append(on, s), append(lifted, rule)
		}
	}
	if len(on) > 0 {
		b.lift(lifted...)
		b.o.Logger.Info("rule is switched on again: its file has changed", "rule", lifted[0], "others", len(on)-1)
		b.jobs.Go(func() {
			for _, s := range on {
				b.forget(s)
			}
		})
	}
	for rule, r := range b.count {
		if d, ok := current(rule); ok && d != r.digest {
			delete(b.count, rule)
		}
	}
}

// Close waits for what is being written, until ctx ends. What is not written
// then is lost; a notice that was not sent is sent after the next start.
func (b *Breaker) Close(ctx context.Context) {
	stop := context.AfterFunc(ctx, b.end)
	defer stop()
	b.jobs.Wait()
	b.end()
}
