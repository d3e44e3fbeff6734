package star_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/runtimetest"
	"github.com/starling-rules/starling/runtime/star"
)

// covered is a program that says at the end of each line how often the line is
// run; lines without a number hold no statement.
const covered = `"""Not a statement."""
load("lib.star", "double")  # 1

LIMIT = 3  # 1
if LIMIT > 5:  # 1
    X = 1  # 0
elif LIMIT > 2:  # 1
    X = 2  # 1
else:
    X = 3  # 0

def unused():  # 1
    return 1  # 0

def sign(n):  # 1
    """Not a statement either."""
    if n < 0: return -1  # 4
    return 1 if n else 0  # 3

TABLE = {  # 1
    k: k * 2
    for k in range(4)
}

def handle(e):  # 1
    total = 0; other = 1  # 1
    for i in range(10):  # 1
        if i % 2 == 0:  # 10
            continue  # 5
        total += i  # 5
    while total > 20:  # 1
        total -= 2  # 3
        if total < 0: break  # 3
    picked = [  # 1
        x + 1  # 2
        for x in [1, 2, 3, 4]
        if x > 2  # 4
    ]
    keys = {  # 1
        x: "a"  # 3
        for x in [1, 2, 3]
    }
    f = sorted(  # 1
        [3, 1, 2],
        key = lambda x:
            -x,  # 3
    )
    g = lambda: total  # 1
    choice = (  # 1
        "yes"  # 0
        if total > 1000
        else "no"  # 1
    )
    both = (total and  # 1
        total > 1 and  # 1
        total > 1000 and  # 1
        total > 2000)  # 0
    for n in [-1, 0, 1, 2]: sign(n)  # 1
    l = [[1]]  # 1
    l[len(l) - 1][0] += 2  # 1
    pass  # 1
    print(double(2), picked, f, l)  # 1
    return choice  # 1

on.message("x", handle)  # 1
`

const coveredLib = `def double(n):  # 1
    return n + n  # 1
`

// counts reads the numbers of a program, and those that were counted.
func counts(t *testing.T, src string, f *runtime.FileCoverage) {
	t.Helper()
	for i, line := range strings.Split(src, "\n") {
		want := int64(-1)
		if _, n, ok := strings.Cut(line, "# "); ok {
			want, _ = strconv.ParseInt(n, 10, 64)
		}
		if line == "    k: k * 2" { // the one line that the numbers above leave out
			want = 4
		}
		if got := f.Count(i + 1); got != want {
			t.Errorf("line %d was run %d times, want %d: %s", i+1, got, want, line)
		}
	}
}

func TestEachLineIsCountedAsOftenAsItIsRun(t *testing.T) {
	t.Parallel()
	host := runtimetest.Host()
	host.Cover = &runtime.Coverage{}
	for name, make := range map[string]func(runtime.Host) (*star.Language, error){"guarded": star.New, "bare": star.NewUnguarded} {
		host.Cover = &runtime.Coverage{}
		lang, err := make(host)
		if err != nil {
			t.Fatal(err)
		}
		files := map[string][]byte{"a.star": []byte(covered), "lib.star": []byte(coveredLib)}
		b := runtime.NewBundle("starlark", "a.star", files, runtime.NewDict("a", int64(1)))
		m, man, err := lang.Load(t.Context(), b, runtime.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		fn, _ := man.Registrations[0].Args.Get("fn")
		r := m.Run(t.Context(), &runtime.Call{Func: fn.(runtime.Func).Index, When: -1, Input: []byte("{}")})
		if r.Err != nil || r.Return != "no" || len(r.Logs) != 1 || r.Logs[0].Text != "4 [4, 5] [3, 2, 1] [[3]]" {
			t.Fatalf("%s: got %+v, %v", name, r, r.Err)
		}
		counts(t, covered, host.Cover.File("a.star"))
		counts(t, coveredLib, host.Cover.File("lib.star"))
	}
}

// TestCoverageChangesNothing runs the suite with lines being counted.
func TestCoverageChangesNothing(t *testing.T) {
	t.Parallel()
	host := runtimetest.Host()
	host.Cover = &runtime.Coverage{}
	lang, err := star.New(host)
	if err != nil {
		t.Fatal(err)
	}
	pool := runtime.NewLocal([]runtime.Language{lang}, runtime.LocalOptions{})
	defer pool.Close(t.Context())
	plain := runtime.NewLocal([]runtime.Language{newLanguage(t)}, runtime.LocalOptions{})
	defer plain.Close(t.Context())
	for _, c := range runtimetest.Cases(t) {
		b := c.Bundle("starlark", ".star")
		if b == nil || c.Limits.Steps != 0 {
			continue
		}
		if got, want := c.Transcript(t, pool, b), c.Transcript(t, plain, b); got != want {
			t.Errorf("%s: with lines counted\n%s\nwithout\n%s", c.Name, got, want)
		}
	}
}
