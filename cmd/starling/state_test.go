package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestHundredUpdatesAtOnceAcrossKillNine holds that a hundred runs that change
// one key with a function are each there once, in both languages, though the
// server is killed under them again and again.
func TestHundredUpdatesAtOnceAcrossKillNine(t *testing.T) {
	slow(t)
	slack, rules, data := newFakeSlack(t), t.TempDir(), t.TempDir()
	writeFile(t, filepath.Join(rules, "a.star"), `
def up(e):
    seen = kv.update("seen", lambda old: old + [e.text], default=[])
    kv.shared.update("n", lambda n: (n or 0) + 1)
    post(e.channel, "star " + e.text)
on.message("^up", up)
on.message("^show", lambda e: post("C9", "seen " + " ".join(kv.get("seen", []))))
on.message("^show", lambda e: post("C9", "shared %d" % kv.shared.get("n")))
`)
	writeFile(t, filepath.Join(rules, "b.lua"), `
on.message("^up", function(e)
  kv.update("seen", function(old)
    old[#old + 1] = e.text
    return old
  end, {default = {}})
  kv.shared.update("n", function(n) return (n or 0) + 1 end)
  post(e.channel, "lua " .. e.text)
end)
on.message("^show", function(e) post("C9", "lua seen " .. table.concat(kv.get("seen"), " ")) end)
`)
	const all = 100
	var mu sync.Mutex
	left := map[int]bool{}
	for i := range all {
		left[i+1] = true
	}
	text := func(id int) string { return fmt.Sprintf("up%d", id) }
	for round := 0; len(left) > 0 || round < 4; round++ {
		p := start(t, slack, rules, data)
		die := make(chan struct{})
		time.AfterFunc(time.Duration(20+rand.IntN(300))*time.Millisecond, func() {
			_ = p.cmd.Process.Signal(syscall.SIGKILL)
			close(die)
		})
		client := &http.Client{Timeout: 5 * time.Second}
		var each sync.WaitGroup
		mu.Lock()
		for id := range left {
			each.Go(func() {
				if status, _ := send(client, p.listen, "/slack/events", "application/json", messageEvent(id, text(id))); status == http.StatusOK {
					mu.Lock()
					delete(left, id)
					mu.Unlock()
				}
			})
		}
		mu.Unlock()
		each.Wait()
		<-die
		_ = p.cmd.Wait()
		client.CloseIdleConnections()
	}
	c := serve(t, slack, rules, data).ready()
	c.until("all runs are over", func() bool {
		for id := 1; id <= all; id++ {
			if slack.times("star "+text(id)) == 0 || slack.times("lua "+text(id)) == 0 {
				return false
			}
		}
		return true
	})
	c.message(9999, "show")
	var want []string
	for id := 1; id <= all; id++ {
		want = append(want, text(id))
	}
	sort.Strings(want)
	for _, head := range []string{"seen ", "lua seen "} {
		var got []string
		c.until(head+"is shown", func() bool {
			for shown := range slack.texts() {
				if list, ok := strings.CutPrefix(shown, head); ok {
					got = strings.Fields(list)
				}
			}
			return got != nil
		})
		sort.Strings(got)
		if strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("%s%d updates: %v", head, len(got), got)
		}
	}
	c.until("what both change is shown", func() bool { return slack.times("shared 200") == 1 })
}

