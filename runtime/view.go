package runtime

import (
	"fmt"
	"strconv"

	"github.com/valyala/fastjson"
)

// View is one JSON value, parsed but not converted: a script that looks at
// one field of a payload pays for one field. Views of one document share its
// memory and belong to one goroutine at a time.
type View struct {
	v *fastjson.Value
}

// ParseView parses a JSON document. The text is copied.
func ParseView(text []byte) (*View, error) {
	v, err := fastjson.ParseBytes(text)
	if err != nil {
		return nil, fmt.Errorf("parse JSON: %w", err)
	}
	return &View{v}, nil
}

// NewView shows a value that was parsed by the caller, who keeps the parser
// untouched while the view is in use.
func NewView(v *fastjson.Value) *View { return &View{v} }

// IsDict and IsList tell which accessors apply.
func (w *View) IsDict() bool { return w.v.Type() == fastjson.TypeObject }

// IsList reports whether the view is a JSON array.
func (w *View) IsList() bool { return w.v.Type() == fastjson.TypeArray }

// Scalar returns the Value of a JSON scalar, or the view itself if it is a
// dict or a list. Whole numbers that fit are int64, others float64.
func (w *View) Scalar() Value { return scalar(w.v) }

func scalar(v *fastjson.Value) Value {
	switch v.Type() {
	case fastjson.TypeNull:
		return nil
	case fastjson.TypeTrue:
		return true
	case fastjson.TypeFalse:
		return false
	case fastjson.TypeString:
		return string(v.GetStringBytes())
	case fastjson.TypeNumber:
		if n, err := v.Int64(); err == nil {
			return n
		}
		if f, err := strconv.ParseFloat(string(v.MarshalTo(nil)), 64); err == nil {
			return f
		}
		return nil
	}
	return &View{v}
}

// Get returns the field of a dict: a scalar, or a *View of a dict or list.
func (w *View) Get(key string) (Value, bool) {
	f := w.v.Get(key)
	if f == nil || !w.IsDict() {
		return nil, false
	}
	return scalar(f), true
}

// Len returns the number of fields or elements.
func (w *View) Len() int {
	switch w.v.Type() {
	case fastjson.TypeObject:
		o, _ := w.v.Object()
		return o.Len()
	case fastjson.TypeArray:
		return len(w.v.GetArray())
	}
	return 0
}

// Index returns element i of a list.
func (w *View) Index(i int) Value { return scalar(w.v.GetArray()[i]) }

// Keys returns the keys of a dict in the order of the document.
func (w *View) Keys() []string {
	o, err := w.v.Object()
	if err != nil {
		return nil
	}
	keys := make([]string, 0, o.Len())
	o.Visit(func(k []byte, _ *fastjson.Value) { keys = append(keys, string(k)) })
	return keys
}

// JSON returns the text of the value, newly allocated.
func (w *View) JSON() []byte { return w.AppendJSON(nil) }

// AppendJSON appends the text of the value. Numbers keep their spelling.
func (w *View) AppendJSON(b []byte) []byte { return appendView(b, w.v) }

// appendView is fastjson's MarshalTo, but for strings: that one quotes as Go
// does, and "\x7f" is no JSON.
func appendView(b []byte, v *fastjson.Value) []byte {
	switch v.Type() {
	case fastjson.TypeObject:
		o, _ := v.Object()
		b = append(b, '{')
		first := true
		o.Visit(func(k []byte, v *fastjson.Value) {
			if !first {
				b = append(b, ',')
			}
			first = false
			b = append(appendJSONString(b, k), ':')
			b = appendView(b, v)
		})
		return append(b, '}')
	case fastjson.TypeArray:
		b = append(b, '[')
		for i, e := range v.GetArray() {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendView(b, e)
		}
		return append(b, ']')
	case fastjson.TypeString:
		return appendJSONString(b, v.GetStringBytes())
	}
	return v.MarshalTo(b)
}

// Value converts the whole view into Dicts and Lists.
func (w *View) Value() Value { return convert(w.v) }

func convert(v *fastjson.Value) Value {
	switch v.Type() {
	case fastjson.TypeObject:
		o, _ := v.Object()
		d := &Dict{Fields: make([]Field, 0, o.Len())}
		o.Visit(func(k []byte, v *fastjson.Value) {
			d.Fields = append(d.Fields, Field{string(k), convert(v)})
		})
		return d
	case fastjson.TypeArray:
		a := v.GetArray()
		l := make([]Value, len(a))
		for i := range a {
			l[i] = convert(a[i])
		}
		return l
	}
	return scalar(v)
}
