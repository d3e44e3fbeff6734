package engine_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/sim"
	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/lua"
	"github.com/starling-rules/starling/runtime/star"
)

// The people of the local workspace. Grace is the one on call.
const (
	ada, grace, linus = "U0ADA", "U0GRACE", "U0LINUS"
	ops               = "C0OPS"
)

// askRig is an engine with a script that waits, and the local Slack before it.
type askRig struct {
	*rig
	slack *sim.Server
	// ahead moves the clock of both.
	ahead atomic.Int64
	// late is how often yet a run comes too late to what answers it.
	late atomic.Int64
}

// lateStore lets time pass between an answer and the run that goes on with it.
type lateStore struct {
	queue.Store
	a *askRig
}

func (s *lateStore) Put(ctx context.Context, r queue.Record) error {
	if strings.HasPrefix(r.ID, "wait:") && s.a.late.Add(-1) >= 0 {
		s.a.ahead.Add(int64(4 * time.Second)) // Slack takes a trigger_id for three
	}
	return s.Store.Put(ctx, r)
}

func newAskRig(t *testing.T, files map[string]string) *askRig {
	t.Helper()
	a := &askRig{}
	now := func() time.Time { return time.Now().Add(time.Duration(a.ahead.Load())) }
	var err error
	if a.slack, err = sim.New(sim.Options{SocketMode: true, Now: now}); err != nil {
		t.Fatal(err)
	}
	ts := httptest.NewServer(a.slack.Handler())
	a.slack.SetURL(ts.URL)
	t.Cleanup(func() { a.slack.Close(); ts.Close() })
	a.rig = newRig(t, files, func(o *engine.Options) {
		o.Now, o.Store = now, &lateStore{queue.NewMemory(queue.MemoryOptions{Now: now}), a}
		o.Pool = func(host runtime.Host) (runtime.Pool, error) {
			starlark, err := star.New(host)
			if err != nil {
				return nil, err
			}
			l, err := lua.New(host)
			if err != nil {
				return nil, err
			}
			return runtime.NewLocal([]runtime.Language{starlark, l}, runtime.LocalOptions{}), nil
		}
		o.Config.Slack.SigningSecrets, o.Config.Slack.AppToken = nil, sim.DevAppToken
		o.Config.Slack.APIURL, o.Config.Slack.BotToken = a.slack.APIURL(), sim.DevBotToken
	})
	a.until("the socket is connected", func() bool { return a.slack.SocketConnections() > 0 })
	return a
}

// until polls for what comes about by itself.
func (a *askRig) until(what string, f func() bool) {
	a.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			a.t.Fatalf("it did not come about that %s\nmessages: %s", what, asText(a.slack.Snapshot().Messages[ops]))
		}
	}
}

// asText is JSON that leaves <@U1> as it is.
func asText(v any) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v)
	return b.String()
}

// shown is the JSON of a message in #ops whose JSON has all of these texts, for
// whoever it is shown to; "" if there is none.
func (a *askRig) shown(viewer string, texts ...string) (m sim.Message, ok bool) {
next:
	for _, m := range a.slack.Snapshot().Messages[ops] {
		b := asText(m)
		for _, text := range texts {
			if !strings.Contains(b, text) {
				continue next
			}
		}
		if m.Viewer == viewer {
			return m, true
		}
	}
	return sim.Message{}, false
}

// see waits for such a message.
func (a *askRig) see(viewer string, texts ...string) (m sim.Message) {
	a.t.Helper()
	a.until(viewer+" sees "+strings.Join(texts, ", "), func() (ok bool) {
		m, ok = a.shown(viewer, texts...)
		return ok
	})
	return m
}

func (a *askRig) say(user, text, thread string) sim.Message {
	a.t.Helper()
	m, err := a.slack.Say(a.t.Context(), sim.Say{User: user, Channel: ops, Text: text, Thread: thread})
	if err != nil {
		a.t.Fatal(err)
	}
	return m
}

// press uses the element of a message whose action id ends so.
func (a *askRig) press(user string, m sim.Message, ending string, value any) {
	a.t.Helper()
	id := ""
	for _, b := range m.Blocks {
		list, _ := b["elements"].([]any)
		for _, e := range list {
			el, _ := e.(map[string]any)
			if el == nil {
				el, _ = e.(sim.Block)
			}
			if s, _ := el["action_id"].(string); strings.HasSuffix(s, ending) {
				id = s
			}
		}
	}
	if err := a.slack.Click(a.t.Context(), sim.Click{User: user, Channel: ops, TS: m.TS, ActionID: id, Value: value}); err != nil {
		a.t.Fatalf("%s presses %q: %v", user, id, err)
	}
}

// delete removes a message of the bot, as its administrators may.
func (a *askRig) delete(m sim.Message) {
	a.t.Helper()
	form := url.Values{"channel": {ops}, "ts": {m.TS}, "token": {sim.DevBotToken}}
	resp, err := http.PostForm(a.slack.APIURL()+"chat.delete", form)
	if err != nil {
		a.t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, _ := io.ReadAll(resp.Body); !strings.Contains(string(b), `"ok":true`) {
		a.t.Fatalf("delete the question: %s", b)
	}
}

// modal is the view that is open for somebody.
func (a *askRig) modal(user string) (v *sim.View) {
	a.t.Helper()
	a.until("a form opens for "+user, func() bool {
		if stack := a.slack.Snapshot().Modals[user]; len(stack) > 0 {
			v = stack[len(stack)-1]
		}
		return v != nil
	})
	return v
}

// told is what the nth report of the script says.
func (a *askRig) told(n int) string {
	a.t.Helper()
	got := a.rig.wait(n)[n-1]
	return got.Text("is")
}

// inBoth plays the same with a script in each language.
func inBoth(t *testing.T, star, lua string, play func(a *askRig)) {
	t.Helper()
	for name, script := range map[string]string{"ask.star": star, "ask.lua": lua} {
		t.Run(strings.TrimPrefix(name, "ask."), func(t *testing.T) {
			t.Parallel()
			play(newAskRig(t, map[string]string{name: script}))
		})
	}
}
