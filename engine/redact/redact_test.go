package redact_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"strings"
	"testing"

	"github.com/starling-rules/starling/engine/redact"
)

const secret = `s3cr/t "väl+ue"`

type holder struct{ Inner *inner }

type inner struct{ Value string }

type valuer struct{}

func (valuer) LogValue() slog.Value { return slog.StringValue("from valuer " + secret) }

func TestHandlerMasksSecretsEverywhere(t *testing.T) {
	t.Parallel()
	tokens := []string{
		"xoxb-123456789012-abcdefGHIJKL", "xoxp-1-2-3-abcdef", "xapp-1-A0001-123-abcdef0123",
		"xoxe.xoxb-1-MS0yLTEyMzQ1Njc4OTA", "xoxe-1-abcdefghij",
	}
	for _, format := range []string{"text", "json"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			var next slog.Handler = slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})
			if format == "json" {
				next = slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})
			}
			h := redact.New(next, secret)
			h.Add("rotated-later")
			log := slog.New(h).With("pre", "with "+secret).WithGroup("g").With("in_group", secret)
			log.Info("message "+secret+" rotated-later",
				"string", secret,
				"error", fmt.Errorf("call: %w", errors.New(secret)),
				"bytes", []byte(secret),
				"struct", inner{secret},
				"pointer", holder{&inner{secret}},
				"slice", []string{secret},
				"valuer", valuer{},
				slog.Group("group", "deep", secret),
				"url", "https://x.example/?k="+url.QueryEscape(secret),
				"b64", base64.StdEncoding.EncodeToString([]byte(secret)),
				"Authorization", "whatever it is",
				"header", "Authorization: Bearer abc.def-123456",
				"hook", "https://hooks.slack.com/actions/T1/2/verysecretpart",
				"number", 7)
			for _, tok := range tokens {
				log.Info("token "+tok, "t", tok)
			}
			for _, bad := range append(tokens, secret, "s3cr", "rotated-later", "whatever", "abc.def", "verysecretpart",
				base64.StdEncoding.EncodeToString([]byte(secret)), url.QueryEscape(secret)) {
				if strings.Contains(out.String(), bad) {
					t.Errorf("log shows %q:\n%s", bad, out.String())
				}
			}
			if !strings.Contains(out.String(), "7") || !strings.Contains(out.String(), redact.Mask) {
				t.Errorf("log lost its content:\n%s", out.String())
			}
		})
	}
}

func TestCleanLeavesOrdinaryTextAlone(t *testing.T) {
	t.Parallel()
	set := redact.NewSet("abc", "", "longenough")
	for _, text := range []string{
		"", "abc", "a basic idea", "the bearer of news", "xoxo, with love", "xapp-", "hooks.slack.com",
		"deploy api to prod", "ünïcode \x00 bytes \xff",
	} {
		if got := set.Clean(text); got != text {
			t.Errorf("Clean(%q) = %q", text, got)
		}
	}
	if got := set.Clean("it is longenough."); got != "it is ***." {
		t.Errorf("got %q", got)
	}
}

func TestLongerSecretWins(t *testing.T) {
	t.Parallel()
	set := redact.NewSet("pass", "password1")
	if got := set.Clean("x password1 pass"); got != "x *** ***" {
		t.Errorf("got %q", got)
	}
}

func BenchmarkHandle(b *testing.B) {
	log := slog.New(redact.New(slog.NewTextHandler(io.Discard, nil), "one-secret", "another-secret", "third-secret"))
	b.ReportAllocs()
	for b.Loop() {
		log.Info("rule done", "event_id", "Ev0123456789", "team", "T1", "rule", "deploy.star:3", "dur_ms", 12)
	}
}

func FuzzClean(f *testing.F) {
	f.Add("text", "secret")
	f.Add("Bearer xoxb-1-2-3", "xoxb")
	f.Fuzz(func(t *testing.T, text, s string) {
		if len(s) < redact.MinLength || strings.Contains(redact.Mask, s) || strings.Contains(s, "*") {
			t.Skip()
		}
		if got := redact.NewSet(s).Clean(text + s + text); strings.Contains(got, s) && !strings.Contains(text, s[1:]) && !strings.Contains(text, s[:len(s)-1]) {
			// A secret can re-form only from pieces around a mask, which has no part of it.
			t.Errorf("Clean shows %q in %q", s, got)
		}
	})
}
