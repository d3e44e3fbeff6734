package lua

import (
	"github.com/starling-rules/starling/runtime"
)

// This file is what a pass lends to built-ins as a runtime.Context, and to its
// ledger.

// charge implements runtime.Context.Charge.
func (p *pass) charge(steps uint64) error {
	p.budget.spend(steps)
	if p.stop != nil {
		return p.stop
	}
	return nil
}

// Stopped implements script.Pass.
func (p *pass) Stopped() *runtime.Error { return p.stop }

// Stop implements script.Pass.
func (p *pass) Stop(e *runtime.Error) *runtime.Error { return p.stopWith(e) }

// At implements script.Pass.
func (p *pass) At() runtime.Position { return p.pos() }

// Site implements script.Pass.
func (p *pass) Site(name string) (pos runtime.Position, args map[string]runtime.Position) {
	file, line := p.lineIn(p.cur)
	if file == nil {
		return runtime.Position{}, nil
	}
	site := file.calls[line]
	if site == nil {
		return file.src.at(line), nil
	}
	if b := p.m.lang.host.Library.Lookup(name); b != nil {
		args = site.argPos(b)
	}
	return site.start, args
}
