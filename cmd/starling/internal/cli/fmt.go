package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/spf13/cobra"

	"github.com/starling-rules/starling/cmd/starling/internal/format"
	"github.com/starling-rules/starling/runtime"
)

// fmtCommand is one call of starling fmt.
type fmtCommand struct {
	*command
	diff, write, check, asJSON bool
	files                      []formatted
	lua                        int // files that were left alone
}

// formatted is what fmt found of one file, as --json tells it.
type formatted struct {
	File     string         `json:"file"`
	Changed  bool           `json:"changed"`
	Problems runtime.Errors `json:"problems,omitempty"`

	before, after []byte
}

func (c *command) fmtCommand() *cobra.Command {
	f := &fmtCommand{command: c}
	cmd := &cobra.Command{
		Use:   "fmt [-d|-w|--check] [PATH...]",
		Short: "Format .star files",
		Long: "Fmt lays out Starlark files the one way that buildifier does: spaces, line ends and\n" +
			"quotes change, nothing else. Without a flag the result is printed. A PATH is a file,\n" +
			"a directory with all below it, or - for standard input; the default is the current\n" +
			"directory. A file that does not parse is left as it is, and so are .lua files.",
		Example: "  starling fmt -w rules            # format all in place\n" +
			"  starling fmt -d rules/hello.star # show what would change\n" +
			"  starling fmt --check             # list what is not formatted; exit code 1 if any\n" +
			"  starling fmt - < hello.star      # as editors call it",
		ValidArgsFunction: cobra.FixedCompletions([]string{"star"}, cobra.ShellCompDirectiveFilterFileExt),
	}
	flags := cmd.Flags()
	flags.BoolVarP(&f.diff, "diff", "d", false, "print what would change as a unified diff")
	flags.BoolVarP(&f.write, "write", "w", false, "write the result to the files")
	flags.BoolVar(&f.check, "check", false, "list the files that are not formatted, and exit with 1 if there are any")
	flags.BoolVar(&f.asJSON, "json", false, "print JSON: each file, whether it changes, its problems")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		if len(args) == 0 {
			args = []string{"."}
		}
		for _, arg := range args {
			if err := f.path(arg); err != nil {
				return withCode(ExitUsage, err)
			}
		}
		return f.report()
	}
	return cmd
}

// path formats what one argument names.
func (f *fmtCommand) path(arg string) error {
	if arg == "-" {
		text, err := io.ReadAll(f.env.Stdin)
		if err != nil {
			return fmt.Errorf("read standard input: %w", err)
		}
		if f.write {
			return errors.New("standard input cannot be written: leave out -w")
		}
		f.format("<stdin>", text)
		return nil
	}
	st, err := os.Stat(arg)
	if err != nil {
		return fmt.Errorf("look at %s: %w", arg, errors.Unwrap(err))
	}
	if !st.IsDir() {
		return f.file(arg)
	}
	return filepath.WalkDir(arg, func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return fmt.Errorf("read %s: %w", p, errors.Unwrap(err))
		case d.IsDir() && p != arg && strings.HasPrefix(d.Name(), "."):
			return fs.SkipDir
		case strings.HasPrefix(d.Name(), ".") || !d.Type().IsRegular():
			return nil
		}
		if ext := filepath.Ext(p); ext == ".star" || ext == ".lua" {
			return f.file(p)
		}
		return nil
	})
}

// file formats one file.
func (f *fmtCommand) file(p string) error {
	switch filepath.Ext(p) {
	case ".star":
	case ".lua":
		f.lua++
		return nil
	default:
		return fmt.Errorf("%s is no .star file", p)
	}
	text, err := os.ReadFile(p)
	if err != nil {
		return fmt.Errorf("read %s: %w", p, errors.Unwrap(err))
	}
	f.format(p, text)
	if last := &f.files[len(f.files)-1]; f.write && last.Changed {
		if err := replaceFile(p, last.after); err != nil {
			return fmt.Errorf("write %s: %w", p, err)
		}
	}
	return nil
}

func (f *fmtCommand) format(name string, text []byte) {
	out, err := format.Star(name, text)
	one := formatted{File: name, before: text, after: out, Changed: err == nil && !bytes.Equal(out, text)}
	if err != nil && !errors.As(err, &one.Problems) {
		one.Problems = runtime.Errors{{Kind: runtime.InternalError, Msg: err.Error(), Pos: runtime.Position{Path: name}}}
	}
	f.files = append(f.files, one)
}

// report prints what the flags ask for, and returns the verdict.
func (f *fmtCommand) report() error {
	changed, broken := 0, false
	for i := range f.files {
		one := &f.files[i]
		if one.Changed {
			changed++
		}
		broken = broken || len(one.Problems) > 0
		if f.asJSON {
			continue
		}
		fmt.Fprint(f.env.Stderr, one.Problems.Detail())
		if err := f.show(one); err != nil {
			return err
		}
	}
	if f.lua > 0 {
		fmt.Fprintf(f.env.Stderr, "note: fmt formats .star: %s left alone\n", plural(f.lua, ".lua file"))
	}
	if f.asJSON {
		if f.files == nil {
			f.files = []formatted{}
		}
		if err := writeJSON(f.env.Stdout, f.files); err != nil {
			return err
		}
	}
	if broken || f.check && changed > 0 {
		return withCode(ExitBad, errSaid)
	}
	return nil
}

// show prints one file that parses.
func (f *fmtCommand) show(one *formatted) (err error) {
	out := f.env.Stdout
	switch {
	case len(one.Problems) > 0:
	case f.diff:
		d := diff.Diff(one.File+".orig", one.before, one.File, one.after)
		_, err = io.WriteString(out, paintDiff(f.style(out), string(d)))
	case f.check && one.Changed:
		_, err = fmt.Fprintln(out, one.File)
	case !f.check && !f.write:
		_, err = out.Write(one.after)
	}
	return err
}

func paintDiff(s style, d string) string {
	if !s.on {
		return d
	}
	var b strings.Builder
	for line := range strings.Lines(d) {
		text, end := strings.TrimSuffix(line, "\n"), line[len(strings.TrimSuffix(line, "\n")):]
		switch {
		case strings.HasPrefix(line, "---"), strings.HasPrefix(line, "+++"), strings.HasPrefix(line, "diff "):
			text = s.bold(text)
		case strings.HasPrefix(line, "@@"):
			text = s.cyan(text)
		case strings.HasPrefix(line, "-"):
			text = s.red(text)
		case strings.HasPrefix(line, "+"):
			text = s.green(text)
		}
		b.WriteString(text + end)
	}
	return b.String()
}

// replaceFile puts text in the place of a file, at once and with its mode: a
// reader sees the old text or the new one. A symlink stays one.
func replaceFile(p string, text []byte) error {
	p, err := filepath.EvalSymlinks(p)
	if err != nil {
		return err
	}
	st, err := os.Stat(p)
	if err != nil {
		return err
	}
	// The name is one that a running server does not take for a rule.
	tmp, err := os.CreateTemp(filepath.Dir(p), "."+filepath.Base(p)+".*.tmp")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(text)
	err = errors.Join(err, tmp.Chmod(st.Mode().Perm()), tmp.Sync(), tmp.Close())
	if err != nil {
		return err
	}
	return os.Rename(tmp.Name(), p)
}
