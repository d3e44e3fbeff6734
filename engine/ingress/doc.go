// Package ingress is the way in over HTTP. It is the only package that knows
// fasthttp.
//
//	              ssl_check? ──► 200, nothing else
//	request ─► verify ─► parse ─► Sink.Accept ────────► 200 | 503
//	             │         │      Sink.AcceptAnswered ► the rule's answer
//	             ▼ 401     ▼ 400
//
//	Server    Slack's callbacks, webhooks, health; Options configures it
//	Verifier  Slack's v0 signature, over one or more secrets
//	Sink      what stores an event, and waits for its answer if it has one
//	Webhooks  the routes that rules registered
//	Admin     health, metrics and JSON endpoints on a port of their own
//
// No 2xx is sent for an event before the Sink has returned. Everything that
// outlives a request is copied out of its buffers, which are reused. The
// package knows no rules, no store beyond the Sink's errors, and no scripts.
package ingress
