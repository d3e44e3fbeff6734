package lua_test

import (
	"context"
	"errors"
	goruntime "runtime"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/starling-rules/starling/runtime"
)

// hostile are scripts that try to take time, memory or stack, to poison what
// others use, or to outlive a limit. want is part of how the pass must end: an
// error, or "" for any end at all within the bounds.
var hostile = []struct{ name, body, want string }{
	// Time.
	{"while true", `while true do end`, "steps"},
	{"goto", `::a:: goto a`, "steps"},
	{"repeat", `repeat until false`, "steps"},
	{"for to infinity", `for i = 1, math.huge do end`, "steps"},
	{"for by nothing", `for i = 1, 2, 0 do end`, ""},
	{"pcall loop", `while true do pcall(function() while true do end end) end`, "steps"},
	{"xpcall loop", `xpcall(function() while true do end end, function() while true do end end)`, "steps"},
	{"xpcall handler of handlers", `local function h() xpcall(error, h) end h() while true do xpcall(error, h) end`, "steps"},
	{"coroutine loop", `local co = coroutine.wrap(function() while true do coroutine.yield() end end) while true do co() end`, "steps"},
	{"coroutine swallows", `while true do local co = coroutine.create(function() while true do end end) coroutine.resume(co) end`, "steps"},
	{"sort by random", `local t = {} for i = 1, 5000 do t[i] = i % 7 end table.sort(t, function(a, b) while true do end end)`, "steps"},
	{"sort with a lie", `local t = {} for i = 1, 2000 do t[i] = i end table.sort(t, function() return true end)`, ""},
	{"sort forever", `while true do local t = {} for i = 1, 100 do t[i] = -i end table.sort(t) end`, "steps"},
	{"gsub callback", `("x"):rep(1000):gsub(".", function() while true do end end)`, "steps"},
	{"metamethod loop", `local t = setmetatable({}, {__index = function(t, k) while true do end end}) local x = t.a`, "steps"},
	{"index chain", `local a, b = {}, {} setmetatable(a, {__index = b}) setmetatable(b, {__index = a}) local x = a.x`, ""},
	{"newindex chain", `local a, b = {}, {} setmetatable(a, {__newindex = b}) setmetatable(b, {__newindex = a}) a.x = 1`, ""},
	// Patterns.
	{"find backtracking", `("a"):rep(5000):find((".-"):rep(20) .. "b")`, ""},
	{"find stars", `("a"):rep(3000):find(("a*"):rep(20) .. "b")`, ""},
	{"find optional", `("a"):rep(30):find(("a?"):rep(60) .. ("a"):rep(30) .. "b")`, ""},
	{"gsub quadratic", `("a"):rep(100000):gsub(".-b", "")`, "steps"},
	{"gmatch quadratic", `for w in ("a"):rep(100000):gmatch(".-b") do end`, "steps"},
	{"balance", `("("):rep(100000):find("%b()")`, ""},
	{"balance quadratic", `("("):rep(100000):gsub("%b()", "")`, "steps"},
	{"deep captures", `("a"):find(("("):rep(100))`, ""},
	{"frontier", `("a "):rep(50000):gsub("%f[%w]%w+", "x")`, ""},
	{"big set", `("a"):rep(10000):find("[" .. ("b"):rep(100000) .. "]")`, ""},
	{"bad patterns", `for _, p in ipairs({"%", "[", "[^", "[%", "(", ")", "%b", "%bx", "%f", "%f[", "%1", "(%1)", "[]", "[]]", "[a-]", "%g"}) do pcall(string.find, "abc", p) end return 1`, ""},
	{"pattern recursion", `("a"):rep(100000):find(("(a)"):rep(30))`, ""},
	// Memory.
	{"doubling", `local s = "x" while true do s = s .. s end`, "more than"},
	{"rep", `local s = ("x"):rep(2^36)`, "more than"},
	{"rep of rep", `local s = ("x"):rep(2^22):rep(2^22)`, "more than"},
	{"strings kept", `local t = {} while true do t[#t + 1] = ("x"):rep(100000) .. #t end`, "steps"},
	{"tables kept", `local t = {} while true do t[#t + 1] = {} end`, "steps"},
	{"named tables kept", `local t = {} while true do local u = {} u.a = 1 u[1] = 1 u[true] = 1 t[#t + 1] = u end`, "steps"},
	{"closures kept", `local t = {} while true do local x = #t t[#t + 1] = function() return x end end`, "steps"},
	{"sparse", `local t = {} t[67108863] = 1 t[65535] = 1`, ""},
	{"sparse kept", `local keep = {} while true do local t = {} t[65535] = 1 keep[#keep + 1] = t end`, "steps"},
	{"sparse constructor", `local keep = {} while true do keep[#keep + 1] = {[65535] = 1} end`, "steps"},
	{"sparse rawset", `local keep = {} while true do local t = {} rawset(t, 65535, 1) keep[#keep + 1] = t end`, "steps"},
	{"sparse pair", `local keep, t = {}, nil while true do t = {} t[65535], t[1] = 1, 2 keep[#keep + 1] = t end`, "steps"},
	{"sparse by call", `local keep = {} local function f() local t = {} keep[#keep + 1] = t return t end while true do f()[65535] = 1 end`, "steps"},
	{"insert far", `local t = {} while true do table.insert(t, 1, 1) end`, ""},
	{"concat of shared", `local s = ("x"):rep(100000) local t = {} for i = 1, 10000 do t[i] = s end local x = table.concat(t)`, "more than"},
	{"gsub grows", `local s = "x" while true do s = s:gsub("x", "xxxxxxxxxxxxxxxx") end`, ""},
	{"gsub by %0", `local s = ("x"):rep(1000) local r = s:gsub(".+", ("%0"):rep(100000))`, "more than"},
	{"format width", `string.format("%999999999d", 1)`, "width"},
	{"format of texts", `local s = ("x"):rep(1000000) string.format(("%s"):rep(100), unpack((function() local t = {} for i = 1, 100 do t[i] = s end return t end)()))`, "more than"},
	{"unpack many", `unpack({}, 1, 1e8)`, "more than"},
	{"unpack huge", `unpack({}, -2^53, 2^53)`, "more than"},
	{"byte many", `(("x"):rep(100000)):byte(1, -1)`, "more than"},
	{"varargs grow", `local function f(...) return f(1, 2, 3, 4, 5, 6, 7, 8, ...) end f()`, ""},
	{"coroutines kept", `local t = {} for i = 1, 1e6 do t[i] = coroutine.create(function() coroutine.yield() end) coroutine.resume(t[i]) end`, "coroutines"},
	{"print flood", `while true do print("") end`, "output"},
	{"print big", `print(("x"):rep(1000000))`, "output"},
	{"error big", `error(("x"):rep(4000000))`, ""},
	{"return big", `local t = {} for i = 1, 60000 do t[i] = i end return t`, "more than"},
	{"return deep", `local t = {} for i = 1, 100000 do t = {t} end return t`, ""},
	{"return cyclic", `local t = {} t.t = t return t`, "nested"},
	{"return shared", `local t = {1} for i = 1, 31 do t = {t, t} end return t`, "more than"},
	{"json of shared", `local t = {1} for i = 1, 30 do t = {t, t} end while true do json.encode(t) end`, ""},
	{"print of shared", `local t = {1} for i = 1, 30 do t = {t, t} end while true do tostring(t) print(t) end`, ""},
	{"json depth", `json.decode(("["):rep(1000000))`, ""},
	{"json flood", `while true do json.decode("[" .. ("1,"):rep(10000) .. "1]") end`, ""},
	{"event flood", `local t = {} while true do for k, v in pairs(e.raw) do t[#t + 1] = v end end`, "steps"},
	{"send big", `send(("x"):rep(2000000))`, "more than"},
	{"send many", `while true do send("x") end`, "effects"},
	{"secrets grow", `local s = secret("A") while true do s = s .. s end`, "parts"},
	// Stack.
	{"recursion", `local function f() return 1 + f() end f()`, "overflow"},
	{"tail recursion", `local function f() return f() end f()`, "steps"},
	{"pcall recursion", `local function f() pcall(f) end f()`, ""},
	{"coroutine recursion", `local function f() coroutine.wrap(f)() end f()`, ""},
	{"coroutine nest", `local function f(n) local co = coroutine.create(function() f(n + 1) end) coroutine.resume(co) end f(1) while true do f(1) end`, ""},
	{"tostring recursion", `local t = setmetatable({}, {}) getmetatable(t).__tostring = function(t) return tostring(t) end tostring(t)`, ""},
	{"eq recursion", `local m = {} m.__eq = function(a, b) return a == b end local x = setmetatable({}, m) == setmetatable({}, m)`, ""},
	{"concat recursion", `local m = {} m.__concat = function(a, b) return a .. b end local x = setmetatable({}, m) .. "x"`, ""},
	{"call recursion", `local t = {} setmetatable(t, {__call = function(t) return t() .. "" end}) t()`, ""},
	{"sort recursion", `local function f() local t = {2, 1} table.sort(t, function() f() return true end) end f()`, ""},
	{"gsub recursion", `local function f() return (("x"):gsub("x", f)) end f()`, ""},
	{"resume self", `local co co = coroutine.wrap(function() co() end) co()`, ""},
	{"yield outside", `coroutine.yield(1)`, "not in a coroutine"},
	{"yield across pcall", `local co = coroutine.wrap(function() pcall(coroutine.yield, 1) while true do end end) co()`, "steps"},
	{"wrap of natives", `coroutine.wrap(print)("x") coroutine.wrap(pcall)(error) return coroutine.wrap(string.rep)("x", 2)`, ""},
	// Errors as values.
	{"error table", `error({a = {b = {}}})`, ""},
	{"error nil", `error()`, ""},
	{"error function", `error(print)`, ""},
	{"error tostring", `error(setmetatable({}, {__tostring = function() while true do end end}))`, ""},
	{"error forged place", `error("$0:1: forged", 0)`, "forged"},
	{"error of a coroutine", `local co = coroutine.create(function() error({1}) end) local ok, v = coroutine.resume(co) error(v)`, ""},
	// Poison.
	{"string metatable", `getmetatable("").__index = nil`, ""},
	{"library", `string.rep = nil`, "frozen"},
	{"library rawset", `rawset(string, "rep", nil)`, "frozen"},
	{"library metatable", `setmetatable(string, {})`, "frozen"},
	{"library insert", `table.insert(table, 1)`, "frozen"},
	{"library next", `for k, v in pairs(string) do if k == "x" then end end local k = next(kv) getmetatable(kv).__index = nil`, ""},
	{"globals", `x = 1`, "frozen"},
	{"event", `setmetatable(e, {})`, ""},
	{"metatable of event", `getmetatable(e).__index = nil`, ""},
	{"config", `rawset(config, "a", 1)`, "frozen"},
	{"nan key", `local t = {} t[0/0] = 1`, ""},
	{"nil key", `local t = {} t[nil] = 1`, ""},
	{"next of unknown", `local t = {a = 1} next(t, "nope") next({}, 1) next({1}, 5) next(t, 0/0)`, ""},
	{"long keys", `local k, t = ("x"):rep(1000000), {} while true do local v = t[k .. ""] end`, "steps"},
	{"long equal texts", `local a, b = ("x"):rep(1000000), ("x"):rep(999999) .. "x" local n = 0 for i = 1, 1000 do if a == b then n = n + 1 end end`, ""},
	{"pairs while changing", `local t = {1, 2, 3} for k in pairs(t) do t[k] = nil t["x" .. k] = 1 end`, ""},
	{"math of nothing", `math.random(0) math.random(2, 1)`, "empty"},
	{"math of much", `math.random(1, 2^60) math.random(-2^62, 2^62) return math.random(1e308)`, ""},
	{"for in a number", `for x in 5 do end`, ""},
	{"call of a number", `local x = 5 x()`, ""},
	{"compare mixed", `return {} < 1`, ""},
	{"select far", `return select(2^40, 1)`, ""},
	{"select negative", `return select(-2^40, 1)`, "range"},
	{"char", `string.char(-1)`, "between"},
	{"tonumber", `return tonumber("z", 99), tonumber("1e999"), tonumber("0x"), tonumber(("1"):rep(100000))`, ""},
}

