package rules

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/runtime"
)

// Finding is something that a rule surely does not do as it was meant.
type Finding struct {
	Rule *Rule
	// Arg is the argument that is to blame; empty if it is the rule as a whole.
	Arg       string
	Msg, Hint string
}

// Problem makes a finding an error at its rule, with the source line.
func (f Finding) Problem(b *runtime.Bundle) *runtime.Error {
	e := problem(b, f.Rule.Pos, f.Hint, "%s", f.Msg)
	e.Kind = runtime.LintError
	return e
}

// linter collects the findings on one rule.
type linter struct {
	r   *Rule
	out []Finding
}

func (l *linter) add(arg, hint, format string, a ...any) {
	l.out = append(l.out, Finding{l.r, arg, "on." + string(l.r.Kind) + ": " + fmt.Sprintf(format, a...), hint})
}

// Lint says what rules of one script can never do, or do always, each by
// itself. Rules that are not enabled are left alone.
func Lint(rules []*Rule) []Finding {
	var out []Finding
	for _, r := range rules {
		if !r.Enabled {
			continue
		}
		l := linter{r: r}
		l.pattern()
		l.filters()
		l.grammar()
		out = append(out, l.out...)
	}
	return out
}

// pattern looks for regexes that match all texts, or none.
func (l *linter) pattern() {
	r := l.r
	if r.re == nil {
		return
	}
	arg := declarations["on."+string(r.Kind)].arg
	re, err := syntax.Parse(r.Pattern, syntax.Perl)
	if err != nil {
		return
	}
	switch {
	case never(re) && r.Absent:
		l.add(arg, "", "%q is in no text at all: with absent the rule fires on every message", r.Pattern)
	case never(re):
		l.add(arg, "", "%q can match no text at all", r.Pattern)
	case r.Kind == event.Mention && mentionFirst.MatchString(r.Pattern):
		l.add(arg, "leave it out of the pattern", "%q is never found: the mention of the bot is cut off before the regex is tried", r.Pattern)
	case !isText(r.Kind):
	case always(re) && r.Absent:
		l.add(arg, "", "%q is found in every text, also in an empty one: with absent the rule never fires", r.Pattern)
	case always(re):
		l.add(arg, "to mean every message, leave the regex empty: \"\"", "%q is found in every text, also in an empty one", r.Pattern)
	}
}

var mentionFirst = regexp.MustCompile(`^\^?<@[A-Z(\[.]`)

// filters looks at restrictions that events of the kind can never meet.
func (l *linter) filters() {
	r := l.r
	where := map[string][]string{"channels": r.Channels, "users": r.Users, "teams": r.Teams, "bots": r.Bots}
	lacks := map[event.Kind][]string{
		event.Webhook: {"channels", "users", "teams", "bots"}, event.Schedule: {"channels", "users", "teams", "bots"},
		event.Submit: {"channels"}, event.ViewClosed: {"channels"},
	}[r.Kind]
	for _, name := range lacks {
		if len(where[name]) > 0 {
			l.add(name, "leave it out, or check in the handler", "%s: %s come from no %s, so the rule never matches",
				name, kindWords[r.Kind], strings.TrimSuffix(name, "s"))
		}
	}
	for _, c := range r.Channels {
		if !channelID.MatchString(c) && !strings.HasPrefix(c, "#") && !slices.Contains(lacks, "channels") {
			l.add("channels", "write \"#"+c+"\"", "channels: %q is a name without its #", c)
		}
	}
	if isText(r.Kind) && !r.FromBots && len(r.Users) > 0 && !slices.ContainsFunc(r.Users, human) {
		l.add("users", "add from_bots=True", "users: %s are bots, whose messages the rule skips, so it never matches", strings.Join(r.Users, ", "))
	}
}

func human(user string) bool { return !strings.HasPrefix(user, "B") && user != "USLACKBOT" }

// kindWords names the events of kinds that lack what others have.
var kindWords = map[event.Kind]string{
	event.Webhook: "webhooks", event.Schedule: "schedules", event.Submit: "submissions of views",
	event.ViewClosed: "closed views",
}

// grammar looks for arguments of a command that cannot be told apart.
func (l *linter) grammar() {
	if l.r.Args == nil {
		return
	}
	words := l.r.Args.words
	for i, w := range words {
		if w.must || w.literal || len(w.choices) == 0 || i+1 == len(words) {
			continue
		}
		next := words[i+1]
		if len(next.choices) == 0 {
			l.add("args", fmt.Sprintf("put %s last, or make it an option: [--%s=%s]", w.label, w.name, strings.Join(w.choices, "|")),
				"args: %s is ambiguous: what is meant for %s is taken for %s, and refused unless it is %s",
				l.r.Args, next.label, w.label, strings.Join(w.choices, " or "))
		}
	}
}

// always reports whether a regex is found in every text: it matches nothing at
// all, wherever it is tried, at the beginning, or at the end.
func always(re *syntax.Regexp) bool {
	switch re = re.Simplify(); re.Op {
	case syntax.OpBeginText, syntax.OpEndText:
		return true
	case syntax.OpCapture:
		return always(re.Sub[0])
	case syntax.OpAlternate:
		return slices.ContainsFunc(re.Sub, always)
	case syntax.OpConcat:
		subs := re.Sub
		switch last := len(subs) - 1; {
		case subs[0].Op == syntax.OpBeginText:
			subs = subs[1:]
		case subs[last].Op == syntax.OpEndText:
			subs = subs[:last]
		}
		return !slices.ContainsFunc(subs, func(s *syntax.Regexp) bool { return !blank(s) })
	}
	return blank(re)
}

// blank reports whether a regex matches the empty text wherever it is tried.
func blank(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpEmptyMatch, syntax.OpStar, syntax.OpQuest:
		return true
	case syntax.OpCapture, syntax.OpPlus:
		return blank(re.Sub[0])
	case syntax.OpAlternate:
		return slices.ContainsFunc(re.Sub, blank)
	case syntax.OpConcat:
		return !slices.ContainsFunc(re.Sub, func(s *syntax.Regexp) bool { return !blank(s) })
	}
	return false
}

// never reports whether a regex matches no text: it needs an impossible
// character, or something before the beginning or after the end.
func never(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpNoMatch:
		return true
	case syntax.OpCapture, syntax.OpPlus:
		return never(re.Sub[0])
	case syntax.OpRepeat:
		return re.Min > 0 && never(re.Sub[0])
	case syntax.OpAlternate:
		return !slices.ContainsFunc(re.Sub, func(s *syntax.Regexp) bool { return !never(s) })
	case syntax.OpConcat:
		eaten, ended := false, false
		for _, s := range re.Sub {
			switch {
			case never(s), s.Op == syntax.OpBeginText && eaten, ended && eats(s):
				return true
			case s.Op == syntax.OpEndText:
				ended = true
			}
			eaten = eaten || eats(s)
		}
	}
	return false
}

// eats reports whether a regex matches at least one character wherever it matches.
func eats(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpLiteral:
		return len(re.Rune) > 0
	case syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return true
	case syntax.OpCapture, syntax.OpPlus:
		return eats(re.Sub[0])
	case syntax.OpRepeat:
		return re.Min > 0 && eats(re.Sub[0])
	case syntax.OpConcat:
		return slices.ContainsFunc(re.Sub, eats)
	case syntax.OpAlternate:
		return !slices.ContainsFunc(re.Sub, func(s *syntax.Regexp) bool { return !eats(s) })
	}
	return false
}
