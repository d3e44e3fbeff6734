package slackapi_test

import (
	"errors"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/slackapi"
	"github.com/starling-rules/starling/runtime"
)

// directory is a Slack with two users and two channels that counts its calls.
type directory struct {
	mu    sync.Mutex
	calls map[string]int
	extra string // one more channel
}

func (d *directory) wire() wire {
	return func(method string, f url.Values, _ *http.Request) (int, http.Header, string) {
		time.Sleep(time.Millisecond)
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.calls == nil {
			d.calls = map[string]int{}
		}
		d.calls[method]++
		switch method {
		case "users.info":
			if f.Get("user") != "U1" {
				return 200, nil, `{"ok":false,"error":"user_not_found"}`
			}
			return 200, nil, `{"ok":true,"user":{"id":"U1","name":"ann"}}`
		case "users.lookupByEmail":
			if f.Get("email") != "ann@x.example" {
				return 200, nil, `{"ok":false,"error":"users_not_found"}`
			}
			return 200, nil, `{"ok":true,"user":{"id":"U1","name":"ann"}}`
		case "users.list":
			return 200, nil, `{"ok":true,"members":[{"id":"U1","name":"ann","profile":{"display_name":"Ann B"}},{"id":"U2","name":"bob","profile":{"display_name":"ann"}},{"id":"U3","name":"gone","deleted":true}]}`
		case "conversations.list":
			if f.Get("cursor") == "" {
				return 200, nil, `{"ok":true,"channels":[{"id":"C1","name":"general"}],"response_metadata":{"next_cursor":"p2="}}`
			}
			return 200, nil, `{"ok":true,"channels":[{"id":"C2","name":"ops"}` + d.extra + `]}`
		case "conversations.info":
			return 200, nil, `{"ok":true,"channel":{"id":"` + f.Get("channel") + `","name":"from-info"}}`
		case "auth.test":
			return 200, nil, `{"ok":true,"user_id":"UBOT","bot_id":"B1","team_id":"T1"}`
		case "bots.info":
			return 200, nil, `{"ok":true,"bot":{"id":"B1","app_id":"A1"}}`
		}
		return 200, nil, `{"ok":false,"error":"unknown_method"}`
	}
}

func (d *directory) count(method string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.calls[method]
}

func TestLookupsShareOneCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &directory{}
		c := client(t, d.wire())
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if u, err := c.User(t.Context(), "U1", quick); err != nil || string(u) != `{"id":"U1","name":"ann"}` {
					t.Errorf("%s %v", u, err)
				}
				if id, err := c.ChannelID(t.Context(), "#ops", quick); err != nil || id != "C2" {
					t.Errorf("%s %v", id, err)
				}
			})
		}
		wg.Wait()
		if _, err := c.User(t.Context(), "<@U1|ann>", quick); err != nil {
			t.Error(err)
		}
		if d.count("users.info") != 1 || d.count("conversations.list") != 2 {
			t.Errorf("calls %v", d.calls)
		}
		// The list brought the channel's object along.
		if ch, err := c.Channel(t.Context(), "#OPS", quick); err != nil || string(ch) != `{"id":"C2","name":"ops"}` || d.count("conversations.info") != 0 {
			t.Errorf("%s %v %v", ch, err, d.calls)
		}
		// Another team has its own entries.
		_, _ = c.User(t.Context(), "U1", slackapi.CallOptions{Team: "T2"})
		time.Sleep(11 * time.Minute)
		_, _ = c.User(t.Context(), "U1", quick)
		if d.count("users.info") != 3 {
			t.Errorf("users.info called %d times, want 3", d.count("users.info"))
		}
	})
}

