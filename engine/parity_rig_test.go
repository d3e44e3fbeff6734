package engine_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine"
	"github.com/starling-rules/starling/engine/config"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/scripts"
)

// The tests of this and the other parity files run configurations of omnibot's
// on the whole engine: what Slack sends goes in over HTTP, what the handlers do
// arrives at a Slack and at a service of the test.

// parityHead is the configuration that the tests have in common.
const parityHead = `teams: {acme: T1, other: T2}
bots: {acme: {helper: A11, second: A12}, other: {helper: A21}}
primary_bot: {acme: helper, other: helper}
`

// parity is an engine with a configuration of omnibot's.
type parity struct {
	*rig
	slack   *office
	service *service
	store   queue.Store
	file    string
}

// newParity starts one. BACK in the configuration is the address of the
// service. files are those of the rules directory.
func newParity(t testing.TB, yaml string, files map[string]string, change func(*engine.Options)) *parity {
	t.Helper()
	p := &parity{slack: newOffice(t), service: newService(t), store: queue.NewMemory(queue.MemoryOptions{})}
	p.file = filepath.Join(t.TempDir(), "omnibot.conf")
	p.configure(t, yaml)
	environment := parityEnvironment()
	load := func() (*config.Config, error) {
		return config.Load(config.Sources{File: p.file, Getenv: func(name string) string { return environment[name] }})
	}
	c, err := load()
	if err != nil {
		t.Fatal(err)
	}
	p.rig = newRig(t, files, func(o *engine.Options) {
		c.Rules, c.Data, c.Listen, c.Admin, c.Limits = o.Config.Rules, "", o.Config.Listen, o.Config.Admin, o.Config.Limits
		c.Slack.APIURL = p.slack.URL + "/api/"
		o.Config, o.Store, o.Scripts, o.Reload = c, p.store, scripts.FS, load
		if change != nil {
			change(o)
		}
	})
	return p
}

// parityEnvironment is what omnibot takes from the environment, and a signing
// secret for each app.
func parityEnvironment() map[string]string {
	env := map[string]string{}
	for _, app := range []string{"A11", "A12", "A21"} {
		env["CREDENTIALS_SLACK_OAUTH_BOT_TOKEN_"+app] = "xoxb-" + app
		env["CREDENTIALS_SLACK_OAUTH_TOKEN_"+app] = "xoxp-" + app
		env["CREDENTIALS_SLACK_SIGNING_SECRET_"+app] = "secret-of-" + app
		env["CREDENTIALS_SLACK_VERIFICATION_TOKEN_"+app] = "verification-of-" + app
	}
	return env
}

// configure writes the configuration.
func (p *parity) configure(t testing.TB, yaml string) {
	t.Helper()
	if err := os.WriteFile(p.file, []byte(parityHead+strings.ReplaceAll(yaml, "BACK", p.service.URL)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// deliver sends a body with the signature of an app, waits until all it set
// off has ended, and returns what was answered.
func (p *parity) deliver(app, path, kind, body string) answer {
	p.t.Helper()
	got := p.signed(path, kind, body, "secret-of-"+app)
	p.idle()
	return got
}

// idle waits until nothing is in the queue.
func (p *parity) idle() {
	p.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); p.store.Stats().Pending > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatalf("%d events are not settled\nlog:\n%s", p.store.Stats().Pending, tail(p.log.String()))
		}
	}
}

// event sends an event to an app, and waits for what it sets off.
func (p *parity) event(app, id string, inner map[string]any) answer {
	p.t.Helper()
	got := p.deliver(app, "/slack/events", jsonBody, envelope(app, id, inner))
	if got.status != http.StatusOK {
		p.t.Fatalf("event %s: got %d %s", id, got.status, got.body)
	}
	return got
}

// says is a message of U1 in C1, with fields in pairs.
func (p *parity) says(id, text string, fields ...any) {
	p.t.Helper()
	p.event("A11", id, spoken(id, text, fields...))
}

