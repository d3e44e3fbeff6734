package ingress_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/ingress"
	"github.com/starling-rules/starling/engine/queue"
)

const command = "command=%2Fdeploy&text=api+prod&team_id=T1&user_id=U1&channel_id=C1&trigger_id=1.2.x"

func TestEveryPathTakesEveryKind(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/slack", "/slack/events", "/slack/commands", "/slack/interactive", "/slack/options"} {
		for kind, body := range map[event.Kind]string{
			event.Message:  message,
			event.Command:  command,
			event.Shortcut: "payload=%7B%22type%22%3A%22shortcut%22%2C%22callback_id%22%3A%22x%22%7D",
			event.Options:  "payload=%7B%22type%22%3A%22block_suggestion%22%2C%22action_id%22%3A%22x%22%7D",
		} {
			s := &sink{}
			srv := start(t, s, nil)
			if r := do(t, srv, request{path: path, body: body}); r.status != 200 || r.body != "" {
				t.Errorf("%s %s: %+v", path, kind, r)
			}
			if e := s.one(t); e.Kind != kind || e.Bot != "helper" || e.Via != "http" || !e.Received.Equal(at) {
				t.Errorf("%s %s: %+v", path, kind, e)
			}
		}
	}
}

func TestStatusOfRefusedRequests(t *testing.T) {
	t.Parallel()
	big := `{"x":"` + strings.Repeat("a", 2000) + `"}`
	for name, c := range map[string]struct {
		req     request
		status  int
		noRetry bool
		allow   string
	}{
		"unsigned":           {request{body: message, unsigned: true}, 401, false, ""},
		"unsigned not JSON":  {request{body: "{", unsigned: true}, 401, false, ""},
		"not JSON":           {request{body: "{"}, 400, true, ""},
		"empty JSON":         {request{body: "", mediaType: "application/json"}, 400, true, ""},
		"empty form":         {request{body: ""}, 400, true, ""},
		"no event":           {request{body: `{"type":"event_callback"}`}, 400, true, ""},
		"no challenge":       {request{body: `{"type":"url_verification"}`}, 400, true, ""},
		"gzip":               {request{body: message, header: []string{"Content-Encoding: gzip"}}, 415, true, ""},
		"text":               {request{body: message, mediaType: "text/plain"}, 415, true, ""},
		"no type":            {request{body: message, mediaType: "-"}, 415, true, ""},
		"almost JSON":        {request{body: message, mediaType: "application/jsonx"}, 415, true, ""},
		"multipart":          {request{body: "--x\r\n\r\n--x--", mediaType: "multipart/form-data; boundary=x"}, 415, true, ""},
		"GET":                {request{method: "GET"}, 405, false, "POST"},
		"HEAD":               {request{method: "HEAD"}, 405, false, "POST"},
		"OPTIONS":            {request{method: "OPTIONS"}, 405, false, "POST"},
		"PUT":                {request{method: "PUT", body: message}, 405, false, "POST"},
		"POST health":        {request{path: "/healthz", body: message}, 405, false, "GET, HEAD"},
		"unknown path":       {request{path: "/nope", body: message}, 404, false, ""},
		"trailing slash":     {request{path: "/slack/events/", body: message}, 404, false, ""},
		"dots":               {request{path: "/slack/../slack/events", body: message}, 404, false, ""},
		"other letters":      {request{path: "/SLACK/events", body: message}, 404, false, ""},
		"too large":          {request{body: big}, 413, false, ""},
		"too large, chunked": {request{body: big, chunked: true}, 413, false, ""},
		"long header":        {request{body: message, header: []string{"X: " + strings.Repeat("a", 40<<10)}}, 431, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &sink{}
			srv := start(t, s, func(o *ingress.Options) { o.Limits.MaxBody = 1000 })
			r := do(t, srv, c.req)
			if r.status != c.status {
				t.Errorf("status %d, want %d (%s)", r.status, c.status, r.body)
			}
			if got := r.header.Get("X-Slack-No-Retry") == "1"; got != c.noRetry {
				t.Errorf("X-Slack-No-Retry is %t, want %t", got, c.noRetry)
			}
			if got := r.header.Get("Allow"); got != c.allow {
				t.Errorf("Allow is %q, want %q", got, c.allow)
			}
			if n := len(s.all()); n != 0 {
				t.Errorf("%d events were accepted", n)
			}
		})
	}
}

