package lua

import (
	"errors"
	"regexp"
	"strconv"
	"strings"

	glua "github.com/yuin/gopher-lua"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/internal/script"
)

// raised is an error on its way through the interpreter.
type raised struct {
	err *runtime.Error
	// vm tells that the interpreter itself found it: it may come from the way
	// a pending result looks, and is believed only when all results are there.
	vm bool
	// value is what error() was given, if that was no text.
	value glua.LValue
}

// Error is the message.
func (r *raised) Error() string { return r.err.Error() }

// text is what pcall returns: the message with its place, as Lua has it.
func (r *raised) text() glua.LValue {
	if r.value != nil {
		return r.value
	}
	if r.err.Pos.Line == 0 {
		return glua.LString(r.err.Msg)
	}
	return glua.LString(r.err.Pos.Path + ":" + strconv.Itoa(r.err.Pos.Line) + ": " + r.err.Msg)
}

// raise leaves Lua code with an error. It does not return.
func (p *pass) raise(L *glua.LState, err error) {
	switch {
	case p.stop != nil:
		p.throw(L, &raised{err: p.stop})
	case p.suspended:
		p.unwind(L)
	}
	var own *runtime.Error
	if r, ok := err.(*raised); ok {
		p.throw(L, r)
	}
	if !errors.As(err, &own) {
		own = &runtime.Error{Kind: runtime.RunError, Msg: err.Error()}
	}
	if own.Pos.IsZero() && own != p.stop {
		c := *own
		c.Pos = p.posIn(L)
		own = &c
	}
	p.throw(L, &raised{err: own})
}

func (p *pass) throw(L *glua.LState, r *raised) {
	L.Error(&glua.LUserData{Value: r, Metatable: glua.LNil}, 0)
	panic("not reached")
}

// unwind ends the pass from inside the interpreter.
func (p *pass) unwind(L *glua.LState) {
	p.throw(L, &raised{err: &runtime.Error{Kind: runtime.InternalError, Msg: "unwinding"}})
}

// place is what the interpreter puts before its messages: file and line of the
// text for the parser.
var place = regexp.MustCompile(`^\$(\d+):(\d+): ?`)

// raisedOf makes of an error value of the interpreter what it stands for.
func (p *pass) raisedOf(L *glua.LState, v glua.LValue) *raised {
	switch v := v.(type) {
	case *glua.LUserData:
		if r, ok := v.Value.(*raised); ok {
			return r
		}
	case glua.LString:
		if m := place.FindStringSubmatch(string(v)); m != nil {
			line, _ := strconv.Atoi(m[2])
			file, _ := strconv.Atoi(m[1])
			return p.explain(string(v)[len(m[0]):], file, line)
		}
		// The interpreter's messages have a place, and ours are userdata: this
		// is a panic of Go that a coroutine made a text of.
		return p.panicked(L, string(v))
	}
	return &raised{err: &runtime.Error{Kind: runtime.RunError, Msg: p.words(v)}, value: v}
}

var (
	indexNil = regexp.MustCompile(`^attempt to index a non-table object\((\w+)\) with key '(.*)'$`)
	// address is what differs from run to run in the text of a value.
	address = regexp.MustCompile(`\b(table|function|thread|userdata|channel): 0x[0-9a-f]+`)
	arith   = regexp.MustCompile(`^cannot perform (\w+) operation between (\w+) and (\w+)$`)
)

// explain words a message of the interpreter and adds hints for what people
// trip over.
func (p *pass) explain(msg string, file, line int) *raised {
	e := &runtime.Error{Kind: runtime.RunError, Msg: address.ReplaceAllString(strings.TrimSpace(msg), "$1")}
	var src *source
	if p.m != nil && file < len(p.m.files) {
		src = p.m.files[file].src
		e.Pos = src.at(line)
	}
	switch {
	case e.Msg == "attempt to call a non-function object" && src != nil:
		p.notFunction(e, src.again(p.m.bundle.Files[src.path]), line)
	case strings.HasPrefix(e.Msg, "attempt to index"):
		if m := indexNil.FindStringSubmatch(e.Msg); m != nil {
			e.Msg = "cannot read field " + script.Cut(m[2], 60) + " of " + article(m[1])
			if m[1] == "nil" {
				e.Hint = "the value is nil: test it first"
			}
		}
	case strings.HasPrefix(e.Msg, "cannot perform"):
		if m := arith.FindStringSubmatch(e.Msg); m != nil {
			e.Msg = "cannot " + arithNames[m[1]] + " " + article(m[2]) + " and " + article(m[3])
			if m[2] == "string" || m[3] == "string" {
				e.Hint = "tonumber(x) makes a number of a text, and .. joins texts"
			}
		}
	case e.Msg == "stack overflow" || e.Msg == "registry overflow":
		e.Msg = "stack overflow: calls are nested too deeply"
	}
	return &raised{err: e, vm: true}
}

