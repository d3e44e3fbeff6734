package hostile

import (
	"fmt"
	"strings"
)

// Shorthands for what hostile scripts begin with.
const (
	wide   = "l = []\nfor i in range(40): l = [l, l]\n"
	wide2  = wide + "m = []\nfor i in range(40): m = [m, m]\n"
	deep   = "l = []\nfor i in range(100000): l = [l]\n"
	mega   = "s = \"x\" * (4 << 20)\n"
	tup    = "t = ()\nfor i in range(200): t = (t, t)\n"
	low32  = "d = {}\nfor i in range(100000): d[i << 32] = 1\n"
	keys32 = "k = [i << 32 for i in range(100000)]\n"
)

// starRows are bodies of handlers, or whole files if they begin with "#load".
var starRows = []row{
	// Loops.
	{"while", "steps", "while True: pass"},
	{"range", "steps", "for i in range(1 << 62): pass"},
	{"nested comprehension", "steps", "x = [0 for a in range(1 << 20) for b in range(1 << 20) if a < 0]"},
	{"recursion", "called recursively", "f = [None]\nf[0] = lambda: f[0]()\nf[0]()"},
	{"slow sort key", "steps", "sorted(range(1000), key = lambda x: [y for y in range(x * 1000)])"},
	{"loop while loading", "steps", "#load\nwhile True: pass"},
	{"catch a loop", "steps", "def f():\n    while True: pass\nwhile True: catch(f)"},
	// One call that does not end.
	{"max", "steps", "max(range(1 << 62))"},
	{"min with a key", "steps", "min(range(1 << 62), key = lambda x: -x)"},
	{"all", "steps", "all(range(1, 1 << 62))"},
	{"any", "steps", "any([0] * 1000 + [None] * 900000)\nany([0] * 900000)\nany([0] * 900000)"},
	{"list", "memory", "list(range(1 << 40))"},
	{"tuple", "memory", "tuple(range(1 << 40))"},
	{"set", "steps", "set(range(1 << 40))"},
	{"sorted", "memory", "sorted(range(1 << 40))"},
	{"reversed", "memory", "reversed(range(1 << 40))"},
	{"enumerate", "memory", "enumerate(range(1 << 40))"},
	{"zip", "steps", "zip(range(1 << 40), range(1 << 40))"},
	{"dict", "steps", "dict(range(1 << 40))"},
	{"bytes", "memory", "bytes(range(1 << 40))"},
	{"star", "memory", "print(*range(1 << 40))"},
	{"star of a function", "memory", "f = lambda *a: a\nf(*range(60000))"},
	{"star star", "memory", "d = {str(i): i for i in range(10000)}\nf = lambda **k: k\nf(**d)"},
	{"extend", "memory", "l = []\nl.extend(range(1 << 40))"},
	{"plus assign", "memory", "l = []\nl += range(1 << 40)"},
	{"in a range of floats", "ok", "x = 1.5 in range(1 << 62)"},
	{"join a range", "steps", "\"\".join(range(1 << 40))"},
	{"union with a range", "steps", "set([1]).union(range(1 << 40))"},
	{"update with a range", "steps", "set([1]).update(range(1 << 40))"},
	{"issubset of a range", "steps", "set([1]).issubset(range(1 << 40))"},
	{"difference", "steps", "set([1]).difference(range(1 << 40))"},
	{"sort a million", "steps", "sorted([(i * 7919) % 1000003 for i in range(150000)] * 6)"},
	{"zip many", "steps", "zip(*[range(1000)] * 2000)"},
	// Numbers.
	{"square", "memory", "x = 3\nwhile True: x = x * x"},
	{"square in place", "memory", "x = 3\nwhile True: x *= x"},
	{"double", "memory", "x = 3\nwhile True: x += x"},
	{"negate and subtract", "memory", "x = 3\nwhile True: x = x - (0 - x)"},
	{"shift", "memory", "x = 1\nwhile True: x = x << 511"},
	{"shift in place", "memory", "x = 1\nwhile True: x <<= 511"},
	{"huge shift", "shift count too large", "x = 1 << (1 << 30)"},
	{"parse", "memory", "int(\"9\" * 4000000)"},
	{"parse by name", "memory", "int(x = \"9\" * 4000000, base = 36)"},
	{"parse nines for ever", "steps", "s = \"9\" * 2400\nwhile True: int(s)"},
	{"text of numbers", "steps", "x = 1 << 511\nx = x * x * x * x * x * x * x\nwhile True: str(x)"},
	{"float of a text", "steps", mega + "while True: catch(float, s)"},
	{"large literal", "source", "#load\nx = 0x" + "" + "HUGE"},
	// Comparing and hashing what shares its parts.
	{"equal", "steps", wide2 + "l == m"},
	{"unequal", "steps", wide2 + "l != m"},
	{"less", "steps", wide2 + "l < m"},
	{"in", "steps", wide2 + "m in [l]"},
	{"index", "steps", wide2 + "[l].index(m)"},
	{"remove", "steps", wide2 + "[l].remove(m)"},
	{"max of lists", "steps", wide2 + "max(l, m)"},
	{"sorted lists", "steps", wide2 + "sorted([l, m])"},
	{"equal dicts", "steps", "a = {}\nb = {}\nfor i in range(40): a, b = {1: a, 2: a}, {1: b, 2: b}\na == b"},
	{"equal structs", "memory", "a = 1\nfor i in range(40): a = struct(x = a, y = a)\na == a"},
	{"deep equal", "nested more than 64 deep", "l = []\nm = []\nfor i in range(1000): l, m = [l], [m]\nl == m"},
	{"tuple tree", "memory", tup},
	{"tuple tree as a key", "memory", tup + "{t: 1}"},
	{"tuple plus", "memory", "t = (1,)\nwhile True: t = t + t"},
	{"tuple plus in place", "memory", "t = (1,)\nwhile True: t += t"},
	{"tuple times", "memory", "(1, 2) * 100000"},
	{"tuple of args", "memory", "f = lambda *a: a\nt = 1\nfor i in range(200): t = f(t, t)"},
	{"tuple of args of def", "memory", "def f(*a):\n    return a\nt = 1\nfor i in range(200): t = f(t, t)"},
	{"tuple of zip", "memory", "t = 1\nfor i in range(200): t = zip([t], [t])[0]"},
	{"tuple of enumerate", "nested more than 64 deep", "t = 1\nfor i in range(200): t = enumerate([t])[0]"},
	{"tuple of items", "memory", "t = 1\nfor i in range(200): t = {t: t}.items()[0]"},
	{"tuple of catch", "nested more than 64 deep", "t = 1\nfor i in range(200): t = catch(lambda: t)"},
	{"tuple of tuple", "memory", "t = 1\nfor i in range(200): t = tuple([t, t])"},
	{"struct tree", "memory", "t = 1\nfor i in range(200): t = struct(a = t, b = t)"},
	{"struct plus", "memory", "t = struct(a = 1)\nfor i in range(200): t = struct(b = t) + struct(c = t)"},
	{"texts in a tuple as a key", "memory", mega + "t = (s, s, s)\nhash(s)\n{t: 1}"},
	{"keys that are large", "steps", mega + "d = {s: 1}\nwhile True: d[s]"},
	// Keys that collide.
	{"colliding dict", "steps", low32},
	{"colliding dict comprehension", "steps", "d = {i << 32: 1 for i in range(100000)}"},
	{"colliding dict of pairs", "steps", keys32 + "dict([(i, 1) for i in k])"},
	{"colliding dict update", "steps", keys32 + "d = {}\nd.update([(i, 1) for i in k])"},
	{"colliding dict setdefault", "steps", keys32 + "d = {}\nfor i in k: d.setdefault(i, 1)"},
	{"colliding set", "steps", keys32 + "set(k)"},
	{"colliding set add", "steps", keys32 + "s = set()\nfor i in k: s.add(i)"},
	{"colliding set update", "steps", keys32 + "s = set()\ns.update(k)"},
	{"colliding low bits", "steps", "d = {}\nfor i in range(60000): d[i << 16] = 1"},
	{"colliding functions", "steps", "d = {}\nfor i in range(100000): d[lambda: i] = 1"},
	{"colliding in place", "steps", "d = {}\nfor i in range(100000): d[i << 32] = d.get(i << 32, 0)\n"},
	{"colliding one unpacked target", "steps", "d = {}\nfor d[0], i in [(1, 2)]: pass\nfor i in range(100000): d[i << 32], x = 1, 2"},
	{"colliding set operations", "steps", "a = set([i << 32 for i in range(1500)])\nwhile True: a | a"},
	{"colliding dict equality", "steps", "a = {i << 32: 1 for i in range(1500)}\nb = dict(a)\nwhile True: a == b"},
	{"colliding large tuples in a set", "steps", "t = tuple(range(4000))\nset([t] * 900000)"},
	// Text.
	{"doubling", "memory", "s = \"x\"\nwhile True: s = s + s"},
	{"doubling in place", "memory", "s = \"x\"\nwhile True: s += s"},
	{"doubling bytes", "memory", "s = b\"x\"\nwhile True: s = s + s"},
	{"times", "memory", "\"x\" * (1 << 29)"},
	{"times of bytes", "memory", "(1 << 29) * b\"x\""},
	{"join", "memory", mega + "\"\".join([s] * 1000)"},
	{"join by a large text", "memory", mega + "s.join([\"\"] * 1000)"},
	{"replace", "memory", mega + "s.replace(\"x\", s)"},
	{"replace nothing", "memory", mega + "s.replace(\"\", \"yyyyyyyy\")"},
	{"format", "memory", mega + "(\"{0}\" * 1000).format(s)"},
	{"format by name", "memory", mega + "(\"{a}\" * 1000).format(a = s)"},
	{"percent", "memory", mega + "(\"%(a)s\" * 1000) % {\"a\": s}"},
	{"percent of many", "memory", mega + "\"%s%s%s\" % (s, s, s)"},
	{"split", "memory", mega + "s.split(\"x\")"},
	{"split words", "memory", "(\"x \" * (2 << 20)).split()"},
	{"splitlines", "memory", "(\"\\n\" * (4 << 20)).splitlines()"},
	{"elems", "memory|steps", mega + "list(s.elems())"},
	{"codepoints", "memory|steps", mega + "list(s.codepoints())"},
	{"method as a value", "memory", mega + "f = s.join\nf([s] * 1000)"},
	{"method by getattr", "memory", mega + "f = getattr(s, \"join\")\nf([s] * 1000)"},
	{"method by getattr with a default", "memory", mega + "getattr(s, \"replace\", None)(\"\", s)"},
	{"strip", "steps", "s = \"ä\" * 100000\nc = \"ö\" * 100000\ns.strip(c)"},
	{"upper for ever", "steps", mega + "while True: s.upper()"},
	{"slices for ever", "steps", mega + "while True: s[::-1]"},
	{"find for ever", "steps", mega + "while True: s.find(\"y\")"},
	{"prefixes", "steps", mega + "while True: s.startswith((s, s))"},
	{"str", "steps|memory", wide + "str(l)"},
	{"repr", "steps|memory", wide + "repr(l)"},
	{"print", "steps|memory", wide + "print(l)"},
	{"fail", "steps|memory", wide + "fail(l)"},
	{"percent of a tree", "steps|memory", wide + "\"%r\" % [l]"},
	{"format of a tree", "steps|memory", wide + "\"{!r}\".format(l)"},
	{"text of a struct", "memory|steps", "t = 1\nfor i in range(30): t = struct(a = [t], b = [t])\nstr(t)"},
	{"deep text", "nested more than 64 deep", deep + "str(l)"},
	{"large message", "xxxx", mega + "fail(s)"},
	{"print flood", "output", "while True: print(\"x\")"},
	{"large print", "output", mega + "print(s)"},
	// Lists.
	{"list doubling", "memory", "l = [1]\nwhile True: l = l + l"},
	{"list doubling in place", "memory", "l = [1]\nwhile True: l += l"},
	{"list times", "memory", "[None] * (1 << 30 - 1)"},
	{"list times in place", "memory|steps", "l = [1]\nwhile True: l *= 2"},
	{"list extend itself", "memory", "l = [1]\nwhile True: l.extend(l)"},
	{"list slices", "steps", "l = [1] * 100000\nk = []\nwhile True: k.append(l[:])"},
	{"list copies", "steps", "l = [1] * 100000\nk = []\nwhile True: k.append(list(l))"},
	{"list append", "steps", "l = []\nwhile True: l.append(l)"},
	{"list insert", "steps", "l = [1] * 500000\nwhile True: l.insert(0, 1)"},
	{"list pop", "steps", "l = [1] * 900000\nwhile True: l.pop(0)"},
	{"dict union", "steps", "d = {i: i for i in range(1000)}\nk = []\nwhile True: k.append(d | d)"},
	{"dict keys", "steps", "d = {i: i for i in range(1000)}\nk = []\nwhile True: k.append(d.keys() + d.values() + d.items())"},
	{"closures", "steps", "k = []\nwhile True: k.append(lambda x = k: x)"},
	{"views", "steps", "k = []\nwhile True: k.append([x for x in range(1000)])"},
	{"in with a literal", "steps", "l = [1] * 900000\nwhile True: \"x\" in l"},
	{"computed targets", "memory|steps", "l = [[1]]\nf = lambda: l\nwhile True: f()[0] += f()[0]"},
	{"text for a built-in", "steps", mega + "while True: catch(re.search, \"y\", s[:1000])\n"},
	{"data for a built-in", "steps", "l = [[0] * 200] * 200\nwhile True: catch(json.decode, str(l))"},
	// The compiler.
	{"deep global", "ok|steps", "#load\nl = []\nfor i in range(200000): l = [l]"},
	{"chain of calls", "ok", "#load\nCHAIN"},
	{"written keys that collide", "steps", "#load\nd = {DISPLAY}"},
	{"parentheses", "nest", "#load\nx = " + "PARENS"},
	{"many nodes", "source", "#load\n" + "SUM"},
	{"attributes", "source", "#load\nx = \"\"\ny = x" + "ATTRS"},
	{"redefined None", "cannot be given another meaning", "#load\nNone = 1"},
	{"redefined True", "cannot be given another meaning", "#load\ndef f(True): pass"},
	{"redefined False", "cannot be given another meaning", "#load\nx = [0 for False in [1]]"},
	{"large source", "source", "#load\n" + "COMMENT"},
}

// grown puts in what is too long to be written out.
var grown = strings.NewReplacer(
	"HUGE", strings.Repeat("f", 3000), "PARENS", strings.Repeat("(", 100_000)+"1"+strings.Repeat(")", 100_000),
	"SUM", "x = 1"+strings.Repeat("+1", 120_000), "ATTRS", strings.Repeat(".a", 120_000), "COMMENT", strings.Repeat("# more\n", 100_000),
	"CHAIN", chain(6000), "DISPLAY", display(15_000),
)

// chain is a file of n functions that call each other in a row.
func chain(n int) string {
	var b strings.Builder
	b.WriteString("def f0(): return 1\n")
	for i := range n {
		fmt.Fprintf(&b, "def f%d(): return f%d()\n", i+1, i)
	}
	fmt.Fprintf(&b, "f%d()\n", n)
	return b.String()
}

// display is a written dict whose keys have the same low bits.
func display(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%d:0,", (i+1)<<32)
	}
	return b.String()
}
