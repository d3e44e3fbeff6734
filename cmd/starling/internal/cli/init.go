package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/starling-rules/starling/cmd/starling/internal/scaffold"
	"github.com/starling-rules/starling/stdlib/doc"
)

// languageExt is the ending of a language's files, by its name on the command line.
var languageExt = map[string]string{"star": ".star", "lua": ".lua"}

func (c *command) initCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "init [DIR]",
		Short: "Begin a project: a rule, its test, configuration, editor setup",
		Long: "Init makes what a directory of rules begins with: rules/hello.star with its test,\n" +
			"starling.yaml, .gitignore, and declarations of the built-ins for editors. All of it\n" +
			"works at once. It writes over nothing.",
		Example: "  starling init                     # here\n" +
			"  starling init mybot               # in a new directory\n" +
			"  starling init --lang lua mybot    # with a rule in Lua",
		Args: cobra.MaximumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
	}
	lang := langFlag(cmd, "star")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		ext := languageExt[*lang]
		if ext == "" {
			return withCode(ExitUsage, fmt.Errorf("--lang: want star or lua (got %q)", *lang))
		}
		dir := "."
		if len(args) == 1 {
			dir = args[0]
		}
		return c.init(dir, ext)
	}
	return cmd
}

// langFlag adds --lang.
func langFlag(cmd *cobra.Command, def string) *string {
	lang := cmd.Flags().String("lang", def, "language of the rule: star or lua")
	_ = cmd.RegisterFlagCompletionFunc("lang", cobra.FixedCompletions([]string{"star", "lua"}, cobra.ShellCompDirectiveNoFileComp))
	return lang
}

func (c *command) init(dir, ext string) error {
	lib, err := reference()
	if err != nil {
		return withCode(ExitStart, err)
	}
	var declarations []scaffold.File
	for _, s := range stubs {
		var text bytes.Buffer
		if err := s.write(&doc.Reader{Library: lib}, &text); err != nil {
			return err
		}
		declarations = append(declarations, scaffold.File{Path: s.file, Text: text.Bytes()})
	}
	files, err := scaffold.Project(ext, declarations)
	if err != nil {
		return err
	}
	if err := c.scaffold(dir, files); err != nil {
		return err
	}
	enter := ""
	if dir != "." {
		enter = "  cd " + dir + "\n"
	}
	fmt.Fprintf(c.env.Stdout, "\nNext:\n%s  starling test    # the rule's test\n  starling dev     # try it in a local Slack, no account needed\n", enter)
	return nil
}

// scaffold writes files and lists them, but for those of editors.
func (c *command) scaffold(dir string, files []scaffold.File) error {
	if err := scaffold.Write(dir, files); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return withCode(ExitUsage, fmt.Errorf("already there: %s", strings.TrimPrefix(err.Error(), fs.ErrExist.Error()+": ")))
		}
		return withCode(ExitUsage, err)
	}
	for _, f := range files {
		fmt.Fprintln(c.env.Stdout, "made "+filepath.Join(dir, filepath.FromSlash(f.Path)))
	}
	return nil
}
