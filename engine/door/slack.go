package door

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/slackapi"
	"github.com/starling-rules/starling/runtime"
)

// A trigger_id works once and for three seconds after Slack made it.
const triggerLife = 3 * time.Second

// call is a Web API call that is ready to be made.
type call struct {
	method string
	args   *runtime.Dict
	o      slackapi.CallOptions
	// failed is set when the call cannot be made, with what the script is told.
	failed *slackapi.Result
}

// builder makes the call that an effect stands for. Its error is raised in the script.
type builder func(ctx context.Context, r *Run, e runtime.Effect) (call, error)

func (l *live) slackHandlers(all Live) {
	built := func(build builder, repeat Repeat) Handler {
		return Handler{
			Do: func(ctx context.Context, r *Run, e runtime.Effect) (runtime.Value, error) {
				c, err := build(ctx, r, e)
				if err != nil {
					return nil, err
				}
				return l.do(ctx, r, c)
			},
			Repeat: Always(repeat),
		}
	}
	all["respond"] = Handler{Do: l.respond}
	all["reply"] = l.say(l.reply)
	all["post"] = l.say(l.post)
	all["dm"] = l.say(l.dm)
	all["upload"] = Handler{Do: l.upload}
	all["ephemeral"] = built(l.ephemeral, Never)
	all["update"] = built(l.update, Again)
	all["delete"] = built(l.delete, Again)
	all["react"] = built(l.react("reactions.add"), Again)
	all["unreact"] = built(l.react("reactions.remove"), Again)
	all["open_modal"] = Handler{
		Do: l.openModal, Repeat: Always(Never),
		Wait: l.waitTrigger, Resume: l.resumeTrigger,
	}
	all["publish_home"] = built(l.publishHome, Again)
	all["slack_action"] = Handler{Do: l.slackAction, Repeat: repeatAction, Find: l.finder(l.action)}
	all["slack_pages"] = Handler{Do: l.slackPages, Repeat: repeatAction}
	all["read_markup"] = Handler{Do: l.readMarkup, Read: true, Repeat: Always(Again)}
	all["write_markup"] = Handler{Do: l.writeMarkup, Read: true, Repeat: Always(Again)}
	all["user"] = Handler{Do: l.look(l.Slack.User), Read: true, Repeat: Always(Again)}
	all["channel"] = Handler{Do: l.look(l.Slack.Channel), Read: true, Repeat: Always(Again)}
	all["usergroup"] = Handler{Do: l.look(l.Slack.Usergroup), Read: true, Repeat: Always(Again)}
	all["emoji"] = Handler{Do: l.look(l.Slack.Emoji), Read: true, Repeat: Always(Again)}
	all["bot_info"] = Handler{Do: l.look(l.Slack.Bot), Read: true, Repeat: Always(Again)}
	all["find_message"] = Handler{Do: l.findMessage, Read: true, Repeat: Always(Again)}
}

// behalf says for whom an effect calls Slack.
func behalf(e *event.Event) slackapi.CallOptions {
	return slackapi.CallOptions{Team: e.Team, Enterprise: e.Enterprise, Bot: e.Bot}
}

// do makes a call and returns Slack's answer.
func (l *live) do(ctx context.Context, r *Run, c call) (runtime.Value, error) {
	res, err := l.perform(ctx, r, c)
	if err != nil {
		return nil, err
	}
	return res.Body, nil
}

func (l *live) perform(ctx context.Context, r *Run, c call) (slackapi.Result, error) {
	if c.failed != nil {
		return *c.failed, nil
	}
	res, err := l.Slack.Call(ctx, c.method, c.args, c.o)
	if err != nil {
		return res, err
	}
	if !res.OK && alreadyDone(c.method, res.Error, r.Resumed) {
		note(ctx, res.Error+" counts as done")
		b, err := runtime.AppendJSON(nil, runtime.NewDict("ok", true, "already", true))
		return slackapi.Result{OK: true, Body: b, Status: res.Status}, err
	}
	return res, nil
}

// alreadyDone reports whether an error says that the wanted state holds. A
// message that is gone is so only to somebody who may have deleted it before.
func alreadyDone(method, code string, resumed bool) bool {
	switch method + " " + code {
	case "reactions.add already_reacted", "reactions.remove no_reaction":
		return true
	case "chat.delete message_not_found":
		return resumed
	}
	return false
}

// fail makes a call that is not made.
func fail(code, detail string) (call, error) {
	res := slackapi.Failed(code, detail)
	return call{failed: &res}, nil
}

// message is a call of chat.postMessage, marked so that it can be found again.
func (l *live) message(r *Run, e runtime.Effect, args *runtime.Dict) call {
	mark(r, e, args)
	return call{method: "chat.postMessage", args: args, o: behalf(r.Event)}
}

func (l *live) post(_ context.Context, r *Run, e runtime.Effect) (call, error) {
	args := without(e.Args)
	if args.Text("channel") == "" {
		return fail("no_channel", "post: no channel is given")
	}
	args.Set("channel", channelRef(args.Text("channel")))
	return l.message(r, e, args), nil
}

func (l *live) reply(_ context.Context, r *Run, e runtime.Effect) (call, error) {
	if r.Event.Channel == "" {
		return fail("no_conversation", "reply: the event belongs to no conversation")
	}
	args := without(e.Args)
	args.Set("channel", r.Event.Channel)
	if _, given := args.Get("thread_ts"); !given {
		if ts := threadOf(r.Event); ts != "" {
			args.Set("thread_ts", ts)
		}
	}
	return l.message(r, e, args), nil
}

// threadOf is the thread that an answer to the event belongs to: the one it
// came from, or a new one under its message.
func threadOf(e *event.Event) string {
	if e.ThreadTS != "" {
		return e.ThreadTS
	}
	return e.TS
}