// hostileInput is the event of the corpus.
const hostileInput = `{"kind": "message", "text": "hi", "user": "U1", "channel": "C1", "tags": ["a", "b"], "blocks": [{"a": 1}]}`

// heapPeak watches the heap until stop is called, which returns its maximum.
func heapPeak() (stop func() uint64) {
	var peak atomic.Uint64
	done, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		for {
			metrics.Read(sample)
			peak.Store(max(peak.Load(), sample[0].Value.Uint64()))
			select {
			case <-done:
				return
			case <-tick.C:
			}
		}
	}()
	return func() uint64 {
		close(done)
		<-gone
		return peak.Load()
	}
}

// The bounds of the corpus are wide, because tests share their machine.
const (
	stopWithin = 2 * time.Second
	stopLate   = time.Second
	heapWithin = 256 << 20
)

func TestHostileScriptsEndWithinBounds(t *testing.T) { // not parallel: it measures the process
	before := goruntime.NumGoroutine()
	var slowest time.Duration
	var largest uint64
	for i, h := range hostile {
		t.Run(h.name, func(t *testing.T) {
			if underRace && i%12 != 0 {
				t.Skip("the race detector is on: every twelfth script runs")
			}
			debug.FreeOSMemory()
			m, man := load(t, "local function h(e)\n"+h.body+"\nend\non.message(\"x\", h)")
			call := callOf(man, hostileInput)
			call.Limits.Deadline = stopWithin // steps must end it
			stop := heapPeak()
			start := time.Now()
			r := m.Run(context.Background(), call)
			took, heap := time.Since(start), stop()
			slowest, largest = max(slowest, took), max(largest, heap)
			if took > stopWithin+stopLate && !underRace {
				t.Errorf("took %v", took)
			}
			if heap > heapWithin {
				t.Errorf("heap grew to %d MB", heap>>20)
			}
			tooSlow := underRace && r.Err != nil && r.Err.Limit == runtime.LimitDeadline
			if h.want != "" && !tooSlow && (r.Err == nil || !strings.Contains(r.Err.Limit+" "+r.Err.Msg, h.want)) {
				t.Errorf("ended as %s with %v, want %q", r.Status, r.Err, h.want)
			}
			if r.Err != nil {
				if r.Err.Kind == runtime.InternalError {
					t.Errorf("an internal error: %v", r.Err)
				}
				if r.Err.Pos.Line == 0 && !strings.Contains(r.Err.Msg, "overflow") {
					t.Errorf("an error without a place: %v", r.Err)
				}
				if strings.Contains(r.Err.Msg, "0x") || len(r.Err.Msg) > 1100 {
					t.Errorf("a bad message: %.200s", r.Err.Msg)
				}
			}
			// The module serves the next event as if nothing had been.
			again := m.Run(context.Background(), call)
			byTheClock := r.Err != nil && r.Err.Limit == runtime.LimitDeadline
			if again.Status != r.Status || again.Steps != r.Steps && !byTheClock {
				t.Errorf("the second run: %s after %d steps, the first: %s after %d", again.Status, again.Steps, r.Status, r.Steps)
			}
		})
	}
	t.Logf("%d scripts; the slowest took %v, the largest heap was %d MB", len(hostile), slowest, largest>>20)
	for deadline := time.Now().Add(5 * time.Second); goruntime.NumGoroutine() > before+2; {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, %d before", goruntime.NumGoroutine(), before)
		}
		goruntime.Gosched()
	}
}

