package oauth

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-rules/starling/engine/sim"
)

func TestPersonInstallsTheApp(t *testing.T) {
	t.Parallel()
	r := newRig(t, sim.OAuth{})
	page := r.flow.Install(t.Context(), &Request{Path: "/slack/install", Host: "127.0.0.1:9", Query: map[string]string{"team": "T0STARLING"}})
	if page.Status != 200 || !strings.Contains(string(page.Body), `href="/slack/install?start=1&amp;team=T0STARLING"`) || !strings.Contains(string(page.Body), "<code>chat:write</code>") || page.Header["Set-Cookie"] != "" {
		t.Errorf("page: %d %v %s", page.Status, page.Header, page.Body)
	}
	at := r.begin(map[string]string{"team": "T0STARLING"})
	want := url.Values{"client_id": {sim.DevClientID}, "scope": {"chat:write,commands"}, "redirect_uri": {redirectURL}, "team": {"T0STARLING"}, "state": {at.Query().Get("state")}}
	if diff := cmp.Diff(want, at.Query()); diff != "" || at.Path != "/oauth/v2/authorize" {
		t.Errorf("%s: -want +got\n%s", at.Path, diff)
	}
	out := r.land(r.decide(at, allow("T0STARLING")))
	if out.Status != http.StatusOK || !strings.Contains(string(out.Body), "Local Workspace") || !strings.Contains(out.Header["Set-Cookie"], "Max-Age=0") {
		t.Fatalf("%d %v %s", out.Status, out.Header, out.Body)
	}
	in := r.stored("T0STARLING")
	if in.BotID != "B0STARLING" || in.BotUser != "U0STARLING" || !in.Bot.Usable() || in.Bot.Expires != nil || in.TeamName != "Local Workspace" || in.Installer != "U0ADA" {
		t.Errorf("stored %+v", in)
	}
	if !slices.Equal(in.Bot.Scopes, []string{"chat:write", "commands"}) {
		t.Errorf("scopes %v", in.Bot.Scopes)
	}
}

func TestPagesCannotBeFramedKeptOrScripted(t *testing.T) {
	t.Parallel()
	r := newRig(t, sim.OAuth{})
	for name, out := range map[string]Response{
		"install": r.flow.Install(t.Context(), &Request{Path: "/slack/install"}),
		"error":   r.flow.Redirect(t.Context(), &Request{Query: map[string]string{"state": "x", "error": `"><script>alert(1)</script>`}}),
	} {
		h := out.Header
		if !strings.Contains(h["Content-Security-Policy"], "default-src 'none'; style-src 'sha256-") || !strings.Contains(h["Content-Security-Policy"], "frame-ancestors 'none'") ||
			h["Cache-Control"] != "no-store" || h["Referrer-Policy"] != "no-referrer" || h["X-Frame-Options"] != "DENY" {
			t.Errorf("%s: %v", name, h)
		}
		if strings.Contains(string(out.Body), "<script") {
			t.Errorf("%s: %s", name, out.Body)
		}
	}
}

