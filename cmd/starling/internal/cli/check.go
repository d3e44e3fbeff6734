package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/starling-rules/starling/engine/check"
	"github.com/starling-rules/starling/engine/config"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/rules"
	"github.com/starling-rules/starling/engine/scripttest"
	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib"
	"github.com/starling-rules/starling/stdlib/ui"
)

func (c *command) checkCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check [PATH...]",
		Short: "Find what is wrong with rules, tests and configuration without running them",
		Long: "Check reports everything that can be known to be wrong without an event: syntax,\n" +
			"names, arguments, options, regexes, schedules, routes that two rules answer,\n" +
			"methods of Slack's Web API, Block Kit over Slack's limits, rules that can never\n" +
			"run, and the configuration. Handlers are not run; the top level of a script is,\n" +
			"because it registers the rules: it can do nothing else, and within the limits.\n\n" +
			"A PATH is a script, a directory with all below it, or a configuration file. The\n" +
			"default is the configuration and the rules directories that it names.\n\n" +
			"Some problems are errors: such a script does not load, or fails when that line is\n" +
			"reached. Others are only questionable: a variable that nobody uses, say. Check\n" +
			"exits with 1 for either. A server loads a script that is questionable, and warns;\n" +
			"a Slack method that Starling does not know yet can be listed in the configuration\n" +
			"under check.slack_methods.",
		Example: "  starling check                          # everything the configuration names\n" +
			"  starling check rules/deploy.star        # one script\n" +
			"  starling check starling.yaml            # the configuration\n" +
			"  starling check --format github rules    # annotations in a GitHub workflow\n" +
			"  starling check --json | jq '.problems[].message'",
	}
	c.configFlags(cmd)
	asJSON := cmd.Flags().Bool("json", false, "print JSON, as --format json")
	format := cmd.Flags().String("format", "pretty", "pretty, json or github")
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"pretty", "json", "github"}, cobra.ShellCompDirectiveNoFileComp))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *asJSON {
			*format = "json"
		}
		print, ok := map[string]func(*check.Report) error{"pretty": c.checkPretty, "json": c.checkJSON, "github": c.checkGitHub}[*format]
		if !ok {
			return withCode(ExitUsage, fmt.Errorf("--format: want pretty, json or github (got %q)", *format))
		}
		rep, err := c.check(cmd, args)
		if err != nil {
			return withCode(ExitUsage, err)
		}
		if err := print(rep); err != nil {
			return err
		}
		if len(rep.Problems) > 0 {
			return withCode(ExitBad, errSaid)
		}
		return nil
	}
	return cmd
}

// check looks at the configuration and at what the arguments name.
func (c *command) check(cmd *cobra.Command, args []string) (*check.Report, error) {
	if c.file != "" {
		if _, err := os.Stat(c.file); err != nil {
			return nil, fmt.Errorf("read configuration: %w", err)
		}
	}
	files, scripts := parted(args)
	src := c.sources(cmd, nil)
	cfg, problems := config.Inspect(src)
	rep := &check.Report{}
	if len(args) == 0 || c.file != "" && !slices.Contains(files, c.file) {
		rep.Add(0, problems...)
		if cfg.File != "" {
			rep.Files++
		}
	}
	if len(args) == 0 {
		missing, err := withoutMissing(cfg)
		if err != nil {
			return nil, err
		}
		rep.Add(0, missing...)
	}
	for _, f := range files {
		if _, err := os.Stat(f); err != nil {
			return nil, fmt.Errorf("no file %s", f)
		}
		src.File = f
		_, problems := config.Inspect(src)
		rep.Add(1, problems...)
	}
	if len(args) > 0 && len(scripts) == 0 || len(cfg.Rules) == 0 && len(scripts) == 0 {
		return rep, nil
	}
	checker, err := newChecker(cfg)
	if err != nil {
		return nil, err
	}
	defer func() { _ = checker.Close(context.WithoutCancel(cmd.Context())) }()
	found, err := checker.Tree(cmd.Context(), scripts)
	if err != nil {
		return nil, err
	}
	rep.Add(found.Files, found.Problems...)
	return rep, nil
}

// parted tells configuration files from scripts and directories.
func parted(args []string) (files, scripts []string) {
	for _, a := range args {
		switch filepath.Ext(a) {
		case ".yaml", ".yml":
			files = append(files, a)
		default:
			scripts = append(scripts, a)
		}
	}
	return files, scripts
}

