package ui_test

import (
	"strings"
	"testing"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib/internal/declaretest"
	"github.com/starling-rules/starling/stdlib/ui"
)

type named = declaretest.Named

func x(n int) string { return strings.Repeat("é", n) }

// Each limit holds to the character: so much passes, one more does not.
func TestLimits(t *testing.T) {
	t.Parallel()
	s := declaretest.New(t, ui.Builtins())
	for _, c := range []struct {
		limit int
		path  string
		call  func(n int) (runtime.Value, error)
	}{
		{3000, "text.text", func(n int) (runtime.Value, error) { return s.Call("ui.section", x(n)) }},
		{2000, "fields[0].text", func(n int) (runtime.Value, error) {
			return s.Call("ui.section", named{"fields", runtime.List{x(n)}})
		}},
		{150, "text.text", func(n int) (runtime.Value, error) { return s.Call("ui.header", x(n)) }},
		{75, "text.text", func(n int) (runtime.Value, error) { return s.Call("ui.button", x(n), "a") }},
		{255, "action_id", func(n int) (runtime.Value, error) { return s.Call("ui.button", "b", x(n)) }},
		{2000, "value", func(n int) (runtime.Value, error) { return s.Call("ui.button", "b", "a", x(n)) }},
		{75, "text.text", func(n int) (runtime.Value, error) { return s.Call("ui.option", x(n), "v") }},
		{150, "value", func(n int) (runtime.Value, error) { return s.Call("ui.option", "t", x(n)) }},
		{255, "block_id", func(n int) (runtime.Value, error) { return s.Call("ui.divider", named{"block_id", x(n)}) }},
		{24, "title.text", func(n int) (runtime.Value, error) { return s.Call("ui.modal", x(n), runtime.List{}) }},
		{3000, "private_metadata", func(n int) (runtime.Value, error) {
			return s.Call("ui.home", runtime.List{}, named{"private_metadata", x(n)})
		}},
		{100, "title.text", func(n int) (runtime.Value, error) { return s.Call("ui.confirm", x(n), "t") }},
		{2000, "label.text", func(n int) (runtime.Value, error) { return s.Call("ui.input", x(n), "a") }},
		{12_000, "text", func(n int) (runtime.Value, error) { return s.Call("ui.markdown", x(n)) }},
	} {
		if _, err := c.call(c.limit); err != nil {
			t.Errorf("%s of %d: %v", c.path, c.limit, err)
		}
		if _, err := c.call(c.limit + 1); err == nil || !strings.Contains(err.Error(), c.path+": has ") {
			t.Errorf("%s of %d: %v", c.path, c.limit+1, err)
		}
	}
}

func TestCounts(t *testing.T) {
	t.Parallel()
	s := declaretest.New(t, ui.Builtins())
	list := func(n int, v runtime.Value) runtime.List {
		l := make(runtime.List, n)
		for i := range l {
			l[i] = v
		}
		return l
	}
	button := runtime.NewDict("type", "button", "text", runtime.NewDict("type", "plain_text", "text", "b"))
	for _, c := range []struct {
		limit int
		call  func(n int) (runtime.Value, error)
	}{
		{25, func(n int) (runtime.Value, error) { return s.Call("ui.actions", list(n, button)) }},
		{10, func(n int) (runtime.Value, error) { return s.Call("ui.context", list(n, "t")) }},
		{10, func(n int) (runtime.Value, error) { return s.Call("ui.section", named{"fields", list(n, "t")}) }},
		{100, func(n int) (runtime.Value, error) { return s.Call("ui.select", "a", list(n, "t")) }},
		{5, func(n int) (runtime.Value, error) { return s.Call("ui.overflow", "a", list(n, "t")) }},
		{10, func(n int) (runtime.Value, error) { return s.Call("ui.radio", "a", list(n, "t")) }},
		{10, func(n int) (runtime.Value, error) { return s.Call("ui.checkboxes", "a", list(n, "t")) }},
		{100, func(n int) (runtime.Value, error) { return s.Call("ui.option_group", "l", list(n, "t")) }},
		{100, func(n int) (runtime.Value, error) {
			return s.Call("ui.modal", "t", list(n, runtime.NewDict("type", "divider")))
		}},
	} {
		if _, err := c.call(c.limit); err != nil {
			t.Errorf("%d: %v", c.limit, err)
		}
		if _, err := c.call(c.limit + 1); err == nil || !strings.Contains(err.Error(), "Slack takes at most") {
			t.Errorf("%d: %v", c.limit+1, err)
		}
	}
}

func TestDictsWrittenByHandAreCheckedAlike(t *testing.T) {
	t.Parallel()
	for want, text := range map[string]string{
		"":                                        `[{"type":"future","x":1},{"type":"divider"},{"type":"rich_text","elements":[]}]`,
		"blocks[0].type: is missing":              `[{}]`,
		"blocks[0]: is a string":                  `["x"]`,
		"blocks[1].text.type: is \"html\"":        `[{"type":"divider"},{"type":"section","text":{"type":"html","text":"x"}}]`,
		"blocks[0].text: is mrkdwn":               `[{"type":"header","text":{"type":"mrkdwn","text":"x"}}]`,
		"blocks[0].accessory.text: is missing":    `[{"type":"section","text":{"type":"mrkdwn","text":"x"},"accessory":{"type":"button"}}]`,
		"blocks[0].elements[1].style: is \"red\"": `[{"type":"actions","elements":[{"type":"timepicker"},{"type":"button","text":{"type":"plain_text","text":"b"},"style":"red"}]}]`,
		"blocks[0].element.min_length: is more than max_length": `[{"type":"input","label":{"type":"plain_text","text":"l"},"element":{"type":"plain_text_input","min_length":2,"max_length":1}}]`,
		"blocks[0].element.max_length: is x":                    `[{"type":"input","label":{"type":"plain_text","text":"l"},"element":{"type":"plain_text_input","max_length":"x"}}]`,
		"blocks[1].block_id: \"a\" is taken by blocks[0]":       `[{"type":"divider","block_id":"a"},{"type":"divider","block_id":"a"}]`,
		"blocks[0]: an image needs either":                      `[{"type":"image","alt_text":"a"}]`,
		"blocks[0].element.options: is empty":                   `[{"type":"input","label":{"type":"plain_text","text":"l"},"element":{"type":"static_select","options":[]}}]`,
	} {
		v, err := runtime.ParseJSON([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		err = ui.CheckBlocks(v.(runtime.List), ui.MaxMessageBlocks)
		if want == "" && err != nil || want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)) {
			t.Errorf("%s\ngot  %v\nwant %s", text, err, want)
		}
	}
}

