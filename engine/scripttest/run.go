package scripttest

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"github.com/starling-rules/starling/engine/dispatch"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/rules"
	"github.com/starling-rules/starling/runtime"
)

// run is what came of something that a test did: of one event, of the two in
// which Slack reports a mention, or of those that fell due on the way; and of
// runs that had waited for it. It is complete when t.message(…) returns, but for
// runs that wait: what these do later is added. What the engine adds is guarded
// by the world's mu.
type run struct {
	w         *world
	what      string // t.message
	at        runtime.Position
	events    []*event.Event
	verdicts  []rules.Verdict
	traces    []dispatch.RunTrace
	answer    *event.Answer
	late      bool // the answer came too late, or not at all
	duplicate bool
	status    int // of a webhook that reached no rule
	errors    *runtime.Dict
	// excused is set when the test expects a failure.
	excused bool
}

var _ runtime.Object = (*run)(nil)

func (w *world) newRun(x *runtime.Context, what string) *run {
	r := &run{w: w, what: what, at: x.Pos()}
	w.mu.Lock()
	w.all, w.now = append(w.all, r), r
	w.mu.Unlock()
	return r
}

// TypeName implements runtime.Object.
func (r *run) TypeName() string { return "run" }

// runFields are the fields of a run, for scripts.
var runFields = map[string]func(*run) runtime.Value{
	"outcome": func(r *run) runtime.Value { return r.outcome() },
	"rules": func(r *run) runtime.Value {
		out := runtime.List{}
		for _, t := range r.ended() {
			out = append(out, t.Rule)
		}
		return out
	},
	"error": func(r *run) runtime.Value {
		for _, t := range r.ended() {
			if t.Error != "" {
				return t.Error
			}
		}
		return nil
	},
	"answer":  func(r *run) runtime.Value { return r.answered() },
	"replies": func(r *run) runtime.Value { return data(dicts(r.replies())) },
	"calls":   func(r *run) runtime.Value { return data(dicts(r.calls())) },
	"logs": func(r *run) runtime.Value {
		out := runtime.List{}
		for _, t := range r.ended() {
			for _, l := range t.Logs {
				out = append(out, l)
			}
		}
		return out
	},
	"errors":  func(r *run) runtime.Value { return dictOrNil(r.errors) },
	"ts":      func(r *run) runtime.Value { return first(r, func(e *event.Event) string { return e.TS }) },
	"user":    func(r *run) runtime.Value { return first(r, func(e *event.Event) string { return e.User }) },
	"channel": func(r *run) runtime.Value { return first(r, func(e *event.Event) string { return e.Channel }) },
}

// Field implements runtime.Object.
func (r *run) Field(name string) (runtime.Value, bool) {
	f := runFields[name]
	if f == nil {
		return nil, false
	}
	return f(r), true
}

