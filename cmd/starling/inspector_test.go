package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestDevWritesRulesAndTestsInChromium: for what the rules did the page gives a
// test that passes, for what no rule wanted a rule that then matches; it shows
// what is wrong with rules, and which are switched off.
func TestDevWritesRulesAndTestsInChromium(t *testing.T) {
	slow(t)
	c, rules, page := dev(t, "quickstart")
	b := newBrowser(t, page)

	b.types("composer-input", "hello\r")
	b.click(id("event") + "[data-kind=message].matched summary")
	b.click(id("event") + "[data-kind=message].matched " + id("write-test"))
	b.sees(id("file"), "hello_test.star")
	b.sees(id("file"), `run = t.message("hello", user = "@ada", channel = "#general")`)
	b.sees(id("file"), "t.expect(run).replied(")

	b.types("composer-input", "what is the weather?\r")
	b.sees(id("event"), "what is the weather?")
	weather := eventID(t, page, "what is the weather?")
	b.click(id("event") + ":not(.matched) summary")
	b.click(id("event") + ":not(.matched) " + id("write-rule"))
	b.sees(id("file"), "on.message(")

	// What is shown can be used as it is.
	saved := t.TempDir()
	if err := os.CopyFS(saved, os.DirFS("../../examples/quickstart")); err != nil {
		t.Fatal(err)
	}
	for _, f := range written(t, page, "test", eventID(t, page, "hello")) {
		writeFile(t, filepath.Join(saved, f.Name), f.Text)
	}
	if out := good(t, "test", filepath.Join(saved, "hello_test.star")); !strings.Contains(out, "1 passed, 0 failed") {
		t.Errorf("the saved test:\n%s", out)
	}
	for _, f := range written(t, page, "rule", weather) {
		if strings.HasSuffix(f.Name, ".star") {
			writeFile(t, filepath.Join(rules, f.Name), f.Text)
		}
	}
	b.types("composer-input", "what is the weather?\r")
	b.sees(id("message"), "It works.")

	writeFile(t, filepath.Join(rules, "off.star"), "on.message(\"x\", lambda e: None, enabled = False)\n")
	writeFile(t, filepath.Join(rules, "bad.star"), "on.mesage(\"x\")\n")
	// The files' changes draw the tabs anew: a click in steps may miss them.
	b.do("show the rules", chromedp.Evaluate[chromedp.Void](`document.querySelector('[data-testid="tab-rules"]').click()`))
	b.sees(id("rule"), "hello.star:greet")
	b.sees(id("rule-off"), "enabled is false in its script")
	b.sees(id("problem"), "did you mean on.message?")
	b.clean()
	c.signal(syscall.SIGINT)
	c.exits(0)
}

// eventID finds an event of the page by its text.
func eventID(t *testing.T, page, text string) string {
	t.Helper()
	_, body := get(page + "/sim/state")
	for _, e := range fromJSON[struct{ Events []struct{ ID, Text string } }](t, body).Events {
		if e.Text == text {
			return e.ID
		}
	}
	t.Fatalf("no event %q", text)
	return ""
}

type savedFile struct{ Name, Text string }

// written are the files that the page offers for an event.
func written(t *testing.T, page, what, event string) []savedFile {
	t.Helper()
	status, body := get(page + "/sim/" + what + "/" + event)
	var out struct{ Files []savedFile }
	if err := json.Unmarshal([]byte(body), &out); err != nil || status != http.StatusOK || len(out.Files) == 0 {
		t.Fatalf("%s: status %d %s", what, status, body)
	}
	return out.Files
}
