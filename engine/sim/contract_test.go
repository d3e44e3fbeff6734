package sim

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
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
