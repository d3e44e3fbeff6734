package lua_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/starling-rules/starling/runtime"
)

// evaluate returns the JSON of what the body of a handler returns, or its error.
func evaluate(t *testing.T, top, body string) string {
	t.Helper()
	m, man := load(t, top+"\nlocal function h(e)\n"+body+"\nend\non.message(\"x\", h)")
	r := m.Run(context.Background(), callOf(man, hostileInput))
	if r.Err != nil {
		return "error: " + r.Err.Msg
	}
	b, err := runtime.AppendJSON(nil, r.Return)
	if err != nil {
		return "error: " + err.Error()
	}
	return string(b)
}

func TestLanguage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, top, body, want string }{
		{"find", "", `return {("hello world"):find("o w"), ("hello"):find("l+")}`, `[5,3,4]`},
		{"find plain", "", `return {("a.b"):find(".", 1, true), ("a+b"):find("+", 1, true)}`, `[2,2,2]`},
		{"match", "", `return {("key = value"):match("^(%w+)%s*=%s*(%w+)$")}`, `["key","value"]`},
		{"match position", "", `return {("abc"):match("()b()")}`, `[2,3]`},
		{"gmatch", "", `local t = {} for k, v in ("a=1, b=2"):gmatch("(%w+)=(%w+)") do t[#t + 1] = k .. v end return t`, `["a1","b2"]`},
		{"gmatch empty", "", `local n = 0 for _ in ("abc"):gmatch("x*") do n = n + 1 end return n`, `4`},
		{"gsub text", "", `return {("hello"):gsub("l", "L")}`, `["heLLo",2]`},
		{"gsub captures", "", `return (("ab cd"):gsub("(%w)(%w)", "%2%1%%"))`, `"ba% dc%"`},
		{"gsub table", "", `return (("$a $b"):gsub("%$(%w)", {a = 1}))`, `"1 $b"`},
		{"gsub function", "", `return (("1 2"):gsub("%d", function(d) return d * 2 end))`, `"2 4"`},
		{"gsub limit", "", `return {("aaa"):gsub("a", "b", 2)}`, `["bba",2]`},
		{"gsub anchored", "", `return {("aaa"):gsub("^a", "b")}`, `["baa",1]`},
		{"gsub empty", "", `return {("abc"):gsub("", "-")}`, `["-a-b-c-",4]`},
		{"balance", "", `return ("f(a(b)c)d"):match("%b()")`, `"(a(b)c)"`},
		{"frontier", "", `return (("THE (quick) fox"):gsub("%f[%a]%a+%f[%A]", "w"))`, `"w (w) w"`},
		{"back reference", "", `return ("say 'it' now"):match("(['\"])(.-)%1")`, `"'"`},
		{"sets", "", `return {("a-b]c"):match("[%]%-]"), ("x9"):match("[^%a]"), ("f"):match("[a-f]")}`, `["-","9","f"]`},
		{"shortest", "", `return ("<a><b>"):match("<(.-)>")`, `"a"`},
		{"format", "", `return string.format("%5d|%-5s|%05.1f|%x|%q|%%|%s|%c", 42, "ab", 3.14159, 255, "a\"b", true, 65)`, `"   42|ab   |003.1|ff|\"a\\\"b\"|%|true|A"`},
		{"format of a table has no address", "", `return string.format("%s %s", {}, print)`, `"table function"`},
		{"numbers as text", "", `return {0.1 .. "", 1e15 .. "", 10 / 2 .. "", -0.5 .. "", 2^53 .. "", 1/0 .. ""}`, `["0.1","1e+15","5","-0.5","9.007199254741e+15","inf"]`},
		{"tonumber", "", `return {tonumber("0x10"), tonumber("10", 2), tonumber(" 5 "), tonumber("1e2"), tostring(tonumber("x"))}`, `[16,2,5,100,"nil"]`},
		{"sub", "", `return {("hello"):sub(2, -2), ("hello"):sub(-3), ("hello"):sub(10), ("x"):rep(3), ("abc"):reverse()}`, `["ell","llo","","xxx","cba"]`},
		{"bytes", "", `return {("AB"):byte(1, -1), string.char(72, 105)}`, `[65,"Hi"]`},
		{"sort", "", `local t = {3, 1, 2} table.sort(t) local u = {"b", "a"} table.sort(u, function(a, b) return a > b end) return {t, u}`, `[[1,2,3],["b","a"]]`},
		{"insert and remove", "", `local t = {1, 3} table.insert(t, 2, 2) table.insert(t, 4) local last = table.remove(t) return {t, last, table.remove(t, 1), #t}`, `[[2,3],4,1,2]`},
		{"pairs in order", "", `local k = {} for key in pairs({z = 1, a = 2, 5, 6, m = 3}) do k[#k + 1] = tostring(key) end return k`, `["1","2","z","a","m"]`},
		{"varargs", "", `local function f(...) return select("#", ...), ... end return {f(1, nil, 3)}`, `error: return value: a list has a gap: there is no element 3`},
		{"closures", "", `local n = 0 local function inc() n = n + 1 return n end inc() inc() return n`, `2`},
		{"caught errors keep variables", "", `local n = 0 local function inc() n = n + 1 end pcall(function() inc() error("x") end) inc() return n`, `2`},
		{"__call that is no function", "", `local t = setmetatable({}, {__call = {}}) local v, err = catch(t) return {select(2, pcall(t)), v == nil, err ~= nil}`, `["attempt to call a table",true,true]`},
		{"methods", "local A = {} A.__index = A function A.new(n) return setmetatable({n = n}, A) end function A:twice() return self.n * 2 end", `return A.new(21):twice()`, `42`},
		{"inheritance", `local A = {} A.__index = A function A:name() return "a" end local B = setmetatable({}, {__index = A}) B.__index = B`, `return setmetatable({}, B):name() .. B:name()`, `"aa"`},
		{"frozen object", `local o = setmetatable({n = 1}, {__index = function(t, k) return k .. "!" end, __tostring = function() return "me" end, __call = function(_, x) return x end})`, `return {o.n, o.x, tostring(o), o(5), getmetatable(o) ~= nil}`, `[1,"x!","me",5,true]`},
		{"frozen list", `local l = {1, 2, 3}`, `local n = 0 for _, v in ipairs(l) do n = n + v end for k in pairs(l) do n = n + k end return {#l, n, unpack(l), next(l), table.concat(l, "-")}`, `[3,12,1,1,"1-2-3"]`},
		{"operators of tables", "", `local m = {} m.__add = function(a, b) return a.v + b.v end m.__eq = function() return true end m.__lt = function(a, b) return a.v < b.v end m.__concat = function() return "cat" end local a, b = setmetatable({v = 1}, m), setmetatable({v = 2}, m) return {a + b, a == b, a < b, a .. b, a .. "x"}`, `[3,true,true,"cat","cat"]`},
		{"coroutines", "", `local co = coroutine.wrap(function(a) local b = coroutine.yield(a + 1) return b * 2 end) return {co(1), co(10)}`, `[2,20]`},
		{"coroutine status", "", `local co = coroutine.create(function() coroutine.yield() end) local s = {coroutine.status(co)} coroutine.resume(co) s[2] = coroutine.status(co) coroutine.resume(co) s[3] = coroutine.status(co) s[4] = select(2, coroutine.resume(co)) return s`, `["suspended","suspended","dead","cannot resume a dead coroutine"]`},
		{"errors with places", "", `return {pcall(error, "a", 0), select(2, pcall(function() error("b") end)), select(2, pcall(function() local x = nil; return x.y end))}`, `[false,"rule.lua:3: b","rule.lua:3: cannot read field y of nil"]`},
		{"assert", "", `return {assert(1, "no"), select(2, pcall(assert, false, "no")), select(2, pcall(assert, nil))}`, `[1,"no","rule.lua:3: assertion failed"]`},
		{"swap by index", "", `local t, i, j = {1, 2}, 1, 2 t[i], t[j] = t[j], t[i] return t`, `[2,1]`},
		{"swap locals", "", `local a, b, c = 1, 2, 3 a, b, c = b, c, a return {a, b, c}`, `[2,3,1]`},
		{"set at once", "", `local a, t = 7, {} t[1], a, t[2] = a, 8 return {a, t[1], t[2] == nil}`, `[8,7,true]`},
		{"set a table and its field", "", `local t = {} local u = t t, t.x = 5, 6 return {t, u.x}`, `[5,6]`},
		{"index and list", "", `local i, t = 1, {} i, t[i] = i + 1, 20 return {i, t[1]}`, `[2,20]`},
		{"set from a call", "", `local function f() return 1, 2 end local a, b, c = 7, 8, 9 a, b, c = f() return {a, b, c == nil}`, `[1,2,true]`},
		{"set a variable twice", "", `e, e = {1}, e return type(e)`, `"event"`},
		{"set the last parameter", "local function f(a, s) local x, y = 1, 2 s = s .. \"!\" local z = 3 s = {s} s = s and (tostring(s)) s = (s), 1 return {x, y, z, s, a} end", `return f(0, "a")`, `[1,2,3,"table",0]`},
		{"set self", "local o = {} function o:f() local x = 1 self = self.n .. \"\" return {x, self} end o.n = 5", `return o:f()`, `[1,"5"]`},
		{"for with two values", "", `local out, t = {}, {5, 6} local junk = {"x", {"y"}} for k, v in next, t do out[#out + 1] = k * v end for k, v in next, {7} do out[#out + 1] = v end return out`, `[5,12,7]`},
		{"for with one value", "", `local n = 0 local it = ("abc"):gmatch(".") local t = {1, {2}} for w in it do n = n + 1 end local function f(s, c) return (c or 0) < 3 and (c or 0) + 1 or nil end for i in f do n = n + i end for i, j in f do n = n + i end return n`, `15`},
		{"for with three values", "", `local n = 0 local function f(s, c) if c < s then return c + 1 end end local function start() return 2, 9 end for i in f, 4, 1 do n = n + i end for i, j in f, 4, start() do n = n + i end for i, j, k in f, (4), (start()) do n = n + i end return n`, `23`},
		{"for of a loop in a loop", "", `local n = 0 for _, t in next, {{1, 2}, {3}} do for _, v in next, t do if v == 2 then break end n = n + v end end return n`, `4`},
		{"nested index", "", `local t = {{}, {}} local i = 2 t[i][i - 1] = 5 t[i].x = nil return t[2]`, `[5]`},
		{"far index", "", `local t = {} t[100000] = 1 t[-1] = 2 t[0.5] = 3 return {t[100000], t[-1], t[0.5], #t}`, `[1,2,3,0]`},
		{"long concat", "", `return ` + strings.Repeat(`"a" .. `, 120) + `1`, `"` + strings.Repeat("a", 120) + `1"`},
		{"concat error", "", `local x return "a" .. x`, `error: cannot join a text and nil`},
		{"numbered keys of a payload", "", `return {e.blocks == nil}`, `error: event has no field blocks`},
		{"empty lists stay lists", "", `return {json.decode("[]"), {}}`, `[[],{}]`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := evaluate(t, c.top, c.body); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestRunsShareNothing(t *testing.T) {
	t.Parallel()
	m, man := load(t, `
local count, list = 0, nil
local function bump() count = count + 1 return count end
on.message("x", function(e)
  list = list or {}
  list[#list + 1] = e.text
  local inner = bump()
  if e.user == "fail" then error("no") end
  if e.user == "wait" then local x = kv.get("a") end
  return {inner, count, #list}
end)`)
	for i := range 20 {
		call := callOf(man, fmt.Sprintf(`{"text": "t", "user": %q}`, []string{"ok", "fail", "wait"}[i%3]))
		r := m.Run(context.Background(), call)
		if i%3 != 0 {
			continue
		}
		if b, _ := runtime.AppendJSON(nil, r.Return); string(b) != "[1,1,1]" {
			t.Fatalf("run %d: %s %v", i, b, r.Err)
		}
	}
}

func TestOneModuleRunsInManyGoroutines(t *testing.T) {
	t.Parallel()
	m, man := load(t, `
local base = {greet = "hello", words = {"a", "b"}}
on.message("x", function(e)
  local t = {}
  for k, v in pairs(base) do t[#t + 1] = k end
  for _, w in ipairs(base.words) do t[#t + 1] = w:upper() end
  pcall(function() error({}) end)
  return table.concat(t, ",") .. base.greet .. tostring(e.raw) .. math.random(1, 9)
end)`)
	want := m.Run(context.Background(), callOf(man, hostileInput))
	if want.Err != nil {
		t.Fatal(want.Err.Detail())
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				call := callOf(man, hostileInput)
				call.Limits.Deadline = time.Minute // the machine may be busy
				r := m.Run(context.Background(), call)
				if r.Return != want.Return || r.Steps != want.Steps {
					t.Errorf("got %v %v after %d steps, want %v after %d", r.Return, r.Err, r.Steps, want.Return, want.Steps)
				}
			}
		})
	}
	wg.Wait()
}

