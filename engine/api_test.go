package engine_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine"
	"github.com/starling-rules/starling/engine/api"
	"github.com/starling-rules/starling/engine/api/apitest"
	"github.com/starling-rules/starling/engine/config"
	"github.com/starling-rules/starling/engine/ingress"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/runtime"
)

func TestRoutesOfTheAPI(t *testing.T) {
	t.Parallel()
	r, w := apiRig(t, 1, 2, nil, nil)
	w.set("chat.postMessage xoxb-A12", `{"ok":false,"error":"is_archived"}`)
	w.set("conversations.list xoxb-A12", `{"ok":false,"error":"missing_scope","needed":"channels:read"}`)
	spec, err := apitest.Read(api.Document())
	if err != nil {
		t.Fatal(err)
	}
	const (
		team, user    = "/api/v1/slack/get_team/{team}", "/api/v1/slack/get_user/{team}/{bot}/{email}"
		channel, ims  = "/api/v1/slack/get_channel/{team}/{bot}/{channel}", "/api/v1/slack/get_ims/{team}/{bot}"
		im, v1, v2    = "/api/v1/slack/send_im/{team}/{bot}/{email}", "/api/v1/slack/action/{team}/{bot}", "/api/v2/slack/action/{team}/{bot}"
		notFound      = `"error":"`
		say           = `{"action":"chat.postMessage","kwargs":{"channel":"C1","text":"hi"}}`
		parse         = `{"action":"chat.postMessage","kwargs":{"channel":"C1","text":"@ann see #general and use @here","omnibot_parse":{"text":["channels","users","specials"]}}}`
		missing, none = "team1/bot1/nobody@x.example", "team1/bot9"
	)
	for _, tc := range []struct {
		method, route, path, body string
		status                    int
		want                      string
	}{
		{"GET", team, "/api/v1/slack/get_team/team1", "", 200, `{"team_id":"T1"}`},
		{"GET", team, "/api/v1/slack/get_team/other", "", 404, notFound},
		{"GET", user, "/api/v1/slack/get_user/team1/bot1/ann@x.example", "", 200, `"user":{"email":"ann@x.example","name":"Ann","team_id":"T1","user_id":"U1"}`},
		{"GET", user, "/api/v1/slack/get_user/team1/bot1/ann%40x.example", "", 200, `{"email":"ann@x.example","name":"Ann","team_id":"T1","user_id":"U1"`},
		{"GET", user, "/api/v1/slack/get_user/" + missing, "", 404, notFound},
		{"GET", user, "/api/v1/slack/get_user/team1/bot1/gone@x.example", "", 404, notFound},
		{"GET", user, "/api/v1/slack/get_user/team1/bot1/U1", "", 404, notFound},
		{"GET", user, "/api/v1/slack/get_user/team1/bot1/scope@x.example", "", 400, `users:read.email`},
		{"GET", user, "/api/v1/slack/get_user/" + none + "/ann@x.example", "", 404, `not configured for the team`},
		{"GET", channel, "/api/v1/slack/get_channel/team1/bot1/general", "", 200, `"channel":{"id":"C1","name":"general"}`},
		{"GET", channel, "/api/v1/slack/get_channel/team1/bot1/%23secret", "", 200, `"id":"C2"`},
		{"GET", channel, "/api/v1/slack/get_channel/team1/bot1/nowhere", "", 404, notFound},
		{"GET", channel, "/api/v1/slack/get_channel/team1/bot2/general", "", 400, `missing_scope`},
		{"GET", ims, "/api/v1/slack/get_ims/team1/bot1", "", 200, `{"ims":[{"id":"D1","is_im":true,"user":"U1"}]}`},
		{"GET", ims, "/api/v1/slack/get_ims/" + none, "", 404, notFound},
		{"POST", im, "/api/v1/slack/send_im/team1/bot1/ann@x.example", say, 200, `"channel":"D1"`},
		{"POST", im, "/api/v1/slack/send_im/" + missing, say, 404, notFound},
		{"POST", im, "/api/v1/slack/send_im/team1/bot1/ann@x.example", `{}`, 400, `action not provided in payload`},
		{"GET", im, "/api/v1/slack/send_im/team1/bot1/ann@x.example?text=hi", "", 200, `"channel":"D1"`},
		{"GET", im, "/api/v1/slack/send_im/team1/bot1/ann@x.example?action=reactions.add&kwargs=%7B%22name%22%3A%22x%22%7D", "", 200, `"channel":"D1"`},
		{"GET", im, "/api/v1/slack/send_im/team1/bot1/ann@x.example?kwargs=%5B%5D", "", 400, `kwargs`},
		{"POST", v2, "/api/v2/slack/action/team1/bot1", say, 200, `"ts":"1.000001"`},
		{"POST", v1, "/api/v1/slack/action/team1/bot1", parse, 200, `"ok":true`},
		{"POST", v2, "/api/v2/slack/action/team1/bot2", say, 400, `{"ok":false,"error":"is_archived"}`},
		{"POST", v2, "/api/v2/slack/action/" + none, say, 404, notFound},
		{"POST", v2, "/api/v2/slack/action/other/bot1", say, 404, `team name is not configured`},
		{"POST", v2, "/api/v2/slack/action/team1/bot1", `{"action":"chat.postMessage"}`, 400, `{"error":"kwargs not provided in payload","ok":false}`},
		{"POST", v2, "/api/v2/slack/action/team1/bot1", `{"action":"no..method","kwargs":{}}`, 400, `unknown_method`},
		{"POST", v2, "/api/v2/slack/action/team1/bot1", `{"action":"a.b","kwargs":{"token":"xoxb-mine"}}`, 400, `token is not taken`},
		{"POST", v2, "/api/v2/slack/action/team1/bot1", `{"action":"a.b","kwargs":{"omnibot_parse":{"text":["colours"]},"text":"a"}}`, 400, `omnibot_parse`},
		{"POST", v2, "/api/v2/slack/action/team1/bot1", `{"action":"a.b","kwargs":[]}`, 400, `kwargs is not an object`},
		{"POST", v2, "/api/v2/slack/action/team1/bot1", `[`, 400, `not a JSON object`},
		{"GET", "/api/openapi.json", "/api/openapi.json", "", 200, `"openapi": "3.1.0"`},
	} {
		got := r.ask(tc.method, tc.path, tc.body, "Authorization", all)
		if got.status != tc.status || !strings.Contains(got.body, tc.want) {
			t.Errorf("%s %s %s\n got %d %s\nwant %d %s", tc.method, tc.path, tc.body, got.status, got.body, tc.status, tc.want)
		}
		if err := spec.Conforms(tc.method+" "+tc.route, got.status, got.kind, []byte(got.body)); err != nil {
			t.Error(err)
		}
		if tc.body == parse && w.last().text != "<@U1> see <#C1> and use <!here>" {
			t.Errorf("omnibot_parse: Slack got %q", w.last().text)
		}
	}
	for path, want := range map[string]int{
		"/api/v2/slack/action/team1/bot1":   405, // GET
		"/api/v2/slack/action/team1":        404,
		"/api/v1/slack/get_team/..":         404,
		"/api/v1/slack/get_team/a%2Fb":      404,
		"/api/v1/slack/get_team/%00":        404,
		"/api/v1/slack/get_team/team1/more": 404,
	} {
		if got := r.ask("GET", path, "", "Authorization", all); got.status != want {
			t.Errorf("GET %s: got %d, want %d", path, got.status, want)
		}
	}
}

