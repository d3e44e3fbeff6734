package socket_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/starling-rules/starling/engine/socket"
)

// Each state of slack-go's that has to do with connections is told, is a line of
// the log, and shows in the state of the connection if it changes that.
func TestEachStateIsToldAndLogged(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	s := &sink{hold: hold}
	f := newFakeSlack(t)
	f.open = func(w http.ResponseWriter, n int) bool {
		switch n {
		case 1:
			fmt.Fprint(w, `{"ok":false,"error":"internal_error"}`)
			return true
		case 4:
			fmt.Fprint(w, `{"ok":false,"error":"token_revoked"}`)
			return true
		}
		return false
	}
	r := connect(t, f, socket.Options{Sink: s})
	seen := map[string]socket.Life{}
	want := func(typ string) socket.Life {
		t.Helper()
		l := r.life(t, typ)
		if l.Connection != 1 || l.At.IsZero() {
			t.Errorf("%s: got %+v", typ, l)
		}
		seen[typ] = l
		return l
	}
	if l := want("connecting"); l.Count != 1 || l.Attempt != 1 {
		t.Errorf("got %+v", l)
	}
	if l := want("connection_error"); l.Error != "internal_error" || l.Backoff <= 0 {
		t.Errorf("got %+v", l)
	}
	if l := want("connecting"); l.Attempt != 2 {
		t.Errorf("got %+v", l)
	}
	if l := want("connected"); l.Count != 1 {
		t.Errorf("got %+v", l)
	}
	if l := want("hello"); l.Host != "applink-1" || l.Connections != 1 || l.Build != 12 || l.App != "A0APP" || l.Lifetime != 18060 {
		t.Errorf("got %+v", l)
	}
	p := next(t, r.hello, "hello")
	if st := r.client.State()[0]; st.State != "hello" || st.Host != "applink-1" || st.Opened != 1 || st.String() != "hello" {
		t.Errorf("state is %+v", st)
	}
	p.send("no JSON")
	if l := want("error_bad_message"); !strings.Contains(l.Error, "in a frame of 7 bytes") || strings.Contains(l.Error, "no JSON") {
		t.Errorf("got %+v", l)
	}
	if st := r.client.State()[0]; st.State != "hello" {
		t.Errorf("after a bad frame the state is %+v", st)
	}
	p.message("Ev1", "hi")
	p.wasRead()
	p.send(`{"type":"disconnect","reason":"refresh_requested","debug_info":{"host":"applink-1"}}`)
	if l := want("disconnect"); l.Reason != "refresh_requested" || l.Host != "applink-1" {
		t.Errorf("got %+v", l)
	}
	if l := want("connected"); l.Count != 2 {
		t.Errorf("got %+v", l)
	}
	fresh := next(t, r.hello, "second hello")
	_ = p.UnderlyingConn().Close() // with an event that is not acked
	want("incoming_error")
	close(hold)
	if l := want("write_error"); l.Envelope != "env-Ev1" || l.Error == "" {
		t.Errorf("got %+v", l)
	}
	_ = fresh.UnderlyingConn().Close()
	if l := want("invalid_auth"); l.Error != "token_revoked" {
		t.Errorf("got %+v", l)
	}
	err := next(t, r.ended, "end")
	r.ended <- err
	if st := r.client.State()[0]; st.String() != "invalid_auth: token_revoked" {
		t.Errorf("at the end the state is %+v", st)
	}
	log := r.log.String()
	for typ := range seen {
		level := "INFO"
		switch typ {
		case "invalid_auth":
			level = "ERROR"
		case "connection_error", "incoming_error", "write_error", "error_bad_message":
			level = "WARN"
		}
		if line := "level=" + level + " msg=socket state=" + typ + " connection=1 bot=helper"; !strings.Contains(log, line) {
			t.Errorf("no line %q in the log:\n%s", line, log)
		}
	}
	if len(seen) != 9 {
		t.Errorf("%d states are seen", len(seen))
	}
}

