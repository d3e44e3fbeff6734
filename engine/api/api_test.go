package api_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/starling-rules/starling/engine/api"
	"github.com/starling-rules/starling/engine/api/apitest"
	"github.com/starling-rules/starling/engine/config"
	"github.com/starling-rules/starling/engine/ingress"
	"github.com/starling-rules/starling/engine/slackapi"
	"github.com/starling-rules/starling/runtime"
)

// transport is a Slack inside the process.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func says(status int, body string) transport {
	return func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
	}
}

// ask calls a route of an API whose every caller is let in.
func ask(t *testing.T, slack transport, log io.Writer, method, route string, params, query map[string]string, body string) ingress.AdminResponse {
	t.Helper()
	c := config.Default()
	c.Slack.BotToken, c.Slack.SigningSecrets = "xoxb-secret", []string{"s"}
	c.Teams, c.Bots = map[string]string{"acme": "T1"}, map[string]map[string]string{"acme": {"helper": "A1"}}
	c.Apps = map[string]config.App{"A1": {ID: "A1"}}
	c.Authorization.Checks = []config.AuthCheck{{Module: "omnibot.authnz:allowed_paths", Kwargs: map[string]any{"paths": runtime.List{".*"}}}}
	client, err := slackapi.New(slackapi.Options{HTTP: &http.Client{Transport: slack}, Tokens: slackapi.Static{Bot: "xoxb-secret"}})
	if err != nil {
		t.Fatal(err)
	}
	a, err := api.New(api.Options{Config: c, Slack: client, Logger: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range a.Mounts() {
		if m.Method == method && m.Path == route {
			return m.Handle(t.Context(), &ingress.APIRequest{AdminRequest: ingress.AdminRequest{
				Method: method, Path: route, Params: params, Query: query, Body: []byte(body),
			}})
		}
	}
	t.Fatalf("no route %s %s", method, route)
	return ingress.AdminResponse{}
}

func TestWhatSlackDoesNotAnswer(t *testing.T) {
	t.Parallel()
	hangs := transport(func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	})
	down := transport(func(*http.Request) (*http.Response, error) {
		return nil, &net.OpError{Op: "dial", Err: io.ErrUnexpectedEOF}
	})
	limits := transport(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 429, Header: http.Header{"Retry-After": {"60"}}, Body: io.NopCloser(strings.NewReader("")), Request: r}, nil
	})
	const (
		act  = "POST /api/v2/slack/action/{team}/{bot}"
		user = "GET /api/v1/slack/get_user/{team}/{bot}/{email}"
		ims  = "GET /api/v1/slack/get_ims/{team}/{bot}"
		im   = "GET /api/v1/slack/send_im/{team}/{bot}/{email}"
	)
	s := spec(t)
	for _, tc := range []struct {
		name   string
		slack  transport
		route  string
		status int
	}{
		{"an action in doubt", says(503, "oops"), act, 502},
		{"an action without a connection", down, act, 502},
		{"an action that hangs", hangs, act, 504}, // never sent, as far as this transport tells: it is tried again
		{"an action that has to wait too long", limits, act, 504},
		{"a look-up without a connection", down, user, 502},
		{"a look-up that has to wait too long", limits, user, 504},
		{"a look-up that is refused", says(200, `{"ok":false,"error":"missing_scope","needed":"im:read"}`), ims, 400},
		{"a message to nobody", says(200, `{"ok":false,"error":"users_not_found"}`), im, 404},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				method, route, _ := strings.Cut(tc.route, " ")
				got := ask(t, tc.slack, io.Discard, method, route, map[string]string{"team": "acme", "bot": "helper", "email": "ann@x.example"},
					map[string]string{"text": "hi"}, `{"action":"chat.postMessage","kwargs":{"channel":"C1","timeout":3}}`)
				if method == http.MethodGet {
					// With a body it is that which counts.
					got = ask(t, tc.slack, io.Discard, method, route, map[string]string{"team": "acme", "bot": "helper", "email": "ann@x.example"}, map[string]string{"text": "hi"}, "")
				}
				if got.Status != tc.status {
					t.Errorf("got %d %s, want %d", got.Status, got.Body, tc.status)
				}
				if took := time.Since(start); took > time.Minute {
					t.Errorf("took %v", took)
				}
				if err := s.Conforms(tc.route, got.Status, "application/json", got.Body); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Hour) // a look-up outlives who asked for it
			})
		})
	}
}

func TestTheAuditHoldsNoAddressAndBoundsWhatCallersWrite(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	long := strings.Repeat("é", 1000)
	ask(t, says(200, `{"ok":true}`), &log, "GET", "/api/v1/slack/get_user/{team}/{bot}/{email}",
		map[string]string{"team": long, "bot": "x\ny", "email": "ann@x.example"}, nil, "")
	ask(t, says(200, `{"ok":true}`), &log, "GET", "/api/v1/slack/get_user/{team}/{bot}/{email}",
		map[string]string{"team": long, "bot": "helper", "email": "ann@x.example"}, nil, "")
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != 2 || len(log.String()) > 1500 || strings.Contains(log.String(), "ann@") || !strings.Contains(log.String(), "status=404") {
		t.Errorf("got %d lines:\n%s", len(lines), log.String())
	}
}

var sink []byte

func BenchmarkDecide(b *testing.B) {
	c := config.Default()
	c.Teams = map[string]string{"acme": "T1"}
	c.Authorization.Checks = []config.AuthCheck{{Module: "omnibot.authnz:allowed_paths", Kwargs: map[string]any{"paths": runtime.List{"/api/v1/slack/get_team/.*"}}}}
	client, err := slackapi.New(slackapi.Options{HTTP: &http.Client{Transport: says(500, "")}, Tokens: slackapi.Static{}})
	if err != nil {
		b.Fatal(err)
	}
	a, err := api.New(api.Options{Config: c, Slack: client})
	if err != nil {
		b.Fatal(err)
	}
	m := a.Mounts()[0]
	r := &ingress.APIRequest{AdminRequest: ingress.AdminRequest{Method: m.Method, Path: m.Path, Params: map[string]string{"team": "acme"}}}
	b.ReportAllocs()
	for b.Loop() {
		sink = m.Handle(context.Background(), r).Body
	}
}

func FuzzAction(f *testing.F) {
	for _, s := range []string{`{"action":"a.b","kwargs":{}}`, `[]`, `{"action":1,"kwargs":2}`, `{"action":"a","kwargs":{"omnibot_parse":{"text":["users"]},"text":"@a"}}`, "\xff", `{"action":"chat.postMessage","kwargs":{"token":null}}`} {
		f.Add([]byte(s))
	}
	s, err := apitest.Read(api.Document())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		const route = "/api/v2/slack/action/{team}/{bot}"
		got := ask(t, says(200, `{"ok":false,"error":"unknown_method"}`), io.Discard, "POST", route, map[string]string{"team": "acme", "bot": "helper"}, nil, string(body))
		if got.Status != 400 {
			t.Errorf("%q: got %d %s", body, got.Status, got.Body)
		}
		if err := s.Conforms("POST "+route, got.Status, "application/json", got.Body); err != nil {
			t.Errorf("%q: %v", body, err)
		}
	})
}
