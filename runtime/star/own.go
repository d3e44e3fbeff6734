package star

import (
	"fmt"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
)

// owns are this package's own versions of the interpreter's functions: they
// behave the same, and pay for what they do before they do it.
var owns map[string]native

// plainFunctions are the interpreter's functions that do little, whatever
// they are given. Functions in neither list do not exist for scripts.
var plainFunctions = []string{
	"None", "True", "False", "abs", "bool", "chr", "hasattr", "len", "range", "type",
}

func init() {
	owns = map[string]native{
		"all": quantifier, "any": quantifier, "bytes": bytesOf, "dict": newDict, "dir": dirOf, "enumerate": enumerate,
		"fail": fail, "float": scanned, "getattr": getAttribute, "hash": scanned, "int": intOf, "list": listOf,
		"max": extreme, "min": extreme, "ord": scanned, "print": printLine, "repr": reprOf, "reversed": reversed,
		"set": newSet, "sorted": sorted, "str": strOf, "tuple": tupleOf, "zip": zip, "struct": newStruct,
	}
}

// original calls the interpreter's own function of the same name.
func original(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	return starlark.Universe[b.Name()].(*starlark.Builtin).CallInternal(t, args, kwargs)
}

func named(b *starlark.Builtin, err error) error { return fmt.Errorf("%s: %w", b.Name(), err) }

// each calls f for the elements of an iterable, paying one step for each. It
// pays before it looks if it is known how many there are.
func each(t *starlark.Thread, it starlark.Iterable, f func(starlark.Value) error) error {
	n := starlark.Len(it)
	if n >= 0 {
		if err := spend(t, n); err != nil {
			return err
		}
	}
	m := meter{t: t}
	defer m.done()
	iter := it.Iterate()
	defer iter.Done()
	var v starlark.Value
	for iter.Next(&v) {
		if n < 0 {
			if err := m.add(2); err != nil {
				return err
			}
		}
		if err := f(v); err != nil {
			return err
		}
	}
	return nil
}

// collect returns the elements of an iterable in a slice of its own.
func collect(t *starlark.Thread, it starlark.Iterable) ([]starlark.Value, error) {
	var out []starlark.Value
	n := starlark.Len(it)
	if n > maxElems {
		return nil, elems(t, n)
	}
	err := each(t, it, func(v starlark.Value) error {
		switch {
		case out == nil && n > 0:
			out = make([]starlark.Value, 0, n) // it has been paid for
		case len(out) == maxElems:
			return elems(t, maxElems+1)
		}
		out = append(out, v)
		return nil
	})
	return out, err
}

// iterable unpacks the one argument, which may be missing if min is 0.
func iterable(b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple, least int) (starlark.Iterable, error) {
	var it starlark.Iterable
	err := starlark.UnpackPositionalArgs(b.Name(), args, kwargs, least, &it)
	return it, err
}

func listOf(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	it, err := iterable(b, args, kwargs, 0)
	if err != nil || it == nil {
		return starlark.NewList(nil), err
	}
	list, err := collect(t, it)
	if err != nil {
		return nil, err
	}
	return starlark.NewList(list), nil
}

func tupleOf(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	it, err := iterable(b, args, kwargs, 0)
	if err != nil || it == nil {
		return starlark.Tuple(nil), err
	}
	if n := starlark.Len(it); n > maxTree {
		return nil, tooLarge(t, "tuple of more than 4,096 parts", "use a list")
	}
	list, err := collect(t, it)
	if err != nil {
		return nil, err
	}
	return newTuple(t, list)
}

func reversed(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	it, err := iterable(b, args, kwargs, 1)
	if err != nil {
		return nil, err
	}
	list, err := collect(t, it)
	if err != nil {
		return nil, err
	}
	for i, j := 0, len(list)-1; i < j; i, j = i+1, j-1 {
		list[i], list[j] = list[j], list[i]
	}
	return starlark.NewList(list), nil
}

