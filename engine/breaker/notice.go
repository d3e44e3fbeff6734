package breaker

import (
	"context"
	"time"
)

// staleAfter is how long a claimed notice is left to the process that has
// claimed it.
const staleAfter = time.Minute

// takeUp sends the notices that a process has claimed and not sent.
func (b *Breaker) takeUp(ctx context.Context) {
	now := b.o.Now()
	for _, s := range *b.off.Load() {
		if s.Notice != Claimed || now.Sub(s.Claimed) < staleAfter || b.o.Tell == nil {
			continue
		}
		claim := s
		claim.Claimed = now.UTC()
		changed, err := b.note(ctx, "claim", s, claim)
		switch {
		case err != nil:
			if ctx.Err() == nil {
				b.o.Logger.Warn("claim the notice to a rule's owner", "rule", s.Rule, "err", err)
			}
		case changed:
			b.tell(ctx, claim, true)
		default: // another process has, or the rule is on
			if err := b.Load(ctx); err != nil && ctx.Err() == nil {
				b.o.Logger.Warn("read which rules are off", "err", err)
			}
		}
	}
}

// tell sends the notice of a switch and notes that. A claim that comes to
// nothing is taken up when it is stale.
func (b *Breaker) tell(ctx context.Context, s Switch, again bool) {
	if s.Notice != Claimed || b.o.Tell == nil {
		return
	}
	if err := b.o.Tell(ctx, s, again); err != nil {
		b.o.Logger.Warn("tell the owner that a rule is switched off", "rule", s.Rule, "err", err)
		return
	}
	told := s
	told.Notice = Told
	if _, err := b.note(ctx, "told", s, told); err != nil {
		b.o.Logger.Warn("note that the owner of a rule is told", "rule", s.Rule, "err", err)
	}
}

// note changes what a switch says of its notice, if it says what it did before.
func (b *Breaker) note(ctx context.Context, what string, before, s Switch) (changed bool, err error) {
	b.store.Lock()
	defer b.store.Unlock()
	changed, err = b.change(ctx, s.Rule, what+"."+s.Run, func(old *Switch) (*Switch, bool) {
		return &s, old != nil && *old == before
	})
	if err != nil || !changed {
		return changed, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if (*b.off.Load())[s.Rule] == before {
		b.put(s)
	}
	return true, nil
}
