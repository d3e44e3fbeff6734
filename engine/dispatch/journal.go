package dispatch

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/wait"
	"github.com/starling-rules/starling/runtime"
)

// The types of journal entries. They are stored: never renumber.
const (
	entryOpen    byte = 1 // the runs of the event: rules, versions, matches
	entryIntent  byte = 2 // an effect is about to be performed
	entryResult  byte = 3 // what it returned
	entryEnd     byte = 4 // a run has an outcome
	entryAttempt byte = 5 // the event was taken up again after a crash
	entryRelease byte = 6 // it was put back in good order: that attempt does not count
	entryNotes   byte = 7 // passes and log lines of a run, with its end or where it parks (notes.go)
	entryWait    byte = 8 // an effect was performed, and its result is waited for (park.go)
	entryBase    byte = 9 // the first steps of a run are in its row (continue.go)
)

// openRun is what the first record of an event says of one run: everything
// that is needed to start it again, whatever has been dropped since.
type openRun struct {
	ID     string
	Rule   string
	Script string
	Digest runtime.Digest
	Func   int
	When   int
	Hosts  []string
	Answer bool
	DryRun bool
	Limit  time.Duration
	// ErrorOf is the index of the run whose failure an on.error rule is told;
	// -1 for an ordinary run.
	ErrorOf int
	// After is the index of a run that must have been skipped for this one to
	// run (a rule with stop and a predicate); -1 if none.
	After int
	Match *event.Match
	// Verdict is why the event was refused, and by this rule; nil for a run.
	Verdict *verdict
	// Seed is the id of the run that this one repeats from a step: its steps
	// were made with that one's randomness. Empty: its own.
	Seed string
	// Groups and Admin are the rule's options: who may run it.
	Groups []string
	Admin  bool

	cooldown bool // not stored: the rule has one, and this run holds it
}

// step is what the journal knows of one effect.
type step struct {
	Hash     uint64
	Kind     string
	Args     *runtime.Dict
	Pos      runtime.Position
	Intended time.Time
	Done     bool
	At       time.Time
	Value    runtime.Value
	Err      string
	// Wait is what the run waited for here, Asked what performing it returned.
	Wait  *wait.Wait
	Asked runtime.Value
}

// ended is the outcome of a run.
type ended struct {
	Outcome Outcome
	Error   *runtime.Error
	Why     string // the run was skipped, if it was not its predicate's doing
	Steps   uint64
	Passes  int
	Took    time.Duration
	Script  time.Duration // of Took, in passes of the script
	At      time.Time
}

// record is the journal of one event, decoded.
type record struct {
	Runs  []openRun
	Steps map[int][]step // by index of the run
	// Last is the effect after the last step of the script: what the returned
	// value, or the failure, had the server do. Its step is 0.
	Last map[int]*step
	Ends map[int]ended
	// Attempts is how often it was taken up again, and not released, since it
	// last got any further.
	Attempts int
	// Notes are what time lines tell beside, by index of the run; Resumed is
	// when it was taken up again, as far as that is known.
	Notes   map[int]*notes
	Resumed []time.Time
	opened  bool // of a continuation: it lists its runs itself
}

func appendOpen(runs []openRun) queue.Entry {
	b := binary.AppendUvarint(make([]byte, 0, 256), uint64(len(runs)))
	for i := range runs {
		r := &runs[i]
		b = runtime.AppendString(b, r.ID)
		b = runtime.AppendString(b, r.Rule)
		b = runtime.AppendString(b, r.Script)
		b = append(b, r.Digest[:]...)
		b = binary.AppendVarint(b, int64(r.Func))
		b = binary.AppendVarint(b, int64(r.When))
		b = binary.AppendUvarint(b, uint64(len(r.Hosts)))
		for _, h := range r.Hosts {
			b = runtime.AppendString(b, h)
		}
		b = append(b, bit(r.Answer)|bit(r.DryRun)<<1|bit(r.Verdict != nil)<<2|bit(r.Admin)<<3|bit(len(r.Groups) > 0)<<4|bit(r.Seed != "")<<5)
		b = binary.AppendVarint(b, int64(r.Limit))
		b = binary.AppendVarint(b, int64(r.ErrorOf))
		b = binary.AppendVarint(b, int64(r.After))
		b = runtime.AppendString(b, event.AppendInput(nil, nil, r.Match))
		if r.Verdict != nil {
			b = runtime.Encode(b, verdictDict(r.Verdict))
		}
		if len(r.Groups) > 0 {
			b = binary.AppendUvarint(b, uint64(len(r.Groups)))
			for _, g := range r.Groups {
				b = runtime.AppendString(b, g)
			}
		}
		if r.Seed != "" {
			b = runtime.AppendString(b, r.Seed)
		}
	}
	return queue.Entry{Type: entryOpen, Body: b}
}

