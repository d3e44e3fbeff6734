package door

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/slackapi"
	"github.com/starling-rules/starling/engine/wait"
	"github.com/starling-rules/starling/runtime"
)

// waitHandlers are of what waits for people and for events.
func (l *live) waitHandlers(all Live) {
	question := func(post builder, hear func(context.Context, *Run, *wait.Wait, *event.Event) wait.Heard) Handler {
		return Handler{
			Repeat: Always(Lookup),
			Do: func(ctx context.Context, r *Run, e runtime.Effect) (runtime.Value, error) {
				c, err := post(ctx, r, e)
				if err != nil {
					return nil, err
				}
				res, err := l.perform(ctx, r, c)
				if err != nil {
					return nil, err
				}
				return l.asked(ctx, r, e, res)
			},
			Find: func(ctx context.Context, r *Run, e runtime.Effect) (runtime.Value, bool, bool) {
				v, found, known := l.finder(post)(ctx, r, e)
				if !found {
					return nil, false, known
				}
				body, _ := v.(runtime.JSON)
				v, err := l.asked(ctx, r, e, slackapi.Result{OK: true, Body: body})
				return v, err == nil, err == nil
			},
			Wait: l.waitAnswer, Hear: hear, Resume: l.resumeAsk, Lost: l.lostAsk,
		}
	}
	all["ask"] = question(l.postAsk, l.hearAsk)
	form := question(l.postForm, l.hearForm)
	post := form.Do
	form.Repeat, form.Do = repeatForm, func(ctx context.Context, r *Run, e runtime.Effect) (runtime.Value, error) {
		if dict(e.Args, "again") != nil {
			return l.sendBack(ctx, r, e)
		}
		return post(ctx, r, e)
	}
	all["ask_form"] = form
	l.eventHandlers(all)
	all[tellKind] = Handler{Do: l.doTell}
	// What open_modal waits for has a kind of its own, which no script asks for.
	all[wait.Trigger] = Handler{Do: unasked, Hear: l.hearTrigger, Lost: l.lostTrigger}
}

func unasked(_ context.Context, _ *Run, e runtime.Effect) (runtime.Value, error) {
	return nil, fmt.Errorf("%s: %w", e.Kind, ErrUnknownKind)
}

// postAsk is the message of a question, with its buttons.
func (l *live) postAsk(ctx context.Context, r *Run, e runtime.Effect) (call, error) {
	return l.postQuestion(ctx, r, e, e.Args.Text("text"), choiceElements(stepRef(r, e), choicesOf(e.Args)))
}

// postQuestion is a message that shows elements to answer with.
func (l *live) postQuestion(ctx context.Context, r *Run, e runtime.Effect, text string, elements runtime.List) (call, error) {
	// Before anything is asked: who may answer must be known.
	if _, err := l.audience(ctx, r, e); err != nil {
		return call{}, fmt.Errorf("%s: %w", e.Kind, err)
	}
	channel, thread, err := l.placeOf(ctx, r, e)
	if err != nil {
		return call{}, fmt.Errorf("%s: %w", e.Kind, err)
	}
	blocks := append(questionBlocks(text, listArg(e.Args, "blocks")),
		runtime.NewDict("type", "actions", "block_id", stepRef(r, e), "elements", elements))
	args := runtime.NewDict("channel", channel, "text", text, "blocks", blocks)
	if thread != "" {
		args.Set("thread_ts", thread)
	}
	return l.message(r, e, args), nil
}

// stepRef names what an effect is to wait for first.
func stepRef(r *Run, e runtime.Effect) string { return wait.Ref(r.ID, wait.Point{Step: e.Step}) }

// placeOf is where a question is asked.
func (l *live) placeOf(ctx context.Context, r *Run, e runtime.Effect) (channel, thread string, err error) {
	to, _ := e.Args.Get("to")
	o := behalf(r.Event)
	person := ""
	switch to := plain(to).(type) {
	case *runtime.Dict:
		return channelRef(to.Text("channel")), to.Text("ts"), nil
	case string:
		if !isPerson(to) {
			return channelRef(to), "", nil
		}
		if person, err = l.Slack.UserID(ctx, to, o); err != nil {
			return "", "", fmt.Errorf("to: %q cannot be looked up: %w", to, err)
		}
	default:
		if r.Event.Channel != "" {
			return r.Event.Channel, r.Event.ThreadTS, nil
		}
		if person = r.Event.User; person == "" {
			return "", "", fmt.Errorf("the event belongs to no conversation: say where to ask with to=")
		}
	}
	if channel, err = l.Slack.DM(ctx, person, o); err != nil {
		return "", "", fmt.Errorf("a direct message to %s cannot be opened: %w", person, err)
	}
	return channel, "", nil
}

// isPerson tells a person from a channel.
func isPerson(s string) bool {
	return strings.HasPrefix(s, "<@") || isID(s, "UW") || strings.Contains(s, "@")
}

