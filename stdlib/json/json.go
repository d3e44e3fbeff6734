// Package json declares the module json: encode, decode, indent.
//
// It is strict where the parser beneath is lenient: only what RFC 8259 calls
// JSON is decoded. Of a key that occurs twice the last value counts; bytes that
// are no UTF-8 become U+FFFD.
package json

import (
	"bytes"
	gojson "encoding/json"
	"errors"
	"slices"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib/internal/declare"
)

// MaxDepth bounds the nesting of what is decoded.
const MaxDepth = 64

// Builtins returns the declarations of the module.
func Builtins() []*runtime.Builtin {
	return []*runtime.Builtin{
		{
			Name: "json.encode", Doc: "Write a value as JSON.",
			Params: []runtime.Param{
				declare.Arg("value", runtime.TAny, "Plain data."),
				declare.Key("indent", runtime.TInt, int64(0), "Spaces per level, up to 8; 0 writes one line."),
				declare.Key("sort", runtime.TBool, false, "Sort the keys of dicts."),
			},
			Result: "string", Purity: runtime.Pure, Since: declare.Since, Fn: encode,
			Examples: []runtime.Example{
				{Star: `json.encode({"a": [1, True]})`, Lua: `json.encode({a = {1, true}})`, Want: `"{\"a\":[1,true]}"`},
				{Star: `json.encode({"b": 1, "a": 2}, sort=True)`, Lua: `json.encode({b = 1, a = 2}, {sort = true})`, Want: `"{\"a\":2,\"b\":1}"`},
				{Star: `json.encode(secret("A"))`, Fails: true, Want: "a secret has no JSON form"},
			},
		},
		{
			Name: "json.decode", Doc: "Read JSON.",
			Params: []runtime.Param{
				declare.Arg("text", runtime.TString|runtime.TBytes, "The JSON text."),
				declare.Opt("default", runtime.TAny, nil, "What to return if it is not JSON; without it that is an error."),
			},
			Result: "the value", Purity: runtime.Pure, Since: declare.Since, Fn: decode,
			Examples: []runtime.Example{
				{Star: `json.decode("[1, 2.5, \"x\"]")`, Want: `[1,2.5,"x"]`},
				{Star: `json.decode("<html>", "no")`, Want: `"no"`},
				{Star: `json.decode("[1,")`, Fails: true, Want: "json.decode: "},
			},
		},
		{
			Name: "json.indent", Doc: "Lay out JSON text over several lines.",
			Params: []runtime.Param{
				declare.Arg("text", runtime.TString, "The JSON text."),
				declare.Key("prefix", runtime.TString, "", "At the start of each line but the first."),
				declare.Key("indent", runtime.TString, "\t", "Once per level."),
			},
			Result: "string", Purity: runtime.Pure, Since: declare.Since, Fn: indent,
			Examples: []runtime.Example{{
				Star: `json.indent("[1]", indent="  ")`, Lua: `json.indent("[1]", {indent = "  "})`, Want: `"[\n  1\n]"`,
			}},
		},
	}
}

func encode(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	v, _ := a.Get("value")
	n := declare.Size(v, declare.MaxText)
	if n > declare.MaxText {
		return nil, tooLong("json.encode", n)
	}
	if err := declare.ChargeText(x, n); err != nil {
		return nil, err
	}
	if a.Bool("sort", false) {
		v = sorted(v)
	}
	b, err := runtime.AppendJSON(nil, v)
	if err != nil {
		return nil, declare.Hint("", "json.encode: %s", reason(err))
	}
	if width := a.Int("indent", 0); width != 0 {
		if width < 0 || width > 8 {
			return nil, declare.Hint("", "json.encode: indent is %d, want 0 to 8", width)
		}
		return layout(x, "json.encode", b, "", "        "[:width])
	}
	if len(b) > declare.MaxText {
		return nil, tooLong("json.encode", len(b))
	}
	return string(b), nil
}

// sorted copies v with the keys of every dict in order.
func sorted(v runtime.Value) runtime.Value {
	switch v := declare.Plain(v).(type) {
	case *runtime.Dict:
		d := v.Clone()
		slices.SortStableFunc(d.Fields, func(a, b runtime.Field) int {
			if a.Key < b.Key {
				return -1
			}
			if a.Key > b.Key {
				return 1
			}
			return 0
		})
		for i := range d.Fields {
			d.Fields[i].Value = sorted(d.Fields[i].Value)
		}
		return d
	case runtime.List:
		l := slices.Clone(v)
		for i := range l {
			l[i] = sorted(l[i])
		}
		return l
	default:
		return v
	}
}