func TestTheUserTokenIsTriedWhereTheBotsIsNotEnough(t *testing.T) {
	t.Parallel()
	r, w := apiRig(t, 1, 2, nil, nil)
	say := func(bot string) answer {
		return r.ask("POST", "/api/v2/slack/action/team1/"+bot, `{"action":"conversations.history","kwargs":{"channel":"C1"}}`, "Authorization", all)
	}
	for _, code := range []string{"missing_scope", "not_allowed_token_type", "channel_not_found", "not_in_channel"} {
		w.set("conversations.history xoxb-A11", `{"ok":false,"error":"`+code+`"}`)
		if got := say("bot1"); got.status != 200 || w.last().token != "xoxp-A11" {
			t.Errorf("%s: got %d %s with %s", code, got.status, got.body, w.last().token)
		}
	}
	w.set("conversations.history xoxb-A11", `{"ok":false,"error":"invalid_limit"}`)
	if got := say("bot1"); got.status != 400 || w.last().token != "xoxb-A11" {
		t.Errorf("another error: got %d with %s", got.status, w.last().token)
	}
	// Without a user token the bot's answer stands; with nothing else it is used for all.
	r2, w2 := apiRig(t, 1, 2, nil, func(o *engine.Options) {
		o.Config.Apps["A11"] = config.App{ID: "A11", BotToken: "xoxb-A11"}
		o.Config.Apps["A12"] = config.App{ID: "A12", UserToken: "xoxp-A12"}
	})
	w2.set("conversations.history xoxb-A11", `{"ok":false,"error":"not_in_channel"}`)
	const body = `{"action":"conversations.history","kwargs":{"channel":"C1"}}`
	if got := r2.ask("POST", "/api/v2/slack/action/team1/bot1", body, "Authorization", all); got.status != 400 || !strings.Contains(got.body, "not_in_channel") {
		t.Errorf("no user token: got %d %s", got.status, got.body)
	}
	if got := r2.ask("POST", "/api/v2/slack/action/team1/bot2", body, "Authorization", all); got.status != 200 || w2.last().token != "xoxp-A12" {
		t.Errorf("nothing but a user token: got %d with %s", got.status, w2.last().token)
	}
}

