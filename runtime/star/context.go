package star

import (
	"fmt"

	"github.com/starling-rules/starling/runtime"
)

// This file is what a pass lends to built-ins as a runtime.Context.

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

// ask implements runtime.Context.Do: it returns what the journal holds for
// this step, or notes the effect.
func (p *pass) ask(kind string, args *runtime.Dict) (runtime.Value, error) {
	if p.x.Loading {
		return nil, &runtime.Error{Kind: runtime.LoadError, Msg: kind + " has an effect, which is not possible while the script is loaded", Hint: "call it in a handler"}
	}
	if p.stop != nil {
		return nil, p.stop
	}
	if p.step >= p.lim.Effects {
		return nil, p.stopWith(&runtime.Error{
			Kind: runtime.LimitError, Limit: runtime.LimitEffects,
			Msg: fmt.Sprintf("%s would be effect %d of the run, and the limit is %d", kind, p.step+1, p.lim.Effects),
		})
	}
	p.step++
	data, err := effectArgs(args)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", kind, err)
	}
	e := runtime.Effect{Step: p.step, Kind: kind, Args: data}
	if p.step > len(p.call.Results) {
		e.Pos = p.pos()
		p.effects = append(p.effects, e)
		return runtime.Pending{Step: p.step}, nil
	}
	r := &p.call.Results[p.step-1]
	if r.Hash != e.Hash() {
		return nil, p.stopWith(diverged(p.step, kind, r.Kind))
	}
	if r.Err != "" {
		return nil, &runtime.Error{Kind: runtime.RunError, Msg: r.Err}
	}
	return r.Value, nil
}

const divergedHint = "the run cannot go on from its journal"

func diverged(step int, asked, recorded string) *runtime.Error {
	e := &runtime.Error{Kind: runtime.DivergedError, Hint: divergedHint}
	switch recorded {
	case "":
		e.Msg = fmt.Sprintf("replay diverged at step %d: the script asks for another %s than it did before", step, asked)
	case asked:
		e.Msg = fmt.Sprintf("replay diverged at step %d: the script asks for %s with other arguments than before", step, asked)
	default:
		e.Msg = fmt.Sprintf("replay diverged at step %d: the script asks for %s, the journal holds %s", step, asked, recorded)
	}
	return e
}

// effectArgs makes plain data of an effect's arguments: what they refer to may
// not outlive the pass.
func effectArgs(args *runtime.Dict) (*runtime.Dict, error) {
	if args == nil {
		return &runtime.Dict{}, nil
	}
	whole := true
	for _, f := range args.Fields {
		switch v := f.Value.(type) {
		case runtime.Object:
			return nil, &runtime.Error{Kind: runtime.RunError, Msg: fmt.Sprintf("parameter %q: the %s itself cannot be passed on", f.Key, v.TypeName()), Hint: "pass the fields that are needed"}
		case *runtime.View, runtime.JSON, runtime.List, *runtime.Dict:
			whole = false
		}
	}
	if !whole {
		args = runtime.Plain(args).(*runtime.Dict)
	}
	return args, runtime.CheckBounds(args)
}

// A log line costs more than its text, and their number is bounded: a flood of
// empty lines is a flood.
const (
	lineCost = 16
	maxLines = 10_000
)

// log implements runtime.Context.Log.
func (p *pass) log(line runtime.LogLine) error {
	p.lines++
	p.output += len(line.Text) + lineCost
	if line.Attrs != nil {
		attrs, err := effectArgs(line.Attrs)
		if err != nil {
			return err
		}
		line.Attrs = attrs
		p.output += len(runtime.Encode(nil, attrs))
	}
	if p.output > p.lim.Output || p.lines > maxLines {
		return p.stopWith(&runtime.Error{
			Kind: runtime.LimitError, Limit: runtime.LimitOutput,
			Msg: fmt.Sprintf("exceeded the limit of %d bytes of output", p.lim.Output),
		})
	}
	if p.lines <= p.call.SkipLogs {
		return nil
	}
	if line.Pos.IsZero() {
		line.Pos = p.pos()
	}
	p.logs = append(p.logs, line)
	return nil
}

// register implements runtime.Context.Register.
func (p *pass) register(r runtime.Registration) error {
	if !p.x.Loading {
		return &runtime.Error{
			Kind: runtime.RunError, Msg: r.Name + " registers a rule, which is only possible while the script is loaded",
			Hint: "call it at the top level of the file, not in a handler",
		}
	}
	if p.silent {
		return nil
	}
	data, err := effectArgs(r.Args)
	if err != nil {
		return fmt.Errorf("%s: %w", r.Name, err)
	}
	r.Args = data
	if r.Pos.IsZero() {
		r.Pos = p.pos()
		if site := p.callSite(); site != nil {
			r.Pos = position(site.start)
			if b := p.m.lang.host.Library.Lookup(r.Name); b != nil && r.ArgPos == nil {
				r.ArgPos = site.argPos(b)
			}
		}
	}
	if len(p.registered) >= maxRegistrations {
		return p.stopWith(&runtime.Error{Kind: runtime.LoadError, Msg: fmt.Sprintf("more than %d registrations in one script", maxRegistrations)})
	}
	p.registered = append(p.registered, r)
	return nil
}

// maxRegistrations bounds what one script can register.
const maxRegistrations = 2000
