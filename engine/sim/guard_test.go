package sim

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestOtherPagesAreKeptOut(t *testing.T) {
	t.Parallel()
	s := newSlack(t)
	h := s.Handler()
	for _, c := range []struct {
		name, method, path, host string
		header                   map[string]string
		want                     int
	}{
		{"the page", "GET", "/", "127.0.0.1:3002", nil, 200},
		{"localhost", "GET", "/", "localhost:3002", nil, 200},
		{"IPv6", "GET", "/", "[::1]:3002", nil, 200},
		{"rebound name", "GET", "/", "evil.example:3002", nil, 403},
		{"rebound name for the API", "POST", "/api/auth.test", "evil.example", nil, 403},
		{"name that looks local", "GET", "/", "localhost.evil.example", nil, 403},
		{"another machine's address", "GET", "/", "192.168.0.9:3002", nil, 403},
		{"own fetch", "POST", "/sim/home", "localhost:3002", map[string]string{"Origin": "http://localhost:3002", "Sec-Fetch-Site": "same-origin"}, 400},
		{"form of another site", "POST", "/sim/home", "localhost:3002", map[string]string{"Origin": "https://evil.example"}, 403},
		{"form of another local server", "POST", "/api/chat.postMessage", "localhost:3002", map[string]string{"Origin": "http://localhost:8080"}, 403},
		{"sandboxed frame", "POST", "/sim/home", "localhost:3002", map[string]string{"Origin": "null"}, 403},
		{"image of another site", "GET", "/sim/state", "localhost:3002", map[string]string{"Sec-Fetch-Site": "cross-site"}, 403},
		{"link from another site", "GET", "/", "localhost:3002", map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 200},
		{"typed address", "GET", "/", "localhost:3002", map[string]string{"Sec-Fetch-Site": "none"}, 200},
		{"program", "POST", "/api/api.test", "127.0.0.1:3002", nil, 200},
	} {
		r := httptest.NewRequestWithContext(t.Context(), c.method, c.path, strings.NewReader(""))
		r.Host = c.host
		for k, v := range c.header {
			r.Header.Set(k, v)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != c.want {
			t.Errorf("%s: %d %s, want %d", c.name, w.Code, w.Body, c.want)
		}
		if csp := w.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: policy %q", c.name, csp)
		}
	}
}

func TestOnlyLoopbackIsServedAndDeliveredTo(t *testing.T) {
	t.Parallel()
	for _, u := range []string{"https://hooks.slack.com/x", "http://10.0.0.1/", "ftp://localhost/", "http://localhost.evil.example/", "::"} {
		if _, err := New(Options{EventsURL: u}); err == nil {
			t.Errorf("delivering to %s was accepted", u)
		}
	}
	s, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Skipf("cannot listen on all addresses here: %v", err)
	}
	if err := s.Run(t.Context(), ln); err == nil || !strings.Contains(err.Error(), "not a loopback address") {
		t.Errorf("Run: %v", err)
	}
}

func TestRunEndsWithOpenStreams(t *testing.T) {
	t.Parallel()
	s, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, ln) }()
	res, err := http.Get("http://" + ln.Addr().String() + "/sim/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
	s.Close()
}

func TestPageHasNoForeignAssets(t *testing.T) {
	t.Parallel()
	files, err := pageFiles.ReadDir("page")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		raw, err := pageFiles.ReadFile("page/" + f.Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, bad := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "//cdn", "src=\"http", "@import", "url(http"} {
			if strings.Contains(string(raw), bad) {
				t.Errorf("page/%s uses %s", f.Name(), bad)
			}
		}
	}
	s := newSlack(t)
	for _, path := range []string{"/assets/app.js", "/assets/base.css", "/assets/icon.svg"} {
		res, err := s.web.Client().Get(s.web.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
	}
}
