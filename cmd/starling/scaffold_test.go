package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// A project that init made runs in the local Slack as it is.
func TestDevRunsAProjectThatInitMade(t *testing.T) {
	t.Parallel()
	for _, lang := range []string{"star", "lua"} {
		t.Run(lang, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "bot")
			if out := good(t, "init", "--lang", lang, dir); !strings.Contains(out, "hello."+lang) {
				t.Fatalf("init made\n%s", out)
			}
			c := run(t, nil, "dev", "--config", filepath.Join(dir, "starling.yaml"),
				"--page", "127.0.0.1:0", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", filepath.Join(dir, "rules"))
			c.prints("1 rule live")
			c.prints("Local Slack: http://127.0.0.1:")
			if said := c.out.String(); strings.Contains(said, "error") {
				t.Fatalf("it says\n%s", said)
			}
		})
	}
}