// FieldNames implements runtime.Object.
func (r *run) FieldNames() []string {
	names := make([]string, 0, len(runFields))
	for n := range runFields {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

func first(r *run, get func(*event.Event) string) runtime.Value {
	for _, e := range r.events {
		if s := get(e); s != "" {
			return s
		}
	}
	return nil
}

func dictOrNil(d *runtime.Dict) runtime.Value {
	if d == nil {
		return nil
	}
	return d
}

// data is a value as scripts see payloads: with dot access.
func data(v runtime.Value) runtime.Value {
	b, err := runtime.AppendJSON(nil, runtime.Plain(v))
	if err != nil {
		return v
	}
	return runtime.JSON(b)
}

func dicts(calls []*call) runtime.List {
	out := make(runtime.List, len(calls))
	for i, c := range calls {
		out[i] = c.dict()
	}
	return out
}

// dict is a call as tests see it: its arguments, with the method before them.
// What the engine adds so that it can find a message again is left out.
func (c *call) dict() *runtime.Dict {
	d := runtime.NewDict("method", c.method)
	for _, f := range c.args.Fields {
		if f.Key == "metadata" && marked(f.Value) {
			continue
		}
		d.Set(f.Key, f.Value)
	}
	return d
}

// marked reports whether a message's metadata is the engine's own.
func marked(v runtime.Value) bool {
	d, _ := runtime.Plain(v).(*runtime.Dict)
	return strings.HasPrefix(d.Text("event_type"), "starling")
}

// ended are the runs so far: in the order of their events, and of the rules.
// They work side by side, so that the order in which they end says nothing.
func (r *run) ended() []dispatch.RunTrace {
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	return r.sorted()
}

// sorted is ended, for who holds mu.
func (r *run) sorted() []dispatch.RunTrace {
	out := slices.Clone(r.traces)
	event := map[string]int{}
	for i, e := range r.events {
		event[e.ID] = i
	}
	rule := map[string]int{}
	for i, v := range r.verdicts {
		if _, ok := rule[v.Rule.ID]; !ok {
			rule[v.Rule.ID] = i + 1 // 0: a rule of on.error, which no event is matched with
		}
	}
	place := func(t dispatch.RunTrace) int {
		if at := rule[t.Rule]; at > 0 {
			return at
		}
		return len(r.verdicts) + 1
	}
	slices.SortStableFunc(out, func(a, b dispatch.RunTrace) int {
		return cmp.Or(event[a.EventID]-event[b.EventID], place(a)-place(b), cmp.Compare(a.Rule, b.Rule))
	})
	return out
}

// rank is the place of each run, by id, for who holds mu.
func (r *run) rank() map[string]int {
	out := map[string]int{}
	for i, t := range r.sorted() {
		out[t.ID] = i
	}
	return out
}

// made reports whether something that was asked for is of this run: its event
// led to it, or it was asked for while this was what the test did.
func (r *run) made(id string, during *run) bool {
	return during == r || slices.ContainsFunc(r.events, func(e *event.Event) bool { return e.ID == id })
}

// calls are what the rules asked of Slack, in order.
func (r *run) calls() []*call {
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	var out []*call
	for _, c := range r.w.slack.calls {
		if r.made(c.event, c.during) {
			out = append(out, c)
		}
	}
	rank := r.rank()
	slices.SortStableFunc(out, func(a, b *call) int { return rank[a.run] - rank[b.run] })
	return out
}

func (r *run) requests() []*request {
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	var out []*request
	for _, q := range r.w.web.requests {
		if r.made(q.event, q.during) {
			out = append(out, q)
		}
	}
	rank := r.rank()
	slices.SortStableFunc(out, func(a, b *request) int { return rank[a.run] - rank[b.run] })
	return out
}

// replies are what those who are where the event came from are told: what went
// through response URLs or into the conversation, and text that was the answer.
// What ephemeral(…) whispers is none.
func (r *run) replies() []*call {
	var out []*call
	if a := r.answerMessage(); a != nil {
		out = append(out, &call{method: "answer", args: a})
	}
	for _, c := range r.calls() {
		switch c.method {
		case responseURL:
			out = append(out, c)
		case "chat.postMessage", "chat.postEphemeral", "chat.meMessage":
			if c.kind != "ephemeral" && r.inSource(c) {
				out = append(out, c)
			}
		}
	}
	return out
}

// inSource reports whether a post goes to the conversation of the event that
// led to it; for an event without one, to whoever caused it.
func (r *run) inSource(c *call) bool {
	to := r.w.slack.channelOf(c.args)
	for _, e := range slices.Concat(r.events, r.w.eventsOf(c.event)) {
		if e.Channel != "" && e.Channel == to || e.Channel == "" && len(e.User) > 1 && to == "D"+e.User[1:] {
			return true
		}
	}
	return false
}

// eventsOf are the events of the run that one of them is of.
func (w *world) eventsOf(id string) []*event.Event {
	w.mu.Lock()
	defer w.mu.Unlock()
	if r := w.runs[id]; r != nil {
		return r.events
	}
	return nil
}

// answerMessage is the message in the answer to a command, or nil.
func (r *run) answerMessage() *runtime.Dict {
	if r.answer == nil || len(r.events) == 0 || len(r.answer.Body) == 0 {
		return nil
	}
	switch r.events[0].Kind {
	case event.Command, event.Action:
	case event.Webhook:
		return runtime.NewDict("text", string(r.answer.Body))
	default:
		return nil
	}
	v, err := runtime.ParseJSON(r.answer.Body)
	if d, ok := v.(*runtime.Dict); ok && err == nil {
		return d
	}
	return runtime.NewDict("text", string(r.answer.Body))
}

// answered is the answer as tests see it.
func (r *run) answered() runtime.Value {
	if r.status != 0 {
		return data(runtime.NewDict("status", int64(r.status)))
	}
	if r.answer == nil {
		return nil
	}
	status := r.answer.Status
	if status == 0 {
		status = 200
	}
	d := runtime.NewDict("status", int64(status), "text", string(r.answer.Body), "json", nil)
	if json.Valid(r.answer.Body) {
		if v, err := runtime.ParseJSON(r.answer.Body); err == nil {
			d.Set("json", v)
		}
	}
	h := &runtime.Dict{}
	for _, f := range r.answer.Headers {
		h.Set(strings.ToLower(f.Name), f.Value)
	}
	if r.answer.ContentType != "" {
		h.Set("content-type", r.answer.ContentType)
	}
	d.Set("headers", h)
	return data(d)
}

// outcome is that of the runs together: waiting if one waits, failed if one
// failed, ignored if there was none.
func (r *run) outcome() string {
	out := "ignored"
	for _, t := range r.ended() {
		switch t.Outcome {
		case dispatch.Waiting:
			return "waiting"
		case dispatch.Failed, dispatch.Dead:
			out = "failed"
		default:
			if out == "ignored" || out == string(dispatch.Cancelled) {
				out = string(t.Outcome)
			}
		}
	}
	return out
}