// withoutMissing leaves out the rules directories that do not exist, which are
// problems of the configuration that names them.
func withoutMissing(cfg *config.Config) ([]*runtime.Error, error) {
	var problems []*runtime.Error
	kept := cfg.Rules[:0:0]
	for _, dir := range cfg.Rules {
		st, err := os.Stat(dir)
		if err == nil && st.IsDir() {
			kept = append(kept, dir)
			continue
		}
		pos, line := cfg.Place("rules")
		if pos.IsZero() {
			return nil, fmt.Errorf("no directory %s: name what to check (starling check PATH)", dir)
		}
		problems = append(problems, &runtime.Error{Kind: runtime.LoadError, Pos: pos, Line: line, Msg: "rules: no directory " + dir})
	}
	cfg.Rules = kept
	return problems, nil
}

// linter is what a server says of the rules that it has taken up.
func linter(cfg *config.Config) (func(*rules.Version) []*runtime.Error, error) {
	checker, err := checkerFor(cfg, false)
	if err != nil {
		return nil, err
	}
	return checker.Lint, nil
}

// newChecker makes a checker of rules and their tests.
func newChecker(cfg *config.Config) (*check.Checker, error) { return checkerFor(cfg, true) }

// checkerFor makes a checker that knows all built-ins, with tests those of
// tests as well.
func checkerFor(cfg *config.Config, tests bool) (*check.Checker, error) {
	lib, err := stdlib.Library()
	if err != nil {
		return nil, err
	}
	langs, err := languages(runtime.Host{Library: lib, Input: event.Host})
	if err != nil {
		return nil, err
	}
	o := check.Options{
		Library: lib, Languages: langs, Config: cfg, Scripts: library(), CheckView: ui.CheckView,
		CheckBlocks: func(blocks runtime.List) error { return ui.CheckBlocks(blocks, ui.MaxMessageBlocks) },
	}
	if tests {
		if o.TestLibrary, err = runtime.NewLibrary(lib.All(), scripttest.Builtins()); err != nil {
			return nil, err
		}
		if o.TestLanguages, err = languages(runtime.Host{Library: o.TestLibrary, Input: event.Host}); err != nil {
			return nil, err
		}
	}
	return check.New(o)
}

// checkPretty prints each problem with its source line, for people.
func (c *command) checkPretty(rep *check.Report) error {
	s := c.style(c.env.Stdout)
	for _, e := range rep.Problems {
		if _, err := io.WriteString(c.env.Stdout, painted(s, e)); err != nil {
			return err
		}
	}
	last := plural(rep.Files, "file") + ", " + plural(len(rep.Problems), "problem")
	if len(rep.Problems) > 0 {
		last = s.red(last)
	}
	_, err := fmt.Fprintln(c.env.Stdout, last)
	return err
}

// painted is a problem whole: the first line in bold, errors in red.
func painted(s style, e *runtime.Error) string {
	head, rest, _ := strings.Cut(e.Detail(), "\n")
	paint := s.red
	if e.Kind == runtime.LintError {
		paint = s.yellow
	}
	if s.on {
		pos := e.Pos.String() + ": "
		if msg, ok := strings.CutPrefix(head, pos); ok {
			head = s.bold(pos) + paint(msg)
		}
	}
	return head + "\n" + rest
}

// finding is a problem as --json tells it.
type finding struct {
	Severity string `json:"severity"`
	*runtime.Error
}

func severity(e *runtime.Error) string {
	if e.Kind == runtime.LintError {
		return "warning"
	}
	return "error"
}

func (c *command) checkJSON(rep *check.Report) error {
	out := struct {
		Files    int       `json:"files"`
		Problems []finding `json:"problems"`
	}{rep.Files, make([]finding, 0, len(rep.Problems))}
	for _, e := range rep.Problems {
		out.Problems = append(out.Problems, finding{severity(e), e})
	}
	return writeJSON(c.env.Stdout, out)
}

// checkGitHub prints workflow commands that GitHub shows beside the lines.
func (c *command) checkGitHub(rep *check.Report) error {
	value := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	for _, e := range rep.Problems {
		msg := e.Msg
		if e.Hint != "" {
			msg += " (" + e.Hint + ")"
		}
		if _, err := fmt.Fprintf(c.env.Stdout, "::%s file=%s,line=%d,col=%d::%s\n",
			severity(e), property.Replace(e.Pos.Path), cmp.Or(e.Pos.Line, 1), cmp.Or(e.Pos.Col, 1), value.Replace(msg)); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintln(c.env.Stdout, plural(rep.Files, "file")+", "+plural(len(rep.Problems), "problem"))
	return err
}
