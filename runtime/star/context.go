package star

import (
	"github.com/starling-rules/starling/runtime"
)

// This file is what a pass lends to built-ins as a runtime.Context, and to its
// ledger.

// charge implements runtime.Context.Charge.
func (p *pass) charge(steps uint64) error {
	p.pay(steps)
	if steps >= tickSteps || p.thread.Steps >= p.lim.Steps {
		p.thread.OnMaxSteps(&p.thread)
	}
	if p.stop != nil {
		return p.stop
	}
	return nil
}

// pay adds to the steps, without running over.
func (p *pass) pay(steps uint64) { p.thread.Steps += min(steps, p.lim.Steps) }

// Stopped implements script.Pass.
func (p *pass) Stopped() *runtime.Error { return p.stop }

// Stop implements script.Pass.
func (p *pass) Stop(e *runtime.Error) *runtime.Error { return p.stopWith(e) }

// At implements script.Pass.
func (p *pass) At() runtime.Position { return p.pos() }

// Site implements script.Pass.
func (p *pass) Site(name string) (pos runtime.Position, args map[string]runtime.Position) {
	site := p.callSite()
	if site == nil {
		return p.pos(), nil
	}
	if b := p.m.lang.host.Library.Lookup(name); b != nil {
		args = site.argPos(b)
	}
	return position(site.start), args
}
