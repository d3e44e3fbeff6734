package ui

import (
	"slices"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib/internal/declare"
)

func elementBuiltins() []*runtime.Builtin {
	shapes := []shape{
		{
			name: "button", doc: "Make a button.",
			params: []runtime.Param{
				declare.Arg("text", textual, "Plain text, at most 75 characters."), actionIDParam,
				declare.Opt("value", runtime.TString, nil, "What `e.action` carries, at most 2000 characters."),
				declare.Key("url", runtime.TString, nil, "Open this page."),
				declare.OneOf("style", []string{"primary", "danger"}, nil, "Green or red."),
				confirmParam,
				declare.Key("label", runtime.TString, nil, "What a screen reader says, at most 75 characters."),
			},
			build: func(b *builder) {
				b.set("type", "button").text(plainTxt, "text").copy("action_id", "value", "url", "style", "confirm")
				if s := b.a.Text("label"); s != "" {
					b.set("accessibility_label", s)
				}
			},
			examples: []runtime.Example{
				{
					Star: `ui.button("Approve", "approve", "42", style="primary")`, Lua: `ui.button("Approve", "approve", "42", {style = "primary"})`,
					Want: `{"type":"button","text":{"type":"plain_text","text":"Approve"},"action_id":"approve","value":"42","style":"primary"}`,
				},
				{Star: `ui.button("", "approve")`, Fails: true, Want: "text.text: is empty"},
			},
		},
		{
			name: "datepicker", doc: "Make an element to choose a day.",
			params: []runtime.Param{actionIDParam, declare.Key("initial", runtime.TString, nil, "Day at the start, YYYY-MM-DD."), holderParam, confirmParam, focusParam},
			build:  func(b *builder) { picker(b, "datepicker", "initial_date") },
			examples: []runtime.Example{
				{
					Star: `ui.datepicker("due", initial="2026-03-01")`, Lua: `ui.datepicker("due", {initial = "2026-03-01"})`,
					Want: `{"type":"datepicker","action_id":"due","initial_date":"2026-03-01"}`,
				},
				{Star: `ui.datepicker("due", initial="tomorrow")`, Lua: `ui.datepicker("due", {initial = "tomorrow"})`, Fails: true, Want: "YYYY-MM-DD"},
			},
		},
		{
			name: "timepicker", doc: "Make an element to choose a time of day.",
			params: []runtime.Param{
				actionIDParam, declare.Key("initial", runtime.TString, nil, "Time at the start, HH:MM."),
				declare.Key("timezone", runtime.TString, nil, "Zone of the time, such as `Europe/Berlin`."), holderParam, confirmParam, focusParam,
			},
			build:    func(b *builder) { picker(b, "timepicker", "initial_time").copy("timezone") },
			examples: []runtime.Example{{Star: `ui.timepicker("at")`, Want: `{"type":"timepicker","action_id":"at"}`}},
		},
		{
			name: "text_input", doc: "Make an element to enter text.",
			params: []runtime.Param{
				actionIDParam,
				declare.OneOf("type", []string{"text", "email", "url", "number"}, "text", "What may be entered."),
				declare.Key("multiline", runtime.TBool, false, "Several lines; for text."),
				declare.Key("initial", runtime.TString, nil, "What is there at the start."),
				declare.Key("min_length", runtime.TInt, nil, "Fewest characters, for text."),
				declare.Key("max_length", runtime.TInt, nil, "Most characters, for text, up to 3000."),
				declare.Key("decimal", runtime.TBool, false, "Fractions are allowed, for number."),
				holderParam, focusParam,
			},
			build: buildTextInput,
			examples: []runtime.Example{
				{
					Star: `ui.text_input("why", multiline=True)`, Lua: `ui.text_input("why", {multiline = true})`,
					Want: `{"type":"plain_text_input","action_id":"why","multiline":true}`,
				},
				{
					Star: `ui.text_input("n", type="number")`, Lua: `ui.text_input("n", {type = "number"})`,
					Want: `{"type":"number_input","action_id":"n","is_decimal_allowed":false}`,
				},
			},
		},
		{
			name: "confirm", doc: "Make the question that an element asks before it acts.",
			params: []runtime.Param{
				declare.Arg("title", textual, "At most 100 characters."),
				declare.Arg("text", textual, "At most 300 characters."),
				declare.Opt("confirm", textual, "Yes", "The button that goes on, at most 30 characters."),
				declare.Opt("deny", textual, "Cancel", "The button that does not, at most 30 characters."),
				declare.OneOf("style", []string{"primary", "danger"}, nil, "Green or red."),
			},
			build: func(b *builder) {
				b.text(plainTxt, "title").text(mrkdwn, "text").set("confirm", textDict(plainTxt, "Yes")).set("deny", textDict(plainTxt, "Cancel")).
					text(plainTxt, "confirm", "deny").copy("style")
			},
			check: func(path string, v runtime.Value) error {
				return confirmOf.rule(path, v)
			},
			examples: []runtime.Example{{
				Star: `ui.confirm("Sure?", "It cannot be undone.")`,
				Want: `{"title":{"type":"plain_text","text":"Sure?"},"text":{"type":"mrkdwn","text":"It cannot be undone."},"confirm":{"type":"plain_text","text":"Yes"},"deny":{"type":"plain_text","text":"Cancel"}}`,
			}},
		},
	}
	return builtins(shapes, element)
}

