package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/starling-rules/starling/engine/scripttest"
	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib"
	"github.com/starling-rules/starling/stdlib/doc"
)

// reference is the library that docs, types and lsp tell about: what rules
// can use, and what tests can use beside.
func reference() (*runtime.Library, error) {
	return runtime.NewLibrary(stdlib.Builtins(), scripttest.Builtins())
}

func (c *command) docsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "docs [NAME]",
		Short: "Read about built-ins and topics",
		Long: "Docs is the reference of what scripts can use: NAME is a built-in, a module or a\n" +
			"topic; without it all are listed. It is made from the same declarations as the\n" +
			"built-ins themselves.",
		Example: "  starling docs                  # all, a line each\n" +
			"  starling docs http_post        # one in full\n" +
			"  starling docs kv               # a module\n" +
			"  starling docs answering        # a topic\n" +
			"  starling docs --lang lua post  # as Lua has it\n" +
			"  starling docs --search thread  # where a word occurs\n" +
			"  starling docs --format md > reference.md",
		ValidArgsFunction: completeReference,
	}
	var lang string
	flags := cmd.Flags()
	format := flags.String("format", "text", "text, md or json")
	asJSON := flags.Bool("json", false, "print JSON, as --format json")
	search := flags.BoolP("search", "s", false, "list what mentions all the words that are given")
	flags.StringVar(&lang, "lang", "star", "language of signatures and examples: star or lua")
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"text", "md", "json"}, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("lang", cobra.FixedCompletions([]string{"star", "lua"}, cobra.ShellCompDirectiveNoFileComp))
	cmd.Args = func(_ *cobra.Command, args []string) error {
		switch {
		case *search && len(args) == 0:
			return errors.New("--search wants a word")
		case !*search && len(args) > 1:
			return fmt.Errorf("want one name (got %d); --search looks for words", len(args))
		case lang != "star" && lang != "lua":
			return fmt.Errorf("--lang: want star or lua (got %q)", lang)
		}
		return nil
	}
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		lib, err := reference()
		if err != nil {
			return withCode(ExitStart, err)
		}
		if *asJSON {
			*format = "json"
		}
		s := c.style(c.env.Stdout)
		return withCode(ExitUsage, c.docs(&doc.Reader{Library: lib, Lua: lang == "lua", Bold: s.bold}, *format, *search, args))
	}
	return cmd
}

func (c *command) docs(r *doc.Reader, format string, search bool, args []string) error {
	out, name := c.env.Stdout, ""
	if len(args) > 0 {
		name = args[0]
	}
	switch {
	case search && format == "json":
		return r.SearchJSON(out, args)
	case search:
		return r.Search(out, args)
	case format == "json":
		return r.JSON(out, name)
	case format == "md", format == "markdown":
		return r.Markdown(out, name)
	case format == "text":
		return r.Text(out, name)
	}
	return fmt.Errorf("--format: want text, md or json (got %q)", format)
}

// completeReference completes the names that docs takes.
func completeReference(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	lib, err := reference()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return (&doc.Reader{Library: lib}).Names(), cobra.ShellCompDirectiveNoFileComp
}
