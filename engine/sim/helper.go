package sim

import (
	"cmp"
	"context"
	"net/http"
)

// Helper writes scripts for the page; the engine's side implements it, since
// the local Slack knows no rules. Safe for concurrent use.
type Helper interface {
	// Rule writes a rule that matches an event, Test a test of what the rules
	// did with it. Several files belong together.
	Rule(context.Context, Past) ([]File, error)
	Test(context.Context, Past) ([]File, error)
}

// Past is an event that the page shows, with what came of it.
type Past struct {
	Event EventTrace
	Runs  []RunTrace
	// Answer is what the app answered the delivery of the event.
	Answer string
	// User and Channel are the names of the event's: "@ada", "#ops"; empty if
	// they have none.
	User, Channel string
}

// File is a text to be saved.
type File struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// RuleSheet is the state of the rules, for the page.
type RuleSheet struct {
	Rules []RuleState `json:"rules"`
	// Problems are the errors of files, and what is questionable in them.
	Problems []Problem `json:"problems"`
}

// RuleState is one rule.
type RuleState struct {
	ID string `json:"id"`
	On string `json:"on"` // on.message("deploy")
	At string `json:"at"` // file and line
	// Off says why the rule is switched off; empty if it is on.
	Off string `json:"off,omitempty"`
}

// Problem is what is wrong with a file: Level is error or warning.
type Problem struct {
	Level string `json:"level"`
	Text  string `json:"text"`
}

// SetHelper makes the page offer rules and tests for events.
func (s *Server) SetHelper(h Helper) {
	s.catalogMu.Lock()
	defer s.catalogMu.Unlock()
	s.helper = h
}

// SetRules tells the page which rules there are, and what is wrong with them.
func (s *Server) SetRules(r RuleSheet) {
	if r.Rules == nil {
		r.Rules = []RuleState{}
	}
	if r.Problems == nil {
		r.Problems = []Problem{}
	}
	s.catalogMu.Lock()
	defer s.catalogMu.Unlock()
	s.rules = r
	s.world.log.add("rules", r)
}

// routeHelper adds what the page asks the helper for.
func (s *Server) routeHelper(mux *http.ServeMux) {
	for path, write := range map[string]func(Helper, context.Context, Past) ([]File, error){
		"GET /sim/rule/{id}": Helper.Rule, "GET /sim/test/{id}": Helper.Test,
	} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			s.catalogMu.Lock()
			h := s.helper
			s.catalogMu.Unlock()
			past, ok := s.past(r.PathValue("id"))
			switch {
			case h == nil:
				writeJSON(w, http.StatusNotFound, Block{"ok": false, "error": "no engine is connected that could write it"})
				return
			case !ok:
				writeJSON(w, http.StatusNotFound, Block{"ok": false, "error": "the event is not remembered any more"})
				return
			}
			files, err := write(h, r.Context(), past)
			if err != nil {
				writeJSON(w, http.StatusBadRequest, Block{"ok": false, "error": err.Error()})
				return
			}
			writeJSON(w, http.StatusOK, Block{"ok": true, "files": files})
		})
	}
}

// past gathers what is remembered of an event.
func (s *Server) past(id string) (Past, bool) {
	var p Past
	h := &s.history
	h.mu.Lock()
	for _, e := range h.events {
		if e.ID == id {
			p.Event = e
		}
	}
	for _, r := range h.runs {
		if r.EventID == id {
			p.Runs = append(p.Runs, r)
		}
	}
	for _, d := range h.deliveries {
		if d.ID == id {
			p.Answer = cmp.Or(d.Answer, p.Answer)
		}
	}
	h.mu.Unlock()
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	if u := w.user(p.Event.User); u != nil {
		p.User = "@" + u.Name
	}
	for _, c := range w.channels {
		if c.ID == p.Event.Channel && c.Name != "" && !c.IM && !c.MPIM {
			p.Channel = "#" + c.Name
		}
	}
	return p, p.Event.ID != ""
}
