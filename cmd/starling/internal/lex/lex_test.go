package lex_test

import (
	"strings"
	"testing"

	"github.com/starling-rules/starling/cmd/starling/internal/lex"
)

// show writes tokens as letter and text.
func show(text string, tokens []lex.Token) string {
	var out []string
	for _, t := range tokens {
		s := ""
		switch t.Kind {
		case lex.Ident:
			s = "i:"
		case lex.Number:
			s = "n:"
		case lex.String:
			s = "s:" + t.Body(text) + ":"
		case lex.Op:
			s = "o:"
		case lex.Comment:
			s = "c:"
		case lex.Newline:
			out = append(out, "/")
			continue
		}
		out = append(out, s+t.Text(text))
	}
	return strings.Join(out, " ")
}

func TestStar(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"x = 1.5e-3+.5 # é\r\n":   "i:x o:= n:1.5e-3 o:+ n:.5 c:# é /",
		`f("a\"b", r'\d', rb"x")`: `i:f o:( s:a\"b:"a\"b" o:, s:\d:r'\d' o:, s:x:rb"x" o:)`,
		"'''a\n'b'''y":            "s:a\n'b:'''a\n'b''' i:y",
		"\"open\nx":               "s:open:\"open / i:x",
		"\"\"\"open\nx":           "s:open\nx:\"\"\"open\nx",
		"a//=b**c":                "i:a o://= i:b o:** i:c",
		"kv.get(é)":               "i:kv o:. i:get o:( i:é o:)",
		"\\\n€":                   "o:\\ / i:€",
	} {
		if got := show(text, lex.Star(text)); got != want {
			t.Errorf("%q\ngot  %s\nwant %s", text, got, want)
		}
	}
}

func TestLua(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"a..b...c":              "i:a o:.. i:b o:... i:c",
		"x=1..2":                "i:x o:= n:1 o:.. n:2",
		"--[[ a\nb ]] y -- z\n": "c:--[[ a\nb ]] i:y c:-- z /",
		"[==[ ]] ]==] t[1]":     "s: ]] :[==[ ]] ]==] i:t o:[ n:1 o:]",
		"[[open":                "s:open:[[open",
		"'a\\'b' ~= \"x\" # y":  `s:a\'b:'a\'b' o:~= s:x:"x" o:# i:y`,
		"'a\\\nb'":              "s:a\\\nb:'a\\\nb'",
	} {
		if got := show(text, lex.Lua(text)); got != want {
			t.Errorf("%q\ngot  %s\nwant %s", text, got, want)
		}
	}
}

// Tokens are in order, within the text, and leave out nothing but space.
func FuzzTokens(f *testing.F) {
	for _, s := range []string{"x = 'é' # c\n", "--[==[ ]] ", "\"\\", "'''\\", "[=[", "rb", "1..2", "0x1p-3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, tokens := range [][]lex.Token{lex.Star(text), lex.Lua(text)} {
			at := 0
			for _, tok := range tokens {
				if tok.Start < at || tok.End <= tok.Start || tok.End > len(text) {
					t.Fatalf("%+v after %d in %q", tok, at, text)
				}
				if gap := text[at:tok.Start]; strings.Trim(gap, " \t\r\f\v") != "" {
					t.Fatalf("%q was left out of %q", gap, text)
				}
				if tok.Kind == lex.String {
					_ = tok.Body(text)
				}
				at = tok.End
			}
			if strings.Trim(text[at:], " \t\r\f\v") != "" {
				t.Fatalf("%q was left out of %q", text[at:], text)
			}
		}
	})
}
