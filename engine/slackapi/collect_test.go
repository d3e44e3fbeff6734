package slackapi_test

import (
	"context"
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
)

// lists is a Slack that lists what it is told to, and counts its calls.
type lists struct {
	mu     sync.Mutex
	calls  map[string]int
	answer map[string]string // method (and types, and cursor) → body
}

func (l *lists) wire() wire {
	return func(method string, f url.Values, _ *http.Request) (int, http.Header, string) {
		time.Sleep(time.Millisecond)
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.calls == nil {
			l.calls = map[string]int{}
		}
		l.calls[method]++
		key := strings.TrimSpace(method + " " + f.Get("types") + f.Get("cursor"))
		if a, ok := l.answer[key]; ok {
			return 200, nil, a
		}
		return 200, nil, `{"ok":false,"error":"unknown_method"}`
	}
}

func (l *lists) set(method, body string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answer[method] = body
}

func (l *lists) count(method string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.calls[method]
}

// other is an event of Slack's that is about its own objects.
func other(typ, inner string) *event.Event {
	return &event.Event{Kind: event.Other, Type: typ, Team: "T1", Raw: []byte(`{"event":` + inner + `}`)}
}

func TestUsergroups(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &lists{answer: map[string]string{
			"usergroups.list": `{"ok":true,"usergroups":[{"id":"S1","handle":"oncall","name":"On Call"},{"id":"S2","handle":"ops","name":"oncall"}]}`,
		}}
		c := client(t, l.wire())
		var wg sync.WaitGroup
		for _, name := range []string{"S1", "s1", "@oncall", "oncall", "On Call", "<!subteam^S1>", "<!subteam^S1|@oncall>"} {
			wg.Go(func() {
				if id, err := c.UsergroupID(t.Context(), name, quick); err != nil || id != "S1" && name != "oncall" && name != "@oncall" {
					t.Errorf("%q: got %s %v", name, id, err)
				}
			})
		}
		wg.Wait()
		for _, name := range []string{"", "@", "nobody"} {
			if _, err := c.Usergroup(t.Context(), name, quick); !errors.Is(err, slackapi.ErrNotFound) {
				t.Errorf("%q: got %v", name, err)
			}
		}
		if n := l.count("usergroups.list"); n != 1 {
			t.Errorf("%d calls, want 1", n)
		}
		l.set("usergroups.list", `{"ok":true,"usergroups":[{"id":"S3","handle":"fresh","name":"Fresh"}]}`)
		c.Observe(other("subteam_created", `{"subteam":{"id":"S3"}}`))
		if id, err := c.UsergroupID(t.Context(), "@fresh", quick); err != nil || id != "S3" {
			t.Errorf("after subteam_created: got %s %v", id, err)
		}
	})
}

func TestTheHandleOfAGroupIsStrongerThanTheNameOfAnother(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, list := range []string{
			`{"id":"S1","handle":"oncall","name":"x"},{"id":"S2","handle":"ops","name":"oncall"}`,
			`{"id":"S2","handle":"ops","name":"oncall"},{"id":"S1","handle":"oncall","name":"x"}`,
		} {
			c := client(t, (&lists{answer: map[string]string{"usergroups.list": `{"ok":true,"usergroups":[` + list + `]}`}}).wire())
			if id, err := c.UsergroupID(t.Context(), "oncall", quick); err != nil || id != "S1" {
				t.Errorf("got %s %v", id, err)
			}
		}
	})
}

func TestEmojiAliasesEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &lists{answer: map[string]string{"emoji.list": `{"ok":true,"emoji":{
			"parrot":"https://e/p.gif","party":"alias:parrot","fiesta":"alias:party","yes":"alias:thumbsup","oui":"alias:yes",
			"a":"alias:b","b":"alias:c","c":"alias:a","self":"alias:self","into":"alias:a"}}`}}
		c := client(t, l.wire())
		for name, want := range map[string]string{
			"parrot": `{"name":"parrot","url":"https://e/p.gif"}`, ":party:": `{"name":"party","url":"https://e/p.gif"}`,
			"fiesta": `{"name":"fiesta","url":"https://e/p.gif"}`, "yes": `{"name":"yes","url":null,"alias":"thumbsup"}`,
			"oui": `{"name":"oui","url":null,"alias":"thumbsup"}`,
		} {
			if e, err := c.Emoji(t.Context(), name, quick); err != nil || string(e) != want {
				t.Errorf("%s: got %s %v, want %s", name, e, err, want)
			}
		}
		for _, name := range []string{"a", "b", "c", "self", "into", "thumbsup", "", "::"} {
			if _, err := c.Emoji(t.Context(), name, quick); !errors.Is(err, slackapi.ErrNotFound) {
				t.Errorf("%q: got %v", name, err)
			}
		}
		if n := l.count("emoji.list"); n != 1 {
			t.Errorf("%d calls, want 1", n)
		}
		c.Observe(other("emoji_changed", `{}`))
		_, _ = c.Emoji(t.Context(), "parrot", quick)
		if n := l.count("emoji.list"); n != 2 {
			t.Errorf("%d calls after emoji_changed, want 2", n)
		}
	})
}

