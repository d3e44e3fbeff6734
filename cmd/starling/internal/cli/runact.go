package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/starling-rules/starling/engine"
	"github.com/starling-rules/starling/engine/queue"
)

// runActs are what can be done to runs.
var runActs = map[string]struct{ short, long, example string }{
	"cancel": {
		"End runs that wait",
		"The run ends as cancelled, at the place where it waits; a question that it has\n" +
			"asked says so. Nothing of the script is run any more.",
		"  starling runs cancel 3f1c09b2a4d8e671\n" +
			"  starling runs cancel --old --script deploy.star   # all that wait on old versions",
	},
	"continue": {
		"Answer what runs wait for, in the place of people, events and the time",
		"--answer is JSON, or a text. Of ask it is the text or the value of a choice, of\n" +
			"ask_form an object from action_id to value, of everything else what the script\n" +
			"gets. Without --answer the run goes on as when the time is over: with None.",
		"  starling runs continue 3f1c09b2a4d8e671 --answer Yes\n" +
			"  starling runs continue 3f1c09b2a4d8e671 --answer '{\"reason\": \"it is urgent\"}'\n" +
			"  starling runs continue --rule deploy.star:remind  # sleeps are over at once",
	},
	"retry": {
		"Have runs begin again on the version they had, from a step",
		"A new run keeps the results of the steps before, and does the others again. The\n" +
			"step is the one that failed, or the next after all that were done; --step says\n" +
			"another. --step 1 does everything again. A run that waits is cancelled.",
		"  starling runs retry 3f1c09b2a4d8e671            # from where it failed\n" +
			"  starling runs retry 3f1c09b2a4d8e671 --step 3   # steps 1 and 2 keep their results",
	},
	"restart": {
		"Have runs begin again on the version in force",
		"A new run of the same rule on the same event begins from its start, and does\n" +
			"everything again. A run that waits is cancelled. The server has to run: it alone\n" +
			"knows which version is in force.",
		"  starling runs restart 3f1c09b2a4d8e671\n" +
			"  starling runs restart --old                       # all that wait on old versions",
	},
}

// actFlags say what is done, and to which runs.
type actFlags struct {
	json, old, dry       *bool
	rule, script, answer *string
	step                 *int
}

func (c *command) runActCommand(verb string) *cobra.Command {
	about := runActs[verb]
	cmd := &cobra.Command{
		Use: verb + " [ID...]", Short: about.short, Example: about.example,
		Long: about.long + "\n\nInstead of IDs, --old, --rule and --script name runs that wait; what cannot be done\n" +
			"to one of them is told, and the others are dealt with all the same.",
	}
	c.configFlags(cmd)
	fl := cmd.Flags()
	f := actFlags{
		json:   fl.Bool("json", false, "print JSON"),
		old:    fl.Bool("old", false, "all that wait on old versions"),
		dry:    fl.Bool("dry-run", false, "do nothing, list the runs that are meant"),
		rule:   fl.String("rule", "", "all that wait, of this rule"),
		script: fl.String("script", "", "all that wait, of this script"),
	}
	switch verb {
	case "continue":
		f.answer = fl.String("answer", "", "what they go on with: JSON or a text")
	case "retry":
		f.step = fl.Int("step", 0, "the first step that is done again")
	}
	cmd.RunE = func(cmd *cobra.Command, ids []string) error {
		many := *f.old || *f.rule != "" || *f.script != ""
		switch {
		case many == (len(ids) > 0):
			return withCode(ExitUsage, fmt.Errorf("which runs? starling runs %s ID, or --old, --rule or --script", verb))
		case fl.Changed("step") && *f.step < 1:
			return withCode(ExitUsage, errors.New("--step: steps are numbered from 1"))
		}
		req := &engine.RunRequest{Who: c.operatorName()}
		if fl.Changed("answer") {
			req.Answer = answerJSON(*f.answer)
		}
		cfg, err := c.load(cmd, nil)
		if err != nil {
			return err
		}
		return c.withOperator(cmd.Context(), cfg, func(o operator) error {
			if many {
				if ids, err = waitingIDs(cmd.Context(), o, f); err != nil {
					return err
				}
			}
			return c.actOn(cmd.Context(), o, verb, ids, f, req)
		})
	}
	return cmd
}

// operatorName is who does it, for the time line and the question's message;
// empty if that is not known.
func (c *command) operatorName() string {
	for _, name := range []string{"USER", "LOGNAME", "USERNAME"} {
		if who := c.env.Getenv(name); who != "" {
			return who
		}
	}
	return ""
}

// answerJSON takes a text that is no JSON for itself.
func answerJSON(text string) json.RawMessage {
	if json.Valid([]byte(text)) {
		return json.RawMessage(text)
	}
	b, _ := json.Marshal(text)
	return b
}

// mostActed bounds what one command does.
const mostActed = 10_000

func waitingIDs(ctx context.Context, o operator, f actFlags) ([]string, error) {
	filter, err := waitingFilter(ctx, o, *f.rule, *f.script, *f.old)
	if err != nil {
		return nil, err
	}
	filter.Limit = mostActed
	runs, err := o.WaitingRuns(ctx, filter)
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(runs))
	for i, r := range runs {
		ids[i] = r.Run
	}
	return ids, nil
}

func (c *command) actOn(ctx context.Context, o operator, verb string, ids []string, f actFlags, req *engine.RunRequest) error {
	done := make([]engine.Acted, 0, len(ids))
	failed := 0
	var first error
	for _, id := range ids {
		if *f.dry {
			done = append(done, engine.Acted{Run: id})
			c.tellActed(f, engine.Acted{Run: id}, nil)
			continue
		}
		step := 0
		if f.step != nil {
			step = *f.step
		}
		did, err := o.Act(ctx, verb, id, step, req)
		if errors.Is(err, queue.ErrNotFound) {
			err = withCode(ExitBad, fmt.Errorf("no run %q", id))
		}
		if nobodyThere(err) { // the store may be asked instead
			return err
		}
		did.Run = id
		if err != nil {
			failed++
			first = errors.Join(first, err)
			did = engine.Acted{Run: id, Error: err.Error()}
		}
		done = append(done, did)
		c.tellActed(f, did, err)
	}
	if *f.json {
		if err := writeJSON(c.env.Stdout, done); err != nil {
			return err
		}
	}
	switch {
	case errors.Is(first, engine.ErrNeedsServer):
		return withCode(ExitStart, errSaid)
	case failed > 0:
		return withCode(ExitBad, errSaid)
	case len(ids) == 0 && !*f.json:
		fmt.Fprintln(c.env.Stdout, "no run is meant")
	}
	return nil
}

// tellActed says what became of a run.
func (c *command) tellActed(f actFlags, did engine.Acted, err error) {
	if err != nil {
		printError(c.env, err)
		return
	}
	if *f.json {
		return
	}
	text := did.Run
	switch did.Did {
	case "cancelled":
		text += " is cancelled"
	case "continued":
		text += " goes on"
	case "retried":
		text += fmt.Sprintf(" is tried again from step %d as %s", did.Step, did.New)
	case "restarted":
		text += " begins again as " + did.New
	}
	fmt.Fprintln(c.env.Stdout, text)
}
