package cli

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
)

// style paints text for terminals, and leaves it alone everywhere else. The
// zero value never paints.
type style struct{ on bool }

// The colours; each is a method of style.
func (s style) bold(text string) string   { return s.paint("1", text) }
func (s style) dim(text string) string    { return s.paint("2", text) }
func (s style) red(text string) string    { return s.paint("31", text) }
func (s style) green(text string) string  { return s.paint("32", text) }
func (s style) yellow(text string) string { return s.paint("33", text) }
func (s style) cyan(text string) string   { return s.paint("36", text) }

func (s style) paint(code, text string) string {
	if !s.on || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// style tells how to write to w: in colour if it is a terminal, unless
// --color, NO_COLOR or a dumb terminal say otherwise.
func (c *command) style(w io.Writer) style {
	switch c.color {
	case "always":
		return style{true}
	case "never":
		return style{}
	}
	return style{c.env.Getenv("NO_COLOR") == "" && c.env.Getenv("TERM") != "dumb" && isTerminal(w)}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// colorMode is the value of --color.
type colorMode string

// String implements pflag.Value.
func (m *colorMode) String() string { return string(*m) }

// Type implements pflag.Value.
func (m *colorMode) Type() string { return "when" }

// Set implements pflag.Value.
func (m *colorMode) Set(s string) error {
	switch s {
	case "auto", "always", "never":
		*m = colorMode(s)
		return nil
	}
	return fmt.Errorf("want auto, always or never (got %q)", s)
}
