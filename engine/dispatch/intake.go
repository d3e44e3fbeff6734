package dispatch

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/rules"
	"github.com/starling-rules/starling/engine/wait"
	"github.com/starling-rules/starling/runtime"
)

// handle takes up one delivered event. It must not wait: it is called from the
// one goroutine that reads a shard.
func (d *Dispatcher) handle(del queue.Delivery) {
	defer d.recovered(del)
	e, local := queue.Local(del).(*event.Event)
	var err error
	if !local {
		e, err = event.Decode(del.Body())
	}
	if err != nil {
		d.running.Go(func() { d.bury(del, "decode event: "+err.Error()) })
		return
	}
	if e.Via == viaWait {
		d.running.Go(func() { d.continued(del, e) })
		return
	}
	if d.Observe != nil {
		d.Observe(e)
	}
	counted := false
	if del.Attempt() > 1 || len(del.History()) > 0 {
		rec, err := decodeRecord(del.History())
		switch {
		case err != nil:
			d.running.Go(func() { d.bury(del, "decode journal: "+err.Error()) })
			return
		case rec.Attempts >= d.MaxAttempts:
			d.running.Go(func() { d.bury(del, "interrupted too often: every attempt ended with the server") })
			return
		case rec.Runs != nil:
			d.running.Go(func() { d.resume(del, e, rec) })
			return
		}
		// Nothing but reads can have happened: it starts afresh, in its place.
		// The attempt need not be on disk first: it counts events that end the
		// server before their first record.
		del.AppendLater(attemptEntry(d.Now()))
		counted = true
	}
	set := d.Rules.Current()
	if e.Answered() && !set.HasGuards() {
		if _, _, ok := wait.RefOf(e); ok { // whoever waits for it says nothing to its sender
			d.tell(e, emptyAnswer(e))
		}
	}
	named := d.Names != nil && (set.NeedsChannelNames() || set.NeedsUserNames() || set.NeedsTextNames())
	if !named && !set.HasGuards() {
		d.fresh(del, e, counted)
		return
	}
	names := func(wait bool) bool { return !named || d.Names(d.runCtx, e, wait) }
	d.lookups.do(e.Conversation(), d.running.Go,
		func() bool { return names(false) && d.unguarded(set, e) },
		func() { names(true) },
		func() {
			// Without the names that an ended context cut off, rules would not
			// match that should: the event goes on at the next start.
			if d.runCtx.Err() == nil {
				defer d.recovered(del)
				d.guarded(del, e, counted)
			}
		})
}