var arithNames = map[string]string{"add": "add", "sub": "subtract", "mul": "multiply", "div": "divide", "mod": "take the remainder of", "pow": "raise", "concat": "join"}

func article(kind string) string {
	switch kind {
	case "nil":
		return kind
	case "userdata":
		return "a value of the event"
	}
	return "a " + kind
}

// notFunction says what was called.
func (p *pass) notFunction(e *runtime.Error, src *source, line int) {
	i := src.index(line)
	if i < 0 {
		return
	}
	name := src.tokens[i].text
	if !isWord(name[0]) {
		e.Msg = "attempt to call what is no function"
		return
	}
	switch prev := src.before(i); prev {
	case ":":
		e.Msg = "there is no method " + script.Cut(name, 60)
		if n := runtime.Nearest(name, stringNames); n != "" {
			e.Hint = "did you mean :" + n + "?"
		}
	case ".":
		e.Msg = "field " + script.Cut(name, 60) + " is no function"
	default:
		e.Msg = script.Cut(name, 60) + " is no function here"
		e.Hint = "a local function is known below its definition only"
	}
}

func (s *source) before(i int) string {
	if i == 0 {
		return ""
	}
	return s.tokens[i-1].text
}

// describe makes of an error what its author is shown: a copy, with position,
// source line and stack.
func (p *pass) describe(r *raised) *runtime.Error {
	e := *r.err
	if p.stop != nil {
		e = *p.stop
	}
	if len(e.Stack) == 0 {
		e.Stack = p.trace
	}
	return script.Show(&e, p.m.bundle)
}

// capture is what a state calls when an error is raised in it: the last moment
// at which the stack is there.
func (p *pass) capture(L *glua.LState) {
	if p.trace == nil {
		p.trace = p.frames(L)
	}
	panic(&glua.ApiError{Type: glua.ApiErrorRun, Object: L.Get(-1)})
}

// frames are the script's own frames, outermost first.
func (p *pass) frames(L *glua.LState) []runtime.Frame {
	var out []runtime.Frame
	for ; L != nil; L = L.Parent {
		last := -1
		for level := 0; level < maxLevels; level++ {
			dbg, ok := L.GetStack(level)
			if !ok {
				break
			}
			fn, err := L.GetInfo("Slf", dbg, glua.LNil)
			if err != nil {
				break
			}
			f, ok := fn.(*glua.LFunction)
			if !ok || f.IsG || dbg.CurrentLine == last && dbg.What == "main" {
				continue
			}
			file := fileIndex(dbg.Source)
			if p.m == nil || file < 0 || file >= len(p.m.files) {
				continue
			}
			last = dbg.CurrentLine
			unit := p.m.files[file]
			out = append(out, runtime.Frame{Name: unit.functionName(f.Proto), Pos: unit.src.at(dbg.CurrentLine)})
		}
	}
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return out
}

// posIn is the place in the script that L is executing.
func (p *pass) posIn(L *glua.LState) runtime.Position {
	file, line := p.lineIn(L)
	if file == nil {
		return runtime.Position{}
	}
	return file.src.at(line)
}

// lineIn is the same as the parser's line.
func (p *pass) lineIn(L *glua.LState) (*unit, int) {
	for ; L != nil; L = L.Parent {
		for level := 0; level < maxLevels; level++ {
			dbg, ok := L.GetStack(level)
			if !ok {
				break
			}
			if _, err := L.GetInfo("Sl", dbg, glua.LNil); err != nil {
				break
			}
			if file := fileIndex(dbg.Source); p.m != nil && file >= 0 && file < len(p.m.files) {
				return p.m.files[file], dbg.CurrentLine
			}
		}
	}
	return nil, 0
}

// fileIndex reads the name under which a file was compiled.
func fileIndex(name string) int {
	if n, ok := strings.CutPrefix(name, "$"); ok {
		if i, err := strconv.Atoi(n); err == nil {
			return i
		}
	}
	return -1
}

func sourceName(i int) string { return "$" + strconv.Itoa(i) }
