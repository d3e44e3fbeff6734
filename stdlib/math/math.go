// Package math declares the module math. Results that are no number (the root
// of -1) are errors, because nothing in a rule can use them.
package math

import (
	gomath "math"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib/internal/declare"
)

// Builtins returns the declarations of the module.
func Builtins() []*runtime.Builtin {
	out := []*runtime.Builtin{
		whole("floor", "Round down to a whole number.", gomath.Floor, `math.floor(-1.5)`, `-2`),
		whole("ceil", "Round up to a whole number.", gomath.Ceil, `math.ceil(1.2)`, `2`),
		whole("trunc", "Cut off the fraction.", gomath.Trunc, `math.trunc(-1.5)`, `-1`),
		real1("sqrt", "Square root.", gomath.Sqrt, `math.sqrt(9)`, `3.0`,
			runtime.Example{Star: `math.sqrt(-1)`, Fails: true, Want: "math.sqrt: -1 has no such value"}),
		real1("exp", "e to the power of x.", gomath.Exp, `math.exp(0)`, `1.0`),
		real1("sin", "Sine of an angle in radians.", gomath.Sin, `math.sin(0)`, `0.0`),
		real1("cos", "Cosine of an angle in radians.", gomath.Cos, `math.cos(0)`, `1.0`),
		real1("tan", "Tangent of an angle in radians.", gomath.Tan, `math.tan(0)`, `0.0`),
		constant("pi", "The circumference of a circle of diameter 1.", gomath.Pi, `math.floor(math.pi * 100)`, `314`),
		constant("e", "The base of natural logarithms.", gomath.E, `math.floor(math.e * 100)`, `271`),
	}
	return append(out, several()...)
}

func number(name, doc string) runtime.Param { return declare.Arg(name, runtime.TNumber, doc) }

type fn = func(*runtime.Context, *runtime.Args) (runtime.Value, error)

func function(name, doc, result string, params []runtime.Param, f fn, ex ...runtime.Example) *runtime.Builtin {
	return &runtime.Builtin{
		Name: "math." + name, Doc: doc, Params: params, Result: result,
		Purity: runtime.Pure, Since: declare.Since, Examples: ex, Fn: f,
	}
}

func constant(name, doc string, v float64, star, want string) *runtime.Builtin {
	return &runtime.Builtin{
		Name: "math." + name, Doc: doc, Result: "float", Purity: runtime.Constant, Value: v, Since: declare.Since,
		Examples: []runtime.Example{{Star: star, Want: want}},
	}
}

func whole(name, doc string, f func(float64) float64, star, want string) *runtime.Builtin {
	return function(name, doc, "int", []runtime.Param{number("x", "The number.")}, func(_ *runtime.Context, a *runtime.Args) (runtime.Value, error) {
		v, _ := a.Get("x")
		if n, ok := v.(int64); ok {
			return n, nil
		}
		return toInt("math."+name, f(a.Float("x", 0)))
	}, runtime.Example{Star: star, Want: want})
}

func real1(name, doc string, f func(float64) float64, star, want string, more ...runtime.Example) *runtime.Builtin {
	return function(name, doc, "float", []runtime.Param{number("x", "The number.")}, func(_ *runtime.Context, a *runtime.Args) (runtime.Value, error) {
		return real("math."+name, a.Float("x", 0), f(a.Float("x", 0)))
	}, append([]runtime.Example{{Star: star, Want: want}}, more...)...)
}

// real refuses what is no number, or too large to be one.
func real(name string, x, v float64) (runtime.Value, error) {
	if gomath.IsNaN(v) || gomath.IsInf(v, 0) {
		return nil, declare.Hint("", "%s: %g has no such value", name, x)
	}
	return v, nil
}

func toInt(name string, f float64) (runtime.Value, error) {
	if f < -(1<<63) || f >= 1<<63 || gomath.IsNaN(f) {
		return nil, declare.Hint("", "%s: %g is too large for an int", name, f)
	}
	return int64(f), nil
}

