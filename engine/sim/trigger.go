package sim

import (
	"fmt"
	"strings"
	"time"
)

// Slack's limits of what an interaction hands out.
const (
	triggerLife = 3 * time.Second
	hookLife    = 30 * time.Minute
	hookUses    = 5
)

// trigger is the right to open a view for a person, once and soon.
type trigger struct {
	user    string
	channel string // where it came about, "" for nowhere
	at      time.Time
	used    bool
}

// newTrigger hands out a trigger_id for user.
func (w *World) newTrigger(user string) string {
	now := w.now()
	for id, t := range w.triggers {
		if now.Sub(t.at) > time.Minute {
			delete(w.triggers, id)
		}
	}
	id := fmt.Sprintf("%d.%s", now.UnixNano(), strings.ToLower(w.random(24)))
	w.triggers[id] = &trigger{user: user, at: now}
	return id
}

// useTrigger spends a trigger_id and returns whose it was.
func (w *World) useTrigger(id string) (string, error) {
	t := w.triggers[id]
	switch {
	case t == nil:
		return "", Code("invalid_trigger_id")
	case t.used:
		return "", Code("exchanged_trigger_id")
	case w.now().Sub(t.at) > triggerLife:
		return "", Code("expired_trigger_id")
	}
	t.used = true
	return t.user, nil
}

// hook is what a response_url leads to.
type hook struct {
	channel, user string
	source        string // ts of the message acted on, "" for commands
	thread        string
	at            time.Time
	uses          int
}

// newHook hands out the last part of a response_url.
func (w *World) newHook(h hook) string {
	now := w.now()
	for id, old := range w.hooks {
		if now.Sub(old.at) > 2*hookLife {
			delete(w.hooks, id)
		}
	}
	h.at = now
	id := w.random(24)
	w.hooks[id] = &h
	return id
}

// useHook spends one use of a response_url.
func (w *World) useHook(id string) (*hook, error) {
	h := w.hooks[id]
	switch {
	case h == nil || w.now().Sub(h.at) > hookLife:
		return nil, Code("expired_url")
	case h.uses >= hookUses:
		return nil, Code("used_url")
	}
	h.uses++
	return h, nil
}