func bit(b bool) byte {
	if b {
		return 1
	}
	return 0
}

func decodeOpen(body []byte) ([]openRun, error) {
	d := runtime.NewDecoder(body)
	runs := make([]openRun, d.Count())
	for i := range runs {
		r := &runs[i]
		r.ID, r.Rule, r.Script = d.String(), d.String(), d.String()
		for j := range r.Digest {
			r.Digest[j] = d.Byte()
		}
		r.Func, r.When = int(d.Varint()), int(d.Varint())
		for n := d.Count(); n > 0 && d.Err() == nil; n-- {
			r.Hosts = append(r.Hosts, d.String())
		}
		flags := d.Byte()
		r.Answer, r.DryRun = flags&1 != 0, flags&2 != 0
		r.Limit = time.Duration(d.Varint())
		r.ErrorOf, r.After = int(d.Varint()), int(d.Varint())
		m, err := event.DecodeMatch(d.Bytes())
		if err != nil {
			d.Fail("match: %v", err)
		}
		r.Match = m
		if flags&4 != 0 {
			r.Verdict = dictVerdict(d.DictValue())
		}
		r.Admin = flags&8 != 0
		if flags&16 != 0 {
			for n := d.Count(); n > 0 && d.Err() == nil; n-- {
				r.Groups = append(r.Groups, d.String())
			}
		}
		if flags&32 != 0 {
			r.Seed = d.String()
		}
	}
	return runs, d.Finish()
}

func intentEntry(run int, e runtime.Effect, hash uint64, at time.Time) queue.Entry {
	b := binary.AppendUvarint(make([]byte, 0, 128), uint64(run))
	b = binary.AppendUvarint(b, uint64(e.Step))
	b = binary.LittleEndian.AppendUint64(b, hash)
	b = binary.AppendVarint(b, at.UnixNano())
	b = runtime.AppendString(b, e.Kind)
	b = runtime.AppendPosition(b, e.Pos)
	return queue.Entry{Type: entryIntent, Body: runtime.Encode(b, e.Args)}
}

// resultEntry carries the effect as well when no intent was recorded for it.
func resultEntry(run int, e runtime.Effect, hash uint64, withArgs bool, at time.Time, v runtime.Value, errText string) queue.Entry {
	b := binary.AppendUvarint(make([]byte, 0, 128), uint64(run))
	b = binary.AppendUvarint(b, uint64(e.Step))
	b = binary.LittleEndian.AppendUint64(b, hash)
	b = binary.AppendVarint(b, at.UnixNano())
	b = runtime.AppendString(b, errText)
	b = append(b, bit(withArgs))
	if withArgs {
		b = runtime.AppendString(b, e.Kind)
		b = runtime.AppendPosition(b, e.Pos)
		b = runtime.Encode(b, e.Args)
	}
	return queue.Entry{Type: entryResult, Body: runtime.Encode(b, v)}
}

func endEntry(run int, end ended) queue.Entry {
	b := binary.AppendUvarint(make([]byte, 0, 48), uint64(run))
	b = runtime.AppendString(b, string(end.Outcome))
	b = binary.AppendUvarint(b, end.Steps)
	b = binary.AppendUvarint(b, uint64(end.Passes))
	b = binary.AppendVarint(b, int64(end.Took))
	b = binary.AppendVarint(b, end.At.UnixNano())
	var v runtime.Value
	switch {
	case end.Error != nil:
		v = errorDict(end.Error)
	case end.Why != "":
		v = end.Why
	}
	return queue.Entry{Type: entryEnd, Body: binary.AppendVarint(runtime.Encode(b, v), int64(end.Script))}
}

func newRecord() *record {
	return &record{Steps: map[int][]step{}, Last: map[int]*step{}, Ends: map[int]ended{}, Notes: map[int]*notes{}}
}

// decodeRecord reads the journal of an event, as far as it is sound. It is
// given what this process or an earlier version of it wrote; a fault means
// damage and is reported. An entry that is there twice counts once.
func decodeRecord(entries []queue.Entry) (*record, error) {
	rec := newRecord()
	for _, en := range entries {
		if err := rec.apply(en); err != nil {
			return rec, err
		}
	}
	return rec, nil
}

// open adds the runs that are not there yet.
func (rec *record) open(runs []openRun) {
	for i := range runs {
		if !slices.ContainsFunc(rec.Runs, func(r openRun) bool { return r.ID == runs[i].ID }) {
			rec.Runs = append(rec.Runs, runs[i])
		}
	}
}