func TestWhoMayUseTheAPI(t *testing.T) {
	t.Parallel()
	r, w := apiRig(t, 2, 2, nil, func(o *engine.Options) {
		o.Config.TrustedProxies = []string{"127.0.0.0/8"}
		o.Config.Authorization.Permissions = map[string]config.Permission{"act": {Methods: []string{"POST"}, Paths: []string{"/api/v2/slack/action/team1/bot1"}}}
		o.Config.Authorization.Bindings = map[string][]string{"deploy": {"act"}}
		o.Config.Authorization.Checks = []config.AuthCheck{{Module: "omnibot.authnz.envoy_checks:envoy_permissions_check"}}
	})
	const say = `{"action":"chat.postMessage","kwargs":{"channel":"C1","text":"hush-hush"}}`
	const envoy = "x-envoy-downstream-service-cluster"
	act := func(path, body string, headers ...string) int {
		return r.ask("POST", "/api/v2/slack/action/"+path, body, headers...).status
	}
	for what, got := range map[string][2]int{
		"nobody":                   {act("team1/bot1", say), 403},
		"a key":                    {act("team1/bot1", say, "Authorization", "Bearer key-one"), 200},
		"an unknown key":           {act("team1/bot1", say, "Authorization", "Bearer key-two", envoy, "deploy"), 401},
		"another bot":              {act("team1/bot2", say, "Authorization", "Bearer key-one"), 403},
		"a bot that is not there":  {act("team1/bot9", say, "Authorization", "Bearer key-one"), 403},
		"another method of Slack":  {act("team1/bot1", `{"action":"conversations.history","kwargs":{}}`, "Authorization", "Bearer key-one"), 403},
		"another method of HTTP":   {r.ask("GET", "/api/v1/slack/get_team/team1", "", "Authorization", "Bearer key-one").status, 403},
		"a caller behind a proxy":  {act("team1/bot1", say, envoy, "deploy"), 200},
		"the name as a prefix":     {act("team1/bot1", say, envoy, "deploy-evil"), 403},
		"a path with more":         {act("team1/bot1x", say, envoy, "deploy"), 403},
		"a path in other letters":  {act("team1/%62ot1", say, envoy, "deploy"), 200},
		"the document, to nobody":  {r.ask("GET", "/api/openapi.json", "").status, 403},
		"the document, with a key": {r.ask("GET", "/api/openapi.json", "", "Authorization", all).status, 200},
	} {
		if got[0] != got[1] {
			t.Errorf("%s: got %d, want %d", what, got[0], got[1])
		}
	}
	if n := len(w.posts); n != 3 {
		t.Errorf("Slack got %d posts, want 3", n)
	}
	log := r.log.String()
	for _, want := range []string{
		`msg="api call" method=POST route=/api/v2/slack/action/{team}/{bot} caller=one allowed=true reason=key team=team1 bot=bot1 slack_method=chat.postMessage status=200 remote=127.0.0.1`,
		`caller=one allowed=false reason="Slack method not allowed for the key"`,
		`caller=deploy-evil allowed=false`,
		`caller="" allowed=false reason="unknown key"`,
	} {
		if !strings.Contains(log, want) {
			t.Errorf("no audit line with %s", want)
		}
	}
	for _, never := range []string{"key-one", "key-two", "hush-hush", "xoxb-"} {
		if strings.Contains(log, never) {
			t.Errorf("the log holds %q", never)
		}
	}
}

