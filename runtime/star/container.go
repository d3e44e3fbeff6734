package star

import (
	"errors"
	"fmt"

	"go.starlark.net/starlark"
)

// The guarded methods of lists, dicts and sets.

// sized is a method that makes a list of all keys or values.
func sized(t *starlark.Thread, x starlark.Value, name string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if err := spend(t, 2*starlark.Len(x)); err != nil {
		return nil, err
	}
	return upstream(t, x, name, args, kwargs)
}

func dictItems(t *starlark.Thread, x starlark.Value, name string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if err := spend(t, 3*starlark.Len(x)); err != nil {
		return nil, err
	}
	v, err := upstream(t, x, name, args, kwargs)
	if err != nil {
		return nil, err
	}
	list := v.(*starlark.List)
	for i := range list.Len() {
		if err := tree(t, list.Index(i).(starlark.Tuple)); err != nil {
			return nil, err
		}
	}
	return v, nil
}

func clearAll(t *starlark.Thread, x starlark.Value, name string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if err := spend(t, starlark.Len(x)/4); err != nil {
		return nil, err
	}
	delete(passOf(t).tables, x)
	return upstream(t, x, name, args, kwargs)
}

// popKey is a method that removes the key that is its first argument.
func popKey(t *starlark.Thread, x starlark.Value, name string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if len(args) == 0 || starlark.Len(x) < tableMin {
		return upstream(t, x, name, args, kwargs)
	}
	if err := spend(t, hashCost(args[0])); err != nil {
		return nil, err
	}
	return passOf(t).forget(x.(hashed), args[0], func() (starlark.Value, error) { return upstream(t, x, name, args, kwargs) })
}

// popItem is a method that removes the oldest key.
func popItem(t *starlark.Thread, x starlark.Value, name string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if starlark.Len(x) < tableMin {
		return upstream(t, x, name, args, kwargs)
	}
	iter := starlark.Iterate(x)
	var k starlark.Value
	iter.Next(&k)
	iter.Done()
	return passOf(t).forget(x.(hashed), k, func() (starlark.Value, error) { return upstream(t, x, name, args, kwargs) })
}

func setDefault(t *starlark.Thread, x starlark.Value, name string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if len(args) == 0 || starlark.Len(x) < tableMin {
		return upstream(t, x, name, args, kwargs)
	}
	var v starlark.Value
	err := passOf(t).insert(x.(hashed), args[0], func() (err error) {
		v, err = upstream(t, x, name, args, kwargs)
		return err
	})
	return v, err
}

func dictUpdate(t *starlark.Thread, x starlark.Value, _ string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if len(args) > 1 {
		return nil, fmt.Errorf("update: got %d arguments, want at most 1", len(args))
	}
	if err := update(t, x.(*starlark.Dict), args, kwargs); err != nil {
		return nil, fmt.Errorf("update: %w", err)
	}
	return starlark.None, nil
}

func listExtend(t *starlark.Thread, x starlark.Value, name string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var it starlark.Iterable
	if err := starlark.UnpackPositionalArgs(name, args, kwargs, 1, &it); err != nil {
		return nil, err
	}
	return starlark.None, extend(t, x.(*starlark.List), it)
}

// extend puts the elements of an iterable behind those of x.
func extend(t *starlark.Thread, x *starlark.List, y starlark.Value) error {
	it, ok := y.(*starlark.List)
	if ok {
		if err := spend(t, it.Len()); err != nil {
			return err
		}
	} else {
		list, err := collect(t, y.(starlark.Iterable))
		if err != nil {
			return err
		}
		it = starlark.NewList(list)
	}
	if n := x.Len() + it.Len(); n > maxElems {
		return elems(t, n)
	}
	_, err := upstream(t, x, "extend", starlark.Tuple{it}, nil)
	return err
}

func listIndex(t *starlark.Thread, x starlark.Value, name string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var value, from, to starlark.Value = nil, starlark.None, starlark.None
	if err := starlark.UnpackPositionalArgs(name, args, kwargs, 1, &value, &from, &to); err != nil {
		return nil, err
	}
	list := x.(*starlark.List)
	start, end := 0, list.Len()
	if err := sliceIndex(from, list.Len(), &start); err != nil {
		return nil, fmt.Errorf("index: invalid start index: %s", err)
	}
	if err := sliceIndex(to, list.Len(), &end); err != nil {
		return nil, fmt.Errorf("index: invalid end index: %s", err)
	}
	m := meter{t: t}
	defer m.done()
	i, err := find(&m, value, list, max(start, 0), min(end, list.Len()))
	switch {
	case err != nil:
		return nil, fmt.Errorf("index: %w", err)
	case i < 0:
		return nil, errors.New("index: value not in list")
	}
	return starlark.MakeInt(i), nil
}

