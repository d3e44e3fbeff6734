// Package declare is the vocabulary in which the modules of the standard
// library declare their built-ins: parameters, limits, fuel, plain values.
//
//	Arg, Opt, Key, Rest, More   one parameter
//	Since                       the version that the first built-ins appeared in
//	Charge, ChargeText          fuel for work that grows with its input
//	Plain, Dict, List           values that may still be unparsed JSON
//	Hint                        an error with advice
//
// It knows no module.
package declare

import (
	"fmt"

	"github.com/starling-rules/starling/runtime"
)

// Since is the version in which the built-ins of this library appeared.
const Since = "0.1"

// The bounds of what a built-in may make.
const (
	MaxText = 4 << 20   // bytes of a text
	MaxList = 1_000_000 // elements of a list
)

// Arg declares a required parameter.
func Arg(name string, t runtime.Type, doc string) runtime.Param {
	return runtime.Param{Name: name, Type: t, Doc: doc}
}

// Opt declares an optional parameter that may be given by position.
// def documents what is used without it; it is never filled in.
func Opt(name string, t runtime.Type, def runtime.Value, doc string) runtime.Param {
	return runtime.Param{Name: name, Type: t, Default: def, Optional: true, Doc: doc}
}

// Key declares an optional parameter that is only given by keyword.
func Key(name string, t runtime.Type, def runtime.Value, doc string) runtime.Param {
	return runtime.Param{Name: name, Type: t, Default: def, Optional: true, Named: true, Doc: doc}
}

// OneOf declares a keyword parameter with a fixed choice of texts.
func OneOf(name string, values []string, def runtime.Value, doc string) runtime.Param {
	p := Key(name, runtime.TString, def, doc)
	p.Values = values
	return p
}

// Rest declares the parameter that takes every further keyword argument.
func Rest(name string, doc string) runtime.Param {
	return runtime.Param{Name: name, Type: runtime.TAny, Optional: true, Rest: true, Doc: doc}
}

// More declares the parameter that takes every further positional argument.
func More(name string, t runtime.Type, doc string) runtime.Param {
	return runtime.Param{Name: name, Type: t, Optional: true, Variadic: true, Doc: doc}
}

// Text returns a string or bytes argument as a string, or def.
func Text(a *runtime.Args, name, def string) string {
	v, _ := a.Get(name)
	switch v := v.(type) {
	case string:
		return v
	case []byte:
		return string(v)
	}
	return def
}

// Charge takes steps from the fuel of the pass. Without a meter it is free.
func Charge(x *runtime.Context, steps int) error {
	if x == nil || x.Charge == nil || steps <= 0 {
		return nil
	}
	return x.Charge(uint64(steps))
}

// ChargeText takes the fuel for copying n bytes: a step for each sixteen.
func ChargeText(x *runtime.Context, n int) error { return Charge(x, n/16) }

// Plain returns v with JSON parsed, at the top: a *runtime.View or
// runtime.JSON becomes a dict, a list or a scalar; all else is itself.
func Plain(v runtime.Value) runtime.Value {
	switch v := v.(type) {
	case *runtime.View:
		return v.Value()
	case runtime.JSON:
		if p, err := runtime.ParseJSON(v); err == nil {
			return p
		}
	}
	return v
}

// Dict returns a dict argument whatever form it has, or nil.
func Dict(a *runtime.Args, name string) *runtime.Dict {
	v, _ := a.Get(name)
	d, _ := Plain(v).(*runtime.Dict)
	return d
}

// List returns a list argument whatever form it has, or nil.
func List(a *runtime.Args, name string) runtime.List {
	v, _ := a.Get(name)
	l, _ := Plain(v).(runtime.List)
	return l
}

// Size is about how many bytes v takes as text, and above limit some number
// above limit: it stops counting there, so that a text that occurs a thousand
// times in a list costs nothing before it is refused.
func Size(v runtime.Value, limit int) int {
	switch v := v.(type) {
	case string:
		return len(v) + 2
	case []byte:
		return len(v) + 2
	case runtime.JSON:
		return len(v)
	case *runtime.View:
		// A view shows a part of one payload, which is bounded itself.
		return len(v.JSON())
	case runtime.List:
		return size(len(v), limit, func(i int) int { return Size(v[i], limit) })
	case *runtime.Dict:
		return size(v.Len(), limit, func(i int) int { return len(v.Fields[i].Key) + 3 + Size(v.Fields[i].Value, limit) })
	}
	return 8
}

func size(n, limit int, of func(int) int) int {
	total := 2
	for i := 0; i < n && total <= limit; i++ {
		total += 1 + of(i)
	}
	return total
}

// Seconds replaces duration arguments by their seconds, so that an effect is
// the same whichever way the script wrote them.
func Seconds(d *runtime.Dict, names ...string) {
	for _, n := range names {
		if v, ok := d.Get(n); ok {
			if dur, err := runtime.ToDuration(v); err == nil {
				d.Set(n, dur.Seconds())
			}
		}
	}
}

// Hint makes an error with advice for the author; the binding adds the position.
func Hint(hint, format string, args ...any) error {
	return &runtime.Error{Kind: runtime.RunError, Msg: fmt.Sprintf(format, args...), Hint: hint}
}

// Data tells why v is not plain data, or nil: functions, secrets, patterns and
// events cannot be stored.
func Data(v runtime.Value) error {
	switch v := Plain(v).(type) {
	case nil, bool, int64, float64, string, []byte:
		return nil
	case runtime.List:
		for _, e := range v {
			if err := Data(e); err != nil {
				return err
			}
		}
		return nil
	case *runtime.Dict:
		for i := 0; i < v.Len(); i++ {
			if err := Data(v.Fields[i].Value); err != nil {
				return err
			}
		}
		return nil
	default:
		return fmt.Errorf("has a %s in it, want plain data", runtime.TypeName(v))
	}
}
