package sim

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// naps records what the server would have waited.
type naps struct {
	mu   sync.Mutex
	took []time.Duration
}

func (n *naps) sleep(ctx context.Context, d time.Duration) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.took = append(n.took, d)
	return ctx.Err()
}

func TestEventsAreRetriedOnSlacksSchedule(t *testing.T) {
	t.Parallel()
	n := &naps{}
	s := newSlack(t, func(o *Options) { o.Sleep = n.sleep })
	s.app.reply(func(w http.ResponseWriter, _ delivered) { w.WriteHeader(http.StatusInternalServerError) })
	s.say("C0OPS", "again and again")
	var ids []any
	for i, num := range []string{"", "1", "2", "3"} {
		d := s.app.next()
		reason := ""
		if i > 0 {
			reason = "http_error"
		}
		if got := d.header.Get("X-Slack-Retry-Num"); got != num {
			t.Errorf("attempt %d: X-Slack-Retry-Num %q, want %q", i, got, num)
		}
		if got := d.header.Get("X-Slack-Retry-Reason"); got != reason {
			t.Errorf("attempt %d: X-Slack-Retry-Reason %q, want %q", i, got, reason)
		}
		ids = append(ids, d.json["event_id"])
	}
	if len(slices.Compact(ids)) != 1 {
		t.Errorf("event_id changed: %v", ids)
	}
	s.out.wg.Wait()
	s.app.none()
	if want := []time.Duration{500 * time.Millisecond, time.Minute, 5 * time.Minute}; !slices.Equal(n.took, want) {
		t.Errorf("waited %v, want %v", n.took, want)
	}
	if d := s.Deliveries(); len(d) != 4 || d[3].Attempt != 3 || d[3].Status != 500 || d[3].Error != "http_error" {
		t.Errorf("deliveries %+v", d)
	}
}

func TestRetriesEnd(t *testing.T) {
	t.Parallel()
	t.Run("with X-Slack-No-Retry", func(t *testing.T) {
		t.Parallel()
		s := newSlack(t)
		s.app.reply(func(w http.ResponseWriter, _ delivered) {
			w.Header().Set("X-Slack-No-Retry", "1")
			w.WriteHeader(http.StatusBadRequest)
		})
		s.say("C0OPS", "once")
		s.app.next()
		s.out.wg.Wait()
		s.app.none()
	})
	t.Run("with success", func(t *testing.T) {
		t.Parallel()
		s := newSlack(t)
		s.SetFaults(Faults{LostAcks: 1})
		s.say("C0OPS", "twice")
		s.app.next()
		if d := s.app.next(); d.header.Get("X-Slack-Retry-Reason") != "http_timeout" {
			t.Errorf("headers %v", d.header)
		}
		s.out.wg.Wait()
		s.app.none()
	})
}

func TestRedirectsAreFollowedTwice(t *testing.T) {
	t.Parallel()
	s := newSlack(t)
	s.app.reply(func(w http.ResponseWriter, _ delivered) {
		w.Header().Set("Location", s.app.url)
		w.WriteHeader(http.StatusTemporaryRedirect)
	})
	s.say("C0OPS", "round")
	for range 4 { // the first attempt and two redirects, then a retry
		s.app.next()
	}
	if d := s.Deliveries()[0]; d.Error != "too_many_redirects" {
		t.Errorf("delivery %+v", d)
	}
}

func TestEventsOfOneChannelArriveInOrder(t *testing.T) {
	t.Parallel()
	s := newSlack(t)
	var want, got []string
	for i := range 40 {
		want = append(want, strings.Repeat("x", i+1))
		s.say("C0OPS", want[i])
	}
	for range want {
		text, _ := s.app.next().event()["text"].(string)
		got = append(got, text)
	}
	if !slices.Equal(got, want) {
		t.Errorf("order %q", got)
	}
}

func TestUnreachableAppIsReported(t *testing.T) {
	t.Parallel()
	s := newSlack(t, func(o *Options) { o.EventsURL = "http://127.0.0.1:1/" })
	s.say("C0OPS", "/x")
	if got := s.last("C0OPS").Text; got != `/x failed with the error "dispatch_failed"` {
		t.Errorf("shown %q", got)
	}
	if d := s.Deliveries()[0]; d.Error != "connection_failed" || d.Status != 0 {
		t.Errorf("delivery %+v", d)
	}
}

func TestSignatureIsSlacksPublishedExample(t *testing.T) {
	t.Parallel()
	body := "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
	got := Sign("8f742231b10e8888abcd99yyyzzz85a5", "1531420618", []byte(body))
	if want := "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// samples finds payloads that Slack's own SDKs are tested with, if they are
// beside the checkout.
func samples(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		at := filepath.Join(filepath.Dir(dir), "shared", "slack-samples")
		if _, err := os.Stat(at); err == nil {
			return at
		}
	}
	t.Skip("../shared/slack-samples is not beside this checkout: payload shapes are not compared")
	return ""
}

// common returns the keys that every sample of a kind has, apart from those
// that only some workspaces see.
func common(t *testing.T, pattern string, inner string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no samples match %s (%v)", pattern, err)
	}
	count, n := map[string]int{}, 0
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var b Block
		if json.Unmarshal(raw, &b) != nil {
			continue
		}
		if inner != "" {
			b, _ = b[inner].(Block)
		}
		if b == nil {
			continue
		}
		n++
		for k := range b {
			count[k]++
		}
	}
	var keys []string
	for k, c := range count {
		if c == n {
			keys = append(keys, k)
		}
	}
	return keys
}

