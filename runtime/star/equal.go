package star

import (
	"fmt"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
	"go.starlark.net/syntax"
)

// equal is ==: as the interpreter's, but a view is equal to the dict or list
// it shows, also deep inside other values, and each pair that is looked at is
// paid for: values that share their parts are small and take forever.
func equal(m *meter, x, y starlark.Value, depth int) (bool, error) {
	if depth == 0 {
		return false, fmt.Errorf("comparison of values nested more than %d deep", maxNesting)
	}
	if isPending(x) || isPending(y) {
		return false, suspension{}
	}
	switch x := x.(type) {
	case starlark.String:
		s, ok := y.(starlark.String)
		if !ok || len(s) != len(x) {
			return false, nil
		}
		if err := m.add(len(s) / 64); err != nil {
			return false, err
		}
		return x == s, nil
	case *starlark.Dict, *dictView, *calledView:
		if !isDict(y) {
			return false, nil
		}
		return equalDicts(m, x.(starlark.IterableMapping), y.(starlark.IterableMapping), depth)
	case *starlark.List, *listView, *calledList:
		if !isList(y) {
			return false, nil
		}
		return equalSequences(m, x.(starlark.Indexable), y.(starlark.Indexable), depth)
	case starlark.Tuple:
		t, ok := y.(starlark.Tuple)
		if !ok {
			return false, nil
		}
		return equalSequences(m, x, t, depth)
	case *starlarkstruct.Struct:
		s, ok := y.(*starlarkstruct.Struct)
		if !ok {
			return false, nil
		}
		return equalStructs(m, x, s, depth)
	case *starlark.Set:
		if err := payMerge(m.t, x, y); err != nil {
			return false, err
		}
	case starlark.Bytes:
		if err := m.add(len(x) / 64); err != nil {
			return false, err
		}
	}
	return starlark.EqualDepth(x, y, starlark.CompareLimit)
}

// compare is the ordering of two values, as the interpreter's, paid for.
func compare(m *meter, op syntax.Token, x, y starlark.Value, depth int) (bool, error) {
	if depth == 0 {
		return false, fmt.Errorf("comparison of values nested more than %d deep", maxNesting)
	}
	switch x := x.(type) {
	case starlark.String:
		if y, ok := y.(starlark.String); ok {
			if err := m.add(min(len(x), len(y)) / 64); err != nil {
				return false, err
			}
		}
	case starlark.Bytes:
		if err := m.add(len(x) / 64); err != nil {
			return false, err
		}
	case *starlark.List:
		if y, ok := y.(*starlark.List); ok {
			return compareSequences(m, op, x, y, depth)
		}
	case starlark.Tuple:
		if y, ok := y.(starlark.Tuple); ok {
			return compareSequences(m, op, x, y, depth)
		}
	case *starlark.Set:
		if err := payMerge(m.t, x, y); err != nil {
			return false, err
		}
	}
	return starlark.CompareDepth(op, x, y, starlark.CompareLimit)
}

func compareSequences(m *meter, op syntax.Token, x, y starlark.Indexable, depth int) (bool, error) {
	for i := range min(x.Len(), y.Len()) {
		a, b := x.Index(i), y.Index(i)
		if err := m.add(1); err != nil {
			return false, err
		}
		if ok, err := equal(m, a, b, depth-1); err != nil {
			return false, err
		} else if !ok {
			return compare(m, op, a, b, depth-1)
		}
	}
	switch op {
	case syntax.LT:
		return x.Len() < y.Len(), nil
	case syntax.LE:
		return x.Len() <= y.Len(), nil
	case syntax.GT:
		return x.Len() > y.Len(), nil
	}
	return x.Len() >= y.Len(), nil
}

func isPending(v starlark.Value) bool { _, ok := v.(*pending); return ok }

func isDict(v starlark.Value) bool {
	switch v.(type) {
	case *starlark.Dict, *dictView, *calledView:
		return true
	}
	return false
}

func isList(v starlark.Value) bool {
	switch v.(type) {
	case *starlark.List, *listView, *calledList:
		return true
	}
	return false
}

func equalDicts(m *meter, x, y starlark.IterableMapping, depth int) (bool, error) {
	if starlark.Len(x) != starlark.Len(y) {
		return false, nil
	}
	if err := m.add(4 + 2*starlark.Len(x)); err != nil {
		return false, err
	}
	if err := payMerge(m.t, x, y); err != nil {
		return false, err
	}
	for _, kv := range x.Items() {
		w, found, err := y.Get(kv[0])
		if err != nil || !found {
			return false, err
		}
		if ok, err := equal(m, kv[1], w, depth-1); !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

func equalSequences(m *meter, x, y starlark.Indexable, depth int) (bool, error) {
	if x.Len() != y.Len() {
		return false, nil
	}
	for i := range x.Len() {
		if err := m.add(1); err != nil {
			return false, err
		}
		if ok, err := equal(m, x.Index(i), y.Index(i), depth-1); !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

func equalStructs(m *meter, x, y *starlarkstruct.Struct, depth int) (bool, error) {
	if x.Len() != y.Len() {
		return false, nil
	}
	for i := range x.Len() {
		name, a := x.AttrAt(i)
		other, b := y.AttrAt(i)
		if name != other {
			return false, nil
		}
		if err := m.add(1); err != nil {
			return false, err
		}
		if ok, err := equal(m, a, b, depth-1); !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

// contains is x in y. Lists and tuples compare with equal.
func contains(m *meter, x, y starlark.Value) (bool, error) {
	if isPending(x) || isPending(y) {
		return false, suspension{}
	}
	switch y := y.(type) {
	case *starlark.List:
		i, err := find(m, x, y, 0, y.Len())
		return i >= 0, err
	case starlark.Tuple:
		i, err := find(m, x, y, 0, y.Len())
		return i >= 0, err
	case *listView:
		i, err := find(m, x, y, 0, y.Len())
		return i >= 0, err
	case starlark.String:
		if err := m.add(len(y) / 64); err != nil {
			return false, err
		}
	case starlark.Bytes:
		if err := m.add(len(y) / 64); err != nil {
			return false, err
		}
	}
	if err := m.add(hashCost(x)); err != nil {
		return false, err
	}
	found, err := starlark.Binary(syntax.IN, x, y)
	if err != nil {
		return false, err
	}
	return bool(found.Truth()), nil
}

// find returns the index of x among the elements start to end of y, or -1.
func find(m *meter, x starlark.Value, y starlark.Indexable, start, end int) (int, error) {
	for i := start; i < end; i++ {
		if err := m.add(1); err != nil {
			return -1, err
		}
		if ok, err := equal(m, y.Index(i), x, maxNesting); err != nil {
			return -1, err
		} else if ok {
			return i, nil
		}
	}
	return -1, nil
}
