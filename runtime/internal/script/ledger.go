package script

import (
	"fmt"

	"github.com/starling-rules/starling/runtime"
)

// Pass is what a Ledger has to know of the pass it belongs to.
type Pass interface {
	// Stopped is how the pass ends, or nil while it goes on.
	Stopped() *runtime.Error
	// Stop makes e the end of the pass, if there is none yet, and returns it.
	Stop(e *runtime.Error) *runtime.Error
	// At is the place in the script that is being executed.
	At() runtime.Position
	// Site returns the places of a registration and of its arguments, as far
	// as they are known.
	Site(name string) (runtime.Position, map[string]runtime.Position)
}

// Ledger holds what a pass has asked for, logged and registered, and meets it
// with the journal. It belongs to one pass.
type Ledger struct {
	Pass   Pass
	Call   *runtime.Call
	Limits runtime.Limits
	// Loading tells that the top level runs; Silent that it is that of a file
	// which another one loads: its registrations are its own affair.
	Loading, Silent bool

	Effects    []runtime.Effect // those beyond the recorded results
	Logs       []runtime.LogLine
	Registered []runtime.Registration

	step   int // effects asked for so far
	lines  int // log lines so far
	output int // and their bytes
}

// Ask implements runtime.Context.Do: it returns what the journal holds for
// this step, or notes the effect.
func (l *Ledger) Ask(kind string, args *runtime.Dict) (runtime.Value, error) {
	if l.Loading {
		return nil, asksEarly(kind)
	}
	if stop := l.Pass.Stopped(); stop != nil {
		return nil, stop
	}
	if l.step >= l.Limits.Effects {
		return nil, l.Pass.Stop(&runtime.Error{
			Kind: runtime.LimitError, Limit: runtime.LimitEffects,
			Msg: fmt.Sprintf("%s would be effect %d of the run, and the limit is %d", kind, l.step+1, l.Limits.Effects),
		})
	}
	data, err := effectArgs(args)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", kind, err)
	}
	l.step++ // what is not asked for has no step
	e := runtime.Effect{Step: l.step, Kind: kind, Args: data}
	if l.step > len(l.Call.Results) {
		e.Pos = l.Pass.At()
		l.Effects = append(l.Effects, e)
		return runtime.Pending{Step: l.step}, nil
	}
	r := &l.Call.Results[l.step-1]
	if r.Hash != e.Hash() {
		return nil, l.Pass.Stop(diverged(l.step, kind, r.Kind))
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

// Settled tells that the function returned. It is an error if the journal
// holds more than the script has asked for.
func (l *Ledger) Settled() *runtime.Error {
	if l.step >= len(l.Call.Results) {
		return nil
	}
	return l.Pass.Stop(&runtime.Error{
		Kind: runtime.DivergedError, Hint: divergedHint,
		Msg: fmt.Sprintf("replay diverged at step %d: the script ended, but the journal holds %d steps", l.step+1, len(l.Call.Results)),
	})
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

// Log implements runtime.Context.Log.
func (l *Ledger) Log(line runtime.LogLine) error {
	l.lines++
	l.output += len(line.Text) + lineCost
	if line.Attrs != nil {
		attrs, err := effectArgs(line.Attrs)
		if err != nil {
			return err
		}
		line.Attrs = attrs
		l.output += len(runtime.Encode(nil, attrs))
	}
	if l.output > l.Limits.Output || l.lines > maxLines {
		return l.Pass.Stop(&runtime.Error{
			Kind: runtime.LimitError, Limit: runtime.LimitOutput,
			Msg: fmt.Sprintf("exceeded the limit of %d bytes of output", l.Limits.Output),
		})
	}
	if l.lines <= l.Call.SkipLogs {
		return nil
	}
	if line.Pos.IsZero() {
		line.Pos = l.Pass.At()
	}
	l.Logs = append(l.Logs, line)
	return nil
}

// maxRegistrations bounds what one script can register.
const maxRegistrations = 2000

// Register implements runtime.Context.Register.
func (l *Ledger) Register(r runtime.Registration) error {
	if !l.Loading {
		return registersLate(r.Name)
	}
	if l.Silent {
		return nil
	}
	data, err := effectArgs(r.Args)
	if err != nil {
		return fmt.Errorf("%s: %w", r.Name, err)
	}
	r.Args = data
	if r.Pos.IsZero() {
		pos, args := l.Pass.Site(r.Name)
		if r.Pos = pos; r.ArgPos == nil {
			r.ArgPos = args
		}
	}
	if len(l.Registered) >= maxRegistrations {
		return l.Pass.Stop(&runtime.Error{Kind: runtime.LoadError, Msg: fmt.Sprintf("more than %d registrations in one script", maxRegistrations)})
	}
	l.Registered = append(l.Registered, r)
	return nil
}
