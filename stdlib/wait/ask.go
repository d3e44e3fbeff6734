package wait

import (
	"strings"
	"time"
	"unicode/utf8"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib/internal/declare"
	"github.com/starling-rules/starling/stdlib/ui"
)

// The bounds of a question.
const (
	maxQuestion = 3000 // characters: what a section block takes
	maxButtons  = 5    // more choices make a select
	maxChoices  = 100
	maxLabel    = 75 // characters of a button or an option
	maxQuorum   = 100
	maxData     = 64 << 10 // bytes of what a script gives along
)

const askRepeat = "After a crash the message is looked up in the conversation before it is sent again; the wait goes on where it was."

func questions() []*runtime.Builtin {
	to := declare.Key("to", runtime.TString|runtime.TDict, nil, "Where to ask: a channel (`#name` or id), a person (id, @name or e-mail address: a direct message), or a message, as the call that posted it returned it (in its thread). Left out: where the event came from, in the thread if it was in one.")
	quorum := declare.Key("quorum", runtime.TInt, nil, "Wait for so many different people, 1 to 100; the result is then a list, in the order in which they answered. Who answers again changes the own answer.")
	blocks := declare.Key("blocks", runtime.TList, nil, "Blocks to show in place of the text, at most 45; `ui` builds them.")
	return []*runtime.Builtin{
		effect("ask", "Ask people to choose, and wait for the answer.",
			"Posts the text with a button for each choice, or with a select if there are more than five, and updates the message to show the outcome. "+
				"`who` may answer is told to everybody else who clicks; of two who click at once the first one counts, and the other is told so. "+
				"The answer has `.choice` (the text of the choice, or its `value`), `.text` (what the button said), `.user` (the id), `.at` (seconds since 1970, as `e.received`), `.channel` and `.ts` of the message, and `.operator` if an operator answered. "+
				"A question that cannot be asked, or whom it is for cannot be found, fails the run; `catch` catches it. "+
				"The run holds nothing while it waits; it goes on after restarts and days with the version of the script that it began with. A message that somebody deletes leaves the time-out.",
			"dict, None on time-out; with `quorum` a list of dicts, None on time-out", askRepeat, ask,
			[]runtime.Param{
				declare.Arg("text", runtime.TString, "The question in Slack's markup, at most 3000 characters."),
				declare.Arg("choices", runtime.TList, "Texts of at most 75 characters, or dicts with `text`, and perhaps `value` (any data, for `.choice`), `style` (`primary` or `danger`), `description` (in a select) and `confirm` (`ui.confirm`); at most 100."),
				to, whoParam("Who may answer."), timeoutParam(), quorum, blocks,
			},
			runtime.Example{
				Star: `ask("Deploy *api* to *prod*?", ["Yes", "No"], who=["@ann", "@oncall"], timeout="2h")`,
				Lua:  `ask("Deploy *api* to *prod*?", {"Yes", "No"}, {who = {"@ann", "@oncall"}, timeout = "2h"})`,
				Want: `{"effect":"ask","args":{"text":"Deploy *api* to *prod*?","choices":["Yes","No"],"who":["@ann","@oncall"],"timeout":7200.0}}`,
			},
			runtime.Example{
				Star: `ask("Which one?", [{"text": "Production", "value": "prod", "style": "danger"}, "None"], to="#ops", quorum=2)`,
				Lua:  `ask("Which one?", {{text = "Production", value = "prod", style = "danger"}, "None"}, {to = "#ops", quorum = 2})`,
				Want: `{"effect":"ask","args":{"text":"Which one?","choices":[{"text":"Production","value":"prod","style":"danger"},"None"],"to":"#ops","quorum":2}}`,
			},
			runtime.Example{Star: `ask("Ready?", [])`, Lua: `ask("Ready?", {})`, Fails: true, Want: "ask: choices: is empty"},
			runtime.Example{
				Star: `ask("Ready?", ["Yes", {"text": "No", "stile": "danger"}])`, Lua: `ask("Ready?", {"Yes", {text = "No", stile = "danger"}})`,
				Fails: true, Want: "choices[1].stile: is no field of a choice",
			},
			runtime.Example{Star: `ask("Ready?", ["Yes"], timout="1h")`, Lua: `ask("Ready?", {"Yes"}, {timout = "1h"})`, Fails: true, Want: "unknown option \"timout\""}),
		effect("ask_form", "Ask people to fill in a form, and wait for what they submit.",
			"Posts a message with a button that opens the modal for whoever clicks it and may answer, and updates the message to show who has submitted it. "+
				"The answer has `.values` (as `e.values` of a submission: from `action_id` to the plain value of each input), `.user`, `.at`, `.channel` and `.ts` of the message; otherwise it is that of `ask`. "+
				"With `check`, a function of the values, a form with errors is opened again for whoever submitted it, filled in as it was and with the errors at its inputs. "+
				"The function returns them as a dict by `action_id` or `block_id`, or as `ui.errors`; None, or an empty dict, lets the form through.",
			"dict, None on time-out; with `quorum` a list of dicts, None on time-out", askRepeat, askForm,
			[]runtime.Param{
				declare.Arg("view", runtime.TDict, "The modal; `ui.modal` builds it."),
				declare.Opt("text", runtime.TString, nil, "What the message with the button says; the title of the modal if left out."),
				declare.Key("button", runtime.TString, "Open", "What the button says, at most 75 characters."),
				to, whoParam("Who may answer."), timeoutParam(), quorum, blocks,
				declare.Key("check", runtime.TCallable, nil, "Called with the values of each submission; returns a dict of errors, or None. Built-ins with an effect are refused in it."),
			},
			runtime.Example{
				Star: `ask_form(ui.modal("Incident", [ui.input("What happened?", ui.text_input("what"))]), "Please report.", who="U1", timeout="1d")`,
				Lua:  `ask_form(ui.modal("Incident", {ui.input("What happened?", ui.text_input("what"))}), "Please report.", {who = "U1", timeout = "1d"})`,
			},
			runtime.Example{
				Star: `ask_form(ui.modal("Incident", [ui.input("Why?", ui.text_input("why"))]), check=lambda v: {"why": "Say more."} if len(v["why"]) < 20 else None)`,
				Lua:  `ask_form(ui.modal("Incident", {ui.input("Why?", ui.text_input("why"))}), {check = function(v) if #v.why < 20 then return {why = "Say more."} end end})`,
			},
			runtime.Example{Star: `ask_form({"type": "home"})`, Lua: `ask_form({type = "home"}, {})`, Fails: true, Want: "want modal"},
			runtime.Example{
				Star: `ask_form(ui.modal("Hi", [ui.divider()]), button="")`, Lua: `ask_form(ui.modal("Hi", {ui.divider()}), {button = ""})`,
				Fails: true, Want: "ask_form: button: is empty",
			}),
	}
}

