package engine_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/starling-rules/starling/engine"
	"github.com/starling-rules/starling/engine/socket"
	"github.com/starling-rules/starling/runtime"
)

// socketSlack is a Slack that hands out one connection after the other, and
// envelopes as the test wants them.
type socketSlack struct {
	t    *testing.T
	ws   chan *websocket.Conn
	acks chan socketAck
}

type socketAck struct {
	EnvelopeID string          `json:"envelope_id"`
	Payload    json.RawMessage `json:"payload"`
}

func newSocketSlack(t *testing.T) (s *socketSlack, apiURL string) {
	s = &socketSlack{t: t, ws: make(chan *websocket.Conn, 10), acks: make(chan socketAck, 100)}
	mux := http.NewServeMux()
	ts := httptest.NewServer(mux)
	t.Cleanup(ts.Close)
	mux.HandleFunc("/api/{method}", func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("method") != "apps.connections.open" {
			fmt.Fprint(w, `{"ok":true,"user_id":"UBOT","team_id":"T1","ts":"1.1"}`)
			return
		}
		fmt.Fprintf(w, `{"ok":true,"url":"ws%s/link?ticket=secret-ticket"}`, strings.TrimPrefix(ts.URL, "http"))
	})
	mux.HandleFunc("/link", func(w http.ResponseWriter, r *http.Request) {
		ws, err := (&websocket.Upgrader{}).Upgrade(w, r, nil)
		if err != nil {
			return
		}
		_ = ws.WriteMessage(websocket.TextMessage, []byte(`{"type":"hello","num_connections":1,"debug_info":{"host":"applink-1"},"connection_info":{"app_id":"A1"}}`))
		s.ws <- ws
		for {
			var a socketAck
			if ws.ReadJSON(&a) != nil {
				return
			}
			s.acks <- a
		}
	})
	return s, ts.URL + "/api/"
}

// only has a rig take events from s as well, over one connection.
func (s *socketSlack) only(api string, more ...func(*engine.Options)) func(*engine.Options) {
	return func(o *engine.Options) {
		o.Config.Slack.APIURL, o.Config.Slack.AppToken, o.Config.Slack.Socket.Connections = api, "xapp-secret", 1
		for _, change := range more {
			change(o)
		}
	}
}

func (s *socketSlack) greeted() *websocket.Conn {
	s.t.Helper()
	select {
	case ws := <-s.ws:
		return ws
	case <-time.After(20 * time.Second):
		s.t.Fatal("nobody connects")
		return nil
	}
}

func (s *socketSlack) ack() socketAck {
	s.t.Helper()
	select {
	case a := <-s.acks:
		return a
	case <-time.After(20 * time.Second):
		s.t.Fatal("no ack")
		return socketAck{}
	}
}

func deliver(ws *websocket.Conn, kind, envelope string, payload []byte) {
	_ = ws.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, `{"envelope_id":%q,"type":%q,"accepts_response_payload":%t,"payload":%s}`,
		envelope, kind, kind != "events_api", payload))
}

// fieldsOf is a form as Socket Mode carries it.
func fieldsOf(t *testing.T, form []byte) []byte {
	t.Helper()
	v, err := url.ParseQuery(string(form))
	if err != nil {
		t.Fatal(err)
	}
	fields := map[string]string{}
	for k := range v {
		fields[k] = v.Get(k)
	}
	if payload, ok := fields["payload"]; ok {
		return []byte(payload)
	}
	b, _ := json.Marshal(fields)
	return b
}

