package breaker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/starling-rules/starling/engine/queue"
)

// The keys in the store's state. No key of a script begins like these. Each
// switch has a key of its own, made of a hash because a rule's id may be
// longer than a key, and hold what a key may not. The counter tells the other
// processes that something has changed, so that they need not list.
const (
	keySpace = "breaker/"
	counter  = "breaker-changes/n"
)

func keyOf(rule string) string {
	sum := sha256.Sum256([]byte(rule))
	return keySpace + hex.EncodeToString(sum[:16])
}

// maxSwitches bounds how many switches are read.
const maxSwitches = 100_000

// Load reads what is off. It is called before the first event is matched.
func (b *Breaker) Load(ctx context.Context) error {
	b.store.Lock()
	defer b.store.Unlock()
	// The counter first: what changes while the switches are read is read again.
	n, err := b.o.State.Get(ctx, counter)
	if err != nil && !errors.Is(err, queue.ErrNotFound) {
		return fmt.Errorf("read which rules are off: %w", err)
	}
	switches, err := read(ctx, b.o.State)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.known = string(n)
	before := *b.off.Load()
	var on []string
	for rule := range before {
		if _, still := switches[rule]; !still && !b.unsaved[rule] {
			on = append(on, rule)
		}
	}
	b.lift(on...)
	var off []Switch
	for rule, s := range switches {
		if before[rule] != s && !b.unsaved[rule] {
			off = append(off, s)
		}
	}
	b.put(off...)
	return nil
}

// read returns what the store says is off, by rule.
func read(ctx context.Context, state queue.State) (map[string]Switch, error) {
	keys, err := state.List(ctx, keySpace, "", maxSwitches)
	if err != nil {
		return nil, fmt.Errorf("list which rules are off: %w", err)
	}
	out := make(map[string]Switch, len(keys))
	for _, key := range keys {
		text, err := state.Get(ctx, key)
		if errors.Is(err, queue.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read which rules are off: %w", err)
		}
		var s Switch
		if err := json.Unmarshal(text, &s); err != nil {
			return nil, fmt.Errorf("read which rules are off: %s: %w", key, err)
		}
		if s.State != enabled {
			out[s.Rule] = s
		}
	}
	return out, nil
}