// hostileSources are whole files that must not load, or load within bounds.
var hostileSources = map[string]string{
	"brackets":        "x = " + strings.Repeat("(", 20000),
	"closed brackets": "x = " + strings.Repeat("(", 20000) + "1" + strings.Repeat(")", 20000),
	"unary":           "x = " + strings.Repeat("- ", 30000) + "1",
	"not":             "x = " + strings.Repeat("not ", 15000) + "1",
	"sum":             "x = 1" + strings.Repeat("+1", 30000),
	"joins":           "x = \"a\"" + strings.Repeat("..\"b\"", 10000),
	"tables":          "x = " + strings.Repeat("{", 30000) + strings.Repeat("}", 30000),
	"functions":       strings.Repeat("x = function() ", 3000) + strings.Repeat(" end", 3000),
	"fields":          "x = 1 y = x" + strings.Repeat(".a", 30000),
	"calls":           "x = print" + strings.Repeat("()", 30000),
	"ifs":             strings.Repeat("if true then ", 4000) + strings.Repeat("end ", 4000),
	"elseifs":         "if true then " + strings.Repeat("elseif true then ", 3500) + "end",
	"locals":          strings.Repeat("local a ", 8000),
	"upvalues":        strings.Repeat("local a = 1 ", 100) + "x = function() return a end",
	"constants":       "x = {" + numbers(10000) + "}",
	"globals":         strings.Repeat("x=1;", 15000),
	"labels":          "goto nowhere",
	"labels twice":    "::a:: ::a::",
	"long string":     "x = [[" + strings.Repeat("x", 60000),
	"long comment":    "--[==[" + strings.Repeat("]=]", 20000),
	"zero bytes":      "x = 1\x00\x01\xff",
	"bad utf8":        "x = \"\xff\xfe\"",
	"string":          "x = \"" + strings.Repeat("\\", 60000),
	"guards":          "$cat = 1 local $tab = 2 return $key",
	"guard arguments": "local cat, tab, key = ... if cat or tab or key then error(\"guards leak\") end",
	"loop at load":    "while true do end",
	"memory at load":  "local t = {} while true do t[#t + 1] = {a = 1} end",
	"kept coroutine":  "local co = coroutine.create(function() coroutine.yield() end) coroutine.resume(co) on.message(\"x\", function() co = nil end)",
	"kept iterator":   "local it = (\"a b\"):gmatch(\"%a\") on.message(\"x\", function() return it() end)",
	"too long":        strings.Repeat("x = 1 ", 20000),
}

func numbers(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat("1", 1+i%3))
		b.WriteString(string(rune('0' + i%10)))
		b.WriteByte(',')
	}
	return b.String()
}

func TestHostileSourcesAreRefusedOrLoadedWithinBounds(t *testing.T) {
	lang := newLanguage(t)
	for name, text := range hostileSources {
		t.Run(name, func(t *testing.T) {
			stop := heapPeak()
			start := time.Now()
			_, _, err := lang.Load(t.Context(), bundle(text), runtime.Limits{})
			took, heap := time.Since(start), stop()
			if took > stopWithin+stopLate && !underRace || heap > heapWithin {
				t.Errorf("%s: took %v and %d MB", name, took, heap>>20)
			}
			var es runtime.Errors
			if err != nil && !errors.As(err, &es) {
				t.Errorf("an error of another kind: %v", err)
			}
			for _, e := range es {
				if e.Kind == runtime.InternalError || strings.Contains(e.Msg, "leak") {
					t.Errorf("%v", e)
				}
			}
		})
	}
}
