// Package ui builds Block Kit: blocks, elements, views, and the answers to
// the submission of a view. Everything it makes is a plain dict as Slack
// wants it, and is checked against Slack's limits; the error names the path of
// the bad part. Dicts written by hand are checked by the same table.
//
//	Builtins                              the declarations
//	CheckBlocks, CheckModal, CheckHome    the checks, for others who take blocks
//	schema                                the table of fields and limits
//
// An answer to a view is {"response_action": …}, exactly Slack's own form.
package ui

import (
	"slices"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib/internal/declare"
)

// Builtins returns the declarations of the module.
func Builtins() []*runtime.Builtin {
	return slices.Concat(textBuiltins(), blockBuiltins(), elementBuiltins(), choiceBuiltins(), viewBuiltins(), answerBuiltins())
}

// shape tells how to make a dict of the arguments of one built-in.
type shape struct {
	name, doc, long, result string
	params                  []runtime.Param
	build                   func(b *builder)
	check                   rule
	examples                []runtime.Example
}

func (s shape) builtin() *runtime.Builtin {
	return &runtime.Builtin{
		Name: "ui." + s.name, Doc: s.doc, Long: s.long, Params: s.params, Result: s.result,
		Purity: runtime.Pure, Since: declare.Since, Examples: s.examples,
		Fn: func(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
			n := declare.Size(a.Dict, maxView)
			if n > maxView {
				return nil, wrap("ui."+s.name, problem("", "more than %d bytes", maxView))
			}
			if err := declare.ChargeText(x, 4*n); err != nil {
				return nil, err
			}
			b := &builder{a: a, out: &runtime.Dict{}}
			s.build(b)
			if b.err == nil && s.check != nil {
				b.err = s.check("", b.out)
			}
			if b.err != nil {
				return nil, wrap("ui."+s.name, b.err)
			}
			return b.out, nil
		},
	}
}

// wrap puts the function before a fault; limits pass as they are.
func wrap(name string, err error) error {
	if e, ok := err.(*runtime.Error); ok {
		return e
	}
	return declare.Hint("", "%s: %v", name, err)
}

// builder fills a dict from arguments. After the first fault it does nothing.
type builder struct {
	a   *runtime.Args
	out *runtime.Dict
	err error
}

func (b *builder) set(name string, v runtime.Value) *builder {
	b.out.Set(name, v)
	return b
}

// copy takes arguments over as they are, those that were given.
func (b *builder) copy(names ...string) *builder {
	for _, n := range names {
		if v, ok := b.a.Get(n); ok && v != nil {
			b.out.Set(n, declare.Plain(v))
		}
	}
	return b
}

// text takes an argument over as a text object: a string becomes one of kind.
func (b *builder) text(kind string, names ...string) *builder {
	for _, n := range names {
		if v, ok := b.a.Get(n); ok && v != nil {
			b.out.Set(n, textOf(kind, v))
		}
	}
	return b
}

// texts is text for a list.
func (b *builder) texts(kind, name string) *builder {
	if v, ok := b.a.Get(name); ok && v != nil {
		l := slices.Clone(asList(v))
		for i := range l {
			l[i] = textOf(kind, l[i])
		}
		b.out.Set(name, l)
	}
	return b
}

func textOf(kind string, v runtime.Value) runtime.Value {
	if s, ok := v.(string); ok {
		return textDict(kind, s)
	}
	return declare.Plain(v)
}

func textDict(kind, s string) *runtime.Dict { return runtime.NewDict("type", kind, "text", s) }

const (
	mrkdwn   = "mrkdwn"
	plainTxt = "plain_text"
)

const textual = runtime.TString | runtime.TDict

var (
	blockIDParam  = declare.Key("block_id", runtime.TString, nil, "Id of the block, at most 255 characters.")
	actionIDParam = declare.Arg("action_id", runtime.TString, "Id by which `on.action` and `e.values` know it, at most 255 characters.")
	confirmParam  = declare.Key("confirm", runtime.TDict, nil, "Ask first; `ui.confirm` builds the question.")
	holderParam   = declare.Key("placeholder", textual, nil, "Shown while nothing is chosen, at most 150 characters.")
	focusParam    = declare.Key("focus", runtime.TBool, false, "Put the cursor here when the view opens; one element at most.")
)

func textBuiltins() []*runtime.Builtin {
	limit := textObject(maxText, false)
	return []*runtime.Builtin{
		shape{
			name: "text", doc: "Make a text object.", result: "dict",
			params: []runtime.Param{
				declare.Arg("text", runtime.TString, "The text, at most 3000 characters."),
				declare.OneOf("type", []string{mrkdwn, plainTxt}, mrkdwn, "Which kind."),
			},
			build: func(b *builder) {
				kind := b.a.Text("type")
				if kind == "" {
					kind = mrkdwn
				}
				b.set("type", kind).copy("text")
			},
			check:    limit,
			examples: []runtime.Example{{Star: `ui.text("*hi*")`, Want: `{"type":"mrkdwn","text":"*hi*"}`}},
		}.builtin(),
		shape{
			name: "mrkdwn", doc: "Make a text object with Slack's markup.", result: "dict",
			params: []runtime.Param{
				declare.Arg("text", runtime.TString, "The text, at most 3000 characters."),
				declare.Key("verbatim", runtime.TBool, false, "Do not turn URLs and names into links."),
			},
			build: func(b *builder) { b.set("type", mrkdwn).copy("text", "verbatim") }, check: limit,
			examples: []runtime.Example{
				{Star: `ui.mrkdwn("*hi*")`, Want: `{"type":"mrkdwn","text":"*hi*"}`},
				{Star: `ui.mrkdwn("")`, Fails: true, Want: "text: is empty"},
			},
		}.builtin(),
		shape{
			name: "plain", doc: "Make a text object without markup.", result: "dict",
			params: []runtime.Param{
				declare.Arg("text", runtime.TString, "The text, at most 3000 characters."),
				declare.Key("emoji", runtime.TBool, true, "Show :emoji: as pictures."),
			},
			build: func(b *builder) { b.set("type", plainTxt).copy("text", "emoji") }, check: limit,
			examples: []runtime.Example{{Star: `ui.plain("hi")`, Want: `{"type":"plain_text","text":"hi"}`}},
		}.builtin(),
	}
}
