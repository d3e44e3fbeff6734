package runtime_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/starling-rules/starling/runtime"
)

func TestAppendJSON(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name string
		in   runtime.Value
		want string
	}{
		{"none", nil, `null`},
		{"whole float stays a float", 2.0, `2.0`},
		{"large float", 1e300, `1e+300`},
		{"Slack's markup is not escaped", "<@U1> & \"x\"\n\x01", `"<@U1> & \"x\"\n\u0001"`},
		{"invalid UTF-8", "a\xffb", "\"a\ufffdb\""},
		{"text is taken as it is", runtime.JSON(`{"a":1}`), `{"a":1}`},
		{"duration in seconds", 1500 * time.Millisecond, `1.5`},
		{"order is kept", runtime.NewDict("b", int64(1), "a", runtime.List{true, "x"}), `{"b":1,"a":[true,"x"]}`},
	} {
		got, err := runtime.AppendJSON(nil, row.in)
		if err != nil || string(got) != row.want {
			t.Errorf("%s: got %s, %v, want %s", row.name, got, err, row.want)
		}
		if !json.Valid(got) {
			t.Errorf("%s: %s is not JSON", row.name, got)
		}
	}
}

func TestAppendJSONRefuses(t *testing.T) {
	t.Parallel()
	deep := runtime.Value(int64(1))
	for range 100 {
		deep = runtime.List{deep}
	}
	for name, v := range map[string]runtime.Value{
		"NaN": math.NaN(), "a secret": runtime.Secret{}, "a function": runtime.Func{}, "a pending result": runtime.Pending{Step: 1}, "too deep": deep,
	} {
		if b, err := runtime.AppendJSON(nil, v); err == nil {
			t.Errorf("%s became %s", name, b)
		}
	}
}

func TestParseJSONRefusesDeepNestingAtOnce(t *testing.T) {
	t.Parallel()
	for _, text := range []string{strings.Repeat("[", 4<<20), strings.Repeat(`{"a":`, 1<<20), strings.Repeat(`[`, 400) + strings.Repeat("]", 400)} {
		if _, err := runtime.ParseJSON([]byte(text)); err == nil || !strings.Contains(err.Error(), "nested more than") {
			t.Errorf("got %v", err)
		}
	}
	if _, err := runtime.ParseJSON([]byte(`["` + strings.Repeat("[", 1000) + `\"["]`)); err != nil {
		t.Errorf("brackets in a string: %v", err)
	}
}
