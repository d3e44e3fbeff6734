package star

import (
	"fmt"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
	"go.starlark.net/syntax"
)

// guard is the Go side of a guard: it gets positional arguments only, and as
// many as the rewriting puts there.
type guard = func(t *starlark.Thread, a starlark.Tuple) (starlark.Value, error)

// guards are the functions that the rewriting (rewrite.go) puts in the place
// of operators. No script can type their names.
var guards = map[string]guard{
	"$+": plus, "$-": minus, "$*": times, "$%": percent,
	"$<<": operator(syntax.LTLT), "$&": union(syntax.AMP), "$^": union(syntax.CIRCUMFLEX), "$|": either,
	"$==": equality(false), "$!=": equality(true),
	"$<": order(syntax.LT), "$<=": order(syntax.LE), "$>": order(syntax.GT), "$>=": order(syntax.GE),
	"$in": membership(false), "$not in": membership(true),
	"$+=": plusAssign, "$|=": pipeAssign,
	"$slice": slice, "$at": at, "$attr": attribute,
	"$tuple": newTuple, "$args": checkArgs, "$*args": star, "$**args": starStar, "$dict": dictOf, "$dict1": dictOfUnique,
}

func operator(op syntax.Token) guard {
	return func(t *starlark.Thread, a starlark.Tuple) (starlark.Value, error) {
		z, err := starlark.Binary(op, a[0], a[1])
		return checked(t, z, err)
	}
}

// union is an operator that also works on sets and dicts.
func union(op syntax.Token) guard {
	return func(t *starlark.Thread, a starlark.Tuple) (starlark.Value, error) {
		if err := payMerge(t, a[0], a[1]); err != nil {
			return nil, err
		}
		z, err := starlark.Binary(op, a[0], a[1])
		return checked(t, z, err)
	}
}

// either is x | y.
var either = union(syntax.PIPE)

// payMerge pays for an operation on two sets or dicts.
func payMerge(t *starlark.Thread, x, y starlark.Value) error {
	switch x.(type) {
	case *starlark.Set, *starlark.Dict, *dictView, *calledView:
		switch y.(type) {
		case *starlark.Set, *starlark.Dict, *dictView, *calledView:
			return passOf(t).merge(x.(hashed), y.(hashed))
		}
	}
	return nil
}

func plus(t *starlark.Thread, a starlark.Tuple) (starlark.Value, error) {
	switch x := a[0].(type) {
	case starlark.String:
		if y, ok := a[1].(starlark.String); ok {
			if err := text(t, len(x)+len(y)); err != nil {
				return nil, err
			}
			return x + y, nil
		}
	case starlark.Bytes:
		if y, ok := a[1].(starlark.Bytes); ok {
			if err := text(t, len(x)+len(y)); err != nil {
				return nil, err
			}
		}
	case *starlarkstruct.Struct:
		if y, ok := a[1].(*starlarkstruct.Struct); ok {
			if err := spend(t, 4*(x.Len()+y.Len())); err != nil {
				return nil, err
			}
		}
	case *starlark.List:
		if y, ok := a[1].(*starlark.List); ok {
			if err := elems(t, x.Len()+y.Len()); err != nil {
				return nil, err
			}
			return starlark.Binary(syntax.PLUS, x, y)
		}
	}
	z, err := starlark.Binary(syntax.PLUS, a[0], a[1])
	return checked(t, z, err)
}

func minus(t *starlark.Thread, a starlark.Tuple) (starlark.Value, error) {
	if _, ok := a[0].(*starlark.Set); ok {
		if err := payMerge(t, a[0], a[1]); err != nil {
			return nil, err
		}
	}
	z, err := starlark.Binary(syntax.MINUS, a[0], a[1])
	return checked(t, z, err)
}

func times(t *starlark.Thread, a starlark.Tuple) (starlark.Value, error) {
	x, y := a[0], a[1]
	if _, ok := x.(starlark.Int); ok {
		x, y = y, x
	}
	if n, ok := y.(starlark.Int); ok {
		var err error
		switch x := x.(type) {
		case starlark.String:
			err = repeated(len(x), n, func(n int) error { return text(t, n) })
		case starlark.Bytes:
			err = repeated(len(x), n, func(n int) error { return text(t, n) })
		case *starlark.List, *listView, *calledList:
			err = repeated(starlark.Len(x), n, func(n int) error { return elems(t, n) })
		case starlark.Tuple:
			err = repeated(len(x), n, func(n int) error {
				if n > maxTree {
					return tooLarge(t, "tuple of more than 4,096 parts", "use a list")
				}
				return nil
			})
		}
		if err != nil {
			return nil, err
		}
	}
	z, err := starlark.Binary(syntax.STAR, a[0], a[1])
	return checked(t, z, err)
}

