package engine_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine"
	"github.com/starling-rules/starling/engine/config"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/scripts"
)

// omnibotLoad makes TestParityLoad send as much as a company does in a busy
// hour: go test ./engine -run TestParityLoad -omnibot-load -v
var omnibotLoad = flag.Bool("omnibot-load", false, "TestParityLoad: 2,000 API calls and 20,000 events, on a store on disk")

// The load: three teams with four bots each, all of which know the same ids.
const (
	loadTeams  = 3
	loadBots   = 4
	loadPeople = 40
	loadPlaces = 20
)

// company is the Slack of the load: it knows a person U7 and a channel C7 in
// each team, by names that tell the team, and notes whatever a token does that
// is not of the team.
type company struct {
	*httptest.Server
	mu     sync.Mutex
	calls  map[string]int            // by method
	posted map[string]map[string]int // token → text → how often
	faults []string
}

func newCompany(t testing.TB) *company {
	c := &company{calls: map[string]int{}, posted: map[string]map[string]int{}}
	c.Server = httptest.NewServer(http.HandlerFunc(c.serve))
	t.Cleanup(c.Close)
	return c
}

func (c *company) fault(format string, a ...any) {
	if len(c.faults) < 20 {
		c.faults = append(c.faults, fmt.Sprintf(format, a...))
	}
}

func (c *company) serve(w http.ResponseWriter, r *http.Request) {
	args := map[string]any{}
	if strings.HasPrefix(r.Header.Get("Content-Type"), jsonBody) {
		_ = json.NewDecoder(r.Body).Decode(&args)
	} else {
		_ = r.ParseForm()
		for k := range r.PostForm {
			args[k] = r.PostForm.Get(k)
		}
	}
	text := func(k string) string { s, _ := args[k].(string); return s }
	method, token := strings.TrimPrefix(r.URL.Path, "/api/"), strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	c.mu.Lock()
	defer c.mu.Unlock()
	if strings.HasPrefix(method, "/response/") {
		// The address of an answer says which bot it was given to.
		c.calls["response_url"]++
		c.note(strings.TrimPrefix(method, "/response/"), text("text"))
		_, _ = io.WriteString(w, `{"ok":true}`)
		return
	}
	c.calls[method]++
	app := strings.TrimPrefix(token, "xoxb-")
	if len(app) != 3 || app[0] != 'A' {
		c.fault("%s with token %q", method, token)
		return
	}
	_, _ = io.WriteString(w, c.reply(method, app, text))
}

// note remembers what a bot posted.
func (c *company) note(app, text string) {
	if c.posted[app] == nil {
		c.posted[app] = map[string]int{}
	}
	c.posted[app][text]++
}

func (c *company) reply(method, app string, text func(string) string) string {
	team := teamOf(app)
	small := strings.ToLower(team)
	person := func(n string) string {
		return fmt.Sprintf(`{"id":"U%s","team_id":"%s","name":"person%s.%s","profile":{"display_name":"person%s.%s","email":"p%s@%s.example"}}`, n, team, n, small, n, small, n, small)
	}
	place := func(n string) string {
		return fmt.Sprintf(`{"id":"C%s","name":"place%s-%s"}`, n, n, small)
	}
	list := func(n int, one func(string) string) string {
		parts := make([]string, n)
		for i := range parts {
			parts[i] = one(fmt.Sprint(i))
		}
		return "[" + strings.Join(parts, ",") + "]"
	}
	switch method {
	case "auth.test":
		return fmt.Sprintf(`{"ok":true,"user_id":"U%s","bot_id":"B%s","team_id":"%s","app_id":"%s"}`, app, app, team, app)
	case "users.info":
		if id := text("user"); id == "U"+app {
			return fmt.Sprintf(`{"ok":true,"user":{"id":"U%s","team_id":"%s","name":"bot.%s","is_bot":true,"profile":{}}}`, app, team, app)
		}
		return `{"ok":true,"user":` + person(strings.TrimPrefix(text("user"), "U")) + `}`
	case "users.lookupByEmail":
		n, domain, _ := strings.Cut(text("email"), "@")
		if domain != small+".example" {
			c.fault("%s looks %s up", app, text("email"))
		}
		return `{"ok":true,"user":` + person(strings.TrimPrefix(n, "p")) + `}`
	case "conversations.info":
		return `{"ok":true,"channel":` + place(strings.TrimPrefix(text("channel"), "C")) + `}`
	case "users.list":
		return `{"ok":true,"members":` + list(loadPeople, person) + `}`
	case "conversations.list":
		if text("types") == "im" {
			return fmt.Sprintf(`{"ok":true,"channels":[{"id":"D%s","is_im":true,"user":"U1"}]}`, app)
		}
		return `{"ok":true,"channels":` + list(loadPlaces, place) + `}`
	case "usergroups.list":
		return `{"ok":true,"usergroups":[]}`
	case "chat.postMessage":
		c.note(app, text("text"))
		return `{"ok":true,"channel":"` + text("channel") + `","ts":"1.000001"}`
	}
	return `{"ok":false,"error":"unknown_method"}`
}

