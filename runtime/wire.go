package runtime

import (
	"encoding/binary"
	"log/slog"
	"time"
)

// This file is the wire form of what travels between the server and its
// worker processes. Both ends are of one build, so there are no versions; but
// a worker may have been taken over by its script, so every decoder is bounded
// by the length of its input and refuses what does not end where it should.
// Decoded values share the memory of the frame: give each frame its own.

// AppendBundle appends the wire form of b, its digest included.
func AppendBundle(buf []byte, b *Bundle) []byte {
	buf = append(buf, b.Digest[:]...)
	buf = AppendString(AppendString(buf, b.Language), b.Main)
	buf = binary.AppendUvarint(buf, uint64(len(b.Files)))
	for path, text := range b.Files {
		buf = AppendString(AppendString(buf, path), text)
	}
	return appendValue(buf, b.Config)
}

// DecodeBundle reads what AppendBundle wrote. The digest is taken as it came.
func DecodeBundle(frame []byte) (*Bundle, error) {
	d := NewDecoder(frame)
	b := &Bundle{Digest: d.digest(), Language: d.String(), Main: d.String()}
	n := d.Count()
	b.Files = make(map[string][]byte, n)
	for ; n > 0 && d.err == nil; n-- {
		path := d.String()
		b.Files[path] = d.Bytes()
	}
	b.Config = d.valueFrame()
	return b, d.Finish()
}

// AppendManifest appends the wire form of m.
func AppendManifest(buf []byte, m *Manifest) []byte {
	buf = append(buf, m.Digest[:]...)
	buf = binary.AppendUvarint(buf, m.Steps)
	buf = binary.AppendUvarint(buf, uint64(len(m.Registrations)))
	for _, r := range m.Registrations {
		buf = AppendString(buf, r.Name)
		buf = appendDict(buf, r.Args)
		buf = AppendPosition(buf, r.Pos)
		buf = binary.AppendUvarint(buf, uint64(len(r.ArgPos)))
		for name, p := range r.ArgPos {
			buf = AppendPosition(AppendString(buf, name), p)
		}
	}
	buf = appendLogs(buf, m.Logs)
	buf = binary.AppendUvarint(buf, uint64(len(m.Missing)))
	for _, x := range m.Missing {
		buf = AppendPosition(AppendString(AppendString(buf, x.Name), x.Path), x.Pos)
	}
	return buf
}

// DecodeManifest reads what AppendManifest wrote.
func DecodeManifest(frame []byte) (*Manifest, error) {
	d := NewDecoder(frame)
	m := &Manifest{Digest: d.digest(), Steps: d.Uvarint()}
	for n := d.Count(); n > 0 && d.err == nil; n-- {
		r := Registration{Name: d.String(), Args: d.dictFrame(), Pos: d.Position()}
		if k := d.Count(); k > 0 {
			r.ArgPos = make(map[string]Position, k)
			for ; k > 0 && d.err == nil; k-- {
				name := d.String()
				r.ArgPos[name] = d.Position()
			}
		}
		m.Registrations = append(m.Registrations, r)
	}
	m.Logs = d.logs()
	for n := d.Count(); n > 0 && d.err == nil; n-- {
		m.Missing = append(m.Missing, Missing{d.String(), d.String(), d.Position()})
	}
	return m, d.Finish()
}

// AppendCall appends the wire form of c.
func AppendCall(buf []byte, c *Call) []byte {
	buf = append(buf, c.Script[:]...)
	buf = binary.AppendVarint(buf, int64(c.Func))
	buf = binary.AppendVarint(buf, int64(c.When))
	buf = AppendString(buf, c.Input)
	buf = binary.AppendUvarint(buf, uint64(len(c.Extra)))
	for _, v := range c.Extra {
		buf = appendValue(buf, v)
	}
	buf = AppendString(buf, c.RunID)
	buf = appendTime(buf, c.Now)
	buf = binary.LittleEndian.AppendUint64(buf, c.Seed)
	buf = binary.AppendUvarint(buf, uint64(len(c.Results)))
	for _, r := range c.Results {
		buf = AppendString(binary.LittleEndian.AppendUint64(buf, r.Hash), r.Kind)
		buf = appendValue(buf, r.Value)
		buf = AppendString(buf, r.Err)
	}
	buf = binary.AppendVarint(buf, int64(c.SkipLogs))
	return AppendLimits(buf, c.Limits)
}