// TestConversationsInterleaveAcrossARestart is two people who fill in a form
// each, one line after the other, while the server is stopped between.
func TestConversationsInterleaveAcrossARestart(t *testing.T) {
	slow(t)
	slack, rules, data := newFakeSlack(t), t.TempDir(), t.TempDir()
	writeFile(t, filepath.Join(rules, "order.star"), `
def order(e):
    conversation.set("step", "size", ttl="1h")
    return "what size?"

def step(e):
    at = conversation.get("step")
    if at == "size":
        conversation.update(lambda s: {"step": "city", "size": e.text})
        return "to what city?"
    if at == "city":
        size = conversation.get("size")
        conversation.delete()
        return "%s for <@%s> to %s" % (size, e.user, e.text)

on.message("^order$", order, stop=True)
on.message("", step)
`)
	writeFile(t, filepath.Join(rules, "count.lua"), `
on.message("", function(e)
  local s = conversation.update(function(s) return {n = (s.n or 0) + 1} end)
  post(e.channel, e.user .. " said " .. s.n)
end)
`)
	c := serve(t, slack, rules, data).ready()
	n := 0
	say := func(user, text, answer string) {
		t.Helper()
		n++
		before := slack.times(answer)
		body := strings.ReplaceAll(string(messageEvent(7*n, text)), `"U1"`, `"`+user+`"`)
		if status, _ := send(http.DefaultClient, c.listen, "/slack/events", "application/json", []byte(body)); status != http.StatusOK {
			t.Fatalf("status %d", status)
		}
		c.until(answer, func() bool { return slack.times(answer) > before })
	}
	say("U1", "order", "what size?")
	say("U2", "order", "what size?")
	say("U2", "small", "to what city?")
	c.signal(syscall.SIGTERM)
	c.exits(0)
	c = serve(t, slack, rules, data).ready()
	say("U1", "large", "to what city?")
	say("U1", "Oslo", "large for <@U1> to Oslo")
	say("U2", "Rome", "small for <@U2> to Rome")
	say("U2", "hello", "U2 said 4")
	say("U1", "hello", "U1 said 4")
}

// TestStateThroughTheServer holds that what an operator does through the admin
// port and what rules do go together: values, quotas, archives.
func TestStateThroughTheServer(t *testing.T) {
	slow(t)
	slack, rules, data := newFakeSlack(t), t.TempDir(), t.TempDir()
	writeFile(t, filepath.Join(rules, "a.star"), `
def put(e):
    kv.set(e.text, 1)
    post(e.channel, "stored " + e.text)
on.message("^k", put)

def up(e):
    post(e.channel, "n is %d" % kv.update("n", lambda n: n + 1, default=0))
on.message("^up", up)
on.error(lambda e: post("C9", "failed: " + str(e.raw)))
`)
	conf := filepath.Join(t.TempDir(), "starling.yaml")
	writeFile(t, conf, "limits: {kv_keys: 3}\n")
	c := serve(t, slack, rules, data, "--config", conf).ready()
	at := func(args ...string) []string { return append(args, "--admin", c.admin) }
	good(t, at("kv", "set", "n", "41", "--script", "a.star")...)
	c.message(1, "up")
	c.until("the rule goes on from what the operator set", func() bool { return slack.times("n is 42") == 1 })
	if out := good(t, at("kv", "get", "n", "--script", "a.star")...); out != "42\n" {
		t.Errorf("kv get: %q", out)
	}
	before := good(t, at("backup")...)
	c.message(2, "k1")
	c.message(3, "k2")
	c.until("two keys more are stored", func() bool { return slack.times("stored k1") == 1 && slack.times("stored k2") == 1 })
	c.message(4, "k3")
	c.until("a fourth is refused, and counted", func() bool {
		_, m := c.ask("/metrics")
		return strings.Contains(m, `starling_kv_refused_total{limit="kv_keys",script="a.star"} 1`) && strings.Contains(m, `starling_kv_keys{script="a.star"} 3`)
	})
	c.prints("the script keeps 3 keys, and limits.kv_keys is 3: delete some, or give them a ttl")
	good(t, at("kv", "delete", "k1", "--script", "a.star")...)
	c.message(5, "k4")
	c.until("there is room again", func() bool { return slack.times("stored k4") == 1 })
	file := filepath.Join(t.TempDir(), "b.json")
	writeFile(t, file, before)
	if out := good(t, at("backup", "restore", file, "--dry-run", "--replace")...); !strings.Contains(out, "delete  kv a.star k2\n") || !strings.Contains(out, "1 the same") {
		t.Errorf("differences:\n%s", out)
	}
	good(t, at("backup", "restore", file, "--replace")...)
	// The same, but for when they were written, is in an archive of the server
	// and of the data directory after it.
	records := func(text string) string { _, list, _ := strings.Cut(text, `"records":`); return list }
	if got := good(t, at("backup")...); records(got) != records(before) || !strings.Contains(before, `"key":"n","value":42}`) {
		t.Errorf("restored:\n%s\nwant\n%s", got, before)
	}
	bad(t, 3, "in use", "backup", "--data", data, "--admin", freeAddress(t))
	c.signal(syscall.SIGTERM)
	c.exits(0)
	if got := good(t, "backup", "--data", data, "--admin", freeAddress(t)); records(got) != records(before) {
		t.Errorf("without the server:\n%s\nwant\n%s", got, before)
	}
}
