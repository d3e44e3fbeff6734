package lua

import (
	"errors"
	"fmt"
	"strings"

	"github.com/yuin/gopher-lua/parse"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/internal/script"
)

// syntaxError takes over what the parser found.
func (ld *loader) syntaxError(u *unit, err error) {
	var e *parse.Error
	if !errors.As(err, &e) {
		ld.fail(runtime.SyntaxError, runtime.Position{Path: u.path}, script.Cut(err.Error(), script.MaxMessage), "")
		return
	}
	if e.Pos.Line <= 0 {
		ld.fail(runtime.SyntaxError, u.src.end(), "the file ends in the middle of something", u.src.unclosed())
		return
	}
	msg := e.Message
	i := u.src.index(e.Pos.Line)
	if i < 0 {
		ld.fail(runtime.SyntaxError, u.src.at(e.Pos.Line), msg, "")
		return
	}
	if t := u.src.tokens[i].text; msg == "syntax error" || msg == "parse error" || strings.HasPrefix(msg, "Invalid") {
		msg = "unexpected " + script.Cut(t, 60)
	}
	ld.fail(runtime.SyntaxError, u.src.place(i), msg, u.src.syntaxHint(i))
}

// syntaxHint tells what was meant where the parser met a token that it did not expect.
func (s *source) syntaxHint(i int) string {
	if hint := s.operatorHint(i); hint != "" {
		return hint
	}
	line, word := s.firstOfLine(i)
	for n := 0; n < 3 && word >= 0; n++ { // Lua often reads on before it is lost
		if hint := syntaxHints[s.tokens[word].text]; hint != "" {
			return hint
		}
		_, word = s.firstOfLine(word - 1)
	}
	return s.blockHint(i, line)
}

// firstOfLine returns token i's line and the first token on it.
func (s *source) firstOfLine(i int) (line, index int) {
	if i < 0 {
		return 0, -1
	}
	for line = s.tokens[i].line; i > 0 && s.tokens[i-1].line == line; i-- {
	}
	return line, i
}

// syntaxHints are for statements of other languages, by the first word of the line.
var syntaxHints = map[string]string{
	"def": "this is Starlark: name the file .star, or write function name(e) … end", "import": `write local name = require("lib.name")`,
	"try": "write local value, err = catch(fn, argument)", "elif": "write elseif … then",
	"continue": "there is no continue: put the rest into an if", "switch": "write if … elseif … end", "var": "write local", "let": "write local", "const": "write local",
	"class": "use a table, with setmetatable if it needs methods", "except": "write local value, err = catch(fn, argument)",
	"load": `write local name = require("lib.name")`, "raise": `write error("message")`, "throw": `write error("message")`,
}

// operatorHint is for operators of other languages.
func (s *source) operatorHint(i int) string {
	t, prev, next := s.tokens[i].text, s.before(i), ""
	if i+1 < len(s.tokens) {
		next = s.tokens[i+1].text
	}
	switch {
	case t == "!" && (next == "=" || next == "=="), t == "=" && prev == "!", t == "~":
		return "write ~="
	case t == "!":
		return "write not"
	case t == "continue" || prev == "continue":
		return syntaxHints["continue"]
	case next == "=" && strings.Contains("+-*/%^..", t):
		return "write x = x " + t + " …"
	case t == "<" && s.is(i-2, "local"):
		return "this is Lua 5.1, without attributes: write local " + prev
	case t == "=" && prev != "" && strings.Contains("+-*/%^..", prev):
		return "write x = x " + prev + " …"
	case t == "+" && (prev == "+" || next == "+"):
		return "write x = x + 1"
	case t == "&" || prev == "&":
		return "write and"
	case t == "|" || prev == "|":
		return "write or"
	case t == "?":
		return "write condition and x or y"
	case t == "/" && prev == "/":
		return "comments begin with --; math.floor(x / y) is the whole quotient"
	case t == "in":
		return "there is no operator in: write t[key] ~= nil"
	case t == "=" || t == "==" && next == "=":
		if _, first := s.firstOfLine(i); s.is(first, "if") || s.is(first, "elseif") || s.is(first, "while") || s.is(first, "until") || s.is(first, "return") {
			return "= sets a variable, == compares"
		}
	}
	return ""
}