func ask(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	d := a.Dict.Clone()
	if err := checkQuestion(a, a.Text("text"), true); err != nil {
		return nil, err
	}
	if err := checkChoices(declare.List(a, "choices")); err != nil {
		return nil, err
	}
	if err := checkAudience(a, d); err != nil {
		return nil, err
	}
	return await(x, "ask", d)
}

// checkAudience looks at what ask and ask_form have in common.
func checkAudience(a *runtime.Args, d *runtime.Dict) error {
	name := a.Builtin.Name
	if err := people(a, d); err != nil {
		return err
	}
	if err := duration(a, d, "timeout", time.Second); err != nil {
		return err
	}
	if v, given := d.Get("quorum"); given && !unknown(v) {
		n := a.Int("quorum", 1)
		if n < 1 || n > maxQuorum {
			return declare.Hint("leave it out if one answer is enough", "%s: quorum: is %d, want 1 to %d", name, n, maxQuorum)
		}
		if err := enough(a, d, int(n)); err != nil {
			return err
		}
	}
	if blocks := declare.List(a, "blocks"); blocks != nil {
		if err := ui.CheckBlocks(blocks, ui.MaxMessageBlocks-5); err != nil {
			return declare.Hint("", "%s: %v", name, err)
		}
	}
	return place(a, d)
}

// enough refuses a quorum that the people named cannot reach. Those of a user
// group are not known here, and what begins with @ may be one.
func enough(a *runtime.Args, d *runtime.Dict, quorum int) error {
	v, _ := d.Get("who")
	list, _ := v.(runtime.List)
	if len(list) == 0 || len(list) >= quorum {
		return nil
	}
	for _, e := range list {
		s, _ := e.(string)
		if !strings.HasPrefix(s, "U") && !strings.HasPrefix(s, "W") && !strings.HasPrefix(s, "<@") {
			return nil
		}
	}
	return declare.Hint("", "%s: quorum: is %d, and who names %d", a.Builtin.Name, quorum, len(list))
}

// place makes {"channel": …, "ts": …} of a message in to.
func place(a *runtime.Args, d *runtime.Dict) error {
	v, given := d.Get("to")
	if !given || unknown(v) {
		return nil
	}
	if s, ok := v.(string); ok {
		if strings.Trim(s, "#@ ") == "" || len(s) > 255 {
			return declare.Hint("such as \"#ops\", \"U1\" or \"@ann\"", "%s: to: %q is no place to ask", a.Builtin.Name, s)
		}
		return nil
	}
	m, _ := declare.Plain(v).(*runtime.Dict)
	if m.Text("channel") == "" && !unknownField(m, "channel") {
		return declare.Hint("give what the call that posted the message returned", "%s: to: has no channel", a.Builtin.Name)
	}
	return message(a, d, "to", true)
}