func TestCookieIsBoundToTheHostAndOpenOnlyInDevelopment(t *testing.T) {
	t.Parallel()
	r := newRig(t, sim.OAuth{}, func(o *FlowOptions) { o.Direct = true })
	for _, c := range []struct {
		name, host string
		secure     bool
		want       string
	}{
		{"HTTPS", "bot.example.com", true, "__Host-starling-oauth=V; Path=/; Max-Age=600; HttpOnly; Secure; SameSite=Lax"},
		{"plain HTTP that is not here", "bot.example.com", false, "__Host-starling-oauth=V; Path=/; Max-Age=600; HttpOnly; Secure; SameSite=Lax"},
		{"HTTPS here", "localhost:3000", true, "__Host-starling-oauth=V; Path=/; Max-Age=600; HttpOnly; Secure; SameSite=Lax"},
		{"plain HTTP here", "localhost:3000", false, "starling-oauth=V; Path=/; Max-Age=600; HttpOnly; SameSite=Lax"},
		{"plain HTTP here, by address", "127.0.0.1:3000", false, "starling-oauth=V; Path=/; Max-Age=600; HttpOnly; SameSite=Lax"},
		{"plain HTTP here, IPv6", "[::1]:3000", false, "starling-oauth=V; Path=/; Max-Age=600; HttpOnly; SameSite=Lax"},
		{"a name that looks local", "localhost.example.com", false, "__Host-starling-oauth=V; Path=/; Max-Age=600; HttpOnly; Secure; SameSite=Lax"},
	} {
		out := r.flow.Install(t.Context(), &Request{Host: c.host, Secure: c.secure, Path: "/slack/install"})
		set := out.Header["Set-Cookie"]
		head, rest, _ := strings.Cut(set, ";")
		name, value, _ := strings.Cut(head, "=")
		if len(value) != 43 || name+"=V;"+rest != c.want {
			t.Errorf("%s: %s", c.name, set)
		}
	}
}

// TestStateIsGoodOnceInOneBrowserForTenMinutes is what keeps others from
// finishing what one has begun.
func TestStateIsGoodOnceInOneBrowserForTenMinutes(t *testing.T) {
	t.Parallel()
	var ahead time.Duration
	r := newRig(t, sim.OAuth{}, func(o *FlowOptions) { o.Now = func() time.Time { return time.Now().Add(ahead) } })
	back := r.decide(r.begin(nil), allow("T0STARLING"))
	jar := r.jar
	change := func(f func(q url.Values)) *url.URL {
		u := *back
		q := u.Query()
		f(q)
		u.RawQuery = q.Encode()
		return &u
	}
	other := newRig(t, sim.OAuth{})
	other.begin(nil)
	for _, c := range []struct {
		name, jar, reason string
		ahead             time.Duration
		back              *url.URL
	}{
		{"no cookie", "", "state_mismatch", 0, back},
		{"another browser's cookie", other.jar, "state_mismatch", 0, back},
		{"the cookie twice", jar + "; " + jar, "state_mismatch", 0, back},
		{"a broken cookie", plainCookieName + "=%%%", "state_mismatch", 0, back},
		{"no state", jar, "state_mismatch", 0, change(func(q url.Values) { q.Del("state") })},
		{"another state", jar, "state_mismatch", 0, change(func(q url.Values) { q.Set("state", "x") })},
		{"a changed state", jar, "state_mismatch", 0, change(func(q url.Values) { q.Set("state", "B"+q.Get("state")[1:]) })},
		{"a state of another app", jar, "state_mismatch", 0, change(func(q url.Values) {
			q.Set("state", newStates(App{"1.1", "other"}, func([]byte) {}, time.Now).make(readBinding(cookie(jar, plainCookieName)), redirectURL))
		})},
		{"an error without a state", jar, "state_mismatch", 0, change(func(q url.Values) { q.Set("error", "access_denied"); q.Del("state") })},
		{"too late", jar, "state_expired", stateLife, back},
		{"good", jar, "", 0, back},
		{"again", jar, "state_used", 0, back},
	} {
		ahead, r.jar = c.ahead, c.jar
		out := r.land(c.back)
		if c.reason == "" {
			if out.Status != 200 {
				t.Errorf("%s: %d %s", c.name, out.Status, out.Body)
			}
			continue
		}
		if out.Status != 400 || !strings.Contains(string(out.Body), ">"+c.reason+"<") {
			t.Errorf("%s: %d %s", c.name, out.Status, out.Body)
		}
		if n := len(exchanges(r)); n > 1 || c.reason != "state_used" && n > 0 {
			t.Errorf("%s: Slack was asked %d times", c.name, n)
		}
	}
}

func exchanges(r *rig) []sim.Call {
	return slices.DeleteFunc(r.slack.Calls(), func(c sim.Call) bool { return c.Method != "oauth.v2.access" })
}

