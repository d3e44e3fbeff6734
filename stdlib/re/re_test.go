package re_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib/internal/declaretest"
	"github.com/starling-rules/starling/stdlib/re"
)

type named = declaretest.Named

func TestFunctions(t *testing.T) {
	t.Parallel()
	s := declaretest.New(t, re.Builtins())
	s.Equal(s.JSON("re.search", "(a)|(b)", "xb"), `{"text":"b","start":1,"end":2,"groups":[null,"b"],"named":{}}`)
	s.Equal(s.JSON("re.match", "a*", "b"), `{"text":"","start":0,"end":0,"groups":[],"named":{}}`)
	s.Equal(s.JSON("re.search", runtime.Regexp{Pattern: "é"}, "aéb"), `{"text":"é","start":1,"end":3,"groups":[],"named":{}}`)
	s.Equal(s.JSON("re.findall", "a(.)", "abac"), `["b","c"]`)
	s.Equal(s.JSON("re.findall", "x", "abac"), `[]`)
	s.Equal(s.JSON("re.split", "-", "a-b-c", named{"max", int64(1)}), `["a","b-c"]`)
	s.Equal(s.JSON("re.split", "-", "a-b-c"), `["a","b","c"]`)
	s.Equal(s.JSON("re.sub", "(?P<n>[0-9]+)", `<\g<n>\\\0>`, "a1b22"), `"a<1\\1>b<22\\22>"`)
	s.Equal(s.JSON("re.sub", "x*", "-", "ab"), `"-a-b-"`)
	s.Equal(s.JSON("re.sub", "a", "$1", "a"), `"$1"`)
	for _, bad := range []string{`\`, `\g<`, `\g<x>`, `\9`, `\x`} {
		if v, err := s.Call("re.sub", "(a)", bad, "a"); err == nil {
			t.Errorf("replacement %s: got %v", bad, v)
		}
	}
}

func TestBounds(t *testing.T) {
	t.Parallel()
	s := declaretest.New(t, re.Builtins())
	s.Fails("201 bytes, the limit is 200", "re.compile", strings.Repeat("a", 201))
	s.Fails("limit is 50", "re.compile", "(a{10}){6}")
	s.Fails("limit is 50", "re.compile", "a{0,51}")
	s.Fails("too large", "re.compile", strings.Repeat(`(.\pL){50}`, 10))
	s.Fails("8193 bytes, the limit is 8192", "re.search", "a", strings.Repeat("a", 8193))
	s.Fails("more than 65536 bytes", "re.sub", "a", strings.Repeat("x", 100), strings.Repeat("a", 8192))
	s.Fails("bad pattern: missing closing ]", "re.search", "[a", "a")
	s.Fails("invalid or unsupported Perl syntax", "re.compile", "(?=a)")
	s.Equal(s.JSON("re.search", strings.Repeat("a", 200), strings.Repeat("a", 200))[:9], `{"text":"`)
	s.Equal(s.JSON("re.findall", "b", strings.Repeat("a", 8191)+"b"), `["b"]`)
	for _, ok := range []string{"", "a{50}", "(a{5}){10}", "(a{50}|b{50})", `^(?i)\s*deploy\s+(?P<app>[\w-]{1,40})$`} {
		if _, err := s.Call("re.compile", ok); err != nil {
			t.Errorf("%s: %v", ok, err)
		}
	}
}

// The worst calls that the bounds let through must end well within a deadline.
func TestTheWorstCallIsShort(t *testing.T) {
	s := declaretest.New(t, re.Builtins())
	long := strings.Repeat("a", 8192)
	for _, p := range []string{strings.Repeat("(.*){10}", 8) + "b", `[\pL\pN]{1,50}b`, ""} {
		start := time.Now()
		if _, err := s.Call("re.findall", p, long); err != nil {
			t.Errorf("%s: %v", p, err)
		}
		// Without the bounds it would be ten times as much.
		if took := time.Since(start); took > 8*time.Second {
			t.Errorf("%s took %v", p, took)
		}
	}
}

func TestFuelDoesNotDependOnTheCache(t *testing.T) {
	t.Parallel()
	s := declaretest.New(t, re.Builtins())
	cost := func() int {
		s.Fuel = 0
		s.JSON("re.search", "[a-z]+[0-9]", "some text 1")
		return -s.Fuel
	}
	first := cost()
	if second := cost(); first != second || first == 0 {
		t.Errorf("%d steps, then %d", first, second)
	}
	s.Metered, s.Fuel = true, 1000
	s.Fails("out of fuel", "re.search", "([a-z]+[0-9]){20}", strings.Repeat("a", 8000))
}

func TestCacheIsBoundedAndSharedSafely(t *testing.T) {
	t.Parallel()
	decls := re.Builtins()
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			s := declaretest.New(t, decls)
			for i := range 400 {
				want := fmt.Sprintf("x%d", i)
				if v, err := s.Call("re.findall", fmt.Sprintf("x%d$", i), "a"+want); err != nil || fmt.Sprint(v) != "["+want+"]" {
					t.Errorf("goroutine %d: %v %v", g, v, err)
				}
			}
		})
	}
	wg.Wait()
}

func FuzzRE(f *testing.F) {
	for _, c := range [][3]string{
		{"(a)(?P<n>b)?", `\1\g<n>`, "ab a"}, {"[", "", ""}, {"(.*){50}b", `\0`, "aaaa"}, {"", "x", "é"}, {`\Q`, `\\`, "\xff"},
	} {
		f.Add(c[0], c[1], c[2])
	}
	f.Fuzz(func(t *testing.T, pattern, replacement, text string) {
		s := declaretest.New(t, re.Builtins())
		for _, call := range [][]any{
			{"re.search", pattern, text},
			{"re.match", pattern, text},
			{"re.findall", pattern, text},
			{"re.split", pattern, text},
			{"re.sub", pattern, replacement, text},
		} {
			v, err := s.Call(call[0].(string), call[1:]...)
			if err != nil {
				continue
			}
			if n := len(runtime.Encode(nil, v)); n > 16*re.MaxText+re.MaxResult {
				t.Fatalf("%v made %d bytes", call[0], n)
			}
		}
		if v, err := s.Call("re.escape", text); err == nil && len(text) <= 40 {
			if m, err := s.Call("re.match", v, text); err == nil && m == nil {
				t.Fatalf("%q does not match its own escape %q", text, v)
			}
		}
	})
}
