package star

import (
	"fmt"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
)

// guards are the functions that the rewriting (rewrite.go) puts in the place
// of operators. No script can type their names.
var guards = map[string]native{
	"$eq": func(t *starlark.Thread, _ *starlark.Builtin, a starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
		return asBool(equal(a[0], a[1], equalDepth))
	},
	"$ne": func(t *starlark.Thread, _ *starlark.Builtin, a starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
		return asBool(not(equal(a[0], a[1], equalDepth)))
	},
	"$in": func(t *starlark.Thread, _ *starlark.Builtin, a starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
		return asBool(contains(a[0], a[1]))
	},
	"$notin": func(t *starlark.Thread, _ *starlark.Builtin, a starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
		return asBool(not(contains(a[0], a[1])))
	},
}

func asBool(ok bool, err error) (starlark.Value, error) {
	if err != nil {
		return nil, err
	}
	return starlark.Bool(ok), nil
}

func not(ok bool, err error) (bool, error) { return !ok, err }

// equalDepth bounds the nesting of what is compared.
const equalDepth = 32

// equal is ==: as the interpreter's, but a view is equal to the dict or list
// it shows, also deep inside other values.
func equal(x, y starlark.Value, depth int) (bool, error) {
	if depth == 0 {
		return false, fmt.Errorf("comparison of values nested more than %d deep", equalDepth)
	}
	if isPending(x) || isPending(y) {
		return false, suspension{}
	}
	switch x := x.(type) {
	case starlark.String:
		s, ok := y.(starlark.String)
		return ok && x == s, nil
	case *starlark.Dict, *dictView, *calledView:
		if !isDict(y) {
			return false, nil
		}
		return equalDicts(x.(starlark.IterableMapping), y.(starlark.IterableMapping), depth)
	case *starlark.List, *listView, *calledList:
		if !isList(y) {
			return false, nil
		}
		return equalSequences(x.(starlark.Indexable), y.(starlark.Indexable), depth)
	case starlark.Tuple:
		t, ok := y.(starlark.Tuple)
		if !ok {
			return false, nil
		}
		return equalSequences(x, t, depth)
	case *starlarkstruct.Struct:
		s, ok := y.(*starlarkstruct.Struct)
		if !ok {
			return false, nil
		}
		return equalStructs(x, s, depth)
	}
	return starlark.EqualDepth(x, y, min(depth, starlark.CompareLimit))
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

func equalDicts(x, y starlark.IterableMapping, depth int) (bool, error) {
	if starlark.Len(x) != starlark.Len(y) {
		return false, nil
	}
	for _, kv := range x.Items() {
		w, found, err := y.Get(kv[0])
		if err != nil || !found {
			return false, err
		}
		if ok, err := equal(kv[1], w, depth-1); !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

func equalSequences(x, y starlark.Indexable, depth int) (bool, error) {
	if x.Len() != y.Len() {
		return false, nil
	}
	for i := range x.Len() {
		if ok, err := equal(x.Index(i), y.Index(i), depth-1); !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

func equalStructs(x, y *starlarkstruct.Struct, depth int) (bool, error) {
	names := x.AttrNames()
	if other := y.AttrNames(); len(names) != len(other) {
		return false, nil
	}
	for _, name := range names {
		a, err := x.Attr(name)
		if err != nil {
			return false, err
		}
		b, err := y.Attr(name)
		if err != nil {
			return false, nil // y has no such field
		}
		if ok, err := equal(a, b, depth-1); !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

// contains is x in y. Lists and tuples compare with equal.
func contains(x, y starlark.Value) (bool, error) {
	if isPending(x) || isPending(y) {
		return false, suspension{}
	}
	switch y := y.(type) {
	case *starlark.List:
		return containsElem(x, y)
	case starlark.Tuple:
		return containsElem(x, y)
	}
	found, err := starlark.Binary(tokenIn, x, y)
	if err != nil {
		return false, err
	}
	return bool(found.Truth()), nil
}

func containsElem(x starlark.Value, y starlark.Indexable) (bool, error) {
	for i := range y.Len() {
		if ok, err := equal(y.Index(i), x, equalDepth); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}
