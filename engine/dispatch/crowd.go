package dispatch

import (
	"context"
	"sync"

	"github.com/starling-rules/starling/engine/door"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/wait"
)

// Many runs may wait for events of one channel, or of one kind, and most of the
// events are for none of them. Those runs are kept in memory as they were read:
// it is a matter of microseconds to find that an event is not for one.
const (
	// company is how many runs an event may be for without their being kept.
	company = 8
	// mostKept bounds those that are kept, of a few KB each.
	mostKept = 4096
)

// crowd are runs that were read, by their id. The zero value is empty.
type crowd struct {
	mu sync.Mutex
	m  map[string]*kept
}

// kept is a run that waits, as of row.Rev. It is not changed.
type kept struct {
	row   *wait.Row
	asker *door.Run
}

func (c *crowd) get(run string, rev uint64) *kept {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k := c.m[run]; k != nil && k.row.Rev == rev {
		return k
	}
	delete(c.m, run)
	return nil
}

func (c *crowd) keep(k *kept) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.m == nil || len(c.m) >= mostKept {
		c.m = map[string]*kept{}
	}
	c.m[k.row.Run] = k
}

// notFor reports that an event that shares a key with a run is not for it. No
// means no more than that it has to be looked into: with the row as it is.
func (d *Dispatcher) notFor(ctx context.Context, e *event.Event, run string) bool {
	rev := d.waiting.Rev(run)
	if rev == 0 || d.waiting.Expected(run) {
		return false
	}
	k := d.crowd.get(run, rev)
	if k == nil {
		row, err := d.row(run)
		if err != nil || row == nil || row.State != wait.Waiting {
			return false
		}
		asker, err := d.asker(row)
		if err != nil {
			return false
		}
		k = &kept{row, asker}
		d.crowd.keep(k)
	}
	h := d.Live[k.row.Wait.Kind]
	if h.Hear == nil || k.row.Counted(e.RunKey()) {
		return false
	}
	asker := *k.asker
	return beside(&asker, k.row, e) || h.Hear(ctx, &asker, k.row.Wait, e).Verdict == wait.Ignore
}
