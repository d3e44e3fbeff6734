package scripttest_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/starling-rules/starling/engine/scripttest"
	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/lua"
	"github.com/starling-rules/starling/runtime/star"
	"github.com/starling-rules/starling/stdlib"
)

func languages(host runtime.Host) ([]runtime.Language, error) {
	s, err := star.New(host)
	if err != nil {
		return nil, err
	}
	l, err := lua.New(host)
	if err != nil {
		return nil, err
	}
	return []runtime.Language{s, l}, nil
}

// write puts files into a new directory. A name that begins with a dot is
// relative to the directory all the same.
func write(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		p := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(p), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// options are those of a run over a directory.
func options(t testing.TB, dir string) scripttest.Options {
	t.Helper()
	lib, err := stdlib.Library()
	if err != nil {
		t.Fatal(err)
	}
	return scripttest.Options{Paths: []string{dir}, Library: lib, Languages: languages}
}

// run runs the tests of files.
func run(t testing.TB, files map[string]string, change ...func(*scripttest.Options)) *scripttest.Result {
	t.Helper()
	o := options(t, write(t, files))
	for _, f := range change {
		f(&o)
	}
	res, err := scripttest.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// passes fails for each test that fails.
func passes(t testing.TB, res *scripttest.Result) {
	t.Helper()
	for _, x := range res.Tests {
		for _, f := range x.Failures {
			t.Errorf("%s:\n%s", x.Name, f.Text())
		}
	}
	if res.Passed == 0 {
		t.Error("no test passed")
	}
}

// fails returns the text of the failures of the one test that is to fail.
func fails(t testing.TB, res *scripttest.Result) string {
	t.Helper()
	var b strings.Builder
	for _, x := range res.Tests {
		for _, f := range x.Failures {
			b.WriteString(f.Text())
		}
	}
	if b.Len() == 0 {
		t.Fatal("every test passed")
	}
	return b.String()
}

// contains fails for each part that text lacks.
func contains(t testing.TB, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("lacks %q:\n%s", p, text)
		}
	}
}
