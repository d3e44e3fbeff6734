package door_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/door"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/runtime"
)

// paragraphs is a text of n characters at least, each paragraph numbered.
func paragraphs(n int) string {
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "Paragraph %d. %s\n\n", i, strings.TrimSpace(strings.Repeat("More of it. ", 40)))
	}
	return strings.TrimSpace(b.String())
}

// conversation keeps what is posted to it, and can be looked up.
type conversation struct {
	live  door.Live
	posts []*runtime.Dict
	// refuse answers a post by its number instead.
	refuse map[int]string
	calls  []string
}

func newConversation(t *testing.T) *conversation {
	c := &conversation{refuse: map[int]string{}}
	slack := slackClient(t, func(method string, args *runtime.Dict) string {
		c.calls = append(c.calls, method)
		switch method {
		case "chat.postMessage", "response_url", "chat.postEphemeral":
			if bad := c.refuse[len(c.posts)]; bad != "" {
				delete(c.refuse, len(c.posts))
				return bad
			}
			c.posts = append(c.posts, args)
			return fmt.Sprintf(`{"ok":true,"channel":"C1","ts":"100.%06d"}`, len(c.posts))
		case "conversations.history", "conversations.replies":
			var list runtime.List
			for i, p := range c.posts {
				meta, _ := p.Get("metadata")
				list = append(list, runtime.NewDict("ts", fmt.Sprintf("100.%06d", i+1), "metadata", meta))
			}
			b, err := runtime.AppendJSON(nil, runtime.NewDict("ok", true, "messages", list))
			if err != nil {
				t.Error(err)
			}
			return string(b)
		}
		return `{"ok":true}`
	})
	c.live = door.NewLive(door.Deps{Slack: slack, Now: func() time.Time { return time.Unix(1_700_000_000, 0) }})
	return c
}

func (c *conversation) texts() []string {
	var out []string
	for _, p := range c.posts {
		out = append(out, p.Text("text"))
	}
	return out
}

func saidBy(e *event.Event) *door.Run {
	return &door.Run{ID: "r1", Event: e, Intended: time.Unix(1_700_000_000, 0)}
}

var inC1 = &event.Event{Kind: event.Message, Channel: "C1", TS: "5.5", User: "U1"}

func TestLongMessagesGoOutInOrder(t *testing.T) {
	t.Parallel()
	long := paragraphs(20_000)
	for kind, args := range map[string]*runtime.Dict{
		"post":  runtime.NewDict("channel", "C1", "text", long),
		"reply": runtime.NewDict("text", long),
	} {
		c := newConversation(t)
		v, err := c.live[kind].Do(t.Context(), saidBy(inC1), runtime.Effect{Kind: kind, Step: 1, Args: args})
		if err != nil {
			t.Fatal(err)
		}
		res, _ := v.(*runtime.Dict)
		if parts, _ := res.Get("parts"); res.Text("ts") != "100.000001" || len(parts.(runtime.List)) != len(c.posts) {
			t.Errorf("%s: the result is not that of the first: %v", kind, res)
		}
		if got := strings.Join(c.texts(), "\n\n"); len(c.posts) < 5 || got != long {
			t.Errorf("%s: %d messages, which are not the text", kind, len(c.posts))
		}
		for i, p := range c.posts {
			if thread := p.Text("thread_ts"); (thread == "5.5") != (kind == "reply") {
				t.Errorf("%s: message %d is in thread %q", kind, i, thread)
			}
		}
	}
}

func TestLongMessagesAreLeftWholeIfAsked(t *testing.T) {
	t.Parallel()
	long := paragraphs(9_000)
	blocks := runtime.List{runtime.NewDict("type", "divider")}
	for name, args := range map[string]*runtime.Dict{
		"split=False": runtime.NewDict("channel", "C1", "text", long, "split", false),
		"blocks":      runtime.NewDict("channel", "C1", "text", long, "blocks", blocks),
	} {
		c := newConversation(t)
		if _, err := c.live["post"].Do(t.Context(), saidBy(inC1), runtime.Effect{Kind: "post", Step: 1, Args: args}); err != nil {
			t.Fatal(err)
		}
		if len(c.posts) != 1 || c.posts[0].Text("text") != long {
			t.Errorf("%s: %d messages", name, len(c.posts))
		}
		if _, sent := c.posts[0].Get("split"); sent {
			t.Errorf("%s: split is sent to Slack", name)
		}
	}
}

func TestLongMessageStopsWhereSlackRefuses(t *testing.T) {
	t.Parallel()
	c := newConversation(t)
	c.refuse[2] = `{"ok":false,"error":"restricted_action"}`
	v, err := c.live["post"].Do(t.Context(), saidBy(inC1), runtime.Effect{Kind: "post", Step: 1, Args: runtime.NewDict("channel", "C1", "text", paragraphs(20_000))})
	if err != nil {
		t.Fatal(err)
	}
	res := v.(*runtime.Dict)
	ok, _ := res.Get("ok")
	if parts, _ := res.Get("parts"); ok != false || res.Text("error") != "restricted_action" || len(parts.(runtime.List)) != 2 || len(c.posts) != 2 {
		t.Errorf("got %v after %d messages", res, len(c.posts))
	}
}

// A crash between two parts: those that are there are found, the rest is sent,
// nothing twice.
func TestLongMessageGoesOnAfterACrash(t *testing.T) {
	t.Parallel()
	long := paragraphs(20_000)
	effect := runtime.Effect{Kind: "post", Step: 1, Args: runtime.NewDict("channel", "C1", "text", long)}
	for _, posted := range []int{0, 1, 3, 6} {
		c := newConversation(t)
		c.refuse[posted] = `{"ok":false,"error":"fatal_error"}` // here it ends
		if _, err := c.live["post"].Do(t.Context(), saidBy(inC1), effect); err != nil {
			t.Fatal(err)
		}
		v, found, known := c.live["post"].Find(t.Context(), saidBy(inC1), effect)
		if posted == 0 {
			if found || !known {
				t.Errorf("nothing is there: found %v, known %v", found, known)
			}
			continue
		}
		if !found {
			t.Fatalf("%d parts are there: not found", posted)
		}
		if got := strings.Join(c.texts(), "\n\n"); got != long {
			t.Errorf("after a crash behind %d parts the %d messages are not the text", posted, len(c.posts))
		}
		if ok, _ := v.(*runtime.Dict).Get("ok"); ok != true {
			t.Errorf("result %v", v)
		}
	}
}

func TestLongResponsesGoOutInOrder(t *testing.T) {
	t.Parallel()
	long := paragraphs(20_000)
	e := &event.Event{Kind: event.Command, Channel: "C1", User: "U1", ResponseURL: "https://hooks.slack.com/commands/1", Received: time.Unix(1_700_000_000, 0)}
	c := newConversation(t)
	r := saidBy(e)
	r.Responses = func() int { return 1 }
	args := runtime.NewDict("text", long, "replace", true, "ephemeral", false)
	if _, err := c.live["respond"].Do(t.Context(), r, runtime.Effect{Kind: "respond", Step: 1, Args: args}); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(c.texts(), "\n\n"); got != long {
		t.Errorf("the %d messages are not the text", len(c.posts))
	}
	for i, p := range c.posts {
		if _, replaces := p.Get("replace_original"); replaces != (i == 0) {
			t.Errorf("message %d replaces: %v", i, replaces)
		}
	}
	if n := strings.Count(strings.Join(c.calls, " "), "response_url"); n != 4 {
		t.Errorf("%d uses of the response_url, of which one was used up: want 4, the rest through the Web API", n)
	}
}
