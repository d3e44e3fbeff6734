package sim

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// delivered is one request that a fake app got.
type delivered struct {
	header http.Header
	body   []byte
	json   Block      // the event envelope, or what payload= holds
	form   url.Values // of a slash command
}

// event is the inner event.
func (d delivered) event() Block {
	e, _ := d.json["event"].(Block)
	return e
}

// fakeApp is an app that records what it gets and answers by a function.
type fakeApp struct {
	t      *testing.T
	url    string
	got    chan delivered
	mu     sync.Mutex
	answer func(w http.ResponseWriter, d delivered)
}

func newApp(t *testing.T) *fakeApp {
	t.Helper()
	a := &fakeApp{t: t, got: make(chan delivered, 256)}
	ts := httptest.NewServer(http.HandlerFunc(a.serve))
	t.Cleanup(ts.Close)
	a.url = ts.URL
	return a
}

func (a *fakeApp) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		a.t.Errorf("read delivery: %v", err)
	}
	want := Sign(DevSigningSecret, r.Header.Get("X-Slack-Request-Timestamp"), body)
	if got := r.Header.Get("X-Slack-Signature"); got != want {
		a.t.Errorf("signature %q, want %q", got, want)
	}
	d := delivered{header: r.Header, body: body}
	raw := body
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		if d.form, err = url.ParseQuery(string(body)); err != nil {
			a.t.Errorf("form body: %v", err)
		}
		raw = []byte(d.form.Get("payload"))
	}
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &d.json); err != nil {
			a.t.Errorf("payload is no JSON: %v", err)
		}
	}
	a.mu.Lock()
	answer := a.answer
	a.mu.Unlock()
	if answer != nil {
		answer(w, d)
	}
	a.got <- d
}

// reply sets how the app answers from now on.
func (a *fakeApp) reply(f func(w http.ResponseWriter, d delivered)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answer = f
}

// says answers everything with one body.
func (a *fakeApp) says(contentType, body string) {
	a.reply(func(w http.ResponseWriter, _ delivered) {
		w.Header().Set("Content-Type", contentType)
		_, _ = io.WriteString(w, body)
	})
}

// next returns the next delivery.
func (a *fakeApp) next() delivered {
	a.t.Helper()
	select {
	case d := <-a.got:
		return d
	case <-time.After(10 * time.Second):
		a.t.Fatal("the app got nothing")
		panic("unreachable")
	}
}

// none fails if the app got anything; call it when deliveries have settled.
func (a *fakeApp) none() {
	a.t.Helper()
	select {
	case d := <-a.got:
		a.t.Fatalf("the app got %s", d.body)
	default:
	}
}

// clock is a clock that moves when it is told to.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// localSlack is a Server with an HTTP front and a fake app.
type localSlack struct {
	*Server
	t    *testing.T
	app  *fakeApp
	time *clock
	web  *httptest.Server
}

func newSlack(t *testing.T, change ...func(*Options)) *localSlack {
	t.Helper()
	s := &localSlack{t: t, app: newApp(t), time: newClock()}
	opt := Options{EventsURL: s.app.url, Now: s.time.Now, Sleep: func(context.Context, time.Duration) error { return nil }}
	for _, f := range change {
		f(&opt)
	}
	var err error
	if s.Server, err = New(opt); err != nil {
		t.Fatal(err)
	}
	s.web = httptest.NewServer(s.Handler())
	s.SetURL(s.web.URL)
	t.Cleanup(func() {
		s.Close()
		s.web.Close()
	})
	return s
}

// api calls a method as the bot with JSON arguments.
func (s *localSlack) api(method string, args Block) Block {
	s.t.Helper()
	raw, err := json.Marshal(args)
	if err != nil {
		s.t.Fatal(err)
	}
	_, out := s.post("/api/"+method, "application/json; charset=utf-8", string(raw), "Bearer "+DevBotToken)
	return out
}

// ok calls a method that must succeed.
func (s *localSlack) ok(method string, args Block) Block {
	s.t.Helper()
	out := s.api(method, args)
	if out["ok"] != true {
		s.t.Fatalf("%s: %v", method, out)
	}
	return out
}

// post sends any request and decodes the JSON answer.
func (s *localSlack) post(path, contentType, body, auth string) (int, Block) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.web.URL+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if auth != "" {
		req.Header.Set("Authorization", auth)
	}
	res, err := s.web.Client().Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	var out Block
	if err := json.Unmarshal(raw, &out); err != nil {
		s.t.Fatalf("%s answered %q: %v", path, raw, err)
	}
	return res.StatusCode, out
}

// say posts as Ada and returns the ts; the app has got it then.
func (s *localSlack) say(channel, text string) string {
	s.t.Helper()
	m, err := s.Say(s.t.Context(), Say{User: "U0ADA", Channel: channel, Text: text})
	if err != nil {
		s.t.Fatal(err)
	}
	return m.TS
}

// messages lists what Ada sees in a channel.
func (s *localSlack) messages(channel string) []Message {
	var out []Message
	for _, m := range s.Snapshot().Messages[channel] {
		if m.Viewer == "" || m.Viewer == "U0ADA" {
			out = append(out, m)
		}
	}
	return out
}

// last is the latest message that Ada sees.
func (s *localSlack) last(channel string) Message {
	s.t.Helper()
	all := s.messages(channel)
	if len(all) == 0 {
		s.t.Fatalf("no message in %s", channel)
	}
	return all[len(all)-1]
}
