package dispatch

import (
	"sync"
	"time"

	"github.com/starling-rules/starling/engine/event"
)

// waiters are the senders that wait for an answer in this process, by event id.
type waiters struct {
	mu sync.Mutex
	m  map[string]chan *event.Answer
}

// add registers a waiter; nil if there is one for this id already.
func (w *waiters) add(id string) chan *event.Answer {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.m == nil {
		w.m = map[string]chan *event.Answer{}
	}
	if w.m[id] != nil {
		return nil
	}
	ch := make(chan *event.Answer, 1)
	w.m[id] = ch
	return ch
}

// remove takes the waiter out; false means that an answer is in its channel
// or about to be.
func (w *waiters) remove(id string, ch chan *event.Answer) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.m[id] != ch {
		return false
	}
	delete(w.m, id)
	return true
}

// deliver gives the answer to the waiter and reports whether there was one.
func (w *waiters) deliver(id string, a *event.Answer) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	ch := w.m[id]
	if ch == nil {
		return false
	}
	delete(w.m, id)
	ch <- a
	return true
}

// cooldowns remember when a rule last ran in a conversation.
type cooldowns struct {
	mu sync.Mutex
	m  map[string]cooldown
}

type cooldown struct {
	until time.Time // when the rule may run again
	run   string    // the run that it is for
}

func cooldownKey(rule string, e *event.Event) string { return rule + "\x00" + e.Conversation() }

// pass reports whether the run may go ahead now, and if so starts the cooldown
// of its rule. A run that is taken up again goes ahead.
func (c *cooldowns) pass(key, run string, d time.Duration, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.m == nil {
		c.m = map[string]cooldown{}
	}
	if last, ok := c.m[key]; ok && now.Before(last.until) {
		return last.run == run
	}
	if len(c.m) >= 10_000 {
		for k, last := range c.m {
			if !now.Before(last.until) {
				delete(c.m, k)
			}
		}
	}
	c.m[key] = cooldown{now.Add(d), run}
	return true
}

// cancel ends the cooldown that a run started, for it has turned out to be none.
func (c *cooldowns) cancel(key, run string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.m[key].run == run {
		delete(c.m, key)
	}
}

// inOrder keeps what belongs to one key in order: the events of a conversation
// while the names that their rules go by are looked up, the clicks on a question.
type inOrder struct {
	mu sync.Mutex
	m  map[string][]func()
}

// do calls then at once if known says so and nothing of the conversation
// waits; else after look, in another goroutine, in the order of the calls.
// The calls for one conversation come one after another.
func (l *inOrder) do(conversation string, spawn func(func()), known func() bool, look, then func()) {
	l.mu.Lock()
	_, busy := l.m[conversation]
	l.mu.Unlock()
	if !busy && known() {
		then()
		return
	}
	l.behind(conversation, spawn, func() { look(); then() })
}

// behind calls f in another goroutine, after those that were given for the same
// key before.
func (l *inOrder) behind(key string, spawn func(func()), f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.m == nil {
		l.m = map[string][]func(){}
	}
	waiting, busy := l.m[key]
	l.m[key] = append(waiting, f)
	if !busy {
		spawn(func() { l.drain(key) })
	}
}

func (l *inOrder) drain(conversation string) {
	for {
		l.mu.Lock()
		next := l.m[conversation]
		if len(next) == 0 {
			delete(l.m, conversation)
			l.mu.Unlock()
			return
		}
		l.m[conversation] = next[1:]
		l.mu.Unlock()
		next[0]()
	}
}
