package socket_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/socket"
)

func TestEnvelopesAreStoredThenAcked(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	r := connect(t, newFakeSlack(t), socket.Options{Sink: &sink{hold: hold}})
	p := next(t, r.hello, "hello")
	p.message("Ev1", "hi")
	p.wasRead()
	select {
	case a := <-r.acks:
		t.Fatalf("%s is acked and not stored", a.EnvelopeID)
	default:
	}
	close(hold)
	if a := next(t, r.acks, "ack"); a.EnvelopeID != "env-Ev1" || a.Payload != nil {
		t.Errorf("got %+v", a)
	}
	e := r.sink.stored()[0]
	if e.ID != "Ev1" || e.Kind != event.Message || e.Text != "hi" || e.Via != "socket" || e.Bot != "helper" || e.Team != "T1" {
		t.Errorf("got %+v", e)
	}
	p.message("Ev1", "hi") // once more: stored already
	if a := next(t, r.acks, "ack"); a.EnvelopeID != "env-Ev1" {
		t.Errorf("got %+v", a)
	}
	if n := len(r.sink.stored()); n != 1 {
		t.Errorf("%d events are stored", n)
	}
}

func TestWhatIsNotStoredIsNotAcked(t *testing.T) {
	t.Parallel()
	s := &sink{fail: errFull}
	r := connect(t, newFakeSlack(t), socket.Options{Sink: s})
	p := next(t, r.hello, "hello")
	p.message("Ev1", "hi")
	p.command("tr1", true)
	s.mu.Lock()
	s.fail = nil
	s.mu.Unlock()
	for {
		// The first two may have come before the store took anything.
		p.message("Ev9", "hi")
		if a := next(t, r.acks, "ack"); a.EnvelopeID == "env-Ev9" {
			break
		}
	}
	for _, e := range r.sink.stored() {
		if e.ID == "Ev1" {
			return // it was stored after all, and acked
		}
	}
	for len(r.acks) > 0 {
		if a := <-r.acks; a.EnvelopeID == "env-Ev1" {
			t.Error("an event that is not stored is acked")
		}
	}
}

func TestAnswersTravelInTheAck(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", event.MaxSocketPayload-len(`{"text":""}`))
	brackets := `{"text":"` + strings.Repeat("<&>", (event.MaxSocketPayload-len(`{"text":""}`))/3) + `"}`
	for name, c := range map[string]struct {
		answer  *event.Answer
		accepts bool
		want    string
	}{
		"none":         {nil, true, ""},
		"empty":        {&event.Answer{}, true, ""},
		"text":         {&event.Answer{ContentType: "text/plain; charset=utf-8", Body: []byte(`say "hi"`)}, true, `{"text":"say \"hi\""}`},
		"json":         {&event.Answer{ContentType: "application/json", Body: []byte(`{"response_action":"clear"}`)}, true, `{"response_action":"clear"}`},
		"not accepted": {&event.Answer{ContentType: "text/plain", Body: []byte("hi")}, false, ""},
		"brackets":     {&event.Answer{ContentType: "application/json", Body: []byte(brackets)}, true, brackets},
		"longest":      {&event.Answer{ContentType: "text/plain", Body: []byte(long)}, true, `{"text":"` + long + `"}`},
		"too long":     {&event.Answer{ContentType: "text/plain", Body: []byte(long + "x")}, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := connect(t, newFakeSlack(t), socket.Options{Sink: &sink{answer: func(*event.Event) *event.Answer { return c.answer }}})
			next(t, r.hello, "hello").command("tr1", c.accepts)
			a := next(t, r.acks, "ack")
			if a.EnvelopeID != "env-tr1" || string(a.Payload) != c.want || a.size > socket.MaxFrame {
				t.Errorf("got %d bytes, %.200s", a.size, a.Payload)
			}
			if e := r.sink.stored()[0]; e.Kind != event.Command || e.Command != "/x" {
				t.Errorf("got %+v", e)
			}
		})
	}
}

