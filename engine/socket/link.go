package socket

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"github.com/slack-go/slack/socketmode"
)

// link is one WebSocket. One goroutine reads it; acks are written by whoever
// has stored an event.
type link struct {
	s    *slot
	c    *Client
	conn *websocket.Conn
	host string
	// since is when it was opened.
	since time.Time

	dead    chan struct{} // closed when nothing can be read any more
	leaving chan string   // Slack's reason for wanting it replaced

	writing sync.Mutex
	closed  sync.Once

	mu       sync.Mutex
	underWay int  // envelopes that are stored or answered
	left     bool // this side closes it: what comes now, Slack sends again
	idle     chan struct{}
}

// writeWithin is how long a frame may take to go out, farewell how long Slack
// may take to answer that a link is closed.
const (
	writeWithin = 10 * time.Second
	farewell    = time.Second
)

func newLink(s *slot, conn *websocket.Conn) *link {
	l := &link{s: s, c: s.c, conn: conn, since: s.c.o.Now(), dead: make(chan struct{}), leaving: make(chan string, 1)}
	conn.SetReadLimit(s.c.o.MaxMessage)
	conn.SetPingHandler(func(data string) error {
		l.heard()
		_ = conn.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(writeWithin))
		return nil // a pong that cannot be written shows when something is read
	})
	conn.SetPongHandler(func(string) error { l.heard(); return nil })
	l.heard()
	return l
}

// heard puts off the time at which the link is given up.
func (l *link) heard() { _ = l.conn.SetReadDeadline(time.Now().Add(l.c.o.Silence)) }

// greeting waits for hello. What comes before it is no use: Slack sends nothing.
func (l *link) greeting(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = l.conn.Close() })
	defer stop()
	for {
		req, frame, err := l.next()
		switch {
		case err != nil:
			return fmt.Errorf("wait for hello: %w", err)
		case req == nil:
		case req.Type == socketmode.RequestTypeHello:
			l.hello(req)
			return nil
		case req.Type == socketmode.RequestTypeDisconnect:
			l.tellLeaving(req)
			if req.Reason == reasonDisabled {
				return &Fatal{req.Reason}
			}
			return fmt.Errorf("disconnected before hello: %s", req.Reason)
		default:
			l.bad(frame, errors.New("an envelope before hello"))
		}
	}
}

func (l *link) hello(req *socketmode.Request) {
	c := l.c
	l.host = req.DebugInfo.Host
	c.mu.Lock()
	c.links[l] = struct{}{}
	others := req.NumConnections - len(c.links)
	if others <= c.alone {
		others, c.alone = 0, max(0, others)
	} else {
		c.alone = others
	}
	c.mu.Unlock()
	l.s.tell(Life{
		Type: string(socketmode.EventTypeHello), Host: l.host, Build: req.DebugInfo.BuildNumber, App: req.ConnectionInfo.AppID,
		Connections: req.NumConnections, Lifetime: req.DebugInfo.ApproximateConnectionTime, Others: others,
	})
}

// start reads the link, and asks Slack for signs of life, until it ends.
func (l *link) start() {
	stop := make(chan struct{})
	go func() {
		tick := time.NewTicker(l.c.o.Silence / 3)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				_ = l.conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(writeWithin))
			}
		}
	}()
	go func() {
		defer close(l.dead)
		defer close(stop)
		l.read()
		l.close()
	}()
}

func (l *link) read() {
	for {
		req, frame, err := l.next()
		switch {
		case err != nil:
			l.ended(err)
			return
		case req == nil:
		case req.Type == socketmode.RequestTypeHello:
		case req.Type == socketmode.RequestTypeDisconnect:
			l.tellLeaving(req)
			select {
			case l.leaving <- req.Reason:
			default: // the first reason counts
			}
		case req.EnvelopeID == "":
			l.bad(frame, errors.New("no envelope_id"))
		default:
			l.envelope(req, frame)
		}
	}
}

