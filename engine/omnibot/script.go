package omnibot

import (
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/starling-rules/starling/engine/config"
	"github.com/starling-rules/starling/engine/literal"
	"github.com/starling-rules/starling/engine/rules"
	"github.com/starling-rules/starling/runtime"
)

// writer makes the scripts. Their lines are those of the configuration: what is
// made from line 12 is in line 12 if that has not passed already.
type writer struct {
	c        *config.Config
	has      func(string) bool
	library  fs.FS
	halves   []*half
	problems runtime.Errors
}

// half is the script in one language.
type half struct {
	*dialect
	out   strings.Builder
	line  int
	col   int
	marks []mark
	names map[string]int
	loads int
	// setup is the name of what all functions are given.
	setup string
	used  bool
}

// mark tells what the text from a place on is made from.
type mark struct {
	line, col int
	from      runtime.Position
}

// Scripts makes the scripts of the configuration's handlers; none if it has no
// handlers. The first is in Starlark, a second one in Lua if a callback is.
// has tells of the files of the rules directories.
//
// A handler with callbacks in both languages is a rule in each of the scripts:
// the callbacks of one language run in their order, the languages beside each
// other. What answers Slack in the place of a callback is in the first script.
func Scripts(c *config.Config, has func(path string) bool, library fs.FS) []rules.Virtual {
	if len(c.Handlers.All()) == 0 && c.Handlers.Help == nil {
		return nil
	}
	w := &writer{c: c, has: has, library: library}
	setup := w.setup()
	for _, d := range []*dialect{starlark, lua} {
		h := &half{dialect: d, line: 1, col: 1, names: map[string]int{}}
		h.put(runtime.Position{}, d.head)
		h.setup = h.part(runtime.Position{}, d.literal(setup))
		w.halves = append(w.halves, h)
	}
	w.halves[0].used = true
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
	for _, g := range w.grouped(c.Handlers.SlashCommand) {
		steps = append(steps, step{g.handlers[0].Pos, func() { w.slash(g) }})
	}
	for _, g := range w.grouped(c.Handlers.Interactive) {
		steps = append(steps, step{g.handlers[0].Pos, func() { w.interactive(g) }})
	}
	slices.SortStableFunc(steps, func(a, b step) int { return a.at.Line - b.at.Line })
	for _, s := range steps {
		s.put()
	}
	w.help()
	var out []rules.Virtual
	for _, h := range w.halves {
		if h.used {
			out = append(out, w.virtual(h))
		}
	}
	out[0].Errors = w.problems
	return out
}

func (w *writer) virtual(h *half) rules.Virtual {
	h.out.WriteByte('\n')
	return rules.Virtual{Path: Path(w.c) + h.suffix, Of: Path(w.c), Language: h.name, Text: []byte(h.out.String()), Place: h.placer(w.c)}
}

// group is the handlers of one command or callback_id that some bots have in
// common: a bot has one group for each.
type group struct {
	key      string
	handlers []*config.Handler
	bots     []string
}

// grouped puts the handlers of one key together for each bot, in their order.
// Bots that have the same ones share a group.
func (w *writer) grouped(handlers []config.Handler) []*group {
	byKey, keys := map[string][]*config.Handler{}, []string{}
	for i := range handlers {
		h := &handlers[i]
		if byKey[h.Key] == nil {
			keys = append(keys, h.Key)
		}
		byKey[h.Key] = append(byKey[h.Key], h)
	}
	var out []*group
	for _, key := range keys {
		var same []*group
		for _, bot := range w.bots(byKey[key]...) {
			own := slices.DeleteFunc(slices.Clone(byKey[key]), func(h *config.Handler) bool { return !slices.Contains(w.bots(h), bot) })
			at := slices.IndexFunc(same, func(g *group) bool { return slices.Equal(g.handlers, own) })
			if at < 0 {
				same, at = append(same, &group{key: key, handlers: own}), len(same)
			}
			same[at].bots = append(same[at].bots, bot)
		}
		out = append(out, same...)
	}
	return out
}

func (g *group) callbacks() []config.Callback {
	var out []config.Callback
	for _, h := range g.handlers {
		out = append(out, h.Callbacks...)
	}
	return out
}

// synchronous is the callback whose result is the answer, if there is one.
func (g *group) synchronous() *config.Callback {
	for _, cb := range g.callbacks() {
		if cb.Synchronous {
			return &cb
		}
	}
	return nil
}

