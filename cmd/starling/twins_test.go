package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-rules/starling/engine/payload"
)

// notebook is a Slack that writes down what it is asked.
type notebook struct {
	*httptest.Server
	mu    sync.Mutex
	calls []any
}

func newNotebook(t *testing.T) *notebook {
	n := &notebook{}
	n.Server = httptest.NewServer(n)
	t.Cleanup(n.Close)
	return n
}

func (n *notebook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	args := map[string]any{}
	if json.Unmarshal(body, &args) != nil {
		form, _ := url.ParseQuery(string(body))
		for k, v := range form {
			args[k] = v[0]
			var nested any
			if strings.ContainsAny(v[0][:min(1, len(v[0]))], "{[") && json.Unmarshal([]byte(v[0]), &nested) == nil {
				args[k] = nested
			}
		}
	}
	method := strings.TrimPrefix(r.URL.Path, "/api/")
	for _, own := range []string{"metadata", "trigger_id", "token"} { // which differ from run to run
		delete(args, own)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if method != "auth.test" && method != "bots.info" { // the server introduces itself
		n.calls = append(n.calls, map[string]any{method: args})
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"ok": true, "ts": fmt.Sprintf("1.%06d", len(n.calls)), "channel": args["channel"], "view": map[string]any{"id": "V9"},
		"user_id": "U0STARLING", "bot_id": "B0STARLING", "app_id": "A0TEST", "team_id": "T0TEST",
	})
}

func (n *notebook) len() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.calls)
}

// act is what somebody does, and how many calls of Slack come of it.
type act struct {
	kind  string
	act   payload.Act
	calls int
}

// through takes acts through a server with the rules of a directory, and
// returns the answers and what Slack was asked.
func through(t *testing.T, dir string, acts []act) (told []any) {
	t.Helper()
	slack := newNotebook(t)
	rules, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	listen, admin := freeAddress(t), freeAddress(t)
	c := run(t, []string{"SLACK_SIGNING_SECRET=" + signingSecret, "SLACK_BOT_TOKEN=xoxb-test", "SLACK_API_URL=" + slack.URL + "/api/"},
		"serve", "--rules", rules, "--data", t.TempDir(), "--listen", listen, "--admin", admin)
	c.listen, c.admin = listen, admin
	c.ready()
	calls := 0
	for i, a := range acts {
		a.act.App = payload.App{ID: "A0TEST", BotUser: "U0STARLING", Team: "T0TEST"}
		a.act.User, a.act.Channel, a.act.ResponseURL = "U1", "C1", slack.URL+"/response"
		p, err := a.act.Build(a.kind)
		if err != nil {
			t.Fatal(err)
		}
		status, body := send(http.DefaultClient, c.listen, "/slack", p.ContentType, p.Body)
		if status != http.StatusOK {
			t.Fatalf("%s: %s (act %d): status %d %s\n%s", dir, a.kind, i, status, body, c.out.String())
		}
		var answer any
		if json.Unmarshal(body, &answer) != nil {
			answer = string(body)
		}
		told = append(told, answer)
		calls += a.calls
		c.until(fmt.Sprintf("%d calls of Slack after act %d (%s)", calls, i, a.kind), func() bool { return slack.len() >= calls })
	}
	c.signal(syscall.SIGTERM)
	c.exits(0)
	return append(told, slack.calls...)
}

// The Lua twin of an example answers and does what the Starlark one does.
func TestTwinsOfExamplesDoTheSame(t *testing.T) {
	slow(t)
	report := func(values payload.Object) act {
		return act{"view", payload.Act{CallbackID: "incident", Values: values, View: payload.Object{
			"callback_id": "incident", "private_metadata": "C7", "blocks": payload.Inputs(values),
		}}, 0}
	}
	posted := report(payload.Object{"what": "The database <is> slow", "severity": "critical", "lead": "U2", "details": "a\nb"})
	posted.calls = 1
	for name, acts := range map[string][]act{
		"quickstart": {
			{"command", payload.Act{Command: "/deploy", Text: "api"}, 0},
			{"command", payload.Act{Command: "/deploy", Text: "a<b> env=prod"}, 0},
			{"command", payload.Act{Command: "/deploy", Text: ""}, 0},
			{"action", payload.Act{ActionID: "deploy_yes", Value: "a<b>"}, 1},
			{"action", payload.Act{ActionID: "deploy_yes", Value: "api"}, 1},
			{"action", payload.Act{ActionID: "deploy_no", Value: "api"}, 1},
			{"message", payload.Act{Text: "Hello there"}, 1},
			{"mention", payload.Act{Text: "<@U0STARLING> HELP"}, 1},
			{"reaction", payload.Act{Emoji: "tada", TS: "17.000001"}, 1},
		},
		"form": {
			{"command", payload.Act{Command: "/incident"}, 0},
			{"action", payload.Act{ActionID: "incident_report"}, 1},
			report(payload.Object{"what": "db", "severity": "minor"}),
			report(payload.Object{"what": "The database is slow", "severity": "critical"}),
			posted,
			{"home", payload.Act{}, 1},
			{"action", payload.Act{ActionID: "incident_resolve", Value: "open.1"}, 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			star := through(t, "../../examples/"+name, acts)
			lua := through(t, "../../examples/"+name+"-lua", acts)
			if d := cmp.Diff(star, lua); d != "" {
				t.Errorf("answers, then calls of Slack (-Starlark +Lua):\n%s", d)
			}
		})
	}
}