// next reads a frame. It is nil, without an error, if it is no request.
func (l *link) next() (*socketmode.Request, []byte, error) {
	typ, frame, err := l.conn.ReadMessage()
	if err != nil {
		return nil, nil, err
	}
	l.heard()
	if l.c.o.Debug {
		l.c.o.Logger.Debug("socket frame", "connection", l.s.number+1, "in", l.c.readable(frame))
	}
	if typ != websocket.TextMessage {
		l.bad(frame, errors.New("a binary frame"))
		return nil, nil, nil
	}
	req := &socketmode.Request{}
	if err := json.Unmarshal(frame, req); err != nil {
		// One field of another type than expected does not make an envelope
		// useless: it is acked by its id and handed on as it is.
		if req.EnvelopeID == "" {
			l.bad(frame, err)
			return nil, nil, nil
		}
		req.Type = "malformed"
	}
	return req, frame, nil
}

// bad counts a frame that is no use. The connection goes on.
func (l *link) bad(frame []byte, cause error) {
	l.s.tell(Life{Type: string(socketmode.EventTypeErrorBadMessage), Error: fmt.Sprintf("%v in a frame of %d bytes", cause, len(frame))})
}

func (l *link) tellLeaving(req *socketmode.Request) {
	l.s.tell(Life{Type: string(socketmode.EventTypeDisconnect), Reason: req.Reason, Host: req.DebugInfo.Host})
}

// ended tells why nothing can be read any more, unless this side has closed.
func (l *link) ended(err error) {
	l.mu.Lock()
	left := l.left
	l.mu.Unlock()
	if left {
		return
	}
	if e, ok := errors.AsType[*websocket.CloseError](err); ok && e.Code != websocket.CloseAbnormalClosure {
		l.s.tell(Life{Type: string(socketmode.EventTypeDisconnect), Reason: fmt.Sprintf("closed: %d %s", e.Code, e.Text), Host: l.host})
		return
	}
	l.s.tell(Life{Type: string(socketmode.EventTypeIncomingError), Error: l.c.clean(err.Error())})
}

// write sends one frame.
func (l *link) write(frame []byte) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	if l.c.o.Debug {
		l.c.o.Logger.Debug("socket frame", "connection", l.s.number+1, "out", l.c.readable(frame))
	}
	if err := l.conn.SetWriteDeadline(time.Now().Add(writeWithin)); err != nil {
		return err
	}
	return l.conn.WriteMessage(websocket.TextMessage, frame)
}

// begin counts an envelope in, unless the link is left.
func (l *link) begin() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.left {
		l.underWay++
	}
	return !l.left
}

func (l *link) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.underWay--
	if l.idle != nil && l.underWay == 0 && !l.left {
		l.left = true
		close(l.idle)
	}
}

// retire leaves the link: what is under way is stored and acked, for at most
// Options.Drain, then it is closed.
func (l *link) retire() {
	idle := make(chan struct{})
	l.mu.Lock()
	l.idle = idle
	if l.underWay == 0 {
		l.left = true
		close(idle)
	}
	l.mu.Unlock()
	t := time.NewTimer(l.c.o.Drain)
	defer t.Stop()
	select {
	case <-idle:
	case <-l.dead:
	case <-t.C:
		l.c.o.Logger.Warn("socket: connection left with envelopes that are not acked; Slack sends them again", "connection", l.s.number+1)
	}
	l.mu.Lock()
	l.left = true
	l.mu.Unlock()
	bye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	if l.conn.WriteControl(websocket.CloseMessage, bye, time.Now().Add(farewell)) == nil {
		// A link that is cut with something unread takes along the acks that
		// Slack has not read yet.
		t.Reset(farewell)
		select {
		case <-l.dead:
		case <-t.C:
		}
	}
	l.close()
	<-l.dead
}

func (l *link) close() {
	l.closed.Do(func() {
		l.c.mu.Lock()
		delete(l.c.links, l)
		l.c.mu.Unlock()
		_ = l.conn.Close()
	})
}
