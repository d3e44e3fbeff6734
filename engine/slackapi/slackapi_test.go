package slackapi_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/starling-rules/starling/engine/metric"
	"github.com/starling-rules/starling/engine/slackapi"
	"github.com/starling-rules/starling/runtime"
)

const botToken = "xoxb-very-secret-token"

var quick = slackapi.CallOptions{Team: "T1"}

// wire is a Slack inside the process: it works under a fake clock.
type wire func(method string, form url.Values, req *http.Request) (status int, header http.Header, body string)

func (w wire) RoundTrip(req *http.Request) (*http.Response, error) {
	var form url.Values
	if req.Body != nil {
		b, _ := io.ReadAll(req.Body)
		form, _ = url.ParseQuery(string(b))
		if strings.HasPrefix(req.Header.Get("Content-Type"), "application/json") {
			form = url.Values{"json": {string(b)}}
			v, _ := runtime.ParseJSON(b)
			if d, ok := v.(*runtime.Dict); ok {
				for _, f := range d.Fields {
					if s, ok := f.Value.(string); ok {
						form.Set(f.Key, s)
					}
				}
			}
		}
	}
	status, h, body := w(strings.TrimPrefix(req.URL.Path, "/api/"), form, req)
	if status == 0 {
		return nil, &net.OpError{Op: "dial", Err: errors.New("connection refused")}
	}
	if h == nil {
		h = http.Header{}
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), Request: req}, nil
}

func client(t testing.TB, w http.RoundTripper, change ...func(*slackapi.Options)) *slackapi.Client {
	t.Helper()
	o := slackapi.Options{
		HTTP: &http.Client{Transport: w}, Tokens: slackapi.Static{Bot: botToken, User: "xoxp-user-token"},
		Rand: func() float64 { return 0.5 },
	}
	for _, f := range change {
		f(&o)
	}
	c, err := slackapi.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// sum adds up a metric over its labels.
func sum(t *testing.T, m *metric.Set, name string) (total float64) {
	t.Helper()
	families, err := m.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, one := range f.GetMetric() {
			if f.GetName() == name {
				total += one.GetCounter().GetValue()
			}
		}
	}
	return total
}

func retryAfter(s string) http.Header { return http.Header{"Retry-After": {s}} }

func TestCallEncodesAsTheMethodWants(t *testing.T) {
	t.Parallel()
	nested := runtime.NewDict("channel", "C1", "text", "a <b> & c", "blocks", []runtime.Value{runtime.NewDict("type", "divider")},
		"count", int64(3), "unfurl_links", false, "nothing", nil)
	for name, tc := range map[string]struct {
		method string
		args   *runtime.Dict
		ctype  string
		body   string
	}{
		"json":            {"chat.postMessage", nested, "application/json; charset=utf-8", `{"channel":"C1","text":"a <b> & c","blocks":[{"type":"divider"}],"count":3,"unfurl_links":false}`},
		"form":            {"some.futureMethod", nested, "application/x-www-form-urlencoded", "channel=C1&text=a+%3Cb%3E+%26+c&blocks=%5B%7B%22type%22%3A%22divider%22%7D%5D&count=3&unfurl_links=false"},
		"read takes form": {"conversations.history", runtime.NewDict("channel", "C1", "cursor", "dGVhbQ==", "limit", 200.0), "application/x-www-form-urlencoded", "channel=C1&cursor=dGVhbQ%3D%3D&limit=200"},
		"lists of ids":    {"conversations.open", runtime.NewDict("users", []runtime.Value{"U1", "U2"}), "application/json; charset=utf-8", `{"users":"U1,U2"}`},
		"raw json nested": {"users.conversations", runtime.NewDict("types", []runtime.Value{"im", "mpim"}, "x", runtime.JSON(`{"a":1}`)), "application/x-www-form-urlencoded", "types=im%2Cmpim&x=%7B%22a%22%3A1%7D"},
		"no arguments":    {"emoji.list", nil, "application/x-www-form-urlencoded", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				b, _ := io.ReadAll(r.Body)
				if r.URL.Path != "/api/"+tc.method || r.Method != "POST" {
					t.Errorf("request %s %s", r.Method, r.URL.Path)
				}
				if got := r.Header.Get("Authorization"); got != "Bearer "+botToken {
					t.Errorf("authorization %q", got)
				}
				if got := r.Header.Get("Content-Type"); got != tc.ctype {
					t.Errorf("content type %q, want %q", got, tc.ctype)
				}
				if string(b) != tc.body {
					t.Errorf("body\n got %s\nwant %s", b, tc.body)
				}
				fmt.Fprint(w, `{"ok":true,"ts":"1.2","new_field":[1]}`)
			}))
			defer srv.Close()
			c, err := slackapi.New(slackapi.Options{BaseURL: srv.URL + "/api", Tokens: slackapi.Static{Bot: botToken}})
			if err != nil {
				t.Fatal(err)
			}
			r, err := c.Call(context.Background(), tc.method, tc.args, quick)
			if err != nil || !r.OK || r.Text("ts") != "1.2" || string(r.Body) != `{"ok":true,"ts":"1.2","new_field":[1]}` {
				t.Errorf("result %+v, %v", r, err)
			}
		})
	}
}

