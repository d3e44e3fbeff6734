package wait

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/runtime"
)

// Summary is a row as a list shows it.
type Summary struct {
	Run, Event, Key string
	Rule, Script    string
	Digest          string
	State           State
	Outcome         string
	Kind            string // of the wait
	Step, Round     int
	Title           string
	Began           time.Time
	Since, Until    time.Time // of the wait; Until zero: it waits for ever
	Bytes           int       // of the row
	Written         time.Time
	Rev             uint64

	keys []uint64
}

// A mark is a Summary as text. It begins with what the index takes from it: a
// server that starts reads the marks of all rows before it finds runs by their
// events, and reads no further than it has to.

// markVersion is the first byte of a mark.
const markVersion = 1

var markText = base64.RawStdEncoding

// states are those of a mark, by their number.
var states = [...]State{Waiting, Answered, Ended}

// mark is the mark of a row whose body has so many bytes. What does not fit is
// shortened or left out, but for what the index needs.
func (r *Row) mark(bytes int) string {
	title := ""
	if r.Wait != nil {
		title = event.Cut(r.Wait.Title, 160)
	}
	b := r.appendMark(nil, bytes, r.Rule, r.Script, r.Event, r.Key, title)
	if markText.EncodedLen(len(b)) > queue.MaxMark {
		b = r.appendMark(nil, bytes, event.Cut(r.Rule, 150), event.Cut(r.Script, 100), event.Cut(r.Event, 80), event.Cut(r.Key, 80), "")
	}
	return markText.EncodeToString(b)
}

func (r *Row) appendMark(b []byte, bytes int, rule, script, event, key, title string) []byte {
	state := byte(0)
	for i, s := range states {
		if s == r.State {
			state = byte(i)
		}
	}
	w := r.Wait
	var keys []uint64
	if w != nil && r.State == Waiting {
		keys = w.hashes()
	}
	b = binary.AppendUvarint(append(b, markVersion, state), uint64(bytes))
	b = binary.AppendUvarint(b, uint64(len(keys)))
	for _, k := range keys {
		b = binary.LittleEndian.AppendUint64(b, k)
	}
	b = runtime.AppendString(b, rule)
	for _, s := range [...]string{script, event, key, title, r.Outcome} {
		b = runtime.AppendString(b, s)
	}
	b = appendTime(append(b, r.Digest[:]...), r.Began)
	if w == nil {
		return append(b, 0)
	}
	b = runtime.AppendString(append(b, 1), w.Kind)
	return appendTime(appendTime(binary.AppendUvarint(b, w.Point().number()), w.Since), w.Until)
}

// Summarize reads the mark of a row.
func Summarize(p queue.Parked) (Summary, error) { return readMark(p, true) }

// readMark reads a mark, or, unless whole, what the index needs of it.
func readMark(p queue.Parked, whole bool) (Summary, error) {
	var space [queue.MaxMark]byte
	n, err := markText.Decode(space[:], []byte(p.Mark[:min(len(p.Mark), queue.MaxMark)]))
	if err != nil {
		return Summary{}, fmt.Errorf("read mark of run %s: %w", p.Run, err)
	}
	d := runtime.NewDecoder(space[:n])
	if v := d.Byte(); v != markVersion {
		d.Fail("unknown version %d of a mark", v)
	}
	s := Summary{Run: p.Run, Written: p.At, Rev: p.Rev}
	if i := int(d.Byte()); i < len(states) {
		s.State = states[i]
	} else {
		d.Fail("unknown state %d of a row", i)
	}
	s.Bytes = int(d.Uvarint() & maxStep)
	for n := d.Count(); n > 0 && d.Err() == nil; n-- {
		s.keys = append(s.keys, d.Uint64())
	}
	s.Rule = d.String()
	if whole {
		for _, t := range [...]*string{&s.Script, &s.Event, &s.Key, &s.Title, &s.Outcome} {
			*t = d.String()
		}
		var digest runtime.Digest
		for i := range digest {
			digest[i] = d.Byte()
		}
		s.Digest, s.Began = digest.String(), readTime(d)
		if d.Byte() == 1 {
			s.Kind = d.String()
			s.Step, s.Round = stepAndRound(d.Uvarint())
			s.Since, s.Until = readTime(d), readTime(d)
		}
		err = d.Finish()
	} else {
		err = d.Err()
	}
	if err != nil {
		return Summary{}, fmt.Errorf("read mark of run %s: %w", p.Run, err)
	}
	return s, nil
}
