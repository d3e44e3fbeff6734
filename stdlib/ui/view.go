package ui

import (
	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib/internal/declare"
)

func viewBuiltins() []*runtime.Builtin {
	blocksParam := declare.Arg("blocks", runtime.TList, "At most 100 blocks.")
	meta := []runtime.Param{
		declare.Key("private_metadata", runtime.TString, nil, "Text that comes back with the submission, at most 3000 characters."),
		declare.Key("callback_id", runtime.TString, nil, "Id by which `on.view` knows it, at most 255 characters."),
		declare.Key("external_id", runtime.TString, nil, "Your own id of the view, unique in the workspace."),
	}
	return []*runtime.Builtin{
		shape{
			name: "modal", doc: "Make a modal.", result: "dict",
			params: append([]runtime.Param{
				declare.Arg("title", textual, "At most 24 characters."), blocksParam,
				declare.Key("submit", textual, nil, "The button that submits, at most 24 characters; `Submit` if there is an input."),
				declare.Key("close", textual, nil, "The button that closes, at most 24 characters."),
				declare.Key("clear_on_close", runtime.TBool, false, "Closing it closes all."),
				declare.Key("notify_on_close", runtime.TBool, false, "Closing it is an event for `on.view_closed`."),
			}, meta...),
			build: func(b *builder) {
				b.set("type", "modal").text(plainTxt, "title", "submit", "close").
					copy("blocks", "private_metadata", "callback_id", "external_id", "clear_on_close", "notify_on_close")
				if !b.a.Has("submit") && hasInput(b.out) {
					b.set("submit", textDict(plainTxt, "Submit"))
				}
			},
			check: func(_ string, v runtime.Value) error { return CheckModal(v.(*runtime.Dict)) },
			examples: []runtime.Example{
				{
					Star: `ui.modal("Hi", [ui.divider()], callback_id="hi")`, Lua: `ui.modal("Hi", {ui.divider()}, {callback_id = "hi"})`,
					Want: `{"type":"modal","title":{"type":"plain_text","text":"Hi"},"blocks":[{"type":"divider"}],"callback_id":"hi"}`,
				},
				{
					Star: `ui.modal("Hi", [ui.divider(), {"type": "header"}])`, Lua: `ui.modal("Hi", {ui.divider(), {type = "header"}})`,
					Fails: true, Want: "ui.modal: blocks[1].text: is missing",
				},
				{Star: `ui.modal("A title that is far too long", [])`, Lua: `ui.modal("A title that is far too long", {})`, Fails: true, Want: "title.text: has 28 characters, Slack takes at most 24"},
			},
		}.builtin(),
		shape{
			name: "home", doc: "Make the view of an app's home.", result: "dict",
			params: append([]runtime.Param{blocksParam}, meta...),
			build: func(b *builder) {
				b.set("type", "home").copy("blocks", "private_metadata", "callback_id", "external_id")
			},
			check:    func(_ string, v runtime.Value) error { return CheckHome(v.(*runtime.Dict)) },
			examples: []runtime.Example{{Star: `ui.home([ui.divider()])`, Lua: `ui.home({ui.divider()})`, Want: `{"type":"home","blocks":[{"type":"divider"}]}`}},
		}.builtin(),
	}
}

func hasInput(view *runtime.Dict) bool {
	all, _ := view.Get("blocks")
	for _, b := range asList(all) {
		if d, _ := declare.Plain(b).(*runtime.Dict); d.Text("type") == "input" {
			return true
		}
	}
	return false
}

// maxStackErrors bounds the entries of ui.errors: a modal has no more blocks.
const maxStackErrors = MaxViewBlocks

func answerBuiltins() []*runtime.Builtin {
	viewParam := []runtime.Param{declare.Arg("view", runtime.TDict, "The view; `ui.modal` builds it.")}
	withView := func(name, action, doc string) shape {
		return shape{
			name: name, doc: doc, params: viewParam, result: "the answer",
			build: func(b *builder) { b.set("response_action", action).copy("view") },
			check: func(_ string, v runtime.Value) error {
				view, _ := v.(*runtime.Dict).Get("view")
				d, _ := view.(*runtime.Dict)
				return CheckModal(d)
			},
			examples: []runtime.Example{
				{
					Star: `ui.` + name + `(ui.modal("Hi", [ui.divider()]))`, Lua: `ui.` + name + `(ui.modal("Hi", {ui.divider()}))`,
					Want: `{"response_action":"` + action + `","view":{"type":"modal","title":{"type":"plain_text","text":"Hi"},"blocks":[{"type":"divider"}]}}`,
				},
				{Star: `ui.` + name + `({"type": "modal"})`, Lua: `ui.` + name + `({type = "modal"})`, Fails: true, Want: "title: is missing"},
			},
		}
	}
	return []*runtime.Builtin{
		shape{
			name: "errors", doc: "Answer a view: keep it open and show errors at its inputs.", result: "the answer",
			params: []runtime.Param{declare.Arg("errors", runtime.TDict, "From the `block_id` of an input to what is wrong with it.")},
			build:  func(b *builder) { b.set("response_action", "errors").copy("errors") },
			check: func(_ string, v runtime.Value) error {
				all, _ := v.(*runtime.Dict).Get("errors")
				d, _ := all.(*runtime.Dict)
				if d.Len() == 0 || d.Len() > maxStackErrors {
					return problem("errors", "has %d entries, want 1 to %d", d.Len(), maxStackErrors)
				}
				for _, f := range d.Fields {
					if err := text(1, maxLabel)("errors["+f.Key+"]", f.Value); err != nil {
						return err
					}
				}
				return nil
			},
			examples: []runtime.Example{
				{Star: `ui.errors({"name": "Who?"})`, Lua: `ui.errors({name = "Who?"})`, Want: `{"response_action":"errors","errors":{"name":"Who?"}}`},
				{Star: `ui.errors({})`, Fails: true, Want: "errors: has 0 entries"},
			},
		}.builtin(),
		withView("replace", "update", "Answer a view: show another one in its place.").builtin(),
		withView("push", "push", "Answer a view: put another one on top, three at most.").builtin(),
		shape{
			name: "clear", doc: "Answer a view: close all views.", result: "the answer",
			build:    func(b *builder) { b.set("response_action", "clear") },
			examples: []runtime.Example{{Star: `ui.clear()`, Want: `{"response_action":"clear"}`}},
		}.builtin(),
	}
}
