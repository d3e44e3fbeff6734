package star

import (
	"fmt"
	"sort"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// The functions that look at all elements: any, all, min, max and sorted.

func quantifier(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	it, err := iterable(b, args, kwargs, 1)
	if err != nil {
		return nil, err
	}
	stop := b.Name() == "any"
	m := meter{t: t}
	defer m.done()
	iter := it.Iterate()
	defer iter.Done()
	var v starlark.Value
	for iter.Next(&v) {
		if err := m.add(1); err != nil {
			return nil, err
		}
		if bool(v.Truth()) == stop {
			return starlark.Bool(stop), nil
		}
	}
	return starlark.Bool(!stop), nil
}

// extreme is min and max.
func extreme(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var key starlark.Callable
	op := syntax.LT
	if b.Name() == "max" {
		op = syntax.GT
	}
	if len(args) == 0 {
		return nil, fmt.Errorf("%s requires at least one positional argument", b.Name())
	}
	if err := starlark.UnpackArgs(b.Name(), nil, kwargs, "key?", &key); err != nil {
		return nil, err
	}
	var it starlark.Iterable = args
	if len(args) == 1 {
		var ok bool
		if it, ok = args[0].(starlark.Iterable); !ok {
			return nil, fmt.Errorf("%s: %s value is not iterable", b.Name(), args[0].Type())
		}
	}
	var best, bestKey starlark.Value
	m := meter{t: t}
	err := each(t, it, func(v starlark.Value) error {
		k := v
		if key != nil {
			var err error
			if k, err = starlark.Call(t, key, starlark.Tuple{v}, nil); err != nil {
				return err // as it is, to keep the stack
			}
		}
		if best == nil {
			best, bestKey = v, k
			return nil
		}
		better, err := compare(&m, op, k, bestKey, maxNesting)
		if err != nil {
			return named(b, err)
		}
		if better {
			best, bestKey = v, k
		}
		return nil
	})
	m.done()
	switch {
	case err != nil:
		return nil, err
	case best == nil:
		return nil, fmt.Errorf("%s: argument is an empty sequence", b.Name())
	}
	return best, nil
}

// sorter sorts values by keys.
type sorter struct {
	m            meter
	keys, values []starlark.Value // the same slice without a key function
	own          bool             // keys is a slice of its own
	err          error
}

// sortStopped is the panic that leaves a sort early.
type sortStopped struct{}

func (s *sorter) Len() int { return len(s.keys) }

func (s *sorter) Less(i, j int) bool {
	s.err = s.m.add(1)
	ok := false
	if s.err == nil {
		ok, s.err = compare(&s.m, syntax.LT, s.keys[i], s.keys[j], maxNesting)
	}
	if s.err != nil {
		panic(sortStopped{})
	}
	return ok
}

func (s *sorter) Swap(i, j int) {
	s.keys[i], s.keys[j] = s.keys[j], s.keys[i]
	if s.own {
		s.values[i], s.values[j] = s.values[j], s.values[i]
	}
}

func (s *sorter) sort(reverse bool) {
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(sortStopped); !ok {
				panic(r)
			}
		}
	}()
	if reverse {
		sort.Stable(sort.Reverse(s))
	} else {
		sort.Stable(s)
	}
}

func sorted(t *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var it starlark.Iterable
	var key starlark.Callable
	var reverse bool
	if err := starlark.UnpackArgs("sorted", args, kwargs, "iterable", &it, "key?", &key, "reverse?", &reverse); err != nil {
		return nil, err
	}
	values, err := collect(t, it)
	if err != nil {
		return nil, err
	}
	s := &sorter{m: meter{t: t}, keys: values, values: values}
	if key != nil {
		if err := spend(t, len(values)); err != nil {
			return nil, err
		}
		s.keys, s.own = make([]starlark.Value, len(values)), true
		for i, v := range values {
			if s.keys[i], err = starlark.Call(t, key, starlark.Tuple{v}, nil); err != nil {
				return nil, err // as it is, to keep the stack
			}
		}
	}
	s.sort(reverse)
	s.m.done()
	if s.err != nil {
		return nil, s.err
	}
	return starlark.NewList(values), nil
}
