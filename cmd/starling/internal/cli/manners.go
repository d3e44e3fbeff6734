package cli

import (
	"fmt"
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
	{"Run them:", []string{"serve", "runs", "rules", "queue", "trigger", "manifest", "config", "doctor"}},
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
	for _, sub := range root.Commands() {
		switch sub.Name() {
		case "help":
			c.helpManners(root, sub)
		case "completion":
			c.completionManners(sub)
		}
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
