package literal_test

import (
	"strings"
	"testing"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/literal"
	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/lua"
	"github.com/starling-rules/starling/runtime/star"
	"github.com/starling-rules/starling/stdlib"
)

// languages load a script whose only rule has the text that is tried as its help.
func languages(t testing.TB) map[string]func(t testing.TB, text string) string {
	t.Helper()
	lib, err := stdlib.Library()
	if err != nil {
		t.Fatal(err)
	}
	host := runtime.Host{Library: lib, Input: event.Host}
	s, err := star.New(host)
	if err != nil {
		t.Fatal(err)
	}
	l, err := lua.New(host)
	if err != nil {
		t.Fatal(err)
	}
	read := func(t testing.TB, lang runtime.Language, file, source string) string {
		t.Helper()
		b := runtime.NewBundle(lang.Name(), file, map[string][]byte{file: []byte(source)}, nil)
		_, man, err := lang.Load(t.Context(), b, runtime.DefaultLimits)
		if err != nil {
			t.Fatalf("%s: %v", source, err)
		}
		help, _ := man.Registrations[0].Args.Get("help")
		text, _ := help.(string)
		return text
	}
	return map[string]func(testing.TB, string) string{
		"starlark": func(t testing.TB, text string) string {
			return read(t, s, "a.star", "on.home(lambda e: None, help = "+literal.Starlark(text)+")")
		},
		"lua": func(t testing.TB, text string) string {
			return read(t, l, "a.lua", "on.home(function(e) end, {help = "+literal.Lua(text)+"})")
		},
	}
}

var texts = []string{
	"plain", `a "quoted" \ text`, "two\nlines\r\n\tand a tab", "\x00\x01\x079", "\x1b[31m8\x7f", "é ☃ 😀", "\u2028\u0085", "%d {x} [[long]] --",
}

func TestBothLanguagesReadWhatIsWritten(t *testing.T) {
	t.Parallel()
	for name, read := range languages(t) {
		for _, text := range texts {
			if got := read(t, text); got != text {
				t.Errorf("%s: wrote %q, read %q", name, text, got)
			}
		}
	}
}

func FuzzLiterals(f *testing.F) {
	for _, text := range texts {
		f.Add(text)
	}
	read := languages(f)
	f.Fuzz(func(t *testing.T, text string) {
		text = strings.ToValidUTF8(text, "\uFFFD") // as what comes over JSON is
		for name, read := range read {
			if got := read(t, text); got != text {
				t.Errorf("%s: wrote %q, read %q", name, text, got)
			}
		}
	})
}
