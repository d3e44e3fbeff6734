package ui

import (
	"strings"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib/internal/declare"
)

func choiceBuiltins() []*runtime.Builtin {
	optionList := declare.Arg("options", runtime.TList, "`ui.option`s, or texts that are their own values.")
	shapes := []shape{
		{
			name: "select", doc: "Make a menu to choose one of many, or several.",
			params: []runtime.Param{
				actionIDParam,
				declare.Opt("options", runtime.TList, nil, "For a static menu: up to 100 `ui.option`s, or texts that are their own values."),
				declare.Key("groups", runtime.TList, nil, "For a static menu: up to 100 `ui.option_group`s instead."),
				declare.OneOf("type", []string{"static", "external", "users", "conversations", "channels"}, "static", "What is chosen from; the options of an external menu come from `on.options`."),
				declare.Key("multi", runtime.TBool, false, "Several may be chosen."),
				declare.Key("initial", runtime.TString|runtime.TList|runtime.TDict, nil, "Value or id chosen at the start; a list with `multi`."),
				declare.Key("max_selected", runtime.TInt, nil, "At most so many, with `multi`."),
				declare.Key("min_query_length", runtime.TInt, nil, "Ask for options from so many characters on, for an external menu."),
				declare.Key("filter", runtime.TDict, nil, "Which conversations are shown, as Slack describes it."),
				declare.Key("default_to_current", runtime.TBool, false, "Start with the conversation that the view was opened in."),
				holderParam, confirmParam, focusParam,
			},
			build: buildSelect,
			examples: []runtime.Example{
				{
					Star: `ui.select("env", ["staging", "prod"], initial="staging")`, Lua: `ui.select("env", {"staging", "prod"}, {initial = "staging"})`,
					Want: `{"type":"static_select","action_id":"env","options":[{"text":{"type":"plain_text","text":"staging"},"value":"staging"},{"text":{"type":"plain_text","text":"prod"},"value":"prod"}],"initial_option":{"text":{"type":"plain_text","text":"staging"},"value":"staging"}}`,
				},
				{
					Star: `ui.select("who", type="users", multi=True, max_selected=3)`, Lua: `ui.select("who", {type = "users", multi = true, max_selected = 3})`,
					Want: `{"type":"multi_users_select","action_id":"who","max_selected_items":3}`,
				},
				{
					Star: `ui.select("env", ["a"], initial="b")`, Lua: `ui.select("env", {"a"}, {initial = "b"})`,
					Fails: true, Want: `no option has the value "b"`,
				},
				{Star: `ui.select("env")`, Fails: true, Want: "either options or option_groups"},
			},
		},
		{
			name: "overflow", doc: "Make the menu behind three dots.",
			params:   []runtime.Param{actionIDParam, declare.Arg("options", runtime.TList, "Up to 5 `ui.option`s, or texts that are their own values."), confirmParam},
			build:    func(b *builder) { choices(b, "overflow").copy("confirm") },
			examples: []runtime.Example{{Star: `ui.overflow("more", ["Edit"])`, Lua: `ui.overflow("more", {"Edit"})`, Want: `{"type":"overflow","action_id":"more","options":[{"text":{"type":"plain_text","text":"Edit"},"value":"Edit"}]}`}},
		},
		{
			name: "checkboxes", doc: "Make up to 10 boxes to tick.",
			params: []runtime.Param{actionIDParam, optionList, declare.Key("initial", runtime.TList, nil, "Values ticked at the start."), confirmParam, focusParam},
			build: func(b *builder) {
				choices(b, "checkboxes")
				if v, ok := b.a.Get("initial"); ok && len(asList(v)) > 0 {
					b.set("initial_options", b.initialOptions(v))
				}
				b.copy("confirm").focus()
			},
			examples: []runtime.Example{{Star: `ui.checkboxes("ok", ["yes"])`, Lua: `ui.checkboxes("ok", {"yes"})`, Want: `{"type":"checkboxes","action_id":"ok","options":[{"text":{"type":"plain_text","text":"yes"},"value":"yes"}]}`}},
		},
		{
			name: "radio", doc: "Make up to 10 choices of which one is taken.",
			params: []runtime.Param{actionIDParam, optionList, declare.Key("initial", runtime.TString, nil, "Value taken at the start."), confirmParam, focusParam},
			build: func(b *builder) {
				choices(b, "radio_buttons")
				if v, ok := b.a.Get("initial"); ok {
					b.set("initial_option", b.initialOption(v))
				}
				b.copy("confirm").focus()
			},
			examples: []runtime.Example{{Star: `ui.radio("size", ["S"])`, Lua: `ui.radio("size", {"S"})`, Want: `{"type":"radio_buttons","action_id":"size","options":[{"text":{"type":"plain_text","text":"S"},"value":"S"}]}`}},
		},
		{
			name: "option", doc: "Make one choice of a menu.",
			params: []runtime.Param{
				declare.Arg("text", textual, "What is shown, at most 75 characters."),
				declare.Opt("value", runtime.TString, nil, "What the event carries, at most 150 characters; the text if left out."),
				declare.Key("description", textual, nil, "Second line, at most 75 characters."),
				declare.Key("url", runtime.TString, nil, "Open this page; in an overflow menu."),
			},
			build: func(b *builder) {
				b.text(plainTxt, "text").set("value", b.a.Text("text")).copy("value").text(plainTxt, "description").copy("url")
			},
			check: func(path string, v runtime.Value) error { return optionRule(path, v) },
			examples: []runtime.Example{
				{Star: `ui.option("Oslo", "osl")`, Want: `{"text":{"type":"plain_text","text":"Oslo"},"value":"osl"}`},
				{Star: `ui.option("x" * 76)`, Lua: `ui.option(string.rep("x", 76))`, Fails: true, Want: "text.text: has 76 characters, Slack takes at most 75"},
			},
		},
		{
			name: "option_group", doc: "Make a group of choices under a label.",
			params: []runtime.Param{declare.Arg("label", textual, "At most 75 characters."), optionList},
			build: func(b *builder) {
				b.text(plainTxt, "label")
				v, _ := b.a.Get("options")
				b.set("options", options(v))
			},
			check:    func(path string, v runtime.Value) error { return groupRule(path, v) },
			examples: []runtime.Example{{Star: `ui.option_group("Cities", ["Oslo"])`, Lua: `ui.option_group("Cities", {"Oslo"})`, Want: `{"label":{"type":"plain_text","text":"Cities"},"options":[{"text":{"type":"plain_text","text":"Oslo"},"value":"Oslo"}]}`}},
		},
	}
	return builtins(shapes, element)
}

