package math_test

import (
	gomath "math"
	"testing"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib/internal/declaretest"
	"github.com/starling-rules/starling/stdlib/math"
)

func TestIntsStayInts(t *testing.T) {
	t.Parallel()
	s := declaretest.New(t, math.Builtins())
	for _, name := range []string{"math.floor", "math.ceil", "math.round", "math.trunc", "math.abs"} {
		s.Equal(s.JSON(name, int64(gomath.MaxInt64)), "9223372036854775807")
	}
	s.Equal(s.JSON("math.round", -2.5), "-3")
	s.Equal(s.JSON("math.round", 2.675, int64(2)), "2.68")
	s.Equal(s.JSON("math.round", int64(3), int64(1)), "3.0")
	s.Equal(s.JSON("math.round", 1e300, int64(2)), "1e+300")
	s.Equal(s.JSON("math.max", int64(1), 2.5, int64(2)), "2.5")
	s.Equal(s.JSON("math.sum", int64(1), 0.5), "1.5")
	s.Equal(s.JSON("math.sum"), "0")
}

func TestWhatIsNoNumberIsAnError(t *testing.T) {
	t.Parallel()
	s := declaretest.New(t, math.Builtins())
	s.Fails("too large for an int", "math.floor", 1e19)
	s.Fails("too large for an int", "math.round", gomath.NaN())
	s.Fails("too large for an int", "math.abs", int64(gomath.MinInt64))
	s.Fails("too large for an int", "math.sum", int64(gomath.MaxInt64), int64(1))
	s.Fails("too large for an int", "math.sum", int64(gomath.MinInt64), int64(-1))
	s.Fails("no such value", "math.pow", -8.0, 0.5)
	s.Fails("no such value", "math.exp", 1e6)
	s.Fails("no such value", "math.log", -1.0)
	s.Fails("no such value", "math.log", 2.0, 1.0)
	s.Fails("digits is 16", "math.round", 1.0, int64(16))
	s.Fails("low is more than high", "math.clamp", int64(1), int64(3), int64(2))
	s.Fails("value 2 is a string", "math.min", runtime.List{int64(1), "2"})
	s.Fails("no numbers", "math.mean")
	s.Metered, s.Fuel = true, 10
	s.Fails("out of fuel", "math.sum", make(runtime.List, 100))
}