// put writes one statement, made from a place of the configuration.
func (h *half) put(from runtime.Position, statement string) {
	for h.line < from.Line {
		h.out.WriteByte('\n')
		h.line++
		h.col = 1
	}
	if h.col > 1 {
		h.out.WriteString("; ")
		h.col += 2
	}
	h.marks = append(h.marks, mark{h.line, h.col, from})
	h.out.WriteString(statement)
	h.col += len(statement)
}

// part writes a definition, and returns its name.
func (h *half) part(from runtime.Position, value string) string {
	statement, name := h.define(len(h.marks), value)
	h.put(from, statement)
	return name
}

// placer leads from the script back to the configuration.
func (h *half) placer(c *config.Config) func(runtime.Position) (runtime.Position, string) {
	marks := h.marks
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

// of picks the half for a callback, and the file it is in; "" if there is none.
func (w *writer) of(cb config.Callback) (h *half, file string) {
	file, tried := module(cb.Module, w.has, w.library)
	if file == "" {
		w.fail(cb.Pos, "write it, or correct the name", "callback %s:%s: there is no %s below the rules directories", cb.Module, cb.Function, strings.Join(tried, " or "))
		return w.halves[0], ""
	}
	if !isLua(file) {
		return w.halves[0], file
	}
	if nullInList(cb.Kwargs) {
		w.fail(cb.Pos, "Lua has no null in a list", "callback %s:%s: kwargs hold a list with null, and %s is in Lua", cb.Module, cb.Function, file)
	}
	return w.halves[1], file
}

// callback loads a callback into its half; call is it with its arguments.
func (w *writer) callback(cb config.Callback) (h *half, call string) {
	h, file := w.of(cb)
	if file == "" {
		return h, "None"
	}
	h.used = true
	h.loads++
	statement, name := h.load(h.loads, file, cb)
	h.put(cb.Pos, statement)
	parts := []string{name, h.literal(cb.Kwargs), h.literal(cb.Module + ":" + cb.Function)}
	if h.dialect == lua {
		return h, h.list(parts)
	}
	return h, "(" + strings.Join(parts, ", ") + ")"
}

// part of a handler's callbacks that are in one language.
type calls struct {
	*half
	list string
}

// callbacks loads callbacks, and returns them with their arguments, those of
// each language apart. Without any there is one empty list, in Starlark.
func (w *writer) callbacks(list []config.Callback) []calls {
	found := map[*half][]string{}
	for _, cb := range list {
		h, call := w.callback(cb)
		found[h] = append(found[h], call)
	}
	var out []calls
	for _, h := range w.halves {
		if len(found[h]) > 0 {
			out = append(out, calls{h, h.dialect.list(found[h])})
		}
	}
	if out == nil {
		out = []calls{{w.halves[0], w.halves[0].dialect.list(nil)}}
	}
	return out
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

// unique makes a name of a rule that no other of the script has.
func (h *half) unique(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, text)
	if len(text) > 80 {
		text = strings.ToValidUTF8(text[:80], "") + "…"
	}
	h.names[text]++
	if n := h.names[text]; n > 1 {
		text += " #" + strconv.Itoa(n)
	}
	return text
}

// rule writes one registration, made from a handler. call is the function of
// omnibot/handlers, and its arguments after the event and the setup.
func (h *half) rule(from *config.Handler, on, pattern, name string, bots []string, call []string, options ...option) {
	all := []option{{"name", h.literal(h.unique(name))}, {"bots", h.literal(texts(bots))}}
	if from.Description != "" {
		help, _, _ := strings.Cut(from.Description, "\n")
		all = append(all, option{"help", h.literal(help)})
	}
	fn := h.handler(h.prefix + call[0] + "(" + strings.Join(append([]string{"e", h.setup}, call[1:]...), ", ") + ")")
	h.put(from.Pos, h.register(on, pattern, fn, append(all, options...)))
}

func (w *writer) message(h *config.Handler) {
	bots := w.bots(h)
	if len(bots) == 0 {
		return // invisible, as in omnibot
	}
	for _, c := range w.callbacks(h.Callbacks) {
		w.messageRule(c, h, bots)
	}
}

func (w *writer) messageRule(c calls, h *config.Handler, bots []string) {
	yes, spec := c.literal(true), c.literal(runtime.NewDict("match", h.Match, "match_type", h.MatchType, "absence", h.Absence()))
	call, name, pattern := []string{"message", spec, c.list}, h.MatchType+" "+h.Match, c.literal(h.Match)
	threads := option{"threads", c.literal(h.MatchReply)}
	switch h.MatchType {
	case "command":
		match := "command"
		if h.MatchMention {
			match = "mention"
		}
		c.rule(h, "message", pattern, name, bots, call, threads, option{"match", c.literal(match)})
	case "regex":
		c.rule(h, "message", pattern, name, bots, call, threads, option{"match", c.literal("readable")}, option{"absent", c.literal(h.Absence())})
	case "reaction":
		when := option{"when", c.prefix + "mine"}
		if h.Absence() {
			pattern = c.literal("")
			when.code = c.handler(fmt.Sprintf("%smine(e) and not re.search(%s, e.reaction)", c.prefix, c.literal(`\A(?:`+h.Match+`)\z`)))
		}
		c.rule(h, "reaction", pattern, name, bots, call, when)
		c.rule(h, "reaction", pattern, name+" removed", bots, call, when, option{"removed", yes})
	}
}

// answer is what the answer of a group is made from: its first handler.
func (g *group) answer() *runtime.Dict {
	h := g.handlers[0]
	d := runtime.NewDict("response_type", h.ResponseType, "silent", h.NoMessageResponse)
	if h.CannedResponse != "" {
		d.Set("canned_response", h.CannedResponse)
	}
	if h.Dialog != nil {
		d.Set("dialog", h.Dialog)
	}
	return d
}

// slash registers the answer, which Slack waits for, and the callbacks, which
// it does not wait for, as rules of their own.
func (w *writer) slash(g *group) {
	first := g.handlers[0]
	s := w.halves[0]
	s.rule(first, "command", literal.Starlark(g.key), g.key+" answer", g.bots, []string{"acknowledge", s.part(first.Pos, s.literal(g.answer()))})
	if list := g.callbacks(); len(list) > 0 {
		for _, c := range w.callbacks(list) {
			c.rule(first, "command", c.literal(g.key), g.key, g.bots, []string{"slash", c.list}, option{"answers", c.literal(false)})
		}
	}
}

// interactive registers a handler for each kind of payload that its
// callback_id may come in. Of a group with a synchronous callback that one
// alone runs: its result is the answer.
func (w *writer) interactive(g *group) {
	if cb := g.synchronous(); cb != nil {
		h, call := w.callback(*cb)
		h.components(g, " answer", []string{"synchronous", h.part(g.handlers[0].Pos, call)})
		return
	}
	s := w.halves[0]
	s.components(g, " answer", []string{"acknowledge", s.part(g.handlers[0].Pos, s.literal(g.answer()))})
	if list := g.callbacks(); len(list) > 0 {
		for _, c := range w.callbacks(list) {
			c.components(g, "", []string{"interact", c.part(g.handlers[0].Pos, c.list)}, option{"answers", c.literal(false)})
		}
	}
}

func (h *half) components(g *group, label string, call []string, options ...option) {
	key := h.literal(g.key)
	for _, kind := range []struct {
		on, pattern, label string
		options            []option
	}{
		{"action", "re.compile(re.escape(" + key + "))", "", []option{{"when", h.prefix + "legacy"}}},     // interactive_message, dialog_submission
		{"action", `re.compile(".*")`, " block", []option{{"block", key}, {"when", h.prefix + "modern"}}}, // block_actions go by block_id
		{"view", key, " view", nil},
		{"shortcut", key, " shortcut", nil}, // message_action
	} {
		h.rule(g.handlers[0], kind.on, kind.pattern, g.key+kind.label+label, g.bots, call, slices.Concat(kind.options, options)...)
	}
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
	from := &config.Handler{Description: "Shows what the bot can do."}
	cb := config.Callback{Module: "omnibot.callbacks.message_callbacks", Function: "help_callback", Kwargs: &runtime.Dict{}}
	switch {
	case w.c.Handlers.Help != nil:
		cb = *w.c.Handlers.Help
		from.Pos = cb.Pos
	case !w.c.DefaultToHelp:
		return
	}
	for _, key := range []string{"default_to_help", "handlers"} {
		if from.Pos.IsZero() {
			from.Pos, _ = w.c.Place(key)
		}
	}
	c, call := w.callback(cb)
	c.rule(from, "message", c.literal(""), "help", bots, []string{"help", c.dialect.list([]string{call})},
		option{"match", c.literal("nothing")}, option{"threads", c.literal(true)})
}

// setup is what all functions of the scripts are given: teams, bots and the
// message handlers of each bot.
func (w *writer) setup() *runtime.Dict {
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
	return runtime.NewDict("teams", teams, "message_handlers", list)
}
