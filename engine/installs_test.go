package engine_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/install"
	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib"
)

var storeKey = strings.Repeat("7f", 32)

// workspaces is a Slack with several workspaces: it records with which token it
// is called.
type workspaces struct {
	*httptest.Server
	mu    sync.Mutex
	calls []string // token method arguments that matter
	// busy, if set, is told of a call and says with what status to answer it.
	busy func(token, method string) int
}

func newWorkspaces(t testing.TB) *workspaces {
	w := &workspaces{}
	w.Server = httptest.NewServer(http.HandlerFunc(w.serve))
	t.Cleanup(w.Close)
	return w
}

func (w *workspaces) serve(out http.ResponseWriter, r *http.Request) {
	args := arguments(r)
	method, token := strings.TrimPrefix(r.URL.Path, "/api/"), strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	w.mu.Lock()
	w.calls = append(w.calls, strings.TrimRight(fmt.Sprint(token, " ", method, " ", args["team_id"]), " <nil>"))
	busy := w.busy
	w.mu.Unlock()
	out.Header().Set("Content-Type", "application/json")
	if busy != nil {
		if status := busy(token, method); status != http.StatusOK {
			out.Header().Set("Retry-After", "1")
			out.WriteHeader(status)
			return
		}
	}
	_, _ = io.WriteString(out, `{"ok":true,"ts":"1700000001.000100","channel":"C1","members":[],"user_id":"U1"}`)
}

// all returns the calls so far, sorted, those of introductions left out.
func (w *workspaces) all() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := slices.DeleteFunc(slices.Clone(w.calls), func(c string) bool { return strings.Contains(c, " auth.test") || strings.Contains(c, " bots.info") })
	slices.Sort(out)
	return out
}

// newInstalledRig is a rig that keeps installations, with these.
func newInstalledRig(t testing.TB, files map[string]string, change func(*engine.Options), list ...*install.Installation) (*rig, *workspaces) {
	t.Helper()
	w := newWorkspaces(t)
	r := newRig(t, files, func(o *engine.Options) {
		o.Config.Slack.APIURL = w.URL + "/api/"
		o.Config.Installs.Keys = []string{storeKey}
		if change != nil {
			change(o)
		}
	})
	for _, in := range list {
		if _, err := r.Installs().Install(t.Context(), in); err != nil {
			t.Fatal(err)
		}
	}
	return r, w
}

// inTeam is app A1 in a workspace: its token is xoxb-TEAM, its bot UBOTTEAM.
func inTeam(team string) *install.Installation {
	return &install.Installation{
		App: "A1", Team: team, TeamName: "Team " + team, Bot: install.Grant{Token: install.Token("xoxb-" + team)}, BotUser: "UBOT" + team, BotID: "B" + team,
		Users: map[string]install.Grant{"U7": {Token: install.Token("xoxp-" + team)}}, Installer: "U7",
	}
}

func inOrg(enterprise string) *install.Installation {
	return &install.Installation{App: "A1", Enterprise: enterprise, OrgWide: true, Bot: install.Grant{Token: install.Token("xoxb-" + enterprise)}, BotUser: "UBOT" + enterprise, BotID: "B" + enterprise}
}

// delivery is the body of an event; outer fields come in pairs.
func delivery(id string, inner map[string]any, outer ...any) []byte {
	body := map[string]any{"type": "event_callback", "api_app_id": "A1", "event_id": "Ev" + id, "event_time": time.Now().Unix(), "event": inner}
	for i := 0; i+1 < len(outer); i += 2 {
		body[outer[i].(string)] = outer[i+1]
	}
	b, _ := json.Marshal(body)
	return b
}

func authorized(team, enterprise any, orgWide bool) []any {
	return []any{map[string]any{"team_id": team, "enterprise_id": enterprise, "is_bot": true, "user_id": "UBOT", "is_enterprise_install": orgWide}}
}

const callsBack = `
def hi(e):
    probe.see(team = e.team, bot = e.bot)
    slack_action("users.list")
    slack_action("chat.postMessage", channel = "C1", text = "hi")
on.message("hello", hi)
`

