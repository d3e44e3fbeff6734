package runtimetest

import (
	"fmt"
	"log/slog"
	"regexp"
	"sort"
	"strings"

	"github.com/starling-rules/starling/runtime"
)

// Host returns what the suite lends to a language: Library and Input.
func Host() runtime.Host {
	lib, err := Library()
	if err != nil {
		panic(err) // the library is a constant of this package
	}
	return runtime.Host{Library: lib, Input: Input}
}

// Library returns built-ins of every purity, with parameters of every shape.
func Library() (*runtime.Library, error) {
	return runtime.NewLibrary(rules, effects, pure, ambient, natives)
}

var text = runtime.Param{Name: "text", Type: runtime.TString}

var rules = []*runtime.Builtin{
	{Name: "on.message", Purity: runtime.Register, Params: []runtime.Param{
		{Name: "pattern", Type: runtime.TString | runtime.TRegexp},
		{Name: "fn", Type: runtime.TFunc},
		{Name: "priority", Type: runtime.TInt, Optional: true, Named: true},
		{Name: "channels", Type: runtime.TList, Optional: true, Named: true},
		{Name: "cooldown", Type: runtime.TDuration, Optional: true, Named: true},
		{Name: "when", Type: runtime.TFunc, Optional: true, Named: true},
	}},
	{Name: "on.command", Purity: runtime.Register, Params: []runtime.Param{
		{Name: "command", Type: runtime.TString}, {Name: "fn", Type: runtime.TFunc},
	}},
}

var effects = []*runtime.Builtin{
	{Name: "send", Purity: runtime.Asks, Result: "result: .ok, .ts, .error", Params: []runtime.Param{
		{Name: "text", Type: runtime.TText},
		{Name: "to", Type: runtime.TString, Optional: true},
		{Name: "blocks", Type: runtime.TList | runtime.TDict, Optional: true, Named: true},
		{Name: "timeout", Type: runtime.TDuration, Optional: true, Named: true},
		{Name: "mode", Type: runtime.TString, Optional: true, Named: true, Values: []string{"plain", "mrkdwn"}},
		{Name: "score", Type: runtime.TFloat, Optional: true, Named: true},
	}},
	{Name: "slack", Purity: runtime.Asks, Result: "result", Params: []runtime.Param{
		{Name: "method", Type: runtime.TString},
		{Name: "args", Type: runtime.TAny, Rest: true},
	}},
	{Name: "kv.get", Purity: runtime.Asks, Result: "the value, or None", Params: []runtime.Param{{Name: "key", Type: runtime.TString}}},
	{Name: "kv.set", Purity: runtime.Asks, Result: "None", Params: []runtime.Param{
		{Name: "key", Type: runtime.TString}, {Name: "value", Type: runtime.TAny},
	}},
	{Name: "after", Purity: runtime.Asks, Result: "result", Params: []runtime.Param{
		{Name: "delay", Type: runtime.TDuration}, {Name: "fn", Type: runtime.TFunc}, {Name: "data", Type: runtime.TAny, Optional: true},
	}},
}

var pure = []*runtime.Builtin{
	{Name: "upper", Purity: runtime.Pure, Result: "string", Params: []runtime.Param{text}, Fn: func(_ *runtime.Context, a *runtime.Args) (runtime.Value, error) {
		return strings.ToUpper(a.Text("text")), nil
	}},
	{Name: "count", Purity: runtime.Pure, Result: "int", Params: []runtime.Param{{Name: "values", Type: runtime.TAny, Variadic: true}}, Fn: func(_ *runtime.Context, a *runtime.Args) (runtime.Value, error) {
		return int64(len(a.List("values"))), nil
	}},
	{Name: "json.encode", Purity: runtime.Pure, Result: "string", Params: []runtime.Param{{Name: "value", Type: runtime.TAny}}, Fn: encodeJSON},
	{Name: "json.decode", Purity: runtime.Pure, Result: "value", Params: []runtime.Param{text}, Fn: func(_ *runtime.Context, a *runtime.Args) (runtime.Value, error) {
		return runtime.ParseJSON([]byte(a.Text("text")))
	}},
	{Name: "re.compile", Purity: runtime.Pure, Result: "regexp", Params: []runtime.Param{{Name: "pattern", Type: runtime.TString}}, Fn: func(_ *runtime.Context, a *runtime.Args) (runtime.Value, error) {
		if _, err := runtime.CheckPattern(a.Text("pattern")); err != nil {
			return nil, err
		}
		return runtime.Regexp{Pattern: a.Text("pattern")}, nil
	}},
	{Name: "re.search", Purity: runtime.Pure, Result: "string or None", Params: []runtime.Param{{Name: "pattern", Type: runtime.TString | runtime.TRegexp}, text}, Fn: find},
	{Name: "boom", Purity: runtime.Pure, Result: "nothing", Fn: func(*runtime.Context, *runtime.Args) (runtime.Value, error) {
		panic("a fault of this built-in")
	}},
	{Name: "refuse", Purity: runtime.Pure, Result: "nothing", Params: []runtime.Param{text}, Fn: func(_ *runtime.Context, a *runtime.Args) (runtime.Value, error) {
		return nil, fmt.Errorf("%s is refused", a.Text("text"))
	}},
	{Name: "version", Purity: runtime.Constant, Value: "1.2"},
}

