package wait

import (
	"strings"
	"unicode/utf8"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib/internal/declare"
	"github.com/starling-rules/starling/stdlib/ui"
)

// maxCallback is what is left of Slack's 255 characters for the callback_id of
// the view beside the one by which the run is found.
const maxCallback = 150

// askForm asks for the effect once, or as often as check finds errors.
func askForm(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	d := a.Dict.Clone()
	d.Delete("check")
	if err := checkForm(a); err != nil {
		return nil, err
	}
	if err := checkQuestion(a, a.Text("text"), false); err != nil {
		return nil, err
	}
	if err := checkAudience(a, d); err != nil {
		return nil, err
	}
	v, _ := a.Get("check")
	check, ok := v.(runtime.Callable)
	if !ok {
		return await(x, "ask_form", d)
	}
	if a.Has("quorum") {
		return nil, declare.Hint("look at what each has submitted when all have", "ask_form: check and quorum exclude each other")
	}
	d.Set("check", true)
	return untilGood(x, d, check)
}

// untilGood asks until check finds nothing wrong. The form that is sent back is
// an effect of its own, with what was wrong as an argument: a run that is taken
// up again sends back the same.
func untilGood(x *runtime.Context, d *runtime.Dict, check runtime.Callable) (runtime.Value, error) {
	v, err := await(x, "ask_form", d)
	for err == nil && v != nil {
		answer, ok := declare.Plain(v).(*runtime.Dict)
		if !ok {
			return v, nil
		}
		answer = answer.Clone()
		until, _ := answer.Get("until")
		answer.Delete("until")
		if _, given := answer.Get("operator"); given {
			return shown(answer) // who knows what he does, and has no form to send back
		}
		values, _ := answer.Get("values")
		var errs *runtime.Dict
		if errs, err = faults(x, check, values); err != nil {
			return nil, err
		}
		if errs.Len() == 0 {
			return shown(answer)
		}
		next := d.Clone()
		next.Set("again", runtime.NewDict("channel", answer.Text("channel"), "ts", answer.Text("ts"), "user", answer.Text("user"),
			"errors", errs, "values", values, "until", until))
		v, err = await(x, "ask_form", next)
	}
	return v, err
}

// faults calls check, which may ask for nothing: it judges, and is called again
// whenever the run is taken up.
func faults(x *runtime.Context, check runtime.Callable, values runtime.Value) (*runtime.Dict, error) {
	do := x.Do
	x.Do = func(kind string, _ *runtime.Dict) (runtime.Value, error) {
		return nil, declare.Hint("do it before or after", "%s has an effect, which is not possible in the check of ask_form", kind)
	}
	defer func() { x.Do = do }()
	v, err := check(values)
	if err != nil || v == nil {
		return nil, err
	}
	if _, pending := v.(runtime.Pending); pending {
		return nil, x.Suspend()
	}
	const hint = "such as {\"why\": \"Say more\"}, from action_id or block_id to what is wrong; None if nothing is"
	d, ok := declare.Plain(v).(*runtime.Dict)
	if !ok {
		return nil, declare.Hint(hint, "ask_form: check returned a %s, want a dict or None", runtime.TypeName(v))
	}
	if inner, ok := d.Get("errors"); ok && d.Text("response_action") == "errors" { // of ui.errors
		d, _ = declare.Plain(inner).(*runtime.Dict)
	}
	for i := range d.Len() {
		f := d.Fields[i]
		if s, ok := f.Value.(string); !ok || s == "" || len(s) > maxText {
			return nil, declare.Hint(hint, "ask_form: check returned a %s for %s, want a text of 1 to %d bytes", runtime.TypeName(f.Value), f.Key, maxText)
		}
	}
	return d, nil
}

func checkForm(a *runtime.Args) error {
	view := declare.Dict(a, "view")
	if err := ui.CheckModal(view); err != nil {
		return declare.Hint("", "ask_form: view: %v", err)
	}
	if n := len(view.Text("callback_id")); n > maxCallback {
		return declare.Hint("", "ask_form: view: callback_id has %d bytes, and beside that of the run there is room for %d", n, maxCallback)
	}
	if v, given := a.Get("button"); given && !unknown(v) {
		label, _ := v.(string)
		switch n := utf8.RuneCountInString(label); {
		case strings.TrimSpace(label) == "":
			return declare.Hint("", "ask_form: button: is empty")
		case n > maxLabel:
			return declare.Hint("", "ask_form: button: has %d characters, Slack takes at most %d", n, maxLabel)
		}
	}
	return nil
}
