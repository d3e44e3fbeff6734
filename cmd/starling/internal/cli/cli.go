package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/starling-rules/starling/engine/config"
	"github.com/starling-rules/starling/runtime"
)

// The exit codes: SPEC §2.
const (
	ExitGood  = 0
	ExitBad   = 1 // the checked thing is bad
	ExitUsage = 2 // bad usage or configuration
	ExitStart = 3 // could not start, or lost its store
)

// Version is set when a release is built.
var Version = "dev"

// exitError carries the exit code that an error asks for.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// errSaid ends a command that has told already what is wrong.
var errSaid = errors.New("said already")

// withCode attaches an exit code to an error; nil stays nil.
func withCode(code int, err error) error {
	if err == nil {
		return nil
	}
	return &exitError{code, err}
}

// Main runs the command that the arguments name and returns the exit code.
func Main(env *Env) int {
	root := newRoot(env)
	root.SetArgs(env.Args)
	root.SetIn(env.Stdin)
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	err := root.ExecuteContext(context.Background())
	if err == nil {
		return ExitGood
	}
	printError(env, err)
	if coded, ok := errors.AsType[*exitError](err); ok {
		return coded.code
	}
	return ExitUsage // what cobra finds wrong with the arguments
}

// printError shows script and configuration problems whole, others on a line.
func printError(env *Env, err error) {
	if errors.Is(err, errSaid) {
		return
	}
	if es, ok := errors.AsType[runtime.Errors](err); ok {
		fmt.Fprint(env.Stderr, es.Detail())
		return
	}
	fmt.Fprintln(env.Stderr, "starling: "+strings.TrimSpace(err.Error()))
}

// command is one subcommand under construction.
type command struct {
	env   *Env
	file  string    // --config
	color colorMode // --color
}

func newRoot(env *Env) *cobra.Command {
	c := &command{env: env}
	root := &cobra.Command{
		Use:   "starling",
		Short: "A rules engine for Slack: drop a script into a directory and it reacts",
		Long: "Starling runs rules written as scripts. A script that is dropped into the rules\n" +
			"directory reacts to Slack's events, commands, buttons and forms at once.",
		Example:       "  starling dev examples/quickstart   # try it, no Slack account needed\n  starling serve --rules ./rules     # production",
		Version:       Version,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetVersionTemplate("starling {{.Version}}\n")
	root.CompletionOptions.HiddenDefaultCmd = false
	root.AddCommand(
		c.devCommand(), c.serveCommand(), c.runsCommand(), c.queueCommand(), c.rulesCommand(), c.scheduleCommand(),
		c.configCommand(), c.docsCommand(), c.testCommand(), c.versionCommand(), c.workerCommand(),
		c.fmtCommand(), c.typesCommand(), c.lspCommand(), c.initCommand(), c.newCommand(), c.checkCommand(),
		c.explainCommand(), c.triggerCommand(), c.manifestCommand(), c.doctorCommand(),
		c.cacheCommand(), c.kvCommand(), c.installsCommand(), c.backupCommand(), c.certCommand(), c.webstatusCommand(), c.webhookCommand(),
	)
	c.manners(root)
	return root
}

// configFlags adds the flags that change the configuration.
func (c *command) configFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&c.file, "config", "", "configuration file (default $STARLING_CONFIG, $CONFIG_FILE, ./starling.yaml)")
	f.StringArray("rules", nil, "directory with rules; may be repeated")
	f.String("data", "", "directory of the embedded store")
	f.String("listen", "", "address for Slack and webhooks, HOST:PORT")
	f.String("admin", "", "address for health, metrics and the admin API, HOST:PORT")
	f.String("log-level", "", "debug, info, warn or error")
	f.String("log-format", "", "text or json")
	f.String("sandbox", "", "default, strict or none")
}

// load reads the configuration: flags over environment over file over base.
func (c *command) load(cmd *cobra.Command, base *config.Config) (*config.Config, error) {
	cfg, err := config.Load(c.sources(cmd, base))
	return cfg, withCode(ExitUsage, err)
}

// sources are where the configuration comes from.
func (c *command) sources(cmd *cobra.Command, base *config.Config) config.Sources {
	flags := map[string]string{}
	for name, key := range map[string]string{
		"data": "data", "listen": "listen", "admin": "admin", "log-level": "log.level", "log-format": "log.format", "sandbox": "sandbox",
	} {
		if f := cmd.Flags().Lookup(name); f != nil && f.Changed {
			flags[key] = f.Value.String()
		}
	}
	if f := cmd.Flags().Lookup("rules"); f != nil && f.Changed {
		dirs, _ := cmd.Flags().GetStringArray("rules")
		flags["rules"] = strings.Join(dirs, ",")
	}
	return config.Sources{File: c.file, Getenv: c.env.Getenv, Flags: flags, Base: base}
}
