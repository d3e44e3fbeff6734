package door_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/door"
	"github.com/starling-rules/starling/engine/metric"
	"github.com/starling-rules/starling/runtime"
)

const ciToken = `t0p/s3cret "quoted"+ü`

var nap = func(context.Context, time.Duration) error { return nil }

// web is a live set of handlers that may reach only what allow lists.
func web(t testing.TB, change func(*door.HTTPOptions), allow ...string) door.Live {
	t.Helper()
	o := door.HTTPOptions{Allow: allow, Sleep: nap, Rand: func() float64 { return .5 }}
	if change != nil {
		change(&o)
	}
	h, err := door.NewHTTP(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return door.NewLive(door.Deps{HTTP: h, Secrets: secrets})
}

func secrets(name string) (string, bool) {
	if name == "CI_TOKEN" {
		return ciToken, true
	}
	return "", false
}

func secret(before, after string) runtime.Secret {
	return runtime.Secret{Parts: []runtime.SecretPart{{Text: before}, {Name: "CI_TOKEN"}, {Text: after}}}
}

func do(t testing.TB, l door.Live, kind string, args ...any) *runtime.Dict {
	t.Helper()
	v, err := l[kind].Do(t.Context(), &door.Run{ID: "run1", Script: "a.star"}, runtime.Effect{Kind: kind, Step: 3, Args: runtime.NewDict(args...)})
	if err != nil {
		t.Fatalf("%s: %v", kind, err)
	}
	return v.(*runtime.Dict)
}

func get(d *runtime.Dict, name string) any { v, _ := d.Get(name); return v }

func host(s *httptest.Server) string {
	return strings.TrimPrefix(strings.TrimPrefix(s.URL, "http://"), "https://")
}

func serve(t testing.TB, f http.HandlerFunc) *httptest.Server {
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	return s
}

func TestHTTPRequest(t *testing.T) {
	t.Parallel()
	var got, body string
	var header http.Header
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got, body, header = r.Method+" "+r.URL.String(), string(b), r.Header
		w.Header().Set("X-One", "1")
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(201)
		fmt.Fprint(w, `{"id": 7, "list": [1]}`)
	})
	l := web(t, nil, host(s))
	for name, tc := range map[string]struct {
		kind  string
		args  []any
		want  string
		body  string
		ctype string
	}{
		"get":      {"http_get", []any{"params", runtime.NewDict("a", "x y", "b", []runtime.Value{int64(1), true})}, "GET /p?q=1&a=x+y&b=1&b=true", "", ""},
		"json":     {"http_post", []any{"json", runtime.NewDict("a", []runtime.Value{"<b>"})}, "POST /p?q=1", `{"a":["<b>"]}`, "application/json"},
		"form":     {"http_put", []any{"form", runtime.NewDict("a", "x y", "n", 1.5)}, "PUT /p?q=1", "a=x+y&n=1.5", "application/x-www-form-urlencoded"},
		"body":     {"http_patch", []any{"body", "text"}, "PATCH /p?q=1", "text", "text/plain; charset=utf-8"},
		"bytes":    {"http_post", []any{"body", []byte{0, 255}}, "POST /p?q=1", "\x00\xff", ""},
		"delete":   {"http_delete", nil, "DELETE /p?q=1", "", ""},
		"any":      {"http_request", []any{"method", "OPTIONS"}, "OPTIONS /p?q=1", "", ""},
		"own type": {"http_post", []any{"json", nil, "headers", runtime.NewDict("content-type", "application/x")}, "POST /p?q=1", "null", "application/x"},
	} {
		res := do(t, l, tc.kind, append([]any{"url", s.URL + "/p?q=1#frag"}, tc.args...)...)
		if got != tc.want || body != tc.body || header.Get("Content-Type") != tc.ctype {
			t.Errorf("%s: got %s %q %q", name, got, body, header.Get("Content-Type"))
		}
		if header.Get("Idempotency-Key") != "run1.3" {
			t.Errorf("%s: key %q", name, header.Get("Idempotency-Key"))
		}
		j, _ := get(res, "json").(runtime.JSON)
		if get(res, "ok") != true || get(res, "status") != int64(201) || get(res, "error") != nil ||
			get(res, "text") != `{"id": 7, "list": [1]}` || string(j) != `{"id": 7, "list": [1]}` ||
			get(res, "headers").(*runtime.Dict).Text("x-one") != "1" {
			t.Errorf("%s: result %v", name, res)
		}
	}
}

