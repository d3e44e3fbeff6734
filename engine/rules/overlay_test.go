package rules_test

import (
	"testing"

	"github.com/starling-rules/starling/engine/rules"
)

// What an overlay holds is loaded as if it were on disk: other texts, new files,
// modules, and files that have gone.
func TestOverlayStandsForFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "a.fake", say("a"))
	write(t, dir, "b.fake", "load _lib/x.fake\n")
	write(t, dir, "_lib/x.fake", say("x"))
	texts := map[string][]byte{}
	l := rules.NewLoader(rules.LoaderOptions{
		Dirs: []string{dir}, Pool: newPool(t), Languages: map[string]string{".fake": "fake"}, Names: names{},
		Overlay: func() map[string][]byte { return texts },
	})
	for _, step := range []struct{ path, text, want string }{
		{"", "", "a.fake:a b.fake:x"},
		{"a.fake", say("edited"), "a.fake:edited b.fake:x"},
		{"_lib/x.fake", say("y"), "a.fake:edited b.fake:y"},
		{"c.fake", say("new"), "a.fake:edited b.fake:y c.fake:new"},
		{"a.fake", "", "b.fake:y c.fake:new"},
		{"notes.txt", "nothing", "b.fake:y c.fake:new"},
		{"a_test.fake", say("test"), "b.fake:y c.fake:new"},
	} {
		if step.path != "" {
			texts[step.path] = nil
		}
		if step.text != "" {
			texts[step.path] = []byte(step.text)
		}
		s, report := load(t, l)
		if ids(s) != step.want || report.Errors != 0 {
			t.Errorf("%s: rules %q, want %q; %d errors", step.path, ids(s), step.want, report.Errors)
		}
	}
	before := l.Current()
	if s, report := load(t, l); s != before || report.Changed {
		t.Error("the same texts are taken for other ones")
	}
	clear(texts)
	if s, _ := load(t, l); ids(s) != "a.fake:a b.fake:x" {
		t.Errorf("without an overlay: %q", ids(s))
	}
}
