package omnibot

import (
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/starling-rules/starling/engine/config"
	"github.com/starling-rules/starling/engine/rules"
	"github.com/starling-rules/starling/runtime"
)

// writer makes the script. Its lines are those of the configuration: what is
// made from line 12 is in line 12 if that has not passed already.
type writer struct {
	c       *config.Config
	has     func(string) bool
	library fs.FS

	out      strings.Builder
	line     int
	col      int
	marks    []mark
	names    map[string]int
	loads    int
	problems runtime.Errors
}

// mark tells what the text from a place on is made from.
type mark struct {
	line, col int
	from      runtime.Position
}

// Script makes the script of the configuration's handlers; ok is false if it
// has none. has tells of the files of the rules directories.
func Script(c *config.Config, has func(path string) bool, library fs.FS) (v rules.Virtual, ok bool) {
	if len(c.Handlers.All()) == 0 && c.Handlers.Help == nil {
		return v, false
	}
	w := &writer{c: c, has: has, library: library, line: 1, col: 1, names: map[string]int{}}
	w.put(runtime.Position{}, `load("@starling//omnibot/handlers.star", "acknowledge", "interact", "legacy", "message", "mine", "help", "slash", "synchronous")`)
	w.put(runtime.Position{}, "SETUP = "+w.setup())
	// In the order of the file, so that lines can be kept.
	type step struct {
		at  runtime.Position
		put func()
	}
	var steps []step
	for i := range c.Handlers.Message {
		h := &c.Handlers.Message[i]
		steps = append(steps, step{h.Pos, func() { w.message(h) }})
	}
	for _, g := range grouped(c.Handlers.SlashCommand) {
		steps = append(steps, step{g[0].Pos, func() { w.slash(g) }})
	}
	for _, g := range grouped(c.Handlers.Interactive) {
		steps = append(steps, step{g[0].Pos, func() { w.interactive(g) }})
	}
	slices.SortStableFunc(steps, func(a, b step) int { return a.at.Line - b.at.Line })
	for _, s := range steps {
		s.put()
	}
	w.help()
	w.out.WriteByte('\n')
	v = rules.Virtual{Path: Path(c), Language: language, Text: []byte(w.out.String()), Errors: w.problems, Place: w.placer()}
	return v, true
}

// grouped puts handlers of one key together, in their order.
func grouped(handlers []config.Handler) [][]*config.Handler {
	var out [][]*config.Handler
	at := map[string]int{}
	for i := range handlers {
		h := &handlers[i]
		n, ok := at[h.Key]
		if !ok {
			n = len(out)
			at[h.Key] = n
			out = append(out, nil)
		}
		out[n] = append(out[n], h)
	}
	return out
}

// put writes one statement, made from a place of the configuration.
func (w *writer) put(from runtime.Position, statement string) {
	for w.line < from.Line {
		w.out.WriteByte('\n')
		w.line++
		w.col = 1
	}
	if w.col > 1 {
		w.out.WriteString("; ")
		w.col += 2
	}
	w.marks = append(w.marks, mark{w.line, w.col, from})
	w.out.WriteString(statement)
	w.col += len(statement)
}

// placer leads from the script back to the configuration.
func (w *writer) placer() func(runtime.Position) (runtime.Position, string) {
	marks, c := w.marks, w.c
	return func(pos runtime.Position) (runtime.Position, string) {
		n, _ := slices.BinarySearchFunc(marks, pos, func(m mark, p runtime.Position) int {
			if m.line != p.Line {
				return m.line - p.Line
			}
			if m.col <= p.Col {
				return -1
			}
			return 1
		})
		if n == 0 || marks[n-1].from.Line == 0 {
			return pos, ""
		}
		from := marks[n-1].from
		return from, c.Line(from.Line)
	}
}

func (w *writer) fail(at runtime.Position, hint, format string, a ...any) {
	w.problems = append(w.problems, &runtime.Error{
		Kind: runtime.LoadError, Pos: at, Line: w.c.Line(at.Line), Msg: fmt.Sprintf(format, a...), Hint: hint,
	})
}

