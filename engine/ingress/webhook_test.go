package ingress_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/hook"
	"github.com/starling-rules/starling/engine/ingress"
)

// hooks knows one path for one method.
type hooks struct{ route ingress.Route }

func (h hooks) Route(method, path string) (*ingress.Route, []string) {
	switch {
	case path != "/hooks/gh/api":
		return nil, nil
	case method != "POST":
		return nil, []string{"POST", "PUT"}
	}
	return &h.route, nil
}

// open is a route that anybody may call, locked one that wants a secret.
var open = ingress.Route{Lock: hook.Lock{Open: true}}

func locked(s hook.Signature) ingress.Route {
	return ingress.Route{Lock: hook.Lock{Signature: s, Secrets: []string{"s"}}}
}

func hub(secret, body string) string {
	m := hmac.New(sha256.New, []byte(secret))
	m.Write([]byte(body))
	return hex.EncodeToString(m.Sum(nil))
}

func TestWebhookSignatures(t *testing.T) {
	t.Parallel()
	const body = `{"a":1}`
	good := hub("s", body)
	for name, c := range map[string]struct {
		route  ingress.Route
		header string
		status int
	}{
		"open":                    {open, "X: y", 200},
		"neither":                 {ingress.Route{}, "X-Hub-Signature-256: sha256=" + hub("", body), 401},
		"github":                  {locked(hook.Signature{Scheme: "github"}), "X-Hub-Signature-256: sha256=" + good, 200},
		"github without prefix":   {locked(hook.Signature{Scheme: "github"}), "X-Hub-Signature-256: " + good, 401},
		"github upper case":       {locked(hook.Signature{Scheme: "github"}), "X-Hub-Signature-256: sha256=" + strings.ToUpper(good), 401},
		"github wrong secret":     {locked(hook.Signature{Scheme: "github"}), "X-Hub-Signature-256: sha256=" + hub("t", body), 401},
		"github missing":          {locked(hook.Signature{Scheme: "github"}), "X: y", 401},
		"github twice":            {locked(hook.Signature{Scheme: "github"}), "X-Hub-Signature-256: sha256=" + good + "\r\nX-Hub-Signature-256: sha256=" + good, 401},
		"hmac":                    {locked(hook.Signature{Scheme: "hmac-sha256", Header: "X-Mine"}), "x-mine: " + good, 200},
		"hmac with prefix":        {locked(hook.Signature{Scheme: "hmac-sha256"}), "X-Signature: sha256=" + good, 200},
		"unknown scheme":          {locked(hook.Signature{Scheme: "md5"}), "X-Hub-Signature-256: sha256=" + good, 401},
		"too large for the route": {ingress.Route{Lock: hook.Lock{Open: true}, MaxBody: 3}, "X: y", 413},
		"compressed":              {open, "Content-Encoding: gzip", 415},
	} {
		s := &sink{}
		srv := start(t, s, func(o *ingress.Options) { o.Webhooks = hooks{c.route} })
		r := do(t, srv, request{path: "/hooks/gh/api", body: body, unsigned: true, header: []string{c.header}})
		if r.status != c.status || len(s.all()) != map[bool]int{true: 1}[c.status == 200] {
			t.Errorf("%s: %+v with %d events", name, r, len(s.all()))
		}
	}
}

