package star

import (
	"errors"
	"strings"
	"testing"

	"go.starlark.net/syntax"
)

// Whatever stands before it in the line, a position is the byte of what it names.
func TestPositionsCountBytes(t *testing.T) {
	t.Parallel()
	src := "x = {\"é\": 1, \"日本\": [y for y in \"🎉\".elems() if y], \"ü\": z}\n" +
		"def f(é = \"ö\", q = 1):\n    return (\"ß\" + q)[\"ä\":q].q if \"🎉\" not in q else (lambda é: -q)(q)\n"
	f, err := parse("x.star", []byte(src))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(src, "\n")
	found := 0
	syntax.Walk(f, func(n syntax.Node) bool {
		id, ok := n.(*syntax.Ident)
		if !ok {
			return true
		}
		found++
		if rest := lines[id.NamePos.Line-1][id.NamePos.Col-1:]; !strings.HasPrefix(rest, id.Name) {
			t.Errorf("%s is said to be at %v: %q", id.Name, id.NamePos, rest)
		}
		return true
	})
	if found < 12 {
		t.Errorf("%d names", found)
	}
}

func TestSyntaxErrorsCountBytes(t *testing.T) {
	t.Parallel()
	_, err := parse("x.star", []byte("a = 1\nb = \"é🎉\" )\n"))
	e, ok := errors.AsType[syntax.Error](err)
	if !ok {
		t.Fatal(err)
	}
	if want := int32(len("b = \"é🎉\" ") + 1); e.Pos.Line != 2 || e.Pos.Col != want {
		t.Errorf("%v, want column %d", e.Pos, want)
	}
}
