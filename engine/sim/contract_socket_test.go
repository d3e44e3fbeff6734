package sim

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/slack-go/slack"
	"github.com/slack-go/slack/socketmode"
)

// link opens a connection with what a client may add to the request.
func link(t *testing.T, s *Server, query string, header http.Header, compress bool) (*websocket.Conn, *http.Response, error) {
	t.Helper()
	_, address, err := slack.New("", slack.OptionAppLevelToken(DevAppToken), slack.OptionAPIURL(s.APIURL())).StartSocketModeContext(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	d := websocket.Dialer{EnableCompression: compress}
	ws, res, err := d.DialContext(t.Context(), address+query, header)
	if err == nil {
		t.Cleanup(func() { _ = ws.Close() })
	}
	return ws, res, err
}

func TestLinksTakeWhatClientsAdd(t *testing.T) {
	t.Parallel()
	s := newSocketSlack(t)
	ws, res, err := link(t, s, "&debug_reconnects=true", http.Header{"Origin": {"https://api.slack.com"}}, true)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	frame(t, ws, "hello")
	calls := s.Calls()
	if c := calls[len(calls)-1]; c.Method != "link" || c.Args["debug_reconnects"] != true || c.Args["origin"] != "https://api.slack.com" {
		t.Errorf("recorded %+v", c)
	}
	_, address, err := slack.New("", slack.OptionAppLevelToken(DevAppToken), slack.OptionAPIURL(s.APIURL())).StartSocketModeContext(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.MoveClock(time.Minute, 0); err != nil {
		t.Fatal(err)
	}
	if _, res, err := websocket.DefaultDialer.DialContext(t.Context(), address, nil); err == nil || res == nil || res.StatusCode != http.StatusForbidden {
		t.Errorf("a ticket is good after a minute: %v", err)
	}
}

// The first frame is hello, however many events wait; then pings come at once,
// and those of the client are answered.
func TestHelloComesFirstThenPings(t *testing.T) {
	t.Parallel()
	s := newSocketSlack(t)
	for range 20 {
		if _, err := s.Say(t.Context(), Say{User: "U0ADA", Channel: "#general", Text: "early"}); err != nil {
			t.Fatal(err)
		}
	}
	ws, res, err := link(t, s, "", nil, false)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	pinged, ponged := make(chan string, 4), make(chan string, 4)
	answer := ws.PingHandler()
	ws.SetPingHandler(func(data string) error {
		pinged <- data
		return answer(data)
	})
	ws.SetPongHandler(func(data string) error {
		ponged <- data
		return nil
	})
	_ = ws.SetReadDeadline(time.Now().Add(20 * time.Second))
	_, raw, err := ws.ReadMessage()
	if err != nil || !strings.Contains(string(raw), `"type":"hello"`) {
		t.Fatalf("first frame %s %v", raw, err)
	}
	if err := ws.WriteControl(websocket.PingMessage, []byte("mine"), time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	go func() { // control frames are seen while one reads
		for {
			_, raw, err := ws.ReadMessage()
			if err != nil {
				return
			}
			var f struct {
				ID string `json:"envelope_id"`
			}
			_ = json.Unmarshal(raw, &f)
			_ = ws.WriteJSON(map[string]string{"envelope_id": f.ID})
		}
	}()
	for what, got := range map[string]<-chan string{"ping": pinged, "pong": ponged} {
		select {
		case data := <-got:
			if what == "pong" && data != "mine" {
				t.Errorf("pong %q", data)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("no %s", what)
		}
	}
}

// An envelope that is not acked in time comes again, as another attempt.
func TestEnvelopesAreDeliveredAgainWithoutAnAck(t *testing.T) {
	t.Parallel()
	s, err := New(Options{SocketMode: true, AckWithin: 50 * time.Millisecond, Sleep: func(context.Context, time.Duration) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	ts := httptest.NewServer(s.Handler())
	s.SetURL(ts.URL)
	t.Cleanup(func() { s.Close(); ts.Close() })
	ws := socketClient(t, s)
	frame(t, ws, "hello")
	if err := s.Event(Block{"type": "team_rename", "name": "Two"}); err != nil {
		t.Fatal(err)
	}
	first, second := frame(t, ws, "events_api"), frame(t, ws, "events_api")
	if first["retry_attempt"] != 0.0 || first["retry_reason"] != "" || second["retry_attempt"] != 1.0 || second["retry_reason"] != "timeout" {
		t.Errorf("first %v, then %v", first, second)
	}
	if a, b := text(first["payload"].(Block)["event_id"]), text(second["payload"].(Block)["event_id"]); a != b || a == "" {
		t.Errorf("event_id %q, then %q", a, b)
	}
}

// A connection that is told to go gets envelopes, and its acks count, until
// the client closes it.
func TestEveryReasonToDisconnect(t *testing.T) {
	t.Parallel()
	for _, reason := range []string{"warning", "refresh_requested", "link_disabled", "too_many_websockets", "something_new"} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			s := newSocketSlack(t)
			ws := socketClient(t, s)
			frame(t, ws, "hello")
			res, err := http.Post(s.URL()+"/sim/disconnect", "application/json", strings.NewReader(`{"reason":"`+reason+`","oldest":true}`))
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			if d := frame(t, ws, "disconnect"); d["reason"] != reason || d["debug_info"] == nil {
				t.Errorf("got %v", d)
			}
			if err := s.Event(Block{"type": "team_rename", "name": "Two"}); err != nil {
				t.Fatal(err)
			}
			e := frame(t, ws, "events_api")
			if err := ws.WriteJSON(map[string]any{"envelope_id": e["envelope_id"], "payload": map[string]any{}}); err != nil {
				t.Fatal(err)
			}
			s.out.wg.Wait()
			if d := s.Deliveries(); len(d) != 1 || d[0].Status != http.StatusOK || d[0].Answer != "" {
				t.Errorf("deliveries %+v", d)
			}
		})
	}
}

// slack-go's client comes again whatever the reason is, and without one.
func TestSlackGoComesAgain(t *testing.T) {
	t.Parallel()
	s := newSocketSlack(t)
	c := runSocketMode(t, s)
	nextSocketEvent(t, c, socketmode.EventTypeHello)
	for _, reason := range []string{"warning", "refresh_requested", "too_many_websockets", "something_new", "drop"} {
		s.DisconnectSockets(reason)
		nextSocketEvent(t, c, socketmode.EventTypeHello)
		if err := s.Event(Block{"type": "team_rename", "name": reason}); err != nil {
			t.Fatal(err)
		}
		e := nextSocketEvent(t, c, socketmode.EventTypeEventsAPI)
		if err := c.Ack(*e.Request); err != nil {
			t.Errorf("%s: %v", reason, err)
		}
	}
}

func TestStrangeFramesAreIgnoredAndRecorded(t *testing.T) {
	t.Parallel()
	s := newSocketSlack(t)
	ws := socketClient(t, s)
	frame(t, ws, "hello")
	for _, raw := range []string{"no JSON", `{"envelope_id":"of-nobody"}`, `{}`} {
		if err := ws.WriteMessage(websocket.TextMessage, []byte(raw)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Event(Block{"type": "team_rename", "name": "Two"}); err != nil {
		t.Fatal(err)
	}
	e := frame(t, ws, "events_api")
	if err := ws.WriteJSON(map[string]any{"envelope_id": e["envelope_id"]}); err != nil {
		t.Fatal(err)
	}
	s.out.wg.Wait()
	strange := 0
	for _, c := range s.Calls() {
		if c.Method == "ack" && c.Error != "" {
			strange++
		}
	}
	if strange != 3 {
		t.Errorf("%d strange frames are recorded", strange)
	}
}

func TestClosedViewsAreToldOfOverSocketMode(t *testing.T) {
	t.Parallel()
	s := newSocketSlack(t)
	ws := socketClient(t, s)
	frame(t, ws, "hello")
	go func() { _ = s.Shortcut(context.Background(), "U0ADA", "start") }()
	e := frame(t, ws, "interactive")
	_ = ws.WriteJSON(map[string]any{"envelope_id": e["envelope_id"]})
	view := slack.ModalViewRequest{
		Type: slack.VTModal, NotifyOnClose: true, Title: slack.NewTextBlockObject(slack.PlainTextType, "T", false, false),
		Blocks: slack.Blocks{BlockSet: []slack.Block{slack.NewDividerBlock()}},
	}
	v, err := slack.New(DevBotToken, slack.OptionAPIURL(s.APIURL())).OpenView(text(e["payload"].(Block)["trigger_id"]), view)
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.CloseView(context.Background(), "U0ADA", v.ID, false) }()
	e = frame(t, ws, "interactive")
	if p := e["payload"].(Block); p["type"] != "view_closed" || e["accepts_response_payload"] != false {
		t.Errorf("got %v", e)
	}
	_ = ws.WriteJSON(map[string]any{"envelope_id": e["envelope_id"]})
}
