package star_test

import (
	"testing"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/runtimetest"
	"github.com/starling-rules/starling/runtime/star"
)

func newLanguage(t testing.TB) *star.Language {
	t.Helper()
	l, err := star.New(runtimetest.Host())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestSuiteInProcess(t *testing.T) {
	t.Parallel()
	runtimetest.Run(t, "starlark", ".star", func(t testing.TB) runtime.Pool {
		return runtime.NewLocal([]runtime.Language{newLanguage(t)}, runtime.LocalOptions{})
	})
}
