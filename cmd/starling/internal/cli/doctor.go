package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/starling-rules/starling/engine/config"
)

// examined is one thing that doctor has looked at.
type examined struct {
	Check string `json:"check"`
	State string `json:"state"` // ok, warn, fail
	Found string `json:"found"`
	// Do says what to do about it.
	Do string `json:"do,omitempty"`
}

// The states of what was examined.
const (
	stateOK   = "ok"
	stateWarn = "warn"
	stateFail = "fail"
)

// doctor collects findings. What goes on over the network ends with ctx.
type doctor struct {
	c   *command
	cfg *config.Config
	all []examined
}

func (d *doctor) ok(check, format string, args ...any) {
	d.all = append(d.all, examined{Check: check, State: stateOK, Found: fmt.Sprintf(format, args...)})
}

func (d *doctor) warn(check, found, do string) {
	d.all = append(d.all, examined{check, stateWarn, found, do})
}

func (d *doctor) fail(check, found, do string) {
	d.all = append(d.all, examined{check, stateFail, found, do})
}

func (c *command) doctorCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check tokens, scopes, clock, store, ports and limits of this installation",
		Long: "Doctor looks at everything that a server needs before it is started, and at what\n" +
			"it depends on while it runs, and says of each what is wrong and what to do. It\n" +
			"asks Slack who the tokens belong to and which scopes they have; nothing is posted.\n" +
			"It exits with 1 if something would keep the server from working.",
		Example: "  starling doctor --rules rules\n  starling doctor --json | jq '.[] | select(.state != \"ok\")'",
		Args:    cobra.NoArgs,
	}
	c.configFlags(cmd)
	asJSON := cmd.Flags().Bool("json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, problems := config.Inspect(c.sources(cmd, nil))
		d := &doctor{c: c, cfg: cfg}
		d.configuration(problems)
		d.examine(cmd.Context())
		if *asJSON {
			if err := writeJSON(c.env.Stdout, d.all); err != nil {
				return err
			}
		} else if err := d.print(); err != nil {
			return err
		}
		if d.count(stateFail) > 0 {
			return withCode(ExitBad, errSaid)
		}
		return nil
	}
	return cmd
}

// examine makes all checks, in the order in which they are shown.
func (d *doctor) examine(ctx context.Context) {
	need := d.rules(ctx)
	d.signing()
	d.tokens(ctx, need)
	d.oauth(ctx, need)
	d.store()
	d.ports(ctx)
	d.certificate()
	d.limits()
}

func (d *doctor) count(state string) int {
	n := 0
	for _, f := range d.all {
		if f.State == state {
			n++
		}
	}
	return n
}

func (d *doctor) print() error {
	out, s := d.c.env.Stdout, d.c.style(d.c.env.Stdout)
	paint := map[string]func(string) string{stateOK: s.green, stateWarn: s.yellow, stateFail: s.red}
	width := 0
	for _, f := range d.all {
		width = max(width, len(f.Check))
	}
	in := strings.Repeat(" ", 6+width+2)
	for _, f := range d.all {
		state := paint[f.State](f.State) + strings.Repeat(" ", 6-len(f.State))
		fmt.Fprintf(out, "%s%-*s  %s\n", state, width, f.Check, indent(strings.TrimRight(f.Found, "\n"), in))
		if f.Do != "" {
			fmt.Fprintln(out, in+s.dim("→ ")+indent(f.Do, in))
		}
	}
	fmt.Fprintf(out, "\n%d ok, %s, %s\n", d.count(stateOK), counted(d.count(stateWarn), "warning", "warnings"), counted(d.count(stateFail), "failure", "failures"))
	return nil
}