func TestCallUnderstandsBadAnswers(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		status int
		body   string
		want   string
		calls  int
	}{
		"slack's error":        {200, `{"ok":false,"error":"channel_not_found"}`, "channel_not_found", 1},
		"missing scope":        {200, `{"ok":false,"error":"missing_scope","needed":"chat:write","provided":"x"}`, "missing_scope", 1},
		"html 503":             {503, "<html>down</html>", "http_503", 1},
		"502 with json":        {502, `{"ok":true}`, "http_502", 1},
		"not json":             {200, "<html>", "invalid_response", 1},
		"not an object":        {200, "[1]", "invalid_response", 1},
		"no ok":                {200, `{"error":""}`, "invalid_response", 1},
		"404":                  {404, "nope", "http_404", 1},
		"403 with json":        {403, `{"ok":false,"error":"team_access_not_granted"}`, "team_access_not_granted", 1},
		"redirect":             {302, "", "http_302", 1},
		"too large":            {200, `{"ok":true,"x":"` + strings.Repeat("x", 2000) + `"}`, "response_too_large", 1},
		"connection refused":   {0, "", "connection_failed", 4},
		"internal error write": {200, `{"ok":false,"error":"internal_error"}`, "internal_error", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				calls := 0
				c := client(t, wire(func(string, url.Values, *http.Request) (int, http.Header, string) {
					calls++
					return tc.status, http.Header{"Location": {"https://evil.example/"}}, tc.body
				}), func(o *slackapi.Options) { o.MaxResponse = 1000 })
				r, err := c.Call(t.Context(), "chat.postMessage", runtime.NewDict("channel", "C1"), quick)
				if err != nil || r.OK || r.Error != tc.want {
					t.Errorf("result %+v, %v; want %s", r, err, tc.want)
				}
				if got := r.Text("error"); got != tc.want {
					t.Errorf("body %s says %q", r.Body, got)
				}
				if calls != tc.calls {
					t.Errorf("%d calls, want %d", calls, tc.calls)
				}
			})
		})
	}
}

func TestReadsAreRetriedAndPostsInDoubtAreNot(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		method string
		o      slackapi.CallOptions
		calls  int
	}{
		"read":            {"users.list", quick, 3},
		"post":            {"chat.postMessage", quick, 1},
		"unknown":         {"no.suchMethod", quick, 1},
		"idempotent call": {"chat.update", slackapi.CallOptions{Team: "T1", Idempotent: true}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				calls := 0
				c := client(t, wire(func(string, url.Values, *http.Request) (int, http.Header, string) {
					calls++
					if calls < 3 {
						return 500, nil, "oops"
					}
					return 200, nil, `{"ok":true}`
				}))
				r, err := c.Call(t.Context(), tc.method, nil, tc.o)
				if err != nil || calls != tc.calls || r.OK != (tc.calls == 3) || r.Doubt != (tc.calls == 1) {
					t.Errorf("%d calls, %+v, %v", calls, r, err)
				}
			})
		})
	}
}

