package sim

import (
	"errors"
	"testing"

	"github.com/slack-go/slack"
)

// TestUnmodifiedSlackGoClient drives the Web API with Slack's Go client as
// its users have it: only the address differs.
func TestUnmodifiedSlackGoClient(t *testing.T) {
	t.Parallel()
	s := newSlack(t)
	c := slack.New(DevBotToken, slack.OptionAPIURL(s.APIURL()))
	ctx := t.Context()
	must := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}

	who, err := c.AuthTestContext(ctx)
	must("auth.test", err)
	if who.BotID != "B0STARLING" || who.TeamID != "T0STARLING" {
		t.Errorf("auth.test %+v", who)
	}
	section := slack.NewSectionBlock(slack.NewTextBlockObject(slack.MarkdownType, "*hi*", false, false), nil, nil)
	channel, ts, err := c.PostMessageContext(ctx, "#ops", slack.MsgOptionText("hi", false), slack.MsgOptionBlocks(section),
		slack.MsgOptionMetadata(slack.SlackMetadata{EventType: "run", EventPayload: map[string]any{"id": "7"}}))
	must("chat.postMessage", err)
	_, reply, err := c.PostMessageContext(ctx, channel, slack.MsgOptionText("in the thread", false), slack.MsgOptionTS(ts))
	must("reply", err)
	_, err = c.PostEphemeralContext(ctx, channel, "U0ADA", slack.MsgOptionText("psst", false))
	must("chat.postEphemeral", err)
	_, _, text, err := c.UpdateMessageContext(ctx, channel, ts, slack.MsgOptionText("hello", false))
	must("chat.update", err)
	if text != "hello" {
		t.Errorf("updated to %q", text)
	}
	item := slack.NewRefToMessage(channel, ts)
	must("reactions.add", c.AddReactionContext(ctx, "tada", item))
	var bad slack.SlackErrorResponse
	if err := c.AddReactionContext(ctx, "tada", item); !errors.As(err, &bad) || bad.Err != "already_reacted" {
		t.Errorf("second reaction: %v", err)
	}
	history, err := c.GetConversationHistoryContext(ctx, &slack.GetConversationHistoryParameters{ChannelID: channel, IncludeAllMetadata: true})
	must("conversations.history", err)
	if m := history.Messages; len(m) != 1 || m[0].Text != "hello" || m[0].Metadata.EventType != "run" || m[0].ReplyCount != 1 || m[0].Reactions[0].Name != "tada" {
		t.Errorf("history %+v", m)
	}
	replies, _, _, err := c.GetConversationRepliesContext(ctx, &slack.GetConversationRepliesParameters{ChannelID: channel, Timestamp: ts})
	must("conversations.replies", err)
	if len(replies) != 2 || replies[1].Timestamp != reply {
		t.Errorf("replies %+v", replies)
	}
	must("reactions.remove", c.RemoveReactionContext(ctx, "tada", item))

	users, err := c.GetUsersContext(ctx)
	must("users.list", err)
	ada, err := c.GetUserByEmailContext(ctx, "ada@example.com")
	must("users.lookupByEmail", err)
	if len(users) != 5 || ada.ID != "U0ADA" || ada.Profile.DisplayName != "ada" {
		t.Errorf("users %d, ada %+v", len(users), ada)
	}
	channels, _, err := c.GetConversationsContext(ctx, &slack.GetConversationsParameters{Limit: 2})
	must("conversations.list", err)
	if len(channels) != 2 || channels[0].Name != "general" {
		t.Errorf("channels %+v", channels)
	}
	dm, _, _, err := c.OpenConversationContext(ctx, &slack.OpenConversationParameters{Users: []string{"U0ADA"}, ReturnIM: true})
	must("conversations.open", err)
	if dm.ID != "D0ADA" {
		t.Errorf("direct message %+v", dm)
	}

	s.app.next()
	for range 4 { // reply, change, two reactions
		s.app.next()
	}
	view := slack.ModalViewRequest{
		Type: slack.VTModal, Title: slack.NewTextBlockObject(slack.PlainTextType, "Title", false, false),
		Blocks: slack.Blocks{BlockSet: []slack.Block{section}},
	}
	opened, err := c.OpenViewContext(ctx, s.trigger(), view)
	must("views.open", err)
	view.Title.Text = "Changed"
	updated, err := c.UpdateViewContext(ctx, view, "", opened.Hash, opened.ID)
	must("views.update", err)
	if updated.ID != opened.ID || updated.Title.Text != "Changed" {
		t.Errorf("updated view %+v", updated.View)
	}
	_, err = c.PublishViewContext(ctx, slack.PublishViewContextRequest{
		UserID: "U0ADA", View: slack.HomeTabViewRequest{Type: slack.VTHomeTab, Blocks: slack.Blocks{BlockSet: []slack.Block{section}}},
	})
	must("views.publish", err)
	_, _, err = c.DeleteMessageContext(ctx, channel, ts)
	must("chat.delete", err)

	s.SetFaults(Faults{RateLimit: map[string]int{"team.info": 1}, RetryAfter: 7})
	_, err = c.GetTeamInfoContext(ctx)
	var limited *slack.RateLimitedError
	if !errors.As(err, &limited) || limited.RetryAfter.Seconds() != 7 {
		t.Errorf("429 became %v", err)
	}
}
