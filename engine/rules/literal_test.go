package rules

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLiterals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern string
		want    [][]string
	}{
		{"deploy", [][]string{{"deploy"}}},
		{"(?i)DEPLOY", [][]string{{"deploy"}}},
		{"^deploy (?P<app>\\w+) to (\\w+)$", [][]string{{"deploy "}, {" to "}}},
		{"deploy|destroy", [][]string{{"deploy", "destroy"}}},
		{"(deploy|release) now", [][]string{{"deploy now", "release now"}}},
		{"(foo.*|bar.+) baz", [][]string{{"foo", "bar"}, {" baz"}}},
		{"colou?r", [][]string{{"colour", "color"}}},
		{"(ab)+", [][]string{{"ab"}}},
		{"a{3,5}b", [][]string{{"a"}, {"b"}}},
		{"(?i)stra\u00dfe", [][]string{{"stra"}, {"e"}}},
		{"gr\u00fcn", [][]string{{"gr\u00fcn"}}},
		{"[kK]ilo", [][]string{{"kilo"}}},
		{"foo|", nil},
		{".*", nil},
		{"\\d+", nil},
		{"[a-z]+", nil},
		{"(foo)?.", nil},
		{"(foo)*", nil},
		{"foo|.+", nil},
	} {
		if d := cmp.Diff(c.want, literals(c.pattern)); d != "" {
			t.Errorf("%s: %s", c.pattern, d)
		}
	}
}

func TestAutomatonFindsWhatContainsFinds(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	random := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = "abcX\xc3\xbc"[r.IntN(6)]
		}
		return string(b)
	}
	for range 300 {
		var texts []string
		for range 1 + r.IntN(12) {
			if s := lowerASCII(random(1 + r.IntN(5))); !slices.Contains(texts, s) {
				texts = append(texts, s)
			}
		}
		text := random(r.IntN(60))
		found := make([]bool, len(texts))
		newAutomaton(texts).find(text, func(id int32) { found[id] = true })
		for i, s := range texts {
			if want := strings.Contains(lowerASCII(text), s); found[i] != want {
				t.Fatalf("%q in %q: %v, want %v (texts %q)", s, text, found[i], want, texts)
			}
		}
	}
}
