package ingress_test

import (
	"context"
	"strings"
	"testing"

	"github.com/starling-rules/starling/engine/ingress"
	"github.com/starling-rules/starling/engine/metric"
)

func startAdmin(t *testing.T, o ingress.AdminOptions) *ingress.Admin {
	t.Helper()
	o.Addr = "127.0.0.1:0"
	a, err := ingress.NewAdmin(o)
	if err != nil {
		t.Fatal(err)
	}
	a.Handle("GET", "/runs/{id}", func(_ context.Context, r *ingress.AdminRequest) ingress.AdminResponse {
		return ingress.JSON(0, map[string]string{"id": r.Params["id"], "limit": r.Query["limit"]})
	})
	a.Handle("POST", "/reload", func(_ context.Context, r *ingress.AdminRequest) ingress.AdminResponse {
		return ingress.Problem(409, "no "+string(r.Body))
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return a
}

func TestAdminServesMetricsHealthAndMountedHandlers(t *testing.T) {
	t.Parallel()
	m := metric.New("1.2.3")
	s := &sink{}
	srv := start(t, s, func(o *ingress.Options) { o.Metrics = m })
	do(t, srv, request{body: message})
	do(t, srv, request{body: message, unsigned: true})
	detail := map[string]any{"socket": []string{"<up>"}}
	a := startAdmin(t, ingress.AdminOptions{Metrics: m, Detail: func() map[string]any { return detail }})
	get := func(path string) response {
		t.Helper()
		c := dial(t, a.Addr())
		c.send([]byte("GET " + path + " HTTP/1.1\r\nHost: localhost:1\r\n\r\n"))
		return c.receive("GET")
	}
	r := get("/metrics")
	for _, want := range []string{
		`starling_events_total{outcome="stored",transport="http",type="message"} 1`,
		`starling_events_total{outcome="refused",transport="http",type="unknown"} 1`,
		`starling_ack_seconds_count{transport="http"} 1`,
		`starling_build_info{version="1.2.3"} 1`,
	} {
		if r.status != 200 || !strings.Contains(r.body, want) {
			t.Errorf("no %s in %d %s", want, r.status, r.body)
		}
	}
	if r := get("/readyz"); r.status != 200 || r.body != `{"ready":true,"socket":["\u003cup\u003e"]}` {
		t.Errorf("%+v", r)
	}
	delete(detail, "socket")
	if r := get("/readyz"); r.status != 200 || r.body != `{"ready":true}` {
		t.Errorf("%+v", r)
	}
	if r := get("/runs/Ev%201?limit=3&limit=4"); r.status != 200 || r.body != `{"id":"Ev 1","limit":"3"}`+"\n" || r.header.Get("Content-Type") != "application/json" {
		t.Errorf("%+v", r)
	}
	if r := do(t, a, request{path: "/reload", body: "x", header: []string{"X: y"}}); r.status != 403 {
		t.Errorf("host x: %+v", r)
	}
	if r := get("/reload"); r.status != 405 || r.header.Get("Allow") != "POST" {
		t.Errorf("%+v", r)
	}
	if r := get("/nope"); r.status != 404 {
		t.Errorf("%+v", r)
	}
}

func TestAdminHandlersRefuseOtherSites(t *testing.T) {
	t.Parallel()
	a := startAdmin(t, ingress.AdminOptions{Hosts: []string{"ops.internal"}})
	for header, want := range map[string]int{
		"Host: 127.0.0.1:9":                                    409,
		"Host: [::1]:9":                                        409,
		"Host: localhost":                                      409,
		"Host: OPS.internal:1":                                 409,
		"Host: evil.example":                                   403,
		"Host: localhost.evil.example":                         403,
		"Host: localhost:9\r\nOrigin: http://localhost:9":      409,
		"Host: localhost:9\r\nOrigin: http://localhost:8":      403,
		"Host: localhost:9\r\nOrigin: http://evil.example":     403,
		"Host: localhost:9\r\nOrigin: null":                    403,
		"Host: evil.example\r\nOrigin: http://evil.example":    403,
		"Host: localhost:9\r\nOrigin: http://localhost:9.evil": 403,
	} {
		c := dial(t, a.Addr())
		c.send([]byte("POST /reload HTTP/1.1\r\n" + header + "\r\nContent-Length: 1\r\n\r\nx"))
		if r := c.receive("POST"); r.status != want {
			t.Errorf("%q: %d, want %d", header, r.status, want)
		}
	}
}

// What a handler has begun may outlive its request, and the server.
func TestAdminHandlersHaveAContextThatEndsWithTheServer(t *testing.T) {
	t.Parallel()
	a, err := ingress.NewAdmin(ingress.AdminOptions{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	began := make(chan context.Context, 1)
	a.Handle("GET", "/begin", func(ctx context.Context, _ *ingress.AdminRequest) ingress.AdminResponse {
		began <- ctx
		return ingress.AdminResponse{}
	})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	c := dial(t, a.Addr())
	c.send([]byte("GET /begin HTTP/1.1\r\nHost: localhost:1\r\n\r\n"))
	if r := c.receive("GET"); r.status != 200 {
		t.Fatalf("%+v", r)
	}
	of := <-began
	if of.Err() != nil {
		t.Errorf("the context of a request has ended with it: %v", of.Err())
	}
	ended := make(chan struct{})
	go func() {
		for of.Err() == nil {
			select {
			case <-of.Done():
			default:
			}
		}
		close(ended)
	}()
	stop()
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
	<-ended
}