func TestUnknownEscapesAreErrors(t *testing.T) {
	t.Parallel()
	_, _, err := newLanguage(t).Load(t.Context(), bundle("on.message(\"a\\w+\", function() return '\\d' end)\nlocal s = [[\\w]] .. \"\\n\\\\w\\065\\z\""), runtime.Limits{})
	var es runtime.Errors
	if !errors.As(err, &es) || len(es) != 3 {
		t.Fatalf("got %v", err)
	}
	for i, want := range []string{`rule.lua:1:14: unknown escape \w`, `rule.lua:1:39: unknown escape \d`, `rule.lua:2:31: unknown escape \z`} {
		if !strings.HasPrefix(es[i].Error(), want) {
			t.Errorf("got %v, want %s", es[i], want)
		}
	}
	if !strings.Contains(es[0].Hint, `[[\w]]`) {
		t.Errorf("hint %q", es[0].Hint)
	}
}

func TestRegistrationsKnowTheirPlaces(t *testing.T) {
	t.Parallel()
	_, man := load(t, "\n  on.message(\"x\",\n    function() end, {priority = 3,\n  channels = {\"#a\"}})")
	got := fmt.Sprint(man.Registrations[0].Pos, man.Registrations[0].ArgPos)
	const want = "rule.lua:2:3 map[channels:rule.lua:4:14 fn:rule.lua:3:5 pattern:rule.lua:2:14 priority:rule.lua:3:33]"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestFilesWithoutStatementsLoad(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "\n\n", "-- nothing yet\n", "--[[ nothing\nyet ]]"} {
		_, man, err := newLanguage(t).Load(t.Context(), bundle(text), runtime.Limits{})
		if err != nil || len(man.Registrations) > 0 {
			t.Errorf("%q: got %v, %v", text, man, err)
		}
	}
}