const loadModule = `
def work(container, kind = ""):
    p = container.payload
    person = (p.get("parsed_user") or {}).get("name")
    place = (p.get("channel") or {}).get("name")
    asked = p.get("args") or p.get("parsed_text")
    text = "%s %s.%s %s %s %s" % (kind, container.team.name, container.bot.name, person, place, asked)
    if kind == "slash":
        return {"responses": [{"text": text}]}
    return {"actions": [{"action": "chat.postMessage", "kwargs": {"text": text, "thread_ts": None}}]}
`

// loadConfig is a configuration of omnibot's with all teams and bots.
func loadConfig() string {
	var teams, bots, primary, each []string
	for t := 1; t <= loadTeams; t++ {
		var apps, names []string
		for b := 1; b <= loadBots; b++ {
			apps, names = append(apps, fmt.Sprintf("bot%d: A%d%d", b, t, b)), append(names, fmt.Sprint("bot", b))
		}
		teams, primary = append(teams, fmt.Sprintf("team%d: T%d", t, t)), append(primary, fmt.Sprintf("team%d: bot1", t))
		bots, each = append(bots, fmt.Sprintf("team%d: {%s}", t, strings.Join(apps, ", "))), append(each, fmt.Sprintf("team%d: [%s]", t, strings.Join(names, ", ")))
	}
	all := func(l []string) string { return "{" + strings.Join(l, ", ") + "}" }
	callback := func(kind string) string {
		return `bots: ` + all(each) + `, callbacks: [{module: "load.mod:work", kwargs: {kind: ` + kind + `}}]`
	}
	return "teams: " + all(teams) + "\nbots: " + all(bots) + "\nprimary_bot: " + all(primary) + `
authorization: {keys: {load: {hash: "` + keyHash("key-all")[0] + `", methods: [GET, POST], bots: ["*/*"], slack_methods: ["*"]}}}
handlers:
  message_handlers:
    - {match: work, match_type: command, ` + callback("command") + `}
    - {match: "^job @person[0-9]+", match_type: regex, ` + callback("regex") + `}
  slash_command_handlers:
    - {command: /work, ` + callback("slash") + `}
`
}

