// Package declaretest calls built-ins the way a binding does, for the tests of
// the modules, without an interpreter.
//
//	Set    the built-ins of a module, ready to be called
//	Named  the keyword arguments of a call
package declaretest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/starling-rules/starling/runtime"
)

// Named are keyword arguments, in alternation: Named{"ttl", "1h"}.
type Named []any

// Set is the built-ins of a module. Its fields may be changed between calls.
type Set struct {
	T     testing.TB
	Decls []*runtime.Builtin
	X     *runtime.Context
	// Asked are the effects that were asked for, Lines what was logged.
	Asked []runtime.Effect
	Lines []runtime.LogLine
	// Results are what the first effects return; others are pending.
	Results []runtime.Value
	// Fuel is what is left, if Metered.
	Fuel    int
	Metered bool
}

// ErrFuel is what a call returns whose charge exceeds the fuel.
var ErrFuel = errors.New("out of fuel")

// ErrSuspended is what a call returns that looks at a pending result.
var ErrSuspended = errors.New("suspended")

// New returns a set with a clock at 2026-03-01 12:00 UTC and a fixed seed.
func New(t testing.TB, decls []*runtime.Builtin) *Set {
	s := &Set{T: t, Decls: decls}
	s.X = &runtime.Context{
		Now:  time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
		Rand: rand.New(rand.NewPCG(1, 2)),
		Do: func(kind string, args *runtime.Dict) (runtime.Value, error) {
			s.Asked = append(s.Asked, runtime.Effect{Step: len(s.Asked) + 1, Kind: kind, Args: args})
			if n := len(s.Asked); n <= len(s.Results) {
				return s.Results[n-1], nil
			}
			return runtime.Pending{Step: len(s.Asked)}, nil
		},
		Suspend: func() error { return ErrSuspended },
		Log: func(l runtime.LogLine) error {
			s.Lines = append(s.Lines, l)
			return nil
		},
		Charge: func(steps uint64) error {
			s.Fuel -= int(steps)
			if s.Metered && s.Fuel < 0 {
				return ErrFuel
			}
			return nil
		},
	}
	return s
}

// Call calls a built-in: positional arguments, then perhaps one Named. It
// checks types as a binding does.
func (s *Set) Call(name string, args ...any) (runtime.Value, error) {
	s.T.Helper()
	for _, b := range s.Decls {
		if b.Name == name {
			return b.Fn(s.X, s.args(b, args))
		}
	}
	s.T.Fatalf("no built-in %s", name)
	return nil, nil
}

func (s *Set) args(b *runtime.Builtin, given []any) *runtime.Args {
	s.T.Helper()
	a := &runtime.Args{Builtin: b, Dict: &runtime.Dict{}}
	position, variadic := 0, runtime.List(nil)
	for _, v := range given {
		if named, ok := v.(Named); ok {
			s.named(a, named)
			continue
		}
		if position == len(b.Params) || b.Params[position].Named || b.Params[position].Rest {
			s.T.Fatalf("%s: too many arguments", b.Name)
		}
		if b.Params[position].Variadic {
			variadic = append(variadic, v)
			a.Set(b.Params[position].Name, variadic)
			continue
		}
		// As a binding does, take None for an argument that is left out.
		if v != nil || !b.Params[position].Optional {
			a.Set(b.Params[position].Name, v)
		}
		position++
	}
	return a
}

func (s *Set) named(a *runtime.Args, named Named) {
	s.T.Helper()
	var rest *runtime.Dict
params:
	for i := 0; i < len(named); i += 2 {
		name := named[i].(string)
		for _, p := range a.Builtin.Params {
			if p.Name == name && !p.Rest {
				a.Set(name, named[i+1])
				continue params
			}
		}
		last := a.Builtin.Params[len(a.Builtin.Params)-1]
		if !last.Rest {
			s.T.Fatalf("%s takes no %s", a.Builtin.Name, name)
		}
		if rest == nil {
			rest = &runtime.Dict{}
			a.Set(last.Name, rest)
		}
		rest.Set(name, named[i+1])
	}
}

// JSON calls and returns the JSON of the result.
func (s *Set) JSON(name string, args ...any) string {
	s.T.Helper()
	v, err := s.Call(name, args...)
	if err != nil {
		s.T.Fatalf("%s: %v", name, err)
	}
	return Text(s.T, v)
}

// Text is the JSON of a value.
func Text(t testing.TB, v runtime.Value) string {
	t.Helper()
	b, err := runtime.AppendJSON(nil, v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Effect calls and returns the one effect that was asked for, as kind and JSON.
func (s *Set) Effect(name string, args ...any) string {
	s.T.Helper()
	before := len(s.Asked)
	if _, err := s.Call(name, args...); err != nil {
		s.T.Fatalf("%s: %v", name, err)
	}
	if len(s.Asked) != before+1 {
		s.T.Fatalf("%s: asked for %d effects", name, len(s.Asked)-before)
	}
	e := s.Asked[before]
	return e.Kind + " " + Text(s.T, e.Args)
}

// Fails calls and wants an error whose text contains want.
func (s *Set) Fails(want, name string, args ...any) {
	s.T.Helper()
	before := len(s.Asked)
	v, err := s.Call(name, args...)
	switch {
	case err == nil:
		s.T.Errorf("%s%v = %v, want an error with %q", name, args, v, want)
	case !strings.Contains(err.Error(), want):
		s.T.Errorf("%s%v: %v, want an error with %q", name, args, err, want)
	case len(s.Asked) != before:
		s.T.Errorf("%s%v failed and asked for an effect", name, args)
	}
}

// Equal compares results as text.
func (s *Set) Equal(got, want any) {
	s.T.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		s.T.Errorf("got  %s\nwant %s", g, w)
	}
}
