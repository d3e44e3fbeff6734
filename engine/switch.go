package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/starling-rules/starling/engine/breaker"
	"github.com/starling-rules/starling/engine/door"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/runtime"
)

func (e *Engine) newBreaker() *breaker.Breaker {
	return breaker.New(breaker.Options{
		State: e.store.State(), Shared: e.o.Config.Queue.URL != "", Tell: e.tellOwner,
		Now: e.o.Now, Logger: e.log, Metrics: e.metrics,
	})
}

// giveUpTelling is how old a switch is when a notice that may have been sent,
// and cannot be looked up, is not sent again.
const giveUpTelling = time.Hour

// tellOwner posts to the owner of a rule that the breaker has switched it off.
// It implements breaker.Options.Tell. The message goes through the handlers of
// scripts' messages, so that it is marked, and can be looked up: after a crash
// it is sent again only if it is known not to be there.
func (e *Engine) tellOwner(ctx context.Context, s breaker.Switch, again bool) error {
	effect := runtime.Effect{Step: 1, Kind: "dm", Args: runtime.NewDict("user", s.Owner, "text", noticeText(s))}
	if isChannel(s.Owner) {
		effect.Kind, effect.Args = "post", runtime.NewDict("channel", s.Owner, "text", noticeText(s))
	}
	h, ok := e.live[effect.Kind]
	if !ok || h.Do == nil {
		return nil // an engine without Slack
	}
	run := &door.Run{
		ID: "off-" + s.Run, Rule: s.Rule, Resumed: again, Intended: s.Since,
		Event: &event.Event{ID: "off-" + s.Run, Team: s.Team, Enterprise: s.Enterprise, Bot: s.Bot},
	}
	if again && h.Find != nil {
		switch _, found, known := h.Find(ctx, run, effect); {
		case found:
			return nil
		case !known && e.o.Now().Sub(s.Since) < giveUpTelling:
			return errors.New("whether the notice was sent cannot be looked up")
		case !known:
			e.log.Warn("whether the owner of a rule was told that it is switched off is not known", "rule", s.Rule, "owner", s.Owner)
			return context.Cause(ctx)
		}
	}
	v, err := h.Do(ctx, run, effect)
	if err != nil {
		return err
	}
	res, err := runtime.ParseView(asJSON(v))
	if err != nil {
		return fmt.Errorf("read Slack's answer: %w", err)
	}
	if ok, _ := res.Get("ok"); ok == true {
		return nil
	}
	code, _ := res.Get("error")
	text, _ := code.(string)
	if passing(text) {
		return errors.New(text)
	}
	e.log.Warn("the owner of a rule cannot be told that it is switched off", "rule", s.Rule, "owner", s.Owner, "err", text)
	return nil
}

// noticeText is short, and free of what the script or the event said.
func noticeText(s breaker.Switch) string {
	if s.Limit == runtime.LimitMatch {
		more := ""
		if s.Others > 0 {
			more = fmt.Sprintf(" So are %d more of your rules.", s.Others)
		}
		return fmt.Sprintf("Your rule `%s` is switched off: its pattern, or all those of its script, took too long to match, several times.%s "+
			"It is on again as soon as its file changes, or after `starling rules enable`.",
			strings.ReplaceAll(s.Rule, "`", "'"), more)
	}
	return fmt.Sprintf("Your rule `%s` is switched off: it went beyond its limits several times in a row, the last time in run `%s`. "+
		"It is on again as soon as its file changes, or after `starling rules enable`. `starling runs %s` shows what happened.",
		strings.ReplaceAll(s.Rule, "`", "'"), s.Run, s.Run)
}

// isChannel tells a channel from a user: "#name" or an id of one.
func isChannel(owner string) bool {
	return strings.HasPrefix(owner, "#") || strings.HasPrefix(owner, "<#") ||
		len(owner) > 2 && strings.Contains("CG", owner[:1]) && strings.ToUpper(owner) == owner && !strings.Contains(owner, "@")
}

// passing reports whether an error code may be another one a minute later.
func passing(code string) bool {
	switch code {
	case "ratelimited", "timeout", "connection_failed", "invalid_response",
		"internal_error", "fatal_error", "service_unavailable", "request_timeout":
		return true
	}
	return strings.HasPrefix(code, "http_5")
}

func asJSON(v runtime.Value) []byte {
	if j, ok := v.(runtime.JSON); ok {
		return j
	}
	b, _ := runtime.AppendJSON(nil, v)
	return b
}