func TestLinkDisabledInPlaceOfAGreetingEndsRun(t *testing.T) {
	t.Parallel()
	f := newFakeSlack(t)
	f.greet = func(p *peer) bool {
		p.send(`{"type":"disconnect","reason":"link_disabled","debug_info":{"host":"applink-1"}}`)
		return true
	}
	r := connect(t, f, socket.Options{Connections: 2})
	err := next(t, r.ended, "end")
	r.ended <- err
	if f, ok := errors.AsType[*socket.Fatal](err); !ok || f.Reason != "link_disabled" {
		t.Errorf("got %v", err)
	}
	for _, st := range r.client.State() {
		if st.String() != "disconnect: link_disabled" {
			t.Errorf("the state is %q", st)
		}
	}
}

func TestTooManyConnectionsAreTriedAgain(t *testing.T) {
	t.Parallel()
	f := newFakeSlack(t)
	f.greet = func(p *peer) bool {
		if p.n <= 2 {
			p.send(`{"type":"disconnect","reason":"too_many_websockets"}`)
		}
		return p.n <= 2
	}
	r := connect(t, f, socket.Options{})
	for range 2 {
		if l := r.life(t, "connection_error"); !strings.Contains(l.Error, "too_many_websockets") {
			t.Errorf("got %+v", l)
		}
	}
	next(t, r.hello, "hello")
}

// Slack takes connections and leaves none open: it is not stormed.
func TestConnectionsThatDoNotLastAreOpenedLessAndLessOften(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*peer){
		"cut":     func(p *peer) { _ = p.UnderlyingConn().Close() },
		"refresh": func(p *peer) { p.send(`{"type":"disconnect","reason":"refresh_requested"}`) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var now atomic.Int64
			f := newFakeSlack(t)
			r := connect(t, f, socket.Options{MaxBackoff: 30 * time.Millisecond}, func(o *socket.Options) {
				o.Now, o.Rand = func() time.Time { return time.Unix(now.Load(), 0) }, func() float64 { return 1 }
			})
			for range 8 {
				end(next(t, r.hello, "hello"))
			}
			wait := 0.001
			for i := range 6 {
				l := r.life(t, "connection_error")
				if l.Backoff != wait || !strings.Contains(l.Error, fmt.Sprint(i+2, " connections in a row")) {
					t.Errorf("%d: got %+v, want a wait of %v s", i, l, wait)
				}
				wait = min(2*wait, 0.03)
			}
			// One that lasts ends the row.
			last := next(t, r.hello, "hello")
			for r.life(t, "hello").Host != "applink-9" {
			}
			now.Add(60)
			end(last)
			end(next(t, r.hello, "hello"))
			for {
				switch l := next(t, r.lives, "another hello"); {
				case l.Type == "hello" && l.Host == "applink-11":
					return
				case l.Type == "connection_error" && l.At.Unix() >= 60:
					t.Fatalf("got %+v", l)
				}
			}
		})
	}
}

func TestRateLimitsOfOpeningAreKept(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		after string
		want  float64
	}{"with a time": {"7", 7}, "without": {"", 30}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFakeSlack(t)
			f.open = func(w http.ResponseWriter, _ int) bool {
				if c.after != "" {
					w.Header().Set("Retry-After", c.after)
				}
				w.WriteHeader(http.StatusTooManyRequests)
				return true
			}
			r := connect(t, f, socket.Options{})
			if l := r.life(t, "connection_error"); l.Backoff != c.want {
				t.Errorf("got %+v", l)
			}
			r.stop() // does not wait for it
			if err := next(t, r.ended, "end"); err != nil {
				t.Error(err)
			}
			r.ended <- nil
		})
	}
}

// A link that is left is closed as WebSockets are, when Slack has read the acks.
func TestLinksAreClosedWithAFarewell(t *testing.T) {
	t.Parallel()
	r := connect(t, newFakeSlack(t), socket.Options{})
	old := next(t, r.hello, "hello")
	const n = 100
	for i := range n {
		old.message(fmt.Sprint("Ev", i), "hi")
	}
	old.send(`{"type":"disconnect","reason":"refresh_requested"}`)
	next(t, r.hello, "second hello")
	if p := next(t, r.gone, "end of the old connection"); p != old || !websocket.IsCloseError(p.end, websocket.CloseNormalClosure) {
		t.Errorf("connection %d ended with %v", p.n, p.end)
	}
	if len(r.acks) != n {
		t.Errorf("%d of %d are acked", len(r.acks), n)
	}
}