// longest bounds what json.encode makes: without, p = json.encode(p) would double
// p with each call, for the price of a call.
const longest = 1 << 20

func encodeJSON(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	v, _ := a.Get("value")
	b, err := runtime.AppendJSON(nil, v)
	if err != nil {
		return nil, err
	}
	if len(b) > longest {
		return nil, fmt.Errorf("json.encode: %d bytes, and at most %d are made", len(b), longest)
	}
	return string(b), x.Charge(uint64(len(b) / 16))
}

func find(_ *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	v, _ := a.Get("pattern")
	pattern, ok := v.(string)
	if !ok {
		pattern = v.(runtime.Regexp).Pattern
	}
	if _, err := runtime.CheckPattern(pattern); err != nil {
		return nil, err
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, err
	}
	if m := re.FindString(a.Text("text")); m != "" {
		return m, nil
	}
	return nil, nil
}

var ambient = []*runtime.Builtin{
	{Name: "now", Purity: runtime.Ambient, Result: "float", Fn: func(x *runtime.Context, _ *runtime.Args) (runtime.Value, error) {
		return float64(x.Now.UnixMilli()) / 1000, nil
	}},
	{Name: "random", Purity: runtime.Ambient, Result: "int", Fn: func(x *runtime.Context, _ *runtime.Args) (runtime.Value, error) {
		return int64(x.Rand.IntN(1_000_000)), nil
	}},
	{Name: "burn", Purity: runtime.Ambient, Result: "None", Params: []runtime.Param{{Name: "steps", Type: runtime.TInt}}, Fn: func(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
		return nil, x.Charge(uint64(a.Int("steps", 0)))
	}},
	{Name: "secret", Purity: runtime.Ambient, Result: "secret", Params: []runtime.Param{{Name: "name", Type: runtime.TString}}, Fn: func(_ *runtime.Context, a *runtime.Args) (runtime.Value, error) {
		return runtime.Secret{Parts: []runtime.SecretPart{{Name: a.Text("name")}}}, nil
	}},
	{Name: "log.warn", Purity: runtime.Ambient, Result: "None", Params: []runtime.Param{text, {Name: "attrs", Type: runtime.TAny, Rest: true}}, Fn: func(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
		return nil, x.Log(runtime.LogLine{Level: slog.LevelWarn, Text: a.Text("text"), Attrs: a.Map("attrs")})
	}},
}

var natives = []*runtime.Builtin{
	{Name: "print", Purity: runtime.Native},
	{Name: "struct", Purity: runtime.Native},
	{Name: "catch", Purity: runtime.Native},
	{Name: "fail", Purity: runtime.Native},
	{Name: "type", Purity: runtime.Native},
	{Name: "config", Purity: runtime.Native},
}

// input is a small event: the fields of a JSON object.
type input struct{ doc *runtime.View }

// inputFields are the known fields of an input.
var inputFields = []string{"channel", "count", "kind", "raw", "tags", "text", "thread_ts", "user"}

// Input reads a JSON object. Its known fields are channel, count, kind, raw
// (the whole object), tags, text, thread_ts and user.
func Input(b []byte) (runtime.Object, error) {
	doc, err := runtime.ParseView(b)
	if err != nil {
		return nil, err
	}
	return &input{doc}, nil
}

// TypeName implements runtime.Object.
func (*input) TypeName() string { return "event" }

// FieldNames implements runtime.Object.
func (*input) FieldNames() []string { return inputFields }

// Field implements runtime.Object.
func (i *input) Field(name string) (runtime.Value, bool) {
	at := sort.SearchStrings(inputFields, name)
	if at == len(inputFields) || inputFields[at] != name {
		return nil, false
	}
	if name == "raw" {
		return i.doc, true
	}
	v, _ := i.doc.Get(name)
	return v, true
}
