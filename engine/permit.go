package engine

import "github.com/starling-rules/starling/engine/permit"

// newPolicy makes what says who may run rules, of the configuration.
func (e *Engine) newPolicy() *permit.Policy {
	if e.people == nil {
		e.people = &permit.Slack{Client: e.slack, Now: e.o.Now}
	}
	return permit.New(e.o.Config.Admins, e.o.Config.Access, e.people)
}