func TestHTTPFaultsAreResults(t *testing.T) {
	t.Parallel()
	hang := make(chan struct{})
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/500":
			w.WriteHeader(500)
			fmt.Fprint(w, "<html>oops</html>")
		case "/large":
			fmt.Fprint(w, strings.Repeat("x", 1001))
		case "/hang":
			<-hang
		case "/cut":
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, "short")
		case "/binary":
			fmt.Fprint(w, "a\xffb")
		case "/badjson":
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, "{nope")
		case "/number":
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, " 12 ")
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		case "/file":
			http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
		}
	})
	t.Cleanup(func() { close(hang) })
	closed := httptest.NewServer(nil)
	closed.Close()
	l := web(t, func(o *door.HTTPOptions) { o.MaxBody = 1000 }, host(s), host(closed))
	for path, want := range map[string]string{
		s.URL + "/500":     "http_500",
		s.URL + "/large":   "too_large",
		s.URL + "/cut":     "connection_failed",
		s.URL + "/loop":    "too_many_redirects",
		s.URL + "/file":    "address_refused",
		closed.URL + "/":   "connection_refused",
		s.URL + "/binary":  "",
		s.URL + "/badjson": "",
		s.URL + "/number":  "",
	} {
		res := do(t, l, "http_get", "url", path)
		if e, _ := get(res, "error").(string); e != want || get(res, "ok") != (want == "") {
			t.Errorf("%s: %v, want %q", path, res, want)
		}
		switch {
		case strings.HasSuffix(path, "/500") && get(res, "text") != "<html>oops</html>",
			strings.HasSuffix(path, "/binary") && get(res, "text") != "a\ufffdb",
			strings.HasSuffix(path, "/badjson") && get(res, "json") != nil,
			strings.HasSuffix(path, "/number") && get(res, "json") != int64(12):
			t.Errorf("%s: %v", path, res)
		}
	}
	if res := do(t, l, "http_get", "url", s.URL+"/hang", "timeout", 0.03); get(res, "error") != "timeout" || get(res, "status") != int64(0) {
		t.Errorf("hang: %v", res)
	}
}

func TestHTTPArgumentsAreErrors(t *testing.T) {
	t.Parallel()
	l := web(t, nil)
	for name, args := range map[string][]any{
		"no url":       {},
		"no scheme":    {"url", "example.com"},
		"ftp":          {"url", "ftp://example.com/"},
		"bad url":      {"url", "http://exa mple.com/%zz"},
		"two bodies":   {"url", "http://example.com/", "json", int64(1), "body", "x"},
		"header break": {"url", "http://example.com/", "headers", runtime.NewDict("X", "a\r\nY: b")},
		"header name":  {"url", "http://example.com/", "headers", runtime.NewDict("X Y", "a")},
		"framing":      {"url", "http://example.com/", "headers", runtime.NewDict("Content-Length", "3")},
		"timeout":      {"url", "http://example.com/", "timeout", "soon"},
		"json":         {"url", "http://example.com/", "json", runtime.Func{}},
		"unknown":      {"url", runtime.Secret{Parts: []runtime.SecretPart{{Name: "NOPE"}}}},
	} {
		if v, err := l["http_post"].Do(t.Context(), &door.Run{}, runtime.Effect{Kind: "http_post", Args: runtime.NewDict(args...)}); err == nil {
			t.Errorf("%s: %v", name, v)
		}
	}
	if _, err := l["http_request"].Do(t.Context(), &door.Run{}, runtime.Effect{Args: runtime.NewDict("method", "TRACE", "url", "http://example.com/")}); err == nil {
		t.Error("TRACE is taken")
	}
}

