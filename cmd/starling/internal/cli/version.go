package cli

import (
	"fmt"
	goruntime "runtime"

	"github.com/spf13/cobra"
)

func (c *command) versionCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: "  starling version",
		Args:    cobra.NoArgs,
	}
	asJSON := cmd.Flags().Bool("json", false, "print JSON")
	cmd.RunE = func(*cobra.Command, []string) error {
		if *asJSON {
			return writeJSON(c.env.Stdout, map[string]string{
				"version": Version, "go": goruntime.Version(), "os": goruntime.GOOS, "arch": goruntime.GOARCH,
			})
		}
		_, err := fmt.Fprintf(c.env.Stdout, "starling %s (%s %s/%s)\n", Version, goruntime.Version(), goruntime.GOOS, goruntime.GOARCH)
		return err
	}
	return cmd
}
