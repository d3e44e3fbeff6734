package rules

import (
	"fmt"
	"strings"

	"github.com/starling-rules/starling/engine/event"
)

// Verdict says what a rule made of an event.
type Verdict struct {
	Rule    *Rule
	Matched bool
	// Why is the first condition that the event does not meet, in words; if
	// Matched it may say on what the run still depends.
	Why    string
	Groups *event.Match
	Usage  string
	// Off: the pattern was not tried because the rule is switched off.
	Off bool
}

// Explain says of every rule whether the event is for it, in the order in
// which rules run. It tries each with the predicate that Match uses.
func (s *Set) Explain(e *event.Event) []Verdict { return s.ExplainWithin(e, nil) }

// ExplainWithin is Explain as MatchWithin is Match. Where time is taken, a
// pattern that the index rules out is not tried, so that both spend it on the
// same ones.
func (s *Set) ExplainWithin(e *event.Event, off func(*Rule) bool) []Verdict {
	sc := s.scratch.Get().(*scratch)
	defer s.scratch.Put(sc)
	sc.begin(e, s.names)
	sc.meter.begin(off)
	s.collect(sc)
	sub := &sc.subject
	out := make([]Verdict, len(s.rules))
	hits := make([]hit, 0, len(s.rules))
	at := make([]int, 0, len(s.rules))
	for i, r := range s.rules {
		out[i].Rule = r
		var h hit
		sc.meter.enter(s.scriptOf[i], sc.marks[i] != sc.round)
		if why := r.check(sub, &h); why != matched {
			out[i].Why, out[i].Off = why.words(r, sub), why == isOff
			continue
		}
		hits = append(hits, h)
		at = append(at, i)
	}
	resolve(hits)
	for i := range hits {
		h, v := &hits[i], &out[at[i]]
		switch {
		case h.witness:
			v.Why = otherKind.words(h.rule, sub)
			continue
		case h.stopped:
			v.Why = fmt.Sprintf("stopped by %s at %s", h.by, h.by.Pos)
			continue
		case h.by != nil && isText(h.rule.Kind) && len(h.rule.Words) > 0:
			v.Why = h.outdone()
			continue
		case h.by != nil && h.rule.Match != "":
			v.Why = fmt.Sprintf("%s at %s has matched", h.by, h.by.Pos)
			continue
		case h.by != nil:
			v.Why = fmt.Sprintf("answered by %s at %s", h.by, h.by.Pos)
			continue
		}
		v.Matched, v.Groups, v.Usage = true, h.groups, h.usage
		switch {
		case h.usage != "":
			v.Why = "the arguments do not fit: " + h.usage
		case h.after != nil:
			v.Why = fmt.Sprintf("if the predicate of %s at %s refuses", h.after, h.after.Pos)
		case h.rule.When >= 0:
			v.Why = "if its predicate (when) agrees"
		}
	}
	sc.subject, sc.meter.off = subject{}, nil
	return out
}