// repeated calls pay with the size of n repetitions.
func repeated(size int, n starlark.Int, pay func(int) error) error {
	if k, err := starlark.AsInt32(n); err == nil && k > 0 && size > 0 {
		return pay(min(size, 1<<31) * k)
	}
	return nil // none, or a count that the interpreter refuses
}

func percent(t *starlark.Thread, a starlark.Tuple) (starlark.Value, error) {
	if f, ok := a[0].(starlark.String); ok {
		return interpolate(t, string(f), a[1])
	}
	return starlark.Binary(syntax.PERCENT, a[0], a[1])
}

func equality(negate bool) guard {
	return func(t *starlark.Thread, a starlark.Tuple) (starlark.Value, error) {
		if x, ok := a[0].(starlark.String); ok {
			if y, ok := a[1].(starlark.String); ok {
				if len(x) == len(y) {
					if err := scan(t, len(x)); err != nil {
						return nil, err
					}
				}
				return starlark.Bool((x == y) != negate), nil
			}
		}
		m := meter{t: t}
		ok, err := equal(&m, a[0], a[1], maxNesting)
		m.done()
		if err != nil {
			return nil, err
		}
		return starlark.Bool(ok != negate), nil
	}
}

func order(op syntax.Token) guard {
	return func(t *starlark.Thread, a starlark.Tuple) (starlark.Value, error) {
		m := meter{t: t}
		ok, err := compare(&m, op, a[0], a[1], maxNesting)
		m.done()
		if err != nil {
			return nil, err
		}
		return starlark.Bool(ok), nil
	}
}

func membership(negate bool) guard {
	return func(t *starlark.Thread, a starlark.Tuple) (starlark.Value, error) {
		m := meter{t: t}
		ok, err := contains(&m, a[0], a[1])
		m.done()
		if err != nil {
			return nil, err
		}
		return starlark.Bool(ok != negate), nil
	}
}

// plusAssign is what x += y assigns: a list grows in place.
func plusAssign(t *starlark.Thread, a starlark.Tuple) (starlark.Value, error) {
	x, ok := a[0].(*starlark.List)
	if !ok {
		return plus(t, a)
	}
	if _, ok := a[1].(starlark.Iterable); !ok {
		return plus(t, a)
	}
	if err := extend(t, x, a[1]); err != nil {
		return nil, reworded(err, "extend: cannot extend ", "cannot apply += to ")
	}
	return x, nil
}

// pipeAssign is what x |= y assigns: a dict grows in place.
func pipeAssign(t *starlark.Thread, a starlark.Tuple) (starlark.Value, error) {
	x, ok := a[0].(*starlark.Dict)
	if !ok {
		return either(t, a)
	}
	if _, ok := a[1].(*starlark.Dict); !ok {
		return either(t, a)
	}
	if err := payMerge(t, a[0], a[1]); err != nil {
		return nil, err
	}
	if _, err := upstream(t, x, "update", a[1:], nil); err != nil {
		return nil, reworded(err, "update: cannot insert into ", "cannot apply |= to ")
	}
	return x, nil
}

func reworded(err error, old, better string) error {
	if rest, ok := strings.CutPrefix(err.Error(), old); ok {
		return fmt.Errorf("%s%s", better, rest)
	}
	return err
}

// at is what an assignment to an element assigns into.
func at(t *starlark.Thread, a starlark.Tuple) (starlark.Value, error) {
	if d, ok := a[0].(*starlark.Dict); ok && d.Len() >= tableMin {
		return openDict{d, passOf(t)}, nil
	}
	return a[0], nil
}

// newTuple makes a tuple of its arguments, which are its own.
func newTuple(t *starlark.Thread, a starlark.Tuple) (starlark.Value, error) {
	if err := tree(t, a); err != nil {
		return nil, err
	}
	return a, nil
}

