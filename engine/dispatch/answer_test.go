package dispatch_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/dispatch"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/queue"
)

// switchboard lets two dispatchers of one store be two processes: each has an
// address of its own, and answers travel between them.
type switchboard struct {
	mu       sync.Mutex
	receive  map[string]func(string, []byte)
	messages int
}

type process struct {
	queue.Store
	board   *switchboard
	address string
}

func (p *process) Address() string { return p.address }

func (p *process) OnAnswer(f func(string, []byte)) {
	p.board.mu.Lock()
	defer p.board.mu.Unlock()
	p.board.receive[p.address] = f
}

func (p *process) SendAnswer(_ context.Context, address, id string, body []byte) error {
	p.board.mu.Lock()
	f := p.board.receive[address]
	p.board.messages++
	p.board.mu.Unlock()
	if f == nil {
		return fmt.Errorf("send answer: %w", queue.ErrNotFound)
	}
	f(id, body)
	return nil
}

func TestAnAnswerFindsItsWayToAnotherProcess(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"a.star": `
on.command("/x", lambda e: {"text": "hello " + e.user})
on.command("/none", lambda e: None)
on.command("/args", lambda e: "ok", args = "<app>")
on.webhook("POST /hook", lambda e: http_reply(201, body = "made", headers = {"X-A": "1"}), open = True)
`})
	plain := w.store
	board := &switchboard{receive: map[string]func(string, []byte){}}
	w.store = &process{plain, board, "two"}
	w.start()
	ingress := dispatch.New(dispatch.Options{Store: &process{plain, board, "one"}})
	for i, c := range []struct{ command, want string }{
		{"/x", `{"text":"hello U1"}`},
		{"/none", ""},
		{"/args", "/args &lt;app&gt;"},
		{"/unknown", "No rule answers /unknown"},
	} {
		began := time.Now()
		a, err := ingress.AcceptAnswered(t.Context(), command(fmt.Sprint(i), c.command))
		if got := bodyOf(a); err != nil || !strings.Contains(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%s: got %q, %v, want %q", c.command, got, err, c.want)
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("%s: answered after %v", c.command, took)
		}
	}
	hook := &event.Event{
		ID: "h", Kind: event.Webhook, Type: "webhook", Received: time.Now(), Encoding: event.HTTP,
		Request: &event.Request{Method: "POST", Path: "/hook"},
	}
	a, err := ingress.AcceptAnswered(t.Context(), hook)
	if err != nil || a == nil || a.Status != 201 || string(a.Body) != "made" || len(a.Headers) != 1 || a.Headers[0] != (event.Header{Name: "X-A", Value: "1"}) {
		t.Errorf("webhook: got %+v, %v", a, err)
	}
	if board.messages == 0 {
		t.Error("nothing went between the processes")
	}
	w.settled()
}

func TestAnAnswerToADeadProcessGoesThroughTheResponseURL(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"a.star": `on.command("/x", lambda e: "hello")`})
	board := &switchboard{receive: map[string]func(string, []byte){}}
	w.store = &process{w.store, board, "two"}
	s := w.start()
	if err := s.Accept(t.Context(), command("1", "/x", func(e *event.Event) { e.Reply = "gone" })); err != nil {
		t.Fatal(err)
	}
	same(t, "effects", w.far.wait(t, 1), []string{"hello"})
	w.settled()
}

func TestLateAnswers(t *testing.T) {
	t.Parallel()
	view := func(e *event.Event) {
		e.Kind, e.Type, e.CallbackID, e.Encoding = event.Submit, "view_submission", e.Command, event.JSON
		e.Raw = []byte(`{"view":{"id":"V1","blocks":[{"type":"input","block_id":"b1"}]}}`)
	}
	for name, c := range map[string]struct {
		rule   string
		change func(*event.Event)
		want   []string // effects
	}{
		"text":            {`on.command("/x", lambda e: probe.again(key = "w").ok and "late")`, nil, []string{"w", "late"}},
		"nothing":         {`on.command("/x", lambda e: None if probe.again(key = "w").ok else "")`, nil, []string{"w"}},
		"an effect":       {`on.command("/x", lambda e: respond("own") if probe.again(key = "w").ok else "")`, nil, []string{"w", "own"}},
		"update of view":  {`on.view("/x", lambda e: probe.again(key = "w").ok and ui.replace({"type": "modal", "title": {"type": "plain_text", "text": "T"}, "blocks": []}))`, view, []string{"w", "views.update"}},
		"push of view":    {`on.view("/x", lambda e: probe.again(key = "w").ok and ui.push({"type": "modal", "title": {"type": "plain_text", "text": "T"}, "blocks": []}))`, view, []string{"w", "views.update"}},
		"errors of view":  {`on.view("/x", lambda e: probe.again(key = "w").ok and ui.errors({"b1": "no"}))`, view, []string{"w"}},
		"failure of view": {`on.view("/x", lambda e: probe.again(key = "w").ok and fail("x"))`, view, []string{"w"}},
		"a failure":       {`on.command("/x", lambda e: probe.again(key = "w").ok and fail("x"))`, nil, []string{"w", "Something"}},
		"an illegal value": {
			`on.command("/x", lambda e: 42 if probe.again(key = "w").ok else "")`, nil, []string{"w"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, map[string]string{"a.star": c.rule})
			release := w.far.hold("w")
			s := w.start(func(o *dispatch.Options) { o.AnswerLimit = 20 * time.Millisecond })
			e := command("1", "/x")
			if c.change != nil {
				c.change(e)
			}
			if a, err := s.AcceptAnswered(t.Context(), e); a != nil || err != nil {
				t.Errorf("got %+v, %v, want nothing in time", a, err)
			}
			release()
			w.settled()
			got := w.far.keys()
			for i := range got {
				if strings.HasPrefix(got[i], "Something") {
					got[i] = "Something"
				}
			}
			same(t, "effects", got, c.want)
		})
	}
}

