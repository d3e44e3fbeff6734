package sim

import (
	"encoding/json"
	"slices"
	"sync"
	"time"
)

// Inspector is told what an engine does with what it gets. *Server is one:
// its page shows it. Implementations are safe for concurrent use and do not
// keep the caller waiting.
type Inspector interface {
	// TraceEvent tells of an event that was matched against the rules.
	TraceEvent(EventTrace)
	// TraceRun tells of a run that began, waits or ended; the latest for an ID
	// counts.
	TraceRun(RunTrace)
}

// EventTrace is one event and what each rule made of it.
type EventTrace struct {
	ID       string    `json:"id"`   // of the event
	Kind     string    `json:"kind"` // message, command, …
	Type     string    `json:"type"` // Slack's own
	Text     string    `json:"text,omitempty"`
	User     string    `json:"user,omitempty"`
	Channel  string    `json:"channel,omitempty"`
	At       time.Time `json:"at"`
	Verdicts []Verdict `json:"verdicts"`
}

// Verdict says whether a rule matched, and if not, the first condition that
// failed.
type Verdict struct {
	Rule    string `json:"rule"`
	Matched bool   `json:"matched"`
	Reason  string `json:"reason,omitempty"`
}

// RunTrace is one rule on one event.
type RunTrace struct {
	ID      string        `json:"id"`
	EventID string        `json:"event_id"`
	Rule    string        `json:"rule"`
	Outcome string        `json:"outcome"` // done, failed, waiting, cancelled, dead
	Error   string        `json:"error,omitempty"`
	Effects []EffectTrace `json:"effects"`
	Logs    []LogTrace    `json:"logs"`
	Steps   uint64        `json:"steps"`
	Ms      float64       `json:"ms"`
}

// EffectTrace is one effect with what it was asked and what came back.
type EffectTrace struct {
	Step   int             `json:"step"`
	Kind   string          `json:"kind"`
	Args   json.RawMessage `json:"args,omitempty"`
	Result json.RawMessage `json:"result,omitempty"`
	Error  string          `json:"error,omitempty"`
	Ms     float64         `json:"ms"`
}

// LogTrace is one line that a script logged.
type LogTrace struct {
	Level string `json:"level"`
	Text  string `json:"text"`
	Pos   string `json:"pos,omitempty"`
}

// maxHistory bounds each list that the inspector keeps, maxRecord those of
// deliveries and calls, which tests look into; the page is shown maxHistory.
const (
	maxHistory = 400
	maxRecord  = 4000
)

// history is what the inspector shows of the past.
type history struct {
	mu         sync.Mutex
	deliveries []Delivery
	calls      []Call
	events     []EventTrace
	runs       []RunTrace
}

func keep[T any](list []T, x T, most int) []T {
	if len(list) >= most {
		list = slices.Clone(list[most/4:])
	}
	return append(list, x)
}

// latest copies the end of a list.
func latest[T any](list []T, most int) []T {
	return slices.Clone(list[max(0, len(list)-most):])
}

func (h *history) addDelivery(d Delivery) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.deliveries = keep(h.deliveries, d, maxRecord)
}

func (h *history) addCall(c Call) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls = keep(h.calls, c, maxRecord)
}

// TraceEvent shows an event in the page.
func (s *Server) TraceEvent(e EventTrace) {
	if e.Verdicts == nil {
		e.Verdicts = []Verdict{}
	}
	h := &s.history
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events = keep(h.events, e, maxHistory)
	s.world.log.add("event", e)
}

// TraceRun shows a run in the page, instead of what was told of it before.
func (s *Server) TraceRun(r RunTrace) {
	if r.Effects == nil {
		r.Effects = []EffectTrace{}
	}
	if r.Logs == nil {
		r.Logs = []LogTrace{}
	}
	for i := range r.Effects {
		e := &r.Effects[i]
		if len(e.Args) > 0 && !json.Valid(e.Args) || len(e.Result) > 0 && !json.Valid(e.Result) {
			e.Args, e.Result, e.Error = nil, nil, "sim: arguments or result are no JSON"
		}
	}
	h := &s.history
	h.mu.Lock()
	defer h.mu.Unlock()
	h.runs = slices.DeleteFunc(h.runs, func(old RunTrace) bool { return old.ID == r.ID })
	h.runs = keep(h.runs, r, maxHistory)
	s.world.log.add("run", r)
}

// Deliveries lists what the app was told, oldest first.
func (s *Server) Deliveries() []Delivery {
	s.history.mu.Lock()
	defer s.history.mu.Unlock()
	return slices.Clone(s.history.deliveries)
}

// Calls lists the calls of the Web API and of response URLs, oldest first.
func (s *Server) Calls() []Call {
	s.history.mu.Lock()
	defer s.history.mu.Unlock()
	return slices.Clone(s.history.calls)
}
