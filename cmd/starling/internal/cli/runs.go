package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/starling-rules/starling/engine"
	"github.com/starling-rules/starling/engine/dispatch"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/runtime"
)

// runFlags are the flags of starling runs.
type runFlags struct {
	json, full, waiting, old *bool
	limit                    *int
	rule, script             *string
}

func (c *command) runsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "runs [ID]",
		Short: "List past and waiting runs, show one with its time line; cancel, answer, retry or restart them",
		Long: "Without ID runs are listed, newest first. With the ID of a run, or of an event, its\n" +
			"time line is shown: what it did with request and answer, what it waited for and who\n" +
			"answered, what the script logged. Of a run that waits it says what would wake it.\n\n" +
			"--waiting lists the runs that wait, the longest first; --old counts those that wait\n" +
			"on versions of scripts which are not in force any more. Runs stay on the version\n" +
			"they began with; starling runs restart --old has them begin again on the new one.\n" +
			"starling docs runs tells more.",
		Example: "  starling runs                          # newest first\n" +
			"  starling runs 3f1c09b2a4d8e671         # one run: its time line\n" +
			"  starling runs --waiting --rule deploy  # who waits for whom, and since when\n" +
			"  starling runs --old                    # how many wait on old versions\n" +
			"  starling runs --json --limit 1000",
	}
	verbs := []*cobra.Command{c.runActCommand("cancel"), c.runActCommand("continue"), c.runActCommand("retry"), c.runActCommand("restart")}
	cmd.AddCommand(verbs...)
	cmd.Args = func(_ *cobra.Command, args []string) error {
		if len(args) < 2 {
			return nil
		}
		names := make([]string, len(verbs))
		for i, v := range verbs {
			names[i] = v.Name()
		}
		if n := runtime.Nearest(args[0], names); n != "" {
			return fmt.Errorf("runs has no command %q: did you mean starling runs %s?", args[0], n)
		}
		return fmt.Errorf("accepts at most 1 ID, received %d", len(args))
	}
	c.configFlags(cmd)
	fl := cmd.Flags()
	f := runFlags{
		json:    fl.Bool("json", false, "print JSON"),
		full:    fl.Bool("full", false, "with ID: every pass, and requests and answers at any length"),
		waiting: fl.Bool("waiting", false, "list the runs that wait, the longest first"),
		old:     fl.Bool("old", false, "count the runs that wait on old versions; with --waiting, list them"),
		limit:   fl.Int("limit", 50, "how many to list"),
		rule:    fl.String("rule", "", "with --waiting and --old: of this rule, by its id or name"),
		script:  fl.String("script", "", "with --waiting and --old: of this script"),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return c.runs(cmd, args, f) }
	return cmd
}

func (c *command) runs(cmd *cobra.Command, args []string, f runFlags) error {
	list := *f.waiting || *f.old
	switch {
	case len(args) > 0 && list:
		return withCode(ExitUsage, errors.New("--waiting and --old list runs: leave the ID out"))
	case !list && (*f.rule != "" || *f.script != ""):
		return withCode(ExitUsage, errors.New("--rule and --script go with --waiting and --old"))
	case *f.limit < 1:
		return withCode(ExitUsage, errors.New("--limit: want at least 1"))
	}
	cfg, err := c.load(cmd, nil)
	if err != nil {
		return err
	}
	return c.withOperator(cmd.Context(), cfg, func(o operator) error {
		switch {
		case len(args) == 1:
			return c.showRun(cmd.Context(), o, args[0], f)
		case list:
			return c.listWaiting(cmd.Context(), o, f)
		}
		return c.listRuns(cmd.Context(), o, f)
	})
}

func (c *command) showRun(ctx context.Context, o operator, id string, f runFlags) error {
	rep, err := o.Run(ctx, id)
	if errors.Is(err, queue.ErrNotFound) {
		return withCode(ExitBad, fmt.Errorf("no run or event %q", id))
	}
	if err != nil {
		return err
	}
	if *f.json {
		return writeJSON(c.env.Stdout, rep)
	}
	c.runPrinter(*f.full).event(rep, id)
	return nil
}

func (c *command) listRuns(ctx context.Context, o operator, f runFlags) error {
	reps, err := o.Runs(ctx, *f.limit)
	if err != nil {
		return err
	}
	if *f.json {
		return writeJSON(c.env.Stdout, reps)
	}
	off, err := o.RulesOff(ctx)
	if err != nil {
		return err
	}
	c.noteOff(off)
	if err := c.printRuns(reps); err != nil {
		return err
	}
	versions, err := o.WaitingVersions(ctx, engine.RunFilter{})
	if err != nil {
		return err
	}
	c.noteWaiting(versions)
	return nil
}