// recovered gives up an event over which this program panicked: the others go on.
func (d *Dispatcher) recovered(del queue.Delivery) {
	if p := recover(); p != nil {
		d.Logger.Error("panic", "event_id", del.ID(), "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		d.running.Go(func() { d.bury(del, fmt.Sprintf("panic: %v", p)) })
	}
}

// fresh starts the runs of an event that is seen for the first time.
func (d *Dispatcher) fresh(del queue.Delivery, e *event.Event, counted bool) {
	set := d.Rules.Current()
	matches, overruns := set.MatchWithin(e, nil, d.isOff)
	d.trace(set, e)
	if len(overruns) > 0 {
		d.overran(e, overruns)
	}
	d.Metrics.Matched.WithLabelValues(string(e.Kind), outcomeOf(matches)).Inc()
	hears := d.hears(e)
	if len(matches) == 0 && hears == nil {
		d.tell(e, d.unmatched(set, e))
		del.Settle()
		return
	}
	act := newActivity(d, del, e)
	act.counted, act.hears = counted, hears
	usage := d.plan(act, matches)
	if usage != "" {
		d.tell(e, usageAnswer(usage))
	}
	if len(act.runs) == 0 {
		switch {
		case usage != "":
		case len(matches) == 0 && hears.unsure():
			d.tell(e, d.unmatched(set, e))
		default:
			d.tell(e, emptyAnswer(e))
		}
		act.start()
		return
	}
	if usage == "" && hears.unsure() && !slices.ContainsFunc(act.runs, func(r *run) bool { return r.Answer }) {
		d.tell(e, d.unmatched(set, e)) // what runs only looks on: nobody need wait for it
	}
	act.start()
}

// outcomeOf says in a word what became of an event: defaulted is one that only
// the help for what nothing else matches is for.
func outcomeOf(matches []rules.Match) string {
	switch {
	case len(matches) == 0:
		return "ignored"
	case !slices.ContainsFunc(matches, func(m rules.Match) bool { return m.Rule.Match != "nothing" }):
		return "defaulted"
	}
	return "handled"
}

// plan adds a run for each match, without the rules that are cooling down and
// those that have already run for the same message under another event id.
// usage is what to tell whoever got the arguments of a command wrong.
func (d *Dispatcher) plan(act *activity, matches []rules.Match) (usage string) {
	e, kept := act.e, matches[:0]
	ids := make([]string, 0, len(matches))
	for _, m := range matches {
		if m.Usage != "" && e.Kind == event.Command {
			usage = m.Usage
			continue
		}
		id := runID(act.key, m.Rule.ID)
		if m.Rule.Cooldown > 0 && m.Usage == "" && !d.cooldowns.pass(cooldownKey(m.Rule.ID, e), id, m.Rule.Cooldown, d.Now()) {
			continue
		}
		kept, ids = append(kept, m), append(ids, id)
	}
	held := []bool(nil)
	if act.key != act.del.ID() && len(kept) > 0 {
		held = act.del.Claim(ids)
	}
	n := 0
	for i, m := range kept {
		if held == nil || held[i] {
			kept[n] = m
			act.add(d.describe(ids[i], kept[:n+1]))
			n++
		}
	}
	return usage
}

// describe says of the last match what the journal keeps.
func (d *Dispatcher) describe(id string, matches []rules.Match) openRun {
	m := &matches[len(matches)-1]
	r, after := m.Rule, -1
	for j := range matches[:len(matches)-1] {
		if matches[j].Rule == m.After {
			after = j
		}
	}
	limit := d.RunLimit
	if r.Timeout > 0 {
		limit = r.Timeout
	}
	open := openRun{
		ID: id, Rule: r.ID, Script: r.Script, Digest: r.Digest, Func: r.Func, When: r.When,
		Hosts: r.Hosts, Answer: r.Answers, DryRun: r.DryRun, Limit: limit, ErrorOf: -1, After: after, Match: m.Groups, Groups: r.Groups, Admin: r.Admin,
		cooldown: r.Cooldown > 0,
	}
	if m.Usage != "" {
		open.toUsage(m.Usage)
	}
	return open
}

// An event that was cut off suspectAfter times and got no further is suspected
// of ending the server. Only maxSuspects of those are under way at a time, and
// the others are not counted as interrupted along with them.
const (
	suspectAfter = 2
	maxSuspects  = 4
)

// resume takes up an event that was cut off: the runs are those of its first
// record, on the versions they began with, with the results recorded so far.
func (d *Dispatcher) resume(del queue.Delivery, e *event.Event, rec *record) {
	act := newActivity(d, del, e)
	act.hears = d.hears(e)
	if !act.takenUp(rec) {
		return
	}
	for i, open := range rec.Runs {
		act.addRecorded(open, rec.Steps[i], rec.Last[i], rec.Ends[i])
	}
	act.start()
}

// takenUp records that an event is taken up again; false if the server stops,
// or another process has it.
func (a *activity) takenUp(rec *record) bool {
	if rec.Attempts >= suspectAfter {
		select {
		case a.d.suspects <- struct{}{}:
			a.suspect = true
		case <-a.d.runCtx.Done():
			return false
		}
	}
	a.opened, a.onDisk, a.resumed, a.counted = true, true, true, true
	if err := a.durable(a.d.runCtx, attemptEntry(a.d.Now())); err != nil {
		a.release()
		return false
	}
	return true
}

// bury makes an event a dead letter.
func (d *Dispatcher) bury(del queue.Delivery, reason string) {
	err := persist(d.runCtx, func() error { return del.Dead(d.runCtx, reason) })
	if err != nil {
		d.Logger.Error("move event to the dead letters", "event_id", del.ID(), "err", err)
		return
	}
	d.Metrics.Runs.WithLabelValues("", string(Dead)).Inc()
	d.Logger.Error("event is dead", "event_id", del.ID(), "reason", reason)
}

// tell answers an event for which nothing runs.
func (d *Dispatcher) tell(e *event.Event, a *event.Answer) {
	switch {
	case !e.Answered():
	case e.Reply == d.Store.Address():
		d.deliver(e, a)
	default: // on another machine: not in the goroutine that reads a shard
		d.running.Go(func() { d.deliver(e, a) })
	}
}

// deliver hands the answer to whoever waits for it, and reports whether
// somebody does.
func (d *Dispatcher) deliver(e *event.Event, a *event.Answer) bool {
	if e.Reply == "" {
		return false
	}
	if e.Reply == d.Store.Address() {
		return d.waiters.deliver(e.ID, a)
	}
	// The other process stops waiting at the limit; leave it time to answer.
	left := d.AnswerLimit - 200*time.Millisecond - d.Now().Sub(e.Received)
	if left <= 0 {
		return false
	}
	ctx, cancel := context.WithTimeout(d.runCtx, left)
	defer cancel()
	return d.Store.SendAnswer(ctx, e.Reply, e.ID, encodeAnswer(a)) == nil
}

// ensureSource keeps the sources of a version in the store while runs refer to it.
func (d *Dispatcher) ensureSource(ctx context.Context, digest runtime.Digest) error {
	if _, ok := d.sources.Load(digest); ok {
		return nil
	}
	b, ok := d.Rules.Bundle(digest)
	if !ok {
		return runtime.ErrUnknownScript
	}
	if err := d.Store.PutSource(ctx, digest.String(), runtime.AppendBundle(nil, b)); err != nil {
		return err
	}
	d.sources.Store(digest, struct{}{})
	return nil
}

// restore makes a version of the past usable, or says why it is not.
func (d *Dispatcher) restore(ctx context.Context, digest runtime.Digest) error {
	if _, ok := d.Rules.Bundle(digest); ok {
		return nil
	}
	text, err := d.Store.Source(ctx, digest.String())
	if err != nil {
		return err
	}
	b, err := runtime.DecodeBundle(text)
	if err != nil {
		return err
	}
	return d.Rules.Restore(ctx, b)
}

// persist calls f until the store takes what it writes, the context ends, or
// trying again is of no use.
func persist(ctx context.Context, f func() error) error {
	hopeless := [...]error{queue.ErrFenced, queue.ErrClosed, queue.ErrTooLarge, wait.ErrTooMany, wait.ErrCrowded}
	for again := 100 * time.Millisecond; ; again = min(2*again, 5*time.Second) {
		err := f()
		if err == nil || slices.ContainsFunc(hopeless[:], func(e error) bool { return errors.Is(err, e) }) {
			return err
		}
		if !pause(ctx, again) {
			return context.Cause(ctx)
		}
	}
}

// pause waits, and reports whether the context still stands.
func pause(ctx context.Context, wait time.Duration) bool {
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