// asked is what is known of a question that stands in a conversation. One that
// does not is an error: a script that took it for an answer might go ahead.
func (l *live) asked(ctx context.Context, r *Run, e runtime.Effect, res slackapi.Result) (runtime.Value, error) {
	if !res.OK {
		return nil, fmt.Errorf("%s: the question could not be asked: %s", e.Kind, res.Error)
	}
	who, err := l.audience(ctx, r, e)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.Kind, err)
	}
	v := runtime.NewDict("channel", res.Text("channel"), "ts", res.Text("ts"))
	who.put(v)
	return v, nil
}

// waitAnswer is the wait for the answers to a question that was asked.
func (l *live) waitAnswer(_ context.Context, r *Run, e runtime.Effect, v runtime.Value) (*wait.Wait, error) {
	match, ok := plain(v).(*runtime.Dict)
	if !ok || match.Text("ts") == "" {
		return nil, nil
	}
	match = match.Clone()
	text := questionText(e)
	match.Set("text", text)
	for _, name := range [...]string{"blocks", "quorum", "choices", "view", "button", "check", "again"} {
		if v, given := e.Args.Get(name); given {
			match.Set(name, plain(v))
		}
	}
	until, given := deadlineOf(e)
	if !given {
		until = l.until(r, e)
	}
	return &wait.Wait{Kind: e.Kind, Until: until, Match: match, Title: oneLine(text)}, nil
}

