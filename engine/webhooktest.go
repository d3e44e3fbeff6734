package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/starling-rules/starling/engine/dispatch"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/explain"
	"github.com/starling-rules/starling/engine/ingress"
	"github.com/starling-rules/starling/engine/rules"
	"github.com/starling-rules/starling/runtime"
)

// HookRequest is a request that an operator tries a webhook out with.
type HookRequest struct {
	// Path is that of the request, with the query: "/github?x=1".
	Path string `json:"path"`
	Body string `json:"body,omitempty"`
	// Method is POST if it is left out, or what the route takes instead.
	Method string `json:"method,omitempty"`
	// Headers are further ones, by name. Without Content-Type it is guessed.
	Headers map[string]string `json:"headers,omitempty"`
	// Live has the request stored and its effects performed; else nothing is.
	Live bool `json:"live,omitempty"`
}

// HookTest is what came of it.
type HookTest struct {
	Method string `json:"method"`
	Path   string `json:"path"`
	// ContentType is that of the request; Guessed if it was not given.
	ContentType string `json:"content_type"`
	Guessed     bool   `json:"guessed,omitempty"`
	// Rule answers, registered at Position; empty if none does. Auth says who
	// may call it, which a test need not prove.
	Rule     string `json:"rule,omitempty"`
	Position string `json:"position,omitempty"`
	Auth     string `json:"auth,omitempty"`
	// Status and what follows is what the sender is told.
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers,omitempty"`
	Cookies []string          `json:"cookies,omitempty"`
	Body    string            `json:"body,omitempty"`
	// Live says whether the effects were performed.
	Live  bool          `json:"live"`
	Event string        `json:"event_id,omitempty"`
	Runs  []HookTestRun `json:"runs,omitempty"`
	Notes []string      `json:"notes,omitempty"`
}

// HookTestRun is a run that the request brought about.
type HookTestRun struct {
	Rule string `json:"rule"`
	explain.Run
}

// maxHookTest bounds the body of a test, as the default limit of requests does.
const maxHookTest = 1 << 20

// TestWebhook takes a request through the webhooks of the rules in force, as if
// it had come over HTTP from somebody who may call them. Without Live nothing is
// stored, sent or changed.
func (e *Engine) TestWebhook(ctx context.Context, r HookRequest) (*HookTest, error) {
	t := hookTrial{e: e, x: e.explainer}
	return t.run(ctx, r)
}

// TestWebhook takes a request through the webhooks of the rules on disk; it
// cannot be live.
func (o *Offline) TestWebhook(ctx context.Context, r HookRequest) (*HookTest, error) {
	if r.Live {
		return nil, errors.New("a live test needs a running server")
	}
	t := hookTrial{e: o.e, x: o.x}
	return t.run(ctx, r)
}

// Webhooks lists the webhooks of the rules on disk, by path.
func (o *Offline) Webhooks(ctx context.Context) ([]HookReport, error) {
	op := Operator{Set: func(context.Context) (*rules.Set, error) { return o.Rules(), nil }}
	return op.Webhooks(ctx)
}

// hookTrial is one test. It is the Sink behind the probe.
type hookTrial struct {
	e      *Engine
	x      *explain.Explainer
	ctx    context.Context //nolint:containedctx // one call's: the Sink is given the probe's own
	live   bool
	event  string
	report *explain.Report
	err    error
}

func (t *hookTrial) run(ctx context.Context, r HookRequest) (*HookTest, error) {
	out, req, err := t.prepare(r)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	t.ctx, t.live = ctx, r.Live
	limits := t.e.o.Config.Limits
	o := ingress.Options{
		Sink: t, Webhooks: &webhooks{e: t.e}, Limits: ingress.Limits{MaxBody: int(limits.Body)},
		Logger: t.e.log, Now: t.e.o.Now, AnswerLimit: time.Minute,
	}
	if r.Live {
		o.AnswerLimit = limits.Answer
	}
	p := ingress.NewProbe(o)
	defer p.Close()
	res := p.Do(req)
	if t.err != nil {
		return nil, t.err
	}
	out.answered(res)
	out.Event = t.event
	if r.Live {
		err = t.performed(ctx, out)
	} else {
		t.planned(out)
	}
	return out, err
}

