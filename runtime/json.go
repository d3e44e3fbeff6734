package runtime

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/valyala/fastjson"
)

// AppendJSON appends the JSON text of v to b. Floats that JSON cannot hold,
// secrets, functions and pending results are errors.
func AppendJSON(b []byte, v Value) ([]byte, error) { return appendJSON(b, v, 2*MaxDepth) }

func appendJSON(b []byte, v Value, depth int) ([]byte, error) {
	if depth == 0 {
		return b, fmt.Errorf("encode JSON: nested too deeply")
	}
	switch v := v.(type) {
	case nil:
		return append(b, "null"...), nil
	case bool:
		return strconv.AppendBool(b, v), nil
	case int64:
		return strconv.AppendInt(b, v, 10), nil
	case int:
		return strconv.AppendInt(b, int64(v), 10), nil
	case time.Duration:
		return appendJSON(b, v.Seconds(), depth)
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return b, fmt.Errorf("encode JSON: %v is not a JSON number", v)
		}
		if v == math.Trunc(v) && math.Abs(v) < 1e15 {
			return strconv.AppendFloat(b, v, 'f', 1, 64), nil
		}
		return strconv.AppendFloat(b, v, 'g', -1, 64), nil
	case string:
		return appendJSONString(b, v), nil
	case []byte:
		return appendJSONString(b, string(v)), nil
	case JSON:
		return append(b, v...), nil
	case *View:
		return v.AppendJSON(b), nil
	case []Value:
		b = append(b, '[')
		var err error
		for i, e := range v {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = appendJSON(b, e, depth-1); err != nil {
				return b, err
			}
		}
		return append(b, ']'), nil
	case *Dict:
		b = append(b, '{')
		var err error
		for i := 0; i < v.Len(); i++ {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendJSONString(b, v.Fields[i].Key), ':')
			if b, err = appendJSON(b, v.Fields[i].Value, depth-1); err != nil {
				return b, err
			}
		}
		return append(b, '}'), nil
	case Regexp:
		return appendJSONString(b, v.Pattern), nil
	}
	return b, fmt.Errorf("encode JSON: a %s has no JSON form", TypeName(v))
}

// appendJSONString quotes s without escaping <, > and &, which Slack's markup
// is made of. Invalid UTF-8 becomes U+FFFD.
func appendJSONString[T string | []byte](b []byte, s T) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(string(s[i:min(i+utf8.UTFMax, len(s))]))
			if r == utf8.RuneError && n == 1 {
				b = append(append(b, s[start:i]...), "\ufffd"...)
				start = i + 1
			}
			i += n
			continue
		}
		if c < 0x20 || c == '"' || c == '\\' {
			b = append(b, s[start:i]...)
			start = i + 1
			switch c {
			case '"', '\\':
				b = append(b, '\\', c)
			case '\n':
				b = append(b, '\\', 'n')
			case '\t':
				b = append(b, '\\', 't')
			case '\r':
				b = append(b, '\\', 'r')
			default:
				b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			}
		}
		i++
	}
	return append(append(b, s[start:]...), '"')
}

// ParseJSON parses a JSON document into Dicts and Lists. Unlike ParseView,
// which is lenient with what a far side sends, it takes nothing but JSON, with
// U+FFFD in the place of what is not UTF-8.
func ParseJSON(text []byte) (Value, error) {
	if !utf8.Valid(text) {
		text = bytes.ToValidUTF8(text, []byte("\ufffd"))
	}
	if depth := nesting(text); depth > maxNesting { // the validator recurses without a bound
		return nil, fmt.Errorf("parse JSON: nested more than %d deep", maxNesting)
	}
	if err := fastjson.ValidateBytes(text); err != nil {
		return nil, fmt.Errorf("parse JSON: %w", err)
	}
	w, err := ParseView(text)
	if err != nil {
		return nil, err
	}
	return w.Value(), nil
}

// maxNesting is what the parser takes.
const maxNesting = fastjson.MaxDepth

// nesting returns how deep brackets outside of strings are nested.
func nesting(text []byte) int {
	depth, deepest := 0, 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '[', '{':
			depth++
			deepest = max(deepest, depth)
		case ']', '}':
			depth--
		case '"':
			for i++; i < len(text) && text[i] != '"'; i++ {
				if text[i] == '\\' {
					i++
				}
			}
		}
	}
	return deepest
}

// TypeName returns the name of v's type as script authors know it.
func TypeName(v Value) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case bool:
		return "bool"
	case int64, int:
		return "int"
	case float64:
		return "float"
	case string:
		return "string"
	case []byte:
		return "bytes"
	case []Value:
		return "list"
	case *Dict:
		return "dict"
	case JSON:
		return "dict"
	case *View:
		switch {
		case v.IsDict():
			return "dict"
		case v.IsList():
			return "list"
		}
		return TypeName(v.Scalar())
	case Secret:
		return "secret"
	case Func:
		return "function"
	case Regexp:
		return "regexp"
	case time.Duration:
		return "duration"
	case Pending:
		return "result"
	case Object:
		return v.TypeName()
	}
	return fmt.Sprintf("%T", v)
}
