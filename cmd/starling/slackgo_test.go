package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/slack-go/slack"
	"github.com/slack-go/slack/slackevents"
	"github.com/slack-go/slack/socketmode"
)

// slackGoApp, in the environment, makes the test program the app on slack-go.
const slackGoApp = "STARLING_SLACK_GO_APP"

// An unmodified app on slack-go, a process of its own, holds the conversation.
func TestConversationWithSlackGo(t *testing.T) {
	slow(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := startLocalSlack(t, "")
	c.app = runProgram(t, self, append(c.appEnv(), slackGoApp+"=1"))
	c.app.prints("the app runs")
	start := time.Now()
	c.talk(t)
	if took := time.Since(start); took > 40*time.Second {
		t.Errorf("the conversation took %s", took)
	}
}

// goApp is an app as the examples of slack-go teach. Nothing in it knows that
// the Slack it talks to is a local one, but for the address.
type goApp struct {
	api    *slack.Client
	socket *socketmode.Client

	mu      sync.Mutex
	hook    string // the response URL and trigger_id of /keep
	trigger string
}

// runSlackGoApp is the app's main function.
func runSlackGoApp() {
	a := &goApp{api: slack.New(os.Getenv("SLACK_BOT_TOKEN"), slack.OptionAppLevelToken(os.Getenv("SLACK_APP_TOKEN")),
		slack.OptionAPIURL(os.Getenv("SLACK_API_URL")), slack.OptionRetry(3))}
	a.socket = socketmode.New(a.api)
	h := socketmode.NewSocketmodeHandler(a.socket)
	h.Handle(socketmode.EventTypeHello, func(*socketmode.Event, *socketmode.Client) { fmt.Println("the app runs") })
	h.HandleEvents(slackevents.Message, a.onMessage)
	h.HandleEvents(slackevents.AppMention, a.onMention)
	h.HandleEvents(slackevents.ReactionAdded, a.onReaction)
	h.HandleEvents(slackevents.AppHomeOpened, a.onHome)
	for _, name := range []string{"/echo", "/menu", "/many", "/keep"} {
		h.HandleSlashCommand(name, a.onCommand)
	}
	h.HandleInteraction(slack.InteractionTypeBlockActions, a.onAction)
	h.HandleInteraction(slack.InteractionTypeBlockSuggestion, a.onSuggestion)
	h.HandleInteraction(slack.InteractionTypeShortcut, a.onShortcut)
	h.HandleInteraction(slack.InteractionTypeMessageAction, a.onQuote)
	h.HandleViewSubmission("order", a.onSubmit)
	h.HandleViewClosed("order", a.onClosed)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := h.RunEventLoopContext(ctx); err != nil && ctx.Err() == nil {
		fmt.Println("app error:", err)
		os.Exit(1)
	}
}

func (a *goApp) ack(e *socketmode.Event, payload ...any) { noted(a.socket.Ack(*e.Request, payload...)) }

func (a *goApp) say(channel, text string, more ...slack.MsgOption) {
	_, _, err := a.api.PostMessage(channel, append(more, slack.MsgOptionText(text, false))...)
	noted(err)
}

// noted prints an error that nobody waits for.
func noted(err error) {
	if err != nil {
		fmt.Println("app error:", err)
	}
}

// outcome is "ok", the error of Slack's, or the status of a response URL.
func outcome(err error) string {
	var status slack.StatusCodeError
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &status):
		return strconv.Itoa(status.Code)
	}
	return err.Error()
}

func inner[T any](e *socketmode.Event) (T, bool) {
	outer, _ := e.Data.(slackevents.EventsAPIEvent)
	in, ok := outer.InnerEvent.Data.(T)
	return in, ok
}

