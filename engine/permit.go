package engine

import "github.com/starling-rules/starling/engine/permit"

// newPolicy makes what says who may run rules, of the configuration.
func (e *Engine) newPolicy() *permit.Policy {
	return permit.New(e.o.Config.Admins, e.o.Config.Access, e.directory())
}

// directory is what is known of people: one for rules and for questions, which
// Slack's events keep fresh.
func (e *Engine) directory() *permit.Slack {
	if e.people == nil {
		e.people = &permit.Slack{Client: e.slack, Now: e.o.Now}
	}
	return e.people
}
