package runtime

import (
	"errors"
	"strings"
)

// ErrorKind tells at which stage a script went wrong.
type ErrorKind string

// The kinds of script errors.
const (
	SyntaxError   ErrorKind = "syntax"   // the source does not parse
	NameError     ErrorKind = "name"     // an undefined or misused name
	LoadError     ErrorKind = "load"     // a bad registration, or a module that cannot be loaded
	RunError      ErrorKind = "run"      // the script failed while it ran
	LimitError    ErrorKind = "limit"    // a limit was exceeded: see Error.Limit
	DivergedError ErrorKind = "diverged" // a replay asked for another effect than the journal holds
	InternalError ErrorKind = "internal" // a fault of Starling, not of the script
	AbortError    ErrorKind = "abort"    // abort(status, text): see Error.Status
)

// The names of the limits, as outcomes and `limits:` in the configuration spell them.
const (
	LimitSteps    = "steps"
	LimitDeadline = "deadline"
	LimitMemory   = "memory"
	LimitEffects  = "effects"
	LimitOutput   = "output"
	LimitSource   = "source"
	LimitRun      = "run"
	LimitMatch    = "match"   // the server's time for the patterns of rules; not configurable
	LimitBacklog  = "backlog" // passes at low priority that wait; not configurable
)

// Frame is one level of a script's call stack.
type Frame struct {
	Name string   `json:"name"`
	Pos  Position `json:"position"`
}

// Error is what a script author is shown, whatever the language and the stage.
// It carries no secret.
type Error struct {
	Kind  ErrorKind `json:"kind"`
	Msg   string    `json:"message"`
	Hint  string    `json:"hint,omitempty"`
	Limit string    `json:"limit,omitempty"` // with LimitError: which limit
	// Status is the HTTP status of an AbortError.
	Status int `json:"status,omitempty"`
	// Crashed tells that the worker process did not survive the pass, and that
	// the pass is to blame. It stays with the server that saw it.
	Crashed bool     `json:"-"`
	Pos     Position `json:"position"`
	Line    string   `json:"source,omitempty"` // the text of the source line
	Stack   []Frame  `json:"stack,omitempty"`  // outermost first
}

// Error returns one line: position, message and hint.
func (e *Error) Error() string {
	var b strings.Builder
	if !e.Pos.IsZero() {
		b.WriteString(e.Pos.String())
		b.WriteString(": ")
	}
	b.WriteString(e.Msg)
	if e.Hint != "" {
		b.WriteString(" (")
		b.WriteString(e.Hint)
		b.WriteString(")")
	}
	return b.String()
}

// Detail returns the whole error: message, source line with caret, hint and stack.
//
//	rules/deploy.star:3:4: on.mesage is not a built-in
//	   3 | on.mesage("hi", hi)
//	     |    ^
//	     = did you mean on.message?
func (e *Error) Detail() string {
	var b strings.Builder
	if !e.Pos.IsZero() {
		b.WriteString(e.Pos.String())
		b.WriteString(": ")
	}
	b.WriteString(e.Msg)
	b.WriteByte('\n')
	if e.Line != "" && e.Pos.Line > 0 {
		num := itoa(e.Pos.Line)
		pad := strings.Repeat(" ", max(4, len(num)))
		b.WriteString(pad[:len(pad)-len(num)] + num + " | " + strings.ReplaceAll(e.Line, "\t", " ") + "\n")
		if e.Pos.Col > 0 {
			b.WriteString(pad + " | " + strings.Repeat(" ", columnWidth(e.Line, e.Pos.Col)) + "^\n")
		}
		if e.Hint != "" {
			b.WriteString(pad + " = " + e.Hint + "\n")
		}
	} else if e.Hint != "" {
		b.WriteString("     = " + e.Hint + "\n")
	}
	if len(e.Stack) > 1 {
		b.WriteString("stack:\n")
		for _, f := range e.Stack {
			b.WriteString("  " + f.Pos.String() + " in " + f.Name + "\n")
		}
	}
	return b.String()
}

// columnWidth counts the characters before byte column col.
func columnWidth(line string, col int) int {
	return len([]rune(line[:min(col-1, len(line))]))
}

func itoa(n int) string { return Position{Path: "", Line: n}.String()[1:] }

// SetLine fills Line from the text of the file that Pos names.
func (e *Error) SetLine(text []byte) {
	if e.Pos.Line > 0 && e.Line == "" {
		e.Line = SourceLine(text, e.Pos.Line)
	}
}

// SourceLine returns line n (from 1) of text, without its end, at most 200 bytes.
func SourceLine(text []byte, n int) string {
	s := string(text)
	for i := 1; i < n; i++ {
		_, rest, ok := strings.Cut(s, "\n")
		if !ok {
			return ""
		}
		s = rest
	}
	s, _, _ = strings.Cut(s, "\n")
	s = strings.TrimSuffix(s, "\r")
	if len(s) > 200 {
		s = strings.ToValidUTF8(s[:200], "")
	}
	return s
}

// Errors is every problem of a file at once.
type Errors []*Error

// Error joins the problems, a line each.
func (es Errors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// Detail joins the problems with their source lines.
func (es Errors) Detail() string {
	var b strings.Builder
	for _, e := range es {
		b.WriteString(e.Detail())
	}
	return b.String()
}

// Unwrap gives errors.Is and errors.As each problem.
func (es Errors) Unwrap() []error {
	out := make([]error, len(es))
	for i, e := range es {
		out[i] = e
	}
	return out
}

// ErrClosed is returned by a Pool after Close.
var ErrClosed = errors.New("pool is closed")

// ErrUnknownScript is returned by Pool.Run for a Digest that was not loaded or has been forgotten.
var ErrUnknownScript = errors.New("script version is not loaded")
