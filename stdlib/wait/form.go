package wait

import (
	"strings"
	"unicode/utf8"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib/internal/declare"
	"github.com/starling-rules/starling/stdlib/ui"
)

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
	return await(x, "ask_form", d)
}

func checkForm(a *runtime.Args) error {
	view := declare.Dict(a, "view")
	if err := ui.CheckModal(view); err != nil {
		return declare.Hint("", "ask_form: view: %v", err)
	}
	if view.Text("private_metadata") != "" && view.Text("callback_id") != "" {
		return declare.Hint("what the run knows needs no place in the view", "ask_form: view: has both private_metadata and callback_id, and one of them is needed to find the run")
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
