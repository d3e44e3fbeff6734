package queue

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// formatVersion is the first byte of every stored group and page. A store that
// holds a newer one was written by a newer build and is refused.
const formatVersion = 1

var (
	errCorrupt = errors.New("corrupt record")
	errNewer   = errors.New("written by a newer version of this program")
)

// place is where an event was stored: lane, sequence of the group, index in
// the group. It names the event in the journal for good: no sequence is used twice.
type place struct {
	seq  uint64
	lane uint32
	idx  uint32
}

// A group is what one stored message of a lane holds: version, time, then
// records up to the end of the message.
func appendGroupHeader(b []byte, at int64) []byte {
	b = append(b, formatVersion)
	return binary.BigEndian.AppendUint64(b, uint64(at))
}

func appendRecord(b []byte, id string, home int, body []byte) []byte {
	b = binary.AppendUvarint(b, uint64(home))
	b = appendString(b, id)
	return appendBytes(b, body)
}

// record is one event of a group. Body aliases the message.
type record struct {
	id   string
	home int
	body []byte
}

func decodeGroup(b []byte) (at int64, recs []record, err error) {
	r, err := openMessage(b)
	if err != nil {
		return 0, nil, err
	}
	at = int64(r.fixed64())
	for len(r.b) > 0 && r.err == nil {
		home := r.uvarint()
		id := string(r.bytes())
		body := r.bytes()
		if home > 1<<16 {
			r.err = errCorrupt
		}
		recs = append(recs, record{id: id, home: int(home), body: body})
	}
	if r.err != nil {
		return 0, nil, fmt.Errorf("decode group: %w", r.err)
	}
	return at, recs, nil
}

// What a page of the journal holds, one after the other.
const (
	itemOpen    = 1  // id, stored, attempt: first word about an event
	itemEntry   = 2  // type, body
	itemClaim   = 3  // name
	itemAttempt = 4  // attempt
	itemSettle  = 5  // id, stored, settled
	itemCarry   = 6  // id, stored, attempt, body: a snapshot begins, it replaces what was before
	itemCarried = 7  // the snapshot is complete
	itemLow     = 8  // all of the lane below seq is settled or carried
	itemEpoch   = 9  // name of the process that owns the shard from here on
	itemCopy    = 10 // type, body: an entry inside a snapshot
)

type item struct {
	kind    byte
	typ     byte
	place   place
	id      string
	stored  int64
	settled int64
	attempt int
	body    []byte // aliases the message
}

func appendItemHead(b []byte, kind byte, p place) []byte {
	b = append(b, kind)
	b = binary.AppendUvarint(b, uint64(p.lane))
	b = binary.AppendUvarint(b, p.seq)
	return binary.AppendUvarint(b, uint64(p.idx))
}

func appendItem(b []byte, it *item) []byte {
	b = appendItemHead(b, it.kind, it.place)
	switch it.kind {
	case itemOpen:
		b = appendString(b, it.id)
		b = binary.BigEndian.AppendUint64(b, uint64(it.stored))
		b = binary.AppendUvarint(b, uint64(it.attempt))
	case itemEntry, itemCopy:
		b = append(b, it.typ)
		b = appendBytes(b, it.body)
	case itemClaim, itemEpoch:
		b = appendString(b, it.id)
	case itemAttempt:
		b = binary.AppendUvarint(b, uint64(it.attempt))
	case itemSettle:
		b = appendString(b, it.id)
		b = binary.BigEndian.AppendUint64(b, uint64(it.stored))
		b = binary.BigEndian.AppendUint64(b, uint64(it.settled))
	case itemCarry:
		b = appendString(b, it.id)
		b = binary.BigEndian.AppendUint64(b, uint64(it.stored))
		b = binary.AppendUvarint(b, uint64(it.attempt))
		b = appendBytes(b, it.body)
	}
	return b
}

// itemSize bounds the encoded size of an item with that many variable bytes.
func itemSize(n int) int { return n + 64 }

// decodePage calls f for each item; the item is reused.
func decodePage(b []byte, f func(*item)) error {
	r, err := openMessage(b)
	if err != nil {
		return err
	}
	var it item
	for len(r.b) > 0 && r.err == nil {
		r.item(&it)
		if r.err == nil {
			f(&it)
		}
	}
	if r.err != nil {
		return fmt.Errorf("decode journal page: %w", r.err)
	}
	return nil
}

func (r *reader) item(it *item) {
	*it = item{kind: r.byte()}
	lane, seq, idx := r.uvarint(), r.uvarint(), r.uvarint()
	if lane > 1<<16 || idx > 1<<31 {
		r.err = errCorrupt
	}
	it.place = place{seq: seq, lane: uint32(lane), idx: uint32(idx)}
	switch it.kind {
	case itemOpen:
		it.id, it.stored, it.attempt = string(r.bytes()), int64(r.fixed64()), r.count()
	case itemEntry, itemCopy:
		it.typ, it.body = r.byte(), r.bytes()
	case itemClaim, itemEpoch:
		it.id = string(r.bytes())
	case itemAttempt:
		it.attempt = r.count()
	case itemSettle:
		it.id, it.stored, it.settled = string(r.bytes()), int64(r.fixed64()), int64(r.fixed64())
	case itemCarry:
		it.id, it.stored, it.attempt, it.body = string(r.bytes()), int64(r.fixed64()), r.count(), r.bytes()
	case itemCarried, itemLow:
	default:
		r.err = errCorrupt
	}
}

func appendString(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func appendBytes(b, s []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// reader takes values off the front of b; after an error it returns zeros.
type reader struct {
	b   []byte
	err error
}

func openMessage(b []byte) (*reader, error) {
	if len(b) == 0 {
		return nil, fmt.Errorf("open message: %w", errCorrupt)
	}
	if b[0] > formatVersion {
		return nil, fmt.Errorf("open message of format %d: %w", b[0], errNewer)
	}
	if b[0] == 0 {
		return nil, fmt.Errorf("open message: %w", errCorrupt)
	}
	return &reader{b: b[1:]}, nil
}

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.err = errCorrupt
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.err, r.b = errCorrupt, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) count() int {
	v := r.uvarint()
	if v > 1<<31 {
		r.err = errCorrupt
		return 0
	}
	return int(v)
}

func (r *reader) fixed64() uint64 {
	if len(r.b) < 8 {
		r.err, r.b = errCorrupt, nil
		return 0
	}
	v := binary.BigEndian.Uint64(r.b)
	r.b = r.b[8:]
	return v
}

func (r *reader) bytes() []byte {
	n := r.uvarint()
	if r.err != nil || n > uint64(len(r.b)) {
		r.err, r.b = errCorrupt, nil
		return nil
	}
	s := r.b[:n:n]
	r.b = r.b[n:]
	return s
}
