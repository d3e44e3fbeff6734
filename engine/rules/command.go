package rules

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/runtime"
)

// maxWords bounds the words of a command: /deploy status is two.
const maxWords = 8

// words reads the words that a command of a message begins with: with args a
// rule of messages goes by these, and not by a regex. Case and the amount of
// white space do not matter.
func (c *compiler) words(r *Rule, v runtime.Value) {
	p, is := v.(string)
	words := strings.Fields(p)
	switch {
	case !is && v != nil, len(words) == 0:
		c.fail(c.decl.arg, "with args, write the command: \"deploy\", or \"deploy status\"", "%s: args needs the words of a command", c.reg.Name)
		return
	case len(words) > maxWords:
		c.fail(c.decl.arg, "", "%s: a command has at most %d words", c.reg.Name, maxWords)
		return
	case strings.ContainsAny(p, `^$\()[]{}|`):
		c.fail(c.decl.arg, "with args, the rule goes by words: \"deploy status\"; without, by a regex", "%s: %q looks like a regex", c.reg.Name, p)
		return
	case r.Absent:
		c.fail("absent", "", "%s: absent works with a regex, not with args", c.reg.Name)
		return
	}
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = regexp.QuoteMeta(w)
	}
	c.regex(r, c.decl.arg, `(?i)^\s*`+strings.Join(quoted, `\s+`)+`(?:\s+|$)`, false)
	r.Pattern, r.Words = strings.Join(words, " "), words
	c.grammar(r)
}

// grammar reads the args of a rule.
func (c *compiler) grammar(r *Rule) {
	g, err := ParseGrammar(c.str("args"))
	if err != nil {
		c.fail("args", "for example \"<app> [env=staging|prod] [--dry-run]\"", "%s: bad args: %v", c.reg.Name, err)
	}
	r.Args = g
}

// command reads a slash command: its name, and the words of a subcommand.
func (c *compiler) command(r *Rule, v runtime.Value) {
	p, ok := c.pattern(v)
	if !ok {
		return
	}
	r.Words = strings.Fields(p)
	r.Pattern = strings.Join(r.Words, " ")
	name := p
	if len(r.Words) > 0 {
		name = r.Words[0]
	}
	switch {
	case !strings.HasPrefix(p, "/"):
		c.fail("command", "write \"/"+p+"\"", "%s: a command begins with a slash", c.reg.Name)
	case len(name) < 2 || len(name) > 32 || strings.ToLower(name) != name:
		c.fail("command", "", "%s: %q is no command: at most 32 characters, lower case", c.reg.Name, name)
	case len(r.Words) > maxWords:
		c.fail("command", "", "%s: a command has at most %d words", c.reg.Name, maxWords)
	}
	if c.str("args") != "" {
		c.grammar(r)
	}
}

// checkCommand compares a slash command, and reads its arguments.
func (r *Rule) checkCommand(e *event.Event, h *hit) reason {
	if len(r.Words) == 0 || e.Command != r.Words[0] {
		return otherID
	}
	rest, ok := cutWords(e.Text, r.Words[1:])
	if !ok {
		return otherWords
	}
	r.arguments(rest, h)
	return matched
}

// cutWords takes the words off the beginning of a text.
func cutWords(text string, words []string) (rest string, ok bool) {
	for _, w := range words {
		text = strings.TrimLeft(text, " \t\n\u00a0")
		next, after := text, ""
		if at := strings.IndexAny(text, " \t\n\u00a0"); at >= 0 {
			next, after = text[:at], text[at:]
		}
		if !strings.EqualFold(next, w) {
			return "", false
		}
		text = after
	}
	return text, true
}

// arguments reads what is behind the words of a command.
func (r *Rule) arguments(rest string, h *hit) {
	if r.Args == nil {
		return
	}
	args, problem := r.Args.Parse(rest)
	if problem == "" {
		h.groups = &event.Match{Args: args}
		return
	}
	if asksHelp(rest) {
		problem = ""
		if r.Help != "" {
			problem = r.Help
		}
	}
	if problem != "" {
		problem += "\n"
	}
	h.usage = problem + "Usage: " + r.Usage()
}

// asksHelp reports whether somebody asks how a command is used.
func asksHelp(text string) bool {
	switch strings.TrimSpace(text) {
	case "--help", "—help", "–help", "-h", "?":
		return true
	}
	return false
}

// Usage is how people write the command: its words and arguments; "" for a rule
// that is no command.
func (r *Rule) Usage() string {
	usage := strings.Join(r.Words, " ")
	if r.Args != nil && r.Args.String() != "" {
		usage += " " + r.Args.String()
	}
	return usage
}

// resolveCommands keeps, of the commands in one message, the one that names the
// most of its words; of equal ones the first.
func resolveCommands(hits []hit) {
	var one *hit
	for i := range hits {
		h := &hits[i]
		if h.by == nil && isText(h.rule.Kind) && len(h.rule.Words) > 0 && (one == nil || len(h.rule.Words) > len(one.rule.Words)) {
			one = h
		}
	}
	for i := range hits {
		if h := &hits[i]; one != nil && h != one && h.by == nil && isText(h.rule.Kind) && len(h.rule.Words) > 0 {
			h.by = one.rule
		}
	}
}

// outdone says why a command yields to another.
func (h *hit) outdone() string {
	if len(h.by.Words) > len(h.rule.Words) {
		return fmt.Sprintf("%s at %s names more of the words", h.by, h.by.Pos)
	}
	return fmt.Sprintf("%s at %s has the same words and comes first", h.by, h.by.Pos)
}

// doubled finds the commands of messages that never run because one before them
// has the same words.
func doubled(ordered []*Rule, of lits) []Finding {
	var out []Finding
	first := map[string][]*Rule{}
	for _, r := range ordered {
		if !r.Enabled || !isText(r.Kind) || len(r.Words) == 0 {
			continue
		}
		key := string(r.Kind) + "\x00" + strings.ToLower(r.Pattern)
		at := slices.IndexFunc(first[key], func(o *Rule) bool { return o.covers(r, of) })
		if at >= 0 {
			o := first[key][at]
			out = append(out, Finding{
				Rule: r, Msg: fmt.Sprintf("%s is never reached: %s at %s has the same words and comes first", r, o, o.Pos),
				Hint: "give them different words, or other channels, users, teams or bots",
			})
		} else if len(first[key]) < maxStops {
			first[key] = append(first[key], r)
		}
	}
	return out
}
