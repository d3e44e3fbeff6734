package main

import (
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/starling-rules/starling/engine/keyring"
	"github.com/starling-rules/starling/engine/sim"
)

// installed is a server that workspaces of a local Slack install.
type installed struct {
	*child
	slack *sim.Server
	env   []string
	data  string
}

// newInstalled starts both. The local Slack has three workspaces, the last two
// of which are an organization; its tokens expire, and die when renewed.
func newInstalled(t *testing.T, o sim.OAuth, rules map[string]string) *installed {
	t.Helper()
	listen, admin := freeAddress(t), freeAddress(t)
	o.Workspaces = []sim.Seed{sim.NewWorkspace("T0SECOND", "Second Workspace"), sim.NewWorkspace("T0THIRD", "Third Workspace")}
	o.Org = sim.Org{ID: "E0LOCAL", Name: "Local Organization", Teams: []string{"T0SECOND", "T0THIRD"}}
	slack, err := sim.New(sim.Options{EventsURL: "http://" + listen + "/slack/events", OAuth: o})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &http.Server{Handler: slack.Handler(), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = h.Serve(ln) }()
	t.Cleanup(func() { _ = h.Close(); slack.Close() })
	slack.SetURL("http://" + ln.Addr().String())
	dir := t.TempDir()
	for name, text := range rules {
		writeFile(t, filepath.Join(dir, name), text)
	}
	i := &installed{slack: slack, data: t.TempDir(), env: []string{
		"SLACK_SIGNING_SECRET=" + slack.SigningSecret(), "SLACK_API_URL=" + slack.APIURL(),
		"SLACK_CLIENT_ID=" + sim.DevClientID, "SLACK_CLIENT_SECRET=" + sim.DevClientSecret, "STARLING_KEY=" + keyring.Generate(),
	}}
	config := filepath.Join(t.TempDir(), "starling.yaml")
	writeFile(t, config, "slack: {oauth: {redirect_url: 'http://"+listen+"/slack/oauth_redirect'}}\n")
	i.child = run(t, i.env, "serve", "--config", config, "--rules", dir, "--data", i.data, "--listen", listen, "--admin", admin)
	i.listen, i.admin = listen, admin
	i.env = append(i.env, "STARLING_CONFIG="+config)
	i.ready()
	return i
}

// command runs another starling beside the server.
func (i *installed) command(args ...string) (stdout, stderr string, code int) {
	i.t.Helper()
	return commandWith(i.t.(*testing.T), i.env, append(args, "--data", i.data, "--admin", i.admin)...)
}

// says has the person of a workspace write to #general there.
func (i *installed) says(team, text string) {
	i.t.Helper()
	rest := team[1:]
	_, err := i.slack.Workspace(team).Say(i.t.Context(), sim.Say{User: "U" + rest + "1", Channel: "C" + rest + "1", Text: text})
	if err != nil {
		i.t.Fatalf("say %q in %s: %v", text, team, err)
	}
}

// answers is what the bot wrote to #general of a workspace.
func (i *installed) answers(team string) (out []string) {
	w := i.slack.Workspace(team)
	for _, m := range w.Snapshot().Messages["C"+team[1:]+"1"] {
		if m.BotID != "" {
			out = append(out, m.Text)
		}
	}
	return out
}

func (i *installed) hears(team, text string) {
	i.t.Helper()
	i.until("answers "+text+" in "+team, func() bool { return slices.Contains(i.answers(team), text) })
}

var greeting = map[string]string{"hello.star": `on.mention("^hello (?P<n>.+)", lambda e: "Hello " + e.match.n)` + "\n"}

