package sim

import (
	"context"
	"encoding/json"
	"io"
	"net/http"

	"github.com/starling-rules/starling/engine/timeline"
)

// RunKeeper tells the page of runs, and does what is asked to be done to one;
// the engine's side implements it. Safe for concurrent use.
type RunKeeper interface {
	// Run is a run with its time line, as JSON.
	Run(ctx context.Context, id string) (any, error)
	// Act has a run cancelled, continued with an answer (JSON, or nothing),
	// retried from a step (0: where it failed) or restarted.
	Act(ctx context.Context, verb, id string, step int, answer json.RawMessage) (any, error)
}

// SetRunKeeper makes the page show the time lines of runs.
func (s *Server) SetRunKeeper(k RunKeeper) {
	s.catalogMu.Lock()
	defer s.catalogMu.Unlock()
	s.keeper = k
}

// routeRuns adds what the page asks about runs.
func (s *Server) routeRuns(mux *http.ServeMux) {
	for _, name := range []string{"timeline.js", "timeline.css"} {
		mux.HandleFunc("GET /assets/"+name, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "no-cache")
			http.ServeFileFS(w, r, timeline.Page, "page/"+name)
		})
	}
	with := func(use func(RunKeeper, *http.Request) (any, error)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			s.catalogMu.Lock()
			k := s.keeper
			s.catalogMu.Unlock()
			if k == nil {
				writeJSON(w, http.StatusNotFound, Block{"ok": false, "error": "no engine is connected that knows runs"})
				return
			}
			v, err := use(k, r)
			if err != nil { // no fault of the page: it says so, and its console need not
				writeJSON(w, http.StatusOK, Block{"ok": false, "error": err.Error()})
				return
			}
			writeJSON(w, http.StatusOK, Block{"ok": true, "run": v})
		}
	}
	mux.HandleFunc("GET /sim/runs/{id}", with(func(k RunKeeper, r *http.Request) (any, error) { return k.Run(r.Context(), r.PathValue("id")) }))
	mux.HandleFunc("POST /sim/runs/{id}/{verb}", with(func(k RunKeeper, r *http.Request) (any, error) {
		body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
		var in struct {
			Step   int             `json:"step"`
			Answer json.RawMessage `json:"answer"`
		}
		if err == nil && len(body) > 0 {
			err = json.Unmarshal(body, &in)
		}
		if err != nil {
			return nil, err
		}
		return k.Act(r.Context(), r.PathValue("verb"), r.PathValue("id"), in.Step, in.Answer)
	}))
}