func decode(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	text := []byte(declare.Text(a, "text", ""))
	if err := declare.Charge(x, len(text)/4); err != nil {
		return nil, err
	}
	v, err := Decode(text)
	if err == nil {
		return v, nil
	}
	if def, ok := a.Get("default"); ok {
		return def, nil
	}
	return nil, declare.Hint("a second argument is returned instead", "json.decode: %v", err)
}

// Decode reads a JSON document.
func Decode(text []byte) (runtime.Value, error) {
	if len(text) > declare.MaxText {
		return nil, errors.New("the text is longer than 4 MB")
	}
	if depth(text) > MaxDepth {
		return nil, errors.New("nested too deeply")
	}
	if !gojson.Valid(text) {
		var v any
		err := gojson.Unmarshal(text, &v)
		if syntax := (*gojson.SyntaxError)(nil); errors.As(err, &syntax) {
			line := 1 + bytes.Count(text[:min(int(syntax.Offset), len(text))], []byte{'\n'})
			return nil, errors.New("line " + itoa(line) + ": " + syntax.Error())
		}
		return nil, errors.New("not JSON")
	}
	v, err := runtime.ParseJSON(bytes.ToValidUTF8(text, []byte("\ufffd")))
	if err != nil {
		return nil, err
	}
	return lastWins(v), nil
}

func itoa(n int) string {
	b, _ := gojson.Marshal(n)
	return string(b)
}

// depth is the greatest nesting of brackets outside strings.
func depth(text []byte) int {
	deepest, now, quoted := 0, 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[' || c == '{':
			now++
			deepest = max(deepest, now)
		case c == ']' || c == '}':
			now--
		}
	}
	return deepest
}

// lastWins removes the earlier of two fields of one name, in place.
func lastWins(v runtime.Value) runtime.Value {
	switch v := v.(type) {
	case runtime.List:
		for i := range v {
			v[i] = lastWins(v[i])
		}
	case *runtime.Dict:
		seen := make(map[string]int, len(v.Fields))
		kept := v.Fields[:0]
		for _, f := range v.Fields {
			f.Value = lastWins(f.Value)
			if i, twice := seen[f.Key]; twice {
				kept[i].Value = f.Value
				continue
			}
			seen[f.Key] = len(kept)
			kept = append(kept, f)
		}
		v.Fields = kept
	}
	return v
}

func indent(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	step := "\t"
	if a.Has("indent") {
		step = a.Text("indent")
	}
	if len(step) > 16 || len(a.Text("prefix")) > 64 {
		return nil, declare.Hint("", "json.indent: indent may have 16 bytes and prefix 64")
	}
	return layout(x, "json.indent", []byte(a.Text("text")), a.Text("prefix"), step)
}

func layout(x *runtime.Context, name string, text []byte, prefix, step string) (runtime.Value, error) {
	if depth(text) > MaxDepth {
		return nil, declare.Hint("", "%s: nested too deeply", name)
	}
	// A line break costs at most MaxDepth steps of indentation: see that it
	// stays in bounds before it is made.
	if err := declare.ChargeText(x, 8*len(text)); err != nil {
		return nil, err
	}
	if len(text) > declare.MaxText/8 {
		return nil, tooLong(name, len(text))
	}
	var out bytes.Buffer
	if err := gojson.Indent(&out, text, prefix, step); err != nil {
		return nil, declare.Hint("", "%s: %v", name, err)
	}
	if out.Len() > declare.MaxText {
		return nil, tooLong(name, out.Len())
	}
	if err := declare.ChargeText(x, out.Len()); err != nil {
		return nil, err
	}
	return out.String(), nil
}

func tooLong(name string, n int) error {
	return declare.Hint("", "%s: more than %d bytes", name, min(n, declare.MaxText))
}

func reason(err error) string {
	const prefix = "encode JSON: "
	s := err.Error()
	if len(s) > len(prefix) && s[:len(prefix)] == prefix {
		return s[len(prefix):]
	}
	return s
}