// newLoad starts the server.
func newLoad(t *testing.T) (*rig, *company, queue.Store) {
	t.Helper()
	slack, file := newCompany(t), t.TempDir()+"/omnibot.conf"
	if err := os.WriteFile(file, []byte(loadConfig()), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(config.Sources{File: file, Getenv: func(name string) string {
		app := name[max(0, len(name)-3):]
		switch strings.TrimSuffix(name, app) {
		case "CREDENTIALS_SLACK_OAUTH_BOT_TOKEN_":
			return "xoxb-" + app
		case "CREDENTIALS_SLACK_SIGNING_SECRET_":
			return "secret-of-" + app
		}
		return ""
	}})
	if err != nil {
		t.Fatal(err)
	}
	var store queue.Store = queue.NewMemory(queue.MemoryOptions{})
	if *omnibotLoad {
		if store, err = queue.Open(t.Context(), queue.Options{Dir: t.TempDir(), Replicas: 1, MaxBytes: 4 << 30}); err != nil {
			t.Fatal(err)
		}
	}
	warnings := &lockedBuffer{} // every line of every call would be the larger part of the work
	r := newRig(t, map[string]string{"load/mod.star": loadModule}, func(o *engine.Options) {
		c.Rules, c.Data, c.Listen, c.Admin, c.Limits = o.Config.Rules, "", o.Config.Listen, o.Config.Admin, o.Config.Limits
		c.Slack.APIURL = slack.URL + "/api/"
		o.Config, o.Store, o.Scripts = c, store, scripts.FS
		o.Logger = slog.New(slog.NewTextHandler(warnings, &slog.HandlerOptions{Level: slog.LevelWarn}))
	})
	r.log = warnings
	return r, slack, store
}

// load is one run of the test.
type load struct {
	*rig
	slack *company
	mu    sync.Mutex
	want  map[string]map[string]int // app → text → how often
	spent []time.Duration           // of each request
}

// expect notes what an app has to post, and times a request.
func (l *load) expect(app, text string, began time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.spent = append(l.spent, time.Since(began))
	if text == "" {
		return
	}
	if l.want[app] == nil {
		l.want[app] = map[string]int{}
	}
	l.want[app][text]++
}

// deliver sends one event to a bot, of a kind that goes by its number.
func (l *load) deliver(t, b, i int) {
	app, team := fmt.Sprintf("A%d%d", t, b), fmt.Sprintf("T%d", t)
	n, m, other := i%loadPeople, i%loadPlaces, (i*7+1)%loadPeople
	who := func(n int) string { return fmt.Sprintf("person%d.t%d", n, t) }
	place := fmt.Sprintf("place%d-t%d", m, t)
	text, said, kind := fmt.Sprintf("<@U%s> work %d <@U%d> in <#C%d>", app, i, other, m), fmt.Sprintf("%d @%s in #%s", i, who(other), place), "command"
	path, form, body := "/slack/events", jsonBody, ""
	switch i % 5 {
	case 2, 3:
		text, said, kind = fmt.Sprintf("job <@U%d> %d", other, i), fmt.Sprintf("job @%s %d", who(other), i), "regex"
	case 4:
		said, kind = fmt.Sprintf("%d @%s", i, who(other)), "slash"
		path, form = "/slack/commands", formBody
		body = url.Values{
			"command": {"/work"}, "text": {fmt.Sprintf("%d <@U%d>", i, other)}, "team_id": {team}, "channel_id": {fmt.Sprint("C", m)}, "user_id": {fmt.Sprint("U", n)},
			"api_app_id": {app}, "trigger_id": {fmt.Sprint(app, "-", i)}, "response_url": {l.slack.URL + "/response/" + app},
		}.Encode()
	}
	if body == "" {
		body = envelope(app, fmt.Sprint(app, "-", i), map[string]any{
			"type": "message", "channel": fmt.Sprint("C", m), "channel_type": "channel", "user": fmt.Sprint("U", n), "text": text,
			"ts": fmt.Sprintf("17%08d.%06d", i, t*10+b), "event_ts": fmt.Sprintf("17%08d.%06d", i, t*10+b),
		})
	}
	began := time.Now()
	if got := l.signed(path, form, body, "secret-of-"+app); got.status != http.StatusOK || got.body != "" {
		l.t.Errorf("event %d of %s: got %d %s", i, app, got.status, got.body)
	}
	l.expect(app, fmt.Sprintf("%s team%d.bot%d %s %s %s", kind, t, b, who(n), place, said), began)
}

// call makes one call of the API, of a kind that goes by its number.
func (l *load) call(t, b, i int) {
	app, bot := fmt.Sprintf("A%d%d", t, b), fmt.Sprintf("team%d/bot%d", t, b)
	n, m := i%loadPeople, i%loadPlaces
	method, path, body, want, posts := "GET", "", "", "", ""
	switch i % 5 {
	case 0:
		path = fmt.Sprintf("/api/v1/slack/get_user/%s/p%d@t%d.example", bot, n, t)
		want = fmt.Sprintf(`"name":"person%d.t%d","team_id":"T%d","user_id":"U%d"`, n, t, t, n)
	case 1:
		path, want = fmt.Sprintf("/api/v1/slack/get_channel/%s/place%d-t%d", bot, m, t), fmt.Sprintf(`"id":"C%d"`, m)
	case 2:
		path, want = fmt.Sprintf("/api/v1/slack/get_ims/%s", bot), `"id":"D`+app+`"`
	default:
		method, path, want = "POST", "/api/v2/slack/action/"+bot, `"ok":true`
		body = fmt.Sprintf(`{"action":"chat.postMessage","kwargs":{"channel":"C%d","text":"api %s %d @person%d.t%d #place%d-t%d","omnibot_parse":{"text":["users","channels"]}}}`, m, bot, i, n, t, m, t)
		posts = fmt.Sprintf("api %s %d <@U%d> <#C%d>", bot, i, n, m)
	}
	began := time.Now()
	if got := l.ask(method, path, body, "Authorization", all); got.status != http.StatusOK || !strings.Contains(got.body, want) {
		l.t.Errorf("%s %s %s: got %d %s, want %s", method, path, body, got.status, got.body, want)
	}
	l.expect(app, posts, began)
}

// TestParityLoad lets three teams with four bots each work on one server at
// once, through the API and by events: every message goes out once, with the
// token of its bot and the names of its team.
func TestParityLoad(t *testing.T) {
	t.Parallel()
	calls, events := 240, 1200
	switch {
	case *omnibotLoad:
		calls, events = 2000, 20_000
	case testing.Short() || underRace:
		calls, events = 60, 300
	}
	r, slack, store := newLoad(t)
	l := &load{rig: r, slack: slack, want: map[string]map[string]int{}}
	const bots = loadTeams * loadBots
	began := time.Now()
	var wg sync.WaitGroup
	for n := range bots {
		team, bot := n/loadBots+1, n%loadBots+1
		// As many at once as Slack has in flight for a bot that is in demand.
		const width = 3
		for part := range width {
			wg.Go(func() {
				for i := part; i < (events+bots-1-n)/bots; i += width {
					l.deliver(team, bot, i)
				}
			})
		}
		wg.Go(func() {
			for i := range (calls + bots - 1 - n) / bots {
				l.call(team, bot, i)
			}
		})
	}
	wg.Wait()
	taken := time.Since(began)
	for deadline := time.Now().Add(5 * time.Minute); store.Stats().Pending > 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d events are not settled\nlog:\n%s", store.Stats().Pending, tail(r.log.String()))
		}
	}
	settled := time.Since(began)
	slack.mu.Lock()
	defer slack.mu.Unlock()
	for _, fault := range slack.faults {
		t.Error(fault)
	}
	l.compare()
	l.report(calls, events, taken, settled)
}

