package sim

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/slack-go/slack"
	"github.com/slack-go/slack/socketmode"
)

func TestClientsAreNeverRedirectedAndGetAddressesOfThisServer(t *testing.T) {
	t.Parallel()
	s := newSlack(t)
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for _, path := range []string{"/api/auth.test", "/api/auth.test/", "/api//auth.test", "/api/", "/api/no.such", "/api/../api/auth.test", "/response/x"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.web.URL, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		req.URL.Opaque = path
		req.Header.Set("Content-Type", "application/json; charset=utf-8")
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode >= 300 && res.StatusCode < 400 {
			t.Errorf("%s is answered %d to %s", path, res.StatusCode, res.Header.Get("Location"))
		}
	}
	if out := s.api("auth.test/", nil); out["error"] != "unknown_method" {
		t.Errorf("a path that is no method: %v", out)
	}
	_, opened := s.post("/api/apps.connections.open", "", "", "Bearer "+DevAppToken)
	upload := s.ok("files.getUploadURLExternal", Block{"filename": "a.txt", "length": 1})
	s.say("C0OPS", "/x")
	for what, address := range map[string]string{
		"socket": text(opened["url"]), "upload": text(upload["upload_url"]), "response": s.app.next().form.Get("response_url"),
		"permalink": text(s.ok("chat.getPermalink", Block{"channel": "C0OPS", "message_ts": s.say("C0OPS", "m")})["permalink"]),
	} {
		u, err := url.Parse(address)
		if err != nil || u.Host != strings.TrimPrefix(s.web.URL, "http://") || (u.Scheme == "ws") != (what == "socket") {
			t.Errorf("%s is at %q", what, address)
		}
	}
}

func TestATokenInAJSONBodyIsNone(t *testing.T) {
	t.Parallel()
	s := newSlack(t)
	_, out := s.post("/api/auth.test", "application/json; charset=utf-8", `{"token":"`+DevBotToken+`"}`, "")
	if out["error"] != "not_authed" {
		t.Errorf("JSON: %v", out)
	}
	for _, body := range []string{"token=" + DevAppToken, ""} {
		_, out = s.post("/api/apps.connections.open", "application/x-www-form-urlencoded", body, "")
		if out["error"] != "not_authed" {
			t.Errorf("opening a socket with %q: %v", body, out)
		}
	}
}

