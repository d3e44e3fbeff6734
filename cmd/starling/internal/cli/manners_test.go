package cli

import (
	"bytes"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// walk visits every command that a user can see.
func walk(cmd *cobra.Command, visit func(*cobra.Command)) {
	if cmd.Hidden {
		return
	}
	visit(cmd)
	for _, sub := range cmd.Commands() {
		walk(sub, visit)
	}
}

func TestEveryCommandExplainsItself(t *testing.T) {
	t.Parallel()
	seen := 0
	walk(newRoot(&Env{Getenv: func(string) string { return "" }}), func(cmd *cobra.Command) {
		seen++
		path := cmd.CommandPath()
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%s: Short is %q: want a line without a full stop", path, cmd.Short)
		}
		if cmd.Example == "" {
			t.Errorf("%s has no Example", path)
		}
		for line := range strings.Lines(cmd.Example) {
			if !strings.HasPrefix(line, "  ") {
				t.Errorf("%s: example is not indented: %s", path, line)
			}
		}
		for line := range strings.Lines(cmd.Long) {
			if n := len([]rune(line)); n > 100 && !strings.HasPrefix(line, "  ") {
				t.Errorf("%s: line of %d characters in Long: %s", path, n, line)
			}
		}
		if cmd.HasParent() && !cmd.Parent().HasParent() && cmd.GroupID == "" {
			t.Errorf("%s is in no group of the root help", path)
		}
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" {
				t.Errorf("%s: --%s is not documented", path, f.Name)
			}
		})
	})
	if seen < 15 {
		t.Fatalf("saw %d commands", seen)
	}
}

func TestExamplesNameKnownFlags(t *testing.T) {
	t.Parallel()
	root := newRoot(&Env{Getenv: func(string) string { return "" }})
	walk(root, func(cmd *cobra.Command) {
		for line := range strings.Lines(cmd.Example) {
			line, _, _ = strings.Cut(line, "#")
			// Another program may stand before it or come after it.
			_, args, ok := strings.Cut(line, "starling ")
			if !ok {
				continue
			}
			args, _, _ = strings.Cut(args, "|")
			args, _, _ = strings.Cut(args, ">")
			words := strings.Fields(args)
			target, _, err := root.Find(words)
			if err != nil {
				t.Errorf("%s: example %q: %v", cmd.CommandPath(), line, err)
				continue
			}
			for _, w := range words {
				name, isLong := strings.CutPrefix(w, "--")
				name, _, _ = strings.Cut(name, "=")
				if isLong && name != "" && name != "help" && target.Flags().Lookup(name) == nil && target.InheritedFlags().Lookup(name) == nil {
					t.Errorf("%s: example %q: no flag --%s", cmd.CommandPath(), line, name)
				}
			}
		}
	})
}

func TestStylePaintsWhereItIsAskedTo(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		mode   colorMode
		env    string
		paints bool
	}{{"auto", "", false}, {"always", "1", true}, {"never", "", false}} {
		cmd := &command{env: &Env{Getenv: func(string) string { return c.env }}, color: c.mode}
		if got := cmd.style(&bytes.Buffer{}).red("x") != "x"; got != c.paints {
			t.Errorf("--color %s: paints is %v", c.mode, got)
		}
	}
	var m colorMode
	if err := m.Set("pink"); err == nil {
		t.Error("pink is taken for a mode")
	}
}
