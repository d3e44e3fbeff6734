package runtime_test

import (
	"bytes"
	"errors"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-rules/starling/runtime"
)

// everything holds a value of each kind that has a wire form.
func everything() runtime.Value {
	return runtime.NewDict(
		"nil", nil, "true", true, "false", false, "int", int64(math.MinInt64), "float", 2.5, "string", "é\x00", "bytes", []byte{0, 255},
		"list", runtime.List{int64(1), runtime.List{}, runtime.NewDict("k", "v")}, "json", runtime.JSON(`{"a":[1]}`),
		"secret", runtime.Secret{Parts: []runtime.SecretPart{{Text: "Bearer "}, {Name: "TOKEN"}}},
		"func", runtime.Func{Index: 3, Name: "f", Pos: runtime.Position{Path: "a.star", Line: 2, Col: 1}, Arity: -1},
		"func of two", runtime.Func{Name: "g", Arity: 3, Required: 2}, "func of the rest", runtime.Func{Name: "h", Arity: -1, Required: 1},
		"regexp", runtime.Regexp{Pattern: "a+"},
	)
}

func TestEveryValueSurvivesTheWire(t *testing.T) {
	t.Parallel()
	want := everything()
	got, err := runtime.Decode(runtime.Encode(nil, want))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("decoded value (-want +got):\n%s", d)
	}
}

func TestEncodeShowsAViewAsItsJSON(t *testing.T) {
	t.Parallel()
	v, err := runtime.ParseView([]byte(`{"a": [1]}`))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := runtime.Encode(nil, v), runtime.Encode(nil, runtime.JSON(`{"a":[1]}`)); !bytes.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	deep := []byte{}
	for range runtime.MaxDepth + 1 {
		deep = append(deep, 7, 1) // a list of one
	}
	wide := append([]byte{7, 0xd1, 0x86, 0x03}, make([]byte, 60_000)...) // 50,001 times nil
	for name, in := range map[string][]byte{
		"nothing": {}, "an unknown tag": {99}, "trailing bytes": {0, 0}, "a length beyond the end": {5, 200, 1},
		"too deep": append(deep, 0), "too many parts": wide, "an endless number": bytes.Repeat([]byte{0xff}, 20),
		"a list longer than the input": {7, 0xff, 0xff, 3},
	} {
		if v, err := runtime.Decode(in); !errors.Is(err, runtime.ErrBadEncoding) {
			t.Errorf("%s: got %v, %v, want ErrBadEncoding", name, v, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(runtime.Encode(nil, everything()))
	f.Add([]byte{7, 2, 0})
	f.Add([]byte{8, 1, 1, 'k', 3, 2})
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := runtime.Decode(b)
		if err != nil {
			return
		}
		// What decodes has one meaning: encoding it again gives the same value.
		again := runtime.Encode(nil, v)
		w, err := runtime.Decode(again)
		if err != nil {
			t.Fatalf("decode what was encoded: %v", err)
		}
		if !bytes.Equal(again, runtime.Encode(nil, w)) {
			t.Fatalf("unstable encoding of %#v", v)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	buf := runtime.Encode(nil, everything())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := runtime.Decode(buf); err != nil {
			b.Fatal(err)
		}
	}
}
