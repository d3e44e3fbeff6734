package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/starling-rules/starling/stdlib/doc"
)

// stubs are the files that types writes, by language.
var stubs = []struct {
	lang, file, hint string
	write            func(*doc.Reader, io.Writer) error
}{
	{"lua", "starling.lua", "Lua's language server: add %s to Lua.workspace.library, or run starling init", (*doc.Reader).LuaTypes},
	{"star", "starling.pyi", "editors that know Python: %s declares what .star files can use; or run starling lsp", (*doc.Reader).StarTypes},
}

func (c *command) typesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "types (--lang lua|star | -o DIR)",
		Short: "Write declarations of the built-ins for editors",
		Long: "Types writes what editors need to complete and check calls of the built-ins:\n" +
			"annotations for Lua's language server (LuaLS), and a stub in the syntax of .pyi for\n" +
			"Starlark. `starling lsp` needs neither of them.",
		Example: "  starling types -o .starling             # starling.lua and starling.pyi\n" +
			"  starling types --lang lua > starling.lua # one of them, to standard output",
		Args: cobra.NoArgs,
	}
	lang := cmd.Flags().String("lang", "", "only this language: lua or star; printed unless -o names a directory")
	dir := cmd.Flags().StringP("output", "o", "", "directory to write the files to; made if it is not there")
	_ = cmd.RegisterFlagCompletionFunc("lang", cobra.FixedCompletions([]string{"lua", "star"}, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.MarkFlagDirname("output")
	cmd.RunE = func(*cobra.Command, []string) error {
		switch {
		case *lang == "" && *dir == "":
			return withCode(ExitUsage, errors.New("want --lang lua, --lang star, or -o DIR for both"))
		case *lang != "" && *lang != "lua" && *lang != "star":
			return withCode(ExitUsage, fmt.Errorf("--lang: want lua or star (got %q)", *lang))
		}
		return c.types(*lang, *dir)
	}
	return cmd
}

func (c *command) types(lang, dir string) error {
	lib, err := reference()
	if err != nil {
		return withCode(ExitStart, err)
	}
	r := &doc.Reader{Library: lib}
	if dir == "" {
		for _, s := range stubs {
			if s.lang == lang {
				return s.write(r, c.env.Stdout)
			}
		}
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return withCode(ExitUsage, fmt.Errorf("make %s: %w", dir, err))
	}
	for _, s := range stubs {
		if lang != "" && lang != s.lang {
			continue
		}
		p := filepath.Join(dir, s.file)
		if err := writeStub(r, p, s.write); err != nil {
			return withCode(ExitUsage, err)
		}
		fmt.Fprintf(c.env.Stdout, "%s\n  "+s.hint+"\n", p, dir)
	}
	return nil
}

func writeStub(r *doc.Reader, p string, write func(*doc.Reader, io.Writer) error) error {
	var b bytes.Buffer
	if err := write(r, &b); err != nil {
		return err
	}
	if err := os.WriteFile(p, b.Bytes(), 0o666); err != nil {
		return fmt.Errorf("write declarations: %w", err)
	}
	return nil
}