// Run keeps up with other processes and sees to notices that a process left
// half done, until ctx ends.
func (b *Breaker) Run(ctx context.Context) error {
	tick := time.NewTicker(b.o.Poll)
	defer tick.Stop()
	for {
		b.takeUp(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if !b.o.Shared {
			continue
		}
		if err := b.follow(ctx); err != nil && ctx.Err() == nil {
			b.o.Logger.Warn("look which rules other processes have switched off", "err", err)
		}
	}
}

// follow reads again what is off if another process has changed it.
func (b *Breaker) follow(ctx context.Context) error {
	n, err := b.o.State.Get(ctx, counter)
	if errors.Is(err, queue.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	b.mu.Lock()
	same := b.known == string(n)
	b.mu.Unlock()
	if same {
		return nil
	}
	return b.Load(ctx)
}

// enabled is the state of a rule that an operator has switched on a moment ago.
// It is kept for a while, so that a process that has counted breaches before
// that and is late to say so does not have the last word.
const enabled State = "enabled"

const enabledFor = 10 * time.Minute

// change updates the switch of a rule in the store. decide sees the present
// one, if any, and returns what is to be: nil for none; ok false leaves it.
// b.store is held.
func (b *Breaker) change(ctx context.Context, rule, what string, decide func(old *Switch) (s *Switch, ok bool)) (changed bool, err error) {
	op := what + "." + strconv.FormatInt(b.o.Now().UnixNano(), 36)
	_, err = b.o.State.Update(ctx, keyOf(rule), op, false, func(text []byte, ok bool) (queue.Change, error) {
		var old *Switch
		if ok {
			old = &Switch{}
			if err := json.Unmarshal(text, old); err != nil {
				old = nil // nothing that can be understood: it is replaced
			}
		}
		s, ok := decide(old)
		changed = ok
		switch {
		case !ok:
			return queue.Change{Keep: true}, nil
		case s == nil:
			return queue.Change{Delete: true}, nil
		}
		c := queue.Change{}
		if s.State == enabled {
			c.TTL = enabledFor
		}
		c.Value, err = json.Marshal(s)
		return c, err
	})
	if err != nil || !changed {
		return false, err
	}
	_, err = b.o.State.Update(ctx, counter, op, false, func(text []byte, _ bool) (queue.Change, error) {
		n, _ := strconv.ParseUint(string(text), 10, 64)
		return queue.Change{Value: strconv.AppendUint(nil, n+1, 10)}, nil
	})
	return true, err
}

// keep stores a switch that the breaker has made, and tells the owner. Another
// process may have been faster: then its word stands, and it tells the owner.
func (b *Breaker) keep(s Switch) {
	err := b.persist(func() error {
		b.store.Lock()
		defer b.store.Unlock()
		if now := (*b.off.Load())[s.Rule]; now != s {
			return nil // switched on meanwhile, or disabled
		}
		var theirs *Switch
		ours, err := b.change(b.done, s.Rule, "off."+s.Run, func(old *Switch) (*Switch, bool) {
			theirs = nil
			switch {
			case old == nil:
			case old.State == enabled && !s.Since.After(old.Since), old.State != enabled && old.holds(s.Digest) && *old != s:
				theirs = old
			}
			return &s, theirs == nil
		})
		if err != nil {
			return err
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.unsaved, s.Rule)
		switch {
		case theirs != nil && theirs.State == enabled:
			b.lift(s.Rule)
		case theirs != nil:
			b.put(*theirs)
		case ours:
			b.jobs.Go(func() { b.tell(b.done, s, false) })
		}
		return nil
	})
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.unsaved, s.Rule)
	if err != nil {
		b.o.Logger.Error("store that a rule is switched off: it is off until this process ends", "rule", s.Rule, "err", err)
	}
}

// forget removes from the store the switch of a version that is replaced.
func (b *Breaker) forget(s Switch) {
	err := b.persist(func() error {
		b.store.Lock()
		defer b.store.Unlock()
		_, err := b.change(b.done, s.Rule, "changed", func(old *Switch) (*Switch, bool) {
			return nil, old != nil && old.State == Off && old.Digest == s.Digest && old.Run == s.Run
		})
		return err
	})
	if err != nil {
		b.o.Logger.Warn("store that a rule is switched on", "rule", s.Rule, "err", err)
	}
}

// persist calls f until it succeeds or the breaker is closed.
func (b *Breaker) persist(f func() error) error {
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		err := f()
		if err == nil || b.done.Err() != nil || errors.Is(err, queue.ErrClosed) || errors.Is(err, queue.ErrTooLarge) {
			return err
		}
		select {
		case <-b.done.Done():
			return err
		case <-time.After(wait):
		}
	}
}

// Enable switches a rule on, whoever has switched it off. It returns
// queue.ErrNotFound if it is on.
func (b *Breaker) Enable(ctx context.Context, rule string) error {
	b.store.Lock()
	defer b.store.Unlock()
	on := &Switch{Rule: rule, State: enabled, Since: b.o.Now().UTC()}
	changed, err := b.change(ctx, rule, "enable", func(old *Switch) (*Switch, bool) { return on, old != nil && old.State != enabled })
	if err != nil {
		return fmt.Errorf("switch rule on: %w", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, here := (*b.off.Load())[rule]; !changed && !here {
		return fmt.Errorf("rule %s is on: %w", rule, queue.ErrNotFound)
	}
	b.lift(rule)
	b.o.Logger.Info("rule is switched on by an operator", "rule", rule)
	return nil
}

// Disable switches a rule off until Enable, whatever its version.
func (b *Breaker) Disable(ctx context.Context, rule, reason string) error {
	b.store.Lock()
	defer b.store.Unlock()
	s := Switch{Rule: rule, State: Disabled, Why: "disabled by an operator", Since: b.o.Now().UTC()}
	if reason != "" {
		s.Why += ": " + reason
	}
	if _, err := b.change(ctx, rule, "disable", func(*Switch) (*Switch, bool) { return &s, true }); err != nil {
		return fmt.Errorf("switch rule off: %w", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.count, rule)
	b.put(s)
	b.o.Logger.Warn("rule is switched off by an operator", "rule", rule, "reason", reason)
	return nil
}
