package runtime

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"
)

// Bounds of the wire form: a decoder refuses what exceeds them, because a
// worker process is untrusted input.
const (
	MaxDepth = 32
	MaxParts = 50_000
)

// The tags of the wire form. They are stored in journals: never renumber.
const (
	tagNil byte = iota
	tagFalse
	tagTrue
	tagInt
	tagFloat
	tagString
	tagBytes
	tagList
	tagDict
	tagJSON
	tagSecret
	tagFunc
	tagRegexp
)

// Encode appends the wire form of v to b: a tag byte, then varints and bytes.
// Equal values have equal encodings. A value that has no wire form (Object,
// Pending, an unknown type) is encoded as nil; a *View as the JSON it shows.
func Encode(b []byte, v Value) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, tagNil)
	case bool:
		if v {
			return append(b, tagTrue)
		}
		return append(b, tagFalse)
	case int64:
		return binary.AppendVarint(append(b, tagInt), v)
	case int:
		return binary.AppendVarint(append(b, tagInt), int64(v))
	case time.Duration:
		return Encode(b, v.Seconds())
	case float64:
		return binary.LittleEndian.AppendUint64(append(b, tagFloat), math.Float64bits(v))
	case string:
		return AppendString(append(b, tagString), v)
	case []byte:
		return AppendString(append(b, tagBytes), v)
	case JSON:
		return AppendString(append(b, tagJSON), v)
	case *View:
		return AppendString(append(b, tagJSON), v.JSON())
	case []Value:
		b = binary.AppendUvarint(append(b, tagList), uint64(len(v)))
		for _, e := range v {
			b = Encode(b, e)
		}
		return b
	case *Dict:
		if v == nil {
			return binary.AppendUvarint(append(b, tagDict), 0)
		}
		b = binary.AppendUvarint(append(b, tagDict), uint64(len(v.Fields)))
		for _, f := range v.Fields {
			b = Encode(AppendString(b, f.Key), f.Value)
		}
		return b
	case Secret:
		b = binary.AppendUvarint(append(b, tagSecret), uint64(len(v.Parts)))
		for _, p := range v.Parts {
			b = AppendString(AppendString(b, p.Text), p.Name)
		}
		return b
	case Func:
		b = binary.AppendVarint(append(b, tagFunc), int64(v.Index))
		b = AppendString(b, v.Name)
		b = AppendPosition(b, v.Pos)
		return binary.AppendVarint(b, packArity(v))
	case Regexp:
		return AppendString(append(b, tagRegexp), v.Pattern)
	}
	return append(b, tagNil)
}

// packArity makes one number of Arity and Required; without Required, which
// journals of old lack, it is the Arity.
func packArity(f Func) int64 {
	if f.Required <= 0 || f.Arity >= 1<<12-1 {
		return int64(f.Arity)
	}
	return int64(f.Required)<<12 | int64(f.Arity+1)
}

// unpackArity is its inverse.
func unpackArity(n int64) (arity, required int) {
	if n < 1<<12 {
		return int(n), 0
	}
	return int(n&(1<<12-1)) - 1, int(n >> 12)
}

// AppendString appends a length and the bytes.
func AppendString[T string | []byte | JSON](b []byte, s T) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// AppendPosition appends a position.
func AppendPosition(b []byte, p Position) []byte {
	b = AppendString(b, p.Path)
	b = binary.AppendUvarint(b, uint64(p.Line))
	return binary.AppendUvarint(b, uint64(p.Col))
}

// ErrBadEncoding is wrapped by every error of a Decoder.
var ErrBadEncoding = errors.New("bad encoding")

// Decode reads one value and refuses trailing bytes.
func Decode(b []byte) (Value, error) {
	d := NewDecoder(b)
	v := d.Value()
	if err := d.Finish(); err != nil {
		return nil, err
	}
	return v, nil
}

// Decoder reads the wire form with bounds. After the first fault every method
// returns a zero value and Err is set, so callers check once, at the end.
type Decoder struct {
	b     []byte
	parts int
	err   error
}

// NewDecoder reads from b, which must not change while the decoded values are in use:
// byte slices and JSON share its memory.
func NewDecoder(b []byte) *Decoder { return &Decoder{b: b, parts: MaxParts} }

// Err returns the first fault.
func (d *Decoder) Err() error { return d.err }

