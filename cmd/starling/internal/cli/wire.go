package cli

import (
	"io"
	"io/fs"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/starling-rules/starling/engine/config"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/redact"
	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/lua"
	"github.com/starling-rules/starling/runtime/star"
	"github.com/starling-rules/starling/runtime/worker"
	"github.com/starling-rules/starling/scripts"
	"github.com/starling-rules/starling/stdlib"
)

// guards is set to "off" when a program is linked for tests that show that
// worker processes hold without the guards of the interpreters.
var guards = "on"

// languages binds the built-ins to every language that scripts are written in.
func languages(host runtime.Host) ([]runtime.Language, error) {
	newStar, newLua := star.New, lua.New
	if guards == "off" {
		newStar, newLua = star.NewUnguarded, lua.NewUnguarded
	}
	s, err := newStar(host)
	if err != nil {
		return nil, err
	}
	l, err := newLua(host)
	if err != nil {
		return nil, err
	}
	return []runtime.Language{s, l}, nil
}

// pool makes the pool that the configuration asks for.
func (c *command) pool(cfg *config.Config, log *slog.Logger) func(runtime.Host) (runtime.Pool, error) {
	return func(host runtime.Host) (runtime.Pool, error) {
		if cfg.Sandbox == "none" {
			langs, err := languages(host)
			if err != nil {
				return nil, err
			}
			return runtime.NewLocal(langs, runtime.LocalOptions{Parallel: cfg.Workers}), nil
		}
		return worker.New(workerOptions(cfg, log))
	}
}

// workerOptions are what sandbox: default and strict stand for. The tighter
// limits of strict take the place of those that the configuration leaves alone.
func workerOptions(cfg *config.Config, log *slog.Logger) worker.Options {
	limits := cfg.Limits.Runtime()
	o := worker.Options{Workers: cfg.Workers, Limits: limits, Memory: limits.Memory, Logger: log}
	if cfg.Sandbox != "strict" {
		return o
	}
	for _, v := range cfg.Explain() {
		switch {
		case v.Source != "default":
		case v.Key == "limits.deadline":
			o.Limits.Deadline = 0
		case v.Key == "limits.memory":
			o.Limits.Memory, o.Memory = 0, 0
		}
	}
	return worker.Strict(o)
}

// harden protects this process, which holds the secrets, before it starts others.
func harden(log *slog.Logger) {
	if err := worker.HardenServer(); err != nil {
		log.Warn("other processes of this user may read the server's memory", "err", err)
	}
}

// logger writes to w, with every secret masked.
func logger(cfg *config.Config, w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(cfg.Log.Level)) // validated with the configuration
	levels := map[string]slog.Level{}
	for rule, name := range cfg.Log.Rules {
		levels[rule], _ = cfg.Log.LevelOf(name)
	}
	opts := &slog.HandlerOptions{Level: level}
	if len(levels) > 0 {
		opts.Level = slog.LevelDebug // each record is asked for below
	}
	var h slog.Handler = slog.NewTextHandler(w, opts)
	if cfg.Log.Format == "json" {
		h = slog.NewJSONHandler(w, opts)
	}
	if len(levels) > 0 {
		h = newRuleLevels(h, level, levels)
	}
	return slog.New(redact.New(h, cfg.SecretValues()...))
}

// library is the scripts behind "@starling//".
func library() fs.FS { return scripts.FS }

// workerCommand is what the server starts for each worker process.
func (c *command) workerCommand() *cobra.Command {
	return &cobra.Command{
		Use: worker.Arg, Hidden: true, Short: "Run scripts for the server", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			lib, err := stdlib.Library()
			if err != nil {
				return withCode(ExitStart, err)
			}
			langs, err := languages(runtime.Host{Library: lib, Input: event.Host})
			if err != nil {
				return withCode(ExitStart, err)
			}
			if code := worker.Main(langs...); code != 0 {
				return withCode(code, errSaid)
			}
			return nil
		},
	}
}
