package doc_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/starling-rules/starling/stdlib/doc"
)

func TestTopics(t *testing.T) {
	t.Parallel()
	names := doc.Topics()
	if !slices.Contains(names, "sandbox") {
		t.Fatalf("topics %v: no sandbox", names)
	}
	for _, name := range names {
		text, ok := doc.Topic(name)
		if !ok || !strings.HasPrefix(text, "# ") || !strings.HasSuffix(text, "\n") {
			t.Errorf("topic %s: %v, %.40q: want a title and whole lines", name, ok, text)
		}
		for line := range strings.Lines(text) {
			if len([]rune(line)) > 100 {
				t.Errorf("topic %s: too wide for a terminal: %s", name, line)
			}
		}
	}
	for _, name := range []string{"", "nothing", "../topic", "sandbox.md"} {
		if text, ok := doc.Topic(name); ok {
			t.Errorf("topic %q: got %.40q", name, text)
		}
	}
}