// resolver answers every name with one address, on a UDP socket of its own.
func resolver(t *testing.T, ip [4]byte) *net.Resolver {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pc.Close() })
	go func() {
		buf := make([]byte, 512)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			end := 12
			for end < n && buf[end] != 0 {
				end += int(buf[end]) + 1
			}
			question := buf[12 : end+5]
			isA := buf[end+2] == 1
			reply := append([]byte{buf[0], buf[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, question...)
			if isA {
				reply[7] = 1
				reply = append(reply, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, ip[0], ip[1], ip[2], ip[3])
			}
			_, _ = pc.WriteTo(reply, from)
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", pc.LocalAddr().String())
	}}
}

// TestSSRF holds that no way leads to a private address: not its spelling, not
// a name that resolves to it, not a redirect.
func TestSSRF(t *testing.T) {
	t.Parallel()
	var inner atomic.Int32
	private := serve(t, func(http.ResponseWriter, *http.Request) { inner.Add(1) })
	_, port, _ := net.SplitHostPort(host(private))
	var target atomic.Value
	open := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", target.Load().(string))
		w.WriteHeader(302)
	})
	l := web(t, func(o *door.HTTPOptions) { o.Resolver = resolver(t, [4]byte{127, 0, 0, 1}) }, host(open))
	for _, u := range []string{
		"http://127.0.0.1:" + port, "http://localhost:" + port, "http://rebound.example:" + port, "http://2130706433:" + port,
		"http://0x7f000001:" + port, "http://0177.0.0.1:" + port, "http://127.1:" + port, "http://0:" + port, "http://0.0.0.0:" + port,
		"http://[::1]:" + port, "http://[::]:" + port, "http://[::ffff:127.0.0.1]:" + port, "http://[::ffff:7f00:1]:" + port,
		"http://[64:ff9b::7f00:1]:" + port, "http://[::127.0.0.1]:" + port, "http://user:pw@127.0.0.1:" + port,
		"http://169.254.169.254/latest/meta-data/", "http://[fd00:ec2::254]/", "http://10.0.0.1/", "http://127.0.0.1:" + port + "#@example.com",
	} {
		if res := do(t, l, "http_get", "url", u); get(res, "error") != "address_refused" {
			t.Errorf("%s: %v", u, res)
		}
		target.Store(u)
		if res := do(t, l, "http_get", "url", open.URL); get(res, "error") != "address_refused" {
			t.Errorf("redirect to %s: %v", u, res)
		}
	}
	if inner.Load() != 0 {
		t.Errorf("the private server was reached %d times", inner.Load())
	}
	// The same name is reached once it is listed: the guard was what refused.
	listed := web(t, func(o *door.HTTPOptions) { o.Resolver = resolver(t, [4]byte{127, 0, 0, 1}) }, "rebound.example:"+port)
	if res := do(t, listed, "http_get", "url", "http://rebound.example:"+port); get(res, "ok") != true || inner.Load() != 1 {
		t.Errorf("listed name: %v", res)
	}
	cidr := web(t, nil, "127.0.0.0/8")
	if res := do(t, cidr, "http_get", "url", private.URL); get(res, "ok") != true {
		t.Errorf("listed network: %v", res)
	}
}