func TestTwoTabsOfOneBrowserDoNotSpoilEachOther(t *testing.T) {
	t.Parallel()
	r := newRig(t, sim.OAuth{Workspaces: []sim.Seed{sim.NewWorkspace("T0SECOND", "Second")}})
	first := r.decide(r.begin(nil), allow("T0STARLING"))
	second := r.decide(r.begin(nil), allow("T0SECOND"))
	for _, back := range []*url.URL{first, second} {
		if out := r.land(back); out.Status != 200 {
			t.Errorf("%d %s", out.Status, out.Body)
		}
	}
	if got := r.installs.Count(); got != 2 {
		t.Errorf("%d installations", got)
	}
}

func TestErrorsOfSlackAreClearPages(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		form   url.Values
		before func(r *rig, back *url.URL)
		status int
		reason string
	}{
		{name: "declined", form: url.Values{"decision": {"deny"}}, status: 403, reason: "access_denied"},
		{name: "strange error", form: allow("T0STARLING"), before: func(_ *rig, back *url.URL) { set(back, "error", "<b>x") }, status: 400, reason: "unknown_error"},
		{name: "no code", form: allow("T0STARLING"), before: func(_ *rig, back *url.URL) { set(back, "code", "") }, status: 400, reason: "no_code"},
		{name: "another code", form: allow("T0STARLING"), before: func(_ *rig, back *url.URL) { set(back, "code", "x") }, status: 400, reason: "invalid_code"},
		{name: "used code", form: allow("T0STARLING"), before: func(r *rig, back *url.URL) {
			if _, err := r.app.access(t.Context(), r.api, back.Query().Get("code"), redirectURL); err != nil {
				t.Error(err)
			}
		}, status: 400, reason: "code_already_used"},
		{name: "old code", form: allow("T0STARLING"), before: func(r *rig, _ *url.URL) {
			if err := r.slack.MoveClock(10*time.Minute, 0); err != nil {
				t.Error(err)
			}
		}, status: 400, reason: "invalid_code"},
		{name: "wrong secret", form: allow("T0STARLING"), before: func(r *rig, _ *url.URL) { r.flow.o.App.ClientSecret = "wrong" }, status: 500, reason: "bad_client_secret"},
		{name: "Slack is down", form: allow("T0STARLING"), before: func(r *rig, _ *url.URL) {
			r.slack.SetFaults(sim.Faults{Errors: map[string]string{"oauth.v2.access": "fatal_error"}})
		}, status: 502, reason: "fatal_error"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, sim.OAuth{})
			back := r.decide(r.begin(nil), c.form)
			if c.before != nil {
				c.before(r, back)
			}
			out := r.land(back)
			if out.Status != c.status || !strings.Contains(string(out.Body), ">"+c.reason+"<") || r.installs.Count() != 0 {
				t.Errorf("%d %s", out.Status, out.Body)
			}
		})
	}
}

func set(u *url.URL, key, value string) {
	q := u.Query()
	q.Set(key, value)
	u.RawQuery = q.Encode()
}

func TestRedirectAddressHasToBeTheOneThatWasGiven(t *testing.T) {
	t.Parallel()
	r := newRig(t, sim.OAuth{RedirectURLs: []string{"http://127.0.0.1:9/other"}})
	if page := r.get(r.begin(nil).String()); !strings.Contains(page, "bad_redirect_uri") {
		t.Error(page)
	}
	r = newRig(t, sim.OAuth{})
	back := r.decide(r.begin(nil), allow("T0STARLING"))
	if _, err := r.app.access(t.Context(), r.api, back.Query().Get("code"), "http://127.0.0.1:9/x"); codeOf(err) != "bad_redirect_uri" {
		t.Error(err)
	}
}

