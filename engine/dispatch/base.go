package dispatch

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/runtime"
)

// base is what the row of a parked run says of it: the event it began with, and
// what it did, in the form of its journal. A continuation is replayed from it,
// and time lines are read from it.
type base struct {
	event []byte // encoded
	// now is the clock that the run sees, spent how long it was under way, script
	// how much of that the script took.
	now    time.Time
	spent  time.Duration
	script time.Duration
	passes int
	steps  uint64
	// logs is how many lines the script gave: a replay gives them again.
	logs int
	// extra are arguments behind the event; alone: without the event.
	extra []runtime.Value
	alone bool

	entries []queue.Entry
}

// baseVersion is the first byte of an encoded base.
const baseVersion = 1

func (b *base) encode() []byte {
	size := 64 + len(b.event)
	for _, en := range b.entries {
		size += len(en.Body) + 4
	}
	out := append(make([]byte, 0, size), baseVersion)
	out = runtime.AppendString(out, b.event)
	out = binary.AppendVarint(out, b.now.UnixNano())
	out = binary.AppendVarint(out, int64(b.spent))
	out = binary.AppendUvarint(out, uint64(b.passes))
	out = binary.AppendUvarint(out, b.steps)
	out = binary.AppendUvarint(out, uint64(b.logs))
	out = append(out, bit(b.alone))
	out = binary.AppendUvarint(out, uint64(len(b.extra)))
	for _, v := range b.extra {
		out = runtime.Encode(out, v)
	}
	out = binary.AppendUvarint(out, uint64(len(b.entries)))
	for _, en := range b.entries {
		out = runtime.AppendString(append(out, en.Type), en.Body)
	}
	return binary.AppendVarint(out, int64(b.script))
}

func decodeBase(text []byte) (*base, error) {
	d := runtime.NewDecoder(text)
	if v := d.Byte(); v != baseVersion {
		d.Fail("unknown version %d of a parked run", v)
	}
	b := &base{
		event: d.Bytes(), now: time.Unix(0, d.Varint()), spent: time.Duration(d.Varint()),
		passes: int(d.Uvarint()), steps: d.Uvarint(), logs: int(d.Uvarint()), alone: d.Byte() == 1,
	}
	for n := d.Count(); n > 0 && d.Err() == nil; n-- {
		b.extra = append(b.extra, d.Value())
	}
	for n := d.Count(); n > 0 && d.Err() == nil; n-- {
		b.entries = append(b.entries, queue.Entry{Type: d.Byte(), Body: d.Bytes()})
	}
	if d.Len() > 0 { // else it is from before this was kept
		b.script = time.Duration(d.Varint())
	}
	if err := d.Finish(); err != nil {
		return nil, fmt.Errorf("decode parked run: %w", err)
	}
	return b, nil
}

// origin is the event that the run began with.
func (b *base) origin() (*event.Event, error) { return event.Decode(b.event) }

// record is the journal of the run up to where it parked, or ended.
func (b *base) record() (*record, error) { return decodeRecord(b.entries) }

// stepEntries are the journal's form of a step.
func stepEntries(run, number int, s *step) []queue.Entry {
	e := runtime.Effect{Step: number, Kind: s.Kind, Args: s.Args, Pos: s.Pos}
	var out []queue.Entry
	switch {
	case s.Wait != nil:
		out = append(out, waitEntry(run, e, s))
	case !s.Intended.IsZero():
		out = append(out, intentEntry(run, e, s.Hash, s.Intended))
	}
	if s.Done {
		out = append(out, resultEntry(run, e, s.Hash, len(out) == 0, s.At, s.Value, s.Err))
	}
	return out
}
