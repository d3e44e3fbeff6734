package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A script that is questionable becomes live, and the server warns of it: in
// the log once, and in what it says of its rules.
func TestServeWarnsOfWhatCheckFinds(t *testing.T) {
	slow(t)
	rules := t.TempDir()
	path := filepath.Join(rules, "a.star")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("def f(e):\n    x = 1\n    slack_action(\"chat.postMesage\", text = \"hi\")\non.message(\"a*\", f)\n")
	c := serve(t, newFakeSlack(t), rules, t.TempDir()).ready()
	c.prints("rule file is questionable")
	c.until("the report has the warnings", func() bool {
		_, body := c.ask("/rules")
		return strings.Contains(body, `"warnings":3`) && strings.Contains(body, "did you mean chat.postMessage?") && strings.Contains(body, `"rules":1`)
	})
	c.until("each warning is in the log", func() bool { return strings.Count(c.out.String(), "rule file is questionable") == 3 })
	if out := good(t, "rules", "--admin", c.admin); !strings.Contains(out, "a.star runs, and is questionable:") || !strings.Contains(out, "did you mean chat.postMessage?") {
		t.Errorf("starling rules says nothing of the warnings:\n%s", out)
	}
	write("def f(e):\n    reply(\"hi\")\non.message(\"deploy\", f)\n")
	c.until("the warnings are gone", func() bool {
		_, body := c.ask("/rules")
		return strings.Contains(body, `"warnings":0`)
	})
}

// What ships with Starling is held to what check says of it, tests included.
func TestExamplesAndLibraryScriptsPassCheck(t *testing.T) {
	t.Parallel()
	for _, dir := range append(examples(t), "../../scripts") {
		abs, err := filepath.Abs(dir)
		if err != nil {
			t.Fatal(err)
		}
		if out, errs, code := command(t, "check", abs); code != 0 || !strings.HasSuffix(out, ", 0 problems\n") {
			t.Errorf("%s: exit %d\n%s%s", dir, code, out, errs)
		}
	}
}
