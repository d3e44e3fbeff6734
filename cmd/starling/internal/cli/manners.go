package cli

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/starling-rules/starling/runtime"
)

// groups are the parts of the root help, with their commands.
var groups = []struct {
	title    string
	commands []string
}{
	{"Write rules:", []string{"init", "new", "dev", "test", "check", "fmt", "explain", "docs"}},
	{"Run them:", []string{"serve", "runs", "rules", "schedule", "queue", "cache", "kv", "installs", "backup", "trigger", "manifest", "config", "doctor", "cert", "webstatus", "webhook"}},
	{"For editors and shells:", []string{"types", "lsp", "completion", "version", "help"}},
}

// manners gives all commands what they share: groups in the root help,
// suggestions for mistyped names, --color, shell completion.
func (c *command) manners(root *cobra.Command) {
	c.color = "auto"
	root.PersistentFlags().Var(&c.color, "color", "colour the output: auto, always or never; auto heeds NO_COLOR")
	_ = root.RegisterFlagCompletionFunc("color", cobra.FixedCompletions([]string{"auto", "always", "never"}, cobra.ShellCompDirectiveNoFileComp))
	root.Args = func(_ *cobra.Command, args []string) error { return c.unknownCommand(root, args) }
	root.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for i, g := range groups {
		id := fmt.Sprint(i)
		root.AddGroup(&cobra.Group{ID: id, Title: g.title})
		for _, sub := range root.Commands() {
			if slices.Contains(g.commands, sub.Name()) {
				sub.GroupID = id
			}
		}
	}
	root.SetFlagErrorFunc(flagError)
	for _, sub := range root.Commands() {
		politely(sub)
		switch sub.Name() {
		case "help":
			c.helpManners(root, sub)
		case "completion":
			c.completionManners(sub)
		}
	}
}

var longFlag = regexp.MustCompile(`(?m)^ .{4} --([a-z][a-z-]*)`)

// flagError says of an unknown flag which was meant.
func flagError(cmd *cobra.Command, err error) error {
	if name, ok := strings.CutPrefix(err.Error(), "unknown flag: --"); ok {
		var names []string
		for _, m := range longFlag.FindAllStringSubmatch(cmd.Flags().FlagUsages(), -1) {
			names = append(names, m[1])
		}
		if n := runtime.Nearest(name, names); n != "" {
			err = fmt.Errorf("%w: did you mean --%s?", err, n)
		}
	}
	return withCode(ExitUsage, err)
}

// politely makes a command that is given too many or too few arguments say
// what it takes, where cobra speaks of unknown commands or of numbers only.
func politely(cmd *cobra.Command) {
	accept := cmd.Args
	if accept == nil {
		return
	}
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		err := accept(cmd, args)
		switch {
		case err == nil:
			return nil
		case strings.HasPrefix(err.Error(), "unknown command"):
			hint := ""
			if cmd.Flags().Lookup("rules") != nil {
				hint = ", directories of rules are given with --rules"
			}
			return withCode(ExitUsage, fmt.Errorf("%s takes no arguments, got %q%s", cmd.CommandPath(), args[0], hint))
		case strings.HasPrefix(err.Error(), "accepts "):
			return withCode(ExitUsage, fmt.Errorf("%w: write %s", err, cmd.UseLine()))
		}
		return err
	}
}

// helpManners makes the help of an unknown command an error, and not a text
// about all others.
func (c *command) helpManners(root, help *cobra.Command) {
	help.Short = "Tell about a command"
	help.Example = "  starling help\n  starling help serve"
	help.RunE = func(_ *cobra.Command, args []string) error {
		cmd, rest, err := root.Find(args)
		if err != nil || len(rest) > 0 {
			return c.unknownCommand(root, args)
		}
		cmd.InitDefaultHelpFlag()
		return cmd.Help()
	}
}

// unknownCommand is the error for a name that is no command, with the nearest.
func (c *command) unknownCommand(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, sub := range root.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	hint := "starling help lists all"
	if n := runtime.Nearest(args[0], names); n != "" {
		hint = "did you mean starling " + n + "?"
	}
	return withCode(ExitUsage, fmt.Errorf("unknown command %q: %s", args[0], hint))
}

// completionManners shortens what cobra says of its own command.
func (c *command) completionManners(cmd *cobra.Command) {
	cmd.Short = "Print the completion script of a shell: bash, zsh, fish or powershell"
	cmd.Example = "  source <(starling completion bash)                       # this shell only\n" +
		"  starling completion zsh > \"${fpath[1]}/_starling\"\n" +
		"  starling completion fish > ~/.config/fish/completions/starling.fish"
	for _, shell := range cmd.Commands() {
		shell.Example = "  starling completion " + shell.Name()
		shell.Short = strings.TrimSuffix(shell.Short, ".")
	}
}
