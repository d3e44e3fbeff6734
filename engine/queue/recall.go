package queue

import (
	"context"
	"fmt"
	"slices"
)

// maxRead bounds what a recall, one for each shard, keeps in bytes while events
// wait to be delivered.
const maxRead = 8 << 20

// recall reads stored events anew. After a start there are many of them, and
// what they share, the pages of a journal and the groups of a lane, is read once.
// It belongs to one goroutine.
type recall struct {
	core  *core
	kept  map[stored][]byte
	order []stored
	bytes int
}

// stored is a message of a log. They do not change.
type stored struct {
	log log
	seq uint64
}

// forget gives up what was kept: nothing is left to be read.
func (r *recall) forget() { r.kept, r.order, r.bytes = nil, nil, 0 }

func (r *recall) get(ctx context.Context, from log, seq uint64) ([]byte, error) {
	at := stored{from, seq}
	if data, ok := r.kept[at]; ok {
		return data, nil
	}
	m, err := from.get(ctx, seq)
	if err != nil {
		return nil, err
	}
	if r.kept == nil {
		r.kept = map[stored][]byte{}
	}
	r.kept[at] = m.data
	r.order = append(r.order, at)
	r.bytes += len(m.data)
	for r.bytes > maxRead {
		oldest := r.order[0]
		r.bytes -= len(r.kept[oldest])
		delete(r.kept, oldest)
		r.order = r.order[1:]
	}
	return m.data, nil
}

// event gets the body of an event, and its entries, from the store.
func (r *recall) event(ctx context.Context, e *event, wantBody bool) (body []byte, entries []Entry, err error) {
	c := r.core
	c.mu.Lock()
	pages := slices.Clone(e.journal)
	carry, p, home := e.carry, e.place, e.home
	c.mu.Unlock()
	var copied []Entry
	var carried []byte
	for _, seq := range pages {
		data, err := r.get(ctx, home.log, seq)
		if err != nil {
			return nil, nil, fmt.Errorf("read journal page %d of shard %d: %w", seq, home.k, err)
		}
		err = decodePage(data, func(it *item) {
			if it.place != p {
				return
			}
			switch it.kind {
			case itemCarry:
				copied, carried = nil, it.body
			case itemCopy:
				copied = append(copied, Entry{Type: it.typ, Body: it.body})
			case itemCarried:
				entries, body = copied, carried
			case itemEntry:
				entries = append(entries, Entry{Type: it.typ, Body: it.body})
			}
		})
		if err != nil {
			return nil, nil, err
		}
	}
	if !wantBody || carry != 0 {
		return body, entries, nil
	}
	data, err := r.get(ctx, c.lanes[p.lane].log, p.seq)
	if err != nil {
		return nil, entries, fmt.Errorf("read group %d of lane %d: %w", p.seq, p.lane, err)
	}
	_, recs, err := decodeGroup(data)
	if err != nil {
		return nil, entries, err
	}
	if int(p.idx) >= len(recs) {
		return nil, entries, fmt.Errorf("read group %d of lane %d: %w", p.seq, p.lane, errCorrupt)
	}
	return recs[p.idx].body, entries, nil
}

// read is event, once.
func (c *core) read(ctx context.Context, e *event, wantBody bool) (body []byte, entries []Entry, err error) {
	return (&recall{core: c}).event(ctx, e, wantBody)
}