func TestBots(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &lists{answer: map[string]string{"bots.info": `{"ok":true,"bot":{"id":"B1","app_id":"A1"}}`}}
		c := client(t, l.wire())
		for range 3 {
			if b, err := c.Bot(t.Context(), "B1", quick); err != nil || string(b) != `{"id":"B1","app_id":"A1"}` {
				t.Errorf("got %s %v", b, err)
			}
		}
		if n := l.count("bots.info"); n != 1 {
			t.Errorf("%d calls, want 1", n)
		}
	})
}

func TestIMsOfEveryPage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &lists{answer: map[string]string{
			"conversations.list im":   `{"ok":true,"channels":[{"id":"D1","user":"U1"}],"response_metadata":{"next_cursor":"p2"}}`,
			"conversations.list imp2": `{"ok":true,"channels":[{"id":"D2","user":"U2"}]}`,
		}}
		c := client(t, l.wire())
		want := `[{"id":"D1","user":"U1"},{"id":"D2","user":"U2"}]`
		for range 3 {
			if list, err := c.IMs(t.Context(), quick); err != nil || string(list) != want {
				t.Errorf("got %s %v", list, err)
			}
		}
		if n := l.count("conversations.list"); n != 2 {
			t.Errorf("%d calls, want 2", n)
		}
		l.set("conversations.list im", `{"ok":true,"channels":[]}`)
		c.Observe(other("im_created", `{"user":"U3","channel":{"id":"D3"}}`))
		if list, err := c.IMs(t.Context(), quick); err != nil || string(list) != "[]" {
			t.Errorf("after im_created: got %s %v", list, err)
		}
	})
}

func TestUserChangeBringsNamesUpToDateWithoutACall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &lists{answer: map[string]string{
			"users.list": `{"ok":true,"members":[{"id":"U1","name":"ann","profile":{"display_name":"Ann"}},{"id":"U2","name":"bob","profile":{}}]}`,
		}}
		c := client(t, l.wire())
		find := func(name, want string) {
			t.Helper()
			id, err := c.UserID(t.Context(), name, quick)
			if want == "" && !errors.Is(err, slackapi.ErrNotFound) || want != "" && (err != nil || id != want) {
				t.Errorf("%s: got %s %v, want %q", name, id, err, want)
			}
		}
		find("@ann", "U1")
		c.Observe(other("user_change", `{"type":"user_change","user":{"id":"U1","name":"anna","profile":{"display_name":"Anna B"}}}`))
		find("anna", "U1")
		find("Anna B", "U1")
		find("ann", "")
		c.Observe(other("team_join", `{"type":"team_join","user":{"id":"U3","name":"cat","profile":{}}}`))
		find("cat", "U3")
		c.Observe(other("user_change", `{"type":"user_change","user":{"id":"U2","name":"bob","deleted":true,"profile":{}}}`))
		find("bob", "")
		c.Observe(&event.Event{Kind: event.Other, Type: "user_change", Team: "T2", Raw: []byte(`{"event":{"user":{"id":"U1","name":"other","profile":{}}}}`)})
		find("anna", "U1")
		if n := l.count("users.list"); n != 1 {
			t.Errorf("%d calls of users.list, want 1", n)
		}
	})
}

// shelf is a store that many clients share.
type shelf struct {
	mu    sync.Mutex
	m     map[slackapi.ShelfKey]string
	at    map[slackapi.ShelfKey]time.Time
	stuck bool // drops do not arrive
}

func newShelf() *shelf {
	return &shelf{m: map[slackapi.ShelfKey]string{}, at: map[slackapi.ShelfKey]time.Time{}}
}

func (s *shelf) Get(_ context.Context, k slackapi.ShelfKey) ([]byte, time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.m[k]
	return []byte(v), s.at[k], ok
}

func (s *shelf) Put(_ context.Context, k slackapi.ShelfKey, v []byte, at time.Time, _ time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.m[k], s.at[k] = string(v), at
}

func (s *shelf) Drop(kind, team, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k := range s.m {
		if !s.stuck && k.Kind == kind && k.ID == id && (team == "" || k.Team == team) {
			delete(s.m, k)
		}
	}
}