func TestPayloadsHaveTheKeysOfSlacks(t *testing.T) {
	t.Parallel()
	dir := samples(t)
	s := newSlack(t)
	ts := s.say("C0OPS", "@starling hello")
	message, mention := s.app.next(), s.app.next()
	post, _ := s.ok("chat.postMessage", Block{"channel": "C0OPS", "text": "?", "blocks": []Block{buttons("go")}})["ts"].(string)
	s.app.next()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	got := map[string]Block{"events/envelopes/message--*": message.json, "events/envelopes/app_mention--*": mention.json}
	must(s.Click(t.Context(), Click{User: "U0ADA", Channel: "C0OPS", TS: post, ActionID: "go"}))
	got["interactive/payloads/block_actions--*"] = s.app.next().json
	search := modalView("Search", "reason")
	search["blocks"] = []Block{{"type": "input", "label": Block{"text": "Find"}, "element": Block{"type": "external_select", "action_id": "find"}}}
	_, err := s.Suggest(t.Context(), Click{User: "U0ADA", View: s.open(search), ActionID: "find", Value: "x"})
	must(err)
	got["interactive/payloads/block_suggestion--*"] = s.app.next().json
	must(s.Shortcut(t.Context(), "U0ADA", "s"))
	got["interactive/payloads/shortcut--*"] = s.app.next().json
	must(s.MessageAction(t.Context(), Target{"U0ADA", "C0OPS", ts}, "m"))
	got["interactive/payloads/message_action--*"] = s.app.next().json
	id := s.open(modalView("One", "reason"))
	_, err = s.Submit(t.Context(), Submission{User: "U0ADA", View: id, Values: Block{"text": "x"}})
	must(err)
	got["interactive/payloads/view_submission--*"] = s.app.next().json
	must(s.CloseView(t.Context(), "U0ADA", s.open(modalView("One", "reason")), false))
	got["interactive/payloads/view_closed--*"] = s.app.next().json
	must(s.React(Target{"U0ADA", "C0OPS", ts}, "eyes", false))
	got["events/envelopes/reaction_added--*"] = s.app.next().json
	must(s.EditMessage(Target{"U0ADA", "C0OPS", ts}, "changed"))
	got["events/envelopes/message.message_changed--*"] = s.app.next().json
	for kind, b := range got {
		pattern := filepath.Join(dir, filepath.FromSlash(kind))
		for _, k := range common(t, pattern, "") {
			if _, ok := b[k]; !ok && k != "enterprise_id" { // only in an enterprise
				t.Errorf("%s: %s is missing", kind, k)
			}
		}
		for _, part := range []string{"event", "user", "view", "container", "message"} {
			in, ok := b[part].(Block)
			if !ok {
				continue
			}
			for _, k := range common(t, pattern, part) {
				if _, ok := in[k]; !ok {
					t.Errorf("%s: %s.%s is missing", kind, part, k)
				}
			}
		}
	}
	s.app.says("", "")
	s.say("C0OPS", "/x y")
	form := s.app.next().form
	files, err := filepath.Glob(filepath.Join(dir, "commands", "command_*.form"))
	must(err)
	for _, f := range files {
		raw, err := os.ReadFile(f)
		must(err)
		for pair := range strings.SplitSeq(string(raw), "&") {
			k, _, _ := strings.Cut(pair, "=")
			if !form.Has(k) && !strings.HasPrefix(k, "enterprise") && !strings.HasPrefix(k, "channel_") {
				t.Errorf("%s has %s, a command of ours has not", filepath.Base(f), k)
			}
		}
	}
}

func TestTracesReachTheStreamAndTheSnapshot(t *testing.T) {
	t.Parallel()
	s := newSlack(t)
	var _ Inspector = s.Server
	s.TraceEvent(EventTrace{ID: "Ev1", Kind: "message"})
	s.TraceRun(RunTrace{ID: "r1", EventID: "Ev1", Outcome: "waiting"})
	s.TraceRun(RunTrace{ID: "r1", EventID: "Ev1", Outcome: "done", Effects: []EffectTrace{{Step: 1, Kind: "post", Args: json.RawMessage("{broken")}}})
	snap := s.Snapshot()
	if len(snap.Runs) != 1 || snap.Runs[0].Outcome != "done" || snap.Runs[0].Effects[0].Error == "" || len(snap.Events) != 1 {
		t.Errorf("snapshot %+v %+v", snap.Events, snap.Runs)
	}
	changes, _, ok := s.world.log.since(0)
	if !ok || len(changes) != 3 || changes[2].Kind != "run" {
		t.Errorf("changes %v", changes)
	}
}

func TestStreamResumesAndResets(t *testing.T) {
	t.Parallel()
	s := newSlack(t)
	s.say("C0OPS", "one")
	s.app.next()
	read := func(after string) func(string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.web.URL+"/sim/stream?after="+after, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := s.web.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = res.Body.Close() })
		seen := ""
		return func(want string) {
			t.Helper()
			buf := make([]byte, 4096)
			for !strings.Contains(seen, want) {
				n, err := res.Body.Read(buf)
				seen += string(buf[:n])
				if err != nil && err != io.EOF || n == 0 && err != nil {
					t.Fatalf("stream ended with %v before %q: %s", err, want, seen)
				}
			}
		}
	}
	from := read("0")
	from(`"text":"one"`)
	s.say("C0OPS", "two")
	from(`"text":"two"`)
	read("999999")("event: reset")
}

func TestSlowReaderIsReset(t *testing.T) {
	t.Parallel()
	l := newChangeLog(8)
	for range 100 {
		l.add("x", 1)
	}
	if _, _, ok := l.since(0); ok {
		t.Error("forgotten changes were promised")
	}
	changes, _, ok := l.since(97)
	if !ok || len(changes) != 3 || changes[0].Seq != 98 {
		t.Errorf("changes %v, %v", changes, ok)
	}
}