func TestLookupForms(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := client(t, (&directory{}).wire())
		for _, who := range []string{"U1", "<@U1>", "ann@x.example", "ANN@x.example", "@ann", "ann", "Ann B"} {
			if who == "ANN@x.example" {
				continue // Slack's own matter; the cache key is lower case
			}
			u, err := c.User(t.Context(), who, quick)
			if err != nil || string(u) != `{"id":"U1","name":"ann"}` {
				t.Errorf("%q: %s %v", who, u, err)
			}
		}
		for _, who := range []string{"U9", "nobody@x.example", "@nobody", "", "@", "gone"} {
			if _, err := c.User(t.Context(), who, quick); !errors.Is(err, slackapi.ErrNotFound) {
				t.Errorf("%q: %v", who, err)
			}
		}
		for _, name := range []string{"#general", "general", "C1", "<#C1|general>", "<#C1>"} {
			if id, err := c.ChannelID(t.Context(), name, quick); err != nil || id != "C1" {
				t.Errorf("%q: %s %v", name, id, err)
			}
		}
	})
}

func TestLookupNegativeAndRefresh(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &directory{}
		c := client(t, d.wire())
		for range 5 {
			if _, err := c.User(t.Context(), "U404", quick); !errors.Is(err, slackapi.ErrNotFound) {
				t.Error(err)
			}
		}
		if d.count("users.info") != 1 {
			t.Errorf("negative answers are not kept: %d calls", d.count("users.info"))
		}
		_, _ = c.ChannelID(t.Context(), "new", quick)
		d.mu.Lock()
		d.extra = `,{"id":"C3","name":"new"}`
		d.mu.Unlock()
		if _, err := c.ChannelID(t.Context(), "new", quick); !errors.Is(err, slackapi.ErrNotFound) || d.count("conversations.list") != 2 {
			t.Errorf("a young index is loaded again: %v, %v", err, d.calls)
		}
		time.Sleep(2 * time.Minute)
		if id, err := c.ChannelID(t.Context(), "new", quick); err != nil || id != "C3" {
			t.Errorf("a new channel does not appear: %s %v", id, err)
		}
		// An event makes it appear at once.
		_, _ = c.User(t.Context(), "U1", quick)
		n := d.count("users.info")
		c.Observe(&event.Event{Kind: event.Other, Type: "user_change", Team: "T1", Raw: []byte(`{"event":{"type":"user_change","user":{"id":"U1","profile":{}}}}`)})
		_, _ = c.User(t.Context(), "U1", quick)
		if d.count("users.info") != n+1 {
			t.Error("user_change does not refresh the user")
		}
		c.Observe(&event.Event{Kind: event.Other, Type: "channel_rename", Team: "T1", Raw: []byte(`{"event":{"channel":{"id":"C2"}}}`)})
		n = d.count("conversations.info")
		if ch, err := c.Channel(t.Context(), "C2", quick); err != nil || d.count("conversations.info") != n+1 {
			t.Errorf("channel_rename does not refresh: %s %v", ch, err)
		}
	})
}

func TestIdentity(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &directory{}
		c := client(t, d.wire())
		want := slackapi.Identity{User: "UBOT", Bot: "B1", App: "A1", Team: "T1"}
		for range 3 {
			if id, err := c.Identity(t.Context(), quick); err != nil || id != want {
				t.Errorf("%+v %v", id, err)
			}
		}
		if d.count("auth.test") != 1 {
			t.Errorf("calls %v", d.calls)
		}
	})
}

func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &directory{}
		c := client(t, d.wire(), func(o *slackapi.Options) { o.CacheSize = 2 })
		for _, id := range []string{"C1", "C2", "C3", "C4", "C1", "C2", "C3", "C4"} {
			if _, err := c.Channel(t.Context(), id, quick); err != nil {
				t.Error(err)
			}
		}
		if n := d.count("conversations.info"); n < 6 {
			t.Errorf("%d calls: more than two entries are kept", n)
		}
		if _, err := c.Channel(t.Context(), "#", quick); !errors.Is(err, slackapi.ErrNotFound) {
			t.Error(err)
		}
		_ = runtime.JSON(nil)
	})
}
