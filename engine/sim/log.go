package sim

import (
	"encoding/json"
	"sync"
)

// maxChanges bounds the change log; a reader that falls behind starts over
// from a snapshot.
const maxChanges = 4096

// Change is one thing that happened, as the page is told.
type Change struct {
	Seq  int64           `json:"seq"`
	Kind string          `json:"kind"` // message delete channel modal home notice delivery call event run faults clock subscription catalog rules
	Data json.RawMessage `json:"data"`
}

// changeLog keeps the latest changes and wakes those who wait for more.
// Readers hold a sequence number and no queue, so a slow one costs nothing.
type changeLog struct {
	mu    sync.Mutex
	max   int
	ring  []Change
	seq   int64
	awake chan struct{} // closed at the next change
}

func newChangeLog(n int) *changeLog {
	return &changeLog{max: n, awake: make(chan struct{})}
}

// add appends a change; data must encode as JSON.
func (l *changeLog) add(kind string, data any) {
	raw, err := json.Marshal(data)
	if err != nil {
		panic("sim: encode change " + kind + ": " + err.Error()) // our own types only
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seq++
	if len(l.ring) >= l.max {
		// Dropping a quarter at a time keeps the copying rare.
		l.ring = append(l.ring[:0:0], l.ring[l.max/4:]...)
	}
	l.ring = append(l.ring, Change{l.seq, kind, raw})
	close(l.awake)
	l.awake = make(chan struct{})
}

// since returns the changes after seq, and a channel that closes when there
// are more. ok is false if some of them are forgotten, or seq is not ours.
func (l *changeLog) since(seq int64) (changes []Change, more <-chan struct{}, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	first := l.seq - int64(len(l.ring)) + 1
	if seq > l.seq || seq < first-1 {
		return nil, l.awake, false
	}
	return append([]Change(nil), l.ring[seq-first+1:]...), l.awake, true
}

func (l *changeLog) last() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seq
}
