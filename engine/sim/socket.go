package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// Slack's limits of Socket Mode.
const (
	maxSockets     = 10     // connections of an app
	maxSocketFrame = 20_480 // bytes that an app may send in a frame
	ticketLife     = 30 * time.Second
	socketLife     = 18_060 // seconds that hello speaks of
)

// socketMode is Slack's side of Socket Mode: tickets, connections, and the
// envelopes that wait for their acks.
type socketMode struct {
	s        *Server
	upgrader websocket.Upgrader

	mu      sync.Mutex
	closed  bool
	tickets map[string]time.Time
	conns   []*socketConn
	turn    int           // whose turn it is
	changed chan struct{} // closed, and made anew, when there is another connection
	serving sync.WaitGroup
}

// socketConn is a connection of the app.
type socketConn struct {
	m    *socketMode
	ws   *websocket.Conn
	n    int
	gone chan struct{}

	writing sync.Mutex
	mu      sync.Mutex
	waiting map[string]chan json.RawMessage // by envelope_id: its ack
	leaving bool                            // told to go: it still gets envelopes if there is no other
}

func newSocketMode(s *Server) *socketMode {
	return &socketMode{
		s: s, tickets: map[string]time.Time{}, changed: make(chan struct{}),
		// Clients send an Origin of Slack's (slack-go) or none: a ticket is what
		// lets one in, and pages cannot get any.
		upgrader: websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }, WriteBufferSize: 64 << 10},
	}
}

// SocketConnections is how many connections the app has open.
func (s *Server) SocketConnections() int {
	s.sockets.mu.Lock()
	defer s.sockets.mu.Unlock()
	return len(s.sockets.conns)
}

// DisconnectSockets asks the app to replace its connections, for one of Slack's
// reasons: "warning", "refresh_requested", "link_disabled",
// "too_many_websockets". With the reason "drop" they are cut without a word.
// It returns how many there were.
func (s *Server) DisconnectSockets(reason string) int {
	s.sockets.mu.Lock()
	conns := append([]*socketConn(nil), s.sockets.conns...)
	s.sockets.mu.Unlock()
	for _, c := range conns {
		c.disconnect(reason)
	}
	return len(conns)
}

// DisconnectSocket does the same to one connection: the oldest.
func (s *Server) DisconnectSocket(reason string) {
	s.sockets.mu.Lock()
	var oldest *socketConn
	for _, c := range s.sockets.conns {
		if c.mu.Lock(); !c.leaving && oldest == nil {
			oldest = c
		}
		c.mu.Unlock()
	}
	s.sockets.mu.Unlock()
	if oldest != nil {
		oldest.disconnect(reason)
	}
}

// connectionsOpen is apps.connections.open: the address of one connection.
func connectionsOpen(c *call) (Block, error) {
	m := c.s.sockets
	ticket := strings.ToLower(c.w.random(32))
	m.mu.Lock()
	defer m.mu.Unlock()
	now := c.w.now()
	for t, at := range m.tickets {
		if now.Sub(at) > ticketLife {
			delete(m.tickets, t)
		}
	}
	m.tickets[ticket] = now
	return Block{"url": fmt.Sprintf("ws%s/link/?ticket=%s&app_id=%s", strings.TrimPrefix(c.s.URL(), "http"), ticket, c.w.app.ID)}, nil
}

// serveLink takes a connection with a ticket.
func (m *socketMode) serveLink(w http.ResponseWriter, r *http.Request) {
	ticket := r.URL.Query().Get("ticket")
	m.mu.Lock()
	at, ok := m.tickets[ticket]
	delete(m.tickets, ticket)
	if m.closed {
		ok = false
	}
	if ok {
		m.serving.Add(1)
	}
	m.mu.Unlock()
	if ok {
		defer m.serving.Done()
	}
	if !ok || m.s.now().Sub(at) > ticketLife {
		m.linked(r, http.StatusForbidden, "no such ticket")
		http.Error(w, "no such ticket", http.StatusForbidden)
		return
	}
	ws, err := m.upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer ws.Close()
	c := &socketConn{m: m, ws: ws, gone: make(chan struct{}), waiting: map[string]chan json.RawMessage{}}
	m.mu.Lock()
	if m.closed || len(m.conns) >= maxSockets {
		m.mu.Unlock()
		m.linked(r, http.StatusSwitchingProtocols, "too_many_websockets")
		c.send(Block{"type": "disconnect", "reason": "too_many_websockets", "debug_info": Block{"host": "applink-local"}})
		return
	}
	m.turn++
	c.n = m.turn
	c.writing.Lock() // until hello is written: no envelope comes before it
	m.conns = append(m.conns, c)
	count := len(m.conns)
	m.mu.Unlock()
	defer m.remove(c)
	c.write(Block{
		"type": "hello", "num_connections": count, "connection_info": Block{"app_id": m.s.world.app.ID},
		"debug_info": Block{"host": fmt.Sprintf("applink-local-%d", c.n), "build_number": 1, "approximate_connection_time": socketLife},
	})
	c.writing.Unlock()
	m.linked(r, http.StatusSwitchingProtocols, "")
	m.announce()
	go c.ping()
	c.read()
}

