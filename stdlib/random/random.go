// Package random declares the module random. Its numbers follow from the seed
// that is recorded with the run, so that every pass over a run draws the same.
// They are good for choosing, not for keys.
package random

import (
	"encoding/hex"
	"fmt"
	"math"
	"slices"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib/internal/declare"
)

// Builtins returns the declarations of the module.
func Builtins() []*runtime.Builtin {
	items := declare.Arg("items", runtime.TList, "The list.")
	return []*runtime.Builtin{
		draw("int", "A whole number between two bounds, both included.", "int", []runtime.Param{
			declare.Arg("low", runtime.TInt, "Least."), declare.Arg("high", runtime.TInt, "Greatest."),
		}, whole,
			runtime.Example{Star: `random.int(7, 7)`, Want: `7`},
			runtime.Example{Star: `random.int(2, 1)`, Fails: true, Want: "low is more than high"}),
		draw("float", "A number between two bounds.", "float", []runtime.Param{
			declare.Opt("low", runtime.TNumber, 0.0, "Least."), declare.Opt("high", runtime.TNumber, 1.0, "Not reached."),
		}, float, runtime.Example{Star: `random.float() < 1`, Want: `true`}),
		draw("choice", "One of the elements of a list.", "the element", []runtime.Param{items}, choice,
			runtime.Example{Star: `random.choice(["only"])`, Lua: `random.choice({"only"})`, Want: `"only"`},
			runtime.Example{Star: `random.choice([])`, Lua: `random.choice({})`, Fails: true, Want: "items is empty"}),
		draw("shuffle", "A copy of a list in another order.", "list", []runtime.Param{items}, shuffle,
			runtime.Example{Star: `random.shuffle([1])`, Lua: `random.shuffle({1})`, Want: `[1]`}),
		draw("sample", "Some of the elements of a list, each at most once.", "list", []runtime.Param{
			items, declare.Arg("n", runtime.TInt, "How many."),
		}, sample,
			runtime.Example{Star: `random.sample([1, 1], 2)`, Lua: `random.sample({1, 1}, 2)`, Want: `[1,1]`},
			runtime.Example{Star: `random.sample([1], 2)`, Lua: `random.sample({1}, 2)`, Fails: true, Want: "n is 2"}),
		draw("uuid", "A random UUID.", "string", nil, uuid,
			runtime.Example{Star: `len(random.uuid())`, Lua: `#random.uuid()`, Want: `36`}),
		draw("hex", "Random hexadecimal digits.", "string", []runtime.Param{
			declare.Opt("n", runtime.TInt, int64(16), "How many bytes, two digits each, up to 1024."),
		}, hexDigits,
			runtime.Example{Star: `len(random.hex(4))`, Lua: `#random.hex(4)`, Want: `8`},
			runtime.Example{Star: `random.hex(0)`, Fails: true, Want: "n is 0"}),
	}
}

func draw(name, doc, result string, params []runtime.Param, f func(*runtime.Context, *runtime.Args) (runtime.Value, error), ex ...runtime.Example) *runtime.Builtin {
	return &runtime.Builtin{
		Name: "random." + name, Doc: doc, Params: params, Result: result,
		Purity: runtime.Ambient, Since: declare.Since, Examples: ex,
		Fn: func(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
			if x.Rand == nil {
				return nil, declare.Hint("call it in a handler", "random.%s: nothing is random here", name)
			}
			return f(x, a)
		},
	}
}

func whole(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	low, high := a.Int("low", 0), a.Int("high", 0)
	if low > high {
		return nil, declare.Hint("", "random.int: low is more than high")
	}
	span := uint64(high) - uint64(low)
	if span == math.MaxUint64 {
		return int64(x.Rand.Uint64()), nil
	}
	return int64(uint64(low) + x.Rand.Uint64N(span+1)), nil
}

func float(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	low, high := a.Float("low", 0), a.Float("high", 1)
	if !(low <= high) || math.IsInf(high-low, 0) {
		return nil, declare.Hint("", "random.float: no number lies between %g and %g", low, high)
	}
	return low + x.Rand.Float64()*(high-low), nil
}

func choice(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	l := declare.List(a, "items")
	if len(l) == 0 {
		return nil, declare.Hint("", "random.choice: items is empty")
	}
	return l[x.Rand.IntN(len(l))], nil
}

func shuffle(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	l := slices.Clone(declare.List(a, "items"))
	if err := declare.Charge(x, len(l)); err != nil {
		return nil, err
	}
	x.Rand.Shuffle(len(l), func(i, j int) { l[i], l[j] = l[j], l[i] })
	if l == nil {
		l = runtime.List{}
	}
	return l, nil
}

func sample(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	n, have := a.Int("n", 0), len(declare.List(a, "items"))
	if n < 0 || n > int64(have) {
		return nil, declare.Hint("", "random.sample: n is %d, items has %d", n, have)
	}
	v, err := shuffle(x, a)
	if err != nil {
		return nil, err
	}
	return v.(runtime.List)[:n], nil
}

func bytes(x *runtime.Context, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(x.Rand.Uint32())
	}
	return b
}

func uuid(x *runtime.Context, _ *runtime.Args) (runtime.Value, error) {
	b := bytes(x, 16)
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]), nil
}

func hexDigits(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	n := a.Int("n", 16)
	if n < 1 || n > 1024 {
		return nil, declare.Hint("", "random.hex: n is %d, want 1 to 1024", n)
	}
	return hex.EncodeToString(bytes(x, int(n))), declare.Charge(x, int(n))
}
