package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/starling-rules/starling/cmd/starling/internal/format"
	"github.com/starling-rules/starling/cmd/starling/internal/lsp"
	"github.com/starling-rules/starling/engine/check"
	"github.com/starling-rules/starling/engine/config"
	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib"
)

func (c *command) lspCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "lsp",
		Short: "Serve an editor: completion, hover, problems, formatting",
		Long: "Lsp is a language server for .star and .lua rules, their tests and starling.yaml. An\n" +
			"editor starts it and speaks to it over standard input and output. `starling docs\n" +
			"editors` tells how to set up some of them.",
		Example: "  starling lsp    # what the editor's configuration names as the command",
		Args:    cobra.NoArgs,
	}
	c.configFlags(cmd)
	cmd.Flags().Bool("stdio", true, "speak over standard input and output, as some editors ask for; there is no other way")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		lib, err := stdlib.Library()
		if err != nil {
			return withCode(ExitStart, err)
		}
		all, err := reference()
		if err != nil {
			return withCode(ExitStart, err)
		}
		err = lsp.Run(cmd.Context(), c.env.Stdin, c.env.Stdout, lsp.Options{
			Library: lib, TestLibrary: all, Methods: check.SlackMethods(), Format: format.Star, Version: Version,
			Open:   func(root string) (*lsp.Project, error) { return openProject(c.sources(cmd, nil), root) },
			Logger: logger(config.Default(), c.env.Stderr),
		})
		if errors.Is(err, lsp.ErrNoShutdown) {
			return withCode(ExitBad, err)
		}
		return withCode(ExitStart, err)
	}
	return cmd
}

// openProject is the directory that an editor has open: its configuration, and
// checks against it.
func openProject(src config.Sources, root string) (*lsp.Project, error) {
	root, err := filepath.Abs(root) // "" is where the editor started us
	if err != nil {
		return nil, fmt.Errorf("open project: %w", err)
	}
	src.File = absolute(root, cmp.Or(src.File, src.Getenv("STARLING_CONFIG"), src.Getenv("CONFIG_FILE"), "starling.yaml"))
	cfg, _ := config.Inspect(src) // what is wrong with it is told in its own file
	for i, dir := range cfg.Rules {
		cfg.Rules[i] = absolute(root, dir)
	}
	checker, err := newChecker(cfg)
	if err != nil {
		return nil, fmt.Errorf("open project: %w", err)
	}
	return &lsp.Project{
		Rules: cfg.Rules,
		Close: func() { _ = checker.Close(context.Background()) },
		Check: func(ctx context.Context, path string, text []byte) []*runtime.Error {
			switch {
			case path == src.File || filepath.Base(path) == "starling.yaml":
				return checkConfig(src, path, text)
			case strings.HasSuffix(path, ".star"), strings.HasSuffix(path, ".lua"):
				return checker.File(ctx, path, text)
			}
			return nil
		},
	}, nil
}

func absolute(root, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(root, path)
}

// checkConfig finds the problems of a configuration as it is in the editor.
func checkConfig(src config.Sources, path string, text []byte) []*runtime.Error {
	src.File, src.Text = path, text
	if src.Text == nil {
		src.Text = []byte{}
	}
	_, problems := config.Inspect(src)
	var own []*runtime.Error
	for _, e := range problems {
		if e.Pos.Path == path {
			own = append(own, e)
		}
	}
	return own
}
