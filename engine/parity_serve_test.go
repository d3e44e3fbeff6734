package engine_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine"
	"github.com/starling-rules/starling/engine/ingress"
)

const parityOpen = `authorization: {checks: [{module: "omnibot.authnz:allowed_paths", kwargs: {paths: ["/api/v1/slack/(event|slash_command|interactive)"]}}]}
`

// TestParitySlackRoutes holds the statuses and bodies of omnibot's three routes
// for Slack.
func TestParitySlackRoutes(t *testing.T) {
	t.Parallel()
	p := newParity(t, parityOpen+`handlers:
  slash_command_handlers:
    - {command: /go, canned_response: going, bots: {acme: [helper]}}
  interactive_component_handlers:
    - {callback_id: go, response_type: in_channel, bots: {acme: [helper]}}
`, nil, nil)
	go1 := p.form("/go", "", "t1")
	noTeam, other := p.form("/go", "", "t2"), p.form("/go", "", "t3")
	noTeam.Del("team_id")
	other.Set("team_id", "T9")
	press := map[string]any{"callback_id": "go", "actions": []any{map[string]any{"name": "b", "type": "button"}}}
	for _, tc := range []struct {
		what, path, kind, body, secret string
		status                         int
		want                           string
	}{
		{"event", ingress.GuardedEvent, jsonBody, envelope("A11", "1", spoken("1", "hi")), "secret-of-A11", 200, `{"status":"success"}`},
		{"challenge", ingress.GuardedEvent, jsonBody, `{"type":"url_verification","challenge":"c","token":"x"}`, "secret-of-A12", 200, `{"challenge":"c"}`},
		{"unknown app", ingress.GuardedEvent, jsonBody, strings.ReplaceAll(envelope("A11", "2", spoken("2", "hi")), `"A11"`, `"A99"`), "secret-of-A11", 403, `"failure"`},
		{"no event", ingress.GuardedEvent, jsonBody, `{"type":"event_callback","team_id":"T1","api_app_id":"A11","event_id":"Ev3"}`, "secret-of-A11", 400, `{"status":"failure","error":`},
		{"malformed", ingress.GuardedEvent, jsonBody, `{"type"`, "secret-of-A11", 400, `{"status":"failure","error":`},
		{"unsigned", ingress.GuardedEvent, jsonBody, envelope("A11", "4", spoken("4", "hi")), "guess", 403, `{"status":"failure","error":"not authentic"}`},
		{"command", ingress.GuardedCommand, formBody, go1.Encode(), "secret-of-A11", 200, `"text":"going"`},
		{"command of another team", ingress.GuardedCommand, formBody, other.Encode(), "secret-of-A11", 403, `{"error":"Unsupported team","status":"failure"}`},
		{"command without a team", ingress.GuardedCommand, formBody, noTeam.Encode(), "secret-of-A11", 403, `"failure"`},
		{"command without a handler", ingress.GuardedCommand, formBody, p.form("/nobody", "", "t4").Encode(), "secret-of-A11", 200, `/nobody`},
		{"component", ingress.GuardedInteractive, formBody, p.component("interactive_message", "t5", press), "secret-of-A11", 200, `"response_type":"in_channel"`},
		{"component of an unknown type, which a rule may be for", ingress.GuardedInteractive, formBody, p.component("nonsense", "t6", press), "secret-of-A11", 200, ``},
		{"no payload", ingress.GuardedInteractive, formBody, "x=1", "secret-of-A11", 400, `{"status":"failure","error":`},
	} {
		got := p.deliverWith(tc.path, tc.kind, tc.body, tc.secret)
		if got.status != tc.status || !strings.Contains(got.body, tc.want) {
			t.Errorf("%s: got %d %s, want %d %s", tc.what, got.status, got.body, tc.status, tc.want)
		}
	}
	if got := p.ask(http.MethodGet, "/healthcheck", ""); got.status != 200 || strings.TrimSpace(got.body) != "OK" {
		t.Errorf("healthcheck: got %d %q", got.status, got.body)
	}
	if got := p.ask(http.MethodGet, ingress.GuardedEvent, ""); got.status != http.StatusMethodNotAllowed {
		t.Errorf("GET of a route for POST: got %d", got.status)
	}
	if got := p.deliverWith(ingress.GuardedEvent, jsonBody, strings.Repeat(" ", 2<<20)+"{}", "secret-of-A11"); got.status != http.StatusRequestEntityTooLarge {
		t.Errorf("a body of 2 MiB: got %d", got.status)
	}
}