func enumerate(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var it starlark.Iterable
	start := 0
	if err := starlark.UnpackPositionalArgs(b.Name(), args, kwargs, 1, &it, &start); err != nil {
		return nil, err
	}
	list, err := collect(t, it)
	if err != nil {
		return nil, err
	}
	if err := elems(t, len(list)); err != nil {
		return nil, err
	}
	pairs := make(starlark.Tuple, 2*len(list))
	for i, v := range list {
		pair := pairs[2*i : 2*i+2 : 2*i+2]
		pair[0], pair[1] = starlark.MakeInt(start+i), v
		if err := tree(t, pair); err != nil {
			return nil, err
		}
		list[i] = pair
	}
	return starlark.NewList(list), nil
}

func zip(t *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if len(kwargs) > 0 {
		return nil, fmt.Errorf("zip does not accept keyword arguments")
	}
	iters := make([]starlark.Iterator, 0, len(args))
	defer func() {
		for _, iter := range iters {
			iter.Done()
		}
	}()
	rows := maxElems + 1
	for i, seq := range args {
		iter := starlark.Iterate(seq)
		if iter == nil {
			return nil, fmt.Errorf("zip: argument #%d is not iterable: %s", i+1, seq.Type())
		}
		iters = append(iters, iter)
		if n := starlark.Len(seq); n >= 0 {
			rows = min(rows, n)
		}
	}
	if len(args) == 0 {
		rows = 0
	}
	var out []starlark.Value
	if rows <= maxElems { // else it ends when one of them does
		if err := spend(t, rows); err != nil {
			return nil, err
		}
		out = make([]starlark.Value, 0, rows)
	}
	m := meter{t: t}
	defer m.done()
	for len(out) < rows {
		if err := m.add(len(args) + 2); err != nil {
			return nil, err
		}
		row := make(starlark.Tuple, len(args))
		for j, iter := range iters {
			if !iter.Next(&row[j]) {
				return starlark.NewList(out), nil
			}
		}
		if err := tree(t, row); err != nil {
			return nil, err
		}
		out = append(out, row)
	}
	if len(out) > maxElems {
		return nil, elems(t, len(out))
	}
	return starlark.NewList(out), nil
}

func newSet(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	it, err := iterable(b, args, kwargs, 0)
	if err != nil {
		return nil, err
	}
	if err := spend(t, 10); err != nil {
		return nil, err
	}
	s := starlark.NewSet(0)
	if it != nil {
		if err := addAll(t, s, it); err != nil {
			return nil, named(b, err)
		}
	}
	return s, nil
}

func addAll(t *starlark.Thread, s *starlark.Set, it starlark.Iterable) error {
	p := passOf(t)
	if err := spend(t, 2*max(starlark.Len(it), 0)); err != nil {
		return err
	}
	return each(t, it, func(v starlark.Value) error { return p.addTo(s, v) })
}

func newDict(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if len(args) > 1 {
		return nil, fmt.Errorf("dict: got %d arguments, want at most 1", len(args))
	}
	d := starlark.NewDict(0)
	if err := update(t, d, args, kwargs); err != nil {
		return nil, named(b, err)
	}
	return d, nil
}

// update is what dict() and d.update() have in common.
func update(t *starlark.Thread, d *starlark.Dict, args starlark.Tuple, kwargs []starlark.Tuple) error {
	p := passOf(t)
	if len(args) == 1 {
		switch from := args[0].(type) {
		case starlark.IterableMapping:
			if err := spend(t, 4*max(starlark.Len(from), 0)); err != nil {
				return err
			}
			for _, item := range from.Items() {
				if err := p.setKey(d, item[0], item[1]); err != nil {
					return err
				}
			}
		case starlark.Iterable:
			i := -1
			err := each(t, from, func(pair starlark.Value) error {
				i++
				k, v, err := pairOf(pair, i)
				if err != nil {
					return err
				}
				return p.setKey(d, k, v)
			})
			if err != nil {
				return err
			}
		default:
			return fmt.Errorf("got %s, want iterable", from.Type())
		}
	}
	var seen map[string]bool
	if len(kwargs) > 0 {
		seen = make(map[string]bool, len(kwargs))
	}
	for _, kv := range kwargs {
		k := string(kv[0].(starlark.String))
		if seen[k] {
			return fmt.Errorf("duplicate keyword arg: %v", kv[0])
		}
		seen[k] = true
		if err := p.setKey(d, kv[0], kv[1]); err != nil {
			return err
		}
	}
	return nil
}