// linked records that the app opened a connection, or why it got none.
func (m *socketMode) linked(r *http.Request, status int, refused string) {
	m.s.record(Call{
		Verb: r.Method, Via: "query", Method: "link", Status: status, OK: refused == "", Error: refused, At: m.s.now(),
		Args: Block{"debug_reconnects": r.URL.Query().Get("debug_reconnects") == "true", "origin": r.Header.Get("Origin")},
	})
}

// announce wakes deliveries that wait for a connection.
func (m *socketMode) announce() {
	m.mu.Lock()
	defer m.mu.Unlock()
	close(m.changed)
	m.changed = make(chan struct{})
}

func (m *socketMode) remove(c *socketConn) {
	m.mu.Lock()
	for i := range m.conns {
		if m.conns[i] == c {
			m.conns = append(m.conns[:i:i], m.conns[i+1:]...)
			break
		}
	}
	m.mu.Unlock()
	close(c.gone)
}

// close ends all connections and waits for their goroutines.
func (m *socketMode) close() {
	m.mu.Lock()
	m.closed = true
	conns := append([]*socketConn(nil), m.conns...)
	m.mu.Unlock()
	for _, c := range conns {
		_ = c.ws.Close()
	}
	m.serving.Wait()
}

// next is the connection whose turn it is, and what tells of a change if there
// is none. Those that were told to go come last.
func (m *socketMode) next() (*socketConn, <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var last *socketConn
	for range m.conns {
		m.turn++
		c := m.conns[m.turn%len(m.conns)]
		c.mu.Lock()
		leaving := c.leaving
		c.mu.Unlock()
		if !leaving {
			return c, nil
		}
		last = c
	}
	return last, m.changed
}

// exchange delivers an envelope over a connection of the app and waits for its
// ack. An envelope whose connection goes is delivered again over another.
func (m *socketMode) exchange(ctx context.Context, e *envelope, attempt int, reason string) answer {
	ctx, cancel := context.WithTimeout(ctx, m.s.opt.AckWithin)
	defer cancel()
	m.s.world.mu.Lock()
	id := strings.ToLower(m.s.world.random(8) + "-" + m.s.world.random(12))
	m.s.world.mu.Unlock()
	for {
		c, changed := m.next()
		if c == nil {
			select {
			case <-changed:
				continue
			case <-ctx.Done():
				return answer{reason: "http_timeout"} // no connection came up
			}
		}
		acked := c.expect(id)
		c.send(e.frame(id, attempt, reason))
		select {
		case payload := <-acked:
			return socketAnswer(payload)
		case <-ctx.Done():
			c.forget(id)
			return answer{reason: "http_timeout"}
		case <-c.gone:
			select {
			case payload := <-acked: // it came with the last words
				return socketAnswer(payload)
			default:
			}
			attempt, reason = attempt+1, "timeout"
		}
	}
}

// frame is the envelope as Socket Mode carries it.
func (e *envelope) frame(id string, attempt int, reason string) Block {
	kind := e.kind
	if kind == "options" {
		kind = "interactive"
	}
	f := Block{"envelope_id": id, "type": kind, "payload": e.socketPayload(), "accepts_response_payload": e.answered()}
	if kind == "events_api" {
		if reason != "" {
			reason = "timeout" // Socket Mode knows no other
		}
		f["retry_attempt"], f["retry_reason"] = attempt, reason
	}
	return f
}