// prepare completes the request, and says which rule it is for.
func (t *hookTrial) prepare(r HookRequest) (*HookTest, ingress.ProbeRequest, error) {
	var req ingress.ProbeRequest
	if !strings.HasPrefix(r.Path, "/") {
		return nil, req, fmt.Errorf("%q is no path: it begins with a slash", r.Path)
	}
	u, err := url.ParseRequestURI(r.Path)
	if err != nil {
		return nil, req, fmt.Errorf("%q is no path: %w", r.Path, errors.Unwrap(err))
	}
	if len(r.Body) > maxHookTest {
		return nil, req, fmt.Errorf("the body has %d bytes, a test takes at most %d", len(r.Body), maxHookTest)
	}
	set, path := t.e.loader.Current(), u.EscapedPath()
	out := &HookTest{Path: r.Path, Method: strings.ToUpper(r.Method), Live: r.Live}
	if out.Method == "" {
		out.Method = "POST"
		if _, _, found, allow := set.Webhook("POST", path); !found && len(allow) > 0 {
			out.Method = allow[0]
		}
	}
	rule, _, found, allow := set.Webhook(out.Method, path)
	switch {
	case found:
		out.Rule, out.Position, out.Auth = rule.ID, rule.Pos.String(), rule.Hook.Guard()
	case len(allow) > 0:
		out.note("the path takes %s", strings.Join(allow, ", "))
	default:
		out.note("%s", noSuchHook(set, path))
	}
	req = ingress.ProbeRequest{Method: out.Method, Target: r.Path, Body: []byte(r.Body)}
	for name, v := range r.Headers {
		if !headerName.MatchString(name) || strings.ContainsAny(v, "\r\n\x00") {
			return nil, req, fmt.Errorf("%q is no header", name)
		}
		req.Headers = append(req.Headers, event.Header{Name: name, Value: v})
		if strings.EqualFold(name, "content-type") {
			out.ContentType = v
		}
	}
	if out.ContentType == "" && r.Body != "" {
		out.ContentType, out.Guessed = GuessContentType(r.Body), true
		req.Headers = append(req.Headers, event.Header{Name: "Content-Type", Value: out.ContentType})
	}
	return out, req, nil
}

var headerName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,200}$")

func (h *HookTest) note(format string, args ...any) {
	h.Notes = append(h.Notes, fmt.Sprintf(format, args...))
}

// noSuchHook names the path that was perhaps meant.
func noSuchHook(set *rules.Set, path string) string {
	var paths []string
	for _, r := range set.Rules() {
		if r.Hook != nil {
			paths = append(paths, r.Hook.Path)
		}
	}
	if n := runtime.Nearest(path, paths); n != "" {
		return "no rule has this path: did you mean " + n + "?"
	}
	return fmt.Sprintf("no rule has this path; webstatus lists the %d that there are", len(paths))
}

var formKey = regexp.MustCompile(`^[A-Za-z0-9_.%+\[\]-]+$`)

// GuessContentType says what a body that comes without its type most likely
// is: JSON, a form, or text.
func GuessContentType(body string) string {
	if json.Valid([]byte(body)) {
		return "application/json"
	}
	const form, text = "application/x-www-form-urlencoded", "text/plain"
	if strings.ContainsAny(strings.TrimRight(body, "\n"), "\n\r") {
		return text
	}
	for pair := range strings.SplitSeq(strings.TrimSpace(body), "&") {
		key, value, ok := strings.Cut(pair, "=")
		decoded, err := url.QueryUnescape(value)
		switch {
		case !ok || !formKey.MatchString(key) || err != nil:
			return text
		case strings.ContainsRune(value, ' ') && !json.Valid([]byte(decoded)):
			return text // a sentence with = in it
		}
	}
	return form
}

