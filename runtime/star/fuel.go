package star

import (
	"fmt"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"

	"github.com/starling-rules/starling/runtime"
)

// The interpreter counts opcodes, and one opcode can do any amount of work.
// Guards therefore add what an operation costs to the steps of the thread
// before they do it, so that the one limit of steps bounds time and memory,
// and the same on each replay. One step stands for an element, for 16 bytes
// that are copied, or for some 20 ns of other work.

// Bounds of single values. A script that exceeds one ends with the limit
// "memory"; nothing in it can catch that.
const (
	maxText  = 4 << 20   // bytes of a text
	maxElems = 1_000_000 // elements of a list, dict or set
	maxBits  = 2048      // bits of an int
	maxStar  = 65_536    // arguments of f(*list), and names of f(**dict) / 16
	// A tuple (or struct) is bounded with all the tuples in it, because it can
	// be a key: its hash is computed in one step.
	maxTree     = 4096
	maxTreeText = 8 << 20
	// maxNesting bounds the depth of what is compared, written or hashed.
	maxNesting = 64
)

// Ticks are closer once there are large values, so that the deadline holds to
// some milliseconds even if every step works on one.
const (
	largeText = 64 << 10
	fineTick  = 50
)

// spend adds to the steps of a thread. It fails if the run has to end, which
// it looks at whenever another block of steps is begun: one call of a guard
// may spend many times.
func spend(t *starlark.Thread, n int) error {
	const block = 10 // bits
	if before := t.Steps >> block; n < tickSteps {
		t.Steps += uint64(n)
		if t.Steps>>block == before {
			return nil
		}
		n = 0
	}
	if t.OnMaxSteps == nil {
		return nil // data of the host, before any script runs
	}
	p := passOf(t)
	p.pay(uint64(n))
	p.thread.OnMaxSteps(&p.thread)
	if p.stop != nil {
		return p.stop
	}
	return nil
}

// meter sums up small costs and spends them together.
type meter struct {
	t *starlark.Thread
	n int
}

func (m *meter) add(n int) error {
	if m.n += n; m.n < tickSteps {
		return nil
	}
	n, m.n = m.n, 0
	return spend(m.t, n)
}

// done spends what is left over.
func (m *meter) done() { m.t.Steps += uint64(m.n); m.n = 0 }

// tooLarge ends the run because a value would exceed a bound.
func tooLarge(t *starlark.Thread, msg, hint string) error {
	e := &runtime.Error{Kind: runtime.LimitError, Limit: runtime.LimitMemory, Msg: msg, Hint: hint}
	if t.OnMaxSteps == nil {
		return e
	}
	return passOf(t).stopWith(e)
}

// text spends what making a text of n bytes costs, and bounds it.
func text(t *starlark.Thread, n int) error {
	if n > maxText {
		return tooLarge(t, "text larger than 4 MB", "work on smaller parts")
	}
	if n > largeText && t.OnMaxSteps != nil {
		passOf(t).large()
	}
	return spend(t, n/16)
}

// scan spends what looking through a text of n bytes costs.
func scan(t *starlark.Thread, n int) error { return spend(t, n/64) }

// elems spends what making n elements costs, and bounds their number.
func elems(t *starlark.Thread, n int) error {
	if n > maxElems {
		return tooLarge(t, "list larger than 1,000,000 elements", "work on smaller parts")
	}
	return spend(t, n)
}

// large makes the ticks of this pass, and of all later passes over values that
// were made while loading, fine.
func (p *pass) large() {
	if p.tickEvery == fineTick {
		return
	}
	p.tickEvery = fineTick
	if p.x.Loading {
		p.m.large = true
	}
	p.thread.OnMaxSteps(&p.thread)
}

// checked bounds the result of an operation that can only grow its operands by
// a small factor, after the fact.
func checked(t *starlark.Thread, z starlark.Value, err error) (starlark.Value, error) {
	if err != nil {
		return nil, err
	}
	switch z := z.(type) {
	case starlark.Int:
		err = checkInt(t, z)
	case starlark.String:
		err = text(t, len(z))
	case starlark.Bytes:
		err = text(t, len(z))
	case *starlark.List:
		err = elems(t, z.Len())
	case starlark.Tuple:
		err = tree(t, z)
	case *starlarkstruct.Struct:
		err = treeOf(t, z)
	}
	if err != nil {
		return nil, err
	}
	return z, nil
}

func checkInt(t *starlark.Thread, z starlark.Int) error {
	if _, small := z.Int64(); small {
		return nil
	}
	if n := z.BigInt().BitLen(); n > maxBits {
		return tooLarge(t, "int larger than 2,048 bits", "")
	}
	return spend(t, 10)
}

// tree bounds a tuple with these elements.
func tree(t *starlark.Thread, elems []starlark.Value) error {
	n, deep := 0, false
	for _, e := range elems {
		switch e := e.(type) {
		case starlark.String:
			n += len(e)
		case starlark.Bytes:
			n += len(e)
		case starlark.Tuple, *starlarkstruct.Struct:
			deep = true
		}
	}
	if !deep && len(elems) <= maxTree && n <= largeText {
		t.Steps += uint64(len(elems) / 8)
		return nil
	}
	return treeOf(t, starlark.Tuple(elems))
}

// treeOf bounds a tuple or struct.
func treeOf(t *starlark.Thread, v starlark.Value) error {
	var w weight
	switch err := w.add(v, maxNesting); {
	case err != nil:
		return err
	case w.parts > maxTree:
		return tooLarge(t, "tuple of more than 4,096 parts", "use a list")
	case w.text > maxTreeText:
		return tooLarge(t, "tuple of more than 8 MB of text", "use a list")
	case w.text > largeText && t.OnMaxSteps != nil:
		passOf(t).large()
	}
	return spend(t, w.parts/4)
}

// weight is the size of what a hash looks at.
type weight struct{ parts, text int }

func (w *weight) add(v starlark.Value, depth int) error {
	switch v := v.(type) {
	case starlark.String:
		w.text += len(v)
	case starlark.Bytes:
		w.text += len(v)
	case starlark.Tuple:
		if depth == 0 {
			return fmt.Errorf("tuple nested more than %d deep", maxNesting)
		}
		w.parts += len(v)
		for _, e := range v {
			if w.parts > maxTree {
				return nil
			}
			if err := w.add(e, depth-1); err != nil {
				return err
			}
		}
	case *starlarkstruct.Struct:
		if depth == 0 {
			return fmt.Errorf("struct nested more than %d deep", maxNesting)
		}
		w.parts += v.Len()
		for i := range v.Len() {
			if w.parts > maxTree {
				return nil
			}
			name, e := v.AttrAt(i)
			w.text += len(name)
			if err := w.add(e, depth-1); err != nil {
				return err
			}
		}
	}
	return nil
}

// hashCost is what computing the hash of a key costs.
func hashCost(k starlark.Value) int {
	switch k := k.(type) {
	case starlark.String:
		return len(k) / 256
	case starlark.Bytes:
		return len(k) / 256
	case starlark.Tuple, *starlarkstruct.Struct:
		var w weight
		if w.add(k, maxNesting) == nil {
			return w.parts/4 + w.text/256
		}
	}
	return 0
}
