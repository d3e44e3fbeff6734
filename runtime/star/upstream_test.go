package star

import (
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
	"go.starlark.net/syntax"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/internal/script"
)

// The interpreter's own tests, read from where its source lies, through the
// guarded compiler: whatever a guard does, what a script sees must stay.

// upstreamFiles are the files of the test data that are run.
var upstreamFiles = []string{
	"assign", "bool", "builtins", "bytes", "control", "dict", "float", "function", "int",
	"list", "misc", "recursion", "set", "string", "tuple", "while",
}

// Files that are not: json, math, time and proto test modules of the
// interpreter that scripts do not have; module tests a cache of load;
// benchmark, function_param and paths hold no tests.

// refusals are the differences that are meant, by file and line.
var refusals = map[string]string{
	"assign:338":   "load binds names before the file runs, so a name is known or not",
	"assign:342":   "load binds names before the file runs, so a name is known or not",
	"builtins:59":  "sorted stops at the first pair that cannot be compared, and names that",
	"builtins:233": "the message of fail is what the script says",
	"builtins:236": "the message of fail is what the script says",
	"builtins:238": "the message of fail is what the script says",
	"builtins:240": "the message of fail is what the script says",
	"function:251": "recursion is off: its stack is not bounded by steps",
	"recursion:12": "recursion is off: its stack is not bounded by steps",
	"misc:62":      "values nested 64 deep can be compared, not 10, and the text says so",
	"misc:63":      "values nested 64 deep can be compared, not 10, and the text says so",
	"misc:66":      "values nested 64 deep can be compared, not 10, and the text says so",
	"misc:78":      "values nested 64 deep can be compared, not 10, and the text says so",
	"misc:81":      "values nested 64 deep can be compared, not 10, and the text says so",
	"misc:110":     "names that a loaded file lacks are found before anything runs",
	"misc:114":     "names that a loaded file lacks are found before anything runs",
	"misc:139":     "names that a loaded file lacks are found before anything runs",
	"string:28":    "texts hold 4 MB",
	"tuple:52":     "tuples hold 4,096 parts",
}

func upstreamDir(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "go.starlark.net").Output()
	dir := strings.TrimSpace(string(out))
	if err != nil || dir == "" {
		t.Skip("the source of go.starlark.net is not at hand: ", err)
	}
	return dir
}

func TestUpstreamTestData(t *testing.T) {
	t.Parallel()
	dir := upstreamDir(t)
	assert, err := os.ReadFile(filepath.Join(dir, "starlarktest", "assert.star"))
	if err != nil {
		t.Skip("the test data of go.starlark.net is not at hand: ", err)
	}
	met, chunks := map[string]bool{}, 0
	for _, name := range upstreamFiles {
		data, err := os.ReadFile(filepath.Join(dir, "starlark", "testdata", name+".star"))
		if err != nil {
			t.Fatal(err)
		}
		u := &upstreamRun{name: name, assert: assert}
		line := 1
		for _, chunk := range strings.Split(string(data), "\n---\n") {
			u.run(t, strings.Repeat("\n", line-1)+chunk)
			line += strings.Count(chunk, "\n") + 2
			chunks++
		}
		for _, f := range u.faults {
			if refusals[f.at] == "" {
				t.Errorf("%s: %s", f.at, f.msg)
			}
			met[f.at] = true
		}
	}
	for at, why := range refusals {
		if !met[at] {
			t.Errorf("%s: is not refused any more (%s)", at, why)
		}
	}
	t.Logf("%d chunks of %d files, %d lines refused", chunks, len(upstreamFiles), len(refusals))
}

// upstreamRun runs the chunks of one file.
type upstreamRun struct {
	name   string
	assert []byte
	faults []upstreamFault
}

type upstreamFault struct{ at, msg string }

func (u *upstreamRun) fault(line int, format string, args ...any) {
	u.faults = append(u.faults, upstreamFault{fmt.Sprintf("%s:%d", u.name, line), fmt.Sprintf(format, args...)})
}

var expectation = regexp.MustCompile(`###(.*)$`)

func (u *upstreamRun) run(t *testing.T, src string) {
	t.Helper()
	want := map[int]*regexp.Regexp{}
	for i, line := range strings.Split(src, "\n") {
		if m := expectation.FindStringSubmatch(line); m != nil {
			pattern, err := strconv.Unquote(strings.TrimSpace(m[1]))
			if err != nil {
				t.Fatalf("%s:%d: %v", u.name, i+1, err)
			}
			want[i+1] = regexp.MustCompile(pattern)
		}
	}
	l, err := New(runtime.Host{})
	if err != nil {
		t.Fatal(err)
	}
	u.predeclare(l)
	file := u.name + ".star"
	b := runtime.NewBundle("starlark", file, map[string][]byte{file: []byte(src), "assert.star": u.assert}, nil)
	_, _, err = l.Load(t.Context(), b, runtime.Limits{Steps: 50_000_000, Deadline: 1 << 40, Output: 1 << 30})
	var es runtime.Errors
	if errors.As(err, &es) {
		for _, e := range es {
			line := e.Pos.Line
			for i := len(e.Stack) - 1; i >= 0 && e.Pos.Path != file; i-- {
				if e.Stack[i].Pos.Path == file {
					line = e.Stack[i].Pos.Line
					break
				}
			}
			msg := e.Msg + " (" + e.Hint + ")"
			switch re := want[line]; {
			case re == nil:
				u.fault(line, "unexpected error: %s", msg)
			case !re.MatchString(msg):
				u.fault(line, "got error %q, want one matching %q", msg, re)
			}
			delete(want, line)
		}
	} else if err != nil {
		t.Fatal(err)
	}
	for line, re := range want {
		u.fault(line, "no error matching %q", re)
	}
}

