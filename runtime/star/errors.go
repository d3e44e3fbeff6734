package star

import (
	"errors"
	"regexp"
	"sort"
	"strings"

	"go.starlark.net/resolve"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/internal/script"
)

func bounded(s string) string { return script.Cut(s, script.MaxMessage) }

// describe makes of an error what its author is shown: a copy, with position,
// source line and stack.
func (p *pass) describe(err error) *runtime.Error {
	var e runtime.Error
	var own *runtime.Error
	switch {
	case p.stop != nil:
		e = *p.stop
	case errors.As(err, &own):
		e = *own
	default:
		e.Msg, e.Hint = explain(err.Error())
	}
	var eval *starlark.EvalError
	if errors.As(err, &eval) {
		e.Stack = frames(eval.CallStack)
		if n := len(e.Stack); n > 1 && own == nil && strings.HasSuffix(e.Msg, " called recursively") {
			e.Stack = e.Stack[:n-1] // of the function that was not entered
		}
	}
	return script.Show(&e, p.m.bundle)
}

// errorText is the message of an error without what the layers put around it.
func errorText(err error) string {
	var own *runtime.Error
	if errors.As(err, &own) {
		return own.Msg
	}
	msg, _ := explain(err.Error())
	return msg
}

// frames are the script's own frames, outermost first.
func frames(stack starlark.CallStack) []runtime.Frame {
	var out []runtime.Frame
	for _, f := range stack {
		if f.Pos.Line > 0 {
			out = append(out, runtime.Frame{Name: f.Name, Pos: position(f.Pos)})
		}
	}
	return out
}

var (
	didYouMean = regexp.MustCompile(`^(.*) \((did you mean [^()]*\?)\)$`)
	undefined  = regexp.MustCompile(`^undefined: (\S+)$`)
)

// explain parts the interpreter's message from its hint, and adds hints for
// what people trip over.
func explain(msg string) (text, hint string) {
	if len(msg) > 4*script.MaxMessage { // keys are quoted whole
		msg = bounded(msg)
	}
	if m := didYouMean.FindStringSubmatch(msg); m != nil {
		return m[1], m[2]
	}
	msg = strings.Replace(msg, "frozen hash table", "frozen dict", 1)
	switch {
	case strings.HasSuffix(msg, "called recursively"):
		hint = "recursion is not possible: write a loop"
	case strings.HasPrefix(msg, "key ") && strings.HasSuffix(msg, "not in dict"), strings.HasSuffix(msg, "not in frozen dict"):
		hint = "x.get(key) returns None where there is none"
	case strings.HasPrefix(msg, "unknown binary op: string + "):
		hint = "str(x) makes text of a value"
	case strings.HasPrefix(msg, "NoneType has no ."):
		hint = "the value is None: test it first"
	case strings.Contains(msg, "cannot ") && strings.Contains(msg, " frozen "):
		hint = "what the top level of a file made cannot be changed by a handler: use kv for state"
	}
	return msg, hint
}

// syntaxErrors takes over what the parser found, and what it would have found
// further down.
func (ld *loader) syntaxErrors(path string, text []byte, err error) {
	for _, e := range syntaxErrors(path, text, err) {
		ld.syntaxError(e)
	}
}

func (ld *loader) syntaxError(err error) {
	var e syntax.Error
	if !errors.As(err, &e) {
		ld.fail(runtime.SyntaxError, runtime.Position{Path: ld.bundle.Main}, bounded(err.Error()), "")
		return
	}
	text, msg := ld.bundle.Files[e.Pos.Filename()], e.Msg
	pos := visible(position(e.Pos), text, msg)
	if atEnd(position(e.Pos), text, msg) {
		hint := "a bracket is not closed, or something is missing behind this"
		if strings.HasSuffix(msg, "want indent") {
			hint = "a block of indented lines has to follow"
		}
		ld.fail(runtime.SyntaxError, pos, "the file ends in the middle of something", hint)
		return
	}
	line := strings.TrimSpace(runtime.SourceLine(text, pos.Line))
	word, _, _ := strings.Cut(line, " ")
	ld.fail(runtime.SyntaxError, pos, bounded(msg), syntaxHints[strings.TrimSuffix(word, ":")])
}

