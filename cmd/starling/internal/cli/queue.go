package cli

import (
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/starling-rules/starling/engine/config"
	"github.com/starling-rules/starling/engine/queue"
)

func (c *command) queueCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "queue [dead | retry ID | drop ID]",
		Short:   "Show the queue and its dead letters; retry or drop a dead event",
		Example: "  starling queue             # depth, oldest, what is pending\n  starling queue dead        # events that were given up, with the reason\n  starling queue retry Ev07  # store it again",
		Args:    cobra.RangeArgs(0, 2),
	}
	c.configFlags(cmd)
	asJSON := cmd.Flags().Bool("json", false, "print JSON")
	limit := cmd.Flags().Int("limit", 50, "how many events to list")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		cfg, err := c.load(cmd, nil)
		if err != nil {
			return err
		}
		switch {
		case len(args) == 0:
			return c.showQueue(cmd, cfg, *limit, *asJSON)
		case len(args) == 1 && args[0] == "dead":
			return c.showDead(cmd, cfg, *limit, *asJSON)
		case len(args) == 2 && (args[0] == "retry" || args[0] == "drop"):
			return c.changeDead(cmd, cfg, args[0], args[1])
		}
		return withCode(ExitUsage, fmt.Errorf("want queue, queue dead, queue retry ID or queue drop ID"))
	}
	return cmd
}

func (c *command) showQueue(cmd *cobra.Command, cfg *config.Config, limit int, asJSON bool) error {
	return c.withOperator(cmd.Context(), cfg, func(o operator) error {
		q, err := o.Queue(cmd.Context(), limit)
		if err != nil {
			return err
		}
		if asJSON {
			return writeJSON(c.env.Stdout, q)
		}
		fmt.Fprintf(c.env.Stdout, "pending %d, oldest %.1f s, dead %d, %s of %s used, store %s\n",
			q.Pending, q.OldestAge, q.Dead, mib(q.Bytes), mib(q.MaxBytes), q.Health)
		for _, e := range q.Events {
			fmt.Fprintf(c.env.Stdout, "%s  %s  %s %s  attempt %d\n", e.ID, e.Stored.Format(time.RFC3339), e.Kind, e.Type, e.Attempts)
		}
		return nil
	})
}

func mib(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

func (c *command) showDead(cmd *cobra.Command, cfg *config.Config, limit int, asJSON bool) error {
	return c.withOperator(cmd.Context(), cfg, func(o operator) error {
		dead, err := o.Dead(cmd.Context(), limit)
		if err != nil {
			return err
		}
		if asJSON {
			return writeJSON(c.env.Stdout, dead)
		}
		w := tabwriter.NewWriter(c.env.Stdout, 2, 8, 2, ' ', 0)
		fmt.Fprintln(w, "EVENT\tSTORED\tKIND\tTYPE\tREASON")
		for _, e := range dead {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", e.ID, e.Stored.Format(time.DateTime), e.Kind, e.Type, e.Reason)
		}
		return w.Flush()
	})
}

func (c *command) changeDead(cmd *cobra.Command, cfg *config.Config, verb, id string) error {
	return c.withOperator(cmd.Context(), cfg, func(o operator) error {
		change := o.Retry
		if verb == "drop" {
			change = o.Drop
		}
		err := change(cmd.Context(), id)
		if errors.Is(err, queue.ErrNotFound) {
			return withCode(ExitBad, fmt.Errorf("no dead event %q", id))
		}
		return err
	})
}