func TestWebhookEventHoldsTheRequest(t *testing.T) {
	t.Parallel()
	s := &sink{answer: &event.Answer{
		Status: 418, ContentType: "text/plain", Body: []byte("tea"),
		Headers: []event.Header{{Name: "X-Pot", Value: "1\r\nEvil: 1"}, {Name: "Content-Length", Value: "0"}},
	}}
	srv := start(t, s, func(o *ingress.Options) { o.Webhooks = hooks{open} })
	body := "a=1\x00\xff"
	r := do(t, srv, request{path: "/hooks/gh/api?x=1&x=2", body: body, mediaType: "text/odd", unsigned: true, header: []string{"X-Two: 1", "X-Two: 2"}})
	if r.status != 418 || r.body != "tea" || r.header.Get("X-Pot") == "" || r.header.Get("Evil") != "" {
		t.Errorf("%+v", r)
	}
	e := s.one(t)
	if e.Kind != event.Webhook || e.Encoding != event.HTTP || string(e.Raw) != body || e.Request.Method != "POST" ||
		e.Request.Path != "/hooks/gh/api" || e.Request.Query != "x=1&x=2" || e.Request.Remote != "127.0.0.1" {
		t.Errorf("%+v %+v", e, e.Request)
	}
	var two []string
	for _, h := range e.Request.Headers {
		if h.Name != strings.ToLower(h.Name) {
			t.Errorf("header %s is not lower case", h.Name)
		}
		if h.Name == "x-two" {
			two = append(two, h.Value)
		}
	}
	if strings.Join(two, " ") != "1 2" {
		t.Errorf("repeated header: %q", two)
	}
}

func TestWebhookRoutes(t *testing.T) {
	t.Parallel()
	s := &sink{}
	srv := start(t, s, func(o *ingress.Options) { o.Webhooks = hooks{open} })
	if r := do(t, srv, request{method: "GET", path: "/hooks/gh/api"}); r.status != 405 || r.header.Get("Allow") != "POST, PUT" {
		t.Errorf("%+v", r)
	}
	if r := do(t, srv, request{path: "/hooks/gl", body: "x"}); r.status != 404 {
		t.Errorf("%+v", r)
	}
	if r := do(t, srv, request{method: "GET", path: "/slack/events"}); r.status != 405 {
		t.Errorf("a webhook route took Slack's: %+v", r)
	}
	srv.Drain()
	if r := do(t, srv, request{path: "/hooks/gh/api", body: "x"}); r.status != 503 {
		t.Errorf("draining: %+v", r)
	}
	if len(s.all()) != 0 {
		t.Error("accepted")
	}
}

func TestWebhookIDs(t *testing.T) {
	t.Parallel()
	s := &sink{}
	n := 0
	srv := start(t, s, func(o *ingress.Options) {
		o.Webhooks = hooks{open}
		o.Nonce = func() string { n++; return strconv.Itoa(n) }
	})
	post := func(body string, header ...string) string {
		t.Helper()
		do(t, srv, request{path: "/hooks/gh/api", body: body, unsigned: true, header: header})
		all := s.all()
		return all[len(all)-1].ID
	}
	if a, b := post("a"), post("a"); a == b {
		t.Error("two deliveries without an id are one")
	}
	first := post("a", "X-GitHub-Delivery: 1")
	if first != post("a", "X-GitHub-Delivery: 1") {
		t.Error("a repeated delivery is another")
	}
	if first == post("a", "X-GitHub-Delivery: 2") || first == post("b", "X-GitHub-Delivery: 1") {
		t.Error("two deliveries are one")
	}
}

// slow answers nothing, after some time by the server's clock.
type slow struct {
	sink
	pass func()
}

func (s *slow) AcceptAnswered(context.Context, *event.Event) (*event.Answer, error) {
	s.pass()
	return nil, nil
}

func TestAWebhookWhoseRuleIsLateIsAccepted(t *testing.T) {
	t.Parallel()
	for took, want := range map[time.Duration]int{time.Second: 200, 2500 * time.Millisecond: 202} {
		now := at
		srv := start(t, &sink{}, func(o *ingress.Options) {
			o.Webhooks = hooks{open}
			o.Sink = &slow{pass: func() { now = now.Add(took) }}
			o.Now = func() time.Time { return now }
		})
		if r := do(t, srv, request{path: "/hooks/gh/api", body: "x", unsigned: true}); r.status != want || r.body != "" {
			t.Errorf("after %v: %+v", took, r)
		}
	}
}
