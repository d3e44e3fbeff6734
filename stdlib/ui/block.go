package ui

import (
	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib/internal/declare"
)

func blockBuiltins() []*runtime.Builtin {
	shapes := []shape{
		{
			name: "section", doc: "Make a block of text, with fields in two columns or an element beside it.",
			params: []runtime.Param{
				declare.Opt("text", textual, nil, "Text in Slack's markup, at most 3000 characters."),
				declare.Key("fields", runtime.TList, nil, "Up to 10 texts of at most 2000 characters."),
				declare.Key("accessory", runtime.TDict, nil, "An element shown beside the text."),
				declare.Key("expand", runtime.TBool, false, "Show long text whole."),
				blockIDParam,
			},
			build: func(b *builder) {
				b.set("type", "section").text(mrkdwn, "text").texts(mrkdwn, "fields").copy("accessory", "expand", "block_id")
			},
			examples: []runtime.Example{
				{Star: `ui.section("*hi*")`, Want: `{"type":"section","text":{"type":"mrkdwn","text":"*hi*"}}`},
				{
					Star: `ui.section(fields=["a", "b"])`, Lua: `ui.section({fields = {"a", "b"}})`,
					Want: `{"type":"section","fields":[{"type":"mrkdwn","text":"a"},{"type":"mrkdwn","text":"b"}]}`,
				},
				{Star: `ui.section()`, Fails: true, Want: "needs text or fields"},
			},
		},
		{
			name: "header", doc: "Make a headline.",
			params:   []runtime.Param{declare.Arg("text", textual, "Plain text, at most 150 characters."), blockIDParam},
			build:    func(b *builder) { b.set("type", "header").text(plainTxt, "text").copy("block_id") },
			examples: []runtime.Example{{Star: `ui.header("Deploys")`, Want: `{"type":"header","text":{"type":"plain_text","text":"Deploys"}}`}},
		},
		{
			name: "divider", doc: "Make a line between blocks.", params: []runtime.Param{blockIDParam},
			build:    func(b *builder) { b.set("type", "divider").copy("block_id") },
			examples: []runtime.Example{{Star: `ui.divider()`, Want: `{"type":"divider"}`}},
		},
		{
			name: "context", doc: "Make a line of small texts and images.",
			params: []runtime.Param{
				declare.Arg("elements", runtime.TString|runtime.TList, "A text, or up to 10 texts and `ui.image`s."), blockIDParam,
			},
			build: func(b *builder) {
				b.set("type", "context")
				if s := b.a.Text("elements"); s != "" {
					b.set("elements", runtime.List{textDict(mrkdwn, s)})
				} else {
					b.texts(mrkdwn, "elements")
				}
				b.copy("block_id")
			},
			examples: []runtime.Example{
				{Star: `ui.context("by Ann")`, Want: `{"type":"context","elements":[{"type":"mrkdwn","text":"by Ann"}]}`},
				{Star: `ui.context([])`, Lua: `ui.context({})`, Fails: true, Want: "elements"},
			},
		},
		{
			name: "image", doc: "Make an image: a block, an accessory or a part of a context.",
			params: []runtime.Param{
				declare.Arg("image_url", runtime.TString, "Where it is, publicly."),
				declare.Arg("alt_text", runtime.TString, "What it shows, for who cannot see it."),
				declare.Key("title", textual, nil, "Shown above it, in a block."), blockIDParam,
			},
			build: func(b *builder) {
				b.set("type", "image").copy("image_url", "alt_text").text(plainTxt, "title").copy("block_id")
			},
			examples: []runtime.Example{{
				Star: `ui.image("https://x.example/a.png", "a chart")`,
				Want: `{"type":"image","image_url":"https://x.example/a.png","alt_text":"a chart"}`,
			}},
		},
		{
			name: "actions", doc: "Make a row of buttons and other elements.",
			params: []runtime.Param{declare.Arg("elements", runtime.TList, "Up to 25 elements."), blockIDParam},
			build:  func(b *builder) { b.set("type", "actions").copy("elements", "block_id") },
			examples: []runtime.Example{
				{
					Star: `ui.actions([ui.button("Yes", "yes")])`, Lua: `ui.actions({ui.button("Yes", "yes")})`,
					Want: `{"type":"actions","elements":[{"type":"button","text":{"type":"plain_text","text":"Yes"},"action_id":"yes"}]}`,
				},
				{
					Star: `ui.actions([ui.button("Yes", "a"), ui.button("No", "a")])`, Lua: `ui.actions({ui.button("Yes", "a"), ui.button("No", "a")})`,
					Fails: true, Want: `elements[1].action_id: "a" is taken`,
				},
			},
		},
		{
			name: "markdown", doc: "Make a block of standard Markdown, for messages.",
			params:   []runtime.Param{declare.Arg("text", runtime.TString, "Markdown, at most 12,000 characters.")},
			build:    func(b *builder) { b.set("type", "markdown").copy("text") },
			examples: []runtime.Example{{Star: `ui.markdown("**hi**")`, Want: `{"type":"markdown","text":"**hi**"}`}},
		},
		inputShape(),
	}
	return builtins(shapes, block)
}

func builtins(shapes []shape, check rule) []*runtime.Builtin {
	var out []*runtime.Builtin
	for _, s := range shapes {
		if s.check == nil {
			s.check = check
		}
		if s.result == "" {
			s.result = "dict"
		}
		out = append(out, s.builtin())
	}
	return out
}

func inputShape() shape {
	return shape{
		name: "input", doc: "Make a labelled input of a modal.",
		params: []runtime.Param{
			declare.Arg("label", textual, "What to enter, at most 2000 characters."),
			declare.Arg("element", textual, "The element, or the `action_id` of a line of text; that is then the `block_id` too."),
			declare.Key("hint", textual, nil, "Small text below."),
			declare.Key("optional", runtime.TBool, false, "It may be left empty."),
			declare.Key("dispatch_action", runtime.TBool, false, "Changes are events for `on.action`."),
			declare.Key("block_id", runtime.TString, nil, "Id of the block, which `ui.errors` uses; the element's `action_id` if left out."),
		},
		build: func(b *builder) {
			b.set("type", "input").text(plainTxt, "label")
			v, _ := b.a.Get("element")
			el, ok := declare.Plain(v).(*runtime.Dict)
			if !ok {
				el = runtime.NewDict("type", "plain_text_input", "action_id", v)
			}
			b.set("element", el).text(plainTxt, "hint").copy("optional", "dispatch_action", "block_id")
			if id := el.Text("action_id"); id != "" && !b.a.Has("block_id") {
				b.set("block_id", id)
			}
		},
		examples: []runtime.Example{{
			Star: `ui.input("Name", "name")`,
			Want: `{"type":"input","label":{"type":"plain_text","text":"Name"},"element":{"type":"plain_text_input","action_id":"name"},"block_id":"name"}`,
		}},
	}
}
