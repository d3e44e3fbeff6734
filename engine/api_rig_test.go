package engine_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/starling-rules/starling/engine"
	"github.com/starling-rules/starling/engine/config"
)

// workspace is a fake Slack that tells callers apart by their tokens.
type workspace struct {
	*httptest.Server
	mu    sync.Mutex
	calls map[string]int // method → how often
	posts []post
	name  string // of the channel C1
	// answer takes the place of a method's answer, by "method token".
	answer map[string]string
}

// post is a call that changes something.
type post struct{ method, token, channel, text string }

func newWorkspace(t testing.TB) *workspace {
	w := &workspace{calls: map[string]int{}, name: "general", answer: map[string]string{}}
	w.Server = httptest.NewServer(http.HandlerFunc(w.serve))
	t.Cleanup(w.Close)
	return w
}

func (w *workspace) serve(rw http.ResponseWriter, r *http.Request) {
	args := arguments(r)
	text := func(k string) string { s, _ := args[k].(string); return s }
	method, token := strings.TrimPrefix(r.URL.Path, "/api/"), strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls[method]++
	const ann = `{"id":"U1","team_id":"T1","name":"ann","deleted":false,"profile":{"display_name":"Ann","email":"ann@x.example"}}`
	out := `{"ok":false,"error":"unknown_method"}`
	switch method {
	case "auth.test":
		out = `{"ok":true,"user_id":"UBOT","bot_id":"BBOT","team_id":"T1","app_id":"A1"}`
	case "users.lookupByEmail":
		switch text("email") {
		case "ann@x.example":
			out = `{"ok":true,"user":` + ann + `}`
		case "gone@x.example":
			out = `{"ok":true,"user":{"id":"U9","name":"gone","deleted":true,"profile":{}}}`
		case "scope@x.example":
			out = `{"ok":false,"error":"missing_scope","needed":"users:read.email"}`
		default:
			out = `{"ok":false,"error":"users_not_found"}`
		}
	case "users.info":
		out = `{"ok":true,"user":` + ann + `}`
	case "users.list":
		out = `{"ok":true,"members":[` + ann + `]}`
	case "conversations.list":
		if text("types") == "im" {
			out = `{"ok":true,"channels":[{"id":"D1","is_im":true,"user":"U1"}]}`
			break
		}
		out = `{"ok":true,"channels":[{"id":"C1","name":"` + w.name + `"},{"id":"C2","name":"secret","is_private":true}]}`
	case "conversations.info":
		out = `{"ok":true,"channel":{"id":"` + text("channel") + `","name":"` + w.name + `"}}`
	case "conversations.open":
		out = `{"ok":true,"channel":{"id":"D1"}}`
	case "usergroups.list":
		out = `{"ok":true,"usergroups":[{"id":"S1","handle":"oncall","name":"On call"}]}`
	case "emoji.list":
		out = `{"ok":true,"emoji":{"parrot":"https://e.example/p.gif","party":"alias:parrot","yes":"alias:thumbsup","a":"alias:b","b":"alias:a"}}`
	case "chat.postMessage", "reactions.add", "conversations.history":
		w.posts = append(w.posts, post{method, token, text("channel"), text("text")})
		out = `{"ok":true,"channel":"` + text("channel") + `","ts":"1.000001","message":{"text":"x"}}`
	}
	if special, ok := w.answer[method+" "+token]; ok {
		out = special
	}
	rw.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(rw, out)
}

// set makes Slack give this answer to a method with this token.
func (w *workspace) set(call, answer string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answer[call] = answer
}

func (w *workspace) count(method string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.calls[method]
}

func (w *workspace) last() post {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.posts) == 0 {
		return post{}
	}
	return w.posts[len(w.posts)-1]
}

func keyHash(key string) []string {
	sum := sha256.Sum256([]byte(key))
	return []string{"sha256:" + hex.EncodeToString(sum[:])}
}

// omnibotConfig is a configuration of teams and bots that omnibot would take.
func omnibotConfig(c *config.Config, teams, perTeam int) {
	c.Slack.SigningSecrets = []string{secret}
	c.Teams, c.Bots, c.PrimaryBot, c.Apps = map[string]string{}, map[string]map[string]string{}, map[string]string{}, map[string]config.App{}
	for t := 1; t <= teams; t++ {
		team := fmt.Sprint("team", t)
		c.Teams[team], c.PrimaryBot[team], c.Bots[team] = fmt.Sprint("T", t), "bot1", map[string]string{}
		for b := 1; b <= perTeam; b++ {
			app := fmt.Sprintf("A%d%d", t, b)
			c.Bots[team][fmt.Sprint("bot", b)] = app
			c.Apps[app] = config.App{ID: app, BotToken: "xoxb-" + app, UserToken: "xoxp-" + app}
		}
	}
	c.Authorization.Keys = map[string]config.APIKey{
		"all": {Hashes: keyHash("key-all"), Methods: []string{"GET", "POST"}, Bots: []string{"*/*"}, SlackMethods: []string{"*"}},
		"one": {Hashes: keyHash("key-one"), Methods: []string{"POST"}, Bots: []string{"team1/bot1"}, SlackMethods: []string{"chat.*"}},
	}
}

// apiRig is a rig with a workspace and the configuration above.
func apiRig(t testing.TB, teams, perTeam int, files map[string]string, change func(*engine.Options)) (*rig, *workspace) {
	t.Helper()
	w := newWorkspace(t)
	if files == nil {
		files = map[string]string{"a.star": `on.message("never", lambda e: None)`}
	}
	return newRig(t, files, func(o *engine.Options) {
		o.Config.Slack.APIURL = w.URL + "/api/"
		omnibotConfig(o.Config, teams, perTeam)
		if change != nil {
			change(o)
		}
	}), w
}

type answer struct {
	status int
	body   string
	kind   string
}

// ask sends a request to the API; headers are pairs.
func (r *rig) ask(method, path, body string, headers ...string) answer {
	req, err := http.NewRequestWithContext(r.t.Context(), method, "http://"+r.Addr().String()+path, strings.NewReader(body))
	if err != nil {
		r.t.Error(err)
		return answer{}
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Error(err)
		return answer{}
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Error(err)
	}
	return answer{res.StatusCode, string(b), res.Header.Get("Content-Type")}
}

const all = "Bearer key-all"

// admin asks the admin API and returns the body.
func (r *rig) admin(method, path string) string {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, "http://"+r.AdminAddr().String()+path, http.NoBody)
	if err != nil {
		r.t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(res.Body); err != nil || res.StatusCode != http.StatusOK {
		r.t.Fatalf("%s: %s %v", path, res.Status, err)
	}
	return b.String()
}
