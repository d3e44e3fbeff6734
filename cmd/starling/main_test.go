package main

import (
	"flag"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/starling-rules/starling/runtime/worker"
)

var update = flag.Bool("update", false, "write what commands print into the scripts that compare it")

func TestMain(m *testing.M) {
	if worker.IsChild(os.Args) { // workers are this program, started again
		main()
	}
	if os.Getenv(slackGoApp) != "" { // as is the app that the local Slack talks with
		runSlackGoApp()
		return
	}
	if os.Getenv(stolenWatch) != "" { // and what notices that the machine stands still
		watchStolen()
		return
	}
	testscript.Main(tests{m}, map[string]func(){"starling": main})
}

// tests removes, after the tests, the programs that they have built.
type tests struct{ *testing.M }

func (m tests) Run() int {
	code := m.M.Run()
	built.Lock()
	defer built.Unlock()
	for _, dir := range built.dirs {
		_ = os.RemoveAll(dir)
	}
	return code
}

// TestScripts runs testdata/script: each file reads as a manual of a command.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/script",
		UpdateScripts: *update,
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("GORACE", os.Getenv("GORACE"))
			return nil
		},
	})
}