// TestWorkspaceInstallsTheAppInABrowser is the whole way of a person: install
// page, Slack, back; then the app works there. Then the same declined, for an
// organization, and in the end taken back.
func TestWorkspaceInstallsTheAppInABrowser(t *testing.T) {
	slow(t)
	i := newInstalled(t, sim.OAuth{Rotate: true}, greeting)
	b := newBrowser(t, i.slack.URL())
	page := "http://" + i.listen + "/slack/install"

	b.do("open the install page", chromedp.Navigate(page))
	b.sees("main", "app_mentions:read")
	b.click(id("install"))
	b.sees("h1", "starling asks for permission")
	b.do("choose the workspace", chromedp.SetValue(id("authorize-team"), "T0SECOND"))
	b.click(id("authorize-deny"))
	b.sees(id("reason"), "access_denied")
	if got := i.slack.Installed(); len(got) != 0 {
		t.Fatalf("installed in %v although it was declined", got)
	}

	b.do("begin again", chromedp.Navigate(page+"?team=T0SECOND"))
	b.click(id("install"))
	b.click(id("authorize-allow"))
	b.sees(id("installed"), "The app is installed in Second Workspace.")
	b.do("read the page again", chromedp.Reload())
	b.sees(id("reason"), "state_") // used, and its cookie is gone
	i.says("T0SECOND", "@starling hello wanda")
	i.hears("T0SECOND", "Hello wanda")

	b.do("begin for the organization", chromedp.Navigate(page+"?team=E0LOCAL"))
	b.click(id("install"))
	b.click(id("authorize-allow"))
	b.sees(id("installed"), "Local Organization, for the whole organization")
	i.says("T0THIRD", "@starling hello everybody")
	i.hears("T0THIRD", "Hello everybody")

	out, _, _ := i.command("installs")
	if !strings.Contains(out, "A0STARLING/T0SECOND") || !strings.Contains(out, "A0STARLING/E0LOCAL") || strings.Contains(out, "xox") {
		t.Errorf("installs prints\n%s", out)
	}
	b.mu.Lock()
	for _, line := range b.bad {
		// Chromium tells of the pages above that have the status of an error.
		if !strings.Contains(line, "Failed to load resource: the server responded with a status of 40") {
			t.Errorf("the console shows %s", line)
		}
	}
	b.mu.Unlock()

	if _, errs, code := i.command("installs", "remove", "A0STARLING/T0SECOND", "--revoke"); code != 0 {
		t.Fatalf("remove: %d %s", code, errs)
	}
	i.until("the tokens are dead at Slack", func() bool { return slices.Equal(i.slack.Installed(), []string{"E0LOCAL"}) })
	if err := i.slack.Uninstall("E0LOCAL"); err != nil {
		t.Fatal(err)
	}
	i.until("the organization's removal is noted", func() bool {
		out, _, _ := i.command("installs")
		return !strings.Contains(out, "E0LOCAL") || strings.Contains(out, "revoked")
	})
	if log := i.out.String(); regexp.MustCompile(`xox[bpe]|local-development-client`).MatchString(log) {
		t.Errorf("the log holds a secret:\n%s", log)
	}
}