func TestMediaTypesIgnoreCaseAndParameters(t *testing.T) {
	t.Parallel()
	for _, r := range []request{
		{body: message, mediaType: "application/json; charset=utf-8"},
		{body: message, mediaType: "Application/JSON"},
		{body: message, header: []string{"Content-Encoding: identity"}},
		{body: command, mediaType: "application/x-www-form-urlencoded; charset=UTF-8"},
		{body: command, mediaType: "APPLICATION/X-WWW-FORM-URLENCODED"},
		{body: message, chunked: true},
	} {
		s := &sink{}
		if got := do(t, start(t, s, nil), r); got.status != 200 || len(s.all()) != 1 {
			t.Errorf("%+v: %d", r, got.status)
		}
	}
}

func TestStoreErrorsBecomeStatuses(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]int{
		nil:                  200,
		queue.ErrDuplicate:   200,
		queue.ErrFull:        503,
		queue.ErrUnavailable: 503,
		queue.ErrClosed:      503,
		queue.ErrTooLarge:    413,
		errors.New("odd"):    503,
	} {
		for _, body := range []string{message, command} {
			wrapped := err
			if err != nil {
				wrapped = fmt.Errorf("put: %w", err)
			}
			s := &sink{err: wrapped, answer: &event.Answer{ContentType: "text/plain", Body: []byte("ok!")}}
			r := do(t, start(t, s, nil), request{body: body})
			if r.status != want {
				t.Errorf("%v: status %d, want %d", err, r.status, want)
			}
			if noRetry := r.header.Get("X-Slack-No-Retry") != ""; noRetry != (want == 413) {
				t.Errorf("%v: X-Slack-No-Retry set: %t", err, noRetry)
			}
			if err != nil && strings.Contains(r.body, "ok!") {
				t.Errorf("%v: answered though not stored", err)
			}
		}
	}
}

func TestRuleAnswersAreWrittenAsTheyAre(t *testing.T) {
	t.Parallel()
	body := `{"response_action":"errors","errors":{"b":"<no> & é"}}`
	s := &sink{answer: &event.Answer{ContentType: "application/json", Body: []byte(body), Headers: []event.Header{{Name: "X-Evil", Value: "1"}}}}
	r := do(t, start(t, s, nil), request{body: "payload=%7B%22type%22%3A%22view_submission%22%2C%22view%22%3A%7B%7D%7D"})
	if r.status != 200 || r.body != body || r.header.Get("Content-Type") != "application/json" || r.header.Get("X-Evil") != "" {
		t.Errorf("%+v", r)
	}
}

func TestURLVerificationIsAnsweredAndReachesNoRule(t *testing.T) {
	t.Parallel()
	s := &sink{}
	srv := start(t, s, nil)
	r := do(t, srv, request{body: `{"type":"url_verification","challenge":"a\"b\\c\n<é>&"}`})
	if r.status != 200 || r.body != `{"challenge":"a\"b\\c\n<é>&"}` || r.header.Get("Content-Type") != "application/json" {
		t.Errorf("%+v", r)
	}
	if r := do(t, srv, request{body: `{"type":"url_verification","challenge":"x"}`, unsigned: true}); r.status != 401 || strings.Contains(r.body, "x\"") {
		t.Errorf("unsigned: %+v", r)
	}
	if len(s.all()) != 0 {
		t.Error("it reached the sink")
	}
}

func TestSSLCheckNeedsNoSignatureAndSmugglesNothing(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]int{
		"ssl_check=1&token=x":                200,
		"token=x&ssl_check=1":                200,
		"ssl_check=1&" + command:             200,
		command + "&ssl_check=1":             200,
		"ssl_check=0&" + command:             401,
		"ssl_check=true&" + command:          401,
		"ssl_check=&" + command:              401,
		"ssl_check=1&ssl_check=0&" + command: 401,
		"ssl_check=11&" + command:            401,
		"xssl_check=1&" + command:            401,
		command + "ssl_check=1":              401,
	} {
		s := &sink{}
		srv := start(t, s, nil)
		if r := do(t, srv, request{body: body, unsigned: true}); r.status != want || want == 200 && r.body != "" {
			t.Errorf("%s: %+v, want %d", body, r, want)
		}
		if len(s.all()) != 0 {
			t.Errorf("%s: dispatched", body)
		}
	}
	s := &sink{}
	if r := do(t, start(t, s, nil), request{body: "ssl_check=1", mediaType: "application/json", unsigned: true}); r.status != 401 {
		t.Errorf("not a form: %+v", r)
	}
}

