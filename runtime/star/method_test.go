package star

import (
	"maps"
	"slices"
	"sort"
	"strings"
	"testing"

	"go.starlark.net/starlark"

	"github.com/starling-rules/starling/runtime"
)

// ownTypes are the interpreter's types that have methods.
var ownTypes = []starlark.HasAttrs{starlark.String(""), starlark.Bytes(""), &starlark.Dict{}, &starlark.List{}, &starlark.Set{}}

// TestEveryMethodIsListed fails when a new version of the interpreter brings a
// method: read what it does, then list it in method.go, with a guard if it can
// make much of little.
func TestEveryMethodIsListed(t *testing.T) {
	t.Parallel()
	for _, v := range ownTypes {
		have, listed := v.AttrNames(), slices.Sorted(maps.Keys(methodsOf(v)))
		if sort.Strings(have); !slices.Equal(have, listed) {
			t.Errorf("methods of %s: the interpreter has %v, listed are %v", v.(starlark.Value).Type(), have, listed)
		}
	}
	for _, v := range []starlark.Value{starlark.None, starlark.True, starlark.MakeInt(1), starlark.Float(1), starlark.Tuple{}, ranged(t)} {
		if v, ok := v.(starlark.HasAttrs); ok {
			t.Errorf("a %s has attributes now: %v", v.(starlark.Value).Type(), v.AttrNames())
		}
	}
}

func ranged(t *testing.T) starlark.Value {
	t.Helper()
	v, err := starlark.Universe["range"].(*starlark.Builtin).CallInternal(new(starlark.Thread), starlark.Tuple{starlark.MakeInt(3)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestEveryFunctionIsListed does the same for the functions of the language.
func TestEveryFunctionIsListed(t *testing.T) {
	t.Parallel()
	for name := range starlark.Universe {
		if owns[name] == nil && natives[name] == nil && !slices.Contains(plainFunctions, name) {
			t.Errorf("the interpreter has a function %s, which is in neither list", name)
		}
	}
	l, err := New(runtime.Host{})
	if err != nil {
		t.Fatal(err)
	}
	for name := range l.predeclared {
		if _, ok := starlark.Universe[name]; !ok && natives[name] == nil && name != "struct" && name != "config" && !strings.HasPrefix(name, "$") {
			t.Errorf("scripts have a function %s, which nobody declared", name)
		}
	}
}

// TestAMethodThatIsNotListedDoesNotExist takes one off the list.
func TestAMethodThatIsNotListedDoesNotExist(t *testing.T) {
	t.Parallel()
	known := maps.Clone(stringMethods)
	delete(known, "upper")
	if got := unlisted(starlark.String("").AttrNames(), known); !slices.Equal(got, []string{"upper"}) {
		t.Errorf("got %v, want upper", got)
	}
	for name, want := range map[string]bool{"upper": false, "nothing": true} {
		if got := hidden(starlark.String("x"), name); got != want {
			t.Errorf("%s of a text: hidden is %v", name, got)
		}
	}
	// bytes has no method of that name, as if it had not been listed.
	for _, name := range []string{"upper", "nothing"} {
		if v, err := attr(starlark.Bytes("x"), name); err == nil || !strings.Contains(err.Error(), "bytes has no ."+name) {
			t.Errorf("got %v, %v", v, err)
		}
	}
}
