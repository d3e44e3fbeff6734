package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/starling-rules/starling/engine"
	"github.com/starling-rules/starling/engine/breaker"
	"github.com/starling-rules/starling/engine/config"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/rules"
)

func (c *command) scheduleCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "schedule [list | run RULE]",
		Short: "List the schedules of the rules, when they fire next and fired last; fire one now",
		Long: "Times are shown in the zone of the schedule. OUTCOME says what became of the\n" +
			"newest time that was due: fired, skipped (the run of the firing before went on),\n" +
			"missed (no server ran, and it is not made up for), off (the rule was switched\n" +
			"off). Without a server and its data the list is computed from the rules.\n" +
			"RULE is the id of a rule, its name, or the beginning of either that no other\n" +
			"schedule has; run needs a running server.",
		Example: "  starling schedule                     # every schedule\n" +
			"  starling schedule list --json\n" +
			"  starling schedule run standup         # now, whatever the schedule says",
		Args: cobra.RangeArgs(0, 2),
	}
	c.configFlags(cmd)
	asJSON := cmd.Flags().Bool("json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		list := len(args) == 0 || len(args) == 1 && args[0] == "list"
		if !list && (len(args) != 2 || args[0] != "run") {
			return withCode(ExitUsage, errors.New("want schedule, schedule list or schedule run RULE"))
		}
		cfg, err := c.load(cmd, nil)
		if err != nil {
			return err
		}
		if list {
			return c.listSchedules(cmd.Context(), cfg, *asJSON)
		}
		return c.runSchedule(cmd.Context(), cfg, args[1], *asJSON)
	}
	return cmd
}

func (c *command) listSchedules(ctx context.Context, cfg *config.Config, asJSON bool) error {
	return c.withSchedules(ctx, cfg, func(o operator) error {
		list, err := o.Schedules(ctx)
		if err != nil {
			return err
		}
		if asJSON {
			return writeJSON(c.env.Stdout, list)
		}
		return c.printSchedules(list)
	})
}

// withSchedules is withOperator, and where there is neither a server nor data
// the rules on disk answer.
func (c *command) withSchedules(ctx context.Context, cfg *config.Config, use func(operator) error) error {
	if _, err := os.Stat(cfg.Data); err == nil || cfg.Queue.URL != "" {
		return c.withOperator(ctx, cfg, use)
	}
	err := use(&adminClient{base: "http://" + cfg.Admin})
	if !nobodyThere(err) {
		return err
	}
	store := queue.NewMemory(queue.MemoryOptions{Now: c.env.Now})
	off := breaker.New(breaker.Options{State: store.State(), Now: c.env.Now})
	err = use(&engine.Operator{
		Store: store, Now: c.env.Now, Breaker: off,
		Set: func(ctx context.Context) (*rules.Set, error) { return c.rulesOnDisk(ctx, cfg) },
	})
	off.Close(ctx)
	return errors.Join(err, store.Close(ctx))
}

// nobodyThere reports whether no server took the request.
func nobodyThere(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) // reset: it ends just now
}

func (c *command) printSchedules(list []engine.ScheduleReport) error {
	w := tabwriter.NewWriter(c.env.Stdout, 2, 8, 2, ' ', 0)
	fmt.Fprintln(w, "RULE\tSCHEDULE\tZONE\tSTATE\tNEXT\tLAST\tOUTCOME\tOVERLAP\tCATCH-UP")
	for _, r := range list {
		when := r.Schedule
		if r.Jitter != "" {
			when += " +" + r.Jitter
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Rule, when, r.Zone, r.State,
			inZone(r.Next, r.Zone), inZone(r.Last, r.Zone), orDash(r.Outcome), r.Overlap, r.CatchUp)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, r := range list {
		if r.Skipped+r.Missed > 0 {
			fmt.Fprintf(c.env.Stdout, "\n%s: %d fired, %d skipped, %d missed\n", r.Rule, r.Firings, r.Skipped, r.Missed)
		}
	}
	return nil
}

// inZone shows a time as the clock in a zone does.
func inZone(t *time.Time, zone string) string {
	if t == nil {
		return "-"
	}
	loc, err := time.LoadLocation(zone)
	if err != nil {
		loc = time.UTC
	}
	return t.In(loc).Format("2006-01-02 15:04:05")
}

func (c *command) runSchedule(ctx context.Context, cfg *config.Config, text string, asJSON bool) error {
	server := &adminClient{base: "http://" + cfg.Admin}
	list, err := server.Schedules(ctx)
	if nobodyThere(err) {
		return withCode(ExitStart, fmt.Errorf("no server answers on %s (--admin names it): what a schedule does is done by a server", cfg.Admin))
	}
	if err != nil {
		return err
	}
	all := make([]engine.RuleReport, len(list))
	for i, r := range list {
		all[i] = engine.RuleReport{ID: r.Rule, Name: r.Name}
	}
	r, err := pickRule(all, text)
	if err != nil {
		return withCode(ExitBad, errors.New(strings.ReplaceAll(err.Error(), "starling rules lists", "starling schedule lists")))
	}
	event, err := server.RunSchedule(ctx, r.ID)
	if err != nil {
		return err
	}
	if asJSON {
		return writeJSON(c.env.Stdout, map[string]string{"rule": r.ID, "event": event})
	}
	fmt.Fprintf(c.env.Stdout, "%s is fired: starling runs %s\n", r.ID, event)
	return nil
}

// Schedules implements operator.
func (a *adminClient) Schedules(ctx context.Context) (out []engine.ScheduleReport, err error) {
	return out, a.get(ctx, "/schedules", &out)
}

// RunSchedule fires a schedule now, and returns the id of the event.
func (a *adminClient) RunSchedule(ctx context.Context, id string) (string, error) {
	var out struct {
		Event string `json:"event"`
	}
	err := a.do(ctx, http.MethodPost, "/schedules/run/"+url.PathEscape(id), &out)
	return out.Event, err
}