// answered reports whether the app may answer in its ack.
func (e *envelope) answered() bool {
	switch e.typ {
	case "view_submission", "block_suggestion", "interactive_message", "dialog_submission", "dialog_suggestion":
		return true
	}
	return e.kind == "slash_commands"
}

// socketPayload is the JSON that HTTP carries in a form or as it is.
func (e *envelope) socketPayload() json.RawMessage {
	if e.kind != "slash_commands" {
		return e.shown
	}
	form, err := url.ParseQuery(string(e.body))
	if err != nil {
		panic("sim: our own form: " + err.Error())
	}
	fields := make(map[string]string, len(form))
	for k := range form {
		fields[k] = form.Get(k)
	}
	raw, err := json.Marshal(fields)
	if err != nil {
		panic("sim: encode fields: " + err.Error())
	}
	return raw
}

// socketAnswer is an ack's payload as an HTTP answer would have carried it.
func socketAnswer(payload json.RawMessage) answer {
	a := answer{status: http.StatusOK}
	if text := strings.TrimSpace(string(payload)); text != "" && text != "null" && text != "{}" {
		a.contentType, a.body = "application/json", payload
	}
	return a
}

func (c *socketConn) expect(id string) <-chan json.RawMessage {
	acked := make(chan json.RawMessage, 1)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting[id] = acked
	return acked
}

func (c *socketConn) forget(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.waiting, id)
}

func (c *socketConn) send(frame Block) {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.write(frame)
}

// write sends a frame; c.writing is held.
func (c *socketConn) write(frame Block) {
	raw, err := json.Marshal(frame)
	if err != nil {
		panic("sim: encode frame: " + err.Error())
	}
	_ = c.ws.SetWriteDeadline(time.Now().Add(ackWithin))
	_ = c.ws.WriteMessage(websocket.TextMessage, raw) // a broken connection shows when it is read
}

func (c *socketConn) disconnect(reason string) {
	if reason == "drop" {
		_ = c.ws.NetConn().Close()
		return
	}
	c.mu.Lock()
	c.leaving = true
	c.mu.Unlock()
	c.send(Block{"type": "disconnect", "reason": reason, "debug_info": Block{"host": fmt.Sprintf("applink-local-%d", c.n)}})
}

// ping shows the app that the connection lives: at once, then every few seconds.
func (c *socketConn) ping() {
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	for {
		if !c.m.s.pingsMuted() {
			_ = c.ws.WriteControl(websocket.PingMessage, []byte("Ping from local Slack"), time.Now().Add(time.Second))
		}
		select {
		case <-c.gone:
			return
		case <-tick.C:
		}
	}
}

// read takes acks until the connection ends.
func (c *socketConn) read() {
	pong := c.ws.PingHandler()
	c.ws.SetPingHandler(func(data string) error {
		if c.m.s.pingsMuted() {
			return nil
		}
		return pong(data)
	})
	c.ws.SetReadLimit(maxSocketFrame) // a longer one closes the connection: 1009
	for {
		_, frame, err := c.ws.ReadMessage()
		if err != nil {
			return
		}
		var ack struct {
			EnvelopeID string          `json:"envelope_id"`
			Payload    json.RawMessage `json:"payload"`
		}
		if json.Unmarshal(frame, &ack) != nil {
			c.strange(frame, "no JSON object")
			continue
		}
		c.mu.Lock()
		acked := c.waiting[ack.EnvelopeID]
		delete(c.waiting, ack.EnvelopeID)
		c.mu.Unlock()
		if acked == nil {
			c.strange(frame, "no such envelope_id waits for its ack")
			continue
		}
		acked <- ack.Payload
	}
}

// maxStrange is how much of a strange frame is recorded, in bytes.
const maxStrange = 200

// strange records a frame of the app's that acks nothing. Slack ignores those,
// and they come about: an ack that is late finds nothing that waits.
func (c *socketConn) strange(frame []byte, why string) {
	c.m.s.record(Call{
		Verb: "FRAME", Via: "json", Method: "ack", Status: http.StatusOK, Error: why, At: c.m.s.now(),
		Args: Block{"frame": strings.ToValidUTF8(string(frame[:min(len(frame), maxStrange)]), "?")},
	})
}