// picker sets what date and time pickers share.
func picker(b *builder, kind, initial string) *builder {
	b.set("type", kind).copy("action_id")
	if v, ok := b.a.Get("initial"); ok {
		b.set(initial, v)
	}
	return b.text(plainTxt, "placeholder").copy("confirm").focus()
}

func (b *builder) focus() *builder {
	if b.a.Bool("focus", false) {
		b.set("focus_on_load", true)
	}
	return b
}

func buildTextInput(b *builder) {
	kinds := map[string]string{"": "plain_text_input", "text": "plain_text_input", "email": "email_text_input", "url": "url_text_input", "number": "number_input"}
	kind := b.a.Text("type")
	b.set("type", kinds[kind]).copy("action_id")
	if kind == "" || kind == "text" {
		b.copy("multiline", "min_length", "max_length")
	} else {
		for _, p := range []string{"multiline", "min_length", "max_length"} {
			if b.a.Has(p) {
				b.err = problem(p, "is only for type=\"text\"")
			}
		}
	}
	if kind == "number" {
		b.set("is_decimal_allowed", b.a.Bool("decimal", false))
	}
	if v, ok := b.a.Get("initial"); ok {
		b.set("initial_value", v)
	}
	b.text(plainTxt, "placeholder").focus()
}

// options turns texts into options, and leaves dicts as they are.
func options(v runtime.Value) runtime.List {
	l := slices.Clone(asList(v))
	for i, e := range l {
		if s, ok := e.(string); ok {
			l[i] = runtime.NewDict("text", textDict(plainTxt, s), "value", s)
		}
	}
	return l
}

// initialOption finds the option of that value among options and groups.
func (b *builder) initialOption(value runtime.Value) runtime.Value {
	s, ok := value.(string)
	if !ok {
		return declare.Plain(value)
	}
	all, _ := b.out.Get("options")
	candidates := slices.Clone(asList(all))
	groups, _ := b.out.Get("option_groups")
	for _, g := range asList(groups) {
		gd, _ := declare.Plain(g).(*runtime.Dict)
		in, _ := gd.Get("options")
		candidates = append(candidates, asList(in)...)
	}
	for _, c := range candidates {
		if d, _ := declare.Plain(c).(*runtime.Dict); d.Text("value") == s {
			return d
		}
	}
	if b.err == nil {
		b.err = problem("initial", "no option has the value %q", s)
	}
	return nil
}

func (b *builder) initialOptions(v runtime.Value) runtime.List {
	if s, ok := v.(string); ok {
		v = runtime.List{s}
	}
	l := slices.Clone(asList(v))
	for i := range l {
		l[i] = b.initialOption(l[i])
	}
	return l
}