func (rec *record) apply(en queue.Entry) error {
	switch en.Type {
	case entryOpen:
		runs, err := decodeOpen(en.Body)
		if err == nil {
			rec.open(runs)
		}
		return err
	case entryAttempt:
		rec.Attempts++
		if at := attemptTime(en.Body); !at.IsZero() {
			rec.Resumed = append(rec.Resumed, at)
		}
		return nil
	case entryRelease:
		rec.Attempts = max(0, rec.Attempts-1)
		return nil
	}
	d := runtime.NewDecoder(en.Body)
	n := d.Uvarint()
	if n >= uint64(len(rec.Runs)) {
		d.Fail("journal entry of run %d, and there are %d", n, len(rec.Runs))
		return d.Finish()
	}
	run := int(n)
	switch en.Type {
	case entryIntent:
		s := rec.step(d, run)
		s.Hash = d.Uint64()
		s.Intended = time.Unix(0, d.Varint())
		s.Kind, s.Pos, s.Args = d.String(), d.Position(), d.DictValue()
	case entryResult:
		s := rec.step(d, run)
		s.Hash = d.Uint64()
		s.At = time.Unix(0, d.Varint())
		s.Err = d.String()
		if d.Byte() == 1 {
			s.Kind, s.Pos, s.Args = d.String(), d.Position(), d.DictValue()
		}
		s.Value = d.Value()
		s.Done = true
		rec.Attempts = 0
	case entryEnd:
		rec.Attempts = 0
		end := ended{Outcome: Outcome(d.String()), Steps: d.Uvarint(), Passes: int(d.Uvarint()), Took: time.Duration(d.Varint()), At: time.Unix(0, d.Varint())}
		switch v := d.Value().(type) {
		case string:
			end.Why = v
		case *runtime.Dict:
			end.Error = dictError(v)
		}
		if d.Len() > 0 { // else it is from before this was kept
			end.Script = time.Duration(d.Varint())
		}
		rec.Ends[run] = end
	case entryWait:
		rec.step(d, run).readWait(d)
	case entryBase:
		if n := d.Uvarint(); n > runtime.MaxParts {
			d.Fail("%d steps before the journal begins", n)
		} else {
			rec.pad(run, int(n))
		}
	case entryNotes:
		rec.Notes[run] = decodeNotes(d)
	default:
		d.Fail("unknown journal entry %d", en.Type)
	}
	return d.Finish()
}

// step returns the slot of the step that the decoder names. Steps are written
// in order, each after the result of the one before.
func (rec *record) step(d *runtime.Decoder, run int) *step {
	n := d.Uvarint()
	steps := rec.Steps[run]
	have := uint64(len(steps))
	switch {
	case d.Err() != nil:
	case n == 0:
		if rec.Last[run] == nil {
			rec.Last[run] = &step{}
		}
		return rec.Last[run]
	case n <= have:
		return &steps[n-1]
	case n == have+1 && (have == 0 || steps[have-1].Done):
		rec.Steps[run] = append(steps, step{})
		return &rec.Steps[run][have]
	default:
		d.Fail("step %d of run %d comes after step %d", n, run, have)
	}
	return &step{}
}

func errorDict(e *runtime.Error) *runtime.Dict {
	stack := make(runtime.List, len(e.Stack))
	for i, f := range e.Stack {
		stack[i] = runtime.NewDict("name", f.Name, "file", f.Pos.Path, "line", int64(f.Pos.Line), "column", int64(f.Pos.Col))
	}
	d := runtime.NewDict("kind", string(e.Kind), "message", e.Msg, "hint", e.Hint, "limit", e.Limit,
		"file", e.Pos.Path, "line", int64(e.Pos.Line), "column", int64(e.Pos.Col), "source", e.Line, "stack", stack)
	if e.Status != 0 {
		d.Set("status", int64(e.Status))
	}
	return d
}

func dictError(d *runtime.Dict) *runtime.Error {
	num := func(d *runtime.Dict, k string) int {
		v, _ := d.Get(k)
		n, _ := v.(int64)
		return int(n)
	}
	e := &runtime.Error{
		Kind: runtime.ErrorKind(d.Text("kind")), Msg: d.Text("message"), Hint: d.Text("hint"), Limit: d.Text("limit"),
		Pos:  runtime.Position{Path: d.Text("file"), Line: num(d, "line"), Col: num(d, "column")},
		Line: d.Text("source"), Status: num(d, "status"),
	}
	stack, _ := d.Get("stack")
	frames, _ := stack.(runtime.List)
	for _, f := range frames {
		if fd, ok := f.(*runtime.Dict); ok {
			e.Stack = append(e.Stack, runtime.Frame{Name: fd.Text("name"), Pos: runtime.Position{Path: fd.Text("file"), Line: num(fd, "line"), Col: num(fd, "column")}})
		}
	}
	return e
}
