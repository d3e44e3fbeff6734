package wait

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
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

// At returns the wait of a step, and its answer if it has one; nil if the run
// did not wait there, or not yet.
func (r *Row) At(step int) (*Wait, *Answer) {
	if r.Wait != nil && r.Wait.Step == step {
		return r.Wait, r.Answer
	}
	for _, p := range r.Past {
		if p.Wait.Step == step {
			return p.Wait, p.Answer
		}
	}
	return nil, nil
}

// maxHeard bounds Row.Heard: what is long ago is not delivered again.
const maxHeard = 512

// Summary is a row as a list shows it.
type Summary struct {
	Run, Event, Key string
	Rule, Script    string
	Digest          string
	State           State
	Outcome         string
	Kind            string // of the wait
	Step            int
	Title           string
	Began           time.Time
	Since, Until    time.Time // of the wait; Until zero: it waits for ever
	Bytes           int       // of the row
	Written         time.Time
	Rev             uint64

	keys []uint64
}

// mark is a Summary in few bytes.
type mark struct {
	State   State    `json:"s"`
	Kind    string   `json:"k,omitempty"`
	Step    int      `json:"n,omitempty"`
	Rule    string   `json:"r"`
	Script  string   `json:"f"`
	Digest  string   `json:"d"`
	Event   string   `json:"e"`
	Key     string   `json:"c"`
	Began   int64    `json:"b"`
	Since   int64    `json:"t,omitempty"`
	Until   int64    `json:"u,omitempty"`
	Keys    []string `json:"x,omitempty"`
	Title   string   `json:"l,omitempty"`
	Outcome string   `json:"o,omitempty"`
	Bytes   int      `json:"z,omitempty"`
}

// park is the stored form of a row.
func (r *Row) park() (queue.Parked, error) {
	p := queue.Parked{Run: r.Run, Rev: r.Rev, Body: r.encode()}
	m := mark{
		State: r.State, Rule: r.Rule, Script: r.Script, Digest: r.Digest.String(), Event: r.Event, Key: r.Key,
		Began: r.Began.UnixMilli(), Outcome: r.Outcome, Bytes: len(p.Body),
	}
	if w := r.Wait; w != nil {
		m.Kind, m.Step, m.Title = w.Kind, w.Step, cut(w.Title, 160)
		m.Since, m.Until = milli(w.Since), milli(w.Until)
		if r.State == Waiting {
			for _, k := range w.hashes() {
				m.Keys = append(m.Keys, strconv.FormatUint(k, 36))
			}
		}
	}
	b, err := json.Marshal(m)
	if err == nil && len(b) > queue.MaxMark {
		m.Title, m.Rule, m.Script, m.Event, m.Key = "", cut(m.Rule, 200), cut(m.Script, 120), cut(m.Event, 100), cut(m.Key, 100)
		b, err = json.Marshal(m)
	}
	if err != nil {
		return p, fmt.Errorf("mark run %s: %w", r.Run, err)
	}
	p.Mark = string(b)
	return p, nil
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
	p, err := r.park()
	return p, r, err
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

// summary reads the mark of a row.
func summary(p queue.Parked) (Summary, error) {
	var m mark
	if err := json.Unmarshal([]byte(p.Mark), &m); err != nil {
		return Summary{}, fmt.Errorf("read mark of run %s: %w", p.Run, err)
	}
	s := Summary{
		Run: p.Run, Event: m.Event, Key: m.Key, Rule: m.Rule, Script: m.Script, Digest: m.Digest, State: m.State, Outcome: m.Outcome,
		Kind: m.Kind, Step: m.Step, Title: m.Title, Began: time.UnixMilli(m.Began), Since: ofMilli(m.Since), Until: ofMilli(m.Until),
		Bytes: m.Bytes, Written: p.At, Rev: p.Rev,
	}
	for _, k := range m.Keys {
		if n, err := strconv.ParseUint(k, 36, 64); err == nil {
			s.keys = append(s.keys, n)
		}
	}
	return s, nil
}

func milli(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func ofMilli(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMilli(n)
}

// cut shortens a text to about that many bytes, between characters.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	for most > 0 && text[most]&0xc0 == 0x80 {
		most--
	}
	return text[:most] + "…"
}
