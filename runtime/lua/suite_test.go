package lua_test

import (
	"testing"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/lua"
	"github.com/starling-rules/starling/runtime/runtimetest"
)

func newLanguage(t testing.TB) *lua.Language {
	t.Helper()
	l, err := lua.New(runtimetest.Host())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestSuiteInProcess(t *testing.T) {
	t.Parallel()
	runtimetest.Run(t, "lua", ".lua", func(t testing.TB) runtime.Pool {
		return runtime.NewLocal([]runtime.Language{newLanguage(t)}, runtime.LocalOptions{})
	})
}