func several() []*runtime.Builtin {
	x := number("x", "The number.")
	values := declare.More("values", runtime.TNumber|runtime.TList, "Numbers, or one list of numbers.")
	return []*runtime.Builtin{
		function("round", "Round to the nearest number, halves away from zero.", "int, or float with digits",
			[]runtime.Param{x, declare.Opt("digits", runtime.TInt, nil, "Digits after the point, 0 to 15.")}, round,
			runtime.Example{Star: `math.round(2.5)`, Want: `3`},
			runtime.Example{Star: `math.round(3.14159, 2)`, Want: `3.14`}),
		function("abs", "The number without its sign.", "as x", []runtime.Param{x}, abs,
			runtime.Example{Star: `math.abs(-3)`, Want: `3`}),
		function("pow", "x to the power of y.", "float", []runtime.Param{x, number("y", "The power.")},
			func(_ *runtime.Context, a *runtime.Args) (runtime.Value, error) {
				return real("math.pow", a.Float("x", 0), gomath.Pow(a.Float("x", 0), a.Float("y", 0)))
			}, runtime.Example{Star: `math.pow(2, 10)`, Want: `1024.0`}),
		function("log", "Logarithm.", "float", []runtime.Param{x, declare.Opt("base", runtime.TNumber, gomath.E, "The base.")}, log,
			runtime.Example{Star: `math.log(8, 2)`, Want: `3.0`},
			runtime.Example{Star: `math.log(0)`, Fails: true, Want: "math.log"}),
		function("atan", "The angle whose tangent is y/x, in radians.", "float",
			[]runtime.Param{number("y", "Up."), declare.Opt("x", runtime.TNumber, 1.0, "To the right.")},
			func(_ *runtime.Context, a *runtime.Args) (runtime.Value, error) {
				return gomath.Atan2(a.Float("y", 0), a.Float("x", 1)), nil
			}, runtime.Example{Star: `math.atan(0)`, Want: `0.0`}),
		function("clamp", "The number, or the bound that it exceeds.", "as given",
			[]runtime.Param{x, number("low", "Lower bound."), number("high", "Upper bound.")}, clamp,
			runtime.Example{Star: `math.clamp(12, 0, 10)`, Want: `10`}),
		function("min", "The least of some numbers.", "as given", []runtime.Param{values}, pick("min", func(a, b float64) bool { return a < b }),
			runtime.Example{Star: `math.min(3, 1, 2)`, Want: `1`},
			runtime.Example{Star: `math.min([])`, Lua: `math.min({})`, Fails: true, Want: "no numbers"}),
		function("max", "The greatest of some numbers.", "as given", []runtime.Param{values}, pick("max", func(a, b float64) bool { return a > b }),
			runtime.Example{Star: `math.max([3, 1, 2])`, Lua: `math.max({3, 1, 2})`, Want: `3`}),
		function("sum", "The sum of some numbers.", "int if all are, else float", []runtime.Param{values}, sum,
			runtime.Example{Star: `math.sum([1, 2, 3])`, Lua: `math.sum({1, 2, 3})`, Want: `6`}),
		function("mean", "The mean of some numbers.", "float", []runtime.Param{values}, mean,
			runtime.Example{Star: `math.mean([1, 2])`, Lua: `math.mean({1, 2})`, Want: `1.5`}),
	}
}

func round(_ *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	v, _ := a.Get("x")
	if n, ok := v.(int64); ok && !a.Has("digits") {
		return n, nil
	}
	f := a.Float("x", 0)
	if !a.Has("digits") {
		return toInt("math.round", gomath.Round(f))
	}
	digits := a.Int("digits", 0)
	if digits < 0 || digits > 15 {
		return nil, declare.Hint("", "math.round: digits is %d, want 0 to 15", digits)
	}
	scale := gomath.Pow10(int(digits))
	if gomath.Abs(f) > 1e15 {
		return f, nil
	}
	return gomath.Round(f*scale) / scale, nil
}

func abs(_ *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	v, _ := a.Get("x")
	if n, ok := v.(int64); ok {
		if n == gomath.MinInt64 {
			return nil, declare.Hint("", "math.abs: %d is too large for an int", n)
		}
		return max(n, -n), nil
	}
	return gomath.Abs(a.Float("x", 0)), nil
}

func log(_ *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	x := a.Float("x", 0)
	switch base := a.Float("base", gomath.E); base {
	case gomath.E:
		return real("math.log", x, gomath.Log(x))
	case 2:
		return real("math.log", x, gomath.Log2(x))
	case 10:
		return real("math.log", x, gomath.Log10(x))
	default:
		return real("math.log", x, gomath.Log(x)/gomath.Log(base))
	}
}

func clamp(_ *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	x, low, high := a.Float("x", 0), a.Float("low", 0), a.Float("high", 0)
	name := "x"
	switch {
	case low > high:
		return nil, declare.Hint("", "math.clamp: low is more than high")
	case x < low:
		name = "low"
	case x > high:
		name = "high"
	}
	v, _ := a.Get(name)
	return v, nil
}

// numbers returns the values, taken out of their list if there is just one.
func numbers(x *runtime.Context, a *runtime.Args) (runtime.List, error) {
	l := declare.List(a, "values")
	if len(l) == 1 {
		if in, ok := declare.Plain(l[0]).(runtime.List); ok {
			l = in
		}
	}
	if err := declare.Charge(x, len(l)); err != nil {
		return nil, err
	}
	for i, v := range l {
		switch v.(type) {
		case int64, float64:
		default:
			return nil, declare.Hint("", "%s: value %d is a %s, want a number", a.Builtin.Name, i+1, runtime.TypeName(v))
		}
	}
	return l, nil
}

func float(v runtime.Value) float64 {
	if n, ok := v.(int64); ok {
		return float64(n)
	}
	f, _ := v.(float64)
	return f
}

func pick(name string, better func(a, b float64) bool) fn {
	return func(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
		l, err := numbers(x, a)
		if err != nil {
			return nil, err
		}
		if len(l) == 0 {
			return nil, declare.Hint("", "math.%s: there are no numbers", name)
		}
		best := l[0]
		for _, v := range l[1:] {
			if better(float(v), float(best)) {
				best = v
			}
		}
		return best, nil
	}
}

func sum(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	l, err := numbers(x, a)
	if err != nil {
		return nil, err
	}
	whole, total, ints := int64(0), 0.0, true
	for _, v := range l {
		n, ok := v.(int64)
		next := whole + n
		if (n > 0) != (next > whole) && n != 0 {
			return nil, declare.Hint("", "math.sum: too large for an int")
		}
		whole, ints = next, ints && ok
		total += float(v)
	}
	if ints {
		return whole, nil
	}
	return real("math.sum", total, total)
}

func mean(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	l, err := numbers(x, a)
	if err != nil {
		return nil, err
	}
	if len(l) == 0 {
		return nil, declare.Hint("", "math.mean: there are no numbers")
	}
	total := 0.0
	for _, v := range l {
		total += float(v) / float64(len(l))
	}
	return real("math.mean", total, total)
}