// callbacks loads the callbacks of a handler, and returns the list of them
// with their arguments.
func (w *writer) callbacks(list []config.Callback) string {
	parts := make([]string, 0, len(list))
	for _, cb := range list {
		parts = append(parts, w.callback(cb))
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

func (w *writer) callback(cb config.Callback) string {
	file, tried := module(cb.Module, w.has, w.library)
	if file == "" {
		w.fail(cb.Pos, "write it, or correct the name", "callback %s:%s: there is no %s below the rules directories", cb.Module, cb.Function, strings.Join(tried, " or "))
		return "None"
	}
	if isLua(file) {
		w.fail(cb.Pos, "write it in Starlark, or make a rule of it", "callback %s:%s: %s is a Lua script", cb.Module, cb.Function, file)
		return "None"
	}
	w.loads++
	name := "callback_" + strconv.Itoa(w.loads)
	w.put(cb.Pos, fmt.Sprintf("load(%s, %s = %s)", quote(file), name, quote(cb.Function)))
	return fmt.Sprintf("(%s, %s, %s)", name, literal(cb.Kwargs), quote(cb.Module+":"+cb.Function))
}

// bots are the bots that have a handler, as TEAM/APP.
func (w *writer) bots(handlers ...*config.Handler) []string {
	var out []string
	for _, h := range handlers {
		for _, b := range w.c.BotList() {
			id := b.TeamID + "/" + b.App
			if slices.Contains(h.Bots[b.Team], b.Name) && !slices.Contains(out, id) {
				out = append(out, id)
			}
		}
	}
	return out
}

// name makes a name of a rule that no other has.
func (w *writer) name(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, text)
	if len(text) > 80 {
		text = strings.ToValidUTF8(text[:80], "") + "…"
	}
	w.names[text]++
	if n := w.names[text]; n > 1 {
		text += " #" + strconv.Itoa(n)
	}
	return text
}

// register writes one registration.
func (w *writer) register(h *config.Handler, on, pattern, fn, name string, bots []string, options ...string) {
	args := []string{pattern, fn, "name = " + quote(w.name(name)), "bots = " + list(bots)}
	if h.Description != "" {
		help, _, _ := strings.Cut(h.Description, "\n")
		args = append(args, "help = "+quote(help))
	}
	w.put(h.Pos, "on."+on+"("+strings.Join(append(args, options...), ", ")+")")
}

func (w *writer) message(h *config.Handler) {
	bots := w.bots(h)
	if len(bots) == 0 {
		return // invisible, as in omnibot
	}
	calls := w.callbacks(h.Callbacks)
	spec := literal(runtime.NewDict("match", h.Match, "match_type", h.MatchType, "absence", h.Absence()))
	fn := fmt.Sprintf("lambda e: message(e, SETUP, %s, %s)", spec, calls)
	name := h.MatchType + " " + h.Match
	threads := "threads = " + boolean(h.MatchReply)
	switch h.MatchType {
	case "command":
		match := "command"
		if h.MatchMention {
			match = "mention"
		}
		w.register(h, "message", quote(h.Match), fn, name, bots, threads, "match = "+quote(match))
	case "regex":
		w.register(h, "message", quote(h.Match), fn, name, bots, threads, `match = "readable"`, "absent = "+boolean(h.Absence()))
	case "reaction":
		pattern, when := quote(h.Match), "when = mine"
		if h.Absence() {
			pattern = `""`
			when = fmt.Sprintf("when = lambda e: mine(e) and not re.search(%s, e.reaction)", quote(`\A(?:`+h.Match+`)\z`))
		}
		w.register(h, "reaction", pattern, fn, name, bots, when)
		w.register(h, "reaction", pattern, fn, name+" removed", bots, when, "removed = True")
	}
}

// spec is what the answer and the callbacks of a handler need.
func (w *writer) spec(h *config.Handler) string {
	calls := w.callbacks(h.Callbacks)
	sync := make(runtime.List, 0, len(h.Callbacks))
	for _, cb := range h.Callbacks {
		sync = append(sync, cb.Synchronous)
	}
	d := runtime.NewDict("bots", texts(w.bots(h)), "response_type", h.ResponseType, "silent", h.NoMessageResponse, "synchronous", sync)
	if h.CannedResponse != "" {
		d.Set("canned_response", h.CannedResponse)
	}
	if h.Dialog != nil {
		d.Set("dialog", h.Dialog)
	}
	return "(" + literal(d) + ", " + calls + ")"
}

// specs writes what is known of a group of handlers, and returns its name.
func (w *writer) specs(prefix string, group []*config.Handler) string {
	parts := make([]string, len(group))
	for i, h := range group {
		parts[i] = w.spec(h)
	}
	name := prefix + strconv.Itoa(len(w.marks))
	w.put(group[0].Pos, name+" = ["+strings.Join(parts, ", ")+"]")
	return name
}

// slash registers the answer, which Slack waits for, and the callbacks, which
// it does not wait for, as rules of their own.
func (w *writer) slash(group []*config.Handler) {
	h, bots := group[0], w.bots(group...)
	if len(bots) == 0 {
		return
	}
	name := w.specs("SLASH_", group)
	if answered(group, false) {
		w.register(h, "command", quote(h.Key), fmt.Sprintf("lambda e: acknowledge(e, SETUP, %s)", name), h.Key+" answer", bots)
	}
	if len(callbacks(group)) > 0 {
		w.register(h, "command", quote(h.Key), fmt.Sprintf("lambda e: slash(e, SETUP, %s)", name), h.Key, bots, "answers = False")
	}
}

// interactive registers a handler for each kind of payload that its
// callback_id may come in.
func (w *writer) interactive(group []*config.Handler) {
	h, bots := group[0], w.bots(group...)
	if len(bots) == 0 {
		return
	}
	name, key := w.specs("INTERACTIVE_", group), quote(h.Key)
	for _, kind := range []struct{ on, pattern, label, option string }{
		{"action", "re.compile(re.escape(" + key + "))", "", "when = legacy"}, // interactive_message, dialog_submission
		{"action", `re.compile(".*")`, " block", "block = " + key},            // block_actions go by block_id
		{"view", key, " view", ""},
		{"shortcut", key, " shortcut", ""}, // message_action
	} {
		var opts []string
		if kind.option != "" {
			opts = append(opts, kind.option)
		}
		if answered(group, true) {
			w.register(h, kind.on, kind.pattern, fmt.Sprintf("lambda e: synchronous(e, SETUP, %s)", name), h.Key+kind.label+" answer", bots, opts...)
		}
		if !anySynchronous(group) && len(callbacks(group)) > 0 {
			w.register(h, kind.on, kind.pattern, fmt.Sprintf("lambda e: interact(e, SETUP, %s)", name), h.Key+kind.label, bots, append(opts, "answers = False")...)
		}
	}
}

// answered reports whether there is anything to answer with, beside nothing.
func answered(group []*config.Handler, interactive bool) bool {
	for _, h := range group {
		if h.Dialog != nil || h.CannedResponse != "" || h.ResponseType == "in_channel" {
			return true
		}
	}
	return interactive && anySynchronous(group)
}

func anySynchronous(group []*config.Handler) bool {
	return slices.ContainsFunc(callbacks(group), func(cb config.Callback) bool { return cb.Synchronous })
}

func callbacks(group []*config.Handler) []config.Callback {
	var out []config.Callback
	for _, h := range group {
		out = append(out, h.Callbacks...)
	}
	return out
}

// help registers what answers what nothing matched.
func (w *writer) help() {
	var bots []string
	for _, b := range w.c.BotList() {
		bots = append(bots, b.TeamID+"/"+b.App)
	}
	if len(bots) == 0 {
		return
	}
	h := &config.Handler{Description: "Shows what the bot can do."}
	cb := config.Callback{Module: "omnibot.callbacks.message_callbacks", Function: "help_callback", Kwargs: &runtime.Dict{}}
	switch {
	case w.c.Handlers.Help != nil:
		cb = *w.c.Handlers.Help
		h.Pos = cb.Pos
	case !w.c.DefaultToHelp:
		return
	}
	call := w.callback(cb)
	w.register(h, "message", `""`, fmt.Sprintf("lambda e: help(e, SETUP, [%s])", call), "help", bots, `match = "nothing"`, "threads = True")
}

// setup is what all functions of the script are given: teams, bots and the
// messages handlers of each bot.
func (w *writer) setup() string {
	teams, list := &runtime.Dict{}, make(runtime.List, 0, len(w.c.Handlers.Message))
	for _, b := range w.c.BotList() {
		t, _ := teams.Get(b.TeamID)
		team, _ := t.(*runtime.Dict)
		if team == nil {
			team = runtime.NewDict("name", b.Team, "bots", &runtime.Dict{})
			teams.Set(b.TeamID, team)
		}
		bots, _ := team.Get("bots")
		bots.(*runtime.Dict).Set(b.App, b.Name)
	}
	for i := range w.c.Handlers.Message {
		h := &w.c.Handlers.Message[i]
		list = append(list, runtime.NewDict("match", h.Match, "match_type", h.MatchType, "description", h.Description,
			"match_reply", h.MatchReply, "bots", texts(w.bots(h))))
	}
	return literal(runtime.NewDict("teams", teams, "message_handlers", list))
}
