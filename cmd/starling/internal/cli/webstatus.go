package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/starling-rules/starling/engine"
	"github.com/starling-rules/starling/engine/config"
)

func (c *command) webstatusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "webstatus",
		Short: "List the webhooks of the rules: path, rule, who may call, hits, last status",
		Long: "Webstatus lists the webhooks that the running server answers, with the rule behind\n" +
			"each, who may call it, how often it was called since the server was started, and\n" +
			"how the last call was answered. Without a server, or with --rules, it lists those\n" +
			"of the rules on disk.",
		Example: "  starling webstatus\n  starling webstatus --rules ./rules --json",
		Args:    cobra.NoArgs,
	}
	c.configFlags(cmd)
	asJSON := cmd.Flags().Bool("json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := c.load(cmd, nil)
		if err != nil {
			return err
		}
		var list []engine.HookReport
		there, err := c.onServer(cmd, cfg, func(a *adminClient) (err error) {
			list, err = a.Webhooks(cmd.Context())
			return err
		})
		if err == nil && !there {
			err = c.onDisk(cmd.Context(), cfg, func(o *engine.Offline) (err error) {
				list, err = o.Webhooks(cmd.Context())
				return err
			})
		}
		if err != nil {
			return err
		}
		if *asJSON {
			return writeJSON(c.env.Stdout, list)
		}
		return c.printWebhooks(cfg, list, there)
	}
	return cmd
}

// onServer asks the running server, unless --rules says that those on disk are
// meant. there is false if nobody answers.
func (c *command) onServer(cmd *cobra.Command, cfg *config.Config, ask func(*adminClient) error) (there bool, err error) {
	if cmd.Flags().Changed("rules") || cfg.Admin == "" {
		return false, nil
	}
	err = ask(&adminClient{base: "http://" + cfg.Admin})
	if errors.Is(err, syscall.ECONNREFUSED) {
		return false, nil
	}
	return true, err
}

// onDisk loads the rules on disk and closes them when use is done with them.
func (c *command) onDisk(ctx context.Context, cfg *config.Config, use func(*engine.Offline) error) error {
	o, err := c.offline(ctx, cfg)
	if err != nil {
		return err
	}
	defer o.Close(ctx)
	return use(o)
}

// Webhooks asks the server for its webhooks.
func (a *adminClient) Webhooks(ctx context.Context) (out []engine.HookReport, err error) {
	return out, a.get(ctx, "/webhooks", &out)
}

func (c *command) printWebhooks(cfg *config.Config, list []engine.HookReport, there bool) error {
	if !there {
		fmt.Fprintf(c.env.Stdout, "The rules on disk (%s); what a server counts is not known.\n\n", strings.Join(cfg.Rules, ", "))
	}
	if len(list) == 0 {
		fmt.Fprintln(c.env.Stdout, "No rule has a webhook: on.webhook(\"POST /hooks/name\", fn) makes one.")
		return nil
	}
	w := tabwriter.NewWriter(c.env.Stdout, 2, 8, 2, ' ', 0)
	fmt.Fprintln(w, "PATH\tMETHODS\tRULE\tAT\tAUTH\tSTATE\tHITS\tLAST")
	for _, h := range list {
		hits, last := "-", "-"
		if there {
			hits = strconv.FormatUint(h.Hits, 10)
		}
		if h.LastAt != nil {
			last = fmt.Sprintf("%d at %s", h.LastStatus, h.LastAt.UTC().Format("2006-01-02T15:04:05Z"))
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s:%d\t%s\t%s\t%s\t%s\n",
			h.Path, strings.Join(h.Methods, ","), h.Rule, h.File, h.Line, h.Auth, h.State, hits, last)
	}
	return w.Flush()
}
