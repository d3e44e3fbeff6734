package api

import (
	"bytes"
	"context"
	"errors"
	"net/http"

	"github.com/starling-rules/starling/engine/door"
	"github.com/starling-rules/starling/engine/ingress"
	"github.com/starling-rules/starling/engine/slackapi"
	"github.com/starling-rules/starling/runtime"
)

// action calls a method of the Web API as the bot of the path.
func (a *API) action(ctx context.Context, r *request) ingress.AdminResponse {
	method, kwargs, failed := body(r)
	if failed != nil {
		return *failed
	}
	return a.call(ctx, r, method, kwargs)
}

// sendIM is action in the direct conversation with a person. With GET, as the
// manual of omnibot has it, the parameters are in the query: action
// (chat.postMessage), kwargs (JSON), any other is a keyword argument.
func (a *API) sendIM(ctx context.Context, r *request) ingress.AdminResponse {
	method, kwargs, failed := body(r)
	if r.Method == http.MethodGet && len(r.Body) == 0 {
		method, kwargs, failed = query(r)
	}
	if failed != nil {
		return *failed
	}
	if r.slack = method; !r.decision.MayCall(method) {
		return a.notAllowed(r)
	}
	u, failed := a.user(ctx, r)
	if failed != nil {
		return *failed
	}
	channel, err := a.o.Slack.DM(ctx, u.ID, r.options())
	if err != nil {
		return refused(err, "direct conversation with the user")
	}
	kwargs.Set("channel", channel)
	return a.call(ctx, r, method, kwargs)
}

// body reads {"action": …, "kwargs": {…}}.
func body(r *request) (method string, kwargs *runtime.Dict, failed *ingress.AdminResponse) {
	doc, err := runtime.ParseJSON(r.Body)
	d, ok := doc.(*runtime.Dict)
	if err != nil || !ok {
		return "", nil, wrong("the body is not a JSON object")
	}
	if method = d.Text("action"); method == "" {
		return "", nil, wrong("action not provided in payload")
	}
	v, ok := d.Get("kwargs")
	if !ok {
		return "", nil, wrong("kwargs not provided in payload")
	}
	if kwargs, ok = v.(*runtime.Dict); !ok {
		return "", nil, wrong("kwargs is not an object")
	}
	return method, kwargs, nil
}

// query reads what body does from the query.
func query(r *request) (method string, kwargs *runtime.Dict, failed *ingress.AdminResponse) {
	kwargs = &runtime.Dict{}
	if text, ok := r.Query["kwargs"]; ok {
		doc, err := runtime.ParseJSON([]byte(text))
		if kwargs, ok = doc.(*runtime.Dict); err != nil || !ok {
			return "", nil, wrong("kwargs is not a JSON object")
		}
	}
	method = "chat.postMessage"
	for name, v := range r.Query {
		switch name {
		case "kwargs":
		case "action":
			method = v
		case "omnibot_parse":
			doc, err := runtime.ParseJSON([]byte(v))
			if err != nil {
				return "", nil, wrong("omnibot_parse is not JSON")
			}
			kwargs.Set(name, doc)
		default:
			kwargs.Set(name, v)
		}
	}
	return method, kwargs, nil
}

func wrong(why string) *ingress.AdminResponse {
	resp := ingress.JSON(http.StatusBadRequest, map[string]any{"ok": false, "error": why})
	return &resp
}

func (a *API) notAllowed(r *request) ingress.AdminResponse {
	r.decision.Allowed, r.decision.Reason = false, "Slack method not allowed for the key"
	return ingress.JSON(http.StatusForbidden, map[string]any{"ok": false, "error": "forbidden"})
}

// call makes the call and answers what Slack answered: 200, 400 if that is not
// ok, 502 if there was no answer.
func (a *API) call(ctx context.Context, r *request, method string, kwargs *runtime.Dict) ingress.AdminResponse {
	if r.slack = method; !r.decision.MayCall(method) {
		return a.notAllowed(r)
	}
	o := r.options()
	if v, ok := kwargs.Get("omnibot_parse"); ok {
		kwargs.Delete("omnibot_parse")
		if v != nil {
			parse, ok := v.(*runtime.Dict)
			if !ok {
				return *wrong("omnibot_parse is not an object")
			}
			if err := door.Parse(ctx, a.o.Slack, o, kwargs, parse); err != nil {
				if ctx.Err() != nil {
					return timedOut()
				}
				return *wrong("omnibot_parse: " + err.Error())
			}
		}
	}
	if _, ok := kwargs.Get("token"); ok {
		return *wrong("token is not taken: the bot's own is used")
	}
	kwargs.Delete("timeout") // of omnibot's client, no argument of Slack's
	o.UserFallback = true
	res, err := a.o.Slack.Call(ctx, method, kwargs, o)
	switch {
	case errors.Is(err, slackapi.ErrMethod):
		return *wrong("unknown_method")
	case err != nil && ctx.Err() != nil:
		return timedOut()
	case err != nil:
		return *wrong("the arguments cannot be sent to Slack")
	case res.OK:
		return ingress.AdminResponse{Status: http.StatusOK, Body: bytes.Clone(res.Body)}
	case res.Doubt || res.Status == 0 && (res.Error == "connection_failed" || res.Error == "timeout"):
		return ingress.AdminResponse{Status: http.StatusBadGateway, Body: bytes.Clone(res.Body)}
	}
	return ingress.AdminResponse{Status: http.StatusBadRequest, Body: bytes.Clone(res.Body)}
}

func timedOut() ingress.AdminResponse {
	return ingress.JSON(http.StatusGatewayTimeout, map[string]any{"ok": false, "error": "timeout"})
}
