package hostile

import (
	"fmt"
	"strings"
)

// many returns n names, separated by commas.
func many(prefix string, n int) string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("%s%d", prefix, i)
	}
	return strings.Join(names, ", ")
}

// each returns a text made for each number below n.
func each(n int, format string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.ReplaceAll(format, "#", fmt.Sprint(i)))
	}
	return b.String()
}

var names150 = many("a", 150)

// luaFound are scripts that a search for holes of the interpreter and its
// guards came to: single instructions that are not of constant cost, results
// that are larger than what they cost, miscompiled code, addresses.
var luaFound = []row{
	{"fresh captures kept", "", `local t = {} while true do local ` + names150 + ` = 1 t[#t + 1] = function() return ` + names150 + ` end end`},
	{"captures deep down", "", `local function f(n) local ` + names150 + ` local function g() return ` + names150 + ` end
		if n > 0 then f(n - 1) return end
		while true do local function g() return ` + names150 + ` end end end f(190)`},
	{"length of an emptied list", "", `local t = {} for i = 1, 60000 do t[i] = i end for i = 60000, 1, -1 do t[i] = nil end while true do local n = #t end`},
	{"insert into an emptied list", "", `local t = {} for i = 1, 60000 do t[i] = i end for i = 60000, 1, -1 do t[i] = nil end while true do table.insert(t, nil) end`},
	{"remove from an emptied list", "", `local t = {} for i = 1, 60000 do t[i] = i end for i = 60000, 1, -1 do t[i] = nil end while true do table.remove(t) end`},
	{"next over deleted keys", "", `local t = {} for i = 1, 100000 do t["k" .. i] = i end for k in pairs(t) do t[k] = nil end while true do next(t) end`},
	{"pairs over deleted keys", "", `local t = {} for i = 1, 20000 do t[i .. ""] = i end while true do for k in pairs(t) do t[k] = nil t[k .. "x"] = 1 break end end`},
	{"frontier of a big set", "", `local s = ("a"):rep(100) while true do s:find("%f[" .. ("b"):rep(50000) .. "]") end`},
	{"many captures of a pattern", "", `local s = ("x"):rep(100000) local k = {} while true do k[#k + 1] = {s:find(("(x)"):rep(30))} end`},
	{"many arguments", "", `local function f(...) return select("#", ...) end local t = {} for i = 1, 4000 do t[i] = i end while true do f(unpack(t)) end`},
	{"argument tables kept", "", `local k = {} local function f(...) k[#k + 1] = arg end local t = {} for i = 1, 200 do t[i] = i end while true do f(unpack(t)) end`},
	{"lists from calls kept", "", `local k, t = {}, {} for i = 1, 4000 do t[i] = i end while true do k[#k + 1] = {unpack(t)} end`},
	{"wide tables kept", "", `local k = {} while true do k[#k + 1] = {a = 1, b = 2, c = 3, d = 4, e = 5, f = 6, g = 7, h = 8, i = 9, j = 10} end`},
	{"stepwise sparse tables kept", "", `local k = {} while true do local t = {} t[1] = 1 t[64] = 1 t[127] = 1 t[190] = 1 k[#k + 1] = t end`},
	{"tables as keys", "", `local k = {} while true do k[{}] = 1 end`},
	{"negative keys", "", `local t = {} for i = 1, 1e6 do t[-i] = true end`},
	{"iterators kept", "", `local k = {} while true do k[#k + 1] = ("x"):gmatch("x") k[#k + 1] = pairs(e) end`},
	{"views kept", "", `local k = {} while true do k[#k + 1] = e.raw k[#k + 1] = e.raw.blocks end`},
	{"patterns kept", "", `local k = {} while true do k[#k + 1] = re.compile("x") end`},
	{"errors kept", "", `local k = {} while true do k[#k + 1] = {pcall(error, {})} end`},
	{"decoded data kept", "", `local k = {} while true do k[#k + 1] = json.decode("[[],[],[],[],[],[],[],[],[],[]]") end`},
	{"payload as text", "", `while true do tostring(e.raw) end`},
	{"payload compared", "", `while true do local x = e.raw == e.raw end`},
	{"errors deep down", "", `local function f(n) if n == 0 then while true do pcall(error, "x") end end f(n - 1) return 1 end f(180)`},
	{"number of many digits", "", `local s = ("9"):rep(300000) while true do local x = tonumber(s) end`},
	{"sort of long texts", "", `local t = {} for i = 1, 1000 do t[i] = ("x"):rep(1000) .. i end while true do table.sort(t) end`},
	{"catch of no function", "attempt to call", `local v, err = catch({a = 1}) error(err, 0)`},
	{"pcall of no function", "attempt to call", `local ok, err = pcall(5) error(err, 0)`},
	{"xpcall with no handler", "", `xpcall(function() error("x") end, 5) xpcall(5, 5)`},
	{"address of a function as a key", "cannot read field function of a string", `local s = "x" s[function() end] = 1`},
	{"address of a table as a key", "cannot read field table of a number", `local n = 5 return n[{}]`},
	{"parameter set behind locals", "ok", `local function f(s) local a, b = 1, 2 s = s .. "!" s = {s} return a + b end if f("x") ~= 3 then error("locals are overwritten") end`},
	{"swap of locals", "ok", `local a, b = 1, 2 a, b = b, a if a ~= 2 or b ~= 1 then error("not swapped") end`},
	{"one variable set twice", "ok", `e, e = {1}, e if type(e) == "nil" then error("no value") end`},
	{"error of nothing", "empty text", `error("")`},
	{"error of bad bytes", "", `error("\255\254\0")`},
	{"log of bad bytes", "", `print("\255\254\0", ("\128"):rep(1000)) send("\255")`},
	{"field of bad bytes", "", `return e["\255"]`},
	{"resume in its own handler", "", `local co co = coroutine.create(function() xpcall(function() error("x") end, function() coroutine.resume(co) end) end) coroutine.resume(co) coroutine.resume(co)`},
	{"yield across sort", "", `local co = coroutine.wrap(function() table.sort({3, 2, 1}, function(a, b) coroutine.yield() return a < b end) end) co() co()`},
	{"yield across gsub", "", `local co = coroutine.wrap(function() ("abc"):gsub(".", function() coroutine.yield() end) end) co() co()`},
	{"yield across metamethods", "", `local t = setmetatable({}, {__index = function() coroutine.yield() end, __add = function() coroutine.yield() end}) local co = coroutine.wrap(function() return t.x, t + 1 end) co() co()`},
	{"yield across catch", "", `local co = coroutine.wrap(function() catch(coroutine.yield, 1) end) co() co()`},
	{"effect in a sort", "", `local t = {3, 2, 1} table.sort(t, function(a, b) return kv.get("x") == a end)`},
	{"effect in a metamethod", "", `local t = setmetatable({}, {__index = function(t, k) return kv.get(k) end, __tostring = function() return kv.get("x") end}) return tostring(t) .. tostring(t.a)`},
	{"effect in a coroutine", "", `local co = coroutine.wrap(function() while true do coroutine.yield(kv.get("x")) end end) for i = 1, 5 do co() end`},
	{"error in __tostring", "", `error(setmetatable({}, {__tostring = function() error(setmetatable({}, {__tostring = error})) end}))`},
	{"metatable of a metatable", "", `local m = {} m.__metatable = m m.__index = m setmetatable(m, m) return getmetatable(m), m.x.y`},
	{"frozen behind a metatable", "frozen|is frozen", `setmetatable({}, {__newindex = string}).rep = 1`},
	{"frozen by rawset of a member", "frozen", `rawset(getmetatable("") or string, "rep", nil)`},
	{"globals by a coroutine", "frozen", `coroutine.wrap(function() hidden = 1 end)()`},
	{"globals by catch", "globals are frozen", `local v, err = catch(function() hidden = 1 end) error(err, 0)`},
	{"config of another run", "ok", `if rawget(config, "seen") then error("seen") end pcall(function() config.seen = 1 end) pcall(rawset, config, "seen", 1)`},
	// While loading.
	{"gotos", "", "#load\n" + strings.Repeat("goto a ", 9000) + "::a::"},
	{"many labels", "", "#load\n" + each(6000, "::a#:: ")},
	{"distinct constants", "", "#load\nlocal t = {" + each(10000, "#,") + "}"},
	{"distinct texts", "", "#load\nlocal t = {" + each(7000, `"#",`) + "}"},
	{"distinct names", "", "#load\n" + each(6000, "x#=1 ")},
	{"distinct fields", "", "#load\nlocal t = {} " + each(5000, "t.x#=1 ")},
	{"captures at many levels", "", "#load\nlocal " + names150 + "\n" + strings.Repeat("x = function() ", 60) + "return " + names150 + strings.Repeat(" end", 60)},
	{"long names", "", "#load\n" + strings.Repeat("x", 60000) + " = 1"},
	{"require of all kinds", "", "#load\n" + `require("") require(".") require("..") require("...") require("/etc/passwd") require("../../x") require("a/../../b") require("@x") require("@starling//../x") require("a\0b") require("a\\b") require("./../..") require("x.star")`},
	{"require as a value", "only be called", "#load\nreturn require"},
	{"require of itself", "", "#load\n" + `require("a")`},
	{"require of computed names", "literal", "#load\n" + `local n = "x" require(n)`},
	{"registrations", "registrations", "#load\n" + `for i = 1, 5000 do on.message("x", function() end) end`},
	{"registration of a deep table", "", "#load\n" + `local t = {} for i = 1, 1000 do t = {t} end on.message("x", function() end, {channels = t})`},
	{"top level never ends well", "", "#load\n" + `local t = setmetatable({}, {__index = function(t, k) return t[k] end}) return t.x`},
}
