package door

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/wait"
	"github.com/starling-rules/starling/runtime"
)

// A form in which the script found errors is sent back: opened again for whoever
// submitted it, as it was filled in, with the errors at its inputs. That is an
// effect of its own, so that it survives a crash like any other; Slack closed
// the form when the submission was acked.

// sentBack is what was wrong with a form.
type sentBack struct {
	user           string
	errors, values *runtime.Dict
}

// sentBackOf reads it from the arguments of the effect, or from the wait.
func sentBackOf(d *runtime.Dict) *sentBack {
	again := dict(d, "again")
	if again == nil {
		return nil
	}
	return &sentBack{user: again.Text("user"), errors: dict(again, "errors"), values: dict(again, "values")}
}

// repeatForm classifies ask_form: a form is sent back as often as it takes.
func repeatForm(e runtime.Effect) Repeat {
	if dict(e.Args, "again") != nil {
		return Again
	}
	return Lookup
}

// sendBack opens a form again, and gives its message a button that does so too.
func (l *live) sendBack(ctx context.Context, r *Run, e runtime.Effect) (runtime.Value, error) {
	again, sent := dict(e.Args, "again"), sentBackOf(e.Args)
	who, err := l.audience(ctx, r, e)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.Kind, err)
	}
	v := runtime.NewDict("channel", again.Text("channel"), "ts", again.Text("ts"))
	who.put(v)
	ref := stepRef(r, e)
	code, err := l.openView(ctx, newestTrigger(r), behalf(r.Event), formView(ref, e.Args, sent))
	if err != nil {
		return nil, err
	}
	shown := &wait.Wait{Kind: e.Kind, Match: v.Clone()}
	shown.Match.Set("text", questionText(e))
	if blocks := listArg(e.Args, "blocks"); blocks != nil {
		shown.Match.Set("blocks", blocks)
	}
	l.show(ctx, r, shown, "Sent back to <@"+sent.user+">.",
		runtime.NewDict("type", "actions", "block_id", ref, "elements", formElements(ref, e.Args)))
	if code != "" {
		note(ctx, "the form is not opened again: "+code)
		to := &event.Event{Team: r.Event.Team, Enterprise: r.Event.Enterprise, Bot: r.Event.Bot, User: sent.user, Channel: v.Text("channel")}
		text := "The form needs another look. Press its button to open it again."
		for i := range sent.errors.Len() {
			text += "\n• " + event.Escape(sent.errors.Text(sent.errors.Fields[i].Key))
		}
		l.tell(ctx, to, "", text)
	}
	return v, nil
}

// deadlineOf is when a form that is sent back is over: as before.
func deadlineOf(e runtime.Effect) (until time.Time, given bool) {
	again := dict(e.Args, "again")
	if again == nil {
		return time.Time{}, false
	}
	v, _ := again.Get("until")
	n, ok := v.(float64)
	if !ok {
		return time.Time{}, true
	}
	return time.UnixMicro(int64(n * 1e6)), true
}

// maxViewBlocks is what Slack takes.
const maxViewBlocks = 100

// fill returns the blocks of a form with what was in them, and the errors below
// the inputs that they are about; others stand on top.
func (s *sentBack) fill(blocks runtime.List) runtime.List {
	told := map[string]bool{}
	var out runtime.List
	for _, b := range blocks {
		block, ok := plain(b).(*runtime.Dict)
		element := dict(block, "element")
		if !ok || element == nil {
			out = append(out, b)
			continue
		}
		block = block.Clone()
		block.Set("element", s.filled(block.Text("block_id"), element))
		out = append(out, block)
		for _, id := range [...]string{element.Text("action_id"), block.Text("block_id")} {
			if text := s.errors.Text(id); id != "" && text != "" && !told[id] {
				told[id] = true
				out = append(out, faultBlock(text))
			}
		}
	}
	for i := range s.errors.Len() {
		if f := s.errors.Fields[i]; !told[f.Key] {
			out = append(runtime.List{faultBlock(s.errors.Text(f.Key))}, out...)
		}
	}
	return out[:min(len(out), maxViewBlocks)]
}

func faultBlock(text string) *runtime.Dict {
	return runtime.NewDict("type", "context", "elements", runtime.List{markdown(":warning: " + event.Escape(text))})
}

// initial are the fields that say what is in an element, by its type.
var initial = map[string]string{
	"plain_text_input": "initial_value", "email_text_input": "initial_value", "url_text_input": "initial_value", "number_input": "initial_value",
	"datepicker": "initial_date", "timepicker": "initial_time", "datetimepicker": "initial_date_time",
	"static_select": "initial_option", "radio_buttons": "initial_option", "checkboxes": "initial_options", "multi_static_select": "initial_options",
	"users_select": "initial_user", "conversations_select": "initial_conversation", "channels_select": "initial_channel",
	"multi_users_select": "initial_users", "multi_conversations_select": "initial_conversations", "multi_channels_select": "initial_channels",
}

// filled is an element with what was submitted in it.
func (s *sentBack) filled(block string, el *runtime.Dict) *runtime.Dict {
	v, ok := s.values.Get(el.Text("action_id"))
	if !ok {
		v, ok = s.values.Get(block + "." + el.Text("action_id"))
	}
	field := initial[el.Text("type")]
	if !ok || v == nil || field == "" {
		return el
	}
	el = el.Clone()
	el.Delete(field)
	switch v = plain(v); field {
	case "initial_option", "initial_options":
		chosen := optionsWith(el, v)
		if len(chosen) == 0 {
			return el
		}
		if v = chosen; field == "initial_option" {
			v = chosen[0]
		}
	case "initial_value":
		switch n := v.(type) {
		case int64:
			v = strconv.FormatInt(n, 10)
		case float64:
			v = strconv.FormatFloat(n, 'f', -1, 64)
		}
		if v == "" {
			return el
		}
	case "initial_users", "initial_conversations", "initial_channels":
		if list, _ := v.(runtime.List); len(list) == 0 {
			return el
		}
	}
	el.Set(field, v)
	return el
}

// optionsWith are the options of an element that have one of the values.
func optionsWith(el *runtime.Dict, values runtime.Value) runtime.List {
	all := listArg(el, "options")
	for _, g := range listArg(el, "option_groups") {
		group, _ := plain(g).(*runtime.Dict)
		all = append(all, listArg(group, "options")...)
	}
	var out runtime.List
	for _, o := range all {
		option, _ := plain(o).(*runtime.Dict)
		for _, v := range wanted(values) {
			if option.Text("value") == v {
				out = append(out, o)
			}
		}
	}
	return out
}
