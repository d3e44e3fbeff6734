package sim

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/slack-go/slack"
	"github.com/slack-go/slack/slackevents"
	"github.com/slack-go/slack/socketmode"
)

// newSocketSlack is a local Slack that delivers over Socket Mode.
func newSocketSlack(t *testing.T) *Server {
	t.Helper()
	s, err := New(Options{SocketMode: true})
	if err != nil {
		t.Fatal(err)
	}
	ts := httptest.NewServer(s.Handler())
	s.SetURL(ts.URL)
	t.Cleanup(func() { s.Close(); ts.Close() })
	return s
}

// run starts a client of slack-go's, as its users do, and hands out its events.
func runSocketMode(t *testing.T, s *Server) *socketmode.Client {
	t.Helper()
	c := socketmode.New(slack.New(DevBotToken, slack.OptionAppLevelToken(DevAppToken), slack.OptionAPIURL(s.APIURL())))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = c.RunContext(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		s.sockets.close() // it does not end by itself while it reads
		<-done
	})
	return c
}

func nextSocketEvent(t *testing.T, c *socketmode.Client, typ socketmode.EventType) socketmode.Event {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		select {
		case e := <-c.Events:
			if e.Type == typ {
				return e
			}
		case <-deadline:
			t.Fatalf("no %s", typ)
		}
	}
}

func TestSlackGoSpeaksSocketMode(t *testing.T) {
	t.Parallel()
	s := newSocketSlack(t)
	c := runSocketMode(t, s)
	hello := nextSocketEvent(t, c, socketmode.EventTypeHello)
	if hello.Request.NumConnections != 1 || hello.Request.ConnectionInfo.AppID != s.App().ID || hello.Request.DebugInfo.Host == "" {
		t.Errorf("hello is %+v", hello.Request)
	}

	if _, err := s.Say(t.Context(), Say{User: "U0ADA", Channel: "#general", Text: "hello"}); err != nil {
		t.Fatal(err)
	}
	e := nextSocketEvent(t, c, socketmode.EventTypeEventsAPI)
	outer, _ := e.Data.(slackevents.EventsAPIEvent)
	if m, ok := outer.InnerEvent.Data.(*slackevents.MessageEvent); !ok || m.Text != "hello" || m.User != "U0ADA" || e.Request.AcceptsResponsePayload {
		t.Errorf("got %+v", outer.InnerEvent.Data)
	}
	if err := c.Ack(*e.Request); err != nil {
		t.Error(err)
	}

	done := make(chan error, 1)
	go func() {
		done <- s.Command(context.Background(), Command{User: "U0ADA", Channel: "#general", Command: "/deploy", Text: "api"})
	}()
	e = nextSocketEvent(t, c, socketmode.EventTypeSlashCommand)
	cmd, _ := e.Data.(slack.SlashCommand)
	if cmd.Command != "/deploy" || cmd.Text != "api" || cmd.UserID != "U0ADA" || cmd.TriggerID == "" || !e.Request.AcceptsResponsePayload {
		t.Errorf("got %+v", cmd)
	}
	if err := c.Ack(*e.Request, map[string]any{"text": "On it.", "response_type": "in_channel"}); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, _, err := c.PostMessage("C0GENERAL", slack.MsgOptionText("Done.", false)); err != nil {
		t.Error(err)
	}
	var texts []string
	for _, m := range s.Snapshot().Messages["C0GENERAL"] {
		texts = append(texts, m.Text)
	}
	if all := strings.Join(texts, " "); !strings.Contains(all, "On it.") || !strings.Contains(all, "Done.") {
		t.Errorf("messages are %q", texts)
	}
}

// socketClient opens a connection by hand.
func socketClient(t *testing.T, s *Server) *websocket.Conn {
	t.Helper()
	_, address, err := slack.New("", slack.OptionAppLevelToken(DevAppToken), slack.OptionAPIURL(s.APIURL())).StartSocketModeContext(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ws, resp, err := websocket.DefaultDialer.DialContext(t.Context(), address, nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	t.Cleanup(func() { _ = ws.Close() })
	if _, resp, err := websocket.DefaultDialer.DialContext(t.Context(), address, nil); err == nil || resp == nil || resp.StatusCode != 403 {
		t.Error("a ticket is good for two connections")
	}
	return ws
}

// frame reads what Slack sends next, of a type.
func frame(t *testing.T, ws *websocket.Conn, typ string) map[string]any {
	t.Helper()
	_ = ws.SetReadDeadline(time.Now().Add(20 * time.Second))
	for {
		_, raw, err := ws.ReadMessage()
		if err != nil {
			t.Fatalf("no %s: %v", typ, err)
		}
		var f map[string]any
		if err := json.Unmarshal(raw, &f); err != nil {
			t.Fatal(err)
		}
		if f["type"] == typ {
			return f
		}
	}
}

func TestEnvelopesGoToAnotherConnectionWhenTheirsIsGone(t *testing.T) {
	t.Parallel()
	s := newSocketSlack(t)
	first := socketClient(t, s)
	frame(t, first, "hello")
	if _, err := s.Say(t.Context(), Say{User: "U0ADA", Channel: "#general", Text: "hello"}); err != nil {
		t.Fatal(err)
	}
	one := frame(t, first, "events_api")
	second := socketClient(t, s)
	if h := frame(t, second, "hello"); h["num_connections"] != 2.0 {
		t.Errorf("hello is %v", h)
	}
	_ = first.Close()
	again := frame(t, second, "events_api")
	if again["envelope_id"] != one["envelope_id"] || one["retry_attempt"] != 0.0 || again["retry_attempt"] != 1.0 {
		t.Errorf("first %v, then %v", one, again)
	}
	_ = second.WriteJSON(map[string]any{"envelope_id": again["envelope_id"], "payload": map[string]any{}})
	s.DisconnectSockets("refresh_requested")
	if d := frame(t, second, "disconnect"); d["reason"] != "refresh_requested" {
		t.Errorf("got %v", d)
	}
}

func TestFramesThatAreTooLongCloseTheConnection(t *testing.T) {
	t.Parallel()
	s := newSocketSlack(t)
	ws := socketClient(t, s)
	frame(t, ws, "hello")
	_ = ws.WriteMessage(websocket.TextMessage, []byte(strings.Repeat(" ", maxSocketFrame+1)))
	_ = ws.SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, _, err := ws.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseMessageTooBig) {
		t.Errorf("got %v", err)
	}
}

func TestTenConnectionsAndNoMore(t *testing.T) {
	t.Parallel()
	s := newSocketSlack(t)
	for range maxSockets {
		frame(t, socketClient(t, s), "hello")
	}
	if d := frame(t, socketClient(t, s), "disconnect"); d["reason"] != "too_many_websockets" {
		t.Errorf("got %v", d)
	}
}

func TestSocketsNeedTheAppToken(t *testing.T) {
	t.Parallel()
	s := newSocketSlack(t)
	for token, want := range map[string]string{DevBotToken: "not_allowed_token_type", "xapp-other": "invalid_auth"} {
		_, _, err := slack.New("", slack.OptionAppLevelToken(token), slack.OptionAPIURL(s.APIURL())).StartSocketModeContext(t.Context())
		if err == nil || err.Error() != want {
			t.Errorf("%q: got %v, want %s", token, err, want)
		}
	}
}
