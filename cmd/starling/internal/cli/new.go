package cli

import (
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/starling-rules/starling/cmd/starling/internal/scaffold"
)

func (c *command) newCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "new NAME",
		Short: "Add a rule with its test",
		Long: "New adds a rule and its test to the rules directory, to begin with. NAME is the\n" +
			"name of the script, and of the command, route or form in it. The kinds are:\n\n" + kindList(),
		Example: "  starling new deploy --kind command     # rules/deploy.star and rules/deploy_test.star\n" +
			"  starling new ops/alerts --kind webhook # in a directory below\n" +
			"  starling new greet --lang lua          # rules/greet.lua, for messages",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	c.configFlags(cmd)
	lang := langFlag(cmd, "")
	cmd.Flags().Lookup("lang").Usage = "language of the rule: star or lua (default: that of the rules that are there)"
	kind := cmd.Flags().String("kind", "message", "kind of the rule, see above")
	var names []string
	for _, k := range scaffold.Kinds() {
		names = append(names, k.Name+"\t"+k.Doc)
	}
	_ = cmd.RegisterFlagCompletionFunc("kind", cobra.FixedCompletions(names, cobra.ShellCompDirectiveNoFileComp))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		cfg, err := c.load(cmd, nil)
		if err != nil {
			return err
		}
		dir, name := cfg.Rules[0], strings.TrimPrefix(path.Clean(filepath.ToSlash(args[0])), "./")
		// rules/deploy.star is what people type who complete paths.
		name = strings.TrimPrefix(name, strings.TrimPrefix(path.Clean(filepath.ToSlash(dir)), "./")+"/")
		ext := path.Ext(name)
		switch {
		case ext == ".star" || ext == ".lua":
			name = strings.TrimSuffix(name, ext)
		case *lang == "":
			ext = usualExt(dir)
		default:
			ext = languageExt[*lang]
		}
		if ext == "" {
			return withCode(ExitUsage, fmt.Errorf("--lang: want star or lua (got %q)", *lang))
		}
		files, err := scaffold.Rule(*kind, name, ext)
		if err != nil {
			return withCode(ExitUsage, err)
		}
		if err := c.scaffold(dir, files); err != nil {
			return err
		}
		test := filepath.Join(dir, filepath.FromSlash(files[len(files)-1].Path))
		_, err = fmt.Fprintf(c.env.Stdout, "\nNext:\n  starling test %s\n", test)
		return err
	}
	return cmd
}

func kindList() string {
	var b strings.Builder
	for _, k := range scaffold.Kinds() {
		fmt.Fprintf(&b, "  %-10s %s\n", k.Name, k.Doc)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// usualExt is the ending that most files of a rules directory have.
func usualExt(dir string) string {
	n := 0
	_ = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // a directory that cannot be read has no say
		}
		switch filepath.Ext(p) {
		case ".star":
			n++
		case ".lua":
			n--
		}
		return nil
	})
	if n < 0 {
		return ".lua"
	}
	return ".star"
}
