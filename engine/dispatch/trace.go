package dispatch

import (
	"slices"
	"time"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/rules"
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

// EventReport is an event as `starling runs` shows it.
type EventReport struct {
	ID       string      `json:"event_id"`
	Kind     string      `json:"kind,omitempty"`
	Type     string      `json:"type,omitempty"`
	Stored   time.Time   `json:"stored"`
	Settled  *time.Time  `json:"settled,omitempty"`
	Attempts int         `json:"attempts,omitempty"`
	Reason   string      `json:"reason,omitempty"`
	Runs     []RunReport `json:"runs,omitempty"`
}

// RunReport is a run as its journal tells it.
type RunReport struct {
	ID      string         `json:"run"`
	Rule    string         `json:"rule"`
	Version string         `json:"version"`
	Outcome Outcome        `json:"outcome"`
	Error   *runtime.Error `json:"error,omitempty"`
	// Reason is why the run was skipped: its rule is switched off.
	Reason  string         `json:"reason,omitempty"`
	Steps   uint64         `json:"steps"`
	Passes  int            `json:"passes"`
	Ms      float64        `json:"dur_ms"`
	Effects []EffectReport `json:"effects,omitempty"`
}

// EffectReport is one effect as the journal tells it.
type EffectReport struct {
	Step   int    `json:"step"`
	Kind   string `json:"kind"`
	At     string `json:"at,omitempty"`
	Args   string `json:"args"`
	Result string `json:"result,omitempty"`
	State  string `json:"state"` // done, or in flight
	Error  string `json:"error,omitempty"`
}

// Report decodes what the store knows of an event. Of a damaged journal it
// gives what is sound, and the fault as the reason.
func Report(info queue.EventInfo) (EventReport, error) {
	rep := EventReport{ID: info.ID, Stored: info.Stored, Attempts: info.Attempt, Reason: info.Reason}
	if !info.Settled.IsZero() {
		rep.Settled = &info.Settled
	}
	if e, err := event.Decode(info.Body); err == nil {
		rep.Kind, rep.Type = string(e.Kind), e.Type
	}
	rec, err := decodeRecord(info.Entries)
	if err != nil && rep.Reason == "" {
		rep.Reason = "decode journal: " + err.Error()
	}
	for i, open := range rec.Runs {
		end, over := rec.Ends[i]
		run := RunReport{
			ID: open.ID, Rule: open.Rule, Version: open.Digest.String(), Outcome: end.Outcome, Error: end.Error, Reason: end.Why,
			Steps: end.Steps, Passes: end.Passes, Ms: float64(end.Took.Microseconds()) / 1000,
		}
		if !over {
			run.Outcome = Waiting
			if info.Reason != "" {
				run.Outcome = Dead
			}
		}
		steps := rec.Steps[i]
		if last := rec.Last[i]; last != nil {
			steps = append(slices.Clone(steps), *last)
		}
		for n, s := range steps {
			er := EffectReport{Step: n + 1, Kind: s.Kind, At: s.Pos.String(), Args: show(s.Args), State: "in flight", Error: s.Err}
			if s.Done {
				er.State, er.Result = "done", show(s.Value)
			}
			run.Effects = append(run.Effects, er)
		}
		rep.Runs = append(rep.Runs, run)
	}
	return rep, nil
}
