package cli

import (
	"context"
	"log/slog"
	"strings"
)

// ruleLevels is a slog.Handler with a level of its own for some rules: what is
// logged about a rule carries its id as "rule". A key is an id, a file of rules,
// or a directory of them with a slash behind it; the longest that fits counts.
type ruleLevels struct {
	next   slog.Handler
	base   slog.Level
	lowest slog.Level
	levels map[string]slog.Level
	rule   string // that all records of this handler are about
}

// newRuleLevels puts levels in front of a handler that lets everything through.
func newRuleLevels(next slog.Handler, base slog.Level, levels map[string]slog.Level) slog.Handler {
	h := &ruleLevels{next: next, base: base, lowest: base, levels: levels}
	for _, l := range levels {
		h.lowest = min(h.lowest, l)
	}
	return h
}

// Enabled reports whether a record of that level may be wanted: of which rule
// it is shows only when it is there.
func (h *ruleLevels) Enabled(_ context.Context, l slog.Level) bool {
	if h.rule != "" {
		return l >= h.of(h.rule)
	}
	return l >= h.lowest
}

// Handle passes on what the level of its rule admits.
func (h *ruleLevels) Handle(ctx context.Context, r slog.Record) error {
	rule := h.rule
	if rule == "" {
		r.Attrs(func(a slog.Attr) bool {
			if a.Key == "rule" {
				rule = a.Value.String()
			}
			return rule == ""
		})
	}
	if r.Level < h.of(rule) {
		return nil
	}
	return h.next.Handle(ctx, r)
}

// WithAttrs remembers a rule that all records are about.
func (h *ruleLevels) WithAttrs(as []slog.Attr) slog.Handler {
	c := *h
	for _, a := range as {
		if a.Key == "rule" {
			c.rule = a.Value.String()
		}
	}
	c.next = h.next.WithAttrs(as)
	return &c
}

// WithGroup opens a group.
func (h *ruleLevels) WithGroup(name string) slog.Handler {
	c := *h
	c.next = h.next.WithGroup(name)
	return &c
}

// of is the level of a rule.
func (h *ruleLevels) of(rule string) slog.Level {
	if rule == "" {
		return h.base
	}
	level, best := h.base, 0
	file, _, _ := strings.Cut(rule, ":")
	for key, l := range h.levels {
		if fits := key == rule || key == file || strings.HasSuffix(key, "/") && strings.HasPrefix(rule, key); fits && len(key) > best {
			level, best = l, len(key)
		}
	}
	return level
}