func (c *command) printRuns(reps []dispatch.EventReport) error {
	w := tabwriter.NewWriter(c.env.Stdout, 2, 8, 2, ' ', 0)
	fmt.Fprintln(w, "RUN\tWHEN\tRULE\tOUTCOME\tEFFECTS\tMS\tERROR")
	for _, rep := range reps {
		if len(rep.Runs) == 0 && rep.Reason != "" { // it died before its first run
			fmt.Fprintf(w, "-\t%s\t-\t%s\t0\t0.0\tevent %s: %s\n", rep.Stored.Format(time.DateTime), dispatch.Dead, rep.ID, oneLine(rep.Reason))
		}
		for _, run := range rep.Runs {
			msg, outcome := run.Reason, string(run.Outcome)
			switch {
			case run.Error != nil:
				msg = run.Error.Error()
			case run.Wait != nil:
				msg = run.Wait.Kind + " " + run.Wait.Title
			case run.Outcome == dispatch.Waiting:
				outcome = "under way"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%.1f\t%s\n", run.ID, rep.Stored.Format(time.DateTime), run.Rule, outcome, len(run.Effects), run.Ms, oneLine(msg))
		}
	}
	return w.Flush()
}

// noteWaiting says below a list how many runs wait, and on which versions.
func (c *command) noteWaiting(versions []engine.VersionReport) {
	waiting, old := 0, 0
	for _, v := range versions {
		waiting += v.Waiting
		if v.Old {
			old += v.Waiting
		}
	}
	if waiting == 0 {
		return
	}
	fmt.Fprintf(c.env.Stdout, "\n%s (starling runs --waiting)", verb(waiting, "waits", "wait"))
	switch {
	case old == waiting:
		fmt.Fprint(c.env.Stdout, ", on old versions (starling runs --old)")
	case old > 0:
		fmt.Fprintf(c.env.Stdout, ", %d of them on old versions (starling runs --old)", old)
	}
	fmt.Fprintln(c.env.Stdout, ".")
}

func verb(n int, one, many string) string {
	if n == 1 {
		return "1 run " + one
	}
	return fmt.Sprintf("%d runs %s", n, many)
}

func (c *command) listWaiting(ctx context.Context, o operator, f runFlags) error {
	filter, err := waitingFilter(ctx, o, *f.rule, *f.script, *f.old)
	if err != nil {
		return err
	}
	if !*f.waiting {
		versions, err := o.WaitingVersions(ctx, filter)
		if err != nil {
			return err
		}
		if *f.json {
			return writeJSON(c.env.Stdout, versions)
		}
		return c.printVersions(versions)
	}
	filter.Limit = *f.limit
	runs, err := o.WaitingRuns(ctx, filter)
	if err != nil {
		return err
	}
	if *f.json {
		return writeJSON(c.env.Stdout, runs)
	}
	return c.printWaiting(runs)
}

// waitingFilter says which runs are meant. A rule may be given by its name: it
// is then that of the waiting runs, for the rule itself may be gone.
func waitingFilter(ctx context.Context, o operator, rule, script string, old bool) (engine.RunFilter, error) {
	f := engine.RunFilter{Rule: rule, Script: script}
	if old {
		f.Version = "old"
	}
	if rule == "" || strings.Contains(rule, ":") {
		return f, nil
	}
	versions, err := o.WaitingVersions(ctx, engine.RunFilter{Script: script})
	if err != nil {
		return f, err
	}
	var meant []string
	for _, v := range versions {
		for _, id := range v.Rules {
			if strings.HasSuffix(id, ":"+rule) && !slices.Contains(meant, id) {
				meant = append(meant, id)
			}
		}
	}
	if len(meant) > 1 {
		return f, withCode(ExitUsage, fmt.Errorf("--rule %s: may be %s", rule, strings.Join(meant, " or ")))
	}
	if len(meant) == 1 {
		f.Rule = meant[0]
	}
	return f, nil
}

func (c *command) printWaiting(runs []engine.WaitingRun) error {
	now := c.env.Now()
	w := tabwriter.NewWriter(c.env.Stdout, 2, 8, 2, ' ', 0)
	fmt.Fprintln(w, "RUN\tRULE\tVERSION\tWAITS\tUNTIL\tFOR")
	for _, r := range runs {
		version, until := short(r.Version), "-"
		if r.Old {
			version += " old"
		}
		if !r.Until.IsZero() {
			until = r.Until.Local().Format(time.DateTime)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", r.Run, r.Rule, version, span(now.Sub(r.Since)), until, strings.TrimSpace(r.Kind+" "+clipTo(oneLine(r.Title), 80)))
	}
	return w.Flush()
}

func (c *command) printVersions(versions []engine.VersionReport) error {
	w := tabwriter.NewWriter(c.env.Stdout, 2, 8, 2, ' ', 0)
	fmt.Fprintln(w, "SCRIPT\tVERSION\tWAITING\tSINCE\tIN FORCE\tRULES")
	for _, v := range versions {
		inForce := short(v.InForce)
		if inForce == "" {
			inForce = "gone"
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s\n", v.Script, short(v.Version), v.Waiting, v.Oldest.Local().Format(time.DateTime), inForce, strings.Join(v.Rules, " "))
	}
	return w.Flush()
}

func clip(s string) string { return clipTo(s, 400) }

func clipTo(s string, most int) string {
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
