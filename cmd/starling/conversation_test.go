package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/sim"
)

// conversation is a person in the local Slack of `starling dev --slack-only`
// who talks with an app that another program is.
type conversation struct {
	t      *testing.T
	slack  *child
	app    *child
	url    string
	socket bool // the app uses Socket Mode
}

var localAddress = regexp.MustCompile(`Local Slack: +(\S+)`)

// startLocalSlack starts the program; events is the address of an app that
// takes them over HTTP, "" for Socket Mode.
func startLocalSlack(t *testing.T, events string) *conversation {
	t.Helper()
	args := []string{"dev", "--slack-only", "--page", freeAddress(t)}
	if events != "" {
		args = append(args, "--events", events)
	}
	c := &conversation{t: t, slack: run(t, nil, args...), socket: events == ""}
	c.slack.prints("Stop with Ctrl-C")
	c.url = localAddress.FindStringSubmatch(c.slack.out.String())[1]
	return c
}

// appEnv is what an app is configured with.
func (c *conversation) appEnv() []string {
	env := []string{
		"SLACK_API_URL=" + c.url + "/api/", "SLACK_BOT_TOKEN=" + sim.DevBotToken, "SLACK_SIGNING_SECRET=" + sim.DevSigningSecret,
		"HOME=" + os.Getenv("HOME"),
	}
	if c.socket {
		env = append(env, "SLACK_APP_TOKEN="+sim.DevAppToken)
	}
	return env
}

// act does something in the local Slack, as its page does it.
func (c *conversation) act(name string, body map[string]any) map[string]any {
	c.t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		c.t.Fatal(err)
	}
	res, err := http.Post(c.url+"/sim/"+name, "application/json", bytes.NewReader(raw))
	if err != nil {
		c.t.Fatalf("%s: %v", name, err)
	}
	defer res.Body.Close()
	var out map[string]any
	if err := json.NewDecoder(res.Body).Decode(&out); err != nil || out["ok"] != true {
		c.t.Fatalf("%s %s: HTTP %d %v %v", name, raw, res.StatusCode, out, err)
	}
	return out
}

func (c *conversation) state() sim.Snapshot {
	c.t.Helper()
	res, err := http.Get(c.url + "/sim/state")
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	var s sim.Snapshot
	if err := json.Unmarshal(raw, &s); err != nil {
		c.t.Fatal(err)
	}
	return s
}

// say writes as Ada and returns the message's ts.
func (c *conversation) say(channel, text string) string {
	c.t.Helper()
	ts, _ := c.act("message", map[string]any{"user": "U0ADA", "channel": channel, "text": text})["ts"].(string)
	return ts
}

// command gives a slash command as Ada.
func (c *conversation) command(channel, name, text string) {
	c.t.Helper()
	c.act("command", map[string]any{"user": "U0ADA", "channel": channel, "command": name, "text": text})
}

