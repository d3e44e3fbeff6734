package scripttest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/starling-rules/starling/engine/scripttest"
)

const greeter = `
def greet(e):
    return "Hello <@%s>!" % e.user

on.message("(?i)^hello", greet)

def ask(e):
    return {"text": "Deploy?", "blocks": [ui.actions([ui.button("Yes", action_id = "yes", value = "api")])]}

on.command("/deploy", ask)

def yes(e):
    respond("Deployed %s: %d" % (e.value, kv.incr("deploys")))

on.action("yes", yes)
`

// BenchmarkTests is the time of one test script's test: a message with a
// reply, one that nothing matches, a command with a click.
func BenchmarkTests(b *testing.B) {
	var tests strings.Builder
	for i := range b.N {
		switch i % 3 {
		case 0:
			fmt.Fprintf(&tests, "def test_%d(t):\n    t.expect(t.message(\"hello\")).replied(t.like(\"Hello*\"))\n", i)
		case 1:
			fmt.Fprintf(&tests, "def test_%d(t):\n    t.expect(t.message(\"bye\")).ignored()\n", i)
		default:
			fmt.Fprintf(&tests, "def test_%d(t):\n    t.command(\"/deploy\")\n    t.expect(t.click(\"Yes\")).replied(\"Deployed api: 1\")\n", i)
		}
	}
	files := map[string]string{"g.star": greeter}
	all := strings.SplitAfter(tests.String(), "\n")
	const most = 6000 // lines of a file: its source is bounded
	for i := 0; len(all) > 0; i++ {
		n := min(most, len(all))
		for n < len(all) && !strings.HasPrefix(all[n], "def ") {
			n++
		}
		files[fmt.Sprintf("g%d_test.star", i)] = strings.ReplaceAll(strings.Join(all[:n], ""), "(t):\n", "(t):\n    t.rules(\"g.star\")\n")
		all = all[n:]
	}
	o := options(b, write(b, files))
	b.ResetTimer()
	res, err := scripttest.Run(b.Context(), o)
	if err != nil {
		b.Fatal(err)
	}
	if res.Passed != b.N {
		b.Fatalf("%d of %d passed", res.Passed, b.N)
	}
}