// words says why in a form that completes "the rule did not match: …".
func (w reason) words(r *Rule, s *subject) string {
	e := s.e
	switch w {
	case isDisabled:
		return "the rule is not enabled"
	case otherKind:
		return fmt.Sprintf("the event is of kind %s, the rule is for %s", e.Kind, r.Kind)
	case otherType:
		return fmt.Sprintf("the event's type is %q, not %q", e.Type, r.Pattern)
	case notAddressed:
		return "the message neither begins with the bot's mention nor is a direct message"
	case notWritten:
		return fmt.Sprintf("a message of subtype %q is none that somebody wrote", e.Subtype)
	case isUnchanged:
		return "the message was changed, but not its text"
	case isEdit:
		return "the message is an edit (edits=True would admit it)"
	case isOwn:
		return "it is the bot's own (from_bots=True would admit it)"
	case isSlackbot:
		return "it is from Slackbot (from_bots=True would admit it)"
	case isBot:
		return "it is from a bot (from_bots=True would admit it)"
	case inThread:
		return "the message is in a thread (threads=True would admit it)"
	case wasAdded:
		return "the reaction was added, the rule is for removals"
	case wasRemoved:
		return "the reaction was removed (removed=True would see it)"
	case otherTeam:
		return fmt.Sprintf("team %q is not among %s", e.Team, listing(r.Teams))
	case otherBot:
		return fmt.Sprintf("bot %q (app %q) is not among %s", e.Bot, e.App, listing(r.Bots))
	case otherChannel:
		return channelWords(r, s)
	case otherUser:
		return fmt.Sprintf("user %q is not among %s", e.User, listing(r.Users))
	case otherID:
		return fmt.Sprintf("%s is not %q", idWords(r.Kind, e), r.Pattern)
	case otherWords:
		return fmt.Sprintf("%q does not begin with %q", clip(e.Text), strings.Join(r.Words[1:], " "))
	case otherBlock:
		return fmt.Sprintf("the action is in another block than %q", r.Block)
	case otherMethod:
		return fmt.Sprintf("the method is %s, not %s", e.Request.Method, strings.Join(r.Hook.Methods, " or "))
	case notFound:
		if len(r.Words) > 0 {
			return fmt.Sprintf("%q does not begin with the command %q", clip(s.text(r.Kind)), r.Pattern)
		}
		return fmt.Sprintf("the regex %q is not found in %q", r.Pattern, clip(r.tried(s)))
	case notBegun:
		return fmt.Sprintf("%q does not begin with %q", clip(s.read().command), r.Pattern)
	case isFound:
		return fmt.Sprintf("the regex %q is found in %q, and the rule is for its absence", r.Pattern, clip(r.tried(s)))
	case notTried:
		return fmt.Sprintf("its pattern was not tried: those of the script took more than the limit of %s on this event", MaxScriptTime)
	case isOff:
		return "the rule is switched off, and its pattern takes long"
	}
	return ""
}

// tried is the text that the rule's regex is tried on.
func (r *Rule) tried(s *subject) string {
	if r.Match != "" {
		return s.read().text
	}
	return s.text(r.Kind)
}

func channelWords(r *Rule, s *subject) string {
	name := s.channelName()
	switch {
	case s.e.Channel == "":
		return "the event has no channel, the rule is for " + listing(r.Channels)
	case name != "":
		return fmt.Sprintf("channel #%s (%s) is not among %s", name, s.e.Channel, listing(r.Channels))
	case len(r.filter.channelNames)+len(r.filter.channelGlobs) > 0:
		return fmt.Sprintf("channel %s, whose name is not known, is not among %s", s.e.Channel, listing(r.Channels))
	}
	return fmt.Sprintf("channel %s is not among %s", s.e.Channel, listing(r.Channels))
}

// idWords names what rules of a kind compare with their pattern.
func idWords(kind event.Kind, e *event.Event) string {
	switch kind {
	case event.Command:
		return fmt.Sprintf("the command %q", e.Command)
	case event.Action, event.Options:
		ids := make([]string, 0, len(e.Actions))
		for _, a := range e.Actions {
			ids = append(ids, a.ActionID)
		}
		return "the action_id " + listing(ids)
	case event.Reaction:
		return fmt.Sprintf("the emoji %q", e.Reaction)
	case event.Webhook:
		if e.Request != nil {
			return fmt.Sprintf("the path %q", e.Request.Path)
		}
		return "the path"
	}
	return fmt.Sprintf("the callback_id %q", e.CallbackID)
}

func listing(texts []string) string {
	quoted := make([]string, len(texts))
	for i, t := range texts {
		quoted[i] = fmt.Sprintf("%q", t)
	}
	return strings.Join(quoted, ", ")
}

// clip shortens a text for an explanation.
func clip(text string) string {
	if len(text) <= 80 {
		return text
	}
	return strings.ToValidUTF8(text[:80], "") + "…"
}
