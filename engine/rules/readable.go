package rules

import (
	"strings"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/runtime"
)

// The values of the match option of message rules: how the pattern is tried.
const (
	// matchCommand: the message is directed at the bot, and what is asked of it
	// begins with the pattern, literally. Of these rules only the first that
	// an event meets runs.
	matchCommand = "command"
	// matchMention is matchCommand, wherever the bot is mentioned.
	matchMention = "mention"
	// matchReadable: the pattern is a regex on the text as people read it.
	matchReadable = "readable"
	// matchNothing: the message is directed at the bot, and no other rule with
	// a match option meets it; as a rule of mentions, no other rule that has a
	// pattern meets it. There is no pattern.
	matchNothing = "nothing"
)

var matchValues = []string{matchCommand, matchMention, matchReadable, matchNothing}

// readable is what a message is to rules with a match option.
type readable struct {
	done                bool
	directed, mentioned bool
	text, command       string
}

// read computes it, once for an event.
func (s *subject) read() *readable {
	r := &s.readable
	if r.done {
		return r
	}
	n := event.Namer{}
	if s.names != nil {
		n.User = func(id string) string { name, _ := s.names.UserName(s.e.Team, id); return name }
		n.Channel = func(id string) string { return s.names.ChannelName(s.e.Team, id) }
		if g, ok := s.names.(GroupNames); ok {
			n.Group = func(id string) string { return g.GroupName(s.e.Team, id) }
		}
	}
	var command string
	r.done = true
	r.directed, r.mentioned, command = s.e.Addressed()
	r.text = runtime.MatchText(event.Read(s.e.Text, n).Text)
	r.command = runtime.MatchText(event.Read(command, n).Text)
	return r
}

// GroupNames is implemented by Names that know user groups.
type GroupNames interface {
	// GroupName returns the handle of a user group without "@".
	GroupName(team, id string) string
}

// matchOption reads the option and its pattern.
func (c *compiler) matchOption(r *Rule) bool {
	r.Match = c.str("match")
	if r.Match == "" {
		return false
	}
	v, _ := c.args.Get(c.decl.arg)
	if v == nil {
		v = ""
	}
	if a, _ := c.args.Get("args"); a != nil {
		c.fail("args", "leave match out: a rule with args is a command", "%s: args and match exclude each other", c.reg.Name)
		return true
	}
	if r.Kind == event.Mention && r.Match != matchNothing {
		c.fail("match", "", "%s: match must be %s, got %q", c.reg.Name, matchNothing, r.Match)
		return true
	}
	p, ok := c.pattern(v)
	switch {
	case !ok:
	case r.Match == matchReadable && p != "":
		c.regex(r, c.decl.arg, p, false)
	case r.Match == matchReadable && r.Absent:
		c.fail("absent", "", "%s: absent needs a regex", c.reg.Name)
	case r.Match == matchReadable, r.Match == matchCommand, r.Match == matchMention:
		if r.Absent && r.Match != matchReadable {
			c.fail("absent", "", "%s: absent works with match=\"readable\"", c.reg.Name)
		}
		r.Pattern = p
	case r.Match == matchNothing:
		if p != "" {
			c.fail(c.decl.arg, "", "%s: match=\"nothing\" takes no pattern", c.reg.Name)
		}
	default:
		c.fail("match", didYouMean(r.Match, matchValues), "%s: match must be %s, got %q", c.reg.Name, strings.Join(matchValues, ", "), r.Match)
	}
	return true
}

// checkMatch compares a message with a rule that has a match option.
func (r *Rule) checkMatch(s *subject, h *hit) reason {
	read := s.read()
	text := read.command
	var loc []int
	switch r.Match {
	case matchNothing:
		if !read.directed {
			return notAddressed
		}
	case matchCommand, matchMention:
		if !read.directed && (r.Match == matchCommand || !read.mentioned) {
			return notAddressed
		}
		if !strings.HasPrefix(read.command, r.Pattern) {
			return notBegun
		}
	default:
		text = read.text
		if r.re != nil {
			var why reason
			if loc, why = r.find(s, text); why != matched {
				return why
			}
		}
	}
	h.groups = read.groups(r, text, loc)
	return matched
}

// groups is e.match: the groups of the regex if there is one, and parsed_text,
// command_text and args. loc is where the regex was found.
func (read *readable) groups(r *Rule, text string, loc []int) *event.Match {
	m := &event.Match{Groups: []string{text}, Present: []bool{true}, Names: []string{""}}
	if loc != nil {
		g := groups(text, loc, r.names)
		m = &event.Match{Groups: append([]string(nil), g.Groups...), Present: append([]bool(nil), g.Present...), Names: append([]string(nil), g.Names...)}
	}
	add := func(name, value string) {
		m.Groups, m.Present, m.Names = append(m.Groups, value), append(m.Present, true), append(m.Names, name)
	}
	add("parsed_text", read.text)
	add("command_text", read.command)
	if r.Match == matchCommand || r.Match == matchMention {
		add("args", strings.TrimSpace(strings.TrimPrefix(read.command, r.Pattern)))
	}
	return m
}

// resolveMatch keeps the first of the rules for commands, and leaves out those
// for what nothing matches if something did.
func resolveMatch(hits []hit) {
	var first, any *hit
	for i := range hits {
		switch h := &hits[i]; h.rule.Match {
		case matchCommand, matchMention:
			if first == nil {
				first = h
			} else if !twins(first.rule, h.rule) {
				h.by = first.rule
			}
			if any == nil {
				any = h
			}
		case matchReadable:
			if any == nil {
				any = h
			}
		}
	}
	for i := range hits {
		switch h := &hits[i]; {
		case h.rule.Match != matchNothing:
		case h.rule.Kind == event.Mention:
			if o := answering(hits); o != nil {
				h.by = o.rule
			}
		case any != nil:
			h.by = any.rule
		}
	}
}

// answering returns the first rule that was written for what a message says.
// Those without a pattern see all messages, and are written for none.
func answering(hits []hit) *hit {
	for i := range hits {
		if r := hits[i].rule; isText(r.Kind) && r.Match != matchNothing && (r.re != nil || r.Pattern != "") {
			return &hits[i]
		}
	}
	return nil
}
