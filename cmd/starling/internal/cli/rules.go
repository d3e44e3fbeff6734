package cli

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/starling-rules/starling/engine"
	"github.com/starling-rules/starling/engine/breaker"
	"github.com/starling-rules/starling/engine/queue"
)

func (c *command) rulesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rules [enable ID | disable ID]",
		Short: "List the rules and which are switched off; switch one on or off",
		Long: "Rules that go beyond their limits three times in a row are switched off, until\n" +
			"their file changes or an operator switches them on. A rule that an operator has\n" +
			"disabled stays off, also over changes of its file, until it is enabled. ID is the\n" +
			"id of a rule, its name, or the beginning of either that no other rule has.",
		Example: "  starling rules                                     # every rule, its state and why\n" +
			"  starling rules enable deploy.star:restart          # it is mended, or was not at fault\n" +
			"  starling rules disable restart --reason \"see #ops\"",
		Args: cobra.RangeArgs(0, 2),
	}
	c.configFlags(cmd)
	asJSON := cmd.Flags().Bool("json", false, "print JSON")
	reason := cmd.Flags().String("reason", "", "with disable: why, for those who look after the rule")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		change := len(args) == 2 && (args[0] == "enable" || args[0] == "disable")
		if len(args) > 0 && !change {
			return withCode(ExitUsage, errors.New("want rules, rules enable ID or rules disable ID"))
		}
		if *reason != "" && (!change || args[0] != "disable") {
			return withCode(ExitUsage, errors.New("--reason goes with disable"))
		}
		cfg, err := c.load(cmd, nil)
		if err != nil {
			return err
		}
		return c.withOperator(cmd.Context(), cfg, func(o operator) error {
			list, err := o.Rules(cmd.Context())
			if err != nil {
				return err
			}
			if !change {
				return c.listRules(cmd.Context(), o, list, *asJSON)
			}
			r, err := pickRule(list, args[1])
			if err != nil {
				return withCode(ExitBad, err)
			}
			return c.switchRule(cmd, o, r, args[0] == "enable", *reason)
		})
	}
	return cmd
}

func (c *command) switchRule(cmd *cobra.Command, o operator, r engine.RuleReport, on bool, reason string) error {
	if !on {
		if err := o.DisableRule(cmd.Context(), r.ID, reason); err != nil {
			return err
		}
		fmt.Fprintf(c.env.Stdout, "%s is disabled\n", r.ID)
		return nil
	}
	err := o.EnableRule(cmd.Context(), r.ID)
	switch {
	case errors.Is(err, queue.ErrNotFound) && r.State == breaker.Disabled:
		return withCode(ExitBad, fmt.Errorf("%s is off because of enabled = False in %s:%d", r.ID, r.File, r.Line))
	case errors.Is(err, queue.ErrNotFound):
		fmt.Fprintf(c.env.Stdout, "%s is on already\n", r.ID)
		return nil
	case err != nil:
		return err
	}
	fmt.Fprintf(c.env.Stdout, "%s is on\n", r.ID)
	return nil
}

// pickRule finds the rule that is meant.
func pickRule(list []engine.RuleReport, text string) (engine.RuleReport, error) {
	return engine.PickRule(list, text)
}

// listRules prints the rules, and for people what is wrong with their files.
func (c *command) listRules(ctx context.Context, o operator, list []engine.RuleReport, asJSON bool) error {
	if err := c.printRules(list, asJSON); err != nil || asJSON {
		return err
	}
	server, ok := o.(*adminClient)
	if !ok {
		return nil // the data directory knows what runs, not what is on disk
	}
	files, err := server.RuleFiles(ctx)
	if err != nil {
		return err
	}
	for _, f := range files {
		if len(f.Errors) > 0 {
			does := "nothing of it runs"
			if f.Previous {
				does = "the version before goes on running"
			}
			fmt.Fprintf(c.env.Stdout, "\n%s has errors, %s:\n%s", f.Path, does, f.Errors.Detail())
		}
		if len(f.Warnings) > 0 {
			fmt.Fprintf(c.env.Stdout, "\n%s runs, and is questionable:\n%s", f.Path, f.Warnings.Detail())
		}
	}
	return nil
}

func (c *command) printRules(list []engine.RuleReport, asJSON bool) error {
	if asJSON {
		return writeJSON(c.env.Stdout, list)
	}
	w := tabwriter.NewWriter(c.env.Stdout, 2, 8, 2, ' ', 0)
	fmt.Fprintln(w, "RULE\tSTATE\tKIND\tAT\tOWNER\tSINCE\tWHY")
	for _, r := range list {
		at, since := "-", "-"
		if r.File != "" {
			at = fmt.Sprintf("%s:%d", r.File, r.Line)
		}
		if r.Since != nil {
			since = r.Since.Format(time.DateTime)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.ID, r.State, orDash(r.Kind), at, orDash(r.Owner), since, orDash(r.Why))
	}
	return w.Flush()
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// noteOff tells, ahead of a table, which rules are off.
func (c *command) noteOff(off []breaker.Switch) {
	for _, s := range off {
		fmt.Fprintf(c.env.Stdout, "%s is %s since %s: %s\n", s.Rule, s.State, s.Since.Format(time.DateTime), s.Why)
	}
	if len(off) > 0 {
		fmt.Fprint(c.env.Stdout, "starling rules enable ID switches a rule on.\n\n")
	}
}
