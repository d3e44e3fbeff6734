package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// listDefault is what a limit below 1 means.
const listDefault = 100

// Pending implements Store.
func (c *core) Pending(ctx context.Context, limit int) ([]EventInfo, error) {
	c.mu.Lock()
	var es []*event
	for _, e := range c.byID {
		if e.unsettled() {
			es = append(es, e)
		}
	}
	sortByAge(es)
	return c.infos(ctx, es, limit)
}

// Recent implements Store.
func (c *core) Recent(ctx context.Context, limit int) ([]EventInfo, error) {
	limit = listed(limit)
	c.mu.Lock()
	var es []*event
	for _, sh := range c.shards {
		for e := range sh.live {
			if len(e.journal) > 0 {
				es = append(es, e)
			}
		}
		es = append(es, latest(sh.settled.all(), limit)...)
	}
	sortByAge(es)
	slices.Reverse(es)
	return c.infos(ctx, es, limit)
}

// latest cuts settled events, which are in the order of their ends, to those
// among which the limit stored last are, and few others: everybody waits for the
// lock meanwhile. Nothing ends before it was stored, so there is none before the
// first that ended after as many were stored. Twice the limit is looked at for
// that, because some may be old that have waited for long.
func latest(es []*event, limit int) []*event {
	from := max(0, len(es)-2*limit)
	if from == 0 {
		return es
	}
	stored := make([]int64, 0, 2*limit)
	for _, e := range es[from:] {
		stored = append(stored, e.stored)
	}
	slices.Sort(stored)
	for least := stored[limit]; from > 0 && es[from-1].settled >= least; from-- {
	}
	return es[from:]
}

// listed is how many events a limit stands for.
func listed(limit int) int {
	if limit < 1 {
		return listDefault
	}
	return limit
}

// infos describes the first limit events. Called with mu held, which it gives up.
func (c *core) infos(ctx context.Context, es []*event, limit int) ([]EventInfo, error) {
	es = es[:min(listed(limit), len(es))]
	infos := make([]EventInfo, len(es))
	for i, e := range es {
		infos[i] = e.info()
	}
	c.mu.Unlock()
	for i, e := range es {
		if err := c.fill(ctx, &infos[i], e); err != nil {
			return nil, err
		}
	}
	return infos, nil
}

// info is what the index knows. Called with mu held.
func (e *event) info() EventInfo {
	i := EventInfo{ID: e.id, Stored: time.Unix(0, e.stored), Attempt: int(e.attempt)}
	if e.settled != 0 {
		i.Settled = time.Unix(0, e.settled)
	}
	return i
}

// fill reads body and entries as far as they are kept.
func (c *core) fill(ctx context.Context, i *EventInfo, e *event) error {
	body, entries, err := c.read(ctx, e, true)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("read event %s: %w", i.ID, err)
	}
	i.Body, i.Entries = body, entries
	return nil
}

// Event implements Store.
func (c *core) Event(ctx context.Context, id string) (EventInfo, error) {
	c.mu.Lock()
	e := c.byID[id]
	if e == nil || e.state == evFlight || e.state == evSent {
		c.mu.Unlock()
		return EventInfo{}, fmt.Errorf("read event %s: %w", id, ErrNotFound)
	}
	infos, err := c.infos(ctx, []*event{e}, 1)
	if err != nil {
		return EventInfo{}, err
	}
	return infos[0], nil
}