// choices sets what elements with a list of options share.
func choices(b *builder, kind string) *builder {
	v, _ := b.a.Get("options")
	return b.set("type", kind).copy("action_id").set("options", options(v))
}

func buildSelect(b *builder) {
	kind := b.a.Text("type")
	if kind == "" {
		kind = "static"
	}
	multi := b.a.Bool("multi", false)
	full := kind + "_select"
	if multi {
		full = "multi_" + full
	}
	b.set("type", full).copy("action_id")
	if v, ok := b.a.Get("options"); ok {
		b.set("options", options(v))
	}
	if v, ok := b.a.Get("groups"); ok {
		b.set("option_groups", asList(v))
	}
	if kind != "static" && (b.a.Has("options") || b.a.Has("groups")) {
		b.err = problem("options", "are only for a static menu")
	}
	b.initial(kind, multi)
	if n, ok := b.a.Get("max_selected"); ok {
		b.set("max_selected_items", n)
		if !multi {
			b.err = problem("max_selected", "needs multi=True")
		}
	}
	b.copy("min_query_length", "filter").text(plainTxt, "placeholder").copy("confirm").focus()
	if b.a.Bool("default_to_current", false) {
		b.set("default_to_current_conversation", true)
	}
}

// initial sets initial_option, initial_users and their like.
func (b *builder) initial(kind string, multi bool) {
	v, ok := b.a.Get("initial")
	if !ok {
		return
	}
	name := "initial_" + strings.TrimSuffix(kind, "s")
	if kind == "static" || kind == "external" {
		name = "initial_option"
		if multi {
			v = b.initialOptions(v)
		} else {
			v = b.initialOption(v)
		}
	} else if s, is := v.(string); is && multi {
		v = runtime.List{s}
	}
	if multi {
		name += "s"
	}
	b.set(name, declare.Plain(v))
}
