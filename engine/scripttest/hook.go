package scripttest

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/hook"
	"github.com/starling-rules/starling/engine/rules"
	"github.com/starling-rules/starling/runtime"
)

// webhook is t.webhook: a request that has passed the way in. Its signature,
// where the route wants one, is made here.
func webhook(w *world, x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	r := w.newRun(x, "t.webhook")
	if err := w.start(); err != nil {
		return w.finish(r, err)
	}
	method, target, found := strings.Cut(strings.TrimSpace(a.Text("route")), " ")
	if !found {
		method, target = http.MethodPost, method
	}
	path, query, _ := strings.Cut(target, "?")
	body, contentType, err := requestBody(a)
	if err != nil {
		return w.finish(r, err)
	}
	if q := a.Map("query"); q != nil {
		query = form(q)
	}
	rule, _, found, allow := w.loader.Current().Webhook(method, path)
	switch {
	case !found && len(allow) > 0:
		r.status = http.StatusMethodNotAllowed
		return w.finish(r, nil)
	case !found:
		r.status = http.StatusNotFound
		return w.finish(r, nil)
	}
	req := &event.Request{Method: method, Path: path, Query: query}
	headers := &runtime.Dict{}
	if contentType != "" {
		headers.Set("content-type", contentType)
	}
	lock := rule.Hook.Lock(w.secret)
	if a.Bool("authentic", true) {
		signed, err := lock.Sign(body, w.clock.Now())
		if err != nil {
			return w.finish(r, err)
		}
		for _, h := range signed {
			headers.Set(strings.ToLower(h.Name), h.Value)
		}
	}
	if d := a.Map("headers"); d != nil {
		for _, f := range d.Fields {
			headers.Set(strings.ToLower(f.Key), text(f.Value))
		}
	}
	for _, f := range headers.Fields {
		req.Headers = append(req.Headers, event.Header{Name: f.Key, Value: text(f.Value)})
	}
	remote, err := caller(a, rule.Hook)
	if err != nil {
		return w.finish(r, err)
	}
	req.Remote = remote.String()
	proof := &hook.Request{Body: body, Remote: remote, Header: req.Values}
	if !w.admits(r, rule, lock, proof) {
		return w.finish(r, nil)
	}
	for i := range req.Headers {
		if lock.Holds(req.Headers[i].Name) {
			req.Headers[i].Value = hook.Hidden
		}
	}
	id := rule.Hook.Dedupe.ID(rule.Hook.Signature.Scheme, proof, method, path, query, func() string { return w.random(32) })
	return w.finish(r, w.deliver(r, &event.Event{
		ID: id, Kind: event.Webhook, Type: "webhook", Received: w.clock.Now(), Via: "http",
		Encoding: event.HTTP, Raw: body, Request: req,
	}))
}

// caller is the address that a request comes from: one that the hook allows, if
// the test does not say.
func caller(a *runtime.Args, h *rules.Hook) (netip.Addr, error) {
	s := a.Text("remote")
	switch {
	case s == "" && len(h.Allow) > 0:
		return h.Allow[0].Addr(), nil
	case s == "":
		s = "192.0.2.1"
	}
	addr, err := netip.ParseAddr(s)
	if err != nil {
		return addr, fmt.Errorf("t.webhook: remote: want an address such as \"192.0.2.7\" (got %q)", s)
	}
	return addr, nil
}

// admits does what the way in does before it takes a request in, and answers
// what it refuses.
func (w *world) admits(r *run, rule *rules.Rule, lock *hook.Lock, q *hook.Request) bool {
	h := rule.Hook
	if w.limiters == nil {
		w.limiters = map[string]*hook.Limiter{}
	}
	if w.limiters[rule.ID].Rate() != h.Rate {
		w.limiters[rule.ID] = hook.NewLimiter(h.Rate)
	}
	if h.MaxBody > 0 && len(q.Body) > h.MaxBody {
		r.status = http.StatusRequestEntityTooLarge
		return false
	}
	if !lock.Admits(q, w.clock.Now()) {
		r.status = http.StatusUnauthorized
		return false
	}
	if ok, _ := w.limiters[rule.ID].Take(w.clock.Now()); !ok {
		r.status = http.StatusTooManyRequests
		return false
	}
	contentType := ""
	if values := q.Header("content-type"); len(values) > 0 {
		contentType = values[0]
	}
	if err := h.CheckBody(contentType, q.Body); err != nil {
		r.answer = &event.Answer{Status: http.StatusBadRequest, Body: []byte(err.Error() + "\n")}
		return false
	}
	return true
}

func text(v runtime.Value) string {
	if s, ok := v.(string); ok {
		return s
	}
	b, _ := runtime.AppendJSON(nil, v)
	return string(b)
}

func form(d *runtime.Dict) string {
	q := url.Values{}
	for _, f := range d.Fields {
		list, ok := f.Value.(runtime.List)
		if !ok {
			list = runtime.List{f.Value}
		}
		for _, v := range list {
			q.Add(f.Key, text(v))
		}
	}
	return q.Encode()
}

