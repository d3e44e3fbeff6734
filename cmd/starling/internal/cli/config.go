package cli

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

func (c *command) configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "config",
		Short:   "Show the effective configuration with the source of each value, secrets masked",
		Example: "  starling config\n  starling config --json | jq '.[] | select(.source != \"default\")'",
		Args:    cobra.NoArgs,
	}
	c.configFlags(cmd)
	asJSON := cmd.Flags().Bool("json", false, "print JSON")
	cmd.AddCommand(c.hashKeyCommand())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := c.load(cmd, nil)
		if err != nil {
			return err
		}
		values := cfg.Explain()
		if *asJSON {
			enc := json.NewEncoder(c.env.Stdout)
			enc.SetIndent("", "  ")
			return enc.Encode(values)
		}
		for _, w := range cfg.Warnings {
			fmt.Fprintln(c.env.Stderr, "warning: "+w)
		}
		w := tabwriter.NewWriter(c.env.Stdout, 2, 8, 2, ' ', 0)
		fmt.Fprintln(w, "KEY\tVALUE\tSOURCE")
		for _, v := range values {
			fmt.Fprintf(w, "%s\t%s\t%s\n", v.Key, v.Value, v.Source)
		}
		return w.Flush()
	}
	return cmd
}