func TestWhatAProxySaysCountsOnlyFromTrustedOnes(t *testing.T) {
	t.Parallel()
	r, _ := apiRig(t, 1, 1, nil, func(o *engine.Options) {
		o.Config.TrustedProxies = []string{"10.0.0.1"}
		o.Config.Authorization.Checks = []config.AuthCheck{{Module: "omnibot.authnz.envoy_checks:envoy_internal_check"}}
	})
	if got := r.ask("GET", "/api/v1/slack/get_team/team1", "", "x-envoy-internal", "true", "x-forwarded-for", "10.0.0.1"); got.status != 403 {
		t.Errorf("got %d", got.status)
	}
}

// signed sends a signed body to one of omnibot's three routes.
func (r *rig) signed(path, contentType, body, key string, headers ...string) answer {
	ts := fmt.Sprint(time.Now().Unix())
	return r.ask("POST", path, body, append([]string{
		"Content-Type", contentType, "X-Slack-Request-Timestamp", ts, "X-Slack-Signature", ingress.Sign(key, ts, []byte(body)),
	}, headers...)...)
}

func TestOmnibotsSlackRoutesNeedSignatureAndAuthorization(t *testing.T) {
	t.Parallel()
	files := map[string]string{"a.star": `
on.message("^job", lambda e: probe.see(text = e.text, bot = e.bot))
on.command("/flip", lambda e: "flipped")
`}
	r, _ := apiRig(t, 2, 2, files, func(o *engine.Options) {
		o.Config.Apps["A11"] = config.App{ID: "A11", BotToken: "xoxb-A11", SigningSecrets: []string{"secret-of-A11"}}
		o.Config.Authorization.Checks = []config.AuthCheck{{
			Module: "omnibot.authnz:allowed_paths", Kwargs: map[string]any{"paths": runtime.List{"/api/v1/slack/event", "/api/v1/slack/slash_command"}},
		}}
	})
	spec, err := apitest.Read(api.Document())
	if err != nil {
		t.Fatal(err)
	}
	event := func(id, team, app string) string {
		b := string(message(id, "job "+id))
		return strings.NewReplacer(`"team_id":"T1"`, `"team_id":"`+team+`"`, `"api_app_id":"A1"`, `"api_app_id":"`+app+`"`).Replace(b)
	}
	form := url.Values{"command": {"/flip"}, "team_id": {"T1"}, "channel_id": {"C1"}, "user_id": {"U1"}, "api_app_id": {"A11"}, "trigger_id": {"1.2"}}.Encode()
	for _, tc := range []struct {
		what, path, kind, body, key string
		status                      int
		want                        string
	}{
		{"event", ingress.GuardedEvent, jsonBody, event("g1", "T1", "A11"), "secret-of-A11", 200, `{"status":"success"}`},
		{"the same again", ingress.GuardedEvent, jsonBody, event("g1", "T1", "A11"), "secret-of-A11", 200, `{"status":"success"}`},
		{"event of the other bot", ingress.GuardedEvent, jsonBody, event("g2", "T1", "A12"), secret, 200, `{"status":"success"}`},
		{"challenge", ingress.GuardedEvent, jsonBody, `{"type":"url_verification","challenge":"abc"}`, secret, 200, `{"challenge":"abc"}`},
		{"wrong signature", ingress.GuardedEvent, jsonBody, event("g3", "T1", "A11"), "guess", 403, `{"status":"failure","error":"not authentic"}`},
		{"unknown team", ingress.GuardedEvent, jsonBody, event("g4", "T9", "A11"), secret, 403, `{"error":"Unsupported team","status":"failure"}`},
		{"unknown app", ingress.GuardedEvent, jsonBody, event("g5", "T1", "A99"), secret, 200, `{"status":"ignored","warning":"Unsupported bot"}`},
		{"an app of another team", ingress.GuardedEvent, jsonBody, event("g6", "T2", "A11"), secret, 200, `{"status":"ignored","warning":"Unsupported bot"}`},
		{"no JSON", ingress.GuardedEvent, jsonBody, `{`, secret, 400, `{"status":"failure","error":"`},
		{"command", ingress.GuardedCommand, formBody, form, secret, 200, "flipped"},
		{"not allowed", ingress.GuardedInteractive, formBody, "payload=%7B%7D", secret, 403, `{"error":"forbidden"}`},
	} {
		got := r.signed(tc.path, tc.kind, tc.body, tc.key)
		if got.status != tc.status || !strings.Contains(got.body, tc.want) {
			t.Errorf("%s: got %d %s, want %d %s", tc.what, got.status, got.body, tc.status, tc.want)
		}
		if err := spec.Conforms("POST "+tc.path, got.status, got.kind, []byte(got.body)); err != nil {
			t.Errorf("%s: %v", tc.what, err)
		}
	}
	bots := map[string]string{}
	for _, d := range r.wait(2) {
		bots[d.Text("text")] = d.Text("bot")
	}
	if want := map[string]string{"job g1": "bot1", "job g2": "bot2"}; !maps.Equal(bots, want) {
		t.Errorf("rules saw %v, want %v", bots, want)
	}
	// Slack's own routes need the signature alone.
	if got := r.signed("/slack/events", jsonBody, event("g7", "T1", "A11"), "guess"); got.status != 401 {
		t.Errorf("/slack/events with a wrong signature: got %d", got.status)
	}
}

