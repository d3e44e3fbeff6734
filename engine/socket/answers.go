package socket

import (
	"context"
	"encoding/json"
	"sync"
	"time"
)

// answers keeps what rules have answered lately: an envelope may come again,
// while its rule is at work or after the answer was lost on the way. Safe for
// concurrent use.
type answers struct {
	mu   sync.Mutex
	byID map[string]*given
}

// given is the answer to one event, when there is one.
type given struct {
	since   time.Time
	known   chan struct{}   // closed when payload is set
	payload json.RawMessage // nil if nothing is said, or nothing was stored
}

// Slack sends an envelope again within seconds; nobody waits for the answer to
// a command longer.
const (
	maxAnswers  = 256
	answersKeep = time.Minute
)

// begin finds the answer to an event. The first who asks has to settle it.
func (a *answers) begin(id string, now time.Time) (_ *given, first bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if g := a.byID[id]; g != nil {
		return g, false
	}
	if a.byID == nil {
		a.byID = map[string]*given{}
	}
	return a.add(id, now), true
}

// add makes room for an answer; mu is held.
func (a *answers) add(id string, now time.Time) *given {
	for id, g := range a.byID { // of any order: what is lost here is a courtesy
		if now.Sub(g.since) > answersKeep || len(a.byID) >= maxAnswers {
			delete(a.byID, id)
		}
	}
	g := &given{since: now, known: make(chan struct{})}
	a.byID[id] = g
	return g
}

// keep takes down an answer in place of what there may be.
func (a *answers) keep(id string, payload json.RawMessage, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.add(id, now).settle(payload)
}

func (a *answers) forget(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.byID, id)
}

func (g *given) settle(payload json.RawMessage) {
	g.payload = payload
	close(g.known)
}

// wait returns the answer when it is known, or nothing when ctx ends.
func (g *given) wait(ctx context.Context) json.RawMessage {
	select {
	case <-g.known:
		return g.payload
	case <-ctx.Done():
		return nil
	}
}