func (l *live) dm(ctx context.Context, r *Run, e runtime.Effect) (call, error) {
	o := behalf(r.Event)
	who := e.Args.Text("user")
	if who == "" {
		who = r.Event.User
	}
	user, err := l.Slack.UserID(ctx, who, o)
	if err == nil {
		var channel string
		if channel, err = l.Slack.DM(ctx, user, o); err == nil {
			args := without(e.Args, "user")
			args.Set("channel", channel)
			return l.message(r, e, args), nil
		}
	}
	return refusedCall(err)
}

// refusedCall turns a refused look-up into the result of the effect.
func refusedCall(err error) (call, error) {
	var refused *slackapi.Error
	if errors.As(err, &refused) {
		res := refused.Result()
		return call{failed: &res}, nil
	}
	return call{}, err
}

func (l *live) ephemeral(ctx context.Context, r *Run, e runtime.Effect) (call, error) {
	c := l.onMessage(ctx, r, "chat.postEphemeral", without(e.Args))
	if _, given := e.Args.Get("thread_ts"); !given && r.Event.ThreadTS != "" && c.args.Text("channel") == r.Event.Channel {
		c.args.Set("thread_ts", r.Event.ThreadTS)
	}
	return c, nil
}

func (l *live) update(ctx context.Context, r *Run, e runtime.Effect) (call, error) {
	return l.onMessage(ctx, r, "chat.update", without(e.Args)), nil
}

func (l *live) delete(ctx context.Context, r *Run, e runtime.Effect) (call, error) {
	return l.onMessage(ctx, r, "chat.delete", without(e.Args)), nil
}

func (l *live) react(method string) builder {
	return func(ctx context.Context, r *Run, e runtime.Effect) (call, error) {
		args := without(e.Args, "emoji", "ts")
		args.Set("name", strings.Trim(e.Args.Text("emoji"), ":"))
		if ts := e.Args.Text("ts"); ts != "" {
			args.Set("timestamp", ts)
		}
		return l.onMessage(ctx, r, method, args), nil
	}
}

// onMessage is a call about one message: channel and time are the event's if
// they are not given, and a channel may be given by its name.
func (l *live) onMessage(ctx context.Context, r *Run, method string, args *runtime.Dict) call {
	if ch := channelRef(args.Text("channel")); ch != "" {
		if id, err := l.Slack.ChannelID(ctx, ch, behalf(r.Event)); err == nil {
			ch = id
		}
		args.Set("channel", ch)
	}
	fill(ctx, slackapi.Known(method), args, r.Event)
	return call{method: method, args: args, o: behalf(r.Event)}
}

// channelRef takes the id out of <#C1|name>.
func channelRef(s string) string {
	if inner, ok := strings.CutPrefix(s, "<#"); ok {
		id, _, _ := strings.Cut(strings.TrimSuffix(inner, ">"), "|")
		return id
	}
	return s
}

// fillFresh fills a call's arguments, with the trigger_id of the newest answer
// that the run has, and refuses one that Slack would refuse, without spending
// the time on asking.
func (l *live) fillFresh(ctx context.Context, r *Run, c *call) {
	m := slackapi.Known(c.method)
	newest := newestTrigger(r)
	e := r.Event
	if newest.ID != "" && newest.ID != e.TriggerID {
		with := *e
		with.TriggerID = newest.ID
		e = &with
	}
	fill(ctx, m, c.args, e)
	trigger := c.args.Text("trigger_id")
	if !m.Has(slackapi.NeedTrigger) || trigger == "" || trigger != newest.ID || newest.At.IsZero() {
		return
	}
	if age := l.Now().Sub(newest.At); age > triggerLife {
		res := slackapi.Failed("expired_trigger_id", fmt.Sprintf("the trigger is %s old, Slack takes it for %s", age.Round(100*time.Millisecond), triggerLife))
		c.failed = &res
	}
}

func (l *live) publishHome(ctx context.Context, r *Run, e runtime.Effect) (call, error) {
	args := without(e.Args, "user")
	if who := e.Args.Text("user"); who != "" {
		user, err := l.Slack.UserID(ctx, who, behalf(r.Event))
		if err != nil {
			return refusedCall(err)
		}
		args.Set("user_id", user)
	}
	fill(ctx, slackapi.Known("views.publish"), args, r.Event)
	return call{method: "views.publish", args: args, o: behalf(r.Event)}, nil
}

// look performs user and channel: Slack's object with .ok beside its fields.
func (l *live) look(find func(context.Context, string, slackapi.CallOptions) (runtime.JSON, error)) func(context.Context, *Run, runtime.Effect) (runtime.Value, error) {
	return func(ctx context.Context, r *Run, e runtime.Effect) (runtime.Value, error) {
		return found(find(ctx, e.Args.Text("id"), behalf(r.Event)))
	}
}

func (l *live) findMessage(ctx context.Context, r *Run, e runtime.Effect) (runtime.Value, error) {
	return found(l.Slack.Message(ctx, e.Args.Text("channel"), e.Args.Text("ts"), behalf(r.Event)))
}

// found is the result of a look-up.
func found(obj runtime.JSON, err error) (runtime.Value, error) {
	var refused *slackapi.Error
	switch {
	case errors.As(err, &refused):
		return refused.Result().Body, nil
	case err != nil:
		return nil, err
	}
	rest := strings.TrimLeft(string(obj), " \t\r\n{")
	if strings.HasPrefix(rest, "}") {
		return runtime.JSON(`{"ok":true}`), nil
	}
	return runtime.JSON(`{"ok":true,` + rest), nil
}
