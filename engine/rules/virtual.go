package rules

import (
	"bytes"
	"path/filepath"
	"slices"

	"github.com/starling-rules/starling/runtime"
)

// Virtual is a script that is made, not found: the handlers of a configuration
// become one.
type Virtual struct {
	// Path is the script's, unique over all rules directories.
	Path string
	// Language is the name of the language of Text.
	Language string
	Text     []byte
	// Errors, if there are any, are why there is no Text. The same slice means
	// the same errors.
	Errors runtime.Errors
	// Place leads from a position in Text to what it was made from, and the
	// text of that line; positions that it does not know it returns as they are.
	Place func(runtime.Position) (at runtime.Position, line string)
}

// addVirtual puts the scripts that are made into a tree.
func (l *Loader) addVirtual(t *tree) {
	if l.opts.Virtual == nil {
		return
	}
	has := func(p string) bool { return t.files[p] != nil }
	for _, v := range l.opts.Virtual(has) {
		if l.opts.Only != nil && !l.opts.Only(v.Path) || t.files[v.Path] != nil {
			continue
		}
		src := &source{path: v.Path, text: &text{v.Text}, virtual: &v}
		if l.tree != nil {
			if prev := l.tree.files[v.Path]; prev != nil && prev.text != nil && bytes.Equal(prev.text.bytes, v.Text) {
				src.text = prev.text
			}
		}
		if len(v.Errors) > 0 {
			src.text, src.err = nil, v.Errors[0]
		}
		t.files[v.Path] = src
		at, _ := slices.BinarySearch(t.scripts, v.Path)
		t.scripts = slices.Insert(t.scripts, at, v.Path)
	}
}

// place moves what was found in a script that was made to what it was made from.
func (src *source) place(a *attempt) {
	if src.virtual == nil || src.virtual.Place == nil {
		return
	}
	move := func(pos *runtime.Position, line *string) {
		if pos.Path != src.path {
			return
		}
		at, text := src.virtual.Place(*pos)
		if at == *pos {
			return
		}
		*pos = at
		if line != nil {
			*line = text
		}
	}
	for _, e := range a.errs {
		move(&e.Pos, &e.Line)
	}
	if a.version != nil {
		for _, r := range a.version.Rules {
			move(&r.Pos, nil)
		}
	}
}

// watchedFile reports whether a notification is of one of LoaderOptions.Files,
// or of the link that a mounted volume swaps beside it.
func (l *Loader) watchedFile(name string) bool {
	for _, f := range l.opts.Files {
		f = filepath.Clean(f)
		if name == f || filepath.Dir(name) == filepath.Dir(f) && filepath.Base(name) == "..data" {
			return true
		}
	}
	return false
}
