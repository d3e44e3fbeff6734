package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/ingress"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/socket"
)

// newSocket makes the client of Socket Mode; nil without an app-level token.
func (e *Engine) newSocket() (*socket.Client, error) {
	c := e.o.Config
	if c.Slack.AppToken == "" {
		return nil, nil
	}
	o := socket.Options{
		Token: c.Slack.AppToken, APIURL: c.Slack.APIURL, Sink: counted{e}, AnswerLimit: c.Limits.Answer,
		Connections: c.Slack.Socket.Connections, Silence: c.Slack.Socket.PingTimeout, Drain: e.o.Drain, Debug: c.Slack.Socket.Debug,
		Shared: e.shared(), OnLife: e.socketLived, OnAck: e.socketAcked, Now: e.o.Now, Logger: e.log,
	}
	if o.Debug && !e.log.Enabled(context.Background(), slog.LevelDebug) {
		e.log.Warn("slack.socket.debug shows nothing: the log level is above debug")
	}
	if p := c.Slack.Socket.Proxy; p != "" {
		u, err := url.Parse(p)
		if err != nil {
			return nil, fmt.Errorf("slack.socket.proxy: %w", errors.Unwrap(err))
		}
		o.Proxy = http.ProxyURL(u)
		o.HTTP = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{Proxy: o.Proxy}}
	}
	if e.o.Socket != nil {
		e.o.Socket(&o)
	}
	s, err := socket.New(o)
	if err != nil {
		return nil, err
	}
	e.lives = make(chan socket.Life, maxLives)
	e.metrics.Func("socket_connections", "Connections of Socket Mode that are open.", func() float64 { return float64(s.Open()) })
	return s, nil
}

// runSocket keeps Socket Mode up until ctx ends. That Slack will have no more of
// it ends the engine if there is no other way in.
func (e *Engine) runSocket(ctx context.Context) error {
	stop := make(chan struct{})
	var storing sync.WaitGroup
	storing.Go(func() { e.storeLives(stop) })
	err := e.socket.Run(ctx)
	close(stop)
	storing.Wait()
	if err == nil || e.onlySocket() {
		return err
	}
	e.log.Error("Socket Mode has ended; events come over HTTP alone", "err", err)
	return nil
}

// onlySocket reports whether Socket Mode is the only way in for Slack.
func (e *Engine) onlySocket() bool {
	secrets, tokens := credentials(e.config())
	return len(secrets) == 0 && len(tokens) == 0
}

// counted counts what comes over sockets on its way to the dispatcher.
type counted struct{ e *Engine }

func (c counted) count(ev *event.Event, err error) {
	outcome := "stored"
	switch {
	case errors.Is(err, queue.ErrDuplicate):
		outcome = "duplicate"
	case errors.Is(err, ingress.ErrNotInstalled):
		outcome = "refused"
	case errors.Is(err, queue.ErrTooLarge):
		outcome = "refused"
	case err != nil:
		outcome = "full"
	}
	c.e.metrics.Events.WithLabelValues(string(ev.Kind), "socket", outcome).Inc()
}

// Accept implements socket.Sink.
func (c counted) Accept(ctx context.Context, ev *event.Event) error {
	err := arrivals(c).Accept(ctx, ev)
	c.count(ev, err)
	return acked(err)
}

// AcceptAnswered implements socket.Sink.
func (c counted) AcceptAnswered(ctx context.Context, ev *event.Event) (*event.Answer, error) {
	a, err := arrivals(c).AcceptAnswered(ctx, ev)
	c.count(ev, err)
	return a, acked(err)
}

// acked leaves out an error with which an envelope is acknowledged all the same.
func acked(err error) error {
	if errors.Is(err, ingress.ErrNotInstalled) {
		return nil
	}
	return err
}

// socketAcked measures how long Slack waits for its acks.
func (e *Engine) socketAcked(_ *event.Event, took time.Duration) {
	e.metrics.Ack.WithLabelValues("socket").Observe(took.Seconds())
}

// maxLives is how much of what happens to connections may wait to be stored:
// connections do not wait for the store.
const maxLives = 1024

// socketLived counts what happened to a connection and hands it to storeLives.
func (e *Engine) socketLived(l socket.Life) {
	e.metrics.Socket.WithLabelValues(l.Type).Inc()
	select {
	case e.lives <- l:
	default:
		e.log.Warn("an event about the socket is dropped: the store is slow", "state", l.Type)
	}
}

// storeLives makes events of what happens to connections, for rules that want to
// know: on.event("starling.socket"). It ends when stop is closed and nothing waits.
func (e *Engine) storeLives(stop <-chan struct{}) {
	for {
		select {
		case l := <-e.lives:
			e.storeLife(l)
			continue
		case <-stop:
		}
		for range len(e.lives) {
			e.storeLife(<-e.lives)
		}
		return
	}
}

func (e *Engine) storeLife(l socket.Life) {
	ev, err := socketEvent(l)
	if err == nil {
		ctx, cancel := context.WithTimeout(e.jobCtx, 5*time.Second)
		defer cancel()
		err = e.disp.Accept(ctx, ev)
	}
	if err != nil {
		e.log.Warn("store an event about the socket", "state", l.Type, "err", err)
	}
}

// socketEvent is what happened to a connection, as an event of Slack's would be.
func socketEvent(l socket.Life) (*event.Event, error) {
	inner, err := json.Marshal(struct {
		Type  string `json:"type"`
		State string `json:"state"`
		socket.Life
	}{"starling.socket", l.Type, l})
	if err != nil {
		return nil, err
	}
	id := "sock-" + strconv.Itoa(l.Connection) + "-" + strconv.FormatInt(l.At.UnixNano(), 10) + "-" + l.Type
	body, err := json.Marshal(map[string]any{"type": "event_callback", "event_id": id, "event": json.RawMessage(inner)})
	if err != nil {
		return nil, err
	}
	ev, _, err := event.ParseEvents(body, event.Meta{Received: l.At, Via: "local"})
	return ev, err
}
