package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/starling-rules/starling/engine/rules"
)

// announcer tells the terminal of every change of the rules: what is broken,
// with the source, what is well again, how many rules are live. One call at a time.
type announcer struct {
	out    io.Writer
	now    func() time.Time
	broken map[string]string // the errors told last, by file
	warned map[string]string // and the warnings
}

func (a *announcer) announce(live int, rep *rules.Report) {
	var b strings.Builder
	for _, err := range rep.Problems {
		fmt.Fprintf(&b, "%s\n", err)
	}
	broken := map[string]string{}
	for _, f := range rep.Files {
		if len(f.Errors) == 0 {
			continue
		}
		broken[f.Path] = f.Errors.Detail()
		if broken[f.Path] == a.broken[f.Path] {
			continue
		}
		b.WriteString(broken[f.Path])
		if f.Previous {
			fmt.Fprintf(&b, "%s: the version before goes on running\n", f.Path)
		}
	}
	for _, f := range rep.Files {
		if a.broken[f.Path] != "" && broken[f.Path] == "" {
			fmt.Fprintf(&b, "%s is well again\n", f.Path)
		}
	}
	a.broken = broken
	warned := map[string]string{}
	for _, f := range rep.Files {
		if len(f.Warnings) == 0 {
			continue
		}
		warned[f.Path] = f.Warnings.Detail()
		if warned[f.Path] != a.warned[f.Path] {
			b.WriteString(warned[f.Path])
		}
	}
	a.warned = warned
	fmt.Fprintf(&b, "%s  %s live", a.now().Format(time.TimeOnly), plural(live, "rule"))
	if len(broken) > 0 {
		fmt.Fprintf(&b, ", %s with errors", plural(len(broken), "file"))
	}
	if rep.Warnings > 0 {
		fmt.Fprintf(&b, ", %s", plural(rep.Warnings, "warning"))
	}
	if len(rep.Files) == 0 {
		b.WriteString(": save a .star or .lua file to begin")
	}
	b.WriteByte('\n')
	_, _ = io.WriteString(a.out, b.String())
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// without is a log without lines that the announcer prints in a better form.
type without struct {
	slog.Handler
	messages []string
}

// Handle implements slog.Handler.
func (w without) Handle(ctx context.Context, r slog.Record) error {
	if slices.Contains(w.messages, r.Message) {
		return nil
	}
	return w.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (w without) WithAttrs(attrs []slog.Attr) slog.Handler {
	return without{w.Handler.WithAttrs(attrs), w.messages}
}

// WithGroup implements slog.Handler.
func (w without) WithGroup(name string) slog.Handler {
	return without{w.Handler.WithGroup(name), w.messages}
}