func TestEveryCallHasTheTokenOfItsBot(t *testing.T) {
	t.Parallel()
	files := map[string]string{"a.star": `on.message("^job", lambda e: post("C1", "event " + e.app))`}
	r, w := apiRig(t, 3, 4, files, nil)
	const rounds = 25 // × 12 bots, by the API and by events
	var wg sync.WaitGroup
	for team := 1; team <= 3; team++ {
		for bot := 1; bot <= 4; bot++ {
			app := fmt.Sprintf("A%d%d", team, bot)
			wg.Go(func() {
				for i := range rounds {
					body := `{"action":"chat.postMessage","kwargs":{"channel":"C1","text":"api ` + app + `"}}`
					if got := r.ask("POST", fmt.Sprintf("/api/v2/slack/action/team%d/bot%d", team, bot), body, "Authorization", all); got.status != 200 {
						t.Errorf("got %d %s", got.status, got.body)
					}
					if got := r.ask("GET", fmt.Sprintf("/api/v1/slack/get_user/team%d/bot%d/ann@x.example", team, bot), "", "Authorization", all); got.status != 200 {
						t.Errorf("got %d %s", got.status, got.body)
					}
					e := strings.NewReplacer(`"team_id":"T1"`, fmt.Sprintf(`"team_id":"T%d"`, team), `"api_app_id":"A1"`, `"api_app_id":"`+app+`"`).Replace(
						string(message(fmt.Sprint(app, "-", i), "job")))
					if status, b := r.send("/slack/events", jsonBody, []byte(e)); status != 200 {
						t.Errorf("got %d %s", status, b)
					}
				}
			})
		}
	}
	wg.Wait()
	deadline := time.Now().Add(20 * time.Second)
	for w.count("chat.postMessage") < 2*12*rounds && time.Now().Before(deadline) {
		time.Sleep(10 * time.Millisecond)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	got := map[string]int{}
	for _, p := range w.posts {
		_, app, _ := strings.Cut(p.text, " ")
		if p.token != "xoxb-"+app {
			t.Fatalf("%q was posted with %s", p.text, p.token)
		}
		got[p.text]++
	}
	if len(got) != 24 || slices.ContainsFunc(slices.Collect(maps.Values(got)), func(n int) bool { return n != rounds }) {
		t.Errorf("got %v, want each of 24 %d times", got, rounds)
	}
	if n := w.calls["users.lookupByEmail"]; n != 12 {
		t.Errorf("%d look-ups of 12 bots × %d: want one for each bot", n, rounds)
	}
}

func TestLookUpsAreSharedAndRefreshedByEvents(t *testing.T) {
	t.Parallel()
	files := map[string]string{"a.star": `
on.message("^who", lambda e: probe.see(user = user("ann@x.example").name, channel = channel("#general").id, group = usergroup("@oncall").id))
def show(n):
    x = emoji(n)
    return (x.url or x.alias) if x.ok else x.error
on.message("^emoji (.*)", lambda e: probe.see(emoji = ",".join([show(n) for n in e.text.split(" ")[1:]])))
on.event("channel_rename", lambda e: probe.see(seen = e.type))
on.event("user_change", lambda e: probe.see(seen = e.type))
on.event("emoji_changed", lambda e: probe.see(seen = e.type))
`}
	store := queue.NewMemory(queue.MemoryOptions{})
	r, w := apiRig(t, 1, 1, files, func(o *engine.Options) { o.Store = store })
	send := func(body string) {
		t.Helper()
		body = strings.NewReplacer(`"api_app_id":"A1"`, `"api_app_id":"A11"`).Replace(body)
		if status, b := r.send("/slack/events", jsonBody, []byte(body)); status != 200 {
			t.Fatalf("got %d %s", status, b)
		}
	}
	changed := func(id, event string) {
		t.Helper()
		n := len(r.all())
		send(`{"type":"event_callback","team_id":"T1","api_app_id":"A1","event_id":"Ev` + id + `","event":` + event + `}`)
		r.wait(n + 1)
	}
	get := func(path string) string {
		t.Helper()
		got := r.ask("GET", "/api/v1/slack/"+path, "", "Authorization", all)
		return fmt.Sprint(got.status, " ", got.body)
	}
	get("get_user/team1/bot1/ann@x.example")
	get("get_channel/team1/bot1/general")
	send(string(message("l1", "who")))
	d := r.wait(1)[0]
	if d.Text("user") != "ann" || d.Text("channel") != "C1" || d.Text("group") != "S1" {
		b, _ := runtime.AppendJSON(nil, d)
		t.Errorf("got %s", b)
	}
	if e, l := w.count("users.lookupByEmail"), w.count("conversations.list"); e != 1 || l != 1 {
		t.Errorf("the API and a rule made %d and %d calls for the same, want 1 each", e, l)
	}
	send(string(message("l2", "emoji parrot party yes a smile")))
	if got := r.wait(2)[1].Text("emoji"); got != "https://e.example/p.gif,https://e.example/p.gif,thumbsup,emoji_not_found,emoji_not_found" {
		t.Errorf("emoji: got %s", got)
	}

	w.mu.Lock()
	w.name = "renamed"
	w.mu.Unlock()
	if got := get("get_channel/team1/bot1/renamed"); !strings.HasPrefix(got, "404") {
		t.Errorf("a rename that nobody told of: got %s", got)
	}
	changed("r1", `{"type":"channel_rename","channel":{"id":"C1","name":"renamed"}}`)
	if got := get("get_channel/team1/bot1/renamed"); !strings.HasPrefix(got, "200") {
		t.Errorf("after channel_rename: got %s", got)
	}
	changed("r2", `{"type":"user_change","user":{"id":"U1","name":"ann","profile":{"email":"ann@x.example"}}}`)
	get("get_user/team1/bot1/ann@x.example")
	if n := w.count("users.lookupByEmail"); n != 2 {
		t.Errorf("after user_change: %d calls, want 2", n)
	}
	n := w.count("emoji.list")
	changed("r3", `{"type":"emoji_changed","subtype":"add","name":"new"}`)
	send(string(message("l3", "emoji parrot")))
	r.wait(6)
	if w.count("emoji.list") != n+1 {
		t.Errorf("after emoji_changed: %d calls of emoji.list, want %d", w.count("emoji.list"), n+1)
	}

	cache := r.admin(http.MethodGet, "/cache?team=team1")
	var rep engine.CacheReport
	if err := json.Unmarshal([]byte(cache), &rep); err != nil || len(rep.Stored) == 0 || len(rep.Process) == 0 {
		t.Errorf("cache: %v in %s", err, cache)
	}
	var purged engine.PurgeReport
	if err := json.Unmarshal([]byte(r.admin(http.MethodPost, "/cache/purge")), &purged); err != nil || purged.Process == 0 || purged.Stored != len(rep.Stored) {
		t.Errorf("purge: %v %+v, want %d stored", err, purged, len(rep.Stored))
	}
	get("get_user/team1/bot1/ann@x.example")
	if n := w.count("users.lookupByEmail"); n != 3 {
		t.Errorf("after purge: %d calls, want 3", n)
	}
}