// install goes the way of a browser without one.
func (i *installed) install(team string) {
	i.t.Helper()
	jar := ""
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	ask := func(req *http.Request) *http.Response {
		i.t.Helper()
		if jar != "" {
			req.Header.Set("Cookie", jar)
		}
		res, err := client.Do(req)
		if err != nil {
			i.t.Fatal(err)
		}
		i.t.Cleanup(func() { _ = res.Body.Close() })
		return res
	}
	to := func(method, at, form string) *http.Request {
		req, err := http.NewRequestWithContext(i.t.Context(), method, at, strings.NewReader(form))
		if err != nil {
			i.t.Fatal(err)
		}
		if form != "" {
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		return req
	}
	res := ask(to(http.MethodGet, "http://"+i.listen+"/slack/install?start=1", ""))
	jar, _, _ = strings.Cut(res.Header.Get("Set-Cookie"), ";")
	_, form := get(res.Header.Get("Location"))
	field := regexp.MustCompile(`name="request" value="([^"]+)"`).FindStringSubmatch(form)
	if field == nil {
		i.t.Fatalf("no form: %s", form)
	}
	res = ask(to(http.MethodPost, i.slack.URL()+"/oauth/v2/authorize", "decision=allow&team="+team+"&request="+field[1]))
	if res = ask(to(http.MethodGet, res.Header.Get("Location"), "")); res.StatusCode != http.StatusOK {
		i.t.Fatalf("installing in %s: %s", team, res.Status)
	}
}

// TestNoCallFailsWhileTokensAreRenewed: messages are answered in two workspaces
// while their tokens expire again and again, each renewal killing the token
// that calls are made with, and now and then an answer of Slack's is slow.
func TestNoCallFailsWhileTokensAreRenewed(t *testing.T) {
	slow(t)
	i := newInstalled(t, sim.OAuth{Rotate: true, KillOld: true}, map[string]string{
		"hello.star": `
def hello(e):
    if not post(e.channel, "Hello " + e.match.n).ok:
        fail("refused")

on.mention("^hello (?P<n>.+)", hello)
`,
	})
	teams := []string{"T0SECOND", "T0THIRD"}
	for _, team := range teams {
		i.install(team)
	}
	const messages, rounds = 120, 12
	var wg sync.WaitGroup
	done := make(chan struct{})
	wg.Go(func() { // tokens end while calls go on
		for range rounds {
			i.slack.ExpireTokens("", 0)
			select {
			case <-done:
				return
			case <-time.After(400 * time.Millisecond):
			}
		}
	})
	for n := range messages {
		for _, team := range teams {
			i.says(team, fmt.Sprintf("@starling hello %d", n))
		}
		time.Sleep(15 * time.Millisecond)
	}
	for _, team := range teams {
		i.until("all are answered in "+team, func() bool { return len(i.answers(team)) >= messages })
	}
	close(done)
	wg.Wait()
	for _, team := range teams {
		got := i.answers(team)
		slices.Sort(got)
		if n := len(slices.Compact(got)); n != messages || len(i.answers(team)) != messages {
			t.Errorf("%s: %d answers, %d different, want %d", team, len(i.answers(team)), n, messages)
		}
	}
	refused := 0
	for _, c := range i.slack.Calls() {
		if c.Error == "token_expired" || c.Error == "token_revoked" {
			refused++
		}
	}
	if n := i.slack.Refreshed(); n < 2 || refused == 0 {
		t.Errorf("%d renewals, %d calls refused on the way: nothing was tried", n, refused)
	}
	t.Logf("%d messages, %d renewals, %d calls repeated with another token", 2*messages, i.slack.Refreshed(), refused)
	if _, metrics := i.ask("/metrics"); !strings.Contains(metrics, `starling_token_changes_total{outcome="ok",what="refresh"}`) || strings.Contains(metrics, `outcome="failed",rule="hello.star`) {
		t.Error("the metrics tell otherwise")
	}
	if status, body := i.ask("/readyz"); status != 200 || strings.Contains(body, "tokens_not_renewed") {
		t.Errorf("readyz: %d %s", status, body)
	}
}

// TestTokenThatCannotBeRenewedIsTold in the log, in the metrics, by readyz and
// doctor; events of the workspace are taken in all the same.
func TestTokenThatCannotBeRenewedIsTold(t *testing.T) {
	slow(t)
	i := newInstalled(t, sim.OAuth{Rotate: true}, greeting)
	i.install("T0SECOND")
	i.slack.SetFaults(sim.Faults{Errors: map[string]string{"oauth.v2.access": "invalid_refresh_token"}})
	i.slack.ExpireTokens("", 0)
	i.says("T0SECOND", "@starling hello nobody")
	i.until("readyz tells", func() bool {
		status, body := i.ask("/readyz")
		return status == 200 && strings.Contains(body, `"tokens_not_renewed":[{`) && strings.Contains(body, "invalid_refresh_token")
	})
	i.prints("a token was not renewed")
	if _, metrics := i.ask("/metrics"); !strings.Contains(metrics, "starling_tokens_not_renewed 1") ||
		!strings.Contains(metrics, `starling_token_changes_total{outcome="invalid_refresh_token",what="refresh"}`) {
		t.Error("no metric tells")
	}
	i.slack.SetFaults(sim.Faults{})
	i.install("T0SECOND") // mends it
	i.says("T0SECOND", "@starling hello again")
	i.hears("T0SECOND", "Hello again")
}

// TestDoctorLooksAtOAuth: the client, and what each workspace has granted.
func TestDoctorLooksAtOAuth(t *testing.T) {
	slow(t)
	i := newInstalled(t, sim.OAuth{}, greeting)
	rules := t.TempDir()
	writeFile(t, filepath.Join(rules, "hello.star"), greeting["hello.star"])
	doctor := func(dir string) string {
		t.Helper()
		out, _, _ := i.command("doctor", "--rules", dir, "--listen", i.listen)
		return out
	}
	has := func(out string, parts ...string) {
		t.Helper()
		for _, p := range parts {
			if !strings.Contains(out, p) {
				t.Errorf("no %q in\n%s", p, out)
			}
		}
	}
	has(doctor(rules), "oauth client", "Slack knows "+sim.DevClientID, "/slack/install", "none yet", "workspaces install the app by OAuth")
	i.install("T0SECOND")
	has(doctor(rules), "installed T0SECOND", "Second Workspace, 3 scopes")
	more := t.TempDir()
	writeFile(t, filepath.Join(more, "more.star"), "on.reaction(\"eyes\", lambda e: react(\"eyes\"))\n")
	has(doctor(more), "Second Workspace has not granted reactions:read for", "reactions:write for", "install the app again there")
	i.env = append(i.env, "SLACK_CLIENT_SECRET=wrong")
	has(doctor(rules), "the secret is not that of "+sim.DevClientID)
}