// oneLine is the beginning of a text in one line.
func oneLine(s string) string {
	const most = 300
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

// hearAsk takes a click on a button or the choice in a select.
func (l *live) hearAsk(ctx context.Context, r *Run, w *wait.Wait, ev *event.Event) wait.Heard {
	i, ok := chosen(r, w, ev)
	if !ok {
		return wait.Heard{}
	}
	if no := l.notYours(ctx, w, ev); no != nil {
		return *no
	}
	return l.count(r, w, ev, runtime.NewDict("choice", int64(i)))
}

// chosen is the number of the choice that an action stands for.
func chosen(r *Run, w *wait.Wait, ev *event.Event) (int, bool) {
	if ev.Kind != event.Action {
		return 0, false
	}
	for _, a := range ev.Actions {
		run, at, rest, ok := wait.ParseRef(a.ActionID)
		if !ok || run != r.ID || at != w.Point() {
			continue
		}
		if rest == selectRest {
			rest = a.Value
		}
		i, err := strconv.Atoi(rest)
		if err == nil && i >= 0 && i < len(choicesOf(w.Match)) {
			return i, true
		}
	}
	return 0, false
}

// notYours refuses who may not answer, nil for who may.
func (l *live) notYours(ctx context.Context, w *wait.Wait, ev *event.Event) *wait.Heard {
	who := audienceOf(w.Match)
	may, err := l.allows(ctx, who, ev)
	switch {
	case err != nil && !may:
		l.Logger.Warn("it cannot be found out who may answer", "event_id", ev.ID, "err", err)
		return &wait.Heard{Verdict: wait.Refuse, Tell: "It cannot be found out just now whether you may answer this question. Try again in a moment."}
	case !may:
		return &wait.Heard{Verdict: wait.Refuse, Tell: "This question is for " + who.mention() + ". Your answer does not count."}
	}
	return nil
}

// count adds an answer, which the event gave, to those that a question has.
func (l *live) count(r *Run, w *wait.Wait, ev *event.Event, given *runtime.Dict) wait.Heard {
	given.Set("user", ev.User)
	given.Set("at", unix(ev.Received))
	quorum := int(integer(w.Match, "quorum", 0))
	if quorum == 0 {
		return wait.Heard{Verdict: wait.Match, Answer: given}
	}
	all := runtime.List{}
	changed := false
	for _, v := range listArg(w.State, "answers") {
		old, _ := plain(v).(*runtime.Dict)
		if old.Text("user") == ev.User {
			all, changed = append(all, given), true
			continue
		}
		all = append(all, old)
	}
	if !changed {
		all = append(all, given)
	}
	state := runtime.NewDict("answers", all)
	if len(all) >= quorum {
		return wait.Heard{Verdict: wait.Match, Answer: state, State: state}
	}
	tell := fmt.Sprintf("Your answer counts: %d of %d.", len(all), quorum)
	if changed {
		tell = fmt.Sprintf("Your answer is changed. There are %d of %d.", len(all), quorum)
	}
	shown := *w
	shown.State = state
	// r belongs to the caller: what happens later needs a copy.
	asker := *r
	return wait.Heard{Verdict: wait.Partial, State: state, Tell: tell, Then: func(ctx context.Context) { l.progress(ctx, &asker, &shown) }}
}

// unix is a time as scripts have it.
func unix(t time.Time) runtime.Value { return float64(t.UnixMicro()) / 1e6 }

// resumeAsk makes the result of the answer, and shows the outcome in the message.
func (l *live) resumeAsk(ctx context.Context, r *Run, _ runtime.Effect, w *wait.Wait, a *wait.Answer) (runtime.Value, error) {
	given := givenBy(w, a)
	l.closeQuestion(ctx, r, w, a, given)
	if given == nil {
		return nil, nil
	}
	if integer(w.Match, "quorum", 0) == 0 {
		return asJSON(answerOf(w, a, given))
	}
	list := runtime.List{}
	for _, v := range listArg(given, "answers") {
		if d, ok := plain(v).(*runtime.Dict); ok {
			list = append(list, answerOf(w, a, d))
		}
	}
	return asJSON(list)
}

// givenBy is what an answer says, nil if it says nothing: what the handler made
// of the event, or what an operator gives in its place. That is a choice, the
// values of a form, or an answer as the script is given it; of a quorum a list.
func givenBy(w *wait.Wait, a *wait.Answer) *runtime.Dict {
	if a.By == wait.ByTimeout || a.By == wait.ByCancel || a.Value == nil {
		return nil
	}
	if a.By != wait.ByOperator {
		return a.Value
	}
	v := operatorGave(a)
	list, many := v.(runtime.List)
	if v == nil {
		return nil
	}
	if !many {
		list = runtime.List{v}
	}
	answers := make(runtime.List, len(list))
	for i, v := range list {
		d, ok := plain(v).(*runtime.Dict)
		_, choice := d.Get("choice")
		_, values := d.Get("values")
		switch {
		case choice || values:
		case w.Kind == wait.AskForm && ok:
			d = runtime.NewDict("values", d)
		default:
			d = runtime.NewDict("choice", plain(v))
		}
		answers[i] = d
	}
	if integer(w.Match, "quorum", 0) > 0 {
		return runtime.NewDict("answers", answers)
	}
	if len(answers) == 0 {
		return nil
	}
	return answers[0].(*runtime.Dict)
}

// operatorGave is the answer of an operator.
func operatorGave(a *wait.Answer) runtime.Value {
	if v, ok := a.Value.Get("answer"); ok {
		return plain(v)
	}
	return a.Value
}

// asJSON is a value as scripts see results: frozen, with fields.
func asJSON(v runtime.Value) (runtime.Value, error) {
	b, err := runtime.AppendJSON(nil, v)
	return runtime.JSON(b), err
}

// answerOf is what the script is given of one answer.
func answerOf(w *wait.Wait, a *wait.Answer, given *runtime.Dict) *runtime.Dict {
	out := &runtime.Dict{}
	if w.Kind == wait.Ask {
		c, _ := choiceOf(w.Match, given)
		out.Set("choice", c.value)
		out.Set("text", c.text)
	} else {
		v, _ := given.Get("values")
		out.Set("values", v)
	}
	user, at := runtime.Value(nil), unix(a.At)
	if u := given.Text("user"); u != "" {
		user = u
	}
	if v, ok := given.Get("at"); ok && v != nil {
		at = v
	}
	out.Set("user", user)
	out.Set("at", at)
	out.Set("channel", w.Match.Text("channel"))
	out.Set("ts", w.Match.Text("ts"))
	if a.By == wait.ByOperator {
		out.Set("operator", a.Who)
	}
	if flag(w.Match, "check", false) && !w.Until.IsZero() { // for a form that is sent back
		out.Set("until", unix(w.Until))
	}
	return out
}

// lostAsk tells whoever answered too late how the question ended. A message that
// still shows its buttons long after is brought up to date.
func (l *live) lostAsk(ctx context.Context, r *Run, w *wait.Wait, a *wait.Answer, ev *event.Event) {
	channel := ""
	if w != nil {
		channel = w.Match.Text("channel")
	}
	l.tell(ctx, ev, channel, closedText(w, a, ev))
	if w != nil && a != nil && w.Match.Text("ts") != "" && ev.Received.Sub(a.At) > updateTime {
		l.closeQuestion(ctx, r, w, a, givenBy(w, a))
	}
}

// closedText says why an answer does not count any more.
func closedText(w *wait.Wait, a *wait.Answer, ev *event.Event) string {
	const closed = "This question is closed"
	if w == nil || a == nil {
		return closed + "."
	}
	switch a.By {
	case wait.ByTimeout:
		return closed + ": there was no answer in time."
	case wait.ByCancel:
		return closed + ": it was cancelled."
	case wait.ByOperator:
		return closed + ": it was answered by an operator."
	}
	if integer(w.Match, "quorum", 0) > 0 {
		return closed + ": everybody needed has answered."
	}
	user, what := a.Value.Text("user"), ""
	if w.Kind == wait.Ask {
		if c, ok := choiceOf(w.Match, a.Value); ok {
			what = ": *" + event.Escape(c.text) + "*"
		}
	}
	switch user {
	case "":
		return closed + what + "."
	case ev.User:
		return closed + ". Your answer counts" + what + "."
	}
	return closed + ". <@" + user + "> was first" + what + "."
}