func TestLookUpsOutliveTheProcess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, s := &directory{}, newShelf()
		l := &lists{answer: map[string]string{
			"usergroups.list": `{"ok":true,"usergroups":[{"id":"S1","handle":"oncall","name":"x"}]}`, "emoji.list": `{"ok":true,"emoji":{"p":"https://e/p"}}`,
		}}
		other := l.wire()
		both := wire(func(method string, f url.Values, r *http.Request) (int, http.Header, string) {
			if method == "usergroups.list" || method == "emoji.list" {
				return other(method, f, r)
			}
			return d.wire()(method, f, r)
		})
		look := func(c *slackapi.Client) {
			t.Helper()
			_, err1 := c.User(t.Context(), "U1", quick)
			_, err2 := c.User(t.Context(), "ann@x.example", quick)
			id, err3 := c.UserID(t.Context(), "Ann B", quick)
			ch, err4 := c.ChannelID(t.Context(), "#ops", quick)
			g, err5 := c.UsergroupID(t.Context(), "oncall", quick)
			_, err6 := c.Emoji(t.Context(), "p", quick)
			if err := errors.Join(err1, err2, err3, err4, err5, err6); err != nil || id != "U1" || ch != "C2" || g != "S1" {
				t.Errorf("got %s %s %s %v", id, ch, g, err)
			}
			synctest.Wait() // what is loaded is put away behind the caller's back
		}
		start := func() *slackapi.Client {
			return client(t, both, func(o *slackapi.Options) { o.Shelf = s })
		}
		look(start())
		calls := func() int {
			n := 0
			for _, m := range []string{"users.info", "users.lookupByEmail", "users.list", "conversations.list"} {
				n += d.count(m)
			}
			return n + l.count("usergroups.list") + l.count("emoji.list")
		}
		before := calls()
		look(start())
		if n := calls() - before; n != 0 {
			t.Errorf("the second process made %d calls, want 0", n)
		}
		// What another process put away is as old as it is.
		time.Sleep(11 * time.Minute)
		look(start())
		if n := calls() - before; n != before {
			t.Errorf("after the time to live: %d calls, want %d", n, before)
		}
	})
}

func TestWhatWasDroppedIsNotTakenBackFromTheShelf(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, s := &directory{}, newShelf()
		s.stuck = true
		c := client(t, d.wire(), func(o *slackapi.Options) { o.Shelf = s })
		_, _ = c.User(t.Context(), "U1", quick)
		synctest.Wait()
		c.Observe(other("user_change", `{"user":{"id":"U1","name":"ann","profile":{}}}`))
		time.Sleep(time.Millisecond)
		if _, err := c.User(t.Context(), "U1", quick); err != nil || d.count("users.info") != 2 {
			t.Errorf("got %v after %d calls, want 2", err, d.count("users.info"))
		}
		synctest.Wait()
		c.Purge("T1")
		if _, err := c.User(t.Context(), "U1", quick); err != nil || d.count("users.info") != 2 {
			t.Errorf("what was put away since is good: got %v after %d calls, want 2", err, d.count("users.info"))
		}
		for _, st := range c.CacheStats() {
			if st.Kind == "user" && (st.Entries != 1 || st.Loads != 2 || st.FromStore != 1) {
				t.Errorf("got %+v", st)
			}
		}
	})
}

func TestFallbackToTheUserToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		code := "not_in_channel"
		var tokens []string
		w := wire(func(_ string, _ url.Values, r *http.Request) (int, http.Header, string) {
			tokens = append(tokens, r.Header.Get("Authorization"))
			if strings.Contains(tokens[len(tokens)-1], botToken) {
				return 200, nil, `{"ok":false,"error":"` + code + `"}`
			}
			return 200, nil, `{"ok":true}`
		})
		c := client(t, w)
		o := quick
		o.UserFallback = true
		if r, err := c.Call(t.Context(), "chat.postMessage", nil, o); err != nil || !r.OK || len(tokens) != 2 {
			t.Errorf("got %+v %v with %d calls", r, err, len(tokens))
		}
		if r, err := c.Call(t.Context(), "chat.postMessage", nil, quick); err != nil || r.OK || len(tokens) != 3 {
			t.Errorf("not asked for: got %+v %v with %d calls", r, err, len(tokens))
		}
		code = "is_archived"
		if r, err := c.Call(t.Context(), "chat.postMessage", nil, o); err != nil || r.Error != "is_archived" || len(tokens) != 4 {
			t.Errorf("another error: got %+v %v with %d calls", r, err, len(tokens))
		}
	})
}
