package explain

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/starling-rules/starling/engine/event"
)

// Skeleton is a rule that matches an event, to begin with.
type Skeleton struct {
	// File is where it could be saved, below a rules directory.
	File string `json:"file"`
	Text string `json:"text"`
}

// Skeletons gives a rule that matches e in each language, by "star" and "lua".
func Skeletons(e *event.Event) map[string]Skeleton {
	d := draft(e)
	return map[string]Skeleton{"star": d.star(), "lua": d.lua()}
}

// plan is a rule before it is written down in a language.
type plan struct {
	on      string // the registration without "on."
	pattern string // "" for on.home
	regex   bool   // the pattern is given by re.compile
	name    string // of the function
	comment string
	log     string // the fields of the event that are worth a look
	reply   reply
	options []option
	script  string // the file's name, without its ending
}

type option struct {
	name  string
	value any // bool or string
}

// reply is what the handler returns or does.
type reply uint8

const (
	nothing reply = iota
	text          // a text is the answer
	respond
	thread
	closes // nothing: the form closes
	choices
	home
)

// draft decides what the rule looks like.
func draft(e *event.Event) plan {
	p := plan{on: string(e.Kind), log: "user", script: "new_rule"}
	switch e.Kind {
	case event.Message, event.Mention:
		p.message(e)
	case event.Command:
		p.pattern, p.reply, p.log = strings.ToLower(e.Command), text, "text"
		p.comment = "The returned text is shown to whoever gave the command."
	case event.Action:
		p.comment = "e.value is what was chosen; respond writes where the element is."
		p.id(actionID(e))
		p.reply, p.log = respond, "value"
		if p.answered(e) {
			p.comment = "What is returned is the answer."
		}
	case event.Submit:
		p.comment = "e.values are the inputs; return ui.errors({...}) to keep the form open."
		p.id(e.CallbackID)
		p.reply, p.log = closes, "values"
	case event.ViewClosed:
		p.comment = "Whoever had the form open has dismissed it."
		p.id(e.CallbackID)
	case event.Shortcut:
		p.comment = "A shortcut may open a modal: open_modal(ui.modal(...)), within three seconds."
		p.id(e.CallbackID)
	case event.Options:
		p.comment = "e.options_query is what was typed; a list of ui.option is the answer."
		p.id(actionID(e))
		p.reply, p.log = choices, "options_query"
	case event.Reaction:
		p.reaction(e)
	case event.Home:
		p.comment, p.reply = "Somebody has opened the app's home.", home
	case event.Webhook:
		p.webhook(e)
	case event.Schedule:
		p.schedule(e)
	default:
		p.other(e)
	}
	if p.name == "" {
		p.name = identifier(p.pattern, "handle")
	}
	return p
}

// answered reports whether the legacy element waits for what is returned.
func (p *plan) answered(e *event.Event) bool {
	if e.Answered() {
		p.reply = nothing
		return true
	}
	return false
}