// atEnd tells that the parser met the end of the file.
func atEnd(pos runtime.Position, text []byte, msg string) bool {
	if strings.HasPrefix(msg, "got end of file") {
		return true
	}
	if !strings.HasPrefix(msg, "got outdent") {
		return false
	}
	rest := string(text)
	for n := 1; n < pos.Line; n++ {
		_, rest, _ = strings.Cut(rest, "\n")
	}
	return strings.TrimSpace(rest) == ""
}

// visible moves the place of an error from where the parser met the end of a line
// or of the file to the end of what is written before it.
func visible(pos runtime.Position, text []byte, msg string) runtime.Position {
	newline := strings.HasPrefix(msg, "got newline") && pos.Col == 1
	if !newline && !atEnd(pos, text, msg) {
		return pos
	}
	for n := min(pos.Line, strings.Count(string(text), "\n")+1); n > 0; n-- {
		line := runtime.SourceLine(text, n)
		if code, _, ok := strings.Cut(line, "#"); ok && !strings.ContainsAny(code, "\"'") {
			line = code
		}
		line = strings.TrimRight(line, " \t")
		if n < pos.Line && line != "" || n == pos.Line && !newline && line != "" {
			return runtime.Position{Path: pos.Path, Line: n, Col: len(line) + 1}
		}
	}
	return pos
}

// syntaxHints are for statements of Python that Starlark does not have, by the
// first word of the line.
var syntaxHints = map[string]string{
	"import": "write load(\"lib/name.star\", \"symbol\")", "from": "write load(\"lib/name.star\", \"symbol\")",
	"try": "write value, err = catch(fn, argument)", "except": "write value, err = catch(fn, argument)",
	"raise": "write fail(\"message\")", "assert": "write: if not condition: fail(\"message\")",
	"class": "use a dict or struct(…)", "with": "there is no with", "async": "there is no async: effects wait by themselves",
	"await": "there is no await: effects wait by themselves", "yield": "there is no yield: return a list",
	"global": "module variables cannot be changed by a function: use kv for state", "del": "write d.pop(key)",
	"local": "this is Lua: name the file .lua", "end": "this is Lua: name the file .lua", "function": "this is Lua: name the file .lua",
}

// nameErrors takes over what the resolver found.
func (ld *loader) nameErrors(u *unit, err error) {
	var list resolve.ErrorList
	if !errors.As(err, &list) {
		ld.fail(runtime.SyntaxError, runtime.Position{Path: u.path}, bounded(err.Error()), "")
		return
	}
	for _, e := range list {
		msg, hint := explain(e.Msg)
		if m := undefined.FindStringSubmatch(msg); m != nil {
			name := m[1]
			msg = name + " is not defined"
			switch better := ld.nearest(u, name); {
			case better == name:
				hint = "it is defined further down: move this below it"
			case better != "":
				hint = "did you mean " + better + "?"
			}
		}
		ld.fail(runtime.NameError, position(e.Pos), bounded(msg), hint)
	}
}

// foreign are names of other languages.
var foreign = map[string]string{"nil": "None", "null": "None", "undefined": "None", "true": "True", "false": "False"}

// nearest finds what an undefined name may have meant. Names of the resolver's
// own hint (locals) come back as "" so that its hint stays.
func (ld *loader) nearest(u *unit, name string) string {
	if n, ok := foreign[name]; ok {
		return n
	}
	names := append([]string(nil), ld.lang.names...)
	if m, ok := u.file.Module.(*resolve.Module); ok {
		for _, g := range m.Globals {
			if !strings.HasPrefix(g.First.Name, "$") {
				names = append(names, g.First.Name)
			}
		}
	}
	sort.Strings(names)
	return runtime.Nearest(name, names)
}
