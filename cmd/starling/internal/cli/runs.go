package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/starling-rules/starling/engine/dispatch"
	"github.com/starling-rules/starling/engine/queue"
)

func (c *command) runsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "runs [ID]",
		Short:   "List past and waiting runs, or show one with its journal",
		Example: "  starling runs                   # newest first\n  starling runs 3f1c09b2a4d8e671  # one run: effects with request and answer\n  starling runs --json --limit 1000",
		Args:    cobra.MaximumNArgs(1),
	}
	c.configFlags(cmd)
	asJSON := cmd.Flags().Bool("json", false, "print JSON")
	full := cmd.Flags().Bool("full", false, "with ID: every pass, and requests and answers at any length")
	limit := cmd.Flags().Int("limit", 50, "how many events to list")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		cfg, err := c.load(cmd, nil)
		if err != nil {
			return err
		}
		return c.withOperator(cmd.Context(), cfg, func(o operator) error {
			if len(args) == 1 {
				rep, err := o.Run(cmd.Context(), args[0])
				if errors.Is(err, queue.ErrNotFound) {
					return withCode(ExitBad, fmt.Errorf("no run or event %q", args[0]))
				}
				if err != nil {
					return err
				}
				return c.printRun(rep, args[0], *asJSON, *full)
			}
			reps, err := o.Runs(cmd.Context(), *limit)
			if err != nil {
				return err
			}
			if !*asJSON {
				off, err := o.RulesOff(cmd.Context())
				if err != nil {
					return err
				}
				c.noteOff(off)
			}
			return c.printRuns(reps, *asJSON)
		})
	}
	return cmd
}

func (c *command) printRuns(reps []dispatch.EventReport, asJSON bool) error {
	if asJSON {
		return writeJSON(c.env.Stdout, reps)
	}
	w := tabwriter.NewWriter(c.env.Stdout, 2, 8, 2, ' ', 0)
	fmt.Fprintln(w, "RUN\tWHEN\tRULE\tOUTCOME\tEFFECTS\tMS\tERROR")
	for _, rep := range reps {
		if len(rep.Runs) == 0 && rep.Reason != "" { // it died before its first run
			fmt.Fprintf(w, "-\t%s\t-\t%s\t0\t0.0\tevent %s: %s\n", rep.Stored.Format(time.DateTime), dispatch.Dead, rep.ID, rep.Reason)
		}
		for _, run := range rep.Runs {
			msg := run.Reason
			if run.Error != nil {
				msg = run.Error.Error()
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%.1f\t%s\n", run.ID, rep.Stored.Format(time.DateTime), run.Rule, run.Outcome, len(run.Effects), run.Ms, msg)
		}
	}
	return w.Flush()
}

// printRun shows an event's runs; if id is that of a run, only this one.
func (c *command) printRun(rep dispatch.EventReport, id string, asJSON, full bool) error {
	if asJSON {
		return writeJSON(c.env.Stdout, rep)
	}
	c.runPrinter(full).event(rep, id)
	return nil
}

func clip(s string) string {
	const most = 400
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