// spoken is the inner event of a message.
func spoken(id, text string, fields ...any) map[string]any {
	inner := map[string]any{
		"type": "message", "channel": "C1", "channel_type": "channel", "user": "U1", "text": text,
		"ts": "1700000000." + pad(id), "event_ts": "1700000000." + pad(id),
	}
	for i := 0; i+1 < len(fields); i += 2 {
		inner[fields[i].(string)] = fields[i+1]
	}
	return inner
}

// teamOf is the workspace of an app.
func teamOf(app string) string { return "T" + app[1:2] }

// envelope is the body of an event.
func envelope(app, id string, inner map[string]any) string {
	b, _ := json.Marshal(map[string]any{
		"type": "event_callback", "team_id": teamOf(app), "api_app_id": app, "event_id": "Ev" + id, "event_time": 1700000000, "event": inner,
		"authorizations": []any{map[string]any{"team_id": teamOf(app), "user_id": "U" + app, "is_bot": true}},
	})
	return string(b)
}

// slash sends a slash command of U1 in C1.
func (p *parity) slash(command, text, id string) answer {
	p.t.Helper()
	return p.deliver("A11", "/slack/commands", formBody, p.form(command, text, id).Encode())
}

// form are the fields of a slash command.
func (p *parity) form(command, text, id string) url.Values {
	return url.Values{
		"command": {command}, "text": {text}, "team_id": {"T1"}, "team_domain": {"acme"}, "channel_id": {"C1"}, "channel_name": {"general"},
		"user_id": {"U1"}, "user_name": {"ann"}, "api_app_id": {"A11"}, "trigger_id": {id}, "token": {"verification-of-A11"},
		"enterprise_id": {"E1"}, "enterprise_name": {"Org"}, "response_url": {p.slack.URL + "/response/" + id},
	}
}

// interacts sends an interactive component of U1 in C1.
func (p *parity) interacts(kind, id string, fields map[string]any) answer {
	p.t.Helper()
	return p.deliver("A11", "/slack/interactive", formBody, p.component(kind, id, fields))
}

// component is the body of an interactive component; a nil field is left out.
func (p *parity) component(kind, id string, fields map[string]any) string {
	whole := map[string]any{
		"type": kind, "trigger_id": id, "team": map[string]any{"id": "T1"}, "user": map[string]any{"id": "U1", "name": "ann"}, "api_app_id": "A11",
		"channel": map[string]any{"id": "C1", "name": "general"}, "response_url": p.slack.URL + "/response/" + id, "token": "verification-of-A11",
	}
	maps.Copy(whole, fields)
	maps.DeleteFunc(whole, func(_ string, v any) bool { return v == nil })
	b, _ := json.Marshal(whole)
	return url.Values{"payload": {string(b)}}.Encode()
}

// request is a call that arrived at the office.
type request struct {
	method, token string
	args          map[string]any
}

func (r request) String() string {
	b, _ := json.Marshal(r.args)
	return r.method + " as " + r.token + " " + string(b)
}

// text is an argument that is a text.
func (r request) text(name string) string { s, _ := r.args[name].(string); return s }

// office is a Slack with two workspaces that remembers every request.
type office struct {
	*httptest.Server
	mu    sync.Mutex
	calls []request
	// answers take the place of what a method answers, by "method" or "method token".
	answers map[string]string
	status  map[string]int
}

func newOffice(t testing.TB) *office {
	o := &office{answers: map[string]string{}, status: map[string]int{}}
	o.Server = httptest.NewServer(http.HandlerFunc(o.serve))
	t.Cleanup(o.Close)
	return o
}

