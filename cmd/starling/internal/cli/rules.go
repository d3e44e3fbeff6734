package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/starling-rules/starling/engine"
	"github.com/starling-rules/starling/engine/breaker"
	"github.com/starling-rules/starling/engine/config"
	"github.com/starling-rules/starling/engine/queue"
)

func (c *command) rulesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rules [enable ID | disable ID | reload | status]",
		Short: "List the rules and which are switched off; switch one on or off; reload them",
		Long: "Rules that go beyond their limits three times in a row are switched off, until\n" +
			"their file changes or an operator switches them on. A rule that an operator has\n" +
			"disabled stays off, also over changes of its file, until it is enabled. ID is the\n" +
			"id of a rule, its name, or the beginning of either that no other rule has.\n" +
			"\n" +
			"reload makes the running server read all rule files again, and fetch the repository\n" +
			"of rules_git; status tells how that server is.",
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
		server := len(args) == 1 && (args[0] == "reload" || args[0] == "status")
		if len(args) > 0 && !change && !server {
			return withCode(ExitUsage, errors.New("want rules, rules enable ID, rules disable ID, rules reload or rules status"))
		}
		if *reason != "" && (!change || args[0] != "disable") {
			return withCode(ExitUsage, errors.New("--reason goes with disable"))
		}
		cfg, err := c.load(cmd, nil)
		if err != nil {
			return err
		}
		if server {
			return c.askServer(cmd.Context(), cfg, args[0], *asJSON)
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

// askServer has the running server reload its rules, or tell how it is.
func (c *command) askServer(ctx context.Context, cfg *config.Config, what string, asJSON bool) error {
	server := &adminClient{base: "http://" + cfg.Admin}
	var failed error
	if what == "reload" {
		failed = server.do(ctx, http.MethodPost, "/reload", nil)
	}
	if nobodyThere(failed) {
		return withCode(ExitStart, fmt.Errorf("no server answers on %s (--admin names it): there is nothing to reload", cfg.Admin))
	}
	var s engine.Status
	err := server.get(ctx, "/status", &s)
	if nobodyThere(err) {
		return withCode(ExitStart, fmt.Errorf("no server answers on %s (--admin names it)", cfg.Admin))
	}
	if err != nil {
		return errors.Join(failed, err)
	}
	if asJSON {
		return errors.Join(failed, writeJSON(c.env.Stdout, s))
	}
	return errors.Join(failed, c.printStatus(s))
}

func (c *command) printStatus(s engine.Status) error {
	out := c.env.Stdout
	fmt.Fprintf(out, "up since   %s\nrules      %d, %d of them off\n", s.Started.Format(time.DateTime), s.Rules, s.Off)
	if s.Revision != "" {
		fmt.Fprintf(out, "revision   %s\n", s.Revision)
	}
	fmt.Fprintf(out, "queue      %d events, the oldest waits for %.0f s; %d are dead\nstore      %s\n", s.Pending, s.OldestAge, s.Dead, s.Health)
	for _, l := range s.Socket {
		fmt.Fprintf(out, "socket %d   %s since %s, opened %d times\n", l.Number, l, l.Since.Format(time.DateTime), l.Opened)
	}
	bad := false
	for _, f := range s.Files {
		if f.Errors != "" {
			does := "nothing of it runs"
			if f.Previous {
				does = "version " + f.Version[:min(12, len(f.Version))] + " goes on running"
			}
			bad = true
			fmt.Fprintf(out, "\n%s has errors, %s:\n%s", f.Path, does, f.Errors)
		}
		if f.Warnings != "" {
			fmt.Fprintf(out, "\n%s runs, and is questionable:\n%s", f.Path, f.Warnings)
		}
	}
	if bad {
		return withCode(ExitBad, errors.New("rule files have errors"))
	}
	return nil
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
	fmt.Fprintln(w, "RULE\tSTATE\tKIND\tAT\tVERSION\tLAST RUN\tOWNER\tSINCE\tWHY")
	for _, r := range list {
		at, since := "-", "-"
		if r.File != "" {
			at = fmt.Sprintf("%s:%d", r.File, r.Line)
		}
		if r.Since != nil {
			since = r.Since.Format(time.DateTime)
		}
		ran, why := "-", r.Why
		if r.LastFire != nil {
			ran = r.LastFire.Format(time.DateTime) + " " + r.LastOutcome
		}
		if why == "" && r.LastError != "" {
			first, _, _ := strings.Cut(r.LastError, "\n")
			why = "failed " + r.LastErrorAt.Format(time.DateTime) + ": " + first
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.ID, r.State, orDash(r.Kind), at, orDash(r.Version[:min(12, len(r.Version))]), ran, orDash(r.Owner), since, orDash(why))
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