// checkQuestion looks at the text that is shown above the buttons.
func checkQuestion(a *runtime.Args, text string, needed bool) error {
	if strings.TrimSpace(text) == "" && needed {
		return declare.Hint("", "%s: text: is empty", a.Builtin.Name)
	}
	if n := utf8.RuneCountInString(text); n > maxQuestion {
		return declare.Hint("post what is long before", "%s: text: has %d characters, at most %d can be asked", a.Builtin.Name, n, maxQuestion)
	}
	return nil
}

// choiceFields are those of a dict in choices. A button or an option that ui
// has built brings type and action_id along, which are the server's here.
var choiceFields = []string{"text", "value", "style", "description", "confirm", "type", "action_id", "accessibility_label"}

func checkChoices(list runtime.List) error {
	if len(list) == 0 {
		return declare.Hint("such as [\"Yes\", \"No\"]", "ask: choices: is empty")
	}
	if len(list) > maxChoices {
		return declare.Hint("ask_form has room for more", "ask: choices: has %d entries, want at most %d", len(list), maxChoices)
	}
	if declare.Size(list, maxData) > maxData {
		return declare.Hint("", "ask: choices: more than 64 KB")
	}
	seen := map[string]int{}
	for i, c := range list {
		if unknown(c) {
			continue
		}
		label, err := checkChoice(c, i, len(list) > maxButtons)
		if err != nil {
			return err
		}
		if first, taken := seen[label]; taken && label != "" {
			return declare.Hint("", "ask: choices[%d]: %q stands in choices[%d] already", i, label, first)
		}
		seen[label] = i
	}
	return nil
}

func checkChoice(c runtime.Value, i int, sel bool) (label string, err error) {
	switch c := declare.Plain(c).(type) {
	case string:
		return c, checkLabel(c, i, "")
	case *runtime.Dict:
		for _, f := range c.Fields {
			if err := checkChoiceField(f, i, sel); err != nil {
				return "", err
			}
		}
		v, _ := c.Get("text")
		if t, ok := declare.Plain(v).(*runtime.Dict); ok { // of ui.button or ui.option
			v, _ = t.Get("text")
		}
		if unknown(v) {
			return "", nil
		}
		label, ok := v.(string)
		if !ok {
			return "", declare.Hint("such as {\"text\": \"Yes\"}", "ask: choices[%d].text: is missing", i)
		}
		return label, checkLabel(label, i, ".text")
	}
	return "", declare.Hint("such as \"Yes\" or {\"text\": \"Yes\", \"value\": 1}", "ask: choices[%d]: is a %s, want a string or a dict", i, runtime.TypeName(c))
}

func checkChoiceField(f runtime.Field, i int, sel bool) error {
	v := declare.Plain(f.Value)
	if unknown(v) {
		return nil
	}
	switch f.Key {
	case "text", "type", "action_id", "accessibility_label":
	case "value":
		if err := declare.Data(v); err != nil {
			return declare.Hint("", "ask: choices[%d].value: %v", i, err)
		}
	case "style":
		if v != "primary" && v != "danger" {
			return declare.Hint("", "ask: choices[%d].style: is %v, want primary or danger", i, v)
		}
		fallthrough
	case "confirm":
		if sel {
			return declare.Hint("", "ask: choices[%d].%s: is for buttons, and more than %d choices make a select", i, f.Key, maxButtons)
		}
	case "description":
		switch v.(type) {
		case string, *runtime.Dict:
		default:
			return declare.Hint("", "ask: choices[%d].description: is a %s, want a string", i, runtime.TypeName(v))
		}
	default:
		hint := "it has text, value, style, description and confirm"
		if n := runtime.Nearest(f.Key, choiceFields[:5]); n != "" {
			hint = "did you mean " + n + "?"
		}
		return declare.Hint(hint, "ask: choices[%d].%s: is no field of a choice", i, f.Key)
	}
	return nil
}

func checkLabel(s string, i int, field string) error {
	switch n := utf8.RuneCountInString(s); {
	case strings.TrimSpace(s) == "":
		return declare.Hint("", "ask: choices[%d]%s: is empty", i, field)
	case n > maxLabel:
		return declare.Hint("put what is long into the text", "ask: choices[%d]%s: has %d characters, Slack takes at most %d", i, field, n, maxLabel)
	}
	return nil
}