// DecodeCall reads what AppendCall wrote.
func DecodeCall(frame []byte) (*Call, error) {
	d := NewDecoder(frame)
	c := &Call{Script: d.digest(), Func: int(d.Varint()), When: int(d.Varint()), Input: d.Bytes()}
	for n := d.Count(); n > 0 && d.err == nil; n-- {
		c.Extra = append(c.Extra, d.valueFrame())
	}
	c.RunID = d.String()
	c.Now = d.time()
	c.Seed = d.Uint64()
	if n := d.Count(); n > 0 {
		c.Results = make([]StepResult, n)
		for i := range c.Results {
			c.Results[i] = StepResult{Hash: d.Uint64(), Kind: d.String(), Value: d.valueFrame(), Err: d.String()}
		}
	}
	c.SkipLogs = int(d.Varint())
	c.Limits = d.Limits()
	return c, d.Finish()
}

// AppendReply appends the wire form of r. A Return that is a Pending travels
// as such.
func AppendReply(buf []byte, r *Reply) []byte {
	buf = append(buf, byte(r.Status))
	if p, ok := r.Return.(Pending); ok {
		buf = binary.AppendVarint(append(buf, 1), int64(p.Step))
	} else {
		buf = appendValue(append(buf, 0), r.Return)
	}
	buf = appendBool(buf, r.FromEffect)
	buf = binary.AppendUvarint(buf, uint64(len(r.Effects)))
	for _, e := range r.Effects {
		buf = AppendString(binary.AppendVarint(buf, int64(e.Step)), e.Kind)
		buf = AppendPosition(appendDict(buf, e.Args), e.Pos)
	}
	buf = appendLogs(buf, r.Logs)
	if r.Err == nil {
		buf = append(buf, 0)
	} else {
		buf = AppendError(append(buf, 1), r.Err)
	}
	buf = binary.AppendUvarint(buf, r.Steps)
	buf = binary.AppendVarint(buf, int64(r.Took))
	return binary.AppendVarint(buf, r.Heap)
}

// DecodeReply reads what AppendReply wrote.
func DecodeReply(frame []byte) (*Reply, error) {
	d := NewDecoder(frame)
	r := &Reply{Status: Status(d.Byte())}
	if r.Status < Done || r.Status > Failed {
		d.fail("unknown status %d", r.Status)
	}
	if d.Byte() == 1 {
		r.Return = Pending{int(d.Varint())}
	} else {
		r.Return = d.valueFrame()
	}
	r.FromEffect = d.Byte() == 1
	for n := d.Count(); n > 0 && d.err == nil; n-- {
		r.Effects = append(r.Effects, Effect{int(d.Varint()), d.String(), d.dictFrame(), d.Position()})
	}
	r.Logs = d.logs()
	if d.Byte() == 1 {
		r.Err = d.Error()
	}
	r.Steps = d.Uvarint()
	r.Took = time.Duration(d.Varint())
	r.Heap = d.Varint()
	return r, d.Finish()
}

// AppendLimits appends the wire form of l.
func AppendLimits(buf []byte, l Limits) []byte {
	buf = binary.AppendUvarint(buf, l.Steps)
	for _, n := range [...]int64{int64(l.Deadline), l.Memory, int64(l.Effects), int64(l.Output), int64(l.Source)} {
		buf = binary.AppendVarint(buf, n)
	}
	return buf
}

// Limits reads what AppendLimits wrote.
func (d *Decoder) Limits() Limits {
	return Limits{
		Steps: d.Uvarint(), Deadline: time.Duration(d.Varint()), Memory: d.Varint(),
		Effects: int(d.Varint()), Output: int(d.Varint()), Source: int(d.Varint()),
	}
}

// AppendError appends the wire form of e.
func AppendError(buf []byte, e *Error) []byte {
	for _, s := range [...]string{string(e.Kind), e.Msg, e.Hint, e.Limit} {
		buf = AppendString(buf, s)
	}
	buf = AppendString(AppendPosition(buf, e.Pos), e.Line)
	buf = binary.AppendUvarint(buf, uint64(e.Status))
	buf = binary.AppendUvarint(buf, uint64(len(e.Stack)))
	for _, f := range e.Stack {
		buf = AppendPosition(AppendString(buf, f.Name), f.Pos)
	}
	return buf
}