func TestEachTeamIsServedWithItsOwnToken(t *testing.T) {
	t.Parallel()
	r, w := newInstalledRig(t, map[string]string{"a.star": callsBack}, nil, inTeam("T1"), inTeam("T2"), inOrg("E9"))
	said := func(id string) map[string]any { return spoken(id, "hello") }
	for _, body := range [][]byte{
		delivery("1", said("1"), "team_id", "T1", "authorizations", authorized("T1", nil, false)),
		delivery("2", said("2"), "team_id", "T2"),
		delivery("3", said("3"), "team_id", "T91", "enterprise_id", "E9", "authorizations", authorized(nil, "E9", true)),
		// Slack Connect: a workspace that knows nothing of the app shares a channel with T2.
		delivery("4", said("4"), "team_id", "T404", "enterprise_id", "E404", "is_ext_shared_channel", true, "authorizations", authorized("T2", nil, false)),
	} {
		if status, answer := r.send("/slack/events", jsonBody, body); status != http.StatusOK {
			t.Fatalf("got %d %s", status, answer)
		}
	}
	var teams []string
	for _, seen := range r.wait(4) {
		teams = append(teams, seen.Text("team")+" "+seen.Text("bot"))
	}
	slices.Sort(teams)
	if want := []string{"T1 A1", "T2 A1", "T2 A1", "T91 A1"}; !slices.Equal(teams, want) {
		t.Errorf("rules saw %v, want %v", teams, want)
	}
	want := []string{
		"xoxb-E9 chat.postMessage", "xoxb-E9 users.list T91", "xoxb-T1 chat.postMessage", "xoxb-T1 users.list",
		"xoxb-T2 chat.postMessage", "xoxb-T2 chat.postMessage", "xoxb-T2 users.list", "xoxb-T2 users.list",
	}
	within(t, func() error {
		if got := w.all(); !slices.Equal(got, want) {
			return fmt.Errorf("got %v, want %v", got, want)
		}
		return nil
	})
}

func library(t testing.TB) *runtime.Library {
	t.Helper()
	lib, err := stdlib.Library()
	if err != nil {
		t.Fatal(err)
	}
	return lib
}

// within waits until check is content.
func within(t testing.TB, check func() error) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func TestEventsOfStrangersAreRefusedWithAReason(t *testing.T) {
	t.Parallel()
	r, w := newInstalledRig(t, map[string]string{"a.star": callsBack + `
on.command("/hi", lambda e: "hi")
`}, nil, inTeam("T1"), inOrg("E9"))
	stranger := delivery("1", spoken("1", "hello"), "team_id", "T404", "authorizations", authorized("T404", nil, false))
	for range 2 { // Slack may send it again
		if status, answer := r.send("/slack/events", jsonBody, stranger); status != http.StatusOK || answer != "" {
			t.Fatalf("got %d %s", status, answer)
		}
	}
	// The organisation has the app, but this workspace's event is for an installation of its own.
	r.send("/slack/events", jsonBody, delivery("2", spoken("2", "hello"), "team_id", "T91", "enterprise_id", "E9", "authorizations", authorized("T91", "E9", false)))
	form := url.Values{"command": {"/hi"}, "team_id": {"T404"}, "api_app_id": {"A1"}, "user_id": {"U1"}, "channel_id": {"C1"}, "trigger_id": {"t1"}}
	if status, answer := r.send("/slack/commands", formBody, []byte(form.Encode())); status != http.StatusOK || !strings.Contains(answer, "not installed in this workspace") {
		t.Errorf("command: got %d %q", status, answer)
	}
	r.send("/slack/events", jsonBody, delivery("3", spoken("3", "hello"), "team_id", "T1"))
	if seen := r.wait(1); len(seen) != 1 || seen[0].Text("team") != "T1" {
		t.Errorf("rules saw %v", seen)
	}
	if got := r.metric(t, `starling_events_not_installed_total{type="message"}`); got != "3" {
		t.Errorf("counted %s messages", got)
	}
	if got := r.metric(t, `starling_events_total{outcome="refused",transport="http",type="command"}`); got != "1" {
		t.Errorf("counted %s commands", got)
	}
	if log := r.log.String(); !strings.Contains(log, "nobody has installed the app there") || !strings.Contains(log, "team=T404") {
		t.Error("the log says nothing of it")
	}
	lines := r.Recent(t.Context(), 10)
	refused := map[string]string{}
	for _, l := range lines {
		refused[l.ID] = l.Refused
	}
	if !strings.Contains(refused["Ev1"], "no installation for app A1, team T404: not installed") || !strings.Contains(refused["Ev2"], "no org-wide installation") || refused["Ev3"] != "" {
		t.Errorf("recent events: %v", refused)
	}
	ev, _, err := event.ParseEvents(stranger, event.Meta{Via: "http"})
	if err != nil {
		t.Fatal(err)
	}
	rep, err := r.Explain(t.Context(), ev)
	if err != nil || !strings.Contains(strings.Join(rep.Notes, "\n"), "no rule sees it: event refused: no installation for app A1, team T404") {
		t.Errorf("explained: %+v, %v", rep, err)
	}
	for _, c := range w.all() {
		if !strings.HasPrefix(c, "xoxb-T1 ") {
			t.Errorf("called %s", c)
		}
	}
}

