package talk_test

import (
	"strings"
	"testing"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib/internal/declaretest"
	"github.com/starling-rules/starling/stdlib/talk"
)

type named = declaretest.Named

func TestMessagesNeedContent(t *testing.T) {
	t.Parallel()
	s := declaretest.New(t, talk.Builtins())
	for _, name := range []string{"respond", "reply", "ephemeral"} {
		s.Fails("text, blocks or attachments", name)
		s.Fails("text, blocks or attachments", name, "", named{"blocks", runtime.List{}})
	}
	s.Fails("text, blocks or attachments", "post", "#a")
	s.Fails("channel is empty", "post", "", "hi")
	s.Fails("user is empty", "dm", "", "hi")
	s.Fails("40001 characters", "post", "#a", strings.Repeat("é", 40_001))
	s.Equal(s.Effect("reply", named{"attachments", runtime.List{&runtime.Dict{}}}), `reply {"attachments":[{}]}`)
}

func TestMessageArgumentsPassAsGiven(t *testing.T) {
	t.Parallel()
	s := declaretest.New(t, talk.Builtins())
	s.Equal(s.Effect("post", "#a", "hi", named{"thread_ts", "1.2", "reply_broadcast", true, "unfurl_links", false}),
		`post {"channel":"#a","text":"hi","thread_ts":"1.2","reply_broadcast":true,"unfurl_links":false}`)
}

func TestBlocksAreCheckedWithTheirPath(t *testing.T) {
	t.Parallel()
	s := declaretest.New(t, talk.Builtins())
	divider := runtime.NewDict("type", "divider")
	many := make(runtime.List, 51)
	for i := range many {
		many[i] = divider
	}
	s.Fails("blocks: has 51 elements, Slack takes at most 50", "post", "#a", named{"blocks", many})
	long := runtime.NewDict("type", "section", "text", runtime.NewDict("type", "mrkdwn", "text", strings.Repeat("x", 3001)))
	s.Fails("post: blocks[1].text.text: has 3001 characters", "post", "#a", named{"blocks", runtime.List{divider, long}})
	view, err := runtime.ParseView([]byte(`[{"type":"header"}]`))
	if err != nil {
		t.Fatal(err)
	}
	s.Fails("blocks[0].text: is missing", "respond", named{"blocks", view})
	unknown := runtime.NewDict("type", "of_tomorrow", "anything", int64(1))
	s.Equal(s.Effect("respond", named{"blocks", runtime.List{unknown}}), `respond {"blocks":[{"type":"of_tomorrow","anything":1}]}`)
}

func TestRespondCanDelete(t *testing.T) {
	t.Parallel()
	s := declaretest.New(t, talk.Builtins())
	s.Equal(s.Effect("respond", named{"delete", true}), `respond {"delete":true}`)
	s.Fails("exclude each other", "respond", "x", named{"delete", true, "replace", true})
}

func TestMessagesAreNamedByTSOrResult(t *testing.T) {
	t.Parallel()
	s := declaretest.New(t, talk.Builtins())
	result, err := runtime.ParseView([]byte(`{"ok":true,"ts":"1.2","channel":"C1"}`))
	if err != nil {
		t.Fatal(err)
	}
	s.Equal(s.Effect("update", result, "x"), `update {"ts":"1.2","text":"x","channel":"C1"}`)
	s.Equal(s.Effect("delete", result, named{"channel", "C2"}), `delete {"ts":"1.2","channel":"C2"}`)
	s.Equal(s.Effect("react", ":eyes:", named{"ts", result}), `react {"emoji":"eyes","ts":"1.2","channel":"C1"}`)
	s.Fails("the result has no ts", "update", runtime.NewDict("ok", false), "x")
	for _, bad := range []string{"", "1", "1.2.3", "now", "1.", "-1.2"} {
		s.Fails("not the ts of a message", "delete", bad)
	}
}

func TestEmojiNames(t *testing.T) {
	t.Parallel()
	s := declaretest.New(t, talk.Builtins())
	for _, good := range []string{"+1", "-1", "man-bowing", "8ball", "thumbsup::skin-tone-3", "été", "e-mail", "o'clock"} {
		s.Equal(s.Effect("unreact", good), `unreact {"emoji":"`+good+`"}`)
	}
	for _, bad := range []string{"", ":", "a b", "<x>", "a\nb", "x::skin-tone-9", strings.Repeat("a", 201)} {
		s.Fails("not the name of an emoji", "react", bad)
	}
}

func TestSlackActionMergesItsArguments(t *testing.T) {
	t.Parallel()
	s := declaretest.New(t, talk.Builtins())
	s.Equal(s.Effect("slack_action", "chat.update", runtime.NewDict("ts", "1.2", "text", "a"), named{"text", "b", "check", true, "fill", false}),
		`slack_action {"method":"chat.update","args":{"ts":"1.2","text":"b"},"fill":false,"check":true}`)
	s.Equal(s.Effect("slack_action", "auth.test"), `slack_action {"method":"auth.test"}`)
	s.Equal(s.Effect("slack_action", "chat.postMessage", named{"parse", "none", "text", "x"}),
		`slack_action {"method":"chat.postMessage","args":{"text":"x","parse":"none"}}`)
	s.Fails("a token cannot be given", "slack_action", "auth.test", named{"token", "x"})
	s.Fails("want a list", "slack_action", "chat.postMessage", named{"parse", runtime.NewDict("text", "users")})
	for _, bad := range []string{"", "chat", "chat.", ".x", "chat/post", "Chat.x", "chat.post message", "a." + strings.Repeat("x", 100)} {
		s.Fails("not the name of a Web API method", "slack_action", bad)
	}
}

func TestArgumentsOfTheScriptAreNotChanged(t *testing.T) {
	t.Parallel()
	s := declaretest.New(t, talk.Builtins())
	args := runtime.NewDict("text", "a")
	s.Effect("slack_action", "chat.postMessage", args, named{"channel", "C1"})
	s.Equal(declaretest.Text(t, args), `{"text":"a"}`)
}

func TestSlackPagesBounds(t *testing.T) {
	t.Parallel()
	s := declaretest.New(t, talk.Builtins())
	s.Equal(s.Effect("slack_pages", "conversations.list", named{"types", "public_channel", "key", "channels", "max", int64(10_000)}),
		`slack_pages {"method":"conversations.list","args":{"types":"public_channel"},"key":"channels","max":10000}`)
	s.Fails("want 1 to 10000", "slack_pages", "users.list", named{"max", int64(10_001)})
}

func TestViewsAreChecked(t *testing.T) {
	t.Parallel()
	s := declaretest.New(t, talk.Builtins())
	s.Fails(`open_modal: type: is "home", want modal`, "open_modal", runtime.NewDict("type", "home"))
	s.Fails("open_modal: title: is missing", "open_modal", runtime.NewDict("type", "modal"))
	s.Fails(`publish_home: type: is "", want home`, "publish_home", &runtime.Dict{})
}