func TestRedirectsCarryNothingToAnotherHost(t *testing.T) {
	t.Parallel()
	var seen http.Header
	var body string
	other := serve(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		seen, body = r.Header, string(b)
	})
	var back atomic.Value
	bounce := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, back.Load().(string), http.StatusFound)
	})
	first := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/same":
			http.Redirect(w, r, "/end", http.StatusFound)
		case "/other":
			http.Redirect(w, r, other.URL, http.StatusFound)
		case "/other307":
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		case "/bounce":
			http.Redirect(w, r, bounce.URL, http.StatusFound)
		case "/end":
			seen = r.Header
		}
	})
	back.Store(first.URL + "/end")
	l := web(t, nil, host(first), host(other), host(bounce))
	headers := runtime.NewDict("Authorization", secret("Bearer ", ""), "X-Api-Key", secret("", ""), "Cookie", "a=b", "Accept", "text/x")
	leaks := func(h http.Header) bool {
		return h.Get("Authorization")+h.Get("X-Api-Key")+h.Get("Cookie")+h.Get("Referer") != ""
	}
	do(t, l, "http_get", "url", first.URL+"/same?k=v", "headers", headers)
	if seen.Get("X-Api-Key") != ciToken || seen.Get("Referer") != "" {
		t.Errorf("same host: %v", seen)
	}
	do(t, l, "http_get", "url", first.URL+"/other?k=v", "headers", headers)
	if leaks(seen) || seen.Get("Accept") != "text/x" {
		t.Errorf("other host: %v", seen)
	}
	do(t, l, "http_get", "url", first.URL+"/bounce", "headers", headers)
	if leaks(seen) {
		t.Errorf("back by way of another host: %v", seen)
	}
	body = ""
	if res := do(t, l, "http_post", "url", first.URL+"/other307", "body", "data"); get(res, "error") != "redirect_refused" || body != "" {
		t.Errorf("307 to another host: %v, body %q", res, body)
	}
}

func TestRedirectsStayWithinTheHostsOfTheRule(t *testing.T) {
	t.Parallel()
	reached := 0
	other := serve(t, func(http.ResponseWriter, *http.Request) { reached++ })
	first := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/other":
			http.Redirect(w, r, other.URL, http.StatusFound)
		case "/same":
			http.Redirect(w, r, "/end", http.StatusFound)
		}
	})
	l := web(t, nil, host(first), host(other))
	ask := func(path string, hosts ...string) *runtime.Dict {
		t.Helper()
		v, err := l["http_get"].Do(t.Context(), &door.Run{ID: "r", Hosts: hosts}, runtime.Effect{Kind: "http_get", Step: 1, Args: runtime.NewDict("url", first.URL+path)})
		if err != nil {
			t.Fatal(err)
		}
		return v.(*runtime.Dict)
	}
	if res := ask("/other", host(first)); get(res, "error") != "redirect_refused" || reached != 0 {
		t.Errorf("to a host that the rule does not name: %v, reached %d times", res, reached)
	}
	if res := ask("/same", host(first)); get(res, "ok") != true {
		t.Errorf("on the same host: %v", res)
	}
	if res := ask("/other", host(first), host(other)); get(res, "ok") != true || reached != 1 {
		t.Errorf("to another one that it names: %v, reached %d times", res, reached)
	}
	if res := ask("/other"); get(res, "ok") != true || reached != 2 {
		t.Errorf("without hosts: %v, reached %d times", res, reached)
	}
}

func TestRetryOnlyAsAsked(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	var keys []string
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		keys = append(keys, r.Header.Get("Idempotency-Key"))
		if calls.Add(1) < 3 {
			w.Header().Set("Retry-After", "2")
			w.WriteHeader(503)
		}
	})
	var waits []time.Duration
	m := metric.New("test")
	l := web(t, func(o *door.HTTPOptions) {
		o.Metrics = m
		o.Sleep = func(_ context.Context, d time.Duration) error { waits = append(waits, d); return nil }
	}, host(s))
	if res := do(t, l, "http_post", "url", s.URL); get(res, "error") != "http_503" || calls.Load() != 1 {
		t.Errorf("%v after %d calls", res, calls.Load())
	}
	calls.Store(0)
	if res := do(t, l, "http_post", "url", s.URL, "retry", int64(4)); get(res, "ok") != true || calls.Load() != 3 {
		t.Errorf("%v after %d calls", res, calls.Load())
	}
	if fmt.Sprint(waits) != "[2s 2s]" || keys[1] != keys[3] {
		t.Errorf("waits %v, keys %v", waits, keys)
	}
	calls.Store(3)
	s2 := serve(t, func(w http.ResponseWriter, r *http.Request) { calls.Add(1); w.WriteHeader(404) })
	l = web(t, nil, host(s2))
	if res := do(t, l, "http_get", "url", s2.URL, "retry", int64(5)); get(res, "error") != "http_404" || calls.Load() != 4 {
		t.Errorf("404 is retried: %v", res)
	}
}