// requestBody is the body that json=, form= or body= give, and its type.
func requestBody(a *runtime.Args) (body []byte, contentType string, err error) {
	given := 0
	if v, ok := a.Get("json"); ok {
		given++
		if body, err = runtime.AppendJSON(nil, runtime.Plain(v)); err != nil {
			return nil, "", err
		}
		contentType = "application/json"
	}
	if d := a.Map("form"); d != nil {
		given++
		body, contentType = []byte(form(d)), "application/x-www-form-urlencoded"
	}
	if v, ok := a.Get("body"); ok {
		given++
		switch v := v.(type) {
		case string:
			body = []byte(v)
		case []byte:
			body = v
		}
	}
	if given > 1 {
		return nil, "", fmt.Errorf("json, form and body exclude each other")
	}
	return body, contentType, nil
}

// maxFirings bounds what one t.advance sets off, and what falls due at one time.
const maxFirings = 10_000

// advance is t.advance: time passes, and what falls due on the way happens at
// its time, in order.
func advance(w *world, x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	r := w.newRun(x, "t.advance")
	if err := w.start(); err != nil {
		return w.finish(r, err)
	}
	target := w.clock.Now().Add(a.Duration("by", 0))
	if s := a.Text("to"); s != "" {
		t, err := time.Parse(time.RFC3339, s)
		if err != nil {
			return w.finish(r, fmt.Errorf("t.advance: to: want a time such as \"2026-01-05T12:00:00Z\" (got %q)", s))
		}
		target = t
	}
	if target.Before(w.clock.Now()) {
		return w.finish(r, fmt.Errorf("t.advance: time does not go back: it is %s", w.clock.Now().Format(time.RFC3339)))
	}
	for range maxFirings {
		more, err := w.step(r, target)
		if err != nil {
			return w.finish(r, err)
		}
		if !more {
			w.clock.set(target)
			return w.finish(r, w.settle())
		}
	}
	return w.finish(r, fmt.Errorf("t.advance: more than %d schedules and waits fall due until then", maxFirings))
}

// step lets happen what falls due next, the schedules of a time before its waits,
// and reports whether anything did until target.
func (w *world) step(r *run, target time.Time) (more bool, err error) {
	due, at := w.due("")
	t, waits, err := w.store.soonest(context.Background())
	switch {
	case err != nil:
		return false, err
	case waits && !t.At.After(target) && (len(due) == 0 || t.At.Before(at)):
		w.clock.set(t.At)
		return true, w.settle() // which lets it ring
	case len(due) > 0 && !at.After(target):
		return true, w.fire(r, due, at)
	}
	return false, nil
}

// tick is t.tick: the next schedule that is due, now.
func tick(w *world, x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	r := w.newRun(x, "t.tick")
	if err := w.start(); err != nil {
		return w.finish(r, err)
	}
	due, at := w.due(a.Text("rule"))
	if len(due) == 0 {
		var names []string
		for _, rule := range w.loader.Current().OfKind(event.Schedule) {
			names = append(names, rule.ID)
		}
		e := &runtime.Error{Kind: runtime.RunError, Msg: "t.tick: no schedule is due", Hint: "the rules have no on.schedule"}
		if len(names) > 0 {
			e.Msg, e.Hint = "t.tick: there is no schedule "+strconv.Quote(a.Text("rule")), "there are "+strings.Join(names, ", ")
		}
		return w.finish(r, e)
	}
	return w.finish(r, w.fire(r, due, at))
}

// firing is a schedule and the time that is due.
type firing struct {
	rule *rules.Rule
	due  time.Time
}

// due finds the schedules that fire next, and when: of the rule of that id or
// function, if it is named.
func (w *world) due(name string) (next []firing, at time.Time) {
	for _, rule := range w.loader.Current().OfKind(event.Schedule) {
		if name != "" && rule.ID != name && !strings.HasSuffix(rule.ID, ":"+name) {
			continue
		}
		since, ok := w.fired[rule.ID]
		if !ok {
			since = w.began
		}
		due := rule.Schedule.Following(rule.ID, since, w.clock.Now())
		fires := rule.Schedule.Fires(rule.ID, due)
		switch {
		case due.IsZero():
		case len(next) == 0 || fires.Before(at):
			next, at = []firing{{rule, due}}, fires
		case fires.Equal(at):
			next = append(next, firing{rule, due})
		}
	}
	sort.SliceStable(next, func(i, j int) bool { return next[i].rule.ID < next[j].rule.ID })
	return next, at
}

// fire lets the schedules happen at their time.
func (w *world) fire(r *run, due []firing, at time.Time) error {
	w.clock.set(at)
	for _, f := range due {
		w.fired[f.rule.ID] = f.due
		if err := w.deliver(r, f.rule.Firing(f.due, at)); err != nil {
			return err
		}
	}
	return nil
}
