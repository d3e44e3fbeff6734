// Package permit says who may run which rule: the admins and the entries of
// `access` in the configuration, and the options groups and admin of a rule.
// What matches an event, what explains it, what lists commands for a person
// and what tests rules ask here.
//
//	Policy     Decide about a rule, a person and what is asked; May without the latter
//	Directory  who is in a group, what an address belongs to
//	Verdict    allowed, or why not: for operators, and for who asked
//
// In doubt the answer is no: where a look-up fails, where nobody asks, where
// no admins are configured. Knowing filters of rules (users, channels) is not
// its business: a rule that they rule out does not match at all.
//
// The package knows no events, no runs and no HTTP.
package permit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/starling-rules/starling/engine/config"
)

// Rule is what a decision goes by.
type Rule struct {
	ID     string
	Groups []string
	Admin  bool
}

// Asker is who wants a rule to run, and where. An empty User is nobody: a
// webhook, say.
type Asker struct {
	Team, Enterprise, Bot string
	User, Channel         string
	// Own tells that it is the server itself: a schedule. What depends on who
	// asks does not concern it.
	Own bool
}

// Verdict is a decision. The zero value is a refusal.
type Verdict struct {
	Allowed bool
	// Why is for operators and authors, Text for who asked.
	Why, Text string
}

// Policy decides. It is safe for concurrent use; a nil Policy refuses all that
// is restricted.
type Policy struct {
	terms atomic.Pointer[terms]
	dir   Directory
}

// terms are what a configuration says. They are immutable.
type terms struct {
	admins []string
	access []entry
}

// entry is one of config.Access, prepared.
type entry struct {
	config.Access
	number int
}

// ErrUnknown says that a Directory does not know without asking.
var ErrUnknown = errors.New("not known yet")

// Directory knows people. wait: it may ask Slack; without, what it does not
// know is ErrUnknown. Safe for concurrent use.
type Directory interface {
	// Member reports whether a user is in a group, given as "@handle" or id.
	Member(ctx context.Context, a Asker, group string, wait bool) (bool, error)
	// Email returns the address of the user who asks.
	Email(ctx context.Context, a Asker, wait bool) (string, error)
	// Channel returns the name of the channel, without "#".
	Channel(ctx context.Context, a Asker, wait bool) (string, error)
}

// New returns the policy of a configuration. dir may be nil: then nothing is
// known of anybody but ids.
func New(admins []string, access []config.Access, dir Directory) *Policy {
	p := &Policy{dir: dir}
	p.Set(admins, access)
	return p
}

// Set makes the policy go by another configuration, from the next decision on.
func (p *Policy) Set(admins []string, access []config.Access) {
	t := &terms{admins: admins}
	for i, a := range access {
		t.access = append(t.access, entry{a, i + 1})
	}
	p.terms.Store(t)
}

// Restricts reports whether anything is to be decided about a rule.
func (p *Policy) Restricts(r Rule) bool {
	if r.Admin || len(r.Groups) > 0 {
		return true
	}
	if p == nil {
		return false
	}
	access := p.terms.Load().access
	for i := range access {
		if access[i].names(r.ID) {
			return true
		}
	}
	return false
}

// Decide says whether a rule may run. arg returns the value of an argument.
// known is false if that takes a look-up, and wait is false.
func (p *Policy) Decide(ctx context.Context, r Rule, a Asker, arg func(name string) (string, bool), wait bool) (v Verdict, known bool) {
	q := question{p: p, ctx: ctx, a: a, arg: arg, wait: wait}
	if p != nil {
		q.terms = p.terms.Load()
	}
	v = q.decide(r)
	return v, !q.unknown
}

// May reports whether a person may run a rule, whatever the arguments: with
// some that are allowed. It may ask Slack.
func (p *Policy) May(ctx context.Context, r Rule, a Asker) bool {
	v, _ := p.Decide(ctx, r, a, nil, true)
	return v.Allowed
}

// Admin reports whether a person is an admin. It may ask Slack.
func (p *Policy) Admin(ctx context.Context, a Asker) bool {
	v, _ := p.Decide(ctx, Rule{Admin: true}, a, nil, true)
	return v.Allowed
}

// question is one decision under way.
type question struct {
	*terms
	p       *Policy
	ctx     context.Context
	a       Asker
	arg     func(string) (string, bool)
	wait    bool
	unknown bool
}

var allowed = Verdict{Allowed: true}

func (q *question) decide(r Rule) Verdict {
	if q.p == nil {
		if !q.p.Restricts(r) {
			return allowed
		}
		return Verdict{Why: "who may run it is not known here", Text: "You may not use this."}
	}
	if v := q.isAdmin(r); !v.Allowed {
		return v
	}
	if v := q.groups(r); !v.Allowed {
		return v
	}
	return q.entries(r)
}

func (q *question) isAdmin(r Rule) Verdict {
	switch {
	case !r.Admin || q.a.Own:
		return allowed
	case len(q.admins) == 0:
		return Verdict{Why: "the rule is for admins, and the configuration names none (admins)", Text: "Only admins may use this."}
	}
	in, doubt := q.among(q.admins)
	if in {
		return allowed
	}
	return Verdict{Why: q.who() + " is no admin" + doubt, Text: "Only admins may use this."}
}

func (q *question) groups(r Rule) Verdict {
	if len(r.Groups) == 0 || q.a.Own {
		return allowed
	}
	in, doubt := q.among(r.Groups)
	if in {
		return allowed
	}
	return Verdict{Why: q.who() + " is in none of " + strings.Join(r.Groups, ", ") + doubt, Text: "This is for members of " + strings.Join(r.Groups, ", ") + "."}
}