// TestSecretsNeverLeak sends a secret in every place to a server that repeats
// all of it in every form, and looks for it in results, errors and logs.
func TestSecretsNeverLeak(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	sent := false
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		sent = sent || strings.Contains(r.Header.Get("Authorization"), ciToken)
		w.Header().Set("X-Echo", r.Header.Get("X-Key"))
		w.Header().Set("Location", "http://127.0.0.1:1/?"+r.URL.RawQuery)
		if r.URL.Path == "/redirect" {
			w.WriteHeader(302)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		q, _ := runtime.AppendJSON(nil, runtime.NewDict("query", r.URL.RawQuery, "body", string(b), "auth", r.Header.Get("Authorization"),
			"plain", ciToken, ciToken, "key", "b64", base64.StdEncoding.EncodeToString([]byte(ciToken)), "list", []runtime.Value{url.PathEscape(ciToken)}))
		_, _ = w.Write(q)
	})
	l := web(t, func(o *door.HTTPOptions) {
		o.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}, host(s))
	var all strings.Builder
	try := func(args ...any) {
		v, err := l["http_post"].Do(t.Context(), &door.Run{ID: "r"}, runtime.Effect{Kind: "http_post", Args: runtime.NewDict(args...)})
		b, jerr := runtime.AppendJSON(nil, v)
		fmt.Fprintf(&all, "%s %v %v\n", b, err, jerr)
		if d, ok := v.(*runtime.Dict); ok {
			fmt.Fprintf(&all, "%v\n", d.Text("text"))
		}
	}
	auth := runtime.NewDict("Authorization", secret("Bearer ", ""), "X-Key", "plain")
	try("url", s.URL, "headers", auth, "json", runtime.NewDict("deep", []runtime.Value{secret("a", "b")}))
	try("url", s.URL, "headers", auth, "body", secret("", ""))
	try("url", s.URL, "headers", auth, "form", runtime.NewDict("k", secret("", "")), "params", runtime.NewDict("q", secret("", "")))
	try("url", secret(s.URL+"/?k=", ""), "headers", auth)
	try("url", secret("", "://bad"), "headers", auth)
	try("url", secret(s.URL+"/redirect?k=", ""), "headers", auth)
	try("url", "http://127.0.0.1:1/", "headers", auth)
	try("url", s.URL, "headers", runtime.NewDict("bad name", secret("", "")))
	try("url", s.URL, "headers", runtime.NewDict("X", secret("\n", "")))
	if !sent {
		t.Error("the server never got the secret")
	}
	out := all.String() + log.String()
	for _, form := range []string{ciToken, "t0p", "s3cret", url.QueryEscape(ciToken), base64.StdEncoding.EncodeToString([]byte(ciToken))[:12]} {
		if strings.Contains(out, form) {
			t.Errorf("output shows %q:\n%s", form, out)
		}
	}
	if !strings.Contains(out, "***") {
		t.Errorf("nothing is masked:\n%s", out)
	}
}

func TestSecretsAreRefusedWhereTheyCouldBeReadBack(t *testing.T) {
	t.Parallel()
	l := kvLive(t)
	_, err := l["kv.set"].Do(t.Context(), &door.Run{ID: "r", Script: "a.star"}, runtime.Effect{Kind: "kv.set", Step: 1, Args: runtime.NewDict("key", "k", "value", []runtime.Value{secret("", "")})})
	if err == nil || strings.Contains(err.Error(), "t0p") {
		t.Errorf("kv.set: %v", err)
	}
}

