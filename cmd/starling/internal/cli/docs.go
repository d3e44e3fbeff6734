package cli

import (
	"github.com/spf13/cobra"

	"github.com/starling-rules/starling/stdlib"
	"github.com/starling-rules/starling/stdlib/doc"
)

func (c *command) docsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "docs [NAME]",
		Short:   "Reference of the built-ins that scripts can use",
		Example: "  starling docs              # every built-in, a line each\n  starling docs http_post    # one in full\n  starling docs kv           # a module",
		Args:    cobra.MaximumNArgs(1),
	}
	format := cmd.Flags().String("format", "text", "text, markdown or json")
	asJSON := cmd.Flags().Bool("json", false, "print JSON")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		lib, err := stdlib.Library()
		if err != nil {
			return withCode(ExitStart, err)
		}
		name := ""
		if len(args) == 1 {
			name = args[0]
		}
		switch {
		case *asJSON || *format == "json":
			err = doc.JSON(c.env.Stdout, lib)
		case *format == "markdown":
			err = doc.Markdown(c.env.Stdout, lib)
		default:
			err = doc.Text(c.env.Stdout, lib, name)
		}
		return withCode(ExitUsage, err)
	}
	return cmd
}
