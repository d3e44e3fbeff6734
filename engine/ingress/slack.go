package ingress

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/runtime"
)

// Slack's headers.
const (
	headerSignature   = "X-Slack-Signature"
	headerTimestamp   = "X-Slack-Request-Timestamp"
	headerRetryNum    = "X-Slack-Retry-Num"
	headerRetryReason = "X-Slack-Retry-Reason"
	headerNoRetry     = "X-Slack-No-Retry"
)

// ErrNotInstalled says that nobody has installed the app where an event comes
// from: it is acknowledged, and thrown away. A Sink's answer goes with it.
var ErrNotInstalled = errors.New("event refused")

// slack answers one callback of Slack's, of whatever kind.
func (s *Server) slack(ctx *fasthttp.RequestCtx) { s.take(ctx, nil) }

// take takes an event in, if admit (which may be nil) lets it.
func (s *Server) take(ctx *fasthttp.RequestCtx, admit func(*event.Event) *AdminResponse) {
	if s.draining.Load() {
		say(ctx, fasthttp.StatusServiceUnavailable, "draining")
		ctx.SetConnectionClose()
		return
	}
	h := &ctx.Request.Header
	body := ctx.PostBody()
	form := event.IsForm(h.ContentType())
	if form && event.IsSSLCheck(body) {
		// Not signed: whatever else the form holds is not looked at.
		return
	}
	now := s.o.Now()
	app, ok := s.authentic(h, body, now)
	if !ok {
		app, ok = s.byToken(h.ContentType(), body)
	}
	if !ok {
		s.counts.refused.Inc()
		say(ctx, fasthttp.StatusUnauthorized, "not authentic")
		return
	}
	if !form && !event.IsJSON(h.ContentType()) || !plainEncoding(h.Peek("Content-Encoding")) {
		s.refuse(ctx, fasthttp.StatusUnsupportedMediaType, "unsupported media type or encoding")
		return
	}
	m := event.Meta{Received: now, Via: "http", Bot: app}
	if num := h.Peek(headerRetryNum); len(num) > 0 {
		m.Retry = retryNum(num)
		m.RetryReason = event.Word(string(h.Peek(headerRetryReason)))
	}
	parse := event.Parse
	if form {
		parse = event.ParseForm
	}
	e, control, err := parse(body, m)
	if err != nil {
		s.log.Info("slack payload refused", "reason", err)
		s.refuse(ctx, fasthttp.StatusBadRequest, err.Error())
		return
	}
	if e == nil {
		s.control(ctx, control)
		return
	}
	if isAppID(app) && e.App != "" && e.App != app {
		// One app's secret proves nothing of another app.
		s.counts.refused.Inc()
		say(ctx, fasthttp.StatusUnauthorized, "not authentic")
		return
	}
	if control.RateLimited {
		s.log.Warn("slack drops deliveries: app_rate_limited", "team", e.Team)
	}
	if control.Repeated {
		s.log.Warn("slack form with more than one payload; the first counts", "event_id", e.ID)
	}
	if admit != nil {
		if refusal := admit(e); refusal != nil {
			writeAPI(ctx, *refusal)
			return
		}
	}
	s.accept(ctx, e)
	s.counts.ack.Observe(time.Since(ctx.Time()).Seconds())
}

// authentic checks the signature. A header that is there twice is one that
// somebody added.
func (s *Server) authentic(h *fasthttp.RequestHeader, body []byte, now time.Time) (app string, ok bool) {
	signature, once := only(h.PeekAll(headerSignature))
	if !once {
		return "", false
	}
	timestamp, once := only(h.PeekAll(headerTimestamp))
	if !once {
		return "", false
	}
	return s.verifier.Verify(signature, timestamp, body, now)
}

func only(values [][]byte) ([]byte, bool) {
	if len(values) != 1 {
		return nil, false
	}
	return values[0], true
}

func plainEncoding(e []byte) bool { return len(e) == 0 || equalFold(e, "identity") }

// retryNum reads the number of a retry; what is no small number counts as one.
func retryNum(b []byte) int {
	if n, err := strconv.Atoi(string(b)); err == nil && n >= 0 && n < 1000 {
		return n
	}
	return 1
}

// refuse answers what is Slack's but can never be used: do not send it again.
func (s *Server) refuse(ctx *fasthttp.RequestCtx, status int, why string) {
	s.counts.refused.Inc()
	ctx.Response.Header.Set(headerNoRetry, "1")
	say(ctx, status, why)
}

// control answers a payload that is about the transport itself.
func (s *Server) control(ctx *fasthttp.RequestCtx, c event.Control) {
	if !c.Verify {
		return
	}
	b, err := runtime.AppendJSON([]byte(`{"challenge":`), c.Challenge)
	if err != nil {
		s.refuse(ctx, fasthttp.StatusBadRequest, "challenge cannot be encoded")
		return
	}
	sayJSON(ctx, fasthttp.StatusOK, append(b, '}'))
}

// accept stores the event and answers.
func (s *Server) accept(ctx *fasthttp.RequestCtx, e *event.Event) {
	answered := e.Answered()
	var answer *event.Answer
	var err error
	if answered {
		limit, cancel := context.WithTimeout(s.base, s.o.AnswerLimit)
		answer, err = s.o.Sink.AcceptAnswered(limit, e)
		cancel()
	} else {
		err = s.o.Sink.Accept(s.base, e)
	}
	count := s.counts.byKind[e.Kind]
	switch {
	case err == nil:
		count.stored.Inc()
		if answer == nil && e.Kind == event.Webhook && s.o.Now().Sub(e.Received) >= s.o.AnswerLimit {
			// Its rule is still at work: taken in, not done.
			ctx.Response.SetStatusCode(fasthttp.StatusAccepted)
			return
		}
		writeAnswer(ctx, answer, e.Kind == event.Webhook)
	case errors.Is(err, queue.ErrDuplicate):
		count.duplicate.Inc()
	case errors.Is(err, ErrNotInstalled):
		// Slack is told 200: to send it again would help nobody.
		count.refused.Inc()
		writeAnswer(ctx, answer, false)
	case errors.Is(err, queue.ErrTooLarge):
		count.refused.Inc()
		ctx.Response.Header.Set(headerNoRetry, "1")
		say(ctx, fasthttp.StatusRequestEntityTooLarge, "too large to store")
	default:
		count.full.Inc()
		if s.quiet.ok(s.o.Now()) {
			s.log.Warn("event not accepted", "event_id", e.ID, "event_type", e.Type, "error", err)
		}
		say(ctx, fasthttp.StatusServiceUnavailable, "not accepted")
	}
}

// writeAnswer writes what a rule answered; its headers only if they may be set.
func writeAnswer(ctx *fasthttp.RequestCtx, a *event.Answer, headers bool) {
	if a == nil {
		return
	}
	if a.Status != 0 {
		ctx.Response.SetStatusCode(a.Status)
	}
	if a.ContentType != "" {
		ctx.Response.Header.SetContentType(a.ContentType)
	}
	// The answer belongs to this request alone and is never changed again.
	ctx.Response.SetBodyRaw(a.Body)
	if !headers {
		return
	}
	for _, h := range a.Headers {
		if !framing(h.Name) {
			ctx.Response.Header.Add(h.Name, h.Value)
		}
	}
}

// framing reports whether a header belongs to the connection, not to the answer.
func framing(name string) bool {
	for _, n := range [...]string{"content-length", "transfer-encoding", "connection", "trailer", "upgrade", "keep-alive"} {
		if equalFold([]byte(name), n) {
			return true
		}
	}
	return false
}