func TestModals(t *testing.T) {
	t.Parallel()
	s := declaretest.New(t, ui.Builtins())
	input, err := s.Call("ui.input", "Name", "name")
	if err != nil {
		t.Fatal(err)
	}
	got := s.JSON("ui.modal", "T", runtime.List{input})
	if !strings.Contains(got, `"submit":{"type":"plain_text","text":"Submit"}`) {
		t.Errorf("an input needs a submit button: %s", got)
	}
	byHand := runtime.NewDict("type", "modal", "title", runtime.NewDict("type", "plain_text", "text", "T"), "blocks", runtime.List{input})
	if err := ui.CheckView(byHand); err == nil || err.Error() != "submit: is missing: blocks[0] is an input" {
		t.Errorf("got %v", err)
	}
	if err := ui.CheckView(runtime.NewDict("type", "home")); err == nil || err.Error() != "blocks: is missing" {
		t.Errorf("got %v", err)
	}
	s.Fails("ui.push: title: is missing", "ui.push", runtime.NewDict("type", "modal"))
}

func TestSelects(t *testing.T) {
	t.Parallel()
	s := declaretest.New(t, ui.Builtins())
	group, err := s.Call("ui.option_group", "G", runtime.List{"a", "b"})
	if err != nil {
		t.Fatal(err)
	}
	got := s.JSON("ui.select", "x", named{"groups", runtime.List{group}, "multi", true, "initial", runtime.List{"b"}})
	if !strings.Contains(got, `"initial_options":[{"text":{"type":"plain_text","text":"b"},"value":"b"}]`) {
		t.Error(got)
	}
	s.Equal(s.JSON("ui.select", "x", named{"type", "conversations", "initial", "C1", "default_to_current", true}),
		`{"type":"conversations_select","action_id":"x","initial_conversation":"C1","default_to_current_conversation":true}`)
	s.Equal(s.JSON("ui.select", "x", named{"type", "channels", "multi", true, "initial", "C1"}),
		`{"type":"multi_channels_select","action_id":"x","initial_channels":["C1"]}`)
	s.Equal(s.JSON("ui.select", "x", named{"type", "external", "min_query_length", int64(2), "placeholder", "City"}),
		`{"type":"external_select","action_id":"x","min_query_length":2,"placeholder":{"type":"plain_text","text":"City"}}`)
	s.Fails("only for a static menu", "ui.select", "x", runtime.List{"a"}, named{"type", "users"})
	s.Fails("needs multi=True", "ui.select", "x", runtime.List{"a"}, named{"max_selected", int64(2)})
	s.Fails("either options or option_groups", "ui.select", "x", runtime.List{"a"}, named{"groups", runtime.List{group}})
}

func TestErrorsNameTheirBlocks(t *testing.T) {
	t.Parallel()
	s := declaretest.New(t, ui.Builtins())
	s.Fails("errors[a]: is empty", "ui.errors", runtime.NewDict("a", ""))
	s.Fails("errors[a]: is a int, want a string", "ui.errors", runtime.NewDict("a", int64(1)))
}

func TestLargeArgumentsAreRefusedAtOnce(t *testing.T) {
	t.Parallel()
	s := declaretest.New(t, ui.Builtins())
	text, many := strings.Repeat("x", 1<<20), runtime.List{}
	for range 10_000 {
		many = append(many, text)
	}
	s.Fails("more than 1048576 bytes", "ui.context", many)
	s.Metered, s.Fuel = true, 10
	s.Fails("out of fuel", "ui.section", strings.Repeat("x", 2000))
}

func TestPartsThatAreNotKnownObey(t *testing.T) {
	t.Parallel()
	u := runtime.Unknown{}
	section := runtime.NewDict("type", "section", "text", runtime.NewDict("type", "mrkdwn", "text", u))
	for name, blocks := range map[string]runtime.List{
		"a block": {u, section}, "a text": {section}, "a field": {runtime.NewDict("type", "section", "text", u)},
		"a type":  {runtime.NewDict("type", u)},
		"options": {runtime.NewDict("type", "actions", "elements", runtime.List{runtime.NewDict("type", "static_select", "options", u)})},
	} {
		if err := ui.CheckBlocks(blocks, ui.MaxMessageBlocks); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := ui.CheckBlocks(runtime.List{u, runtime.NewDict("type", "header")}, 50); err == nil || !strings.Contains(err.Error(), "blocks[1].text: is missing") {
		t.Errorf("beside an unknown block: got %v", err)
	}
	if err := ui.CheckBlocks(make(runtime.List, 51), 50); err == nil {
		t.Error("51 blocks pass")
	}
}