func TestHMAC(t *testing.T) {
	t.Parallel()
	l := web(t, nil)
	for want, args := range map[string][]any{
		"9307b3b915efb5171ff14d8cb55fbcc798c6c0ef1456d66ded1a6aa723a58b7b": {"key", "key", "msg", "hello"},
		"b34ceac4516ff23a143e61d79d0fa7a4fbe5f266":                         {"key", "key", "msg", []byte("hello"), "algorithm", "sha1"},
	} {
		v, err := l["hash.hmac"].Do(t.Context(), &door.Run{}, runtime.Effect{Kind: "hash.hmac", Args: runtime.NewDict(args...)})
		if err != nil || v != want {
			t.Errorf("got %v, %v; want %s", v, err, want)
		}
	}
	a, _ := l["hash.hmac"].Do(t.Context(), &door.Run{}, runtime.Effect{Args: runtime.NewDict("key", secret("", ""), "msg", "x")})
	b, _ := l["hash.hmac"].Do(t.Context(), &door.Run{}, runtime.Effect{Args: runtime.NewDict("key", ciToken, "msg", "x")})
	if a != b || a == nil {
		t.Errorf("secret key: %v, plain key: %v", a, b)
	}
	if _, err := l["hash.hmac"].Do(t.Context(), &door.Run{}, runtime.Effect{Args: runtime.NewDict("key", "k", "msg", "x", "algorithm", "crc")}); err == nil {
		t.Error("crc is taken")
	}
}

func TestProxy(t *testing.T) {
	t.Parallel()
	var asked string
	proxy := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.String()
		fmt.Fprint(w, "by proxy")
	})
	l := web(t, func(o *door.HTTPOptions) { o.Proxy = proxy.URL })
	if res := do(t, l, "http_get", "url", "http://some.example/x"); get(res, "text") != "by proxy" || asked != "http://some.example/x" {
		t.Errorf("%v, proxy was asked for %q", res, asked)
	}
	if res := do(t, l, "http_get", "url", "http://127.0.0.1/x"); get(res, "error") != "address_refused" {
		t.Errorf("private address through the proxy: %v", res)
	}
	if _, err := door.NewHTTP(door.HTTPOptions{Proxy: "socks4://user:pw@x"}); err == nil || strings.Contains(err.Error(), "pw") {
		t.Errorf("bad proxy: %v", err)
	}
}

func TestHTTPCancelled(t *testing.T) {
	t.Parallel()
	hang := make(chan struct{})
	s := serve(t, func(http.ResponseWriter, *http.Request) { <-hang })
	t.Cleanup(func() { close(hang) })
	l := web(t, nil, host(s))
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("drained")
	time.AfterFunc(10*time.Millisecond, func() { cancel(why) })
	if _, err := l["http_get"].Do(ctx, &door.Run{}, runtime.Effect{Kind: "http_get", Args: runtime.NewDict("url", s.URL)}); !errors.Is(err, why) {
		t.Errorf("got %v", err)
	}
}

func TestRepeatOfHTTP(t *testing.T) {
	t.Parallel()
	l := web(t, nil)
	for name, tc := range map[string]struct {
		kind string
		args *runtime.Dict
		want door.Repeat
	}{
		"get":              {"http_get", nil, door.Again},
		"put":              {"http_put", nil, door.Again},
		"delete":           {"http_delete", nil, door.Again},
		"post":             {"http_post", nil, door.Never},
		"patch":            {"http_patch", nil, door.Never},
		"idempotent post":  {"http_post", runtime.NewDict("idempotent", true), door.Again},
		"request head":     {"http_request", runtime.NewDict("method", "head"), door.Again},
		"request post":     {"http_request", runtime.NewDict("method", "POST"), door.Never},
		"hmac":             {"hash.hmac", nil, door.Again},
		"idempotent=False": {"http_post", runtime.NewDict("idempotent", false), door.Never},
	} {
		if got := l[tc.kind].Repeat(runtime.Effect{Kind: tc.kind, Args: tc.args}); got != tc.want {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}
