package socket

import (
	"context"
	"log/slog"
	"time"

	"github.com/slack-go/slack/socketmode"
)

// Life is something that happened to a connection.
type Life struct {
	// Type is slack-go's word: connecting, connected, hello, disconnect,
	// invalid_auth, connection_error, incoming_error, write_error or
	// error_bad_message.
	Type string `json:"type"`
	// Connection is the number of the connection, from 1; Count says the how many
	// time it is opened, and Attempt how often that has been tried.
	Connection int `json:"connection"`
	Count      int `json:"connection_count,omitempty"`
	Attempt    int `json:"attempt,omitempty"`
	// Reason is Slack's for a disconnect: warning, refresh_requested,
	// link_disabled, too_many_websockets or one that is not known.
	Reason string `json:"reason,omitempty"`
	// Host, Build, App, Connections and Lifetime are what hello says: Slack's host
	// and its version, the app, how many connections it has, and about how long
	// this one will live, in seconds.
	Host        string `json:"host,omitempty"`
	Build       int    `json:"build_number,omitempty"`
	App         string `json:"app_id,omitempty"`
	Connections int    `json:"num_connections,omitempty"`
	Lifetime    int    `json:"approximate_connection_time,omitempty"`
	// Backoff is the wait before the next attempt, in seconds.
	Backoff float64 `json:"backoff_s,omitempty"`
	// Envelope is what could not be acked.
	Envelope string `json:"envelope_id,omitempty"`
	// Others is how many connections of the app are not this client's.
	Others int       `json:"others,omitempty"`
	Error  string    `json:"error,omitempty"`
	At     time.Time `json:"at"`
}

// life notes what happened, logs it and tells it on.
func (c *Client) life(l Life) {
	l.At = c.o.Now()
	level := slog.LevelInfo
	switch socketmode.EventType(l.Type) {
	case socketmode.EventTypeInvalidAuth:
		level = slog.LevelError
	case socketmode.EventTypeConnectionError, socketmode.EventTypeIncomingError, socketmode.EventTypeErrorWriteFailed, socketmode.EventTypeErrorBadMessage:
		level = slog.LevelWarn
	case socketmode.EventTypeDisconnect:
		if l.Reason == reasonDisabled || l.Reason == reasonTooMany {
			level = slog.LevelWarn
		}
	}
	attrs := []slog.Attr{slog.String("state", l.Type), slog.Int("connection", l.Connection)}
	add := func(cond bool, a slog.Attr) {
		if cond {
			attrs = append(attrs, a)
		}
	}
	add(c.o.Bot != "", slog.String("bot", c.o.Bot))
	add(l.Attempt > 1, slog.Int("attempt", l.Attempt))
	add(l.Reason != "", slog.String("reason", l.Reason))
	add(l.Host != "", slog.String("host", l.Host))
	add(l.Connections > 0, slog.Int("num_connections", l.Connections))
	add(l.Backoff > 0, slog.Duration("retry_in", time.Duration(l.Backoff*float64(time.Second)).Round(time.Millisecond)))
	add(l.Error != "", slog.String("err", l.Error))
	c.o.Logger.LogAttrs(context.Background(), level, "socket", attrs...)
	if l.Others > 0 && !c.o.Shared {
		c.o.Logger.Warn("socket: another client is connected with this app's token and gets a part of its events",
			"bot", c.o.Bot, "num_connections", l.Connections, "others", l.Others)
	}
	c.mu.Lock()
	if i := l.Connection - 1; i >= 0 && i < len(c.slots) {
		c.slots[i].note(l)
	}
	c.mu.Unlock()
	if c.o.OnLife != nil {
		c.told.Lock()
		defer c.told.Unlock()
		c.o.OnLife(l)
	}
}

// String is the state, and what is wrong.
func (s ConnState) String() string {
	text := s.State
	for _, why := range []string{s.Reason, s.Error} {
		if why != "" {
			text += ": " + why
		}
	}
	return text
}

// note takes up what changes the state of a connection: an error of one frame
// does not.
func (s *ConnState) note(l Life) {
	switch socketmode.EventType(l.Type) {
	case socketmode.EventTypeErrorWriteFailed, socketmode.EventTypeErrorBadMessage:
		return
	case socketmode.EventTypeHello:
		s.Host, s.Error = l.Host, ""
		s.Opened++
	}
	s.State, s.Since, s.Reason = l.Type, l.At, l.Reason
	if l.Error != "" {
		s.Error = l.Error
	}
}
