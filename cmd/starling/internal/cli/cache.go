package cli

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/starling-rules/starling/engine"
	"github.com/starling-rules/starling/engine/config"
)

func (c *command) cacheCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cache [list | purge]",
		Short: "Show or forget what is remembered of Slack: users, channels, groups, emoji",
		Long: "Look-ups of users, channels, direct conversations, user groups and emoji are kept in\n" +
			"the server and in the store; Slack's events and time refresh them. Purge forgets them\n" +
			"at once: what is needed is looked up again.",
		Example:   "  starling cache                    # what is kept, and what it has spared\n  starling cache purge --team acme  # forget what is known of one workspace",
		Args:      cobra.MaximumNArgs(1),
		ValidArgs: []string{"list", "purge"},
	}
	c.configFlags(cmd)
	asJSON := cmd.Flags().Bool("json", false, "print JSON")
	team := cmd.Flags().String("team", "", "only this workspace: its name in the configuration, or its id")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		cfg, err := c.load(cmd, nil)
		if err != nil {
			return err
		}
		switch {
		case len(args) == 0 || args[0] == "list":
			return c.showCache(cmd, cfg, *team, *asJSON)
		case args[0] == "purge":
			return c.purgeCache(cmd, cfg, *team, *asJSON)
		}
		return withCode(ExitUsage, fmt.Errorf("want cache, cache list or cache purge (got %q)", args[0]))
	}
	return cmd
}

func (c *command) showCache(cmd *cobra.Command, cfg *config.Config, team string, asJSON bool) error {
	return c.withOperator(cmd.Context(), cfg, func(o operator) error {
		rep, err := o.Cache(cmd.Context(), team)
		if err != nil {
			return err
		}
		if asJSON {
			return writeJSON(c.env.Stdout, rep)
		}
		return c.printCache(rep)
	})
}

func (c *command) printCache(rep engine.CacheReport) error {
	w := tabwriter.NewWriter(c.env.Stdout, 2, 8, 2, ' ', 0)
	if len(rep.Process) > 0 {
		fmt.Fprintln(w, "KIND\tKEPT\tHITS\tFROM STORE\tFROM SLACK")
		for _, s := range rep.Process {
			fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\n", s.Kind, s.Entries, s.Hits, s.FromStore, s.Loads)
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w, "TEAM\tKIND\tID\tBOT")
	for _, e := range rep.Stored {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", e.Team, e.Kind, e.ID, e.Who)
	}
	return w.Flush()
}

func (c *command) purgeCache(cmd *cobra.Command, cfg *config.Config, team string, asJSON bool) error {
	return c.withOperator(cmd.Context(), cfg, func(o operator) error {
		rep, err := o.PurgeCache(cmd.Context(), team)
		if err != nil {
			return err
		}
		if asJSON {
			return writeJSON(c.env.Stdout, rep)
		}
		fmt.Fprintf(c.env.Stdout, "forgot %d look-ups in the server, %d in the store\n", rep.Process, rep.Stored)
		return nil
	})
}
