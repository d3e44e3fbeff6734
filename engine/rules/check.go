package rules

import (
	"slices"

	"github.com/starling-rules/starling/engine/event"
)

// reason is the first condition of a rule that an event does not meet.
type reason uint8

// The reasons, in the order in which they are looked at.
const (
	matched reason = iota
	isDisabled
	otherKind
	otherType
	notAddressed
	notWritten
	isUnchanged
	isEdit
	isOwn
	isSlackbot
	isBot
	inThread
	wasAdded
	wasRemoved
	otherTeam
	otherBot
	otherChannel
	otherUser
	otherID
	otherWords
	otherBlock
	otherMethod
	notFound
	isFound
	notBegun
	notTried
	isOff
)

// hit is a rule that an event meets.
type hit struct {
	rule   *Rule
	groups *event.Match
	usage  string
	// witness: a rule of messages that does not run on this mention, but on
	// the message that Slack reports along with it.
	witness bool
	// elements are the actions of the event that the rule is for, a bit each.
	elements uint64
	// by is the rule because of which this one does not run after all.
	by      *Rule
	stopped bool
	// after is a rule with stop and a predicate that comes before.
	after *Rule
}

// check is the one predicate: whether an event is for a rule, and if not, why.
// It fills h only if it returns matched.
func (r *Rule) check(s *subject, h *hit) reason {
	if !r.Enabled {
		return isDisabled
	}
	if why := r.checkKind(s); why != matched {
		return why
	}
	if why := r.filter.check(s); why != matched {
		return why
	}
	*h = hit{rule: r, witness: r.Kind == event.Message && s.e.Kind == event.Mention && r.Match == ""}
	return r.checkPattern(s, h)
}

// checkKind looks at the kind of the event, and at what rules of a kind skip.
func (r *Rule) checkKind(s *subject) reason {
	e := s.e
	switch r.Kind {
	case event.Other:
		if !r.any && r.Pattern != e.Type && (r.subtype == "" || e.Type != "message" || r.subtype != e.Subtype) {
			return otherType
		}
	case event.Mention:
		if e.Kind != event.Mention && e.Kind != event.Message {
			return otherKind
		}
		if !s.addressed {
			return notAddressed
		}
		return r.checkMessage(e)
	case event.Message:
		// What is asked of a bot may reach it as a mention alone.
		if e.Kind != event.Message && (e.Kind != event.Mention || r.Match == "" && !s.witness) {
			return otherKind
		}
		return r.checkMessage(e)
	case event.Reaction:
		switch {
		case e.Kind != event.Reaction:
			return otherKind
		case r.Removed && !e.Removed:
			return wasAdded
		case !r.Removed && e.Removed:
			return wasRemoved
		case !r.FromBots && own(e):
			return isOwn
		}
	default:
		if r.Kind != e.Kind {
			return otherKind
		}
	}
	return matched
}

// written are the subtypes of messages that somebody wrote, as opposed to what
// Slack reports as a message: joins, topics, pins, deletions.
var written = []string{"", "file_share", "me_message", "thread_broadcast", "reply_broadcast", "bot_message", "message_changed"}

func (r *Rule) checkMessage(e *event.Event) reason {
	switch {
	case !slices.Contains(written, e.Subtype):
		return notWritten
	case e.Edited && e.Unchanged:
		return isUnchanged
	case e.Edited && !r.Edits:
		return isEdit
	case !r.FromBots && own(e):
		return isOwn
	case !r.FromBots && e.User == "USLACKBOT":
		return isSlackbot
	case !r.FromBots && (e.BotID != "" || e.Subtype == "bot_message"):
		return isBot
	case !r.Threads && e.ThreadMsg && e.Subtype != "thread_broadcast" && e.Subtype != "reply_broadcast":
		return inThread
	}
	return matched
}

// own reports whether this app's own bot, or the app for a user, did it.
func own(e *event.Event) bool {
	return e.User != "" && e.User == e.BotUser || e.AuthorApp != "" && e.AuthorApp == e.App
}