// moved pays for moving the elements behind index i, which is an argument.
func moved(t *starlark.Thread, x starlark.Value, args starlark.Tuple) error {
	n := starlark.Len(x)
	if len(args) == 0 || n < 64 {
		return nil
	}
	i, err := starlark.AsInt32(args[0])
	if err != nil {
		return nil // which the method says better
	}
	return spend(t, (n-clamp(i, n))/8)
}

func listInsert(t *starlark.Thread, x starlark.Value, name string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if err := moved(t, x, args); err != nil {
		return nil, err
	}
	if n := starlark.Len(x) + 1; n > maxElems {
		return nil, elems(t, n)
	}
	return upstream(t, x, name, args, kwargs)
}

func listPop(t *starlark.Thread, x starlark.Value, name string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if err := moved(t, x, args); err != nil {
		return nil, err
	}
	return upstream(t, x, name, args, kwargs)
}

func listRemove(t *starlark.Thread, x starlark.Value, name string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var value starlark.Value
	if err := starlark.UnpackPositionalArgs(name, args, kwargs, 1, &value); err != nil {
		return nil, err
	}
	list := x.(*starlark.List)
	if n := list.Len(); n == 0 || list.SetIndex(0, list.Index(0)) != nil {
		return upstream(t, x, name, args, kwargs) // which says why not
	}
	m := meter{t: t}
	i, err := find(&m, value, list, 0, list.Len())
	m.done()
	switch {
	case err != nil:
		return nil, fmt.Errorf("remove: %w", err)
	case i < 0:
		return nil, errors.New("remove: element not found")
	}
	_, err = listPop(t, x, "pop", starlark.Tuple{starlark.MakeInt(i)}, nil)
	return starlark.None, err
}

func setAdd(t *starlark.Thread, x starlark.Value, name string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if len(args) == 0 || starlark.Len(x) < tableMin && hashCost(args[0]) == 0 {
		return upstream(t, x, name, args, kwargs)
	}
	return starlark.None, passOf(t).insert(x.(hashed), args[0], func() error {
		_, err := upstream(t, x, name, args, kwargs)
		return err
	})
}

// setOperation is a method of a set with another, which may be any iterable.
func setOperation(t *starlark.Thread, x starlark.Value, name string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if len(args) == 0 && len(kwargs) == 0 {
		return nil, fmt.Errorf("%s: got 0 arguments, want 1", name) // the interpreter's own would panic
	}
	if len(args) == 1 && len(kwargs) == 0 {
		if _, ok := args[0].(*starlark.Set); !ok {
			it, ok := args[0].(starlark.Iterable)
			if !ok {
				return upstream(t, x, name, args, kwargs)
			}
			s := starlark.NewSet(0)
			if err := addAll(t, s, it); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			args = starlark.Tuple{s}
		}
		if err := payMerge(t, x, args[0]); err != nil {
			return nil, err
		}
	}
	return upstream(t, x, name, args, kwargs)
}

func setUnion(t *starlark.Thread, x starlark.Value, name string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if len(kwargs) > 0 {
		return upstream(t, x, name, args, kwargs)
	}
	s := x.(*starlark.Set)
	if err := payMerge(t, s, s); err != nil {
		return nil, err
	}
	all, err := s.Union(starlark.Tuple(nil).Iterate())
	if err != nil {
		return nil, err
	}
	if err := updateSet(t, all.(*starlark.Set), name, args); err != nil {
		return nil, err
	}
	return all, nil
}

func setUpdate(t *starlark.Thread, x starlark.Value, name string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if len(kwargs) > 0 {
		return upstream(t, x, name, args, kwargs)
	}
	if err := updateSet(t, x.(*starlark.Set), name, args); err != nil {
		return nil, err
	}
	return starlark.None, nil
}

func updateSet(t *starlark.Thread, s *starlark.Set, name string, args starlark.Tuple) error {
	for i, arg := range args {
		it, ok := arg.(starlark.Iterable)
		if !ok {
			return fmt.Errorf("%s: argument #%d is not iterable: %s", name, i+1, arg.Type())
		}
		if err := addAll(t, s, it); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}
