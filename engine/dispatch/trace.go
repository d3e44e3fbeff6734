package dispatch

import (
	"time"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/rules"
	"github.com/starling-rules/starling/engine/wait"
	"github.com/starling-rules/starling/runtime"
)

// Inspector is told of every event and run; the local Slack shows them.
// Its methods are called from many goroutines and must not block.
type Inspector interface {
	Event(EventTrace)
	Run(RunTrace)
}

// EventTrace is an event with what each rule made of it.
type EventTrace struct {
	Event    *event.Event
	Verdicts []rules.Verdict
}

// RunTrace is a run that has ended, with what it did.
type RunTrace struct {
	ID      string        `json:"id"`
	EventID string        `json:"event_id"`
	Rule    string        `json:"rule"`
	Outcome Outcome       `json:"outcome"`
	Error   string        `json:"error,omitempty"`
	Effects []EffectTrace `json:"effects,omitempty"`
	Logs    []string      `json:"logs,omitempty"`
	Steps   uint64        `json:"steps"`
	Passes  int           `json:"passes"`
	Took    time.Duration `json:"took_ns"`
	// Wait is what the run waits for, if that is its outcome; it is told of again
	// when it has gone on, with all it did.
	Wait *wait.Wait `json:"-"`
}

// EffectTrace is one effect of a run, with request and answer as JSON.
type EffectTrace struct {
	Step   int           `json:"step"`
	Kind   string        `json:"kind"`
	Args   string        `json:"args"`
	Result string        `json:"result"`
	At     string        `json:"at,omitempty"`
	Took   time.Duration `json:"took_ns,omitempty"`
}

func (d *Dispatcher) trace(set *rules.Set, e *event.Event) {
	if d.Inspector != nil {
		d.Inspector.Event(EventTrace{Event: e, Verdicts: d.explain(set, e)})
	}
}

func (r *run) traceEnd(end ended) {
	if r.d.Inspector == nil {
		return
	}
	t := r.trace
	t.ID, t.EventID, t.Rule, t.Outcome = r.ID, r.e.ID, r.Rule, end.Outcome
	t.Steps, t.Passes, t.Took = end.Steps, end.Passes, end.Took
	t.Error = end.Why
	if end.Error != nil {
		t.Error = end.Error.Detail()
	}
	r.d.Inspector.Run(t)
}

// logText is a line with its facts behind it: deployed app="api".
func logText(l runtime.LogLine) string {
	text := l.Text
	for i := 0; i < l.Attrs.Len(); i++ {
		f := l.Attrs.Fields[i]
		text += " " + f.Key + "=" + show(f.Value)
	}
	return text
}

// show renders a value for people: JSON, secrets hidden.
func show(v runtime.Value) string {
	b, err := runtime.AppendJSON(nil, hideSecrets(v))
	if err != nil {
		return "?"
	}
	return string(b)
}

func hideSecrets(v runtime.Value) runtime.Value {
	switch v := v.(type) {
	case runtime.Secret:
		return v.String()
	case runtime.Func:
		return v.Name
	case *runtime.Dict:
		out := &runtime.Dict{}
		for i := 0; i < v.Len(); i++ {
			out.Fields = append(out.Fields, runtime.Field{Key: v.Fields[i].Key, Value: hideSecrets(v.Fields[i].Value)})
		}
		return out
	case runtime.List:
		out := make(runtime.List, len(v))
		for i := range v {
			out[i] = hideSecrets(v[i])
		}
		return out
	}
	return v
}
