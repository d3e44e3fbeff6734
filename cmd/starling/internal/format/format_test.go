package format_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-rules/starling/cmd/starling/internal/format"
	"github.com/starling-rules/starling/runtime"
)

func TestStarLaysOut(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ in, want string }{
		"spaces":        {"def f( a,*,b=1,**kw ):\n  return {'a':1}\nf(1,b=2)\n", "def f(a, *, b = 1, **kw):\n    return {\"a\": 1}\n\nf(1, b = 2)\n"},
		"quotes":        {`x = ['it\'s', 'a"b', r'\d', '\\\'', '']`, "x = [\"it's\", 'a\"b', r\"\\d\", \"\\\\'\", \"\"]\n"},
		"beyond ASCII":  {"x = 'é😀' + \"\\u00e9 ü\"", "x = \"é😀\" + \"\\u00e9 ü\"\n"},
		"bytes":         {"x = b'a\\xff'+rb\"\\d\"", "x = b\"a\\xff\" + rb\"\\d\"\n"},
		"while":         {"def f(x):\n  while x<3 or not x: # up\n    x+=1\n", "def f(x):\n    while x < 3 or not x:  # up\n        x += 1\n"},
		"while in word": {"x = 'while y:'\nmeanwhile = 1 # while\n", "x = \"while y:\"\nmeanwhile = 1  # while\n"},
		"docstring":     {"def f():\n  '''Doc\n\n  more \"so\"'''\n  pass\n", "def f():\n    '''Doc\n\n  more \"so\"'''\n    pass\n"},
		"line ends":     {"x=1\r\ny=2\r\n", "x = 1\ny = 2\n"},
		"order stays":   {"load('z.star','b','a')\nload(\"a.star\",\"c\")\nf(z=1,a=[3,1,2])\n", "load(\"z.star\", \"b\", \"a\")\nload(\"a.star\", \"c\")\n\nf(z = 1, a = [3, 1, 2])\n"},
		"numbers stay":  {"x=0o17+1E5+0X1f+.5", "x = 0o17 + 1E5 + 0X1f + .5\n"},
		"empty":         {"", ""},
		"comment only":  {"# hello", "# hello\n"},
		"own marker":    {"starling = 'starling0'\n", "starling = \"starling0\"\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := format.Star("a.star", []byte(c.in))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, string(got)); diff != "" {
				t.Fatalf("(-want +got)\n%s", diff)
			}
			again, err := format.Star("a.star", got)
			if err != nil || string(again) != string(got) {
				t.Fatalf("a second time: %v\n%s", err, again)
			}
		})
	}
}

func TestStarRefusesWhatDoesNotParse(t *testing.T) {
	t.Parallel()
	_, err := format.Star("a.star", []byte("x = 1\ndef f(:\n"))
	errs, ok := errors.AsType[runtime.Errors](err)
	if !ok || len(errs) != 1 || errs[0].Pos.Line != 2 || errs[0].Line != "def f(:" {
		t.Fatalf("%#v", err)
	}
	if _, err := format.Star("a.star", []byte(strings.Repeat("#", 1<<20))); err == nil || !strings.Contains(err.Error(), "limit") {
		t.Fatalf("a huge file: %v", err)
	}
}

// Everything that Starling's own scripts and tests say in Starlark is kept.
func TestStarFormatsTheExamples(t *testing.T) {
	t.Parallel()
	n := 0
	for _, pattern := range []string{"../../../../examples/*/*.star", "../../../../scripts/*.star", "../../../../scripts/*/*.star"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := format.Star(file, text); err != nil {
				t.Error(err)
			}
			n++
		}
	}
	if n < 3 {
		t.Fatalf("found %d files", n)
	}
}

// A text that is taken is laid out once and for all, and without a panic.
func FuzzStar(f *testing.F) {
	for _, s := range []string{
		"x = 'é😀'\n", "def f(a,*b,c=1):\n  while a: pass\n", "x = b'\\xff'", "f(\n# c\n a, # d\n)\n", "x = [a for a in b if c]\n",
		"if a: b\nelif c: d\nelse:\n  e\n", "'''a\n\"b'''", "x = \\\n 1\n", "load('a','b')\n# e", "\tx = {1: 2,}\n", "x=1;y=2;\n", "x = (1,)\n", "x = a if b else lambda *, c: d\n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		once, err := format.Star("a.star", []byte(text))
		if err != nil {
			return
		}
		twice, err := format.Star("a.star", once)
		if err != nil {
			t.Fatalf("%v\n%q\n%q", err, text, once)
		}
		if string(twice) != string(once) {
			t.Fatalf("two rounds differ\n%q\n%q\n%q", text, once, twice)
		}
	})
}