func TestWhateverHasAnIDIsAckedAndHandedOn(t *testing.T) {
	t.Parallel()
	for name, frame := range map[string]string{
		"unknown type":       `{"envelope_id":"e1","type":"user_connection","payload":{"a":1}}`,
		"unknown event":      `{"envelope_id":"e1","type":"events_api","payload":{"type":"event_callback","team_id":"T1","event_id":"Ev1","event":{"type":"brand_new","x":1}}}`,
		"no payload":         `{"envelope_id":"e1","type":"events_api"}`,
		"payload is a list":  `{"envelope_id":"e1","type":"interactive","payload":[1]}`,
		"payload is a text":  `{"envelope_id":"e1","type":"slash_commands","payload":"x"}`,
		"unknown kind":       `{"envelope_id":"e1","type":"interactive","payload":{"type":"brand_new","team":{"id":"T1"}}}`,
		"retry is a text":    `{"envelope_id":"e1","type":"events_api","retry_attempt":"two","payload":{}}`,
		"envelope in depths": `{"envelope_id":"e1","type":"events_api","payload":` + strings.Repeat(`{"a":`, 2000) + "1" + strings.Repeat("}", 2001),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := connect(t, newFakeSlack(t), socket.Options{})
			p := next(t, r.hello, "hello")
			p.send("%s", frame)
			if a := next(t, r.acks, "ack"); a.EnvelopeID != "e1" || a.Payload != nil {
				t.Errorf("got %+v", a)
			}
			got := r.sink.stored()
			if len(got) != 1 || got[0].Kind != event.Other || !strings.Contains(frame, string(got[0].Raw)) {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestBadFramesAreCountedAndNothingElse(t *testing.T) {
	t.Parallel()
	r := connect(t, newFakeSlack(t), socket.Options{})
	p := next(t, r.hello, "hello")
	for _, frame := range []string{"", "x", `[]`, `{"type":"events_api","payload":{}}`, `{"envelope_id":7,"type":"events_api"}`, "null"} {
		p.send("%s", frame)
		if l := r.life(t, "error_bad_message"); l.Error == "" {
			t.Errorf("%q: got %+v", frame, l)
		}
	}
	p.mu.Lock()
	_ = p.WriteMessage(websocket.BinaryMessage, []byte(`{"envelope_id":"e1","type":"events_api"}`))
	p.mu.Unlock()
	r.life(t, "error_bad_message")
	p.message("Ev1", "hi")
	if a := next(t, r.acks, "ack"); a.EnvelopeID != "env-Ev1" || a.peer != p {
		t.Errorf("got %+v", a)
	}
}

func TestEventsOfAConversationStayInOrder(t *testing.T) {
	t.Parallel()
	r := connect(t, newFakeSlack(t), socket.Options{})
	p := next(t, r.hello, "hello")
	const n = 300
	for i := range n {
		p.message(fmt.Sprintf("Ev%d", i), fmt.Sprint(i))
	}
	for range n {
		next(t, r.acks, "ack")
	}
	for i, e := range r.sink.stored() {
		if e.Text != fmt.Sprint(i) {
			t.Fatalf("event %d is %q", i, e.Text)
		}
	}
}

// A connection that is to be replaced is left when the next has been greeted,
// and what is under way is acked on it.
func TestRefreshLeavesNoGap(t *testing.T) {
	t.Parallel()
	for _, reason := range []string{"warning", "refresh_requested", "something_new"} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			hold := make(chan struct{})
			r := connect(t, newFakeSlack(t), socket.Options{Sink: &sink{hold: hold}})
			old := next(t, r.hello, "hello")
			old.message("Ev1", "before")
			old.send(`{"type":"disconnect","reason":"%s","debug_info":{"host":"applink-1"}}`, reason)
			if l := r.life(t, "disconnect"); l.Reason != reason || l.Host != "applink-1" {
				t.Errorf("got %+v", l)
			}
			fresh := next(t, r.hello, "second hello")
			select {
			case <-r.gone:
				t.Fatal("the old connection is gone, with an event that is not acked")
			default:
			}
			fresh.message("Ev2", "after")
			close(hold)
			for range 2 {
				a := next(t, r.acks, "ack")
				if want := map[string]*peer{"env-Ev1": old, "env-Ev2": fresh}[a.EnvelopeID]; a.peer != want {
					t.Errorf("%s is acked on connection %d", a.EnvelopeID, a.peer.n)
				}
			}
			if p := next(t, r.gone, "end of the old connection"); p != old {
				t.Errorf("connection %d is closed", p.n)
			}
			if !r.client.Ready() {
				t.Error("the client is not ready")
			}
		})
	}
}