// blockHint is for blocks that are opened or closed in another way than Lua's.
func (s *source) blockHint(i, line int) string {
	t := s.tokens[i].text
	_, first := s.firstOfLine(i)
	start := ""
	if first == i && i > 0 { // the fault is at the end of the line before
		_, first = s.firstOfLine(i - 1)
	}
	start = s.tokens[first].text
	has := func(word string) bool {
		for k := first; k < i; k++ {
			if s.is(k, word) {
				return true
			}
		}
		return false
	}
	switch {
	case (start == "if" || start == "elseif") && !has("then"):
		return "an " + start + " needs then behind its condition"
	case (start == "while" || start == "for") && !has("do"):
		return "a " + start + " needs do before its body"
	case t == "{" && (start == "function" || start == "else") || t == "{" && has("function"):
		return "a block has no braces: it ends with end"
	case t == "end" && s.tokens[i].line == line:
		if open, _ := s.openers(i); open == 0 {
			return "nothing is open here: this end is one too many"
		}
	case s.tokens[i].newline && start == "return" || t == "return":
		return "return ends a block: nothing may follow it"
	case t == ")" || t == "]" || t == "}":
		return "this closes nothing, or something is missing before it"
	}
	if k := s.bracket(i); k >= 0 {
		return fmt.Sprintf("the %s in line %d is still open: a comma or its end may be missing", s.tokens[k].text, s.tokens[k].line)
	}
	return ""
}

// bracket returns the innermost bracket that is open before token end, or -1.
func (s *source) bracket(end int) int {
	var stack []int
	for i := range end {
		switch s.tokens[i].text {
		case "(", "{", "[":
			stack = append(stack, i)
		case ")", "}", "]":
			stack = stack[:max(len(stack)-1, 0)]
		}
	}
	if len(stack) == 0 {
		return -1
	}
	return stack[len(stack)-1]
}

// openers counts the blocks that are open before token end, and finds the one
// that most likely lacks its end: the innermost whose end stands elsewhere, or
// the innermost of all.
func (s *source) openers(end int) (open, suspect int) {
	var stack []int
	suspect = -1
	for i := range end {
		switch s.tokens[i].text {
		case "function", "if", "do", "repeat":
			stack = append(stack, i)
		case "while", "for": // which have a do
		case "end", "until":
			n := len(stack) - 1
			if n < 0 {
				continue
			}
			_, first := s.firstOfLine(stack[n])
			if s.tokens[i].newline && s.tokens[first].col != s.tokens[i].col && s.tokens[first].line != s.tokens[i].line && suspect < 0 {
				suspect = stack[n]
			}
			stack = stack[:n]
		}
	}
	if n := len(stack); n > 0 && suspect < 0 {
		suspect = stack[n-1]
	}
	return len(stack), suspect
}

// unclosed is the hint for a file that ends too early.
func (s *source) unclosed() string {
	for i := 1; i < len(s.tokens); i++ {
		if s.tokens[i].text == "if" && s.tokens[i-1].text == "else" && s.tokens[i].line == s.tokens[i-1].line {
			return fmt.Sprintf("else if in line %d opens a block of its own: write elseif", s.tokens[i].line)
		}
	}
	open, suspect := s.openers(len(s.tokens))
	if open == 0 || suspect < 0 {
		return "an end, a bracket or a value is missing"
	}
	t := s.tokens[suspect]
	_, first := s.firstOfLine(suspect)
	name := t.text
	if w := s.tokens[first].text; t.text == "do" && (w == "for" || w == "while") {
		name = w
	}
	return fmt.Sprintf("the %s in line %d has no end", name, t.line)
}
