package door_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/door"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/runtime"
)

// follower performs posts for a message and its edits.
type follower struct {
	t     *testing.T
	live  door.Live
	calls []string
	gone  bool // what was posted is deleted
	posts int
}

func newFollower(t *testing.T) *follower {
	f := &follower{t: t}
	slack := slackClient(t, func(method string, args *runtime.Dict) string {
		f.calls = append(f.calls, strings.Join(strings.Fields(fmt.Sprintf("%s %s %.9s", method, args.Text("ts"), args.Text("text"))), " "))
		switch {
		case method == "chat.update" && f.gone:
			return `{"ok":false,"error":"message_not_found"}`
		case method == "chat.postMessage":
			f.posts++
			return fmt.Sprintf(`{"ok":true,"channel":"C1","ts":"100.%06d"}`, f.posts)
		}
		return `{"ok":true,"channel":"C1","ts":"` + args.Text("ts") + `"}`
	})
	store := queue.NewMemory(queue.MemoryOptions{})
	t.Cleanup(func() { _ = store.Close(t.Context()) })
	f.live = door.NewLive(door.Deps{Slack: slack, State: store.State()})
	return f
}

// run performs one effect after another and returns the calls.
func (f *follower) run(id, ts string, edited bool, rule string, effects ...runtime.Effect) string {
	f.t.Helper()
	f.calls = nil
	n := 0
	r := &door.Run{
		ID: id, Rule: rule, Follow: rule != "plain", Posts: func() int { return n }, Intended: time.Unix(1, 0),
		Event: &event.Event{Kind: event.Message, Channel: "C1", TS: ts, User: "U1", Edited: edited},
	}
	for i, e := range effects {
		e.Step = i + 1
		if _, err := f.live[e.Kind].Do(f.t.Context(), r, e); err != nil {
			f.t.Fatal(err)
		}
		n++
	}
	return strings.Join(f.calls, ", ")
}

func saying(kind, text string) runtime.Effect {
	args := runtime.NewDict("text", text)
	if kind == "post" {
		args.Set("channel", "C1")
	}
	return runtime.Effect{Kind: kind, Args: args}
}

func TestAnswersFollowEdits(t *testing.T) {
	t.Parallel()
	f := newFollower(t)
	long := paragraphs(9_000)
	for _, c := range []struct {
		name, got, want string
	}{
		{"first", f.run("a", "5.5", false, "r", saying("post", "one"), saying("reply", "two"), saying("respond", "three")), "chat.postMessage one, chat.postMessage two, chat.postMessage three"},
		{"edited", f.run("b", "5.5", true, "r", saying("post", "uno"), saying("reply", "due"), saying("respond", "tre")), "chat.update 100.000001 uno, chat.update 100.000002 due, chat.update 100.000003 tre"},
		{"edited again", f.run("c", "5.5", true, "r", saying("post", "eins")), "chat.update 100.000001 eins"},
		{"another message", f.run("d", "6.6", false, "r", saying("post", "one")), "chat.postMessage one"},
		{"another rule", f.run("e", "5.5", true, "s", saying("post", "one")), "chat.postMessage one"},
		{"a rule that does not follow", f.run("f", "5.5", true, "plain", saying("post", "one")), "chat.postMessage one"},
		{"longer", f.run("g", "6.6", true, "r", saying("post", long)), "chat.update 100.000004 Paragraph, chat.postMessage Paragraph, chat.postMessage Paragraph"},
		{"shorter", f.run("h", "6.6", true, "r", saying("post", "short")), "chat.update 100.000004 short, chat.delete 100.000007, chat.delete 100.000008"},
	} {
		if c.got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, c.got, c.want)
		}
	}
	f.gone = true
	if got, want := f.run("i", "6.6", true, "r", saying("post", "back")), "chat.update 100.000004 back, chat.postMessage back"; got != want {
		t.Errorf("deleted meanwhile: got %s, want %s", got, want)
	}
}

// A change that was under way at a crash is made once more: that changes nothing.
func TestFollowedEditIsRepeatedAfterACrash(t *testing.T) {
	t.Parallel()
	f := newFollower(t)
	f.run("a", "5.5", false, "r", saying("post", "one"))
	r := &door.Run{ID: "b", Rule: "r", Follow: true, Posts: func() int { return 0 }, Resumed: true, Event: &event.Event{Channel: "C1", TS: "5.5", Edited: true}}
	if _, found, known := f.live["post"].Find(t.Context(), r, saying("post", "two")); found || !known {
		t.Errorf("found %v, known %v: want the change to be made", found, known)
	}
}