func TestProcessesOfOneServerAreNoStrangers(t *testing.T) {
	t.Parallel()
	f := newFakeSlack(t)
	f.numbers = func(int) int { return 3 }
	r := connect(t, f, socket.Options{Shared: true})
	if l := r.life(t, "hello"); l.Others != 2 {
		t.Errorf("got %+v", l)
	}
	r.stop()
	r.end(t)
	if strings.Contains(r.log.String(), "another client is connected") {
		t.Errorf("the log says\n%s", r.log)
	}
}

// Slack wants connections replaced some time after they were opened: not all at
// the same time.
func TestConnectionsAreOpenedOneAfterTheOther(t *testing.T) {
	t.Parallel()
	const stagger = 150 * time.Millisecond
	r := connect(t, newFakeSlack(t), socket.Options{Connections: 3}, func(o *socket.Options) { o.Stagger = stagger })
	var last time.Time
	for n := 1; n <= 3; {
		l := next(t, r.lives, "life")
		switch {
		case l.Type == "connecting" && l.Connection == n && n > 1 && l.At.Sub(last) < stagger:
			t.Errorf("connection %d is opened %v after the one before", n, l.At.Sub(last))
		case l.Type == "hello":
			last = l.At
			n++
		}
	}
}

// Dialer, TLS and HTTP client are the embedder's if wanted.
func TestConnectionsAreDialedAsToldOverTLS(t *testing.T) {
	t.Parallel()
	f := newFakeSlack(t)
	secure := httptest.NewTLSServer(f.routes())
	t.Cleanup(secure.Close)
	f.open = func(w http.ResponseWriter, _ int) bool {
		fmt.Fprintf(w, `{"ok":true,"url":"wss%s/link?ticket=t&app_id=A0APP"}`, strings.TrimPrefix(secure.URL, "https"))
		return true
	}
	roots := x509.NewCertPool()
	roots.AddCert(secure.Certificate())
	var dialed atomic.Int32
	r := connect(t, f, socket.Options{
		APIURL: secure.URL + "/api/", HTTP: secure.Client(), TLS: &tls.Config{RootCAs: roots},
		Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			dialed.Add(1)
			return (&net.Dialer{}).DialContext(ctx, network, addr)
		},
	})
	next(t, r.hello, "hello").message("Ev1", "hi")
	next(t, r.acks, "ack")
	if n := dialed.Load(); n != 1 {
		t.Errorf("the dialer was used %d times", n)
	}
}

func TestWebSocketsGoThroughTheProxy(t *testing.T) {
	t.Parallel()
	var asked atomic.Pointer[string]
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			t.Errorf("the proxy is asked to %s", r.Method)
			return
		}
		who := r.Header.Get("Proxy-Authorization")
		asked.Store(&who)
		tunnel(w, r)
	}))
	t.Cleanup(proxy.Close)
	u, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("me", "secret")
	r := connect(t, newFakeSlack(t), socket.Options{Proxy: http.ProxyURL(u)})
	next(t, r.hello, "hello").message("Ev1", "hi")
	next(t, r.acks, "ack")
	if who := asked.Load(); who == nil || *who == "" {
		t.Error("the proxy is not used, or not told who asks")
	}
}

// tunnel is what a proxy does for CONNECT.
func tunnel(w http.ResponseWriter, r *http.Request) {
	up, err := net.Dial("tcp", r.Host)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	down, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		_ = up.Close()
		return
	}
	_, _ = down.Write([]byte("HTTP/1.1 200 OK\r\n\r\n"))
	for _, way := range [][2]net.Conn{{up, down}, {down, up}} {
		go func() {
			_, _ = way[0].(*net.TCPConn).ReadFrom(way[1])
			_ = way[0].Close()
		}()
	}
}
