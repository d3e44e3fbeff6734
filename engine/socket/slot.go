package socket

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/slack-go/slack"
	"github.com/slack-go/slack/socketmode"
)

// The reasons of a disconnect that are not a mere change of the guard.
const (
	reasonDisabled = "link_disabled"
	reasonTooMany  = "too_many_websockets"
)

// fatal are the errors of apps.connections.open that stay.
var fatal = []string{
	"invalid_auth", "not_authed", "account_inactive", "token_revoked", "user_removed_from_team", "team_disabled",
	"not_allowed_token_type", "missing_scope",
}

// slot keeps one connection open.
type slot struct {
	c      *Client
	number int           // from 0
	up     chan struct{} // closed when the first connection is open
	opened int
	brief  int // connections in a row that did not last
}

func (s *slot) tell(l Life) {
	l.Connection = s.number + 1
	s.c.life(l)
}

// run keeps the connection open until ctx ends or Slack will have no more of it.
func (s *slot) run(ctx context.Context) error {
	current, err := s.connect(ctx)
	for err == nil {
		var next *link
		select {
		case <-ctx.Done():
			current.retire()
			return nil
		case <-current.dead: // nothing can be acked on it: the next as soon as possible
			next, err = s.again(ctx, current)
		case reason := <-current.leaving:
			switch reason {
			case reasonDisabled:
				err = &Fatal{reason}
			case reasonTooMany: // this one was too many: let others go first
				pause(ctx, s.backoff(6))
				fallthrough
			default:
				next, err = s.again(ctx, current)
			}
		}
		s.c.retiring.Go(current.retire)
		current = next
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// again opens the next connection: at once, unless Slack has left none open for
// long, several times in a row.
func (s *slot) again(ctx context.Context, current *link) (*link, error) {
	o := &s.c.o
	lasting := 2 * o.MinBackoff
	if o.Now().Sub(current.since) >= lasting {
		s.brief = 0
		return s.connect(ctx)
	}
	if s.brief++; s.brief > 1 {
		wait := s.backoff(s.brief - 1)
		s.tell(Life{
			Type: string(socketmode.EventTypeConnectionError), Backoff: wait.Seconds(),
			Error: fmt.Sprintf("%d connections in a row have lasted less than %v", s.brief, lasting),
		})
		if !pause(ctx, wait) {
			return nil, ctx.Err()
		}
	}
	return s.connect(ctx)
}

// connect opens a connection that Slack has greeted. An error is Fatal, or that
// of ctx.
func (s *slot) connect(ctx context.Context) (*link, error) {
	for attempt := 1; ; attempt++ {
		s.tell(Life{Type: string(socketmode.EventTypeConnecting), Count: s.opened + 1, Attempt: attempt})
		l, err := s.open(ctx)
		if err == nil {
			if s.opened == 0 {
				close(s.up)
			}
			s.opened++
			return l, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if f, ok := errors.AsType[*Fatal](err); ok { // instead of a greeting
			return nil, f
		}
		if reason := refusal(err); reason != "" {
			s.tell(Life{Type: string(socketmode.EventTypeInvalidAuth), Attempt: attempt, Error: reason})
			return nil, &Fatal{reason}
		}
		wait := max(s.backoff(attempt), asked(err))
		s.tell(Life{Type: string(socketmode.EventTypeConnectionError), Attempt: attempt, Error: s.c.clean(err.Error()), Backoff: wait.Seconds()})
		if !pause(ctx, wait) {
			return nil, ctx.Err()
		}
	}
}

// backoff is the wait after so many failures: twice as long each time, of which
// a random half is waited.
func (s *slot) backoff(failures int) time.Duration {
	o := &s.c.o
	d := o.MaxBackoff
	if failures < 20 {
		d = min(d, o.MinBackoff<<(failures-1))
	}
	return d/2 + time.Duration(o.Rand()*float64(d/2))
}

// limitedFor is the wait after a 429 that does not say how long to wait.
const limitedFor = 30 * time.Second

// asked is how long Slack wants to be left alone.
func asked(err error) time.Duration {
	if limited, ok := errors.AsType[*slack.RateLimitedError](err); ok {
		return limited.RetryAfter
	}
	if status, ok := errors.AsType[slack.StatusCodeError](err); ok && status.Code == http.StatusTooManyRequests {
		return limitedFor
	}
	return 0
}

// refusal is why Slack will never open a connection, or "".
func refusal(err error) string {
	if status, ok := errors.AsType[slack.StatusCodeError](err); ok && status.Code == http.StatusNotFound {
		return "not_found"
	}
	if word := err.Error(); slices.Contains(fatal, word) {
		return word
	}
	return ""
}

// open opens one connection and waits for its greeting.
func (s *slot) open(ctx context.Context) (*link, error) {
	c := s.c
	_, address, err := c.api.StartSocketModeContext(ctx)
	if err != nil {
		return nil, err
	}
	conn, resp, err := c.dialer().DialContext(ctx, address, nil)
	if resp != nil && resp.Body != nil {
		_ = resp.Body.Close()
	}
	if err != nil {
		return nil, err
	}
	l := newLink(s, conn)
	s.tell(Life{Type: string(socketmode.EventTypeConnected), Count: s.opened + 1})
	if err := l.greeting(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	l.start()
	return l, nil
}
