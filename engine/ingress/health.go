package ingress

import (
	"encoding/json"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/fasthttp/router"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/metric"
	"github.com/starling-rules/starling/runtime"
)

// healthRoutes adds the three probes: alive (two spellings), and ready. With
// detail, which may be nil, the latter tells operators more than the reason.
func healthRoutes(r *router.Router, ready func() error, detail func() map[string]any, now func() time.Time) {
	both := func(path string, h fasthttp.RequestHandler) {
		r.GET(path, h)
		r.HEAD(path, h)
	}
	both("/healthcheck", func(ctx *fasthttp.RequestCtx) {
		ctx.Response.Header.SetContentType("text/plain; charset=utf-8")
		ctx.Response.SetBodyString("OK")
	})
	both("/healthz", func(ctx *fasthttp.RequestCtx) {
		b := append([]byte(nil), `{"success":true,"timestamp":`...)
		sayJSON(ctx, fasthttp.StatusOK, append(strconv.AppendInt(b, now().Unix(), 10), '}'))
	})
	both("/readyz", func(ctx *fasthttp.RequestCtx) {
		status, b := fasthttp.StatusOK, []byte(`{"ready":true`)
		if err := ready(); err != nil {
			status, b = fasthttp.StatusServiceUnavailable, []byte(`{"ready":false,"reason":""`)
			if with, jsonErr := runtime.AppendJSON([]byte(`{"ready":false,"reason":`), err.Error()); jsonErr == nil {
				b = with
			}
		}
		sayJSON(ctx, status, append(appendDetail(b, detail), '}'))
	})
}

// appendDetail appends more fields to an object.
func appendDetail(b []byte, detail func() map[string]any) []byte {
	if detail == nil {
		return b
	}
	more, err := json.Marshal(detail())
	if err != nil || len(more) < len(`{"":0}`) {
		return b
	}
	return append(append(b, ','), more[1:len(more)-1]...)
}

// counts are the metrics of this package, resolved beforehand: looking a label
// up costs more than counting. The type label is the event's kind, because
// Slack's own types are without bound.
type counts struct {
	byKind  map[event.Kind]*outcomes
	refused prometheus.Counter // not authentic, or unusable
	ack     prometheus.Observer
}

type outcomes struct{ stored, duplicate, refused, full prometheus.Counter }

func newCounts(m *metric.Set) counts {
	if m == nil {
		m = metric.New("")
	}
	c := counts{
		byKind:  map[event.Kind]*outcomes{},
		refused: m.Events.WithLabelValues("unknown", "http", "refused"),
		ack:     m.Ack.WithLabelValues("http"),
	}
	for _, k := range []event.Kind{
		event.Message, event.Mention, event.Command, event.Action, event.Submit, event.ViewClosed, event.Shortcut,
		event.Options, event.Reaction, event.Home, event.Other, event.Webhook,
	} {
		get := func(outcome string) prometheus.Counter { return m.Events.WithLabelValues(string(k), "http", outcome) }
		c.byKind[k] = &outcomes{get("stored"), get("duplicate"), get("refused"), get("full")}
	}
	return c
}

// rateLimited lets one line a second through, so that a full store does not
// fill the log as well.
type rateLimited struct{ last atomic.Int64 }

func (r *rateLimited) ok(now time.Time) bool {
	last, sec := r.last.Load(), now.Unix()
	return last != sec && r.last.CompareAndSwap(last, sec)
}