// deliverWith is deliver with any secret.
func (p *parity) deliverWith(path, kind, body, secret string) answer {
	p.t.Helper()
	got := p.signed(path, kind, body, secret)
	p.idle()
	return got
}

// TestParityHelp holds what answers a message that meets no handler.
func TestParityHelp(t *testing.T) {
	t.Parallel()
	const list = `handlers:
  message_handlers:
    - {match: deploy, match_type: command, description: deploys, bots: {acme: [helper]}, callbacks: []}
    - {match: "ship.*", match_type: regex, description: ships, bots: {acme: [helper]}, callbacks: []}
    - {match: hidden, match_type: command, description: of another, bots: {acme: [second]}, callbacks: []}
`
	own := map[string]string{"own/help.star": `def show(container, text = ""):
    return {"actions": [{"action": "chat.postMessage", "kwargs": {"text": text + container.command_text}}]}
`}
	for name, tc := range map[string]struct{ yaml, want string }{
		"built in":      {list, "This is what I can do:"},
		"help_callback": {list + `help_callback: {callback: {module: "own.help:show", kwargs: {text: "what is "}}}`, "what is nonsense"},
		"none":          {list + "default_to_help: false\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newParity(t, tc.yaml, own, nil)
			p.says("1", "nonsense")
			p.says("2", "<@UA11> deploy")
			if calls := p.slack.take(); len(calls) != 0 {
				t.Errorf("what is not directed, or has a handler: got %v", calls)
			}
			p.says("3", "<@UA11> nonsense")
			calls := p.slack.take()
			if tc.want == "" {
				if len(calls) != 0 {
					t.Errorf("got %v", calls)
				}
				return
			}
			if len(calls) != 1 || calls[0].text("text") != tc.want {
				t.Fatalf("got %v, want %q", calls, tc.want)
			}
			if name != "built in" {
				return
			}
			b := fmt.Sprint(calls[0].args["attachments"])
			for _, part := range []string{"Commands:", "Regex matches:", "title:deploy", "value:deploys", "title:ship.*"} {
				if !strings.Contains(b, part) {
					t.Errorf("the list lacks %s: %s", part, b)
				}
			}
			if strings.Contains(b, "hidden") {
				t.Errorf("the list has the handler of another bot: %s", b)
			}
		})
	}
}