// metric returns the value of a line of the metrics.
func (r *rig) metric(t testing.TB, name string) string {
	t.Helper()
	res, err := http.Get("http://" + r.AdminAddr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func TestABotIsItselfInItsOwnWorkspaceAlone(t *testing.T) {
	t.Parallel()
	r, _ := newInstalledRig(t, map[string]string{"a.star": `
on.message("", lambda e: probe.see(id = e.id))
on.reaction("", lambda e: probe.see(id = e.id))
`}, nil, inTeam("T1"), inTeam("T2"))
	by := func(id, user string) map[string]any {
		inner := spoken(id, "x")
		inner["user"] = user
		return inner
	}
	reacts := func(user string) map[string]any {
		return map[string]any{"type": "reaction_added", "user": user, "reaction": "eyes", "item": map[string]any{"type": "message", "channel": "C1", "ts": "1.2"}, "event_ts": "3.4"}
	}
	for _, body := range [][]byte{
		delivery("own", by("1", "UBOTT1"), "team_id", "T1"),
		delivery("reaction", reacts("UBOTT2"), "team_id", "T2"),
		delivery("other", by("3", "UBOTT1"), "team_id", "T2"),
		delivery("otherreaction", reacts("UBOTT2"), "team_id", "T1"),
	} {
		r.send("/slack/events", jsonBody, body)
	}
	within(t, func() error {
		if n := r.Operator().Store.Stats().Pending; n > 0 {
			return fmt.Errorf("%d events pending", n)
		}
		return nil
	})
	var seen []string
	for _, one := range r.all() {
		seen = append(seen, one.Text("id"))
	}
	slices.Sort(seen)
	if !slices.Equal(seen, []string{"Evother", "Evotherreaction"}) {
		t.Errorf("rules saw %v", seen)
	}
}

const takesNote = `
def gone(e):
    res = slack_action("chat.postMessage", channel = "C1", text = "bye")
    probe.see(type = e.type, error = res.error, detail = getattr(res, "detail", ""))
on.event("app_uninstalled", gone)
on.event("tokens_revoked", gone)
on.message("hello", gone)
`

func TestRemovalsAreHeardInAnyOrder(t *testing.T) {
	t.Parallel()
	uninstalled := map[string]any{"type": "app_uninstalled"}
	tokens := map[string]any{"type": "tokens_revoked", "tokens": map[string]any{"oauth": []string{"U7"}, "bot": []string{"UBOTT1"}}}
	for name, order := range map[string][]map[string]any{
		"uninstalled first":   {uninstalled, tokens},
		"revoked first":       {tokens, uninstalled},
		"each of them twice":  {uninstalled, tokens, tokens, uninstalled},
		"revoked thrice, too": {tokens, tokens, uninstalled, tokens},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, w := newInstalledRig(t, map[string]string{"a.star": takesNote}, nil, inTeam("T1"), inTeam("T2"))
			id := install.ID{App: "A1", Place: "T1"}
			for i, inner := range order {
				if status, answer := r.send("/slack/events", jsonBody, delivery(fmt.Sprint(i), inner, "team_id", "T1")); status != http.StatusOK {
					t.Fatalf("got %d %s", status, answer)
				}
				if in, err := r.Installs().Get(t.Context(), id); err == nil && (in.Bot.Token != "" || len(in.Users) > 0) {
					t.Errorf("after %v there are tokens: %+v", inner, in)
				}
			}
			for _, seen := range r.wait(len(order)) {
				if seen.Text("error") != "not_authed" || !strings.Contains(seen.Text("detail"), "install") {
					t.Errorf("a call of the rule: %v", seen)
				}
			}
			if r.Installs().Count() != 1 {
				t.Errorf("%d installations are left", r.Installs().Count())
			}
			// T1 is a stranger now, T2 is not.
			r.send("/slack/events", jsonBody, delivery("late", spoken("1", "hello"), "team_id", "T1"))
			r.send("/slack/events", jsonBody, delivery("other", spoken("2", "hello"), "team_id", "T2"))
			seen := r.wait(len(order) + 1)
			if last := seen[len(order)]; len(seen) != len(order)+1 || last.Text("type") != "message" || last.Text("error") != "" {
				t.Errorf("rules saw %v", seen)
			}
			if got := w.all(); !slices.Equal(got, []string{"xoxb-T2 chat.postMessage"}) {
				t.Errorf("called %v", got)
			}
		})
	}
}