// entries asks those that name the rule: one must allow, none deny.
func (q *question) entries(r Rule) Verdict {
	named, allow := false, false
	var why []string
	say := ""
	for i := range q.access {
		e := &q.access[i]
		if !e.names(r.ID) {
			continue
		}
		named = true
		if len(e.Deny) > 0 && !q.a.Own {
			if in, doubt := q.among(e.Deny); in || doubt != "" {
				return Verdict{Why: fmt.Sprintf("%s is denied by access entry %d%s", q.who(), e.number, doubt), Text: e.text()}
			}
		}
		reason := q.entry(e)
		if reason == "" {
			allow = true
			continue
		}
		why = append(why, fmt.Sprintf("access entry %d: %s", e.number, reason))
		if say == "" {
			say = e.Say
		}
	}
	if allow || !named {
		return allowed
	}
	if say == "" {
		say = "You may not use this."
	}
	return Verdict{Why: strings.Join(why, "; "), Text: say}
}

// entry says why an entry does not describe what is asked, or "".
func (q *question) entry(e *entry) string {
	if who := slices.Concat(e.Users, e.Groups); len(who) > 0 && !q.a.Own {
		if in, doubt := q.among(who); !in {
			return q.who() + " is not among " + strings.Join(who, ", ") + doubt
		}
	}
	if len(e.Channels) > 0 {
		if in, doubt := q.channel(e.Channels); !in {
			return "channel " + orNone(q.a.Channel) + " is not among " + strings.Join(e.Channels, ", ") + doubt
		}
	}
	if q.arg == nil {
		return ""
	}
	for name, values := range e.Args {
		v, ok := q.arg(name)
		if !ok && !slices.Contains(values, "") {
			return "the argument " + name + " is not given"
		}
		if !slices.ContainsFunc(values, func(glob string) bool { return match(glob, v) }) {
			return fmt.Sprintf("the argument %s is %q, not %s", name, v, strings.Join(values, " or "))
		}
	}
	return ""
}

func (e *entry) text() string {
	if e.Say != "" {
		return e.Say
	}
	return "You may not use this."
}

func (e *entry) names(rule string) bool {
	return slices.ContainsFunc(e.Rules, func(glob string) bool { return match(glob, rule) })
}

// among reports whether the asker is one of those listed: ids, addresses,
// groups. doubt says what could not be found out.
func (q *question) among(list []string) (in bool, doubt string) {
	if q.a.User == "" {
		return false, ""
	}
	if slices.Contains(list, q.a.User) {
		return true, ""
	}
	for _, who := range list {
		var found bool
		var err error
		switch {
		case strings.LastIndexByte(who, '@') > 0:
			found, err = q.email(who)
		case strings.HasPrefix(who, "@") || strings.HasPrefix(who, "S"):
			found, err = q.member(who)
		}
		switch {
		case found && err == nil:
			return true, ""
		case errors.Is(err, ErrUnknown) && !q.wait:
			q.unknown, doubt = true, " ("+who+" is not looked up yet)"
		case err != nil:
			doubt = fmt.Sprintf(" (%s cannot be looked up: %v)", who, err)
		}
	}
	return false, doubt
}

var errNoDirectory = errors.New("nobody can be looked up here")

func (q *question) member(group string) (bool, error) {
	if q.p.dir == nil {
		return false, errNoDirectory
	}
	return q.p.dir.Member(q.ctx, q.a, group, q.wait)
}

func (q *question) email(want string) (bool, error) {
	if q.p.dir == nil {
		return false, errNoDirectory
	}
	have, err := q.p.dir.Email(q.ctx, q.a, q.wait)
	return err == nil && have != "" && strings.EqualFold(have, want), err
}

func (q *question) channel(list []string) (in bool, doubt string) {
	if q.a.Channel == "" {
		return false, ""
	}
	if slices.Contains(list, q.a.Channel) {
		return true, ""
	}
	if !slices.ContainsFunc(list, func(s string) bool {
		return strings.HasPrefix(s, "#") || strings.ToUpper(s) != s || strings.Contains(s, "*")
	}) {
		return false, ""
	}
	if q.p.dir == nil {
		return false, fmt.Sprintf(" (%v)", errNoDirectory)
	}
	name, err := q.p.dir.Channel(q.ctx, q.a, q.wait)
	switch {
	case errors.Is(err, ErrUnknown) && !q.wait:
		q.unknown = true
		return false, " (its name is not looked up yet)"
	case err != nil:
		return false, fmt.Sprintf(" (its name cannot be looked up: %v)", err)
	}
	return name != "" && slices.ContainsFunc(list, func(s string) bool { return match(strings.TrimPrefix(s, "#"), name) }), ""
}

func (q *question) who() string {
	if q.a.User == "" {
		return "whoever asks is no user, and"
	}
	return "user " + q.a.User
}

func orNone(s string) string {
	if s == "" {
		return "(none)"
	}
	return s
}

// match reports whether a text is as the pattern says: * is any text.
func match(pattern, text string) bool {
	first, rest, wild := strings.Cut(pattern, "*")
	if !wild {
		return pattern == text
	}
	text, ok := strings.CutPrefix(text, first)
	for ok {
		var part string
		part, rest, wild = strings.Cut(rest, "*")
		if !wild {
			return strings.HasSuffix(text, part)
		}
		_, text, ok = strings.Cut(text, part)
	}
	return false
}