// until waits for something that the app does.
func (c *conversation) until(what string, ok func(sim.Snapshot) bool) {
	c.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !ok(c.state()) {
		if time.Now().After(deadline) {
			c.t.Fatalf("never: %s\nthe app: %s\ndeliveries: %s", what, c.app.out.String(), c.deliveries())
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// deliveries lists the last that the app was told.
func (c *conversation) deliveries() string {
	var b strings.Builder
	all := c.state().Deliveries
	for _, d := range all[max(0, len(all)-5):] {
		fmt.Fprintf(&b, "\n%s %s attempt %d: %d %s %s", d.Kind, d.Type, d.Attempt, d.Status, d.Error, d.Answer)
	}
	return b.String()
}

// hears waits for a message of the app's with this text and returns it.
func (c *conversation) hears(channel, text string) sim.Message {
	c.t.Helper()
	var found sim.Message
	c.until(fmt.Sprintf("the app says %q in %s", text, channel), func(s sim.Snapshot) bool {
		list := s.Messages[channel]
		for _, m := range slices.Backward(list) {
			if m.Text == text && m.BotID != "" {
				found = m
				return true
			}
		}
		return false
	})
	return found
}

// modal waits for the modal on top of Ada's.
func (c *conversation) modal() *sim.View {
	c.t.Helper()
	var v *sim.View
	c.until("a modal opens", func(s sim.Snapshot) bool {
		stack := s.Modals["U0ADA"]
		if len(stack) > 0 {
			v = stack[len(stack)-1]
		}
		return v != nil
	})
	return v
}

func (c *conversation) faults(f map[string]any) {
	c.t.Helper()
	c.act("faults", f)
}

// menu makes the app post its menu and returns the message's ts.
func (c *conversation) menu(channel string) string {
	c.t.Helper()
	c.command(channel, "/menu", "")
	return c.hears(channel, "What shall it be?").TS
}

func on(channel, ts, action string) map[string]any {
	return map[string]any{"user": "U0ADA", "channel": channel, "ts": ts, "action_id": action}
}

func with(body map[string]any, key string, value any) map[string]any {
	body[key] = value
	return body
}

// optionTexts are the values that /sim/suggest answered.
func optionTexts(out map[string]any) (values []string) {
	list, _ := out["options"].([]any)
	for _, o := range list {
		m, _ := o.(map[string]any)
		v, _ := m["value"].(string)
		values = append(values, v)
	}
	return values
}

// talk holds the whole conversation: the same with every app.
func (c *conversation) talk(t *testing.T) {
	for _, step := range []struct {
		name string
		do   func(c *conversation)
	}{
		{"message", talkMessage},
		{"mention", talkMention},
		{"command", talkCommand},
		{"button", talkButton},
		{"options", talkOptions},
		{"modal", talkModal},
		{"shortcuts", talkShortcuts},
		{"reaction", talkReaction},
		{"thread", talkThread},
		{"ephemeral", talkEphemeral},
		{"home", talkHome},
		{"429", talkRateLimit},
		{"errors", talkErrors},
		{"retry", talkRetry},
		{"trigger_id", talkTrigger},
		{"response_url", talkResponseURL},
		{"reconnect", talkReconnect},
	} {
		t.Run(step.name, func(t *testing.T) {
			start := time.Now()
			in := *c
			in.t = t
			step.do(&in)
			t.Logf("took %s", time.Since(start).Round(time.Millisecond))
		})
	}
}

func talkMessage(c *conversation) {
	c.say("#general", "hello out there")
	c.hears("C0GENERAL", "Hello <@U0ADA>!")
}

func talkMention(c *conversation) {
	c.say("#ops", "@starling how are you?")
	c.hears("C0OPS", "You said: how are you?")
}

func talkCommand(c *conversation) {
	c.command("#random", "/echo", "a & b <c>")
	c.hears("C0RANDOM", "Echo: a &amp; b &lt;c&gt;")
}

func talkButton(c *conversation) {
	ts := c.menu("C0RANDOM")
	c.act("click", on("C0RANDOM", ts, "yes"))
	if m := c.hears("C0RANDOM", "ada chose y-1"); m.TS != ts || len(m.Blocks) != 0 {
		c.t.Errorf("the message became %+v", m)
	}
}

func talkOptions(c *conversation) {
	ts := c.menu("C0OPS")
	if got := optionTexts(c.act("suggest", with(on("C0OPS", ts, "fruit"), "value", "ap"))); !slices.Equal(got, []string{"apple", "apricot"}) {
		c.t.Errorf("options %q", got)
	}
	c.act("click", with(on("C0OPS", ts, "fruit"), "value", "apricot"))
	c.hears("C0OPS", "Fruit: apricot")
}

func talkModal(c *conversation) {
	ts := c.menu("C0DEPLOYS")
	c.act("click", on("C0DEPLOYS", ts, "form"))
	v := c.modal()
	submit := func(values map[string]any) any {
		c.t.Helper()
		return c.act("submit", map[string]any{"user": "U0ADA", "view_id": v.ID, "values": values})["errors"]
	}
	if got := fmt.Sprint(submit(map[string]any{})); !strings.Contains(got, "Please complete") {
		c.t.Errorf("an empty field: %s", got)
	}
	if got := fmt.Sprint(submit(map[string]any{"n": "many"})); got != "map[count:Please enter a number.]" {
		c.t.Errorf("errors of the app: %s", got)
	}
	if again := c.modal(); again.ID != v.ID || again.Errors["count"] == "" {
		c.t.Errorf("the modal is %+v", again)
	}
	if got := optionTexts(c.act("suggest", map[string]any{"user": "U0ADA", "view_id": v.ID, "action_id": "fruit", "value": "b"})); !slices.Equal(got, []string{"banana"}) {
		c.t.Errorf("options in the modal %q", got)
	}
	if got := submit(map[string]any{"n": "3", "fruit": "banana"}); got != nil {
		c.t.Errorf("good values: %v", got)
	}
	c.hears("C0RANDOM", "<@U0ADA> ordered 3 banana (m-1)")
	if left := c.state().Modals["U0ADA"]; len(left) != 0 {
		c.t.Errorf("%d modals are open", len(left))
	}
	c.act("click", on("C0DEPLOYS", ts, "form"))
	c.act("close", map[string]any{"user": "U0ADA", "view_id": c.modal().ID})
	c.hears("C0RANDOM", "Order dropped.")
}

func talkShortcuts(c *conversation) {
	c.act("shortcut", map[string]any{"user": "U0ADA", "callback_id": "start"})
	c.act("close", map[string]any{"user": "U0ADA", "view_id": c.modal().ID})
	ts := c.say("#ops", "to be or not")
	c.act("message_action", map[string]any{"user": "U0ADA", "channel": "C0OPS", "ts": ts, "callback_id": "quote"})
	c.hears("C0OPS", "Quoted: to be or not")
}

func talkReaction(c *conversation) {
	ts := c.say("#ops", "look at this")
	c.act("react", map[string]any{"user": "U0ADA", "channel": "C0OPS", "ts": ts, "name": "eyes"})
	c.until("the app reacts", func(s sim.Snapshot) bool {
		for _, m := range s.Messages["C0OPS"] {
			for _, r := range m.Reactions {
				if m.TS == ts && r.Name == "white_check_mark" && slices.Equal(r.Users, []string{"U0STARLING"}) {
					return true
				}
			}
		}
		return false
	})
}

func talkThread(c *conversation) {
	ts := c.say("#general", "answer in a thread")
	if m := c.hears("C0GENERAL", "In here."); m.ThreadTS != ts {
		c.t.Errorf("thread_ts %q, want %q", m.ThreadTS, ts)
	}
	c.act("message", map[string]any{"user": "U0ADA", "channel": "#general", "text": "and more", "thread_ts": ts})
	if m := c.hears("C0GENERAL", "More of U0ADA."); m.ThreadTS != ts {
		c.t.Errorf("thread_ts %q, want %q", m.ThreadTS, ts)
	}
}

func talkEphemeral(c *conversation) {
	c.say("#general", "a secret")
	if m := c.hears("C0GENERAL", "Only you see this."); m.Viewer != "U0ADA" {
		c.t.Errorf("it is seen by %q", m.Viewer)
	}
}

func talkHome(c *conversation) {
	c.act("home", map[string]any{"user": "U0ADA"})
	c.until("the home is there", func(s sim.Snapshot) bool { return s.Homes["U0ADA"] != nil })
}

// calls are those of a method with this text, or all if it is empty.
func calls(s sim.Snapshot, method, text string) (out []sim.Call) {
	for _, call := range s.Calls {
		if call.Method == method && (text == "" || call.Args["text"] == text) {
			out = append(out, call)
		}
	}
	return out
}

func talkRateLimit(c *conversation) {
	c.faults(map[string]any{"rate_limit": map[string]any{"chat.postMessage": 1}, "retry_after": 1})
	c.say("#general", "say slowly")
	c.hears("C0GENERAL", "Slowly said.")
	got := calls(c.state(), "chat.postMessage", "Slowly said.")
	if len(got) != 2 || got[0].Status != http.StatusTooManyRequests || got[0].Error != "ratelimited" || !got[1].OK {
		c.t.Fatalf("calls %+v", got)
	}
	if waited := got[1].At.Sub(got[0].At); waited < 900*time.Millisecond {
		c.t.Errorf("Retry-After is a second, the app waited %s", waited)
	}
	c.faults(nil)
}

func talkErrors(c *conversation) {
	c.faults(map[string]any{"missing_scope": map[string]any{"users.list": "users:read"}})
	c.say("#general", "no scope")
	c.hears("C0GENERAL", "missing_scope: needed users:read")
	c.faults(nil)
	c.say("#general", "nowhere")
	c.hears("C0GENERAL", "channel_not_found")
}

// An event whose ack gets lost comes again: at once, after a minute, after five.
func talkRetry(c *conversation) {
	reason := "http_timeout"
	if c.socket {
		reason = "timeout"
	}
	c.faults(map[string]any{"lost_acks": -1})
	c.say("#general", "attempt")
	c.hears("C0GENERAL", "attempt 0")
	c.hears("C0GENERAL", "attempt 1 "+reason)
	c.until("the loss of the second ack is seen", func(s sim.Snapshot) bool {
		return slices.ContainsFunc(s.Deliveries, func(d sim.Delivery) bool {
			return d.Attempt == 1 && d.Error != "" && strings.Contains(d.Payload, `"text":"attempt"`)
		})
	})
	c.faults(map[string]any{"lost_acks": 0})
	c.act("clock", map[string]any{"advance": "61s"})
	c.hears("C0GENERAL", "attempt 2 "+reason)
}

// A trigger_id works once, for three seconds.
func talkTrigger(c *conversation) {
	for try := 1; ; try++ { // three seconds may go by on a busy machine
		c.command("#ops", "/keep", "")
		ts := c.say("#ops", "open now")
		var got string
		c.until("the app has tried", func(s sim.Snapshot) bool {
			for _, m := range s.Messages["C0OPS"] {
				if m.TS > ts && strings.HasPrefix(m.Text, "Open: ") {
					got = m.Text
				}
			}
			return got != ""
		})
		if got == "Open: ok exchanged_trigger_id" {
			break
		}
		if try == 5 {
			c.t.Fatalf("the app says %q", got)
		}
	}
	c.act("close", map[string]any{"user": "U0ADA", "view_id": c.modal().ID})
	c.command("#deploys", "/keep", "")
	c.act("clock", map[string]any{"advance": "4s"})
	c.say("#deploys", "open now")
	c.hears("C0DEPLOYS", "Open: expired_trigger_id expired_trigger_id")
}

// A response URL works five times, for half an hour.
func talkResponseURL(c *conversation) {
	c.command("#general", "/many", "")
	c.hears("C0GENERAL", "Responses: ok ok ok ok ok 404")
	uses := calls(c.state(), "response_url", "use 6")
	if len(uses) != 1 || uses[0].Status != http.StatusNotFound || uses[0].Error != "used_url" {
		c.t.Errorf("the sixth use: %+v", uses)
	}
	c.command("#general", "/keep", "")
	c.act("clock", map[string]any{"advance": "31m"})
	c.say("#general", "respond now")
	c.hears("C0GENERAL", "Respond: 404")
	if late := calls(c.state(), "response_url", "late"); len(late) != 1 || late[0].Error != "expired_url" {
		c.t.Errorf("the late use: %+v", late)
	}
}

// Connections come again after whatever ends them.
func talkReconnect(c *conversation) {
	if !c.socket {
		c.t.Skip("there are no connections over HTTP")
	}
	c.act("clock", map[string]any{"rate": 10}) // what finds no connection is not to wait for a minute
	for i, reason := range []string{"refresh_requested", "drop"} {
		c.act("disconnect", map[string]any{"reason": reason})
		c.say("#general", fmt.Sprintf("@starling still there %d?", i))
		c.hears("C0GENERAL", fmt.Sprintf("You said: still there %d?", i))
	}
}