func TestLostConnectionsAreReplaced(t *testing.T) {
	t.Parallel()
	r := connect(t, newFakeSlack(t), socket.Options{Connections: 2})
	for i := range 3 {
		p := next(t, r.hello, "hello")
		if i > 0 {
			_ = p.UnderlyingConn().Close() // no farewell
			r.life(t, "incoming_error")
			p = next(t, r.hello, "hello")
		}
		p.message(fmt.Sprint("Ev", i), "hi")
		next(t, r.acks, "ack")
		if i == 0 {
			continue
		}
		_ = p.UnderlyingConn().Close()
	}
}

func TestSilentConnectionsAreReplaced(t *testing.T) {
	t.Parallel()
	f := newFakeSlack(t)
	f.mute = true
	r := connect(t, f, socket.Options{Silence: 60 * time.Millisecond})
	first := next(t, r.hello, "hello")
	f.mu.Lock()
	f.mute = false
	f.mu.Unlock()
	if l := r.life(t, "incoming_error"); !strings.Contains(l.Error, "timeout") {
		t.Errorf("got %+v", l)
	}
	second := next(t, r.hello, "second hello")
	if second == first {
		t.Error("the connection is the same")
	}
	// This one answers pings: it stays, though nothing is sent on it.
	for n := 0; n < 9; { // three times as long as it may be silent
		if p := next(t, r.pings, "ping"); p == second {
			n++
		}
	}
	second.message("Ev1", "hi")
	if a := next(t, r.acks, "ack"); a.peer != second {
		t.Errorf("connection %d acked", a.peer.n)
	}
}

func TestAnswersThatCouldNotBeSentGoOutTheNextTime(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	r := connect(t, newFakeSlack(t), socket.Options{Sink: &sink{hold: hold, answer: func(*event.Event) *event.Answer {
		return &event.Answer{ContentType: "text/plain", Body: []byte("done")}
	}}})
	p := next(t, r.hello, "hello")
	p.command("tr1", true)
	r.life(t, "hello")
	_ = p.UnderlyingConn().Close()
	fresh := next(t, r.hello, "second hello")
	close(hold)
	r.life(t, "write_error")
	fresh.command("tr1", true)
	if a := next(t, r.acks, "ack"); string(a.Payload) != `{"text":"done"}` || a.peer != fresh {
		t.Errorf("got %s", a.Payload)
	}
}

func TestPermanentRefusalsEndRun(t *testing.T) {
	t.Parallel()
	for _, reason := range []string{"invalid_auth", "not_authed", "account_inactive", "token_revoked", "user_removed_from_team", "team_disabled"} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			f := newFakeSlack(t)
			f.open = func(w http.ResponseWriter, _ int) bool {
				fmt.Fprintf(w, `{"ok":false,"error":"%s"}`, reason)
				return true
			}
			r := connect(t, f, socket.Options{Connections: 2})
			if l := r.life(t, "invalid_auth"); l.Error != reason {
				t.Errorf("got %+v", l)
			}
			err := next(t, r.ended, "end")
			if fatal, ok := errors.AsType[*socket.Fatal](err); !ok || fatal.Reason != reason || !strings.Contains(err.Error(), reason) {
				t.Errorf("got %v", err)
			}
			r.ended <- err
		})
	}
	t.Run("link_disabled", func(t *testing.T) {
		t.Parallel()
		r := connect(t, newFakeSlack(t), socket.Options{})
		next(t, r.hello, "hello").send(`{"type":"disconnect","reason":"link_disabled"}`)
		err := next(t, r.ended, "end")
		if err == nil || !strings.Contains(err.Error(), "link_disabled") {
			t.Errorf("got %v", err)
		}
		r.ended <- err
		if r.opens != 1 {
			t.Errorf("it connected %d times", r.opens)
		}
	})
}