func TestRetryHeadersAreKept(t *testing.T) {
	t.Parallel()
	for headers, want := range map[string]struct {
		num    int
		reason string
	}{
		"X-Slack-Retry-Num: 2\r\nX-Slack-Retry-Reason: http_timeout":               {2, "http_timeout"},
		"X-Slack-Retry-Num: many\r\nX-Slack-Retry-Reason: brand_new":               {1, "brand_new"},
		"X-Slack-Retry-Num: 1\r\nX-Slack-Retry-Reason: " + strings.Repeat("a", 99): {1, strings.Repeat("a", 64)},
	} {
		s := &sink{}
		do(t, start(t, s, nil), request{body: message, header: []string{headers}})
		if e := s.one(t); e.Retry != want.num || e.RetryReason != want.reason {
			t.Errorf("%q: %d %q", headers, e.Retry, e.RetryReason)
		}
	}
}

func TestProbes(t *testing.T) {
	t.Parallel()
	var why error
	srv := start(t, &sink{}, func(o *ingress.Options) { o.Ready = func() error { return why } })
	for path, want := range map[string]string{
		"/healthcheck": "OK", "/healthz": `{"success":true,"timestamp":1700000000}`, "/readyz": `{"ready":true}`,
	} {
		if r := do(t, srv, request{method: "GET", path: path}); r.status != 200 || r.body != want {
			t.Errorf("%s: %+v", path, r)
		}
		if r := do(t, srv, request{method: "HEAD", path: path}); r.status != 200 || r.body != "" {
			t.Errorf("HEAD %s: %+v", path, r)
		}
	}
	why = errors.New(`store not writable: "disk"`)
	if r := do(t, srv, request{method: "GET", path: "/readyz"}); r.status != 503 || r.body != `{"ready":false,"reason":"store not writable: \"disk\""}` {
		t.Errorf("%+v", r)
	}
	if r := do(t, srv, request{method: "GET", path: "/metrics"}); r.status != 404 {
		t.Errorf("metrics on the public port: %d", r.status)
	}
}

func TestDrainRefusesNewEventsAndFinishesThoseInFlight(t *testing.T) {
	t.Parallel()
	s := &sink{hold: make(chan struct{}), entered: make(chan struct{}, 1)}
	srv := start(t, s, nil)
	inFlight, idle := dial(t, srv.Addr()), dial(t, srv.Addr())
	idle.send(request{method: "GET", path: "/readyz"}.bytes())
	if r := idle.receive("GET"); r.status != 200 {
		t.Fatalf("ready before: %+v", r)
	}
	inFlight.send(request{body: message}.bytes())
	<-s.entered
	srv.Drain()
	if r := do(t, srv, request{method: "GET", path: "/readyz"}); r.status != 503 || !strings.Contains(r.body, "draining") {
		t.Errorf("ready while draining: %+v", r)
	}
	idle.send(request{body: message}.bytes())
	if r := idle.receive("POST"); r.status != 503 || r.header.Get("X-Slack-No-Retry") != "" {
		t.Errorf("new event while draining: %+v", r)
	}
	done := make(chan error, 1)
	go func() { done <- srv.Shutdown(t.Context()) }()
	close(s.hold)
	if r := inFlight.receive("POST"); r.status != 200 {
		t.Errorf("in flight: %+v", r)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	s.one(t)
	if err := srv.Shutdown(t.Context()); err != nil {
		t.Errorf("second shutdown: %v", err)
	}
}

func TestShutdownGivesUpWithItsContext(t *testing.T) {
	t.Parallel()
	s := &sink{hold: make(chan struct{}), entered: make(chan struct{}, 1)}
	srv := start(t, s, nil)
	c := dial(t, srv.Addr())
	c.send(request{body: message}.bytes())
	<-s.entered
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := srv.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	close(s.hold)
}

func TestShutdownBeforeRun(t *testing.T) {
	t.Parallel()
	srv, err := ingress.New(ingress.Options{Addr: "127.0.0.1:0", Sink: &sink{}})
	if err != nil {
		t.Fatal(err)
	}
	if err := srv.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := srv.Run(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAnAddressInUseIsAnError(t *testing.T) {
	t.Parallel()
	srv := start(t, &sink{}, nil)
	if _, err := ingress.New(ingress.Options{Addr: srv.Addr().String(), Sink: &sink{}}); err == nil {
		t.Error("listening twice went well")
	}
}
