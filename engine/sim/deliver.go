package sim

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// ackWithin is how long Slack waits for an app's answer, on the app's clock.
const ackWithin = 3 * time.Second

// maxAnswer bounds what is read of an app's answer, in bytes.
const maxAnswer = 1 << 20

// retryAfter is Slack's schedule: nearly at once, after a minute, after five.
var retryAfter = [...]time.Duration{500 * time.Millisecond, time.Minute, 5 * time.Minute}

var errRedirects = errors.New("too many redirects")

// Delivery is one attempt to tell the app something. ID is the event's id, or
// "tr-" and the trigger_id.
type Delivery struct {
	ID      string    `json:"id"`
	Kind    string    `json:"kind"` // events_api, interactive, slash_commands, options, url_verification, ssl_check
	Type    string    `json:"type"` // message, block_actions, /deploy, …
	At      time.Time `json:"at"`
	Attempt int       `json:"attempt"` // 0 is the first
	Status  int       `json:"status"`  // 0: no answer
	Error   string    `json:"error,omitempty"`
	Ms      float64   `json:"ms"`
	Payload string    `json:"payload"`
	Answer  string    `json:"answer,omitempty"`
}

// envelope is something to deliver.
type envelope struct {
	id, kind, typ string
	url           string
	contentType   string
	body          []byte
	shown         []byte // what the inspector shows: the JSON within the form
}

// Sign returns the value of X-Slack-Signature for a body sent at a time
// (Unix seconds, decimal).
func Sign(secret, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("v0:" + timestamp + ":"))
	mac.Write(body)
	return "v0=" + hex.EncodeToString(mac.Sum(nil))
}

// answer is what an app said.
type answer struct {
	status      int
	contentType string
	noRetry     bool
	body        []byte
	reason      string // Slack's name of what went wrong, "" if nothing did
	at          time.Time
}

// send makes one attempt.
func (s *Server) send(ctx context.Context, e *envelope, attempt int, reason string) answer {
	start := time.Now()
	exchange := s.exchange
	if s.opt.SocketMode && e.kind != "url_verification" && e.kind != "ssl_check" {
		exchange = s.sockets.exchange
	}
	a := exchange(ctx, e, attempt, reason)
	if s.takeLostAck() {
		a = answer{reason: "http_timeout"}
	}
	a.at = s.now()
	d := Delivery{
		ID: e.id, Kind: e.kind, Type: e.typ, At: a.at, Attempt: attempt, Status: a.status, Error: a.reason,
		Ms: float64(time.Since(start).Microseconds()) / 1000, Payload: string(e.shown), Answer: string(a.body),
	}
	if s.opt.OnDelivery != nil {
		s.opt.OnDelivery(d)
	}
	s.history.addDelivery(d)
	s.world.log.add("delivery", d)
	s.counted(e, a)
	return a
}

func (s *Server) exchange(ctx context.Context, e *envelope, attempt int, reason string) answer {
	ctx, cancel := context.WithTimeout(ctx, s.opt.AckWithin)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url, bytes.NewReader(e.body))
	if err != nil {
		return answer{reason: "connection_failed"}
	}
	now := s.opt.Now() // not the workspace's time: apps refuse what is five minutes off
	if s.opt.SharedClock {
		now = s.now()
	}
	ts := strconv.FormatInt(now.Unix(), 10)
	req.Header.Set("Content-Type", e.contentType)
	req.Header.Set("User-Agent", "Slackbot 1.0 (+https://api.slack.com/robots)")
	if e.kind != "ssl_check" {
		req.Header.Set("X-Slack-Request-Timestamp", ts)
		req.Header.Set("X-Slack-Signature", Sign(s.opt.SigningSecret, ts, e.body))
	}
	if attempt > 0 {
		req.Header.Set("X-Slack-Retry-Num", strconv.Itoa(attempt))
		req.Header.Set("X-Slack-Retry-Reason", reason)
	}
	res, err := s.client.Do(req)
	if err != nil {
		return answer{reason: failure(err)}
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return answer{reason: failure(err)}
	}
	a := answer{
		status: res.StatusCode, contentType: res.Header.Get("Content-Type"),
		noRetry: res.Header.Get("X-Slack-No-Retry") == "1", body: body,
	}
	if a.status < 200 || a.status > 299 {
		a.reason = "http_error"
	}
	return a
}

// failure is Slack's name for what kept an answer away.
func failure(err error) string {
	var timeout interface{ Timeout() bool }
	var cert *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	switch {
	case errors.Is(err, errRedirects):
		return "too_many_redirects"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "http_timeout"
	case errors.As(err, &cert), errors.As(err, &record):
		return "ssl_error"
	}
	return "connection_failed"
}

// outbox sends events: first attempts of one conversation in order, different
// conversations side by side, retries apart from both.
type outbox struct {
	send  func(ctx context.Context, e *envelope, attempt int, reason string) answer
	sleep func(ctx context.Context, since time.Time, d time.Duration) error
	off   func() bool // events are switched off: those that wait are dropped

	ctx    context.Context // of the server: ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup
	mu     sync.Mutex
	closed bool
	queues map[string][]*envelope // a key is present while a goroutine works on it
}

func newOutbox() *outbox {
	ctx, cancel := context.WithCancel(context.Background())
	return &outbox{ctx: ctx, cancel: cancel, queues: map[string][]*envelope{}}
}

// add queues an event behind those of the same key. It does not block.
func (o *outbox) add(key string, e *envelope) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return
	}
	_, busy := o.queues[key]
	o.queues[key] = append(o.queues[key], e)
	if !busy {
		o.wg.Go(func() { o.drain(key) })
	}
}

func (o *outbox) drain(key string) {
	for {
		o.mu.Lock()
		q := o.queues[key]
		if len(q) == 0 || o.closed {
			delete(o.queues, key)
			o.mu.Unlock()
			return
		}
		o.queues[key] = q[1:]
		o.mu.Unlock()
		if o.off() {
			continue
		}
		if a := o.send(o.ctx, q[0], 0, ""); a.reason != "" && !a.noRetry {
			o.later(func() { o.retry(q[0], a) })
		}
	}
}

// later does something beside the rest, unless the outbox is closed; close
// waits for it.
func (o *outbox) later(f func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.closed {
		o.wg.Go(f)
	}
}

// retry goes by when an attempt failed: whoever sees the failure and moves the
// clock then finds the next attempt due.
func (o *outbox) retry(e *envelope, failed answer) {
	for i, d := range retryAfter {
		if o.sleep(o.ctx, failed.at, d) != nil || o.off() {
			return
		}
		if failed = o.send(o.ctx, e, i+1, failed.reason); failed.reason == "" || failed.noRetry {
			return
		}
	}
}

// close stops sending and waits for what is under way. It may be repeated.
func (o *outbox) close() {
	o.mu.Lock()
	o.closed = true
	o.mu.Unlock()
	o.cancel()
	o.wg.Wait()
}

// sleep waits for d or the end of ctx.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