func TestOtherRefusalsAreTriedAgain(t *testing.T) {
	t.Parallel()
	f := newFakeSlack(t)
	f.open = func(w http.ResponseWriter, n int) bool {
		switch n {
		case 1:
			fmt.Fprint(w, `{"ok":false,"error":"internal_error"}`)
		case 2:
			w.WriteHeader(http.StatusBadGateway)
		case 3:
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
		case 4:
			fmt.Fprint(w, `{"ok":true,"url":"ws://127.0.0.1:1/link?ticket=secret-ticket-9"}`)
		default:
			return false
		}
		return true
	}
	r := connect(t, f, socket.Options{})
	var waits []float64
	for range 4 {
		waits = append(waits, r.life(t, "connection_error").Backoff)
	}
	if waits[2] < 1 {
		t.Errorf("waits are %v: Retry-After is one second", waits)
	}
	next(t, r.hello, "hello")
	if s := r.client.State()[0]; s.Opened > 1 {
		t.Errorf("got %+v", s)
	}
}

func TestOtherClientsOfTheAppAreNoticed(t *testing.T) {
	t.Parallel()
	f := newFakeSlack(t)
	f.numbers = func(int) int { return 3 }
	r := connect(t, f, socket.Options{})
	next(t, r.hello, "hello")
	if l := r.life(t, "hello"); l.Others != 2 || l.Connections != 3 || l.Host != "applink-1" || l.Lifetime != 18060 {
		t.Errorf("got %+v", l)
	}
	r.stop()
	r.end(t)
	if !strings.Contains(r.log.String(), "another client is connected") {
		t.Errorf("the log says\n%s", r.log)
	}
}

func TestStoppingAcksWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	r := connect(t, newFakeSlack(t), socket.Options{Connections: 2, Sink: &sink{hold: hold}})
	p := next(t, r.hello, "hello")
	next(t, r.hello, "second hello")
	p.message("Ev1", "hi")
	p.wasRead()
	r.stop()
	close(hold)
	if a := next(t, r.acks, "ack"); a.EnvelopeID != "env-Ev1" {
		t.Errorf("got %+v", a)
	}
	if err := next(t, r.ended, "end"); err != nil {
		t.Errorf("got %v", err)
	}
	r.ended <- nil
	if r.client.Ready() {
		t.Error("it is still ready")
	}
}

func TestDebugLogHoldsNoSecret(t *testing.T) {
	t.Parallel()
	r := connect(t, newFakeSlack(t), socket.Options{Debug: true})
	p := next(t, r.hello, "hello")
	p.command("tr-secret", true)
	next(t, r.acks, "ack")
	p.send(`{"envelope_id":"e2","type":"interactive","payload":{"type":"block_actions","token":"verif-secret","response_url":"https://hooks.slack.com/actions/secret","trigger_id":"1.2.secret","user":{"id":"U1"}}}`)
	next(t, r.acks, "ack")
	r.stop()
	r.end(t)
	log := r.log.String()
	if !strings.Contains(log, "block_actions") || !strings.Contains(log, "envelope_id") {
		t.Errorf("frames are not logged:\n%s", log)
	}
	for _, word := range []string{"secret", token} {
		if strings.Contains(strings.ReplaceAll(log, "env-tr-secret", ""), word) {
			t.Errorf("the log holds %q:\n%s", word, log)
		}
	}
}

func FuzzFrames(f *testing.F) {
	for _, s := range []string{`{"type":"hello"}`, `{"envelope_id":"e","type":"events_api","payload":{}}`, `{"type":"disconnect"}`, "\x00"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		var v struct {
			Type string `json:"type"`
		}
		if json.Unmarshal(frame, &v) == nil && v.Type == "disconnect" {
			return // it would be obeyed
		}
		r := connect(t, newFakeSlack(t), socket.Options{})
		p := next(t, r.hello, "hello")
		p.send("%s", frame)
		p.message("EvLast", "hi")
		for {
			if a := next(t, r.acks, "ack"); a.EnvelopeID == "env-EvLast" {
				break
			}
		}
		r.stop()
		r.end(t)
	})
}