func TestOrganizationInstallsForAllItsWorkspaces(t *testing.T) {
	t.Parallel()
	r := newRig(t, sim.OAuth{
		Workspaces: []sim.Seed{sim.NewWorkspace("T0SECOND", "Second")},
		Org:        sim.Org{ID: "E0ORG", Name: "Everyone", Teams: []string{"T0STARLING", "T0SECOND"}},
	})
	in := r.install("E0ORG")
	if !in.OrgWide || in.Team != "" || in.Enterprise != "E0ORG" || in.EnterpriseName != "Everyone" || !in.Bot.Usable() || in.BotID == "" {
		t.Errorf("%+v", in)
	}
	if one := r.install("T0SECOND"); one.OrgWide || one.Enterprise != "E0ORG" || one.Team != "T0SECOND" {
		t.Errorf("%+v", one)
	}
}

// TestInstallingAgainKeepsWhatOthersGave: the tokens of other users, and the
// bot's if only a user has installed.
func TestInstallingAgainKeepsWhatOthersGave(t *testing.T) {
	t.Parallel()
	var bot, user []string
	r := newRig(t, sim.OAuth{}, func(o *FlowOptions) { o.Scopes = func() (b, u []string) { return bot, user } })
	bot, user = []string{"chat:write"}, []string{"search:read"}
	first := r.install("T0STARLING")
	if len(first.Users) != 1 || !first.Bot.Usable() {
		t.Fatalf("%+v", first)
	}
	bot = nil
	form := allow("T0STARLING")
	form.Set("user", "U0GRACE")
	if out := r.land(r.decide(r.begin(nil), form)); out.Status != 200 {
		t.Fatalf("%d %s", out.Status, out.Body)
	}
	second := r.stored("T0STARLING")
	ada, grace := second.Users["U0ADA"], second.Users["U0GRACE"]
	if second.Bot.Token != first.Bot.Token || !ada.Usable() || !grace.Usable() || second.Installer != "U0GRACE" || second.BotID == "" {
		t.Errorf("%+v", second)
	}
	bot, user = []string{"commands"}, nil
	third := r.install("T0STARLING")
	if third.Bot.Token == first.Bot.Token || len(third.Users) != 2 || !slices.Contains(third.Bot.Scopes, "commands") || !slices.Contains(third.Bot.Scopes, "chat:write") {
		t.Errorf("%+v", third)
	}
}

func TestInstallationIsKeptThoughTheBotCannotBeNamed(t *testing.T) {
	t.Parallel()
	r := newRig(t, sim.OAuth{})
	back := r.decide(r.begin(nil), allow("T0STARLING"))
	r.slack.SetFaults(sim.Faults{Errors: map[string]string{"auth.test": "team_access_not_granted"}})
	if out := r.land(back); out.Status != 200 {
		t.Fatalf("%d %s", out.Status, out.Body)
	}
	if in := r.stored("T0STARLING"); in.BotID != "" || in.BotUser != "U0STARLING" {
		t.Errorf("%+v", in)
	}
}

func TestNobodyIsSentToSlackForNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, sim.OAuth{}, func(o *FlowOptions) { o.Scopes = func() (b, u []string) { return nil, nil } })
	if out := r.flow.Install(t.Context(), &Request{Query: map[string]string{"start": "1"}}); out.Status != 503 {
		t.Errorf("%d %s", out.Status, out.Body)
	}
	if out := r.flow.Install(t.Context(), &Request{Query: map[string]string{"team": "T1&scope=admin"}}); out.Status != 400 {
		t.Errorf("%d %s", out.Status, out.Body)
	}
}

func TestAuthorizePageIsBesideTheWebAPI(t *testing.T) {
	t.Parallel()
	for api, want := range map[string]string{
		"https://slack.com/api/":      "https://slack.com/oauth/v2/authorize",
		"https://slack-gov.com/api":   "https://slack-gov.com/oauth/v2/authorize",
		"http://127.0.0.1:3002/api/":  "http://127.0.0.1:3002/oauth/v2/authorize",
		"https://proxy.internal/s/":   "https://proxy.internal/s/oauth/v2/authorize",
		"https://proxy.internal/api/": "https://proxy.internal/oauth/v2/authorize",
	} {
		if got := AuthorizeURL(api); got != want {
			t.Errorf("%s: %s", api, got)
		}
	}
}