// checkArgs bounds the tuple that *args is, and returns its other argument.
func checkArgs(t *starlark.Thread, a starlark.Tuple) (starlark.Value, error) {
	if args, ok := a[0].(starlark.Tuple); ok {
		if err := tree(t, args); err != nil {
			return nil, err
		}
	}
	return a[len(a)-1], nil
}

// star bounds the a in f(*a).
func star(t *starlark.Thread, a starlark.Tuple) (starlark.Value, error) {
	n := starlark.Len(a[0])
	if _, ok := a[0].(starlark.Iterable); ok && n < 0 {
		return nil, fmt.Errorf("argument after * must be a sequence, not %s", a[0].Type())
	}
	if n > maxStar {
		return nil, tooLarge(t, "more than 65,536 arguments in a call", "pass the list itself")
	}
	return a[0], spend(t, max(n, 0))
}

// starStar bounds the k in f(**k).
func starStar(t *starlark.Thread, a starlark.Tuple) (starlark.Value, error) {
	n := starlark.Len(a[0])
	if n > maxStar/16 {
		return nil, tooLarge(t, "more than 4,096 named arguments in a call", "pass the dict itself")
	}
	cost := max(n, 0)
	if it := starlark.Iterate(a[0]); it != nil {
		defer it.Done()
		for k := starlark.Value(nil); it.Next(&k); {
			if s, ok := k.(starlark.String); ok {
				cost += len(s) / 16 // names of megabytes are compared and quoted
			}
		}
	}
	return a[0], spend(t, cost)
}

// dictOf makes the dict of a comprehension from its pairs.
func dictOf(t *starlark.Thread, a starlark.Tuple) (starlark.Value, error) {
	pairs := a[0].(*starlark.List)
	d, p := starlark.NewDict(0), passOf(t)
	for i := range pairs.Len() {
		kv := pairs.Index(i).(starlark.Tuple)
		if err := p.setKey(d, kv[0], kv[1]); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// dictOfUnique makes a large dict that is written out.
func dictOfUnique(t *starlark.Thread, a starlark.Tuple) (starlark.Value, error) {
	pairs := a[0].(*starlark.List)
	d, p := starlark.NewDict(pairs.Len()), passOf(t)
	for i := range pairs.Len() {
		kv := pairs.Index(i).(starlark.Tuple)
		if err := p.setKey(d, kv[0], kv[1]); err != nil {
			return nil, err
		}
		if d.Len() == i {
			return nil, fmt.Errorf("duplicate key: %v", kv[0])
		}
	}
	return d, nil
}

// slice is x[lo:hi:step], with the texts of the interpreter.
func slice(t *starlark.Thread, a starlark.Tuple) (starlark.Value, error) {
	x, ok := a[0].(starlark.Sliceable)
	if !ok {
		return nil, fmt.Errorf("invalid slice operand %s", a[0].Type())
	}
	n, step := x.Len(), 1
	if a[3] != starlark.None {
		var err error
		if step, err = starlark.AsInt32(a[3]); err != nil {
			return nil, fmt.Errorf("invalid slice step: %s", err)
		}
		if step == 0 {
			return nil, fmt.Errorf("zero is not a valid slice step")
		}
	}
	start, end := 0, n
	if step < 0 {
		start, end = n-1, -1
	}
	if err := sliceIndex(a[1], n, &start); err != nil {
		return nil, fmt.Errorf("invalid start index: %s", err)
	}
	if err := sliceIndex(a[2], n, &end); err != nil {
		return nil, fmt.Errorf("invalid end index: %s", err)
	}
	size := 0
	if step > 0 {
		start, end = min(max(start, 0), n), min(max(end, 0), n)
		end = max(start, end)
		size = (end - start + step - 1) / step
	} else {
		start, end = min(start, n-1), max(end, -1)
		start = max(start, end)
		size = (start - end - step - 1) / -step
	}
	var err error
	switch {
	case x.Type() == "range", step == 1 && isText(x): // which share what they are of
	default:
		err = spend(t, size)
	}
	if err != nil {
		return nil, err
	}
	return x.Slice(start, end, step), nil
}

func isText(v starlark.Value) bool {
	switch v.(type) {
	case starlark.String, starlark.Bytes:
		return true
	}
	return false
}

func sliceIndex(v starlark.Value, n int, result *int) error {
	if v == starlark.None {
		return nil
	}
	i, err := starlark.AsInt32(v)
	if err != nil {
		return err
	}
	if i < 0 {
		i += n
	}
	*result = i
	return nil
}
