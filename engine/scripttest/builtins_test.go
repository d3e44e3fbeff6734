package scripttest_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/starling-rules/starling/engine/scripttest"
	"github.com/starling-rules/starling/runtime"
)

func TestBuiltinsAreDocumented(t *testing.T) {
	t.Parallel()
	set := scripttest.Builtins()
	if _, err := runtime.NewLibrary(set); err != nil {
		t.Fatal(err)
	}
	for _, b := range set {
		switch {
		case b.Doc == "" || !strings.HasSuffix(b.Doc, "."):
			t.Errorf("%s: doc %q", b.Name, b.Doc)
		case b.Since == "" || b.Result == "" || b.Fn == nil && b.Purity != runtime.Register:
			t.Errorf("%s: incomplete", b.Name)
		case len(b.Examples) == 0:
			t.Errorf("%s: no example", b.Name)
		}
		for _, p := range b.Params {
			if p.Doc == "" || !strings.HasSuffix(p.Doc, ".") {
				t.Errorf("%s: parameter %s: doc %q", b.Name, p.Name, p.Doc)
			}
		}
	}
}

// TestExamplesAreCode compiles the examples of all built-ins in both languages,
// and runs those of assert.
func TestExamplesAreCode(t *testing.T) {
	t.Parallel()
	var inStar, inLua strings.Builder
	inStar.WriteString("def test_nothing(t):\n    pass\n\n")
	inLua.WriteString("test(\"nothing\", function(t) end)\n")
	for i, b := range scripttest.Builtins() {
		ex := b.Examples[0]
		inside := strings.HasPrefix(b.Name, "assert.")
		star, lua := ex.Star, ex.Lua
		if lua == "" {
			lua = star
		}
		if b.Name == "test" {
			fmt.Fprintf(&inStar, "%s\n\n", star)
			fmt.Fprintf(&inLua, "%s\n\n", lua)
			continue
		}
		name := "example_"
		if inside {
			name = "test_"
		}
		fmt.Fprintf(&inStar, "def %s%d(t, run = None, check = None):\n    %s\n\n", name, i, star)
		fmt.Fprintf(&inLua, "function %s%d(t, run, check)\n  %s\nend\n\n", name, i, lua)
	}
	passes(t, run(t, map[string]string{"a.star": "", "a_test.star": inStar.String(), "b_test.lua": inLua.String()},
		func(o *scripttest.Options) { o.Match = regexp.MustCompile(`nothing|test_[0-9]`) }))
}
