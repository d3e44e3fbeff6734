package rules_test

import (
	"testing"

	"github.com/starling-rules/starling/engine/rules"
)

// Loaders that share a Disk begin with what the first of them read, and see
// what changed from their second load on.
func TestLoadersShareTheFirstReading(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "a.fake", say("a"))
	write(t, dir, "b.fake", say("b"))
	disk := &rules.Disk{}
	loader := func(only string) *rules.Loader {
		return rules.NewLoader(rules.LoaderOptions{
			Dirs: []string{dir}, Pool: newPool(t), Languages: map[string]string{".fake": "fake"}, Names: names{},
			Disk: disk, Only: func(p string) bool { return p == only },
		})
	}
	first, second := loader("a.fake"), loader("b.fake")
	if s, _ := load(t, first); ids(s) != "a.fake:a" {
		t.Errorf("first: %q", ids(s))
	}
	write(t, dir, "b.fake", say("later"))
	if s, _ := load(t, second); ids(s) != "b.fake:b" {
		t.Errorf("second: %q, want what was read with the first", ids(s))
	}
	if s, _ := load(t, second); ids(s) != "b.fake:later" {
		t.Errorf("second load: %q, want what is on disk", ids(s))
	}
}
