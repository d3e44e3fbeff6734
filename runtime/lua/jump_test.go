package lua_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/starling-rules/starling/runtime"
)

// TestLoopsThatBeginWithAJump runs every kind of loop over every kind of first
// statement that is compiled to a jump, and counts what it does.
func TestLoopsThatBeginWithAJump(t *testing.T) {
	t.Parallel()
	loops := []string{
		"for k, w in ipairs({7, 8}) do %s n = n + k end",
		"for k = 1, 2 do %s n = n + k end",
		"local k = 0 while k < 2 do k = k + 1 %s n = n + k end",
		"local k = 0 while true do k = k + 1 %s n = n + k if k == 2 then break end end",
		"local k = 0 while true do %s k = k + 1 n = n + k if k == 2 then break end end",
		"local k = 0 repeat %s k = k + 1 n = n + k until k == 2",
		"local k = 0 ::top:: %s k = k + 1 n = n + k if k < 2 then goto top end",
	}
	firsts := []string{
		"", "local p = (false and f(1, 2, 3))", "local p, q = (false and (f == f(1, 2)))", "local p, q = (true or (f < f(1, 2)))",
		"local p = nil and f(1, 2, 3)", "local p = 1 or f(1, 2, 3)", "local p, q = (true and f(1, 2, 3)) assert(p == 1 and q == nil)",
		"local p, q = (false or f(nil, 2)) assert(p == nil and q == nil)", "local t = {true and f(1, 2)} assert(#t == 1)",
		"local p = (false or nil) and f(1) or 2 assert(p == 2)",
		"goto on ::on::", "do goto on2 end ::on2::", "if false then n = 100 end", "if nil then n = 100 else goto on3 end ::on3::",
		"while true do break end", "while false do n = 100 end", "repeat break until false", "repeat do break end until false",
		"do do end end", "do while 1 do break end end", "if true then goto on4 end ::on4::", "for _ in ipairs({1, 2}) do break end",
		"while true and true do break end", "while 'x' or f(1, 2) do break end", "while nil or f(1) do break end",
	}
	for i, loop := range loops {
		for _, first := range firsts {
			body := strings.Replace(loop, "%s", first, 1)
			for _, params := range []string{"", "e", "a, b, c"} {
				src := fmt.Sprintf("local function f(...) return ... end\nlocal function h(%s)\n local n, v1, v2 = 0, 5, 6\n %s\n return n .. ' ' .. v1 .. v2\nend\non.message('x', h)\n", params, body)
				if params == "" {
					src = fmt.Sprintf("local function f(...) return ... end\nlocal n, v1, v2 = 0, 5, 6\n %s\nlocal out = n .. ' ' .. v1 .. v2\non.message('x', function() return out end)\n", body)
				}
				t.Run(fmt.Sprintf("%d %s (%s)", i, first, params), func(t *testing.T) {
					t.Parallel()
					b := runtime.NewBundle("lua", "a.lua", map[string][]byte{"a.lua": []byte(src)}, nil)
					m, man, err := newLanguage(t).Load(t.Context(), b, runtime.Limits{})
					if err != nil {
						t.Fatal(err)
					}
					fn, _ := man.Registrations[0].Args.Get("fn")
					r := m.Run(t.Context(), &runtime.Call{Func: fn.(runtime.Func).Index, When: -1})
					if r.Err != nil || r.Return != "3 56" {
						t.Errorf("got %v %v, want 3 56\n%s", r.Return, r.Err, src)
					}
				})
			}
		}
	}
}