func (o *office) serve(w http.ResponseWriter, r *http.Request) {
	args := map[string]any{}
	if strings.HasPrefix(r.Header.Get("Content-Type"), jsonBody) {
		_ = json.NewDecoder(r.Body).Decode(&args)
	} else {
		_ = r.ParseForm()
		for k := range r.PostForm {
			args[k] = r.PostForm.Get(k)
			var v any
			if s := r.PostForm.Get(k); (strings.HasPrefix(s, "[") || strings.HasPrefix(s, "{")) && json.Unmarshal([]byte(s), &v) == nil {
				args[k] = v
			}
		}
	}
	delete(args, "metadata")
	in := request{strings.TrimPrefix(r.URL.Path, "/api/"), strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), args}
	if strings.HasPrefix(in.method, "/response/") {
		in.method = "response"
	}
	o.mu.Lock()
	o.calls = append(o.calls, in)
	out, special := o.answers[in.method+" "+in.token]
	if !special {
		out, special = o.answers[in.method]
	}
	status := o.status[in.method]
	o.mu.Unlock()
	if !special {
		out = in.usual()
	}
	w.Header().Set("Content-Type", jsonBody)
	if status != 0 {
		w.WriteHeader(status)
	}
	_, _ = io.WriteString(w, out)
}

// people, places and groups are what the office knows.
var (
	people = map[string]string{
		"U1":   `{"id":"U1","team_id":"T1","name":"ann","real_name":"Ann Lee","deleted":false,"profile":{"display_name":"Ann B","email":"ann@x.example"}}`,
		"U2":   `{"id":"U2","team_id":"T1","name":"ali","deleted":false,"profile":{"display_name":"ali","email":"ali@x.example"}}`,
		"U3":   `{"id":"U3","team_id":"T1","name":"alice","deleted":false,"profile":{"display_name":"alice"}}`,
		"UA11": `{"id":"UA11","team_id":"T1","name":"helper","is_bot":true,"deleted":false,"profile":{"bot_id":"BA11"}}`,
		"W4":   `{"id":"W4","team_id":"T1","name":"wide.one","deleted":false,"profile":{"display_name":"wide"}}`,
	}
	places = map[string]string{
		"C1": `{"id":"C1","name":"general","name_normalized":"general","is_channel":true,"num_members":7}`,
		"C2": `{"id":"C2","name":"general-x","name_normalized":"general-x","is_channel":true}`,
		"C3": `{"id":"C3","name":"secret","name_normalized":"secret","is_private":true,"is_group":true}`,
		"D1": `{"id":"D1","is_im":true,"user":"U1"}`,
	}
)

// usual is what Slack answers if nothing else is set.
func (r request) usual() string {
	object := func(field string, of map[string]string, id, missing string) string {
		if one, ok := of[id]; ok {
			return `{"ok":true,"` + field + `":` + one + `}`
		}
		return `{"ok":false,"error":"` + missing + `"}`
	}
	list := func(of map[string]string, keep func(id string) bool) string {
		var out []string
		for id, one := range of {
			if keep(id) {
				out = append(out, one)
			}
		}
		return "[" + strings.Join(out, ",") + "]"
	}
	switch r.method {
	case "auth.test":
		app := r.token[max(0, len(r.token)-3):]
		return fmt.Sprintf(`{"ok":true,"user_id":"U%s","bot_id":"B%s","team_id":"T%s","app_id":"%s"}`, app, app, app[1:2], app)
	case "users.info":
		return object("user", people, r.text("user"), "user_not_found")
	case "users.lookupByEmail":
		for id, one := range people {
			if strings.Contains(one, `"email":"`+r.text("email")+`"`) {
				return object("user", people, id, "")
			}
		}
		return `{"ok":false,"error":"users_not_found"}`
	case "users.list":
		return `{"ok":true,"members":` + list(people, func(string) bool { return true }) + `}`
	case "conversations.info":
		return object("channel", places, r.text("channel"), "channel_not_found")
	case "conversations.list":
		ims := r.text("types") == "im"
		return `{"ok":true,"channels":` + list(places, func(id string) bool { return (id[0] == 'D') == ims }) + `}`
	case "conversations.open":
		return `{"ok":true,"channel":{"id":"D1"}}`
	case "usergroups.list":
		return `{"ok":true,"usergroups":[{"id":"S1","handle":"oncall","name":"On call"}]}`
	case "emoji.list":
		return `{"ok":true,"emoji":{"ship":"https://e.example/ship.png","boat":"alias:ship","a":"alias:b","b":"alias:a"}}`
	}
	b, _ := json.Marshal(map[string]any{"ok": true, "channel": r.args["channel"], "ts": "1700000001.000100", "message": map[string]any{"text": r.args["text"]}})
	return string(b)
}