// predeclare gives a language what the test data expects to find.
func (u *upstreamRun) predeclare(l *Language) {
	builtin := func(name string, fn func(t *starlark.Thread, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error)) {
		l.predeclared[name] = starlark.NewBuiltin(name, func(t *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
			return fn(t, args, kwargs)
		})
	}
	builtin("error", func(t *starlark.Thread, args starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
		line := 0
		for i := range t.CallStackDepth() {
			if pos := t.CallFrame(i).Pos; pos.Filename() == u.name+".star" {
				line = int(pos.Line)
				break
			}
		}
		msg, _ := starlark.AsString(args[0])
		u.fault(line, "%s", script.Cut(msg, 400))
		return starlark.None, nil
	})
	builtin("catch", func(t *starlark.Thread, args starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
		if _, err := starlark.Call(t, args[0], nil, nil); err != nil {
			return starlark.String(err.Error()), nil
		}
		return starlark.None, nil
	})
	builtin("matches", func(_ *starlark.Thread, args starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
		ok, err := regexp.MatchString(string(args[0].(starlark.String)), string(args[1].(starlark.String)))
		return starlark.Bool(ok), err
	})
	builtin("module", func(_ *starlark.Thread, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		return starlarkstruct.FromKeywords(starlarkstruct.Default, kwargs), nil
	})
	builtin("freeze", func(_ *starlark.Thread, args starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
		args[0].Freeze()
		return args[0], nil
	})
	l.predeclared["_freeze"] = l.predeclared["freeze"]
	delete(l.predeclared, "freeze")
	builtin("_floateq", func(_ *starlark.Thread, args starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
		x, y := float64(args[0].(starlark.Float)), float64(args[1].(starlark.Float))
		return starlark.Bool(x == y || math.Nextafter(x, y) == y), nil
	})
	builtin("hasfields", func(*starlark.Thread, starlark.Tuple, []starlark.Tuple) (starlark.Value, error) {
		return &hasfields{attrs: starlark.StringDict{}}, nil
	})
	l.predeclared["fibonacci"] = fibonacci{}
}

// fibonacci is an iterable without an end.
type fibonacci struct{}

func (fibonacci) Freeze()                    {}
func (fibonacci) String() string             { return "fib" }
func (fibonacci) Type() string               { return "fib" }
func (fibonacci) Truth() starlark.Bool       { return true }
func (fibonacci) Hash() (uint32, error)      { return 0, fmt.Errorf("fib is unhashable") }
func (fibonacci) Iterate() starlark.Iterator { return &fibonacciIterator{0, 1} }

type fibonacciIterator struct{ x, y int }

func (it *fibonacciIterator) Next(p *starlark.Value) bool {
	*p = starlark.MakeInt(it.x)
	it.x, it.y = it.y, it.x+it.y
	return true
}

func (*fibonacciIterator) Done() {}

// hasfields has any field that is set, but none that begins with "no".
type hasfields struct {
	attrs  starlark.StringDict
	frozen bool
}

func (*hasfields) String() string        { return "hasfields" }
func (*hasfields) Type() string          { return "hasfields" }
func (*hasfields) Truth() starlark.Bool  { return true }
func (*hasfields) Hash() (uint32, error) { return 42, nil }
func (h *hasfields) AttrNames() []string { return h.attrs.Keys() }

func (h *hasfields) Freeze() {
	if !h.frozen {
		h.frozen = true
		h.attrs.Freeze()
	}
}

func (h *hasfields) Attr(name string) (starlark.Value, error) { return h.attrs[name], nil }

func (h *hasfields) SetField(name string, v starlark.Value) error {
	switch {
	case h.frozen:
		return fmt.Errorf("cannot set field on a frozen hasfields")
	case strings.HasPrefix(name, "no"):
		return starlark.NoSuchAttrError(fmt.Sprintf("no .%s field", name))
	}
	h.attrs[name] = v
	return nil
}

func (h *hasfields) Binary(op syntax.Token, y starlark.Value, _ starlark.Side) (starlark.Value, error) {
	if _, ok := y.(*starlark.List); ok && op == syntax.PLUS {
		return starlark.MakeInt(42), nil
	}
	return nil, nil
}