// Slack may deliver by both ways, one and the same event too: it runs once, and
// each way gets its answer.
func TestHTTPAndSocketModeShareOneDedupe(t *testing.T) {
	t.Parallel()
	s, api := newSocketSlack(t)
	r := newRig(t, map[string]string{"a.star": `
on.message("^m", lambda e: probe.see(at = e.text) and None)
on.command("/x", lambda e: probe.see(at = e.text) and "did " + e.text)
on.options("city", lambda e: probe.see(at = "options " + e.options_query) and [ui.option("Paris", "p")])
on.action("go", lambda e: probe.see(at = "action") and None)
`}, s.only(api))
	ws := s.greeted()
	other := &slack{Server: &httptest.Server{URL: "http://127.0.0.1"}}
	runs := 0
	want := func(what string, n int) {
		t.Helper()
		runs += n
		r.wait(runs)
		eventually(t, "everything is settled", func() bool { q, err := r.Operator().Queue(t.Context(), 0); return err == nil && q.Pending == 0 })
		if got := texts(r.all()); len(got) != runs {
			t.Fatalf("%s: %d runs, want %d: %q", what, len(got), runs, got)
		}
	}

	http200 := func(path, kind string, body []byte, want string) {
		t.Helper()
		if status, got := r.send(path, kind, body); status != http.StatusOK || got != want {
			t.Errorf("HTTP: %d %s, want %s", status, got, want)
		}
	}
	acked := func(envelope, want string) {
		t.Helper()
		if a := s.ack(); a.EnvelopeID != envelope || string(a.Payload) != want {
			t.Errorf("socket: %s %s, want %s %s", a.EnvelopeID, a.Payload, envelope, want)
		}
	}

	http200("/slack/events", jsonBody, message("1", "m1"), "")
	deliver(ws, "events_api", "e1", message("1", "m1"))
	acked("e1", "")
	want("over HTTP, then over the socket", 1)

	deliver(ws, "events_api", "e2", message("2", "m2"))
	acked("e2", "")
	http200("/slack/events", jsonBody, message("2", "m2"), "")
	want("over the socket, then over HTTP", 1)

	var both sync.WaitGroup
	const n = 50
	both.Go(func() {
		for i := range n {
			deliver(ws, "events_api", fmt.Sprint("f", i), message(fmt.Sprint("f", i), "m"))
		}
	})
	both.Go(func() {
		for i := range n {
			r.send("/slack/events", jsonBody, message(fmt.Sprint("f", i), "m"))
		}
	})
	both.Wait()
	for range n {
		s.ack()
	}
	want("both at the same time", n)

	// Commands: each way has its answer; a copy by the other way runs nothing.
	command := other.command("/x", "web", "trig1")
	http200("/slack/commands", formBody, command, `{"text":"did web"}`)
	deliver(ws, "slash_commands", "c1", fieldsOf(t, command))
	acked("c1", "")
	command = other.command("/x", "socket", "trig2")
	deliver(ws, "slash_commands", "c2", fieldsOf(t, command))
	acked("c2", `{"text":"did socket"}`)
	http200("/slack/commands", formBody, command, "")
	want("commands", 2)

	// Interactions, with a trigger_id and without.
	action := other.interaction("block_actions", "trig3", map[string]any{"actions": []any{map[string]any{"type": "button", "action_id": "go", "block_id": "b", "value": "1", "action_ts": "1.2"}}})
	deliver(ws, "interactive", "i1", fieldsOf(t, action))
	acked("i1", "")
	http200("/slack/interactive", formBody, action, "")
	suggestion := other.interaction("block_suggestion", "", map[string]any{"action_id": "city", "block_id": "b", "value": "par", "action_ts": "1.3"})
	deliver(ws, "interactive", "i2", fieldsOf(t, suggestion))
	if a := s.ack(); !strings.Contains(string(a.Payload), "Paris") {
		t.Errorf("options: %s", a.Payload)
	}
	want("interactions", 2)

	var metrics string
	eventually(t, "metrics", func() bool {
		res, err := http.Get("http://" + r.AdminAddr().String() + "/metrics")
		if err != nil {
			return false
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		metrics = string(b)
		return err == nil
	})
	for _, line := range []string{
		`starling_ack_seconds_count{transport="socket"}`, `starling_ack_seconds_count{transport="http"}`,
		`starling_events_total{outcome="duplicate",transport="socket",type="message"}`, `starling_events_total{outcome="stored",transport="socket",type="command"} 1`,
		`starling_socket_connections 1`,
	} {
		if !strings.Contains(metrics, line) {
			t.Errorf("no %s in the metrics", line)
		}
	}
}

// Each state is an event for rules and a metric; operators see how it is.
func TestStatesOfConnectionsReachRulesMetricsAndOperators(t *testing.T) {
	t.Parallel()
	s, api := newSocketSlack(t)
	lives := make(chan func(socket.Life), 1)
	r := newRig(t, map[string]string{"a.star": `
on.event("starling.socket", lambda e: probe.see(at = e.raw["event"]["state"], why = e.raw["event"].get("reason", "")) and None)
on.event("malformed", lambda e: probe.see(at = "malformed", why = e.raw["type"]) and None)
`}, s.only(api, func(o *engine.Options) { o.Socket = func(so *socket.Options) { lives <- so.OnLife } }))
	ws := s.greeted()
	first := texts(r.wait(3))
	slices.Sort(first)
	if strings.Join(first, " ") != "connected connecting hello" {
		t.Errorf("got %q", first)
	}
	live := <-lives
	for i, state := range []string{"disconnect", "invalid_auth", "connection_error", "incoming_error", "write_error", "error_bad_message"} {
		live(socket.Life{Type: state, Connection: 1, Reason: "warning", At: time.Now().Add(time.Duration(i))})
		all := r.wait(4 + i)
		if last := all[len(all)-1]; last.Text("at") != state || last.Text("why") != "warning" {
			t.Errorf("got %v, want %s", last, state)
		}
	}
	deliver(ws, "brand_new", "e1", []byte(`{"a":1}`)) // of a type that nobody knows yet
	if a := s.ack(); a.EnvelopeID != "e1" {
		t.Errorf("got %+v", a)
	}
	if all := r.wait(11); !slices.ContainsFunc(all, func(d *runtime.Dict) bool { return d.Text("at") == "malformed" && d.Text("why") == "brand_new" }) {
		t.Errorf("got %q", texts(all))
	}
	res, err := http.Get("http://" + r.AdminAddr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	metrics, _ := io.ReadAll(res.Body)
	for _, state := range []string{"connecting", "connected", "hello", "disconnect", "invalid_auth", "connection_error", "incoming_error", "write_error"} {
		if line := fmt.Sprintf("starling_socket_events_total{state=%q} 1", state); !strings.Contains(string(metrics), line) {
			t.Errorf("no %s in the metrics", line)
		}
	}
	var ready struct {
		Ready  bool               `json:"ready"`
		Socket []socket.ConnState `json:"socket"`
	}
	r.adminGet("/readyz", &ready)
	if !ready.Ready || len(ready.Socket) != 1 || ready.Socket[0].Number != 1 || ready.Socket[0].State != "hello" || ready.Socket[0].Host != "applink-1" {
		t.Errorf("readyz: %+v", ready)
	}
	if status := r.Status(); len(status.Socket) != 1 || status.Socket[0].Opened != 1 {
		t.Errorf("status: %+v", status)
	}
}

// slack.socket.proxy is for the call that opens a connection, and for the
// connection.
func TestTheProxyOfTheConfigurationCarriesSocketMode(t *testing.T) {
	t.Parallel()
	s, api := newSocketSlack(t)
	var calls, tunnels atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			calls.Add(1)
			forward(w, r)
			return
		}
		tunnels.Add(1)
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
				_, _ = io.Copy(way[0], way[1])
				_ = way[0].Close()
			}()
		}
	}))
	t.Cleanup(proxy.Close)
	newRig(t, map[string]string{"a.star": `on.message("x", lambda e: None)`}, s.only(api, func(o *engine.Options) { o.Config.Slack.Socket.Proxy = proxy.URL }))
	ws := s.greeted()
	deliver(ws, "events_api", "e1", message("1", "x"))
	s.ack()
	if calls.Load() != 1 || tunnels.Load() != 1 {
		t.Errorf("the proxy has seen %d calls and %d connections", calls.Load(), tunnels.Load())
	}
}

func forward(w http.ResponseWriter, r *http.Request) {
	out := r.Clone(r.Context())
	out.RequestURI = ""
	res, err := http.DefaultTransport.RoundTrip(out)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer res.Body.Close()
	w.WriteHeader(res.StatusCode)
	_, _ = io.Copy(w, res.Body)
}
