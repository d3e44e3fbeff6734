package star

import (
	"fmt"
	"reflect"

	"go.starlark.net/syntax"

	"github.com/starling-rules/starling/runtime"
)

// Tree is the syntax of a file, for tools that change how it looks but not
// what it says. It is immutable.
type Tree struct{ file *syntax.File }

// Parse reads one file without resolving its names. Its errors are
// runtime.Errors; text above the default limit of sources is one.
func Parse(path string, text []byte) (*Tree, error) {
	ld := &loader{bundle: &runtime.Bundle{Main: path, Files: map[string][]byte{path: text}}}
	if most := runtime.DefaultLimits.Source; len(text) > most {
		return nil, runtime.Errors{{
			Kind: runtime.LimitError, Limit: runtime.LimitSource, Pos: runtime.Position{Path: path},
			Msg: fmt.Sprintf("source of %d bytes exceeds the limit of %d", len(text), most),
		}}
	}
	f, err := parse(path, text)
	if err != nil {
		ld.syntaxError(err)
		return nil, ld.problems()
	}
	return &Tree{f}, nil
}

// Same reports whether two trees say the same: they differ at most in
// positions, comments, and in how literals are written.
func (t *Tree) Same(u *Tree) bool {
	return sameSyntax(reflect.ValueOf(t.file.Stmts), reflect.ValueOf(u.file.Stmts))
}

var (
	positionType = reflect.TypeFor[syntax.Position]()
	literalType  = reflect.TypeFor[*syntax.Literal]()
)

// sameSyntax walks two trees of package syntax side by side.
func sameSyntax(a, b reflect.Value) bool {
	if a.Type() != b.Type() {
		return false
	}
	switch a.Kind() {
	case reflect.Interface:
		if a.IsNil() || b.IsNil() {
			return a.IsNil() == b.IsNil()
		}
		return sameSyntax(a.Elem(), b.Elem())
	case reflect.Pointer:
		if a.IsNil() || b.IsNil() {
			return a.IsNil() == b.IsNil()
		}
		if a.Type() == literalType {
			x, y := a.Interface().(*syntax.Literal), b.Interface().(*syntax.Literal)
			return x.Token == y.Token && reflect.DeepEqual(x.Value, y.Value)
		}
		return sameSyntax(a.Elem(), b.Elem())
	case reflect.Slice:
		if a.Len() != b.Len() {
			return false
		}
		for i := range a.Len() {
			if !sameSyntax(a.Index(i), b.Index(i)) {
				return false
			}
		}
		return true
	case reflect.Struct:
		if a.Type() == positionType {
			return true
		}
		for i := range a.NumField() {
			if f := a.Type().Field(i); f.IsExported() && !sameSyntax(a.Field(i), b.Field(i)) {
				return false
			}
		}
		return true
	}
	return a.Interface() == b.Interface()
}
