package engine

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/starling-rules/starling/engine/event"
)

// lateAfter is how far behind its event a delivery may be before operators are
// warned: Slack is in trouble, or its way to here.
const lateAfter = 20 * time.Second

// retryReasons are those that Slack names in x-slack-retry-reason, and over
// sockets (timeout).
var retryReasons = []string{"timeout", "http_timeout", "too_many_redirects", "connection_failed", "ssl_error", "http_error", "unknown_error"}

// arrivals measures what comes in on its way to the dispatcher. It implements
// ingress.Sink.
type arrivals struct{ e *Engine }

// Accept implements ingress.Sink.
func (a arrivals) Accept(ctx context.Context, ev *event.Event) error {
	if _, err := a.e.gate(ctx, ev); err != nil {
		return err
	}
	a.e.arrived(ev)
	return a.e.disp.Accept(ctx, ev)
}

// AcceptAnswered implements ingress.Sink.
func (a arrivals) AcceptAnswered(ctx context.Context, ev *event.Event) (*event.Answer, error) {
	if answer, err := a.e.gate(ctx, ev); err != nil {
		return answer, err
	}
	a.e.arrived(ev)
	return a.e.disp.AcceptAnswered(ctx, ev)
}

// arrived counts retries and tells how late a delivery is.
func (e *Engine) arrived(ev *event.Event) {
	stage := "received"
	if ev.Retry > 0 {
		reason := ev.RetryReason
		if !slices.Contains(retryReasons, reason) {
			reason = "other"
		}
		e.metrics.Retries.WithLabelValues(reason).Inc()
		stage = "received_again"
	}
	late, ok := e.lag(ev, stage)
	if !ok || late <= lateAfter {
		return
	}
	if others, ok := e.late.pass(e.o.Now()); ok {
		e.log.Warn("Slack delivers late", "event_id", ev.ID, "event_type", ev.Type, "event_ts", ev.EventTS, "team", ev.Team, "bot", ev.Bot,
			"late_s", int(late.Seconds()), "retry", ev.Retry, "retry_reason", ev.RetryReason, "others", others)
	}
}

// lag observes the time from what happened at Slack to a stage here.
func (e *Engine) lag(ev *event.Event, stage string) (late time.Duration, ok bool) {
	at, ok := happened(ev)
	if !ok {
		return 0, false
	}
	late = max(0, e.o.Now().Sub(at)) // clocks differ
	e.metrics.Lag.WithLabelValues(stage).Observe(late.Seconds())
	return late, true
}

// happened is when Slack says that an event took place.
func happened(ev *event.Event) (time.Time, bool) {
	switch ev.Kind {
	case event.Schedule, event.Webhook:
		return time.Time{}, false
	}
	sec, frac, _ := strings.Cut(ev.EventTS, ".")
	s, err := strconv.ParseInt(sec, 10, 64)
	if err != nil || s <= 0 {
		return time.Time{}, false
	}
	frac = (frac + "000000")[:6]
	us, err := strconv.ParseInt(frac, 10, 64)
	if err != nil || us < 0 {
		us = 0
	}
	return time.Unix(s, us*1000), true
}

// warnEvery is how often a line about late deliveries is written.
const warnEvery = 10 * time.Second

// occasional lets one line through every so often, and counts the others.
type occasional struct{ last, others atomic.Int64 }

func (o *occasional) pass(now time.Time) (others int64, ok bool) {
	last := o.last.Load()
	if now.UnixNano()-last < int64(warnEvery) || !o.last.CompareAndSwap(last, now.UnixNano()) {
		o.others.Add(1)
		return 0, false
	}
	return o.others.Swap(0), true
}
