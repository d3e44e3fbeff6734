package scripttest_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/starling-rules/starling/engine/scripttest"
	"github.com/starling-rules/starling/stdlib"
)

// Run lets Go tests run the tests of scripts.
func ExampleRun() {
	dir, err := os.MkdirTemp("", "rules")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	for name, text := range map[string]string{
		"hello.star":      `on.message("^hello", lambda e: "Hello <@%s>!" % e.user)`,
		"hello_test.star": "def test_hello(t):\n    t.expect(t.message(\"hello\", user = \"@ada\")).replied(\"Hello <@U0ADA>!\")\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			fmt.Println(err)
			return
		}
	}
	lib, err := stdlib.Library()
	if err != nil {
		fmt.Println(err)
		return
	}
	res, err := scripttest.Run(context.Background(), scripttest.Options{Paths: []string{dir}, Library: lib, Languages: languages})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, t := range res.Tests {
		for _, f := range t.Failures {
			fmt.Println(t.Name, f.Text())
		}
	}
	fmt.Printf("%d passed, %d failed\n", res.Passed, res.Failed)
	// Output: 1 passed, 0 failed
}