func (a *goApp) onMessage(e *socketmode.Event, _ *socketmode.Client) {
	a.ack(e)
	m, ok := inner[*slackevents.MessageEvent](e)
	if !ok || m.BotID != "" || m.SubType != "" {
		return
	}
	switch says := func(text string) bool { return strings.Contains(m.Text, text) }; {
	case says("hello"):
		a.say(m.Channel, "Hello <@"+m.User+">!")
	case says("in a thread"):
		a.say(m.Channel, "In here.", slack.MsgOptionTS(m.TimeStamp))
	case says("and more") && m.ThreadTimeStamp != "":
		a.say(m.Channel, "More of "+m.Message.ParentUserId+".", slack.MsgOptionTS(m.ThreadTimeStamp))
	case says("secret"):
		_, err := a.api.PostEphemeral(m.Channel, m.User, slack.MsgOptionText("Only you see this.", false))
		noted(err)
	case says("attempt"):
		a.say(m.Channel, strings.TrimSpace(fmt.Sprintf("attempt %d %s", e.Request.RetryAttempt, e.Request.RetryReason)))
	case says("say slowly"):
		a.say(m.Channel, "Slowly said.")
	case says("no scope"):
		_, err := a.api.GetUsers()
		var refused slack.SlackErrorResponse
		if errors.As(err, &refused) {
			a.say(m.Channel, refused.Err+": needed "+refused.Needed)
		}
	case says("nowhere"):
		_, _, err := a.api.PostMessage("C0NOWHERE", slack.MsgOptionText("?", false))
		a.say(m.Channel, outcome(err))
	case says("respond now"):
		hook, _ := a.kept()
		a.say(m.Channel, "Respond: "+outcome(slack.PostWebhook(hook, &slack.WebhookMessage{Text: "late"})))
	case says("open now"):
		_, trigger := a.kept()
		_, first := a.api.OpenView(trigger, order())
		_, again := a.api.OpenView(trigger, order())
		a.say(m.Channel, "Open: "+outcome(first)+" "+outcome(again))
	}
}

func (a *goApp) kept() (hook, trigger string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.hook, a.trigger
}

var aMention = regexp.MustCompile(`^<@\w+>\s*`)

func (a *goApp) onMention(e *socketmode.Event, _ *socketmode.Client) {
	a.ack(e)
	if m, ok := inner[*slackevents.AppMentionEvent](e); ok {
		a.say(m.Channel, "You said: "+aMention.ReplaceAllString(m.Text, ""))
	}
}

func (a *goApp) onReaction(e *socketmode.Event, _ *socketmode.Client) {
	a.ack(e)
	if r, ok := inner[*slackevents.ReactionAddedEvent](e); ok && r.Reaction == "eyes" {
		noted(a.api.AddReaction("white_check_mark", slack.NewRefToMessage(r.Item.Channel, r.Item.Timestamp)))
	}
}

func (a *goApp) onHome(e *socketmode.Event, _ *socketmode.Client) {
	a.ack(e)
	if h, ok := inner[*slackevents.AppHomeOpenedEvent](e); ok {
		view := slack.HomeTabViewRequest{Type: slack.VTHomeTab, Blocks: slack.Blocks{BlockSet: []slack.Block{
			slack.NewSectionBlock(plain("Welcome home"), nil, nil),
		}}}
		_, err := a.api.PublishView(h.User, view, "")
		noted(err)
	}
}

func plain(text string) *slack.TextBlockObject {
	return slack.NewTextBlockObject(slack.PlainTextType, text, false, false)
}

func (a *goApp) onCommand(e *socketmode.Event, _ *socketmode.Client) {
	cmd, _ := e.Data.(slack.SlashCommand)
	switch cmd.Command {
	case "/echo":
		a.ack(e, map[string]any{"response_type": "in_channel", "text": "Echo: " + cmd.Text})
	case "/menu":
		a.ack(e)
		a.say(cmd.ChannelID, "What shall it be?", slack.MsgOptionBlocks(
			slack.NewSectionBlock(slack.NewTextBlockObject(slack.MarkdownType, "*What shall it be?*", false, false), nil, nil),
			slack.NewActionBlock("menu",
				slack.NewButtonBlockElement("yes", "y-1", plain("Yes")), slack.NewButtonBlockElement("form", "", plain("Form")), fruit()),
		))
	case "/many":
		a.ack(e)
		outcomes := []string{}
		for i := range 6 {
			outcomes = append(outcomes, outcome(slack.PostWebhook(cmd.ResponseURL, &slack.WebhookMessage{Text: fmt.Sprint("use ", i+1)})))
		}
		a.say(cmd.ChannelID, "Responses: "+strings.Join(outcomes, " "))
	case "/keep":
		a.mu.Lock()
		a.hook, a.trigger = cmd.ResponseURL, cmd.TriggerID
		a.mu.Unlock()
		a.ack(e, map[string]any{"text": "Kept."})
	}
}

