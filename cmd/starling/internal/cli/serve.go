package cli

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/starling-rules/starling/engine"
	"github.com/starling-rules/starling/engine/config"
	"github.com/starling-rules/starling/engine/redact"
	"github.com/starling-rules/starling/stdlib"
)

func (c *command) serveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve Slack: take events in, store them, run the rules",
		Long: "Serve takes in what Slack sends, stores it, acknowledges it and runs the rules that\n" +
			"match. SIGTERM stops in good order, a second signal at once; nothing that was\n" +
			"acknowledged is lost either way. SIGHUP reads the rules again.",
		Example: "  SLACK_SIGNING_SECRET=… SLACK_BOT_TOKEN=xoxb-… starling serve --rules ./rules --data ./data",
		Args:    cobra.NoArgs,
	}
	c.configFlags(cmd)
	drain := cmd.Flags().Duration("drain", 20*time.Second, "how long runs under way may take to finish on SIGTERM")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := c.load(cmd, nil)
		if err != nil {
			return err
		}
		if !cfg.Signed() && cfg.Slack.AppToken == "" {
			return withCode(ExitUsage, errors.New("no signing secret: set SLACK_SIGNING_SECRET (Slack shows it under Basic Information), or SLACK_APP_TOKEN for Socket Mode, or try `starling dev`"))
		}
		if c.env.Getenv("GOGC") == "" {
			engine.TuneMemory()
		}
		log := logger(cfg, c.env.Stderr)
		harden(log)
		for _, w := range cfg.Warnings {
			log.Warn(w)
		}
		if !cfg.Callable() && !cfg.Slack.OAuth.On() {
			log.Warn("no bot token: rules run, but cannot call Slack's Web API (set SLACK_BOT_TOKEN)")
		}
		return c.serve(cmd.Context(), log, engine.Options{Config: cfg, Drain: *drain, Reload: func() (*config.Config, error) { return c.reload(cmd, log) }})
	}
	return cmd
}

// reload reads the configuration again. What is secret in it is masked in the
// log from now on, whether or not the rest of it is any good.
func (c *command) reload(cmd *cobra.Command, log *slog.Logger) (*config.Config, error) {
	cfg, problems := config.Inspect(c.sources(cmd, nil))
	if h, ok := log.Handler().(*redact.Handler); ok {
		h.Add(cfg.SecretValues()...)
	}
	if len(problems) > 0 {
		return nil, problems
	}
	return cfg, nil
}

// serve runs an engine until a signal ends it.
func (c *command) serve(ctx context.Context, log *slog.Logger, o engine.Options) error {
	lib, err := stdlib.Library()
	if err != nil {
		return withCode(ExitStart, err)
	}
	o.Library, o.Pool, o.Logger, o.Version = lib, c.pool(o.Config, log), log, Version
	o.Scripts, o.Scopes = library(), neededScopes
	if o.Lint, err = linter(o.Config); err != nil {
		return withCode(ExitStart, err)
	}
	e, err := engine.New(ctx, o)
	if err != nil {
		return withCode(ExitStart, err)
	}
	ctx, stop := c.env.untilSignal(ctx, func() {
		if err := e.Reload(context.WithoutCancel(ctx)); err != nil {
			log.Error("reload rules", "err", err)
		}
	})
	defer stop()
	return withCode(ExitStart, e.Run(ctx))
}