func TestEveryRequestOfTheAppIsRecorded(t *testing.T) {
	t.Parallel()
	s := newSlack(t)
	s.ok("chat.postMessage", Block{"channel": "C0OPS", "text": "hi"})
	s.post("/api/auth.test", "application/x-www-form-urlencoded", "token="+DevBotToken, "")
	s.post("/api/no.such", "", "", "")
	s.respondAt("/response/NOSUCH", `{"text":"x"}`)
	res, err := http.Post(s.web.URL+"/upload/F9", "text/plain", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res, err = http.Get(s.web.URL + "/link/?ticket=none&debug_reconnects=true"); err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	want := []Call{
		{Method: "chat.postMessage", Verb: "POST", Via: "json", Auth: "header", Status: 200, OK: true},
		{Method: "auth.test", Verb: "POST", Via: "form", Auth: "body", Status: 200, OK: true},
		{Method: "no.such", Verb: "POST", Via: "query", Status: 200, Error: "unknown_method"},
		{Method: "response_url", Verb: "POST", Via: "json", Status: 404, Error: "expired_url"},
		{Method: "upload", Verb: "POST", Via: "body", Status: 404, Error: "no such upload"},
		{Method: "link", Verb: "GET", Via: "query", Status: 403, Error: "no such ticket"},
	}
	res, err = http.Get(s.web.URL + "/sim/calls")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var got struct{ Calls []Call }
	if err := json.NewDecoder(res.Body).Decode(&got); err != nil || len(got.Calls) != len(want) {
		t.Fatalf("%v, calls %+v", err, got.Calls)
	}
	for i, c := range got.Calls {
		if c.At.IsZero() {
			t.Errorf("%s has no time", c.Method)
		}
		w := want[i]
		if c.Method != w.Method || c.Verb != w.Verb || c.Via != w.Via || c.Auth != w.Auth || c.Status != w.Status || c.OK != w.OK || c.Error != w.Error {
			t.Errorf("%+v, want %+v", c, w)
		}
	}
	s.say("C0OPS", "/x y")
	s.app.next()
	if res, err = http.Get(s.web.URL + "/sim/deliveries?type=/x"); err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil || strings.Count(string(raw), `"kind":"slash_commands"`) != 1 {
		t.Errorf("deliveries %s %v", raw, err)
	}
}

func TestResponseURLsCanBeLimited(t *testing.T) {
	t.Parallel()
	s := newSlack(t)
	at := s.hookOf("/x")
	s.SetFaults(Faults{RateLimit: map[string]int{"response_url": 1}, RetryAfter: 3})
	res, err := http.Post(s.web.URL+at, "application/json", strings.NewReader(`{"text":"x"}`))
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusTooManyRequests || res.Header.Get("Retry-After") != "3" {
		t.Errorf("%d %v", res.StatusCode, res.Header)
	}
	for range 5 { // what was limited did not count
		if status, code := s.respondAt(at, `{"text":"x"}`); status != http.StatusOK {
			t.Errorf("%d %v", status, code)
		}
	}
}

func TestTimeoutsAndCertificatesAreNamedAsSlackDoes(t *testing.T) {
	t.Parallel()
	t.Run("http_timeout", func(t *testing.T) {
		t.Parallel()
		s := newSlack(t, func(o *Options) { o.AckWithin = 50 * time.Millisecond })
		held := make(chan struct{})
		s.app.reply(func(_ http.ResponseWriter, d delivered) {
			if d.header.Get("X-Slack-Retry-Num") == "" {
				<-held
			}
		})
		s.say("C0OPS", "slow")
		d := s.app.next() // the second: the first is still held
		close(held)
		if d.header.Get("X-Slack-Retry-Reason") != "http_timeout" {
			t.Errorf("headers %v", d.header)
		}
	})
	t.Run("ssl_error", func(t *testing.T) {
		t.Parallel()
		app := httptest.NewUnstartedServer(http.NotFoundHandler())
		app.Config.ErrorLog = nil
		app.StartTLS() // with a certificate that nobody knows
		t.Cleanup(app.Close)
		s := newSlack(t, func(o *Options) { o.EventsURL = app.URL })
		s.say("C0OPS", "/x")
		if d := s.Deliveries()[0]; d.Error != "ssl_error" {
			t.Errorf("delivery %+v", d)
		}
	})
	t.Run("to another machine", func(t *testing.T) {
		t.Parallel()
		s := newSlack(t)
		s.app.reply(func(w http.ResponseWriter, _ delivered) {
			w.Header().Set("Location", "https://slack.com/")
			w.WriteHeader(http.StatusTemporaryRedirect)
		})
		s.say("C0OPS", "/x")
		if d := s.Deliveries()[0]; d.Error != "connection_failed" {
			t.Errorf("delivery %+v", d)
		}
	})
}

// Events stop when more than 95 of 100 deliveries of an hour fail.
func TestSubscriptionsAreSwitchedOffWhenNearlyAllDeliveriesFail(t *testing.T) {
	t.Parallel()
	u, now := &subscription{}, newClock().Now()
	for i := range spared - 1 {
		if u.count(now.Add(time.Duration(i)*time.Second), false) {
			t.Fatalf("off after %d", i+1)
		}
	}
	if ok, _ := u.admit(now, 0); !ok {
		t.Fatal("fewer than a thousand in an hour are not spared")
	}
	if !u.count(now.Add(20*time.Minute), false) || !u.isOff() {
		t.Error("still on after a thousand failures")
	}
	if ok, _ := u.admit(now, 0); ok {
		t.Error("events come while they are off")
	}
	u = &subscription{}
	for i := range 3000 { // one of 19 gets through
		if u.count(now, i%19 == 0) {
			t.Fatalf("off although 1 of 19 succeeds, after %d", i+1)
		}
	}
	u = &subscription{}
	for i := range 3000 { // 25 in a minute: what is older than an hour does not count
		if u.count(now.Add(time.Duration(i/10)*time.Minute), false) {
			t.Fatalf("off although an hour has but 600, after %d", i+1)
		}
	}
}

func TestAnAppThatFailsIsToldNothingUntilSomebodySwitchesEventsOn(t *testing.T) {
	t.Parallel()
	s := newSlack(t)
	s.app.reply(func(w http.ResponseWriter, _ delivered) { w.WriteHeader(http.StatusBadGateway) })
	go func() { // nobody reads what the app gets
		for range s.app.got { //nolint:revive // drained
		}
	}()
	for range spared / 4 {
		s.say("C0OPS", "x")
	}
	s.out.wg.Wait()
	if u := s.Subscription(); u.On || u.Reason != "too_many_failures" || u.Failed < spared {
		t.Fatalf("%+v", u)
	}
	n := len(s.Deliveries())
	s.say("C0OPS", "unheard")
	s.out.wg.Wait()
	if got := len(s.Deliveries()); got != n {
		t.Errorf("%d deliveries while events are off", got-n)
	}
	s.say("C0OPS", "/commands still work")
	s.app.reply(nil)
	if status, out := s.post("/sim/resubscribe", "application/json", "{}", ""); status != http.StatusOK {
		t.Fatal(out)
	}
	s.say("C0OPS", "heard")
	s.out.wg.Wait()
	if d := s.Deliveries(); len(d) != n+2 || d[n+1].Status != http.StatusOK || !s.Subscription().On {
		t.Errorf("%d deliveries after, %+v", len(d)-n, s.Subscription())
	}
}

func TestEventsOfAnHourAreLimited(t *testing.T) {
	t.Parallel()
	s := newSlack(t)
	s.SetFaults(Faults{EventsPerHour: 2})
	for range 5 {
		s.say("C0OPS", "x")
	}
	var types []string
	for range 3 {
		d := s.app.next()
		types = append(types, text(d.json["type"]))
		if d.json["type"] == "app_rate_limited" && (d.json["team_id"] != "T0STARLING" || d.json["minute_rate_limited"] == nil) {
			t.Errorf("told %v", d.json)
		}
	}
	s.out.wg.Wait()
	s.app.none()
	limited := 0
	for _, typ := range types {
		if typ == "app_rate_limited" {
			limited++
		}
	}
	if limited != 1 {
		t.Errorf("the app got %v", types)
	}
	if err := s.MoveClock(time.Hour, 0); err != nil {
		t.Fatal(err)
	}
	s.say("C0OPS", "an hour later")
	if d := s.app.next(); d.event()["text"] != "an hour later" {
		t.Errorf("got %v", d.json)
	}
}

func TestTheAppsAddressIsVerified(t *testing.T) {
	t.Parallel()
	s := newSlack(t)
	s.app.reply(func(w http.ResponseWriter, d delivered) {
		if c, ok := d.json["challenge"].(string); ok {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"challenge":"`+c+`"}`)
		}
	})
	if err := s.VerifyURL(t.Context()); err != nil {
		t.Error(err)
	}
	s.app.says("text/plain", "something else")
	if err := s.VerifyURL(t.Context()); err == nil || err.Error() != "challenge_failed" {
		t.Errorf("a wrong challenge: %v", err)
	}
}

func TestAnyEventCanBeSent(t *testing.T) {
	t.Parallel()
	s := newSlack(t)
	if status, out := s.post("/sim/event", "application/json", `{"type":"team_join","user":{"id":"U9"}}`, ""); status != http.StatusOK {
		t.Fatal(out)
	}
	if e := s.app.next().event(); e["type"] != "team_join" || e["event_ts"] == nil {
		t.Errorf("got %v", e)
	}
	if status, out := s.post("/sim/event", "application/json", `{}`, ""); status != http.StatusBadRequest || out["error"] != "invalid_event_type" {
		t.Errorf("%d %v", status, out)
	}
}

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
