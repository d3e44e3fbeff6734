package script

import (
	"context"
	"errors"
	"fmt"
	"path"
	"sort"
	"strings"

	"github.com/starling-rules/starling/runtime"
)

// Cut shortens s to at most n bytes at a character's edge, and leaves no bytes
// in it that are no characters: texts of scripts may hold any.
func Cut(s string, n int) string {
	if len(s) <= n {
		return strings.ToValidUTF8(s, "\ufffd")
	}
	return strings.ToValidUTF8(s[:n-len("…")], "") + "…"
}

// MaxMessage bounds the text of an error, and maxStack its frames: a script
// may build both as long as it likes.
const (
	MaxMessage = 1000
	maxStack   = 50
)

// Show makes of an error what its author is shown: texts and stack bounded,
// with a position and the source line. It changes e.
func Show(e *runtime.Error, b *runtime.Bundle) *runtime.Error {
	if e.Kind == "" {
		e.Kind = runtime.RunError
	}
	if e.Msg == "" {
		e.Msg = "an error with an empty text"
	}
	e.Msg, e.Hint = Cut(e.Msg, MaxMessage), Cut(e.Hint, MaxMessage)
	if n := len(e.Stack); n > maxStack {
		e.Stack = append(e.Stack[:maxStack/2:maxStack/2], e.Stack[n-maxStack/2:]...)
	}
	if e.Pos.IsZero() && len(e.Stack) > 0 {
		e.Pos = e.Stack[len(e.Stack)-1].Pos
	}
	if e.Pos.Path == "" {
		e.Pos.Path = b.Main
	}
	e.SetLine(b.Files[e.Pos.Path])
	return e
}

// maxProblems bounds what is told of one bundle at a time.
const maxProblems = 200

// Sort puts problems in the order of file and line, those of the main file
// first, with their source lines. Those after the 200th are left out.
func Sort(errs runtime.Errors, b *runtime.Bundle) runtime.Errors {
	sort.SliceStable(errs, func(i, j int) bool {
		x, y := errs[i].Pos, errs[j].Pos
		if x.Path != y.Path {
			return x.Path == b.Main || y.Path != b.Main && x.Path < y.Path
		}
		return x.Line < y.Line || x.Line == y.Line && x.Col < y.Col
	})
	errs = errs[:min(len(errs), maxProblems)]
	for _, e := range errs {
		e.SetLine(b.Files[e.Pos.Path])
	}
	return errs
}

// Cancelled is the end of a pass whose context has ended.
func Cancelled(ctx context.Context) *runtime.Error {
	cause := context.Cause(ctx)
	var e *runtime.Error
	switch {
	case errors.As(cause, &e):
		return e
	case errors.Is(cause, context.DeadlineExceeded):
		return &runtime.Error{Kind: runtime.LimitError, Limit: runtime.LimitDeadline, Msg: "exceeded the deadline"}
	}
	return &runtime.Error{Kind: runtime.InternalError, Msg: "cancelled: " + cause.Error()}
}

// Importer says how files of a language name each other.
type Importer struct {
	// Word is what they are loaded with, Example a good use of it.
	Word, Example string
	// Ext is the ending of the files.
	Ext string
	// Rel, if not nil, turns a name that is not absolute into a path.
	Rel func(name string) string
}

const library = "@starling//"

// Resolve turns what a file gives to load or require into the path of a file
// of its bundle: below the rules directory, or of the library.
func (m Importer) Resolve(from, name string) (target, hint string, err error) {
	bad := func(why, hint string) (string, string, error) {
		return "", hint, fmt.Errorf("%s: %q %s", m.Word, Cut(name, 100), why)
	}
	root, dir := "", path.Dir(from)
	if rest, ok := strings.CutPrefix(from, library); ok {
		root, dir = library, path.Dir(rest)
	}
	rel := name
	switch {
	case strings.HasPrefix(name, library):
		root, rel = library, name[len(library):]
	case strings.HasPrefix(name, "@"):
		return bad("is in no known library", "library scripts begin with @starling//")
	case strings.HasPrefix(name, "/"):
		return bad("is an absolute path", "names are relative to the rules directory: write "+m.Example)
	case strings.HasPrefix(name, "./"), strings.HasPrefix(name, "../"):
		rel = path.Join(dir, name)
	default:
		root = "" // a library script names the rules directory
	}
	if m.Rel != nil {
		rel = m.Rel(rel)
	}
	rel = path.Clean(rel)
	switch {
	case rel == ".." || strings.HasPrefix(rel, "../"):
		return bad("is outside of the rules directory", "")
	case name == "" || rel == "." || strings.HasPrefix(rel, "/") || strings.ContainsAny(name, "\\\x00"):
		return bad("is no name of a file", "write "+m.Example)
	case path.Ext(rel) != m.Ext:
		return bad("is not a "+m.Ext+" file", "write "+m.Example)
	}
	return root + rel, "", nil
}