func fruit() *slack.SelectBlockElement {
	return slack.NewOptionsSelectBlockElement(slack.OptTypeExternal, plain("Fruit"), "fruit")
}

// order is the modal.
func order() slack.ModalViewRequest {
	kind := slack.NewInputBlock("kind", plain("Fruit"), nil, fruit())
	kind.Optional = true
	return slack.ModalViewRequest{
		Type: slack.VTModal, CallbackID: "order", Title: plain("Order"), Submit: plain("Send"), NotifyOnClose: true, PrivateMetadata: "m-1",
		Blocks: slack.Blocks{BlockSet: []slack.Block{
			slack.NewInputBlock("count", plain("How many"), nil, slack.NewPlainTextInputBlockElement(nil, "n")), kind,
		}},
	}
}

func (a *goApp) onAction(e *socketmode.Event, _ *socketmode.Client) {
	a.ack(e)
	in, _ := e.Data.(slack.InteractionCallback)
	for _, action := range in.ActionCallback.BlockActions {
		switch action.ActionID {
		case "yes":
			noted(slack.PostWebhook(in.ResponseURL, &slack.WebhookMessage{ReplaceOriginal: true, Text: in.User.Name + " chose " + action.Value}))
		case "form":
			_, err := a.api.OpenView(in.TriggerID, order())
			noted(err)
		case "fruit":
			if in.View.ID == "" {
				a.say(in.Channel.ID, "Fruit: "+action.SelectedOption.Value)
			}
		}
	}
}

func (a *goApp) onSuggestion(e *socketmode.Event, _ *socketmode.Client) {
	in, _ := e.Data.(slack.InteractionCallback)
	found := slack.OptionsResponse{}
	for _, name := range []string{"apple", "apricot", "banana"} {
		if strings.HasPrefix(name, in.Value) {
			found.Options = append(found.Options, slack.NewOptionBlockObject(name, plain(name), nil))
		}
	}
	a.ack(e, found)
}

func (a *goApp) onShortcut(e *socketmode.Event, _ *socketmode.Client) {
	a.ack(e)
	in, _ := e.Data.(slack.InteractionCallback)
	_, err := a.api.OpenView(in.TriggerID, order())
	noted(err)
}

func (a *goApp) onQuote(e *socketmode.Event, _ *socketmode.Client) {
	a.ack(e)
	in, _ := e.Data.(slack.InteractionCallback)
	noted(slack.PostWebhook(in.ResponseURL, &slack.WebhookMessage{ResponseType: slack.ResponseTypeInChannel, Text: "Quoted: " + in.Message.Text}))
}

func (a *goApp) onSubmit(e *socketmode.Event, _ *socketmode.Client) {
	in, _ := e.Data.(slack.InteractionCallback)
	values := in.View.State.Values
	n := values["count"]["n"].Value
	if _, err := strconv.Atoi(n); err != nil {
		a.ack(e, slack.NewErrorsViewSubmissionResponse(map[string]string{"count": "Please enter a number."}))
		return
	}
	a.ack(e)
	a.say("C0RANDOM", fmt.Sprintf("<@%s> ordered %s %s (%s)", in.User.ID, n, values["kind"]["fruit"].SelectedOption.Value, in.View.PrivateMetadata))
}

func (a *goApp) onClosed(e *socketmode.Event, _ *socketmode.Client) {
	a.ack(e)
	a.say("C0RANDOM", "Order dropped.")
}