// checkPattern compares the pattern, and fills h with what it found.
func (r *Rule) checkPattern(s *subject, h *hit) reason {
	e := s.e
	switch r.Kind {
	case event.Message, event.Mention:
		if r.Match != "" {
			return r.checkMatch(s, h)
		}
		return r.checkText(s, h)
	case event.Action, event.Options:
		return r.checkElements(s, h)
	case event.Command:
		return r.checkCommand(e, h)
	case event.Webhook:
		return r.checkRoute(e, h)
	case event.Schedule:
		if e.CallbackID != r.ID {
			return otherID
		}
	case event.Reaction:
		if r.any {
			break
		}
		why := r.same(s, e.Reaction, h)
		if base := baseEmoji(e.Reaction); why == otherID && base != e.Reaction {
			why = r.same(s, base, h)
		}
		return why
	case event.Submit, event.ViewClosed, event.Shortcut:
		return r.same(s, e.CallbackID, h)
	}
	return matched
}

func (r *Rule) checkText(s *subject, h *hit) reason {
	if r.any {
		return matched
	}
	text := s.text(r.Kind)
	loc, why := r.find(s, text)
	if why == matched && len(r.Words) > 0 {
		r.arguments(text[loc[1]:], h)
		return matched
	}
	if why == matched && !r.Absent {
		h.groups = groups(text, loc, r.names)
	}
	return why
}

// find looks for the rule's regex in a text, and says whether the text is as
// the rule wants it: matched, notFound, isFound, or why it was not tried.
func (r *Rule) find(s *subject, text string) (loc []int, why reason) {
	loc, why = s.meter.find(r, pattern{r.re, r.size, !r.Absent}, text)
	switch {
	case why != matched:
	case r.Absent && loc != nil:
		why = isFound
	case !r.Absent && loc == nil:
		why = notFound
	}
	return loc, why
}

// same compares an id with the rule's id or pattern: matched, otherID, or why
// the pattern was not tried.
func (r *Rule) same(s *subject, id string, h *hit) reason {
	if r.re == nil {
		if id == r.Pattern {
			return matched
		}
		return otherID
	}
	loc, why := s.meter.find(r, pattern{r.re, r.size, true}, id)
	switch {
	case why != matched:
		return why
	case loc == nil:
		return otherID
	case h.groups == nil:
		h.groups = groups(id, loc, r.names)
	}
	return matched
}

// checkElements finds the actions that the rule is for. The whole rule counts
// as not tried if one of them was not.
func (r *Rule) checkElements(s *subject, h *hit) reason {
	e, why := s.e, otherID
	for i := range min(len(e.Actions), 64) {
		a := &e.Actions[i]
		is := r.same(s, a.ActionID, h)
		if is == otherID && legacy(e) {
			is = r.same(s, e.CallbackID, h)
		}
		if is == matched {
			is = r.inBlock(s, a.BlockID)
		}
		switch is {
		case matched:
			h.elements |= 1 << i
		case otherBlock:
			why = otherBlock
		case notTried, isOff:
			return is
		}
	}
	if len(e.Actions) == 0 && legacy(e) && r.Block == "" {
		if why = r.same(s, e.CallbackID, h); why == matched {
			h.elements = 1
		}
	}
	if h.elements == 0 {
		return why
	}
	return matched
}

// inBlock compares the block of an element: matched, otherBlock, or why the
// pattern was not tried.
func (r *Rule) inBlock(s *subject, block string) reason {
	found := r.Block == "" || r.Block == block
	if r.blockRE != nil {
		loc, why := s.meter.find(r, pattern{r.blockRE, r.size, false}, block)
		if why != matched {
			return why
		}
		found = loc != nil
	}
	if !found {
		return otherBlock
	}
	return matched
}

func (r *Rule) checkRoute(e *event.Event, h *hit) reason {
	if e.Request == nil {
		return otherID
	}
	params, ok := r.Hook.match(e.Request.Path)
	if !ok {
		return otherID
	}
	if !slices.Contains(r.Hook.Methods, e.Request.Method) {
		return otherMethod
	}
	h.groups = &event.Match{Args: params, FormParam: r.Hook.FormParam}
	return matched
}

// smallMatch is a match with room for a few groups in the same allocation.
type smallMatch struct {
	m       event.Match
	groups  [4]string
	present [4]bool
}

// groups makes the match of a regex from its locations.
func groups(text string, loc []int, names []string) *event.Match {
	n := len(loc) / 2
	var m *event.Match
	if n <= 4 {
		sm := &smallMatch{}
		m = &sm.m
		m.Groups, m.Present = sm.groups[:n], sm.present[:n]
	} else {
		m = &event.Match{Groups: make([]string, n), Present: make([]bool, n)}
	}
	m.Names = names
	for i := range n {
		if from := loc[2*i]; from >= 0 {
			m.Groups[i], m.Present[i] = text[from:loc[2*i+1]], true
		}
	}
	return m
}