func TestTimeoutIsAResult(t *testing.T) {
	t.Parallel()
	hang := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-hang }))
	defer srv.Close()
	defer close(hang)
	c, err := slackapi.New(slackapi.Options{BaseURL: srv.URL, Tokens: slackapi.Static{Bot: botToken}, Timeout: 30 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	r, err := c.Call(context.Background(), "chat.postMessage", nil, quick)
	if err != nil || r.Error != "timeout" || !r.Doubt {
		t.Errorf("got %+v, %v", r, err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	why := errors.New("run is over")
	time.AfterFunc(5*time.Millisecond, func() { cancel(why) })
	if _, err := c.Call(ctx, "chat.postMessage", nil, quick); !errors.Is(err, why) {
		t.Errorf("got %v, want the cause", err)
	}
}

// TestRateLimit holds that a 429 stops its own lane for the whole time, that
// order is kept there, and that other lanes go on.
func TestRateLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var mu sync.Mutex
		var log []string
		var limited int
		m := metric.New("test")
		c := client(t, wire(func(method string, f url.Values, _ *http.Request) (int, http.Header, string) {
			mu.Lock()
			defer mu.Unlock()
			at := time.Since(start).Round(time.Second)
			if f.Get("channel") == "C1" && at < 7*time.Second {
				limited++
				return 429, retryAfter("7"), `{"ok":false,"error":"ratelimited"}`
			}
			log = append(log, fmt.Sprintf("%s %s %s@%v", method, f.Get("channel"), f.Get("text"), at))
			return 200, nil, `{"ok":true}`
		}), func(o *slackapi.Options) { o.Metrics = m })
		var wg sync.WaitGroup
		call := func(method, channel, text string) {
			wg.Go(func() {
				r, err := c.Call(t.Context(), method, runtime.NewDict("channel", channel, "text", text), quick)
				if err != nil || !r.OK {
					t.Errorf("%s %s: %+v %v", method, channel, r, err)
				}
			})
			synctest.Wait()
		}
		call("chat.postMessage", "C1", "one")
		call("chat.postMessage", "C1", "two")
		call("chat.postMessage", "C2", "other channel")
		call("reactions.add", "C3", "other method")
		call("chat.postMessage", "C1", "three")
		wg.Wait()
		want := []string{
			"chat.postMessage C2 other channel@0s", "reactions.add C3 other method@0s",
			"chat.postMessage C1 one@7s", "chat.postMessage C1 two@7s", "chat.postMessage C1 three@7s",
		}
		if strings.Join(log, "\n") != strings.Join(want, "\n") {
			t.Errorf("calls\n%s\nwant\n%s", strings.Join(log, "\n"), strings.Join(want, "\n"))
		}
		if limited != 1 {
			t.Errorf("the paused lane was tried %d times, want 1", limited)
		}
		if n := sum(t, m, "starling_throttled_total"); n != 1 {
			t.Errorf("throttled metric %v", n)
		}
	})
}

func TestRateLimitOfReadsKeepsOrderAmongManyInFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var mu sync.Mutex
		var order []string
		c := client(t, wire(func(_ string, f url.Values, _ *http.Request) (int, http.Header, string) {
			time.Sleep(10 * time.Millisecond)
			mu.Lock()
			defer mu.Unlock()
			if time.Since(start) < 5*time.Second {
				return 429, retryAfter("5"), ""
			}
			order = append(order, f.Get("user"))
			return 200, nil, `{"ok":true}`
		}))
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				if _, err := c.Call(t.Context(), "users.info", runtime.NewDict("user", fmt.Sprint(i)), quick); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		wg.Wait()
		// After a 429 one call goes ahead; the others follow in their order.
		if len(order) != 8 || order[0] != "0" {
			t.Errorf("order %v", order)
		}
	})
}

func TestRateLimitWithoutHeaderAndForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start, calls := time.Now(), 0
		c := client(t, wire(func(string, url.Values, *http.Request) (int, http.Header, string) {
			calls++
			return 429, nil, "slow down"
		}), func(o *slackapi.Options) { o.Throttles = 3 })
		r, err := c.Call(t.Context(), "chat.postMessage", nil, quick)
		if err != nil || r.Error != "ratelimited" || calls != 3 || time.Since(start) != time.Minute {
			t.Errorf("%+v %v after %d calls in %v", r, err, calls, time.Since(start))
		}
		// A caller that gives up leaves the lane to others.
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.Call(ctx, "chat.postMessage", nil, quick); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}

func TestLaneIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := client(t, wire(func(string, url.Values, *http.Request) (int, http.Header, string) {
			time.Sleep(time.Second)
			return 200, nil, `{"ok":true}`
		}), func(o *slackapi.Options) { o.MaxWaiting = 2 })
		var wg sync.WaitGroup
		var mu sync.Mutex
		refused := 0
		for range 5 {
			wg.Go(func() {
				r, _ := c.Call(t.Context(), "chat.postMessage", runtime.NewDict("channel", "C1"), quick)
				if r.Error == "ratelimited" {
					mu.Lock()
					refused++
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if refused != 2 {
			t.Errorf("%d refused, want 2 (one out, two waiting)", refused)
		}
	})
}

func TestMethodNamesCannotBecomePaths(t *testing.T) {
	t.Parallel()
	c := client(t, wire(func(string, url.Values, *http.Request) (int, http.Header, string) {
		t.Error("called")
		return 200, nil, `{"ok":true}`
	}))
	for _, m := range []string{"", ".", "..", "../x", "a/b", "a?b", "a#b", "a%2fb", "chat..post", ".a", "a b", strings.Repeat("a", 101), "ä"} {
		if _, err := c.Call(t.Context(), m, nil, quick); !errors.Is(err, slackapi.ErrMethod) {
			t.Errorf("%q: %v", m, err)
		}
	}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	var got []string
	w := wire(func(_ string, f url.Values, r *http.Request) (int, http.Header, string) {
		got = append(got, r.Header.Get("Authorization")+" "+f.Get("team_id"))
		return 200, nil, `{"ok":true}`
	})
	c := client(t, w, func(o *slackapi.Options) {
		o.Tokens = slackapi.TokenFunc(func(_ context.Context, team, enterprise, bot string, user bool) (string, error) {
			if team == "T404" {
				return "", errors.New("no installation for T404")
			}
			return fmt.Sprintf("%s/%s/%s/%v", team, enterprise, bot, user), nil
		})
	})
	_, _ = c.Call(t.Context(), "users.list", nil, slackapi.CallOptions{Team: "T1", Enterprise: "E1", Bot: "helper", AsUser: true})
	_, _ = c.Call(t.Context(), "users.list", nil, slackapi.CallOptions{Team: "T1"})
	r, err := c.Call(t.Context(), "users.list", nil, slackapi.CallOptions{Team: "T404"})
	if want := "Bearer T1/E1/helper/true T1|Bearer T1///false "; strings.Join(got, "|") != want {
		t.Errorf("got %q, want %q", strings.Join(got, "|"), want)
	}
	if err != nil || r.Error != "not_authed" || r.Text("detail") != "no installation for T404" {
		t.Errorf("%+v %v", r, err)
	}
	if _, err := (slackapi.Static{}).Token(t.Context(), "", "", "", true); err == nil {
		t.Error("no user token: no error")
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	serve := func(next map[string]string) (*slackapi.Client, *int) {
		calls := new(int)
		return client(t, wire(func(_ string, f url.Values, _ *http.Request) (int, http.Header, string) {
			*calls++
			return 200, nil, `{"ok":true,"members":["` + f.Get("cursor") + `"],"response_metadata":{"next_cursor":"` + next[f.Get("cursor")] + `"}}`
		})), calls
	}
	t.Run("to the end", func(t *testing.T) {
		t.Parallel()
		c, calls := serve(map[string]string{"": "a==", "a==": "b"})
		var got []string
		_, complete, err := c.Pages(t.Context(), "users.list", nil, quick, 0, func(p slackapi.Result) bool {
			got = append(got, string(p.Get("members").(runtime.JSON)))
			return true
		})
		if err != nil || !complete || *calls != 3 || strings.Join(got, "") != `[""]["a=="]["b"]` {
			t.Errorf("%v %v %d %v", complete, err, *calls, got)
		}
	})
	t.Run("repeating cursor", func(t *testing.T) {
		t.Parallel()
		c, calls := serve(map[string]string{"": "a", "a": "b", "b": "a"})
		last, complete, err := c.Pages(t.Context(), "users.list", nil, quick, 0, func(slackapi.Result) bool { return true })
		if err != nil || complete || last.Error != "cursor_repeated" || *calls != 3 {
			t.Errorf("%+v %v %d", last, err, *calls)
		}
	})
	t.Run("bounds", func(t *testing.T) {
		t.Parallel()
		c, calls := serve(map[string]string{"": "a", "a": "b", "b": "c", "c": "d"})
		if _, complete, _ := c.Pages(t.Context(), "users.list", nil, quick, 2, func(slackapi.Result) bool { return true }); complete || *calls != 2 {
			t.Errorf("%d calls", *calls)
		}
	})
}

func TestRespond(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		status int
		body   string
		want   string
	}{
		"ok":      {200, "ok", ""},
		"json":    {200, `{"ok":true}`, ""},
		"empty":   {200, "", ""},
		"expired": {404, `{"ok":false,"error":"expired_url"}`, "expired_url"},
		"used":    {404, "used_url", "used_url"},
		"html":    {404, "<html>not here</html>", "http_404"},
		"down":    {503, "<html>", "http_503"},
		"moved":   {301, "", "http_301"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			calls := 0
			c := client(t, wire(func(_ string, f url.Values, r *http.Request) (int, http.Header, string) {
				calls++
				if r.Header.Get("Authorization") != "" || r.URL.Host != "hooks.slack.com" {
					t.Errorf("request to %s with %v", r.URL, r.Header)
				}
				return tc.status, http.Header{"Location": {"http://127.0.0.1/"}}, tc.body
			}))
			r, err := c.Respond(t.Context(), "https://hooks.slack.com/commands/1/2/3", runtime.NewDict("text", "hi"))
			if err != nil || r.OK != (tc.want == "") || r.Error != tc.want || calls != 1 {
				t.Errorf("%+v %v, %d calls", r, err, calls)
			}
		})
	}
}

