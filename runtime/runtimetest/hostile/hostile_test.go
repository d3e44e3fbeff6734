package hostile_test

import (
	"testing"

	"github.com/starling-rules/starling/runtime/runtimetest/hostile"
)

func TestNamesAndFilesAreUnique(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, s := range append(hostile.Star(), hostile.Lua()...) {
		if f := s.File(); seen[f] || s.Source == "" {
			t.Errorf("%s: the file %s exists already, or is empty", s.Name, f)
		} else {
			seen[f] = true
		}
	}
	if star, lua := len(hostile.Star()), len(hostile.Lua()); star < 240 || lua < 140 {
		t.Errorf("only %d scripts in Starlark and %d in Lua", star, lua)
	}
}
