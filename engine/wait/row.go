package wait

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/runtime"
)

// State is where a row stands.
type State string

// The states of a row.
const (
	Waiting  State = "waiting"
	Answered State = "answered" // and not parked again, or ended, since
	Ended    State = "ended"
)

// Row is a run as the store keeps it while it is not under way.
type Row struct {
	// Run is its id, Event that of the event it began with, Key the key of its
	// shard: its continuations and timers have it too.
	Run, Event, Key string
	Rule, Script    string
	Digest          runtime.Digest
	State           State
	// Outcome of a run that has ended, and why in short.
	Outcome, Why string
	Began, Ended time.Time
	// Wait is the newest, Answer what it was given, if it was.
	Wait   *Wait
	Answer *Answer
	// Past are the waits before, with their answers.
	Past []Past
	// Heard are the keys of events that counted, without answering: they count once.
	Heard []string
	// Base is what the run did before it parked: whoever runs it knows the form.
	Base []byte
	// Rev is the revision that was read; 0: it is not stored yet.
	Rev uint64
}

// Past is a wait that is over.
type Past struct {
	Wait   *Wait
	Answer *Answer
}

// Counted reports whether an event with that RunKey has had its effect on the
// run: it answered a wait, or counted towards an answer.
func (r *Row) Counted(key string) bool {
	if r.Answer != nil && r.Answer.Event.Key == key || slices.Contains(r.Heard, key) {
		return true
	}
	return slices.ContainsFunc(r.Past, func(p Past) bool { return p.Answer != nil && p.Answer.Event.Key == key })
}

// At returns a wait, and its answer if it has one; nil if the run did not wait
// there, or not yet.
func (r *Row) At(at Point) (*Wait, *Answer) {
	for _, p := range r.Waits(at.Step) {
		if p.Wait.Point() == at {
			return p.Wait, p.Answer
		}
	}
	return nil, nil
}

// Waits are those of a step, the newest last, with the answers that they have.
func (r *Row) Waits(step int) []Past {
	var out []Past
	for _, p := range r.Past {
		if p.Wait.Step == step {
			out = append(out, p)
		}
	}
	if r.Wait != nil && r.Wait.Step == step {
		out = append(out, Past{r.Wait, r.Answer})
	}
	return out
}

// maxHeard bounds Row.Heard: what is long ago is not delivered again.
const maxHeard = 512

// park is the stored form of a row.
func (r *Row) park() queue.Parked {
	p := queue.Parked{Run: r.Run, Rev: r.Rev, Body: r.encode()}
	p.Mark = r.mark(len(p.Body))
	return p
}

// ErrOver says that a run has ended.
var ErrOver = errors.New("it has ended")

// Parked is a row that was taken from a store, to be put into another one: its
// body, checked, with the mark that belongs to it. Runs that have ended are none.
func Parked(run string, body []byte) (queue.Parked, *Row, error) {
	r, err := decodeRow(queue.Parked{Run: run, Body: body})
	if err != nil {
		return queue.Parked{}, nil, err
	}
	switch {
	case r.State == Ended:
		return queue.Parked{}, nil, fmt.Errorf("run %s: %w", run, ErrOver)
	case r.Wait == nil, r.State != Waiting && r.State != Answered, r.State == Answered && r.Answer == nil:
		return queue.Parked{}, nil, fmt.Errorf("run %s neither waits nor is answered", run)
	}
	return r.park(), r, nil
}

// maxKeys bounds the index keys of one wait.
const maxKeys = 8

// hashes are the numbers of the keys by which the wait is found.
func (w *Wait) hashes() []uint64 {
	out := make([]uint64, min(len(w.Keys), maxKeys))
	for i := range out {
		out[i] = hashKey(w.Keys[i])
	}
	return out
}
