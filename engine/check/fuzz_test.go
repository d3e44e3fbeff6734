package check_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/starling-rules/starling/runtime"
)

// Whatever is typed into an editor, checking it ends, and every problem has a
// place in the file.
func FuzzFile(f *testing.F) {
	for _, s := range []string{
		"on.message(\"(\", lambda e: e.text, channels = [\"#x\", e])",
		"def f(e):\n    respond(blocks = [{\"type\": \"section\", \"text\": e.text}], **e.raw)\non.action(\"x\", f, block = 1)",
		"slack_action(\"chat.postMessage\", {\"channel\": None, \"blocks\": [1, {}]}, fill = False)",
		"on.command(\"/x\", f, args = \"[a=b|c] [d...]\")\ndef f(): pass",
		"ui.modal({}, [], submit = [])\nui.select(\"a\", 1)\nui.image(*[], **{})",
	} {
		f.Add(s, false)
	}
	for _, s := range []string{
		"on.message(\"(\", function(e) return e.text end, {channels = {\"#x\", 1}})",
		"local t = {type = \"section\", 1, 2}\nrespond({blocks = {t, {}, {type = 1}}})",
		"on.command(\"/x\", function() end, {args = \"[a=b|c] [d...]\", {}})\nslack_action(\"x.y\", {})",
		"ui.modal({}, {}, {submit = {}})\nui.select(\"a\", 1, nil)\nprint(...)",
	} {
		f.Add(s, true)
	}
	c, dir := newChecker(f, map[string]string{"a.star": "on.command(\"/x\", lambda e: None)\n"}, nil)
	f.Fuzz(func(t *testing.T, text string, isLua bool) {
		path := filepath.Join(dir, "b.star")
		if isLua {
			path = filepath.Join(dir, "b.lua")
		}
		lines := strings.Count(text, "\n") + 2
		for _, e := range c.File(t.Context(), path, []byte(text)) {
			if e.Kind == runtime.InternalError || e.Pos.Path != path || e.Pos.Line < 0 || e.Pos.Line > lines || e.Msg == "" {
				t.Errorf("%q: %+v", text, e)
			}
		}
	})
}