// TestParityMetrics holds that what omnibot measured is measured, and that a
// late delivery is told.
func TestParityMetrics(t *testing.T) {
	t.Parallel()
	p := newParity(t, `handlers:
  message_handlers:
    - {match: go, match_type: command, bots: {acme: [helper]}, callbacks: `+hook("go")+`}
  slash_command_handlers:
    - {command: /go, bots: {acme: [helper]}, callbacks: `+hook("slash")+`}
  interactive_component_handlers:
    - {callback_id: go, bots: {acme: [helper]}, callbacks: `+hook("press")+`}
`, nil, nil)
	now := fmt.Sprintf("%d.000100", time.Now().Unix())
	p.event("A11", "now", spoken("now", "<@UA11> go", "ts", now, "event_ts", now))
	if strings.Contains(p.log.String(), "delivers late") {
		t.Error("a delivery in time is said to be late")
	}
	p.service.says("/go", `{"actions":[{"action":"chat.postMessage","kwargs":{"text":"x"}}]}`)
	p.says("old", "<@UA11> go")
	p.says("none", "nothing")
	p.slash("/go", "", "m1")
	p.interacts("block_actions", "m2", map[string]any{"actions": []any{map[string]any{"action_id": "a", "block_id": "go", "type": "button"}}})
	retry := p.signed("/slack/events", jsonBody, envelope("A11", "again", spoken("again", "nothing")), "secret-of-A11", "X-Slack-Retry-Num", "1", "X-Slack-Retry-Reason", "http_timeout")
	p.idle()
	if retry.status != 200 {
		t.Errorf("a retry: got %d", retry.status)
	}
	metrics := p.admin(http.MethodGet, "/metrics")
	for omnibots, line := range map[string]string{
		"sqs.sent":                              `starling_events_total{outcome="stored",transport="http",type="message"} 4`,
		"event.process.attempt":                 `starling_events_matched_total{`,
		"event.handled, event.defaulted":        `starling_rule_runs_total{outcome="done",rule="omnibot.conf:command go"} 2`,
		"slash_command.process.attempt":         `starling_rule_runs_total{outcome="done",rule="omnibot.conf:/go"} 1`,
		"interactive_component.process.attempt": `starling_rule_runs_total{outcome="done",rule="omnibot.conf:go block"} 1`,
		"handle_message, process_event":         `starling_rule_seconds_count{rule="omnibot.conf:command go"} 2`,
		"pre_sqs_delivery_latency":              `starling_delivery_lag_seconds_count{stage="received"}`,
		"pre_sqs_delivery_retry_latency":        `starling_delivery_lag_seconds_count{stage="received_again"} 1`,
		"delivery_latency":                      `starling_delivery_lag_seconds_count{stage="taken"}`,
		"retries":                               `starling_event_retries_total{reason="http_timeout"} 1`,
		"calls of Slack, which it had not":      `starling_slack_calls_total{method="chat.postMessage",outcome="ok"} 1`,
		"calls of services, which it had not":   `starling_http_calls_total{method="POST"`,
		"unexpand_metadata, parser.*":           `starling_effects_total{kind="read_markup",outcome="ok"}`,
		"webhookpool.spawn, pool.full":          `starling_queue_`,
	} {
		if !strings.Contains(metrics, line) {
			t.Errorf("%s: no %s in\n%s", omnibots, line, linesWith(metrics, line[:strings.IndexByte(line+"{", '{')]))
		}
	}
	log := p.log.String()
	late := linesWith(log, "delivers late")
	if !strings.Contains(late, "team=T1") || !strings.Contains(late, "event_type=message") {
		t.Errorf("a delivery of long ago: %q", late)
	}
	for _, field := range []string{"event_id=Evold", "event_type=message", "team=T1", `rule="omnibot.conf:command go"`, "outcome=done", "dur_ms="} {
		if !strings.Contains(linesWith(log, "run ended"), field) {
			t.Errorf("the line of a run lacks %s", field)
		}
	}
	for _, never := range []string{"verification-of-", "xoxb-", "secret-of-"} {
		if strings.Contains(log, never) || strings.Contains(metrics, never) {
			t.Errorf("%s is in the log or a metric", never)
		}
	}
}

// linesWith are the lines that hold a text.
func linesWith(text, part string) string {
	lines := strings.Split(text, "\n")
	return strings.Join(slices.DeleteFunc(lines, func(l string) bool { return !strings.Contains(l, part) }), "\n")
}

// TestParityLookUps holds what is remembered of Slack.
func TestParityLookUps(t *testing.T) {
	t.Parallel()
	p := newParity(t, "handlers: {message_handlers: [{match: \".*\", match_type: regex, bots: {acme: [helper, second]}, callbacks: "+hook("all")+"}]}\nauthorization: {keys: {all: {hash: \""+keyHash("key-all")[0]+"\", methods: [GET, POST], bots: [\"*/*\"], slack_methods: [\"*\"]}}}\n", nil, nil)
	count := func(method string) int { return len(p.slack.take(method)) }
	p.says("1", "hello", "user", "U3") // has no e-mail: omnibot asked for it at every event
	p.says("2", "hello again", "user", "U3")
	if n := count("users.info"); n != 1 {
		t.Errorf("a person without e-mail: %d look-ups, want 1", n)
	}
	p.says("3", "hello", "user", "U404")
	p.says("4", "hello", "user", "U404")
	if n := count("users.info"); n != 1 {
		t.Errorf("somebody unknown: %d look-ups, want 1", n)
	}
	// Private channels are listed, all pages are read.
	if got := p.ask("GET", "/api/v1/slack/get_channel/acme/helper/secret", "", "Authorization", all); got.status != 200 || !strings.Contains(got.body, `"C3"`) {
		t.Errorf("a private channel: got %d %s", got.status, got.body)
	}
	if calls := p.slack.take("conversations.list"); len(calls) != 1 || !strings.Contains(calls[0].text("types"), "private_channel") {
		t.Errorf("got %v", calls)
	}
	// A rename is known as soon as Slack tells of it.
	p.slack.set("users.info", `{"ok":true,"user":{"id":"U3","name":"renamed","profile":{}}}`)
	p.event("A11", "change", map[string]any{"type": "user_change", "event_ts": "1.1", "user": map[string]any{"id": "U3", "name": "renamed", "profile": map[string]any{}}})
	p.service.take("/all")
	p.says("5", "hello <@U3>", "user", "U3")
	if got := p.service.one(t, "/all"); got["parsed_text"] != "hello @renamed" {
		t.Errorf("after user_change: got %v", got["parsed_text"])
	}
}