func pairOf(pair starlark.Value, i int) (k, v starlark.Value, err error) {
	iter := starlark.Iterate(pair)
	if iter == nil {
		return nil, nil, fmt.Errorf("dictionary update sequence element #%d is not iterable (%s)", i, pair.Type())
	}
	defer iter.Done()
	switch n := starlark.Len(pair); {
	case n < 0:
		return nil, nil, fmt.Errorf("dictionary update sequence element #%d has unknown length (%s)", i, pair.Type())
	case n != 2:
		return nil, nil, fmt.Errorf("dictionary update sequence element #%d has length %d, want 2", i, n)
	}
	iter.Next(&k)
	iter.Next(&v)
	return k, v, nil
}

func bytesOf(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if len(args) == 1 {
		var err error
		switch x := args[0].(type) {
		case starlark.String:
			err = text(t, len(x))
		case starlark.Bytes:
		case starlark.Iterable:
			var list []starlark.Value
			if list, err = collect(t, x); err == nil {
				args = starlark.Tuple{starlark.NewList(list)}
			}
		}
		if err != nil {
			return nil, err
		}
	}
	z, err := original(t, b, args, kwargs)
	return checked(t, z, err)
}

// scanned pays for the length of a text that the interpreter's function reads.
func scanned(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if len(args) > 0 {
		n := 0
		switch x := args[0].(type) {
		case starlark.String:
			n = len(x)
		case starlark.Bytes:
			n = len(x)
		}
		if err := spend(t, n/4); err != nil {
			return nil, err
		}
	}
	return original(t, b, args, kwargs)
}

func intOf(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	for _, v := range args {
		if err := checkDigits(t, v); err != nil {
			return nil, err
		}
	}
	for _, kv := range kwargs {
		if err := checkDigits(t, kv[1]); err != nil {
			return nil, err
		}
	}
	z, err := original(t, b, args, kwargs)
	return checked(t, z, err)
}

// checkDigits bounds the text of an int: reading one takes quadratic time.
func checkDigits(t *starlark.Thread, x starlark.Value) error {
	s, ok := x.(starlark.String)
	if !ok || len(s) <= 1000 {
		return nil
	}
	if len(strings.TrimLeft(string(s), "+-0")) > maxBits+2 {
		return tooLarge(t, "int larger than 2,048 bits", "")
	}
	return spend(t, len(s)*len(s)/4096)
}

// newStruct is struct(…): it can be a key like a tuple, and is bounded as one.
func newStruct(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if err := spend(t, 4*len(kwargs)); err != nil { // they are sorted
		return nil, err
	}
	z, err := starlarkstruct.Make(t, b, args, kwargs)
	return checked(t, z, err)
}

// dirOf is dir(x), which sorts a list of names that it makes.
func dirOf(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	v, err := original(t, b, args, kwargs)
	if err != nil {
		return nil, err
	}
	return v, spend(t, 4*starlark.Len(v))
}

func getAttribute(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if len(kwargs) == 0 && len(args) >= 2 {
		if name, ok := args[1].(starlark.String); ok {
			if err := spend(t, len(name)/16); err != nil {
				return nil, err
			}
			if m := bindMethod(args[0], string(name)); m != nil && len(args) <= 3 {
				return m, nil
			}
			if hidden(args[0], string(name)) {
				if len(args) == 3 {
					return args[2], nil
				}
				return attr(args[0], string(name))
			}
		}
	}
	return original(t, b, args, kwargs)
}