// id is a pattern that must equal an id. Without one only on.event is left.
func (p *plan) id(id string) {
	switch {
	case id == "":
		p.on, p.pattern, p.comment = "event", "*", "The payload names no id to match by: this sees every event."
	case strings.ContainsAny(id, `^$*+?()[]{}|\`) && p.on == string(event.Action), len(id) > 255:
		p.pattern, p.regex = exact(id), true
	default:
		p.pattern = id
	}
}

// exact is a regex for one text, within the bound of patterns.
func exact(id string) string {
	q := regexp.QuoteMeta(id)
	if len(q) > 900 {
		return ".*"
	}
	return q
}

func actionID(e *event.Event) string {
	for _, a := range e.Actions {
		if a.ActionID != "" {
			return a.ActionID
		}
	}
	return e.CallbackID
}

// other is on.event of the event's own type.
func (p *plan) other(e *event.Event) {
	p.on, p.pattern, p.log = "event", e.Type, "type"
	p.comment = "e.raw is the whole payload."
	if e.Type == "message" && e.Subtype != "" {
		p.pattern = "message." + e.Subtype
	}
	if p.pattern == "" || strings.ContainsAny(p.pattern, " \t\n*") {
		p.pattern = "*"
		p.comment = "Sees every event: this one has no type to match by."
	}
}

// people are the subtypes of messages that on.message sees.
var people = []string{"", "file_share", "me_message", "thread_broadcast", "reply_broadcast", "bot_message", "message_changed"}

func (p *plan) message(e *event.Event) {
	own := e.User != "" && e.User == e.BotUser || e.AuthorApp != "" && e.AuthorApp == e.App
	if !slices.Contains(people, e.Subtype) || e.Edited && e.Unchanged || e.Kind == event.Mention && !e.Directed() {
		p.other(e)
		return
	}
	p.comment, p.reply, p.log = "The returned text is posted where the message is.", text, "text"
	words := e.Text
	if e.Directed() {
		p.on = "mention"
		if !e.IM {
			words = afterMention(words)
		}
	}
	p.pattern = phrase(words)
	p.name = identifier(plainWords(words), "answer")
	if e.Edited {
		p.add("edits", true)
	}
	if own || e.User == "USLACKBOT" || e.BotID != "" || e.Subtype == "bot_message" {
		p.add("from_bots", true)
		p.comment = "Take care: an answer to a bot may be answered by it."
		p.reply = nothing
	}
	if e.ThreadMsg && p.on == "message" && e.Subtype != "thread_broadcast" && e.Subtype != "reply_broadcast" {
		p.add("threads", true)
	}
}

func (p *plan) add(name string, value any) { p.options = append(p.options, option{name, value}) }

// afterMention cuts the mention that a text begins with, as matching does.
func afterMention(s string) string {
	s = strings.TrimLeft(s, " \t\n")
	if inner, found := strings.CutPrefix(s, "<@"); found {
		if _, rest, closed := strings.Cut(inner, ">"); closed {
			rest = strings.TrimLeft(rest, " \t\n\u00a0")
			return strings.TrimLeft(strings.TrimLeft(rest, ":,"), " \t\n\u00a0")
		}
	}
	return s
}

// phrase is a regex for the first words of a text that are neither markup nor
// escaped; ".*" if there are none.
func phrase(s string) string {
	w := plainWords(s)
	if w == "" {
		return ".*"
	}
	return "(?i)" + regexp.QuoteMeta(w)
}

// plainWords are at most three words in a row without markup.
func plainWords(s string) string {
	for len(s) > 0 {
		cut := strings.IndexAny(s, "<&\n\t")
		part := s
		if cut >= 0 {
			part = s[:cut]
		}
		if w := firstWords(part, 3); w != "" {
			return w
		}
		if cut < 0 {
			break
		}
		skip := cut + 1
		if end := strings.IndexAny(s[cut:], ">;"); s[cut] != '\n' && s[cut] != '\t' && end >= 0 {
			skip = cut + end + 1
		}
		s = s[skip:]
	}
	return ""
}

// firstWords is the text of at most n words, cut where the text has it so that
// it is found there again.
func firstWords(s string, n int) string {
	s = strings.TrimSpace(s)
	i, words := 0, 0
	for i < len(s) && words < n && i < 40 {
		j := strings.IndexByte(s[i:], ' ')
		words++
		if j < 0 {
			i = len(s)
			break
		}
		i += j + 1
	}
	s = s[:i]
	for len(s) > 60 || !utf8.ValidString(s) {
		s = s[:len(s)-1]
	}
	if strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) >= 0 {
		return ""
	}
	return strings.TrimSpace(s)
}

func (p *plan) reaction(e *event.Event) {
	p.comment, p.reply, p.log = "The answer goes into the thread of the message.", thread, "reaction"
	p.pattern = e.Reaction
	if e.Reaction == "" {
		p.pattern = ".*"
	}
	if e.Removed {
		p.add("removed", true)
	}
	if e.User != "" && e.User == e.BotUser {
		p.add("from_bots", true)
		p.reply = nothing
	}
}

func (p *plan) webhook(e *event.Event) {
	method, path := "POST", "/hooks/new"
	if e.Request != nil {
		method, path = e.Request.Method, route(e.Request.Path)
	}
	p.pattern, p.reply, p.log = method+" "+path, text, "body"
	p.name = identifier(path, "hook")
	p.comment = "The returned text is the answer. open lets anybody call: use secret and signature instead."
	p.add("open", true)
}

// route is a path as on.webhook takes it: parts that it cannot spell become
// parameters.
func route(path string) string {
	if len(path) > 1 {
		path = strings.TrimSuffix(path, "/")
	}
	if path == "/" || path == "" {
		return "/"
	}
	parts := strings.Split(path[1:], "/")
	for i, p := range parts {
		switch {
		case p == "": // matched by a rest alone, which does not begin with it
			from := max(0, i-1)
			return "/" + strings.Join(append(parts[:from:from], "{rest:path}"), "/")
		case p == ".", p == "..", strings.ContainsAny(p, "{}?# \t%"):
			parts[i] = fmt.Sprintf("{part%d}", i+1)
		}
	}
	return "/" + strings.Join(parts, "/")
}

// schedule is a rule of the id that the event is for.
func (p *plan) schedule(e *event.Event) {
	file, label, ok := strings.Cut(e.CallbackID, ":")
	if !ok {
		label = e.CallbackID
	} else if stem, _, found := strings.Cut(file, "."); found {
		p.script = stem
	}
	p.pattern, p.log, p.name = "every 1h", "scheduled_at", "tick"
	p.comment = "The rule that this event was for is gone; one of the same name in " + file + " takes its place."
	p.add("name", label)
}

// identifier makes a name for a function of a text.
func identifier(s, def string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(s) {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9' && b.Len() > 0:
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "_"):
			b.WriteByte('_')
		}
		if b.Len() > 24 {
			break
		}
	}
	name := strings.Trim(b.String(), "_")
	if name == "" {
		return def
	}
	return "on_" + name // never a keyword or a built-in
}