func TestAnAbortAnswersAWebhookAndIsNoFailure(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"a.star": `
def hook(e):
    v, err = catch(lambda: abort(409, "busy"))
    return "not aborted"
on.webhook("POST /hook", hook, open = True)
on.webhook("POST /bad", lambda e: fail("secret detail"), open = True)
on.error(lambda f: probe.again(key = f.error.message))
`})
	s := w.start()
	post := func(path string) *event.Answer {
		a, err := s.AcceptAnswered(t.Context(), &event.Event{
			ID: path, Kind: event.Webhook, Type: "webhook", Received: time.Now(), Encoding: event.HTTP,
			Request: &event.Request{Method: "POST", Path: path},
		})
		if err != nil || a == nil {
			t.Fatalf("%s: got %+v, %v", path, a, err)
		}
		return a
	}
	if a := post("/hook"); a.Status != 409 || string(a.Body) != "busy" {
		t.Errorf("got %d %q", a.Status, a.Body)
	}
	w.settled()
	same(t, "on.error after an abort", w.far.keys(), []string{})
	if got := w.outcomes("/hook"); got[0] != dispatch.Done {
		t.Errorf("outcome of an abort: %v", got)
	}
	if a := post("/bad"); a.Status != 500 || strings.Contains(string(a.Body), "secret") || !strings.HasPrefix(string(a.Body), "run ") {
		t.Errorf("got %d %q", a.Status, a.Body)
	}
	w.settled()
	same(t, "on.error after a failure", w.far.keys(), []string{"secret detail"})
}

func TestACopyOfAnAnsweredEventRunsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"a.star": `on.command("/x", lambda e: probe.again(key = "x").ok and "yes")`})
	s := w.start()
	a, err := s.AcceptAnswered(t.Context(), command("1", "/x"))
	if err != nil || bodyOf(a) != `{"text":"yes"}` {
		t.Errorf("got %q, %v", bodyOf(a), err)
	}
	if _, err := s.AcceptAnswered(t.Context(), command("1", "/x")); !errors.Is(err, queue.ErrDuplicate) {
		t.Errorf("the copy: got %v", err)
	}
	w.settled()
	same(t, "effects", w.far.keys(), []string{"x"})
}

func TestAReturnedTextIsPostedOnceThoughTheServerCrashesThen(t *testing.T) {
	t.Parallel()
	w := crashAfter(t, map[string]string{"a.star": `
on.message("go", lambda e: probe.again(key = "x").ok and "text")
on.error(lambda f: probe.again(key = f.error.message))
`}, "text", nil)
	same(t, "effects", w.far.keys(), []string{"x", "text"})
}

func TestErrorRulesAreToldOnceAndTheirOwnFailureIsToldToNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{
		"a.star": `on.message("go", lambda e: fail("one"))`,
		"b.star": `on.message("go", lambda e: fail("two"))`,
		"c.star": `
def told(f):
    probe.again(key = "%s %s %s" % (f.script, f.error.message, f.event.text))
    fail("me too")
on.error(told)
`,
		"d.star": `on.error(lambda f: probe.never(key = "d " + f.error.message).ok and "text for nobody")`,
	})
	release := w.far.hold("d one")
	s := w.start()
	s.say("1", "go")
	w.far.wait(t, 3)
	s.kill()
	release()
	s.end()
	w.start()
	w.settled()
	got := w.far.keys()
	slices.Sort(got)
	got = slices.Compact(got)
	// Whether this one was in flight at the crash is a matter of chance.
	got = slices.DeleteFunc(got, func(k string) bool { return k == "d one" })
	same(t, "told", got, []string{"a.star one go", "b.star two go", "d two"})
	if n := w.far.count("d two"); n != 1 {
		t.Errorf("told %d times", n)
	}
	if rep := w.report("1"); len(rep.Runs) != 6 {
		t.Errorf("got %d runs, want 2 and 4 of on.error", len(rep.Runs))
	}
}
