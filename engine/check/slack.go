package check

import (
	_ "embed"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/starling-rules/starling/engine/slackapi"
	"github.com/starling-rules/starling/runtime"
)

// methodTable lists the methods of Slack's Web API, one a line, and behind
// those that rules use most their arguments; those with a ! are required.
//
//go:embed methods.txt
var methodTable string

// eventTable lists the types of events that Slack sends, one a line.
//
//go:embed events.txt
var eventTable string

// method is what is known of the arguments of a Web API method.
type method struct {
	args     []string // nil: not known
	required []string
}

var methods = sync.OnceValue(func() map[string]method {
	out := map[string]method{}
	for _, name := range slackapi.MethodNames() {
		out[name] = method{}
	}
	for line := range strings.Lines(methodTable) {
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		m := method{}
		for _, w := range words[1:] {
			name, required := strings.CutSuffix(w, "!")
			m.args = append(m.args, name)
			if required {
				m.required = append(m.required, name)
			}
		}
		out[words[0]] = m
	}
	return out
})

var methodNames = sync.OnceValue(func() []string { return slices.Sorted(maps.Keys(methods())) })

var eventTypes = sync.OnceValue(func() []string { return strings.Fields(eventTable) })

// slack checks the calls that name a method of the Web API.
func (c *Checker) slack(call *call) []*runtime.Error {
	name, ok := call.text("method")
	if !ok {
		return nil
	}
	m, known := methods()[name]
	if !known {
		if c.allowed(name) {
			return nil
		}
		hint := didYouMean(name, methodNames())
		if hint == "" {
			hint = "if Slack has it, list it under check.slack_methods in the configuration"
		}
		return []*runtime.Error{call.lint(call.args["method"], hint, "Slack has no method %q", name)}
	}
	fields, open := call.fields()
	var errs []*runtime.Error
	if m.args != nil {
		for f := range fields {
			if a := fields[f]; !slices.Contains(m.args, f) {
				if hint := didYouMean(f, m.args); hint != "" {
					errs = append(errs, call.lint(a.arg, hint, "%s has no argument %q", name, f))
				}
			}
		}
		if !open {
			errs = append(errs, call.missing(name, m, fields)...)
		}
	}
	return append(errs, c.blockKit(call, fields)...)
}

func (c *Checker) allowed(name string) bool {
	return slices.ContainsFunc(c.o.Config.Check.SlackMethods, func(p string) bool { ok, _ := path.Match(p, name); return ok || p == name })
}

// given is one argument of a method, and the argument of the call that it is
// written in.
type given struct {
	value runtime.Value
	arg   *runtime.Argument
}

// fields merges what slack_action takes as a dict and as keywords. It is open
// if there may be more.
func (c *call) fields() (fields map[string]given, open bool) {
	fields, open = map[string]given{}, c.spread
	if a := c.args["args"]; a != nil {
		d, ok := a.Value.(*runtime.Dict)
		open = open || !ok && !isEmpty(a.Value) && a.Value != nil
		if ok {
			for _, f := range d.Fields {
				fields[f.Key] = given{f.Value, a}
			}
		}
	}
	for _, a := range c.rest {
		fields[a.Name] = given{a.Value, a}
	}
	if a := c.args["parse"]; a != nil {
		if _, text := a.Value.(string); text {
			fields["parse"] = given{a.Value, a}
		}
	}
	return fields, open
}

// missing finds the required arguments that are neither there nor filled in
// from the event.
func (c *call) missing(name string, m method, fields map[string]given) []*runtime.Error {
	fill := !c.is("fill", false)
	known := slackapi.Known(name)
	filled := map[string]slackapi.Trait{
		"channel": slackapi.NeedChannel, "ts": slackapi.NeedTS, "timestamp": slackapi.NeedTimestamp, "message_ts": slackapi.NeedMessageTS,
		"user": slackapi.NeedUser, "user_id": slackapi.NeedUserID, "trigger_id": slackapi.NeedTrigger, "team_id": slackapi.NeedTeam,
	}
	var errs []*runtime.Error
	for _, want := range m.required {
		if _, ok := fields[want]; ok || fill && known.Has(filled[want]) && filled[want] != 0 {
			continue
		}
		errs = append(errs, c.lint(nil, "", "%s needs %s", name, want))
	}
	return errs
}

// blockKit checks blocks and views that are passed on to Slack as they are.
func (c *Checker) blockKit(call *call, fields map[string]given) []*runtime.Error {
	var errs []*runtime.Error
	check := func(name string, f func(runtime.Value) error) {
		g, ok := fields[name]
		if !ok {
			return
		}
		if err := safely(func() error { return f(g.value) }); err != nil {
			errs = append(errs, call.lint(g.arg, "", "%v", err))
		}
	}
	check("blocks", func(v runtime.Value) error {
		if l, ok := v.(runtime.List); ok && c.o.CheckBlocks != nil {
			return c.o.CheckBlocks(l)
		}
		return nil
	})
	check("view", func(v runtime.Value) error {
		if d, ok := v.(*runtime.Dict); ok && c.o.CheckView != nil {
			return c.o.CheckView(d)
		}
		return nil
	})
	return errs
}

// safely takes a panic for no opinion.
func safely(f func() error) (err error) {
	defer func() {
		if recover() != nil {
			err = nil
		}
	}()
	return f()
}

// others are the checks of single built-ins beside those of Slack's methods.
func (c *Checker) others(call *call) []*runtime.Error {
	switch call.Name {
	case "slack_action", "slack_pages":
		return c.slack(call)
	case "secret":
		name, ok := call.text("name")
		if _, is := c.o.Config.Secrets[name]; ok && !is && c.o.Config.File != "" {
			hint := didYouMean(name, slices.Sorted(maps.Keys(c.o.Config.Secrets)))
			if hint == "" {
				hint = "add it under secrets in " + c.o.Config.File
			}
			return []*runtime.Error{call.lint(call.args["name"], hint, "there is no secret %q in the configuration", name)}
		}
	case "on.event":
		typ, ok := call.text("type")
		if !ok || slices.Contains(eventTypes(), typ) || strings.HasPrefix(typ, "message.") || typ == "*" {
			return nil
		}
		if hint := didYouMean(typ, eventTypes()); hint != "" {
			return []*runtime.Error{call.lint(call.args["type"], hint, "Slack sends no events of type %q", typ)}
		}
	}
	return nil
}
