package rules

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/runtime"
)

// Failure is the kind of on.error rules. No event has it: such rules are kept
// apart (Set.ErrorRules).
const Failure event.Kind = "error"

// Rule is one registration in a script: a pattern, a handler, options. It is
// immutable.
type Rule struct {
	// ID is stable over edits and reloads: the script's path, and the rule's
	// name, or its function's name if no other rule of the script has that
	// function, or its kind and pattern.
	ID string
	// Script is the path of the script, Digest the version the rule is from.
	Script string
	Digest runtime.Digest
	// Func is the index of the handler, When that of the predicate that is
	// asked before it, or -1.
	Func int
	When int
	Kind event.Kind
	Pos  runtime.Position
	// Pattern is what the rule asks for, as written: regex, id, command, route, cron.
	Pattern string
	// Answers tells that the rule is the one that answers its event: command,
	// action, view, options, shortcut, webhook.
	Answers bool

	Options

	// Block restricts an action to one block_id; "" is any.
	Block string
	// Match is how a message rule's pattern is tried: see the constants in
	// readable.go. Empty is the regex, on the text as it was sent.
	Match string
	// Removed makes a reaction rule see removals instead of additions.
	Removed bool
	// Kinds are those of the events that a guard is asked about; empty: all.
	Kinds []event.Kind
	// Own makes a rule of on.outgoing see the messages of its own script alone.
	Own bool
	// Words are those of a command: with its slash and its subcommand, or what
	// a message begins with. Args is the grammar of its arguments, or nil.
	Words []string
	Args  *Grammar
	// About is what the docstring of the handler says beyond its first line,
	// which is Help if there is no help option; ScriptDoc is the script's own.
	// Hidden rules, those with help="", are left out of help.
	About, ScriptDoc string
	Hidden           bool
	// Hook is set for webhooks, Schedule for schedules.
	Hook     *Hook
	Schedule *Schedule

	re      *regexp.Regexp // nil: Pattern is matched as it is
	size    int            // instructions of the larger of re and blockRE
	names   []string       // of the groups of re
	any     bool           // matches whatever its kind sees: no pattern, or "*"
	subtype string         // of on.event("message.channel_topic")
	blockRE *regexp.Regexp // for a block given as a pattern
	// function is the handler's name if it is worth showing.
	function string
	filter   filter
	// of is Virtual.Of of its script.
	of   string
	keys []keySet
	slow bool // a message rule with nothing to index it by
}

// Options are those that every registration takes.
type Options struct {
	// Name and Help are for listings. Name may be empty: see ID.
	Name, Help string
	// Channels are ids or "#names", Users and Teams ids (teams also names),
	// Bots configured names or app ids. Empty means all.
	Channels, Users, Teams, Bots []string
	// Groups are user groups, by "@handle" or id: who is in none of them may not
	// run the rule. Admin: nobody but admins may. Both are for package permit.
	Groups []string
	Admin  bool
	// Priority orders the rules of an event, higher first; default 0.
	Priority int
	// Stop ends the list of rules after this one.
	Stop bool
	// Threads, Edits and FromBots admit what messages rules skip.
	Threads, Edits, FromBots bool
	// FollowEdits has what a run posts for an edited message take the place of
	// what was posted for it before; it implies Edits.
	FollowEdits bool
	// Absent inverts the pattern: the rule fires when it is not found.
	Absent bool
	// Cooldown is the least time between two runs in one conversation. The
	// dispatcher keeps it.
	Cooldown time.Duration
	// Timeout bounds a run; 0 is the configured limit.
	Timeout time.Duration
	// Hosts restricts outgoing HTTP to these hosts; nil is no further restriction.
	Hosts []string
	// Owner is who is told of failures.
	Owner string
	// DryRun makes effects return ok without being performed.
	DryRun bool
	// Enabled is false for a rule that is listed but never matches.
	Enabled bool
}

// Slow reports whether nothing but trying it tells if the rule concerns an
// event of its kind: a message rule without a literal text, say.
func (r *Rule) Slow() bool { return r.slow }

// String describes the rule as an author wrote it: on.message("deploy").
func (r *Rule) String() string {
	if r.Match == matchNothing {
		return "on.message(match=\"nothing\")"
	}
	if r.Pattern == "" {
		return "on." + string(r.Kind)
	}
	return "on." + string(r.Kind) + "(" + strconv.Quote(r.Pattern) + ")"
}

// label is the part of the ID after the script's path.
func (r *Rule) label() string {
	if r.Name != "" {
		return r.Name
	}
	s := string(r.Kind)
	if r.Pattern != "" {
		p := r.Pattern
		if len(p) > maxLabel {
			h := fnv.New32a()
			h.Write([]byte(p))
			p = strings.ToValidUTF8(p[:maxLabel-10], "") + fmt.Sprintf("~%08x", h.Sum32())
		}
		s += ":" + p
	}
	switch {
	case r.Block != "":
		s += "@" + r.Block
	case r.Removed:
		s += ":removed"
	case r.Match != "":
		s += ":" + r.Match
	case r.Absent:
		s += ":absent"
	}
	return s
}

// maxLabel bounds the pattern within an ID; longer ones end in their hash.
const maxLabel = 80

// finish gives each rule of one script its ID and its keys. Rules that would get the
// same one are numbered in the order of the file.
func finish(rules []*Rule) {
	seen, uses := make(map[string]int, len(rules)), make(map[string]int, len(rules))
	for _, r := range rules {
		uses[r.function]++
	}
	for _, r := range rules {
		l := r.label()
		if r.Name == "" && r.function != "" && uses[r.function] == 1 {
			l = r.function
		}
		seen[l]++
		if n := seen[l]; n > 1 {
			l += "#" + strconv.Itoa(n)
		}
		r.ID = r.Script + ":" + l
		r.keys = r.keySets()
		r.slow = len(r.keys) == 0 && isText(r.Kind) && r.Match == ""
	}
	cutTexts(rules)
}

// before is the order in which rules run: priority, file, line.
func before(a, b *Rule) int {
	switch {
	case a.Priority != b.Priority:
		if a.Priority > b.Priority {
			return -1
		}
		return 1
	case a.file() != b.file():
		return strings.Compare(a.file(), b.file())
	case a.Pos.Path != b.Pos.Path: // registered by a file that the script loads
		return strings.Compare(a.Pos.Path, b.Pos.Path)
	case a.Pos.Line != b.Pos.Line:
		return a.Pos.Line - b.Pos.Line
	case a.Pos.Col != b.Pos.Col:
		return a.Pos.Col - b.Pos.Col
	case a.Script != b.Script:
		return strings.Compare(a.Script, b.Script)
	}
	return strings.Compare(a.ID, b.ID)
}

// Made reports whether the rule was made of a handler of the configuration.
func (r *Rule) Made() bool { return r.of != "" }

// file is what the rule is in, as far as the order of rules goes.
func (r *Rule) file() string { return cmp.Or(r.of, r.Script) }
