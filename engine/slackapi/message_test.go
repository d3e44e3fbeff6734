package slackapi_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/slackapi"
	"github.com/starling-rules/starling/runtime"
)

func TestMessagesAreLookedUpInTheChannelAndInItsThreads(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var calls []string
		c := client(t, wire(func(method string, f url.Values, _ *http.Request) (int, http.Header, string) {
			mu.Lock()
			defer mu.Unlock()
			calls = append(calls, method)
			time.Sleep(time.Millisecond)
			switch {
			case f.Get("channel") == "C9":
				return 200, nil, `{"ok":false,"error":"channel_not_found"}`
			case method == "conversations.history" && f.Get("latest") == "1.1" && f.Get("inclusive") == "true" && f.Get("limit") == "1":
				return 200, nil, `{"ok":true,"messages":[{"ts":"1.1","text":"here","bot_id":"B1"}]}`
			case method == "conversations.history": // the message before
				return 200, nil, `{"ok":true,"messages":[{"ts":"1.0","text":"older"}]}`
			case method == "conversations.replies" && f.Get("ts") == "1.5":
				return 200, nil, `{"ok":true,"messages":[{"ts":"1.0","text":"parent"},{"ts":"1.5","text":"a reply"}]}`
			case method == "bots.info":
				return 200, nil, `{"ok":true,"bot":{"id":"B1","app_id":"A1"}}`
			}
			return 200, nil, `{"ok":false,"error":"thread_not_found"}`
		}))
		made := func() string {
			mu.Lock()
			defer mu.Unlock()
			out := strings.Join(calls, " ")
			calls = nil
			return out
		}
		get := func(channel, ts string) (string, error) {
			m, err := c.Message(t.Context(), channel, ts, quick)
			return string(m), err
		}
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				if m, err := get("C1", "1.1"); err != nil || m != `{"ts":"1.1","text":"here","bot_id":"B1"}` {
					t.Errorf("got %s %v", m, err)
				}
			})
		}
		all.Wait()
		if got := made(); got != "conversations.history" {
			t.Errorf("ten at once made the calls %s", got)
		}
		if m, err := get("<#C1|general>", "1.5"); err != nil || !strings.Contains(m, "a reply") || made() != "conversations.history conversations.replies" {
			t.Errorf("a reply: %s %v", m, err)
		}
		for _, where := range [][2]string{{"C1", "7.7"}, {"C9", "1.1"}} {
			if _, err := get(where[0], where[1]); !errors.Is(err, slackapi.ErrNotFound) {
				t.Errorf("%v: %v", where, err)
			}
		}
		if b, err := c.Bot(t.Context(), "B1", quick); err != nil || !strings.Contains(string(b), `"app_id":"A1"`) {
			t.Errorf("bot: %s %v", b, err)
		}
		made()

		// What Slack says of an edit, and time, make it look again.
		raw := runtime.JSON(`{"event":{"type":"message","subtype":"message_changed","channel":"C1","message":{"ts":"1.1"}}}`)
		c.Observe(&event.Event{Kind: event.Message, Type: "message", Subtype: "message_changed", Team: quick.Team, Channel: "C1", Raw: raw})
		for _, want := range []string{"conversations.history", ""} {
			if _, err := get("C1", "1.1"); err != nil || made() != want {
				t.Errorf("after an edit: %v", err)
			}
		}
		time.Sleep(6 * time.Minute)
		if _, err := get("C1", "1.1"); err != nil || made() != "conversations.history" {
			t.Errorf("after a while: %v", err)
		}
		if n := c.Purge(quick.Team); n == 0 || c.Purge("") != 0 {
			t.Errorf("purged %d", n)
		}
	})
}