func TestOfAnOrganisationTheOrgWideInstallationIsRemoved(t *testing.T) {
	t.Parallel()
	r, _ := newInstalledRig(t, map[string]string{"a.star": takesNote}, nil, inTeam("T1"), inOrg("E9"))
	r.send("/slack/events", jsonBody, delivery("1", map[string]any{"type": "app_uninstalled"}, "team_id", "T91", "enterprise_id", "E9"))
	if r.Installs().Count() != 2 {
		t.Error("a workspace of the organisation has removed the app everywhere")
	}
	r.send("/slack/events", jsonBody, delivery("2", map[string]any{"type": "app_uninstalled"}, "enterprise_id", "E9"))
	if list := r.Installs().List(); len(list) != 1 || list[0].Team != "T1" {
		t.Errorf("left: %v", list)
	}
}

func TestWhatIsRevokedIsWhatIsNamed(t *testing.T) {
	t.Parallel()
	in := inTeam("T1")
	in.Users["U8"] = install.Grant{Token: "xoxp-u8"}
	r, _ := newInstalledRig(t, map[string]string{"a.star": takesNote}, nil, in)
	revoke := func(id string, at int64, oauth, bot []string) *install.Installation {
		t.Helper()
		r.send("/slack/events", jsonBody, delivery(id, map[string]any{"type": "tokens_revoked", "tokens": map[string]any{"oauth": oauth, "bot": bot}}, "team_id", "T1", "event_time", at))
		got, err := r.Installs().Get(t.Context(), in.ID())
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	now := time.Now().Unix()
	if got := revoke("1", now, []string{"U8", "U9"}, nil); len(got.Users) != 1 || !got.Bot.Usable() {
		t.Errorf("one user: %+v", got)
	}
	if got := revoke("2", now, nil, []string{"USOMEBODY"}); !got.Bot.Usable() {
		t.Errorf("another bot: %+v", got)
	}
	// Installed again meanwhile: an old event says nothing of the new token.
	again := inTeam("T1")
	again.Bot.Since, again.Installed = time.Now(), time.Now()
	if _, err := r.Installs().Install(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	if got := revoke("3", now-3600, nil, []string{"UBOTT1"}); !got.Bot.Usable() {
		t.Errorf("an old event: %+v", got)
	}
	r.send("/slack/events", jsonBody, delivery("4", map[string]any{"type": "app_uninstalled"}, "team_id", "T1", "event_time", now-3600))
	if r.Installs().Count() != 1 {
		t.Error("an old app_uninstalled removes a newer installation")
	}
	if got := revoke("5", now+1, nil, []string{"UBOTT1"}); got.Bot.Usable() || got.Bot.Revoked == "" {
		t.Errorf("the bot: %+v", got)
	}
}

func TestACallThatWaitsLearnsThatItsTokenIsGone(t *testing.T) {
	t.Parallel()
	r, w := newInstalledRig(t, map[string]string{"a.star": takesNote}, nil, inTeam("T1"))
	asked := make(chan struct{}, 10)
	w.mu.Lock()
	w.busy = func(_, method string) int {
		if method != "chat.postMessage" {
			return http.StatusOK
		}
		asked <- struct{}{}
		return http.StatusTooManyRequests
	}
	w.mu.Unlock()
	r.send("/slack/events", jsonBody, delivery("1", spoken("1", "hello"), "team_id", "T1"))
	<-asked
	r.send("/slack/events", jsonBody, delivery("2", map[string]any{"type": "app_uninstalled"}, "team_id", "T1"))
	for _, seen := range r.wait(2) {
		if seen.Text("error") != "not_authed" || !strings.Contains(seen.Text("detail"), "not installed") {
			t.Errorf("got %v", seen)
		}
	}
	if got := w.all(); len(got) != 1 {
		t.Errorf("called %v", got)
	}
}

func TestInstallationsOutliveTheServerEncrypted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	onDisk := func(o *engine.Options) { o.Config.Data = dir }
	r, _ := newInstalledRig(t, map[string]string{"a.star": callsBack}, onDisk, inTeam("T1"))
	r.send("/slack/events", jsonBody, delivery("1", spoken("1", "hello"), "team_id", "T1"))
	r.wait(1)
	r.stop()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if bytes.Contains(b, []byte("xoxb-")) || bytes.Contains(b, []byte("xoxp-")) || bytes.Contains(b, []byte(storeKey)) {
			t.Errorf("%s holds a token", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if log := r.log.String(); strings.Contains(log, "xoxb-") || strings.Contains(log, storeKey) {
		t.Error("the log holds a token")
	}
	for name, keys := range map[string][]string{"no key": nil, "another key": {strings.Repeat("11", 32)}} {
		cfg := *r.Operator().Config
		cfg.Installs.Keys = keys
		_, err := engine.New(t.Context(), engine.Options{Config: &cfg, Library: library(t), Pool: inProcess})
		if err == nil || !strings.Contains(err.Error(), "STARLING_KEY") {
			t.Errorf("%s: %v", name, err)
		}
	}
	r, w := newInstalledRig(t, map[string]string{"a.star": callsBack}, onDisk)
	r.send("/slack/events", jsonBody, delivery("2", spoken("2", "hello"), "team_id", "T1"))
	r.wait(1)
	within(t, func() error {
		if got := w.all(); !slices.Contains(got, "xoxb-T1 chat.postMessage") {
			return fmt.Errorf("called %v", got)
		}
		return nil
	})
}

func TestStrangersAreAckedOverSocketModeToo(t *testing.T) {
	t.Parallel()
	s, api := newSocketSlack(t)
	r, _ := newInstalledRig(t, map[string]string{"a.star": `
on.message("hello", lambda e: probe.see(team = e.team))
on.command("/hi", lambda e: "hi")
`}, s.only(api), inTeam("T1"))
	ws := s.greeted()
	deliver(ws, "events_api", "env-1", delivery("1", spoken("1", "hello"), "team_id", "T404"))
	if a := s.ack(); a.EnvelopeID != "env-1" {
		t.Errorf("got %+v", a)
	}
	deliver(ws, "slash_commands", "env-2", []byte(`{"command":"/hi","team_id":"T404","api_app_id":"A1","user_id":"U1","channel_id":"C1","trigger_id":"t1"}`))
	if a := s.ack(); a.EnvelopeID != "env-2" || !strings.Contains(string(a.Payload), "not installed in this workspace") {
		t.Errorf("got %s %s", a.EnvelopeID, a.Payload)
	}
	deliver(ws, "events_api", "env-3", delivery("3", spoken("3", "hello"), "team_id", "T1"))
	s.ack()
	if seen := r.wait(1); len(seen) != 1 || seen[0].Text("team") != "T1" {
		t.Errorf("rules saw %v", seen)
	}
	if got := r.metric(t, `starling_events_total{outcome="refused",transport="socket",type="message"}`); got != "1" {
		t.Errorf("counted %s", got)
	}
}
