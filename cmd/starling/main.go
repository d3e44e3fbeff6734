// Command starling is a rules engine for Slack: scripts dropped into a
// directory react to what happens there.
package main

import (
	"os"

	"github.com/starling-rules/starling/cmd/starling/internal/cli"
)

func main() {
	os.Exit(cli.Main(cli.System()))
}