// TestParityHTTPCallback holds what http_callback sends, and what it makes of
// the answer.
func TestParityHTTPCallback(t *testing.T) {
	t.Parallel()
	callback := func(kwargs string) string {
		return `[{module: "omnibot.callbacks.network_callbacks:http_callback"` + kwargs + `}]`
	}
	p := newParity(t, `default_to_help: false
handlers:
  message_handlers:
    - {match: full, match_type: command, bots: {acme: [helper]}, callbacks: `+callback(`, kwargs: {request_kwargs: {url: "BACK/full", headers: {X-Token: hush-hush, X-Plain: seen}, auth: [me, hush-too], params: {q: "a b"}, timeout: [1, 5], verify: false}, client_kwargs: {retries: {total: 2}}}`)+`}
    - {match: bare, match_type: command, bots: {acme: [helper]}, callbacks: `+callback(``)+`}
    - {match: gone, match_type: command, bots: {acme: [helper]}, callbacks: `+callback(`, kwargs: {request_kwargs: {url: "http://127.0.0.1:1/"}, client_kwargs: {retries: 0}}`)+`}
`, nil, nil)
	const post = `{"actions":[{"action":"chat.postMessage","kwargs":{"text":"done"}}]}`
	for i, tc := range []struct {
		what, text, answer string
		statuses           []int
		posts              int
	}{
		{"a result", "full", post, nil, 1},
		{"a status that is none of success, with a result", "full", post, []int{404}, 1},
		{"failures of the service, repeated", "full", post, []int{500, 503}, 1},
		{"no JSON", "full", "<html>", nil, 0},
		{"a list", "full", "[1]", nil, 0},
		{"without request_kwargs", "bare", "", nil, 0},
		{"nobody there", "gone", "", nil, 0},
	} {
		p.slack.take()
		p.service.says("/full", tc.answer, tc.statuses...)
		p.says(fmt.Sprint("h", i), "<@UA11> "+tc.text)
		if calls := p.slack.take("chat.postMessage"); len(calls) != tc.posts {
			t.Errorf("%s: got %v, want %d posts", tc.what, calls, tc.posts)
		}
		sent := len(p.service.take("/full"))
		if want := len(tc.statuses) + 1; strings.HasPrefix(tc.what, "failures") && sent != want {
			t.Errorf("%s: sent %d times, want %d", tc.what, sent, want)
		}
	}
	h, q := p.service.headers["/full"], p.service.queries["/full"]
	if user, pass, _ := (&http.Request{Header: h}).BasicAuth(); user != "me" || pass != "hush-too" || h.Get("X-Token") != "hush-hush" || h.Get("X-Plain") != "seen" || q.Get("q") != "a b" {
		t.Errorf("got %v %v", h, q)
	}
	if h.Get("Idempotency-Key") == "" {
		t.Error("no idempotency key")
	}
	for _, never := range []string{"hush-hush", "hush-too"} {
		if strings.Contains(p.log.String(), never) || strings.Contains(p.admin(http.MethodGet, "/runs"), never) {
			t.Errorf("%s is in the log or the journal", never)
		}
	}
}

