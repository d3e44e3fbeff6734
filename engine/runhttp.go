package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/starling-rules/starling/engine/dispatch"
	"github.com/starling-rules/starling/engine/ingress"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/timeline"
)

// RunRequest is the body of what is asked to be done to a run; all of it may be
// left out.
type RunRequest struct {
	// Answer is what a run is to go on with.
	Answer json.RawMessage `json:"answer,omitempty"`
	// Who is the operator, for the time line and the message of a question.
	Who string `json:"who,omitempty"`
}

// mountRuns adds the endpoints about runs.
func (e *Engine) mountRuns(op *Operator) {
	e.mountPage()
	e.admin.Handle(http.MethodGet, "/runs", func(ctx context.Context, r *ingress.AdminRequest) ingress.AdminResponse {
		switch state := r.Query["state"]; state {
		case "":
			return reply(op.Runs(ctx, limitOf(r)))
		case string(dispatch.Waiting):
			f := filterOf(r)
			f.Limit = limitOf(r)
			return reply(op.WaitingRuns(ctx, f))
		default:
			return ingress.Problem(http.StatusBadRequest, "state: want waiting, or leave it out (got "+strconv.Quote(state)+")")
		}
	})
	e.admin.Handle(http.MethodGet, "/runs/versions", func(ctx context.Context, r *ingress.AdminRequest) ingress.AdminResponse {
		return reply(op.WaitingVersions(ctx, filterOf(r)))
	})
	e.admin.Handle(http.MethodGet, "/runs/{id}", func(ctx context.Context, r *ingress.AdminRequest) ingress.AdminResponse {
		return reply(op.Run(ctx, r.Params["id"]))
	})
	for verb, act := range op.acts() {
		e.admin.Handle(http.MethodPost, "/runs/{id}/"+verb, func(ctx context.Context, r *ingress.AdminRequest) ingress.AdminResponse {
			return e.actOnRun(ctx, r, verb, act)
		})
	}
}

// pageFiles are the files of the page for operators, which asks the endpoints
// above as the command line does.
var pageFiles = map[string]struct{ path, contentType string }{
	"index.html":   {"/", "text/html; charset=utf-8"},
	"runs.js":      {"/page/runs.js", "text/javascript; charset=utf-8"},
	"runs.css":     {"/page/runs.css", "text/css; charset=utf-8"},
	"timeline.js":  {"/page/timeline.js", "text/javascript; charset=utf-8"},
	"timeline.css": {"/page/timeline.css", "text/css; charset=utf-8"},
}

// mountPage adds the page.
func (e *Engine) mountPage() {
	for name, f := range pageFiles {
		text, err := timeline.Page.ReadFile("page/" + name)
		if err != nil {
			panic(err) // it is embedded
		}
		e.admin.Handle(http.MethodGet, f.path, func(context.Context, *ingress.AdminRequest) ingress.AdminResponse {
			return ingress.AdminResponse{ContentType: f.contentType, Body: text}
		})
	}
}

// runAct does something to a run.
type runAct func(ctx context.Context, id string, step int, req *RunRequest) (Acted, error)

// acts are what operators can do to runs, by the word for it.
func (o *Operator) acts() map[string]runAct {
	return map[string]runAct{
		"cancel": func(ctx context.Context, id string, _ int, req *RunRequest) (Acted, error) {
			return o.CancelRun(ctx, id, req.Who)
		},
		"continue": func(ctx context.Context, id string, _ int, req *RunRequest) (Acted, error) {
			return o.ContinueRun(ctx, id, req.Answer, req.Who)
		},
		"retry": func(ctx context.Context, id string, step int, req *RunRequest) (Acted, error) {
			return o.RetryRun(ctx, id, step, req.Who)
		},
		"restart": func(ctx context.Context, id string, _ int, req *RunRequest) (Acted, error) {
			return o.RestartRun(ctx, id, req.Who)
		},
	}
}

// Act does something to a run: cancel, continue, retry or restart. Step is that
// of a retry.
func (o *Operator) Act(ctx context.Context, verb, id string, step int, req *RunRequest) (Acted, error) {
	act, ok := o.acts()[verb]
	if !ok {
		return Acted{}, errors.New("want cancel, continue, retry or restart")
	}
	return act(ctx, id, step, req)
}

func (e *Engine) actOnRun(ctx context.Context, r *ingress.AdminRequest, verb string, act runAct) ingress.AdminResponse {
	var req RunRequest
	if len(r.Body) > 0 {
		dec := json.NewDecoder(bytes.NewReader(r.Body))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&req); err != nil {
			return ingress.Problem(http.StatusBadRequest, "the body is not as it should be: "+err.Error())
		}
	}
	step := 0
	if text, given := r.Query["step"]; given {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || verb != "retry" {
			return ingress.Problem(http.StatusBadRequest, "step: want the number of a step, with retry (got "+strconv.Quote(text)+")")
		}
		step = n
	}
	id := r.Params["id"]
	did, err := act(ctx, id, step, &req)
	if err != nil {
		return runProblem(err)
	}
	e.log.Warn("operator", "do", verb, "run", id, "new_run", did.New, "who", req.Who)
	return ingress.JSON(http.StatusOK, did)
}

// runProblem is the answer for what cannot be done: 409 says that the run is
// not in a state for it, 422 that the answer is no good.
func runProblem(err error) ingress.AdminResponse {
	switch {
	case errors.Is(err, queue.ErrNotFound):
		return ingress.Problem(http.StatusNotFound, "not found")
	case errors.Is(err, ErrNotWaiting), errors.Is(err, dispatch.ErrNotAgain):
		return ingress.Problem(http.StatusConflict, err.Error())
	case errors.Is(err, ErrBadAnswer):
		return ingress.Problem(http.StatusUnprocessableEntity, err.Error())
	}
	return ingress.Problem(http.StatusInternalServerError, err.Error())
}

func filterOf(r *ingress.AdminRequest) RunFilter {
	return RunFilter{Rule: r.Query["rule"], Script: r.Query["script"], Version: r.Query["version"]}
}
