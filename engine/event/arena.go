package event

import "sync"

// arena gathers the texts of an event and turns them into one string, of which
// the fields are parts: one allocation instead of one per field, and nothing
// left that refers to the request's buffer.
type arena struct {
	buf []byte
	dst []*string
	end []int
}

// arenas are kept for Decode; a parser has its own.
var arenas = sync.Pool{New: func() any { return new(arena) }}

// put arranges that *dst becomes a copy of b at the next flush.
func (a *arena) put(dst *string, b []byte) {
	if len(b) == 0 {
		return
	}
	a.buf = append(a.buf, b...)
	a.mark(dst)
}

// mark ends the text that was appended to a.buf since the last one.
func (a *arena) mark(dst *string) {
	a.dst = append(a.dst, dst)
	a.end = append(a.end, len(a.buf))
}

// flush fills every destination and empties the arena.
func (a *arena) flush() {
	s, start := string(a.buf), 0
	for i, dst := range a.dst {
		*dst = s[start:a.end[i]]
		start = a.end[i]
	}
	a.drop()
}

// drop empties the arena without filling anything. Buffers that one large
// event has blown up are given back.
func (a *arena) drop() {
	clear(a.dst) // or the pool would keep events alive
	a.dst, a.end, a.buf = a.dst[:0], a.end[:0], a.buf[:0]
	if cap(a.buf) > 64<<10 {
		a.buf = nil
	}
	if cap(a.dst) > 1<<10 {
		a.dst, a.end = nil, nil
	}
}
