package json_test

import (
	gojson "encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib/internal/declaretest"
	"github.com/starling-rules/starling/stdlib/json"
)

type named = declaretest.Named

func TestDecodeIsStrict(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{
		"", " ", "nul", "{", "[1,]", `{"a":1,}`, "01", "1.", "+1", "NaN", "'a'", "\"\n\"", `"\x"`, "1 2", "{a:1}", "// x\n1", "\ufeff1",
	} {
		if v, err := json.Decode([]byte(bad)); err == nil {
			t.Errorf("%q: got %v", bad, v)
		}
	}
	s := declaretest.New(t, json.Builtins())
	s.Fails("json.decode: line 2: ", "json.decode", "{\n\"a\": x}")
	s.Fails("json.decode: line 1: ", "json.decode", "nope", nil)
	s.Equal(s.JSON("json.decode", []byte(`{"a":{"b":[null,true,1,1.5,"é"]}}`)), `{"a":{"b":[null,true,1,1.5,"é"]}}`)
}

func TestNumbersKeepTheirKind(t *testing.T) {
	t.Parallel()
	s := declaretest.New(t, json.Builtins())
	s.Equal(s.JSON("json.decode", "[1, 1.0, 9223372036854775807, 1e3]"), "[1,1.0,9223372036854775807,1000.0]")
	s.Fails("not a JSON number", "json.encode", math.Inf(1))
}

func TestTheLastOfTwoKeysCounts(t *testing.T) {
	t.Parallel()
	s := declaretest.New(t, json.Builtins())
	s.Equal(s.JSON("json.decode", `{"a":1,"b":{"c":1,"c":2},"a":3}`), `{"a":3,"b":{"c":2}}`)
}

func TestBounds(t *testing.T) {
	t.Parallel()
	s := declaretest.New(t, json.Builtins())
	s.Fails("nested too deeply", "json.decode", strings.Repeat("[", 65)+strings.Repeat("]", 65))
	s.Equal(s.JSON("json.decode", `"`+strings.Repeat("[", 100)+`"`), `"`+strings.Repeat("[", 100)+`"`)
	s.Fails("longer than 4 MB", "json.decode", strings.Repeat(" ", 4<<20)+"1")
	text, big := strings.Repeat("x", 1<<20), runtime.List{}
	for range 50_000 {
		big = append(big, text)
	}
	s.Fails("more than 4194304 bytes", "json.encode", big)
	s.Fails("more than", "json.indent", strings.Repeat("[],", 300_000))
	s.Fails("nested too deeply", "json.indent", strings.Repeat("[", 65))
	s.Metered, s.Fuel = true, 100
	s.Fails("out of fuel", "json.decode", "["+strings.Repeat("1,", 1000)+"1]")
}

func TestEncodeLayouts(t *testing.T) {
	t.Parallel()
	s := declaretest.New(t, json.Builtins())
	v := runtime.NewDict("b", runtime.List{runtime.NewDict("d", int64(1), "c", "<&>")}, "a", nil)
	s.Equal(s.JSON("json.encode", v, named{"sort", true}), `"{\"a\":null,\"b\":[{\"c\":\"<&>\",\"d\":1}]}"`)
	s.Equal(s.JSON("json.encode", runtime.List{int64(1)}, named{"indent", int64(2)}), `"[\n  1\n]"`)
	s.Fails("want 0 to 8", "json.encode", v, named{"indent", int64(9)})
	if first := v.Fields[0].Key; first != "b" {
		t.Error("encode changed the script's value")
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5e3,"é\u00e9\ud83d\ude00",null,true]}`, `{"a":1,"a":2}`, "[[[[", `"\ud800"`, "-0", "1e400", "\"\xff\""} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		v, err := json.Decode(text)
		if err != nil {
			return
		}
		if !gojson.Valid(text) {
			t.Fatalf("%q is no JSON, and gave %v", text, v)
		}
		again, err := runtime.AppendJSON(nil, v)
		if err != nil {
			return // 1e400 is infinite
		}
		w, err := json.Decode(again)
		if err != nil {
			t.Fatalf("%q → %q: %v", text, again, err)
		}
		if !reflect.DeepEqual(v, w) {
			t.Fatalf("%q → %#v → %q → %#v", text, v, again, w)
		}
	})
}
