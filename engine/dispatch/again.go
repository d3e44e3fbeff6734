package dispatch

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/wait"
	"github.com/starling-rules/starling/runtime"
)

// An operator may have a run begin again. What comes of it is another run with
// an id of its own, so that nothing it does is taken for what the first one
// did: a row that is answered from the start, whose base is as much of the
// first run as is to be kept.

// ErrNotAgain is wrapped by the reasons why a run cannot begin again.
var ErrNotAgain = errors.New("the run cannot begin again")

// Past is a run as far as it came, for Retry and Dispatcher.Restart.
type Past struct {
	open  openRun
	steps []step
	end   ended
	base  base // with the event, the clock and the arguments
	event *event.Event
}

// PastOfRow is a run that waits, or waited.
func PastOfRow(row *wait.Row) (*Past, error) {
	b, err := decodeBase(row.Base)
	if err != nil {
		return nil, err
	}
	rec, err := b.record()
	if err != nil {
		return nil, fmt.Errorf("decode parked run %s: %w", row.Run, err)
	}
	if len(rec.Runs) == 0 {
		return nil, fmt.Errorf("decode parked run %s: no run is in it", row.Run)
	}
	e, err := b.origin()
	if err != nil {
		return nil, fmt.Errorf("decode the event of run %s: %w", row.Run, err)
	}
	p := &Past{open: rec.Runs[0], steps: rec.Steps[0], end: rec.Ends[0], base: *b, event: e}
	if p.end.Outcome == "" && row.State == wait.Ended {
		p.end.Outcome = Outcome(row.Outcome)
	}
	return p, nil
}

// PastOfEvent is a run that has never waited, of the journal of its event. It
// returns queue.ErrNotFound if the event has no such run.
func PastOfEvent(info queue.EventInfo, id string) (*Past, error) {
	e, err := event.Decode(info.Body)
	if err != nil {
		return nil, fmt.Errorf("%w: its event %s is not kept any more: %w", ErrNotAgain, info.ID, err)
	}
	rec, err := decodeRecord(info.Entries)
	if err != nil {
		return nil, fmt.Errorf("decode journal of %s: %w", info.ID, err)
	}
	for i, open := range rec.Runs {
		if open.ID != id {
			continue
		}
		if open.ErrorOf >= 0 {
			return nil, fmt.Errorf("%w: it was told of the failure of another run: retry that one", ErrNotAgain)
		}
		end, over := rec.Ends[i]
		if !over {
			if info.Reason == "" {
				return nil, fmt.Errorf("%w: it is under way", ErrNotAgain)
			}
			end.Outcome = Dead
		}
		return &Past{open: open, steps: rec.Steps[i], end: end, base: base{event: info.Body, now: e.Received}, event: e}, nil
	}
	return nil, fmt.Errorf("run %s: %w", id, queue.ErrNotFound)
}

// FailedAt is the step from which a retry goes on if nobody says otherwise:
// the one that failed, or the next after all that were done. It is 0 if the
// run ended well.
func (p *Past) FailedAt() int {
	switch p.end.Outcome {
	case Done, skipped:
		return 0
	}
	for i := range p.steps {
		if s := &p.steps[i]; !s.Done || s.Err != "" {
			return i + 1
		}
	}
	return len(p.steps) + 1
}

// Retry is a run on the same version as the first one, that keeps what this
// one did before a step and does everything else again.
func (p *Past) Retry(step int, who string, now time.Time) (*wait.Row, error) {
	if err := p.again(); err != nil {
		return nil, err
	}
	if most := len(p.steps) + 1; step < 1 || step > most {
		return nil, fmt.Errorf("%w from step %d: it has steps 1 to %d", ErrNotAgain, step, most)
	}
	for i := range p.steps[:step-1] {
		if !p.steps[i].Done {
			return nil, fmt.Errorf("%w from step %d: step %d has no result", ErrNotAgain, step, i+1)
		}
	}
	open, b := p.open, p.base
	open.ID, open.After = againID(p.open.ID, now), -1
	if step > 1 && open.Seed == "" {
		open.Seed = p.open.ID
	}
	if step == 1 {
		b.now = now
	}
	b.spent, b.script, b.passes, b.steps, b.logs = 0, 0, 0, 0, 0
	b.entries = []queue.Entry{appendOpen([]openRun{open})}
	for i := range p.steps[:step-1] {
		b.entries = append(b.entries, stepEntries(0, i+1, &p.steps[i])...)
	}
	return p.row(open, &b, "run "+p.open.ID+" is tried again from step "+strconv.Itoa(step), who, now), nil
}

// Restart is a run of the same rule on the version in force, from the start.
func (d *Dispatcher) Restart(ctx context.Context, p *Past, who string, now time.Time) (*wait.Row, error) {
	if err := p.again(); err != nil {
		return nil, err
	}
	if p.base.alone || len(p.base.extra) > 0 {
		return nil, fmt.Errorf("%w on another version: it was begun by a script, with data of that version", ErrNotAgain)
	}
	set := d.Rules.Current()
	rule := set.Rule(p.open.Rule)
	if rule == nil {
		return nil, fmt.Errorf("%w: there is no rule %s any more", ErrNotAgain, p.open.Rule)
	}
	matches, _ := set.MatchWithin(p.event, nil, d.isOff)
	for i := range matches {
		if matches[i].Rule.ID != rule.ID || matches[i].Usage != "" {
			continue
		}
		open := d.describe(againID(p.open.ID, now), matches[i:i+1])
		open.After = -1
		if err := d.ensureSource(ctx, open.Digest); err != nil && !errors.Is(err, runtime.ErrUnknownScript) {
			return nil, fmt.Errorf("keep the sources of %s: %w", open.Script, err)
		}
		b := &base{event: p.base.event, now: now, entries: []queue.Entry{appendOpen([]openRun{open})}}
		return p.row(open, b, "run "+p.open.ID+" begins again on this version", who, now), nil
	}
	return nil, fmt.Errorf("%w: rule %s, as it is now, does not match its event, or is off", ErrNotAgain, p.open.Rule)
}

// again says why no run can be made of this one.
func (p *Past) again() error {
	if p.open.Verdict != nil || p.open.Func == usageFunc {
		return fmt.Errorf("%w: its event was refused before the script ran", ErrNotAgain)
	}
	return nil
}

func againID(run string, now time.Time) string {
	return runID(run+"."+strconv.FormatInt(now.UnixNano(), 36), "again")
}

// row is the row of a new run that goes on at once.
func (p *Past) row(open openRun, b *base, title, who string, now time.Time) *wait.Row {
	return &wait.Row{
		Run: open.ID, Event: p.event.ID, Key: p.event.Conversation(), Rule: open.Rule, Script: open.Script, Digest: open.Digest, Began: now,
		Wait:   &wait.Wait{Kind: wait.Again, Since: now, Title: title},
		Answer: &wait.Answer{By: wait.ByOperator, At: now, Who: who},
		Base:   b.encode(),
	}
}
