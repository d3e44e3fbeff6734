package lua

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/internal/script"
)

// tickSteps is how often the clock and the context are looked at. One
// instruction on the longest texts takes up to 0.2 ms, and a look 0.05 µs.
const tickSteps = 100

// budget is the context of a pass's states. The interpreter asks for Done
// before each instruction, so Done is where instructions are counted: a step
// limit without a timer, a goroutine or a lock. Once the pass is to end, Done
// is closed for good, and every further instruction fails: that is why no
// pcall, coroutine or callback can outlive a limit.
type budget struct {
	p     *pass
	steps uint64
	next  uint64 // when to look
	limit uint64
	free  bool   // nothing is counted: the limit is out of reach
	look  func() // the clock and the outer context; may stop the pass
}

var _ context.Context = (*budget)(nil)

var closed = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// Done counts an instruction.
func (b *budget) Done() <-chan struct{} {
	b.steps++
	if b.steps < b.next {
		return nil
	}
	return b.tick()
}

func (b *budget) tick() <-chan struct{} {
	if b.p.ending() {
		return closed
	}
	if b.steps >= b.limit {
		b.p.stopWith(&runtime.Error{
			Kind: runtime.LimitError, Limit: runtime.LimitSteps,
			Msg: fmt.Sprintf("exceeded the limit of %d steps", b.limit),
		})
		return closed
	}
	b.look()
	if b.p.ending() {
		return closed
	}
	b.next = min(b.steps+tickSteps, b.limit)
	return nil
}

// spend adds the cost of a built-in's work.
func (b *budget) spend(steps uint64) {
	if b.free {
		return
	}
	b.steps += min(steps, b.limit)
	if b.steps >= b.next {
		b.tick()
	}
}

// Err is what the interpreter raises; the reason is in the pass.
func (b *budget) Err() error { return errEnded }

var errEnded = errors.New("the pass is over")

// Deadline has none: time is looked at by tick.
func (b *budget) Deadline() (time.Time, bool) { return time.Time{}, false }

// Value has none.
func (b *budget) Value(any) any { return nil }

// watch returns the look at the clock and at ctx.
func (p *pass) watch(ctx context.Context) func() {
	return func() {
		switch {
		case time.Since(p.start) > p.lim.Deadline && !p.budget.free:
			p.stopWith(&runtime.Error{
				Kind: runtime.LimitError, Limit: runtime.LimitDeadline,
				Msg: fmt.Sprintf("exceeded the deadline of %v", p.lim.Deadline),
			})
		case ctx.Err() != nil:
			p.stopWith(script.Cancelled(ctx))
		}
	}
}