// Error reads what AppendError wrote.
func (d *Decoder) Error() *Error {
	e := &Error{Kind: ErrorKind(d.String()), Msg: d.String(), Hint: d.String(), Limit: d.String(), Pos: d.Position(), Line: d.String(), Status: int(d.Uvarint() & 0xfff)}
	for n := d.Count(); n > 0 && d.err == nil; n-- {
		e.Stack = append(e.Stack, Frame{d.String(), d.Position()})
	}
	return e
}

// AppendErrors appends the wire form of es.
func AppendErrors(buf []byte, es Errors) []byte {
	buf = binary.AppendUvarint(buf, uint64(len(es)))
	for _, e := range es {
		buf = AppendError(buf, e)
	}
	return buf
}

// DecodeErrors reads what AppendErrors wrote.
func DecodeErrors(frame []byte) (Errors, error) {
	d := NewDecoder(frame)
	var es Errors
	for n := d.Count(); n > 0 && d.err == nil; n-- {
		es = append(es, d.Error())
	}
	return es, d.Finish()
}

func appendLogs(buf []byte, logs []LogLine) []byte {
	buf = binary.AppendUvarint(buf, uint64(len(logs)))
	for _, l := range logs {
		buf = AppendString(binary.AppendVarint(buf, int64(l.Level)), l.Text)
		buf = AppendPosition(appendDict(buf, l.Attrs), l.Pos)
	}
	return buf
}

func (d *Decoder) logs() []LogLine {
	var logs []LogLine
	for n := d.Count(); n > 0 && d.err == nil; n-- {
		l := LogLine{Level: slog.Level(d.Varint()), Text: d.String(), Attrs: d.dictFrame(), Pos: d.Position()}
		if len(l.Attrs.Fields) == 0 {
			l.Attrs = nil
		}
		logs = append(logs, l)
	}
	return logs
}

// appendValue appends a value with its length before it, so that each value
// has bounds of its own however many travel together.
func appendValue(buf []byte, v Value) []byte {
	start := len(buf)
	buf = Encode(append(buf, 0), v)
	n := len(buf) - start - 1
	if n < 0x80 {
		buf[start] = byte(n)
		return buf
	}
	// The length needs more than the byte kept for it: make room.
	var head [binary.MaxVarintLen64]byte
	k := binary.PutUvarint(head[:], uint64(n))
	buf = append(buf, head[1:k]...)
	copy(buf[start+k:], buf[start+1:start+1+n])
	copy(buf[start:], head[:k])
	return buf
}

func appendDict(buf []byte, d *Dict) []byte {
	if d == nil {
		return appendValue(buf, nil)
	}
	return appendValue(buf, d)
}

func (d *Decoder) valueFrame() Value {
	b := d.Bytes()
	if d.err != nil {
		return nil
	}
	v, err := Decode(b)
	if err != nil {
		d.err, d.b = err, nil
	}
	return v
}

func (d *Decoder) dictFrame() *Dict {
	switch v := d.valueFrame().(type) {
	case *Dict:
		return v
	case nil:
		return &Dict{}
	default:
		d.fail("want a dict, got %s", TypeName(v))
		return &Dict{}
	}
}

func (d *Decoder) digest() (g Digest) {
	if len(d.b) < len(g) {
		d.fail("unexpected end")
		return g
	}
	d.b = d.b[copy(g[:], d.b):]
	return g
}

// appendTime keeps the instant to the nanosecond, and the zero time.
func appendTime(buf []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(buf, 0)
	}
	return binary.AppendVarint(binary.AppendVarint(append(buf, 1), t.Unix()), int64(t.Nanosecond()))
}

func (d *Decoder) time() time.Time {
	if d.Byte() == 0 {
		return time.Time{}
	}
	sec := d.Varint()
	return time.Unix(sec, d.Varint()).UTC()
}

func appendBool(buf []byte, v bool) []byte {
	if v {
		return append(buf, 1)
	}
	return append(buf, 0)
}
