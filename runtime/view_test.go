package runtime_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-rules/starling/runtime"
)

func view(t testing.TB, text string) *runtime.View {
	t.Helper()
	v, err := runtime.ParseView([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestViewReadsFields(t *testing.T) {
	t.Parallel()
	v := view(t, `{"s": "é\n", "i": 9007199254740993, "f": 1.5, "e": 1e3, "big": 18446744073709551616, "t": true, "n": null, "l": [1, [2]], "d": {"k": 1}}`)
	for key, want := range map[string]runtime.Value{
		"s": "é\n", "i": int64(9007199254740993), "f": 1.5, "e": 1000.0, "big": 18446744073709551616.0, "t": true, "n": nil,
	} {
		if got, ok := v.Get(key); !ok || got != want {
			t.Errorf("%s: got %#v, %v, want %#v", key, got, ok, want)
		}
	}
	if _, ok := v.Get("absent"); ok {
		t.Error("an absent field is there")
	}
	l, _ := v.Get("l")
	if list := l.(*runtime.View); !list.IsList() || list.Len() != 2 || list.Index(0) != int64(1) {
		t.Errorf("list: got %v", l)
	}
	if d, _ := v.Get("d"); !d.(*runtime.View).IsDict() {
		t.Errorf("dict: got %v", d)
	}
	if got, want := v.Keys(), []string{"s", "i", "f", "e", "big", "t", "n", "l", "d"}; !slices.Equal(got, want) {
		t.Errorf("keys: got %v, want %v", got, want)
	}
}

func TestViewConvertsWhole(t *testing.T) {
	t.Parallel()
	got := view(t, `{"a": [1, null, {"b": "x"}]}`).Value()
	want := runtime.NewDict("a", runtime.List{int64(1), nil, runtime.NewDict("b", "x")})
	if d := cmp.Diff(runtime.Value(want), got); d != "" {
		t.Errorf("value (-want +got):\n%s", d)
	}
}

func TestParseViewRefusesWhatIsNotJSON(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "{", "{}x", `{"a"}`, "nul", "[1,]"} {
		if _, err := runtime.ParseView([]byte(text)); err == nil {
			t.Errorf("%q is taken for JSON", text)
		}
	}
}

func TestViewWritesJSON(t *testing.T) {
	t.Parallel()
	text := `{"a\u0007":"\u007f\b<é>\\","n":1.50,"l":[null,{}]}`
	got := view(t, text).JSON()
	var want, back any
	if err := json.Unmarshal([]byte(text), &want); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(got, &back); err != nil {
		t.Fatalf("%s: %v", got, err)
	}
	if d := cmp.Diff(want, back); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestParseJSONIsStrict(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"NaN", `{"a": inf}`, "1.2.3", "\"\n\""} {
		if v, err := runtime.ParseJSON([]byte(text)); err == nil {
			t.Errorf("%q is taken for JSON: %v", text, v)
		}
	}
}

func TestParseJSONReplacesWhatIsNotUTF8(t *testing.T) {
	t.Parallel()
	if v, err := runtime.ParseJSON([]byte("\"a\xffb\"")); err != nil || v != "a\ufffdb" {
		t.Errorf("got %q, %v", v, err)
	}
}

func FuzzView(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5,"x",null,true,{}]}`, `"\ud800"`, `[[[[]]]]`, `{"a":1,"a":2}`, `-0`, `1e999`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := runtime.ParseView(b)
		if err != nil {
			return
		}
		for _, k := range v.Keys() {
			if _, ok := v.Get(k); !ok {
				t.Fatalf("key %q of %s is not there", k, b)
			}
		}
		if v.IsList() {
			for i := range v.Len() {
				v.Index(i)
			}
		}
		// JSON writes what JSON reads.
		if text := v.JSON(); json.Valid(b) && !json.Valid(text) {
			t.Fatalf("%q became %q", b, text)
		}
		if text, err := runtime.AppendJSON(nil, v.Value()); err == nil && !json.Valid(text) {
			t.Fatalf("%q became %q", b, text)
		}
	})
}

func BenchmarkViewOneField(b *testing.B) {
	v := view(b, `{"a": {"b": {"c": "x"}}, "rest": [1, 2, 3, {"more": "and more"}]}`)
	b.ReportAllocs()
	for b.Loop() {
		a, _ := v.Get("a")
		if x, ok := a.(*runtime.View).Get("b"); !ok || x == nil {
			b.Fatal("no field")
		}
	}
}
