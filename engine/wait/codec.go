package wait

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/runtime"
)

// rowVersion is the first byte of a stored row.
const rowVersion = 1

func (r *Row) encode() []byte {
	b := append(make([]byte, 0, 256+len(r.Base)), rowVersion)
	for _, s := range r.texts() {
		b = runtime.AppendString(b, *s)
	}
	b = runtime.AppendString(b, string(r.State))
	b = append(b, r.Digest[:]...)
	b = appendTime(appendTime(b, r.Began), r.Ended)
	b = appendWait(b, r.Wait)
	b = appendAnswer(b, r.Answer)
	b = binary.AppendUvarint(b, uint64(len(r.Past)))
	for _, p := range r.Past {
		b = appendAnswer(appendWait(b, p.Wait), p.Answer)
	}
	b = binary.AppendUvarint(b, uint64(len(r.Heard)))
	for _, id := range r.Heard {
		b = runtime.AppendString(b, id)
	}
	return runtime.AppendString(b, r.Base)
}

func decodeRow(p queue.Parked) (*Row, error) {
	d := runtime.NewDecoder(p.Body)
	if v := d.Byte(); v != rowVersion {
		d.Fail("unknown version %d of a row", v)
	}
	r := &Row{Rev: p.Rev}
	for _, s := range r.texts() {
		*s = d.String()
	}
	r.State = State(d.String())
	for i := range r.Digest {
		r.Digest[i] = d.Byte()
	}
	r.Began, r.Ended = readTime(d), readTime(d)
	r.Wait, r.Answer = readWait(d), readAnswer(d)
	for n := d.Count(); n > 0 && d.Err() == nil; n-- {
		r.Past = append(r.Past, Past{readWait(d), readAnswer(d)})
	}
	for n := d.Count(); n > 0 && d.Err() == nil; n-- {
		r.Heard = append(r.Heard, d.String())
	}
	r.Base = d.Bytes()
	if err := d.Finish(); err != nil {
		return nil, fmt.Errorf("decode run %s: %w", p.Run, err)
	}
	if r.Run != p.Run {
		return nil, fmt.Errorf("decode run %s: it is of run %s", p.Run, r.Run)
	}
	return r, nil
}

func (r *Row) texts() [7]*string {
	return [...]*string{&r.Run, &r.Event, &r.Key, &r.Rule, &r.Script, &r.Outcome, &r.Why}
}

// AppendWait and DecodeWait are the stored form of a wait, which may be nil.
func AppendWait(b []byte, w *Wait) []byte { return appendWait(b, w) }

// DecodeWait reads what AppendWait wrote.
func DecodeWait(d *runtime.Decoder) *Wait { return readWait(d) }

func appendWait(b []byte, w *Wait) []byte {
	if w == nil {
		return append(b, 0)
	}
	b = append(b, 1)
	b = runtime.AppendString(runtime.AppendString(b, w.Kind), w.Title)
	b = binary.AppendUvarint(b, w.Point().number())
	b = appendTime(appendTime(b, w.Since), w.Until)
	b = binary.AppendUvarint(b, uint64(len(w.Keys)))
	for _, k := range w.Keys {
		b = runtime.AppendString(b, k)
	}
	return appendDict(appendDict(b, w.Match), w.State)
}

func readWait(d *runtime.Decoder) *Wait {
	if d.Byte() == 0 {
		return nil
	}
	w := &Wait{Kind: d.String(), Title: d.String()}
	w.Step, w.Round = stepAndRound(d.Uvarint())
	w.Since, w.Until = readTime(d), readTime(d)
	for n := d.Count(); n > 0 && d.Err() == nil; n-- {
		w.Keys = append(w.Keys, d.String())
	}
	w.Match, w.State = readDict(d), readDict(d)
	return w
}

// The bits of a step; above them stands the round. Of a first wait, the number
// is its step.
const (
	stepBits = 31
	maxStep  = 1<<stepBits - 1
)

func (p Point) number() uint64 { return uint64(p.Round)<<stepBits | uint64(p.Step) }

func stepAndRound(n uint64) (step, round int) { return int(n & maxStep), int(n >> stepBits & maxStep) }

func appendAnswer(b []byte, a *Answer) []byte {
	if a == nil {
		return append(b, 0)
	}
	b = runtime.AppendString(runtime.AppendString(append(b, 1), a.By), a.Who)
	b = appendDict(appendTime(b, a.At), a.Value)
	for _, s := range a.Event.texts() {
		b = runtime.AppendString(b, *s)
	}
	return appendTime(b, a.Event.Received)
}

func readAnswer(d *runtime.Decoder) *Answer {
	if d.Byte() == 0 {
		return nil
	}
	a := &Answer{By: d.String(), Who: d.String(), At: readTime(d), Value: readDict(d)}
	for _, s := range a.Event.texts() {
		*s = d.String()
	}
	a.Event.Received = readTime(d)
	return a
}

func (o *Origin) texts() [9]*string {
	return [...]*string{&o.ID, &o.Key, &o.Kind, &o.Team, &o.User, &o.Channel, &o.TS, &o.TriggerID, &o.ResponseURL}
}

func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return binary.AppendVarint(b, 0)
	}
	return binary.AppendVarint(b, t.UnixNano())
}

func readTime(d *runtime.Decoder) time.Time {
	if n := d.Varint(); n != 0 {
		return time.Unix(0, n)
	}
	return time.Time{}
}

func appendDict(b []byte, v *runtime.Dict) []byte {
	if v == nil {
		return append(b, 0)
	}
	return runtime.Encode(append(b, 1), v)
}

func readDict(d *runtime.Decoder) *runtime.Dict {
	if d.Byte() == 0 {
		return nil
	}
	return d.DictValue()
}
