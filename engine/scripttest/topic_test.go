package scripttest_test

import (
	"strings"
	"testing"

	"github.com/starling-rules/starling/stdlib/doc"
)

// The rule that the documentation of waiting begins with works, and so does the
// test that it ends with.
func TestTopicOfWaitingRuns(t *testing.T) {
	t.Parallel()
	text, ok := doc.Topic("waiting")
	if !ok {
		t.Fatal("no topic of that name")
	}
	code := func(begin string) string {
		var out strings.Builder
		_, rest, found := strings.Cut(text, "\n    "+begin)
		if !found {
			t.Fatalf("no %q in the topic", begin)
		}
		for line := range strings.Lines("    " + begin + rest) {
			if line != "\n" && !strings.HasPrefix(line, "    ") {
				break
			}
			if strings.HasPrefix(line, "    ask ask_form") {
				break
			}
			out.WriteString(strings.TrimPrefix(line, "    "))
		}
		return out.String()
	}
	passes(t, run(t, map[string]string{"deploy.star": code("def deploy"), "deploy_test.star": code("def test_deploy")}))
}
