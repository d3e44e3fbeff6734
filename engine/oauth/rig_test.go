package oauth

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/starling-rules/starling/engine/install"
	"github.com/starling-rules/starling/engine/keyring"
	"github.com/starling-rules/starling/engine/metric"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/sim"
	"github.com/starling-rules/starling/engine/slackapi"
)

const redirectURL = "http://127.0.0.1:9/slack/oauth_redirect"

// logBuffer is a log that tests read.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// rig is a local Slack, a store, and everything of the package on both.
type rig struct {
	t        *testing.T
	slack    *sim.Server
	api      *slackapi.Client
	state    queue.State
	installs *install.Store
	flow     *Flow
	logs     *logBuffer
	metrics  *metric.Set
	app      App
	jar      string // the browser's cookies
}

func newRig(t *testing.T, o sim.OAuth, change ...func(*FlowOptions)) *rig {
	t.Helper()
	slack, err := sim.New(sim.Options{OAuth: o})
	if err != nil {
		t.Fatal(err)
	}
	ts := httptest.NewServer(slack.Handler())
	t.Cleanup(func() { ts.Close(); slack.Close() })
	slack.SetURL(ts.URL)
	r := &rig{t: t, slack: slack, logs: &logBuffer{}, metrics: metric.New("test"), app: App{sim.DevClientID, sim.DevClientSecret}}
	r.api = newAPI(t, slack)
	store := queue.NewMemory(queue.MemoryOptions{})
	t.Cleanup(func() { _ = store.Close(context.WithoutCancel(t.Context())) })
	r.state = store.State()
	r.installs = newInstalls(t, r.state)
	fo := FlowOptions{
		App: r.app, Slack: r.api, Store: r.installs, State: r.state, AuthorizeURL: AuthorizeURL(slack.APIURL()), RedirectURL: redirectURL,
		Scopes: func() (bot, user []string) { return []string{"chat:write", "commands"}, nil },
		Logger: slog.New(slog.NewTextHandler(r.logs, nil)), Metrics: r.metrics,
	}
	for _, f := range change {
		f(&fo)
	}
	r.flow = NewFlow(fo)
	return r
}

func newAPI(t *testing.T, slack *sim.Server) *slackapi.Client {
	t.Helper()
	api, err := slackapi.New(slackapi.Options{BaseURL: slack.APIURL(), Tokens: slackapi.Static{}})
	if err != nil {
		t.Fatal(err)
	}
	return api
}

var testKey = keyring.Generate()

func newInstalls(t *testing.T, state queue.State) *install.Store {
	t.Helper()
	ring, err := keyring.New(testKey)
	if err != nil {
		t.Fatal(err)
	}
	s, err := install.Open(t.Context(), install.Options{State: state, Keys: ring, Shared: true})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// begin goes from the install page to Slack, and returns where it is sent.
func (r *rig) begin(query map[string]string) *url.URL {
	r.t.Helper()
	q := map[string]string{"start": "1"}
	for k, v := range query {
		q[k] = v
	}
	out := r.flow.Install(r.t.Context(), &Request{Query: q, Cookie: r.jar, Host: "127.0.0.1:9", Path: "/slack/install"})
	if out.Status != http.StatusFound {
		r.t.Fatalf("install page: %d %s", out.Status, out.Body)
	}
	r.keep(out)
	to, err := url.Parse(out.Header["Location"])
	if err != nil {
		r.t.Fatal(err)
	}
	return to
}

// keep takes over what a response sets.
func (r *rig) keep(out Response) {
	set := out.Header["Set-Cookie"]
	if set == "" {
		return
	}
	r.jar, _, _ = strings.Cut(set, ";")
}

var requestField = regexp.MustCompile(`name="request" value="([^"]+)"`)

// decide answers the form of the local Slack, and returns the address that the
// browser is sent back to.
func (r *rig) decide(at *url.URL, form url.Values) *url.URL {
	r.t.Helper()
	page := r.get(at.String())
	m := requestField.FindStringSubmatch(page)
	if m == nil {
		r.t.Fatalf("no form in %s", page)
	}
	form.Set("request", m[1])
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	req, _ := http.NewRequestWithContext(r.t.Context(), http.MethodPost, at.Scheme+"://"+at.Host+at.Path, strings.NewReader(form.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	back, err := res.Location()
	if err != nil {
		body, _ := io.ReadAll(res.Body)
		r.t.Fatalf("no redirect: %s %s", res.Status, body)
	}
	return back
}

func (r *rig) get(at string) string {
	r.t.Helper()
	req, _ := http.NewRequestWithContext(r.t.Context(), http.MethodGet, at, nil)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(body)
}

// allow is the form of a person who agrees.
func allow(team string) url.Values { return url.Values{"decision": {"allow"}, "team": {team}} }

// land takes the browser to the address that Slack sent it to.
func (r *rig) land(back *url.URL) Response {
	r.t.Helper()
	q := map[string]string{}
	for k := range back.Query() {
		q[k] = back.Query().Get(k)
	}
	out := r.flow.Redirect(r.t.Context(), &Request{Query: q, Cookie: r.jar, Host: back.Host, Path: back.Path})
	r.quiet(out)
	return out
}

// install goes the whole way.
func (r *rig) install(team string) *install.Installation {
	r.t.Helper()
	out := r.land(r.decide(r.begin(nil), allow(team)))
	if out.Status != http.StatusOK {
		r.t.Fatalf("installing in %s: %d %s", team, out.Status, out.Body)
	}
	return r.stored(team)
}

func (r *rig) stored(place string) *install.Installation {
	r.t.Helper()
	in, err := r.installs.Get(r.t.Context(), install.ID{App: r.slack.App().ID, Place: place})
	if err != nil {
		r.t.Fatal(err)
	}
	return in
}

// quiet fails if a page or the log holds anything that is secret.
func (r *rig) quiet(out Response) {
	r.t.Helper()
	secrets := []string{sim.DevClientSecret, "xoxb-", "xoxe", "xoxp-"}
	for _, s := range secrets {
		if strings.Contains(string(out.Body), s) || strings.Contains(r.logs.String(), s) {
			r.t.Errorf("%q is shown: %s\n%s", s, out.Body, r.logs)
		}
	}
}
