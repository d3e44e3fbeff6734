package dispatch

import (
	"bytes"
	"context"
	"sync"

	"github.com/starling-rules/starling/engine/door"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/wait"
)

// Many runs may wait for events of one channel, or of one kind, and most of the
// events are for none of them. What those runs wait for is kept in memory: it is
// a matter of microseconds to find that an event is not for one.
const (
	// company is how many runs an event may be for without their being kept.
	company = 8
	// mostKept bounds what is kept, in bytes, about; a run that takes more than
	// largestKept is not.
	mostKept    = 16 << 20
	largestKept = 64 << 10
)

// crowd are runs that were read, by their id. The zero value is empty.
type crowd struct {
	mu   sync.Mutex
	m    map[string]*kept
	size int
}

// kept is a run that waits, as of row.Rev. It is not changed.
type kept struct {
	row   *wait.Row
	asker *door.Run
	size  int
}

func (c *crowd) get(run string, rev uint64) *kept {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.m[run]
	if k != nil && k.row.Rev == rev {
		return k
	}
	c.drop(k)
	return nil
}

func (c *crowd) keep(k *kept) {
	if k.size > largestKept {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop(c.m[k.row.Run])
	if c.m == nil || c.size+k.size > mostKept {
		c.m, c.size = map[string]*kept{}, 0
	}
	c.m[k.row.Run] = k
	c.size += k.size
}

func (c *crowd) drop(k *kept) {
	if k != nil {
		delete(c.m, k.row.Run)
		c.size -= k.size
	}
}

// keptOf is what a handler asks for of a row, without what the run did before.
func keptOf(row *wait.Row, asker *door.Run) *kept {
	e := *asker.Event
	e.Raw = bytes.Clone(e.Raw)
	size := 1024 + 2*(len(e.Raw)+len(e.Text))
	asker.Event, row.Base = &e, nil
	for _, p := range row.Past {
		size += 512 + 4*len(p.Wait.Title)
	}
	for _, key := range row.Heard {
		size += len(key) + 16
	}
	return &kept{row, asker, size}
}

// notFor reports that an event that shares a key with a run is not for it. No
// means no more than that it has to be looked into: with the row as it is.
func (d *Dispatcher) notFor(ctx context.Context, e *event.Event, run string, late bool) bool {
	expected := d.waiting.Expected(run) // before what is known of the row
	rev := d.waiting.Rev(run)
	if rev == 0 || expected || d.waiting.Shared() {
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
		k = keptOf(row, asker)
		d.crowd.keep(k)
	}
	h := d.Live[k.row.Wait.Kind]
	if h.Hear == nil || k.row.Counted(e.RunKey()) {
		return false
	}
	asker := *k.asker
	return beside(&asker, k.row, e, late) || h.Hear(ctx, &asker, k.row.Wait, e).Verdict == wait.Ignore
}
