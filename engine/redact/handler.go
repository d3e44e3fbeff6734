package redact

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
)

// Handler is a slog.Handler that cleans every message and attribute before it
// reaches the next handler. Safe for concurrent use if the next one is.
type Handler struct {
	*Set
	next slog.Handler
}

// New wraps next with a new set of secrets; Handler.Add registers more.
func New(next slog.Handler, secrets ...string) *Handler {
	return &Handler{NewSet(secrets...), next}
}

// Wrap wraps next with a set that others share.
func Wrap(next slog.Handler, set *Set) *Handler { return &Handler{set, next} }

// Enabled asks the next handler.
func (h *Handler) Enabled(ctx context.Context, l slog.Level) bool { return h.next.Enabled(ctx, l) }

// Handle cleans the record and passes it on.
func (h *Handler) Handle(ctx context.Context, r slog.Record) error {
	clean := slog.NewRecord(r.Time, r.Level, h.Clean(r.Message), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		clean.AddAttrs(h.attr(a))
		return true
	})
	return h.next.Handle(ctx, clean)
}

// WithAttrs cleans the attributes once, for all records.
func (h *Handler) WithAttrs(as []slog.Attr) slog.Handler {
	clean := make([]slog.Attr, len(as))
	for i, a := range as {
		clean[i] = h.attr(a)
	}
	return &Handler{h.Set, h.next.WithAttrs(clean)}
}

// WithGroup opens a group.
func (h *Handler) WithGroup(name string) slog.Handler {
	return &Handler{h.Set, h.next.WithGroup(name)}
}

func (h *Handler) attr(a slog.Attr) slog.Attr {
	v := a.Value.Resolve()
	switch v.Kind() {
	case slog.KindGroup:
		group := v.Group()
		clean := make([]slog.Attr, len(group))
		for i, m := range group {
			clean[i] = h.attr(m)
		}
		return slog.Attr{Key: a.Key, Value: slog.GroupValue(clean...)}
	case slog.KindString:
		return slog.Attr{Key: a.Key, Value: slog.StringValue(h.text(a.Key, v.String()))}
	case slog.KindAny:
		return h.any(a.Key, v)
	}
	return slog.Attr{Key: a.Key, Value: v}
}

// any formats a value the way a text handler would. If that shows a secret
// the cleaned text takes its place; else the value itself goes on, so that a
// JSON handler can still write its structure.
func (h *Handler) any(key string, v slog.Value) slog.Attr {
	var text string
	switch x := v.Any().(type) {
	case nil:
		return slog.Attr{Key: key, Value: v}
	case error:
		return slog.String(key, h.text(key, x.Error()))
	case []byte:
		text = string(x)
	default:
		text = fmt.Sprintf("%+v", x)
	}
	if clean := h.text(key, text); clean != text {
		return slog.String(key, clean)
	}
	// %+v shows pointers inside as addresses where JSON would follow them.
	if clean := h.text(key, jsonText(v.Any())); strings.Contains(clean, Mask) {
		return slog.String(key, clean)
	}
	return slog.Attr{Key: key, Value: v}
}

func (h *Handler) text(key, text string) string {
	if text != "" && Sensitive(key) {
		return Mask
	}
	return h.Clean(text)
}

// Sensitive reports whether a field of that name holds a secret by its name
// alone: an authorization header, a password, a token.
func Sensitive(name string) bool {
	switch strings.ReplaceAll(strings.ToLower(name), "-", "_") {
	case "authorization", "proxy_authorization", "cookie", "set_cookie", "password", "token", "secret",
		"signing_secret", "bot_token", "user_token", "app_token", "access_token", "refresh_token",
		"client_secret", "x_slack_signature", "response_url":
		return true
	}
	return false
}