// TestParityAckDoesNotWait holds that Slack is answered while a callback is at
// work, however long that takes.
func TestParityAckDoesNotWait(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	p := newParity(t, strings.ReplaceAll(`handlers:
  message_handlers:
    - {match: go, match_type: command, bots: {acme: [helper]}, callbacks: %}
  slash_command_handlers:
    - {command: /go, canned_response: soon, bots: {acme: [helper]}, callbacks: %}
  interactive_component_handlers:
    - {callback_id: sync, bots: {acme: [helper]}, callbacks: [{module: "omnibot.callbacks.network_callbacks:http_callback", synchronous: true, kwargs: {request_kwargs: {url: "BACK/slow"}}}]}
`, "%", hook("slow")), nil, func(o *engine.Options) { o.Config.Limits.Answer = 300 * time.Millisecond })
	p.service.hold(hold)
	defer close(hold)
	view := map[string]any{"id": "V1", "type": "modal", "callback_id": "sync", "blocks": []any{}, "state": map[string]any{"values": map[string]any{}}}
	for _, tc := range []struct{ what, path, kind, body, want string }{
		{"event", "/slack/events", jsonBody, envelope("A11", "1", spoken("1", "<@UA11> go")), ""},
		{"command", "/slack/commands", formBody, p.form("/go", "", "t1").Encode(), `"text":"soon"`},
		{"synchronous", "/slack/interactive", formBody, p.component("view_submission", "t2", map[string]any{"view": view, "channel": nil}), ""},
	} {
		began := time.Now()
		got := p.signed(tc.path, tc.kind, tc.body, "secret-of-A11")
		if got.status != 200 || !strings.Contains(got.body, tc.want) || tc.want == "" && got.body != "" {
			t.Errorf("%s: got %d %s", tc.what, got.status, got.body)
		}
		if d := time.Since(began); d > 10*time.Second {
			t.Errorf("%s: answered after %v", tc.what, d)
		}
	}
	hold <- struct{}{} // one of the callbacks is still at work
}

// TestParityRichContent holds that what omnibot dropped reaches services and
// callbacks.
func TestParityRichContent(t *testing.T) {
	t.Parallel()
	p := newParity(t, `handlers:
  message_handlers: [{match: go, match_type: command, bots: {acme: [helper]}, callbacks: `+hook("go")+`}]
  slash_command_handlers: [{command: /go, bots: {acme: [helper]}, callbacks: `+hook("slash")+`}]
  interactive_component_handlers: [{callback_id: go, bots: {acme: [helper]}, callbacks: `+hook("press")+`}]
`, nil, nil)
	files, blocks := []any{map[string]any{"id": "F1"}}, []any{map[string]any{"type": "divider"}}
	p.says("1", "<@UA11> go", "files", files, "blocks", blocks, "client_msg_id", "c-1")
	if d := diff(p.service.one(t, "/go"), map[string]any{"files": files, "blocks": blocks, "client_msg_id": "c-1", "event_id": "Ev1", "event_time": 1700000000, "channel_type": "channel"}); d != "" {
		t.Error(d)
	}
	p.slash("/go", "", "t1")
	if d := diff(p.service.one(t, "/slash"), map[string]any{"user_name": "ann", "channel_name": "general", "team_domain": "acme", "api_app_id": "A11"}); d != "" {
		t.Error(d)
	}
	urls, container := []any{map[string]any{"response_url": "https://hooks.slack.com/x", "block_id": "b"}}, map[string]any{"type": "view", "view_id": "V1"}
	p.interacts("block_actions", "t2", map[string]any{"actions": []any{map[string]any{"action_id": "a", "block_id": "go", "type": "button"}}, "response_urls": urls, "container": container, "hash": "h"})
	if d := diff(p.service.one(t, "/press"), map[string]any{"response_urls": urls, "container": container, "hash": "h", "api_app_id": "A11"}); d != "" {
		t.Error(d)
	}
}

// TestParityModals holds that a modal needs no way through a queue: the
// trigger_id of the event is filled in.
func TestParityModals(t *testing.T) {
	t.Parallel()
	p := newParity(t, "handlers: {slash_command_handlers: [{command: /go, bots: {acme: [helper]}, callbacks: "+hook("go")+"}]}\n", nil, nil)
	p.service.says("/go", `{"actions":[{"action":"views.open","kwargs":{"view":{"type":"modal","title":{"type":"plain_text","text":"T"},"blocks":[]}}}]}`)
	p.slash("/go", "", "trigger-7")
	if calls := p.slack.take("views.open"); len(calls) != 1 || calls[0].text("trigger_id") != "trigger-7" {
		t.Errorf("got %v", calls)
	}
}