// Finish returns the first fault, or an error if bytes are left.
func (d *Decoder) Finish() error {
	if d.err == nil && len(d.b) > 0 {
		d.fail("%d bytes after the end", len(d.b))
	}
	return d.err
}

// Len returns the number of bytes not yet read.
func (d *Decoder) Len() int { return len(d.b) }

// Fail records a fault found by the caller.
func (d *Decoder) Fail(format string, args ...any) { d.fail(format, args...) }

func (d *Decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: %s", ErrBadEncoding, fmt.Sprintf(format, args...))
	}
	d.b = nil
}

// Byte reads one byte.
func (d *Decoder) Byte() byte {
	if len(d.b) == 0 {
		d.fail("unexpected end")
		return 0
	}
	c := d.b[0]
	d.b = d.b[1:]
	return c
}

// Uvarint reads an unsigned number.
func (d *Decoder) Uvarint() uint64 {
	n, k := binary.Uvarint(d.b)
	if k <= 0 {
		d.fail("bad number")
		return 0
	}
	d.b = d.b[k:]
	return n
}

// Varint reads a signed number.
func (d *Decoder) Varint() int64 {
	n, k := binary.Varint(d.b)
	if k <= 0 {
		d.fail("bad number")
		return 0
	}
	d.b = d.b[k:]
	return n
}

// Uint64 reads eight bytes, little endian.
func (d *Decoder) Uint64() uint64 {
	if len(d.b) < 8 {
		d.fail("unexpected end")
		return 0
	}
	n := binary.LittleEndian.Uint64(d.b)
	d.b = d.b[8:]
	return n
}

// Bytes reads a length and that many bytes, which share the input's memory.
func (d *Decoder) Bytes() []byte {
	n := d.Uvarint()
	if n > uint64(len(d.b)) {
		d.fail("length %d exceeds the input", n)
		return nil
	}
	s := d.b[:n:n]
	d.b = d.b[n:]
	return s
}

// String reads a length and that many bytes, copied.
func (d *Decoder) String() string { return string(d.Bytes()) }

// Count reads the length of a sequence whose elements take at least one byte each.
func (d *Decoder) Count() int {
	n := d.Uvarint()
	if n > uint64(len(d.b)) || n > uint64(d.parts) {
		d.fail("count %d is too large", n)
		return 0
	}
	d.parts -= int(n)
	return int(n)
}

// Position reads a position.
func (d *Decoder) Position() Position {
	return Position{Path: d.String(), Line: int(d.Uvarint() & math.MaxInt32), Col: int(d.Uvarint() & math.MaxInt32)}
}

// Value reads one value.
func (d *Decoder) Value() Value { return d.value(MaxDepth) }

// DictValue reads a value that must be a dict, or nil for an empty one.
func (d *Decoder) DictValue() *Dict {
	switch v := d.Value().(type) {
	case *Dict:
		return v
	case nil:
		return &Dict{}
	default:
		d.fail("want a dict, got %T", v)
		return &Dict{}
	}
}

func (d *Decoder) value(depth int) Value {
	if depth == 0 {
		d.fail("nested too deeply")
		return nil
	}
	switch tag := d.Byte(); tag {
	case tagNil:
		return nil
	case tagFalse:
		return false
	case tagTrue:
		return true
	case tagInt:
		return d.Varint()
	case tagFloat:
		return math.Float64frombits(d.Uint64())
	case tagString:
		return d.String()
	case tagBytes:
		return d.Bytes()
	case tagJSON:
		return JSON(d.Bytes())
	case tagList:
		n := d.Count()
		l := make([]Value, n)
		for i := range l {
			l[i] = d.value(depth - 1)
		}
		return l
	case tagDict:
		n := d.Count()
		m := &Dict{Fields: make([]Field, n)}
		for i := range m.Fields {
			m.Fields[i] = Field{d.String(), d.value(depth - 1)}
		}
		return m
	case tagSecret:
		n := d.Count()
		s := Secret{Parts: make([]SecretPart, n)}
		for i := range s.Parts {
			s.Parts[i] = SecretPart{d.String(), d.String()}
		}
		return s
	case tagFunc:
		f := Func{Index: int(d.Varint()), Name: d.String(), Pos: d.Position()}
		f.Arity, f.Required = unpackArity(d.Varint())
		return f
	case tagRegexp:
		return Regexp{d.String()}
	default:
		d.fail("unknown tag %d", tag)
		return nil
	}
}
