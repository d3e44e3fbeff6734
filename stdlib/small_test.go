package stdlib_test

import (
	"errors"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib"
	"github.com/starling-rules/starling/stdlib/base64"
	"github.com/starling-rules/starling/stdlib/internal/declaretest"
)

func TestHMACWithASecretIsAskedFor(t *testing.T) {
	t.Parallel()
	s := declaretest.New(t, stdlib.Builtins())
	key := runtime.Secret{Parts: []runtime.SecretPart{{Name: "K"}}}
	v, err := s.Call("hash.hmac", key, []byte("m"))
	if _, pending := v.(runtime.Pending); err != nil || !pending || len(s.Asked) != 1 {
		t.Fatalf("got %v, %v", v, err)
	}
	e := s.Asked[0]
	if got, _ := e.Args.Get("key"); e.Kind != "hash.hmac" || e.Args.Text("msg") != "m" || e.Args.Text("algorithm") != "sha256" || got.(runtime.Secret).Parts[0].Name != "K" {
		t.Fatalf("asked for %+v", e)
	}
	// RFC 4231, test case 2.
	s.Equal(s.JSON("hash.hmac", "Jefe", "what do ya want for nothing?"), `"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"`)
	s.Equal(s.JSON("hash.equal", "a", []byte("a")), "true")
}

func TestBase64TakesEitherAlphabet(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"": "", "aGk=": "hi", "aGk": "hi", " aG\nk= ": "hi", "-_-_": "\xfb\xff\xbf", "+/+/": "\xfb\xff\xbf"} {
		if got, ok := base64.Decode(in); !ok || got != want {
			t.Errorf("%q: got %q, %v", in, got, ok)
		}
	}
	for _, bad := range []string{"a", "aGk==", "aGk=x", "===", "é", "aG k=="} {
		if got, ok := base64.Decode(bad); ok {
			t.Errorf("%q: got %q", bad, got)
		}
	}
	for _, s := range []string{"", "a", "ab", "abc", "\x00\xff"} {
		for _, url := range []bool{false, true} {
			if got, ok := base64.Decode(base64.Encode(s, url)); !ok || got != s {
				t.Errorf("%q: got %q", s, got)
			}
		}
	}
}

func TestRandomFollowsTheSeed(t *testing.T) {
	t.Parallel()
	draw := func(seed uint64) string {
		s := declaretest.New(t, stdlib.Builtins())
		s.X.Rand = rand.New(rand.NewPCG(seed, 1))
		items := runtime.List{int64(1), int64(2), int64(3), int64(4), int64(5)}
		out := s.JSON("random.uuid") + s.JSON("random.hex") + s.JSON("random.shuffle", items) + s.JSON("random.int", int64(0), int64(1<<62))
		s.Equal(declaretest.Text(t, items), "[1,2,3,4,5]")
		return out
	}
	first, again, other := draw(1), draw(1), draw(2)
	if first != again || first == other {
		t.Error("the seed does not decide")
	}
	s := declaretest.New(t, stdlib.Builtins())
	seen := map[string]bool{}
	for range 200 {
		seen[s.JSON("random.int", int64(-1), int64(1))] = true
	}
	if len(seen) != 3 {
		t.Errorf("of -1 to 1 came %v", seen)
	}
	s.Call("random.int", int64(-1<<63), int64(1<<63-1))
	s.Fails("no number lies between", "random.float", 2.0, 1.0)
	s.X.Rand = nil
	s.Fails("nothing is random here", "random.uuid")
}

func TestLogHidesSecrets(t *testing.T) {
	t.Parallel()
	s := declaretest.New(t, stdlib.Builtins())
	sec := runtime.Secret{Parts: []runtime.SecretPart{{Name: "TOKEN_NAME"}}}
	if _, err := s.Call("log.warn", runtime.List{"a", sec, runtime.Func{}}, declaretest.Named{"k", runtime.NewDict("s", sec)}); err != nil {
		t.Fatal(err)
	}
	l := s.Lines[0]
	if l.Level != slog.LevelWarn || l.Text != `["a","***","<function>"]` || declaretest.Text(t, l.Attrs) != `{"k":{"s":"***"}}` {
		t.Fatalf("got %+v", l)
	}
	full := errors.New("output limit")
	s.X.Log = func(runtime.LogLine) error { return full }
	if _, err := s.Call("log.info", "x"); !errors.Is(err, full) {
		t.Errorf("the limit did not come back: %v", err)
	}
}

func TestSecretAndLookups(t *testing.T) {
	t.Parallel()
	s := declaretest.New(t, stdlib.Builtins())
	v, err := s.Call("secret", "CI_TOKEN")
	if sec, ok := v.(runtime.Secret); err != nil || !ok || sec.String() != "***" || sec.Parts[0].Name != "CI_TOKEN" {
		t.Fatalf("got %v, %v", v, err)
	}
	for _, bad := range []string{"", "1A", "a b", "a\n", strings.Repeat("A", 129)} {
		s.Fails("not the name of a secret", "secret", bad)
	}
	s.Equal(s.Effect("user", "<@U1>"), `user {"id":"U1"}`)
	s.Equal(s.Effect("channel", "<#C1|>"), `channel {"id":"C1"}`)
	s.Equal(s.Effect("channel", "<x>"), `channel {"id":"<x>"}`)
	s.Fails("id is empty", "channel", "#")
	s.Fails("the limit is 255", "user", strings.Repeat("u", 256))
}

// Every built-in must refuse, not panic, whatever values reach it.
func TestOddValuesDoNotPanic(t *testing.T) {
	t.Parallel()
	view, err := runtime.ParseView([]byte(`{"a":[1,{"b":null}]}`))
	if err != nil {
		t.Fatal(err)
	}
	values := []runtime.Value{nil, true, int64(-1), int64(1 << 62), -0.5, 1e308, "", "\xff", "a|<>&{}\"'", []byte("b"), runtime.List{}, runtime.List{nil, "x"}, &runtime.Dict{}, runtime.NewDict("type", int64(1)), runtime.JSON(`{"x":`), view, runtime.Secret{}, runtime.Func{}, runtime.Regexp{Pattern: "("}}
	all := stdlib.Builtins()
	s := declaretest.New(t, all)
	for _, b := range all {
		if b.Fn == nil {
			continue
		}
		for i, p := range b.Params {
			for _, v := range values {
				a := &runtime.Args{Builtin: b, Dict: &runtime.Dict{}}
				for j, q := range b.Params {
					if w := v; j == i || !q.Optional {
						if q.Variadic {
							w = runtime.List{v}
						}
						a.Set(q.Name, w)
					}
				}
				func() {
					defer func() {
						if r := recover(); r != nil {
							t.Errorf("%s(%s=%#v) panics: %v", b.Name, p.Name, v, r)
						}
					}()
					b.Fn(s.X, a)
				}()
			}
		}
	}
}