// set makes a method, or "method token", answer something else.
func (o *office) set(call, answer string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.answers[call] = answer
}

// take returns the calls of some methods since the last take, and forgets all.
// Look-ups that everything does are left out unless they are named.
func (o *office) take(methods ...string) []request {
	o.mu.Lock()
	defer o.mu.Unlock()
	var out []request
	for _, c := range o.calls {
		wanted := len(methods) == 0 && !lookUp(c.method)
		for _, m := range methods {
			wanted = wanted || c.method == m
		}
		if wanted {
			out = append(out, c)
		}
	}
	o.calls = nil
	return out
}

func lookUp(method string) bool {
	switch method {
	case "auth.test", "bots.info", "users.info", "users.list", "users.lookupByEmail", "conversations.info", "conversations.list", "conversations.open", "usergroups.list", "emoji.list":
		return true
	}
	return false
}

// service is what http_callback calls: it remembers the payloads by path, and
// answers what a test has said for it.
type service struct {
	*httptest.Server
	mu       sync.Mutex
	payloads map[string][]map[string]any
	headers  map[string]http.Header
	queries  map[string]url.Values
	answers  map[string]string
	status   map[string][]int // one for each request to come
	gate     chan struct{}    // if not nil, each request waits for it
}

// hold makes requests wait until gate says something to each, or is closed.
func (s *service) hold(gate chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gate = gate
}

func newService(t testing.TB) *service {
	s := &service{
		payloads: map[string][]map[string]any{}, headers: map[string]http.Header{}, queries: map[string]url.Values{},
		answers: map[string]string{}, status: map[string][]int{},
	}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var payload map[string]any
		_ = json.NewDecoder(r.Body).Decode(&payload)
		s.mu.Lock()
		gate := s.gate
		s.mu.Unlock()
		if gate != nil {
			select {
			case <-gate:
			case <-r.Context().Done():
			}
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.payloads[r.URL.Path] = append(s.payloads[r.URL.Path], payload)
		s.headers[r.URL.Path], s.queries[r.URL.Path] = r.Header.Clone(), r.URL.Query()
		if list := s.status[r.URL.Path]; len(list) > 0 {
			s.status[r.URL.Path] = list[1:]
			w.WriteHeader(list[0])
		}
		out, ok := s.answers[r.URL.Path]
		if !ok {
			out = "{}"
		}
		_, _ = io.WriteString(w, out)
	}))
	t.Cleanup(s.Close)
	return s
}

// says makes a path answer a text; statuses are those of the next requests.
func (s *service) says(path, answer string, statuses ...int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[path], s.status[path] = answer, statuses
}

// take returns the payloads that arrived at a path, and forgets them.
func (s *service) take(path string) []map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.payloads[path]
	delete(s.payloads, path)
	return out
}

// one returns the only payload that arrived at a path.
func (s *service) one(t testing.TB, path string) map[string]any {
	t.Helper()
	got := s.take(path)
	if len(got) != 1 {
		t.Fatalf("%d payloads at %s, want 1", len(got), path)
	}
	return got[0]
}

// paths returns where payloads have arrived, with how many, and forgets them.
func (s *service) paths() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]int{}
	for p, list := range s.payloads {
		out[strings.TrimPrefix(p, "/")] = len(list)
	}
	clear(s.payloads)
	return out
}

// hook is a list of callbacks with one, which posts to a path of the service.
func hook(path string) string {
	return `[{module: "omnibot.callbacks.network_callbacks:http_callback", kwargs: {request_kwargs: {url: "BACK/` + path + `"}}}]`
}

// diff tells what fields differ from what is wanted.
func diff(got, want map[string]any) string {
	var out []string
	for k, w := range want {
		g, there := got[k]
		a, _ := json.Marshal(g)
		b, _ := json.Marshal(w)
		if !there || string(a) != string(b) {
			out = append(out, fmt.Sprintf("%s: got %s, want %s", k, a, b))
		}
	}
	return strings.Join(out, "\n")
}