// answered notes what the sender is told.
func (h *HookTest) answered(res ingress.ProbeResponse) {
	h.Status, h.Body = res.Status, string(res.Body)
	if !utf8.Valid(res.Body) {
		h.Body = fmt.Sprintf("%d bytes that are no text", len(res.Body))
	}
	for _, head := range res.Headers {
		switch {
		case head.Name == "set-cookie":
			h.Cookies = append(h.Cookies, head.Value)
		case h.Headers == nil:
			h.Headers = map[string]string{head.Name: head.Value}
		default:
			h.Headers[head.Name] = head.Value
		}
	}
}

// Accept implements ingress.Sink. A webhook has an answer: it is not called.
func (t *hookTrial) Accept(ctx context.Context, ev *event.Event) error {
	_, err := t.AcceptAnswered(ctx, ev)
	return err
}

// AcceptAnswered implements ingress.Sink: the event goes to the dispatcher, or
// to one that performs nothing.
func (t *hookTrial) AcceptAnswered(ctx context.Context, ev *event.Event) (*event.Answer, error) {
	t.event = ev.ID
	if t.live {
		return t.e.disp.AcceptAnswered(ctx, ev)
	}
	t.e.complete(ev)
	report, answer, err := t.x.Answer(t.ctx, ev)
	t.report, t.err = report, err
	if answer == nil {
		// Nobody waited for long: an empty answer is that of the rule.
		answer = &event.Answer{}
	}
	return answer, err
}

// planned lists what the runs would do.
func (t *hookTrial) planned(out *HookTest) {
	if t.report == nil {
		return // refused before a rule saw it
	}
	for _, r := range t.report.Rules {
		for _, run := range r.Runs {
			out.Runs = append(out.Runs, HookTestRun{r.ID, run})
		}
		if r.ID == out.Rule && !r.Matched && r.Why != "" {
			out.note("%s does not run: %s", r.ID, r.Why)
		}
	}
}

// performed lists what the runs did, once they have ended.
func (t *hookTrial) performed(ctx context.Context, out *HookTest) error {
	if t.event == "" || out.Status >= 500 && out.Body == "not accepted\n" {
		return nil
	}
	op := Operator{Store: t.e.store, Now: t.e.o.Now}
	wait, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		rep, err := op.Run(ctx, t.event)
		if err != nil {
			return fmt.Errorf("look up what the request did: %w", err)
		}
		if rep.Settled != nil || wait.Err() != nil {
			out.ran(rep)
			return nil
		}
		select {
		case <-tick.C:
		case <-wait.Done():
		}
	}
}

// ran notes the runs that the store knows of.
func (h *HookTest) ran(rep dispatch.EventReport) {
	for _, r := range rep.Runs {
		run := explain.Run{Outcome: string(r.Outcome), Steps: r.Steps, Ms: r.Ms}
		if r.Error != nil {
			run.Error = r.Error.Detail()
		}
		for _, e := range r.Effects {
			done := explain.Effect{Kind: e.Kind, Args: json.RawMessage(e.Args), At: e.At, Error: e.Error}
			if !json.Valid(done.Args) {
				done.Args = json.RawMessage("null")
			}
			run.Effects = append(run.Effects, done)
		}
		h.Runs = append(h.Runs, HookTestRun{r.Rule, run})
	}
	if rep.Settled == nil {
		h.note("it still runs: starling runs %s shows how it goes on", rep.ID)
	}
}

// sortHooks orders by path, then by method.
func sortHooks(list []HookReport) {
	slices.SortStableFunc(list, func(a, b HookReport) int {
		if n := strings.Compare(a.Path, b.Path); n != 0 {
			return n
		}
		return slices.Compare(a.Methods, b.Methods)
	})
}