func TestResponseURLHosts(t *testing.T) {
	t.Parallel()
	c := client(t, nil, func(o *slackapi.Options) { o.BaseURL = "http://127.0.0.1:9999/api/" })
	for raw, want := range map[string]bool{
		"https://hooks.slack.com/actions/1":           true,
		"https://hooks.slack-gov.com/actions/1":       true,
		"http://127.0.0.1:9999/respond/1":             true,
		"http://hooks.slack.com/actions/1":            false,
		"https://hooks.slack.com:8443/actions/1":      false,
		"https://hooks.slack.com.evil.example/1":      false,
		"https://hooks.slack.com@evil.example/1":      false,
		"https://user@hooks.slack.com/1":              false,
		"https://evil.example/hooks.slack.com":        false,
		"http://127.0.0.1:9998/respond/1":             false,
		"https://127.0.0.1:9999/respond/1":            false,
		"http://169.254.169.254/latest/meta-data":     false,
		"file:///etc/passwd":                          false,
		"//hooks.slack.com/1":                         false,
		"":                                            false,
		"https://hooks.slack.com\\@evil.example/":     false,
		"https://HOOKS.slack.com%2eevil.example/path": false,
	} {
		if got := c.ResponseURL(raw); got != want {
			t.Errorf("%s: %v, want %v", raw, got, want)
		}
		if _, err := c.Respond(t.Context(), raw, nil); !want && !errors.Is(err, slackapi.ErrResponseURL) {
			t.Errorf("%s: %v", raw, err)
		}
	}
}

func TestBaseURL(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"slack.com/api", "ftp://x/", "http://", "https://user:pw@x/", ":"} {
		_, err := slackapi.New(slackapi.Options{BaseURL: bad, Tokens: slackapi.Static{}})
		if err == nil || strings.Contains(err.Error(), "pw") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestNoTokenInAnyOutput(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	var all strings.Builder
	for _, status := range []int{200, 302, 404, 500, 0} {
		synctest.Test(t, func(t *testing.T) {
			c := client(t, wire(func(string, url.Values, *http.Request) (int, http.Header, string) {
				return status, nil, "garbage"
			}), func(o *slackapi.Options) {
				o.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			})
			r, err := c.Call(t.Context(), "chat.postMessage", runtime.NewDict("channel", "C1"), quick)
			fmt.Fprintf(&all, "%+v %s %v\n", r, r.Body, err)
			r, err = c.Respond(t.Context(), "https://hooks.slack.com/commands/very-secret-path", runtime.NewDict("text", "hi"))
			fmt.Fprintf(&all, "%+v %s %v\n", r, r.Body, err)
		})
	}
	all.WriteString(log.String())
	for _, bad := range []string{"very-secret", "xoxb"} {
		if strings.Contains(all.String(), bad) {
			t.Errorf("output shows %q:\n%s", bad, all.String())
		}
	}
}

func TestKnownMethods(t *testing.T) {
	t.Parallel()
	if n := len(slackapi.MethodNames()); n < 120 {
		t.Errorf("%d methods", n)
	}
	m := slackapi.Known("reactions.add")
	if m.Class != slackapi.Reaction || !m.Has(slackapi.NeedTimestamp) || !m.Has(slackapi.NeedChannel) || m.Tier != 3 {
		t.Errorf("reactions.add: %+v", m)
	}
	if u := slackapi.Known("no.such"); u.Class != slackapi.Write || u.Traits != 0 || u.Label() != "other" {
		t.Errorf("unknown: %+v", u)
	}
	for _, n := range slackapi.MethodNames() {
		read := strings.HasSuffix(n, ".list") || strings.HasSuffix(n, ".info") || strings.HasSuffix(n, ".history")
		if c := slackapi.Known(n).Class; read != (c == slackapi.Read) && read {
			t.Errorf("%s is of class %v", n, c)
		}
	}
}

func BenchmarkCall(b *testing.B) {
	c := client(b, wire(func(string, url.Values, *http.Request) (int, http.Header, string) {
		return 200, nil, `{"ok":true,"ts":"1700000000.000100","channel":"C1"}`
	}))
	args := runtime.NewDict("channel", "C1", "text", "hello")
	b.ReportAllocs()
	for b.Loop() {
		if r, err := c.Call(b.Context(), "chat.postMessage", args, quick); err != nil || !r.OK {
			b.Fatal(err)
		}
	}
}
