package talk

import (
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib/internal/declare"
	"github.com/starling-rules/starling/stdlib/ui"
)

// maxTextRunes is where Slack cuts a message's text, and what is posted in
// several messages at most.
const maxTextRunes = 40_000

// respond is a message, or the removal of one.
func respond(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	if a.Bool("delete", false) && a.Bool("replace", false) {
		return nil, declare.Hint("choose one", "respond: replace and delete exclude each other")
	}
	if declare.Dict(a, "message") != nil {
		if a.Dict.Len() > 1 {
			return nil, declare.Hint("put it into message", "respond: message is the whole response, nothing goes with it")
		}
		return x.Do("respond", a.Dict)
	}
	if a.Bool("delete", false) && !hasContent(a) {
		return x.Do("respond", a.Dict)
	}
	return needContent(x, a)
}

// post refuses an empty destination, then is a message.
func post(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	for _, name := range []string{"channel", "user"} {
		if v, ok := a.Get(name); ok && v == "" {
			return nil, declare.Hint("", "%s: %s is empty", a.Builtin.Name, name)
		}
	}
	return needContent(x, a)
}

// needContent asks for the effect if there is something to show.
func needContent(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	if err := checkContent(a); err != nil {
		return nil, err
	}
	return x.Do(a.Builtin.Name, a.Dict)
}

func hasContent(a *runtime.Args) bool {
	return a.Text("text") != "" || len(declare.List(a, "blocks")) > 0 || len(declare.List(a, "attachments")) > 0
}

func checkContent(a *runtime.Args) error {
	name := a.Builtin.Name
	if !hasContent(a) {
		return declare.Hint("", "%s: nothing to show: give text, blocks or attachments", name)
	}
	if n := utf8.RuneCountInString(a.Text("text")); n > maxTextRunes {
		return declare.Hint("text.truncate shortens it, upload makes a file of it", "%s: text has %d characters, at most %d are posted", name, n, maxTextRunes)
	}
	if blocks := declare.List(a, "blocks"); blocks != nil {
		if err := ui.CheckBlocks(blocks, ui.MaxMessageBlocks); err != nil {
			return declare.Hint("", "%s: %v", name, err)
		}
	}
	return nil
}

func update(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	d, err := resolve(a)
	if err != nil {
		return nil, err
	}
	if err := checkContent(a); err != nil {
		return nil, err
	}
	return x.Do("update", d)
}

func erase(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	d, err := resolve(a)
	if err != nil {
		return nil, err
	}
	return x.Do("delete", d)
}

var emojiName = regexp.MustCompile(`^[\pL\pN_+'-][\pL\pN_+'.&()-]*(::skin-tone-[2-6])?$`)

func reaction(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	name := strings.Trim(a.Text("emoji"), ":")
	if len(name) > 200 || !emojiName.MatchString(name) {
		return nil, declare.Hint("such as \"eyes\" or \"+1\"", "%s: %q is not the name of an emoji", a.Builtin.Name, a.Text("emoji"))
	}
	d, err := resolve(a)
	if err != nil {
		return nil, err
	}
	d.Set("emoji", name)
	return x.Do(a.Builtin.Name, d)
}

var messageTS = regexp.MustCompile(`^[0-9]{1,20}\.[0-9]{1,9}$`)

// resolve returns the arguments with ts as text: the result of a call that
// posted a message names its channel too.
func resolve(a *runtime.Args) (*runtime.Dict, error) {
	d := a.Dict.Clone()
	v, given := d.Get("ts")
	if !given {
		return d, nil
	}
	if m, ok := declare.Plain(v).(*runtime.Dict); ok {
		d.Set("ts", m.Text("ts"))
		if c := m.Text("channel"); c != "" && d.Text("channel") == "" {
			d.Set("channel", c)
		}
		if m.Text("ts") == "" {
			return nil, declare.Hint("was the message posted? look at .ok and .error", "%s: the result has no ts", a.Builtin.Name)
		}
	}
	if ts := d.Text("ts"); !messageTS.MatchString(ts) {
		return nil, declare.Hint("it looks like \"1700000000.000100\"", "%s: %q is not the ts of a message", a.Builtin.Name, ts)
	}
	return d, nil
}

// view asks for the effect if the view is one that Slack takes.
func view(check func(*runtime.Dict) error) fn {
	return func(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
		if err := check(declare.Dict(a, "view")); err != nil {
			return nil, declare.Hint("", "%s: %v", a.Builtin.Name, err)
		}
		return x.Do(a.Builtin.Name, a.Dict)
	}
}
