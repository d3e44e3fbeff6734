// Package wait declares the built-ins that wait for people, for events and for
// time, and those that begin something later. A run that waits holds nothing
// but its journal: it goes on after restarts, edits and days.
//
//	Builtins   the declarations
//	ask        ask and ask_form: questions to people
//	event      wait_event, wait_reply and wait_reaction
//	later      sleep, after and cancel
//
// Each asks for an effect of its own name, and the pass ends there until the
// result is known. The module knows no Slack client, no clock and no store.
package wait

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib/internal/declare"
)

// Builtins returns the declarations of the module.
func Builtins() []*runtime.Builtin {
	return slices.Concat(questions(), events(), later())
}

// maxWait bounds delays and time-outs: nobody remembers what a bot asked
// longer ago, and the version of the script is kept for so long.
const maxWait = 366 * 24 * time.Hour

// maxPeople bounds the entries of who.
const maxPeople = 100

type fn = func(*runtime.Context, *runtime.Args) (runtime.Value, error)

func effect(name, doc, long, result, repeat string, f fn, params []runtime.Param, ex ...runtime.Example) *runtime.Builtin {
	return &runtime.Builtin{
		Name: name, Doc: doc, Long: long, Params: params, Result: result, Purity: runtime.Asks,
		Since: declare.Since, Repeat: repeat, Fn: f, Examples: ex,
	}
}

// await asks for the effect and ends the pass until its result is there: what
// comes after a wait must not happen before it, not even a log line.
//
// What could not be waited for is an error: a script that took it for an answer
// might go ahead without one.
func await(x *runtime.Context, kind string, args *runtime.Dict) (runtime.Value, error) {
	v, err := x.Do(kind, args)
	if err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case runtime.Pending:
		return nil, x.Suspend()
	case *runtime.Dict:
		if ok, given := v.Get("ok"); given && ok == false {
			return nil, declare.Hint("", "%s: %s", kind, v.Text("error"))
		}
		return shown(v)
	case runtime.List:
		return shown(v)
	}
	return v, nil
}

// shown makes a result of an answer: frozen, and with fields.
func shown(v runtime.Value) (runtime.Value, error) {
	b, err := runtime.AppendJSON(nil, v)
	return runtime.JSON(b), err
}

// timeoutParam is how long a wait lasts at most.
func timeoutParam() runtime.Param {
	return declare.Key("timeout", runtime.TDuration, nil, "Wait so long at most, such as `2d`; then the result is None. Without it the run waits until somebody cancels it.")
}

// whoParam says whose doing counts.
func whoParam(doc string) runtime.Param {
	return declare.Key("who", runtime.TString|runtime.TList, nil, doc+" Ids, @names, e-mail addresses and user groups (`@handle` or id); everybody if left out.")
}

// duration checks an argument and replaces it by its seconds, so that the
// effect is the same whichever way the script wrote it.
func duration(a *runtime.Args, d *runtime.Dict, name string, least time.Duration) error {
	v, given := d.Get(name)
	if !given {
		return nil
	}
	dur, err := runtime.ToDuration(v)
	switch {
	case err != nil:
		return declare.Hint("", "%s: %s: %v", a.Builtin.Name, name, err)
	case dur < least || dur > maxWait:
		hint := "such as \"10m\", \"2h\" or \"3d\""
		if dur > maxWait {
			hint = "on.schedule is for what is further away"
		}
		return declare.Hint(hint, "%s: %s: is %s, want %s to 366 days", a.Builtin.Name, name, spell(v), leastText(least))
	}
	d.Set(name, dur.Seconds())
	return nil
}

func spell(v runtime.Value) string {
	switch v := v.(type) {
	case string:
		return strconv.Quote(v)
	case int64:
		return strconv.FormatInt(v, 10) + " seconds"
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64) + " seconds"
	case time.Duration:
		return v.String()
	}
	return "a " + runtime.TypeName(v)
}

func leastText(d time.Duration) string {
	if d == 0 {
		return "nothing"
	}
	return d.String()
}

// people makes a list of who.
func people(a *runtime.Args, d *runtime.Dict) error {
	v, given := d.Get("who")
	if !given {
		return nil
	}
	if s, ok := v.(string); ok {
		v = runtime.List{s}
	}
	list, _ := declare.Plain(v).(runtime.List)
	if len(list) == 0 {
		return declare.Hint("leave it out if everybody may", "%s: who: is empty", a.Builtin.Name)
	}
	if len(list) > maxPeople {
		return declare.Hint("a user group has room for more", "%s: who: has %d entries, want at most %d", a.Builtin.Name, len(list), maxPeople)
	}
	for i, e := range list {
		if unknown(e) {
			continue
		}
		s, ok := e.(string)
		if !ok {
			return declare.Hint("such as \"U1\", \"@ann\" or \"@oncall\"", "%s: who[%d]: is a %s, want a string", a.Builtin.Name, i, runtime.TypeName(e))
		}
		if strings.Trim(s, "@ ") == "" || len(s) > 255 {
			return declare.Hint("such as \"U1\", \"@ann\" or \"@oncall\"", "%s: who[%d]: %q names nobody", a.Builtin.Name, i, s)
		}
	}
	d.Set("who", list)
	return nil
}

// unknown reports whether a part is one that only running the script could
// tell: who checks what is written in a script passes such, and they obey.
func unknown(v runtime.Value) bool {
	_, ok := v.(runtime.Unknown)
	return ok
}

// message makes {"channel": …, "ts": …} of what names a message: its ts, or
// the result of the call that posted it.
func message(a *runtime.Args, d *runtime.Dict, name string, thread bool) error {
	v, given := d.Get(name)
	if !given || unknown(v) {
		return nil
	}
	m := &runtime.Dict{}
	switch v := declare.Plain(v).(type) {
	case string:
		m.Set("ts", v)
	case *runtime.Dict:
		ts := v.Text("ts")
		if thread {
			ts = threadOf(v)
		}
		if unknownField(v, "ts") || unknownField(v, "channel") {
			return nil
		}
		if c := v.Text("channel"); c != "" {
			m.Set("channel", c)
		}
		if ts == "" {
			return declare.Hint("was the message posted? look at .ok and .error", "%s: %s: has no ts", a.Builtin.Name, name)
		}
		m.Set("ts", ts)
	}
	if ts := m.Text("ts"); !isTS(ts) {
		return declare.Hint("it looks like \"1700000000.000100\"", "%s: %s: %q is not the ts of a message", a.Builtin.Name, name, ts)
	}
	d.Set(name, m)
	return nil
}

func unknownField(d *runtime.Dict, name string) bool {
	v, _ := d.Get(name)
	return unknown(v)
}

// threadOf is the thread that a message belongs to, or that begins with it.
func threadOf(m *runtime.Dict) string {
	if ts := m.Text("thread_ts"); ts != "" {
		return ts
	}
	inner, _ := m.Get("message")
	if in, ok := declare.Plain(inner).(*runtime.Dict); ok && in.Text("thread_ts") != "" {
		return in.Text("thread_ts")
	}
	return m.Text("ts")
}

// isTS reports whether s looks like Slack's time of a message.
func isTS(s string) bool {
	whole, rest, ok := strings.Cut(s, ".")
	return ok && digits(whole, 20) && digits(rest, 9)
}

func digits(s string, most int) bool {
	return s != "" && len(s) <= most && strings.Trim(s, "0123456789") == ""
}