// compare holds what was posted to what had to be.
func (l *load) compare() {
	wrong := 0
	for app, want := range l.want {
		if got := l.slack.posted[app]; !maps.Equal(got, want) {
			for text, n := range want {
				if got[text] != n && wrong < 10 {
					wrong++
					l.t.Errorf("%s posted %q %d times, want %d", app, text, got[text], n)
				}
			}
			for text := range got {
				if want[text] == 0 && wrong < 10 {
					wrong++
					l.t.Errorf("%s posted %q, which is not its", app, text)
				}
			}
		}
	}
	if len(l.slack.posted) != len(l.want) {
		l.t.Errorf("%d bots posted, want %d", len(l.slack.posted), len(l.want))
	}
}

// report says what it cost, and fails if look-ups were not shared.
func (l *load) report(calls, events int, taken, settled time.Duration) {
	var rep engine.CacheReport
	if err := json.Unmarshal([]byte(l.admin(http.MethodGet, "/cache")), &rep); err != nil {
		l.t.Fatal(err)
	}
	var hits, stored, loads uint64
	for _, c := range rep.Process {
		hits, stored, loads = hits+c.Hits, stored+c.FromStore, loads+c.Loads
		if c.Hits+c.Loads > 0 {
			l.t.Logf("cache %-12s %7d hits %5d from the store %5d loads, %5d entries", c.Kind, c.Hits, c.FromStore, c.Loads, c.Entries)
		}
	}
	rate := float64(hits) / float64(hits+stored+loads)
	lookUps := 0
	for _, method := range slices.Sorted(maps.Keys(l.slack.calls)) {
		l.t.Logf("slack %-24s %6d", method, l.slack.calls[method])
		if lookUp(method) {
			lookUps += l.slack.calls[method]
		}
	}
	slices.Sort(l.spent)
	at := func(share float64) time.Duration { return l.spent[int(share*float64(len(l.spent)-1))] }
	l.t.Logf("%d API calls and %d events: answered in %v, settled in %v (%.0f/s); a request took %v (median), %v (99 %%), %v (longest)",
		calls, events, taken.Round(time.Millisecond), settled.Round(time.Millisecond), float64(calls+events)/settled.Seconds(), at(.5), at(.99), at(1))
	l.t.Logf("look-ups: %.2f %% answered from memory, %d calls of Slack; %d calls of Slack in all", 100*rate, lookUps, total(l.slack.calls))
	// Each bot looks a person, a place and a list up once, and itself.
	const most = loadTeams * loadBots * (2*loadPeople + loadPlaces + 8)
	if lookUps > most {
		l.t.Errorf("%d look-ups at Slack, want at most %d", lookUps, most)
	}
}

func total(counts map[string]int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}
