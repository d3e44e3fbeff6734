package rules

import (
	"bytes"
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/starling-rules/starling/runtime"
)

// Virtual is a script that is made, not found: the handlers of a configuration
// become one.
type Virtual struct {
	// Path is the script's, unique over all rules directories.
	Path string
	// Of, if not empty, names what several scripts are made from: their rules
	// run in the order of that, and their versions change together or not at all.
	Of string
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

// addVirtual puts the scripts that are made into a tree. While a file that they
// are made from is being written, those of the previous tree stand.
func (l *Loader) addVirtual(t *tree, now time.Time, changing map[string]bool) {
	if l.opts.Virtual == nil {
		return
	}
	if l.tree != nil && l.beingMade(t, now, changing) {
		for p, src := range l.tree.files {
			if src.virtual != nil && t.files[p] == nil {
				t.addScript(src)
			}
		}
		return
	}
	has := func(p string) bool { return t.files[p] != nil }
	for _, v := range l.opts.Virtual(has) {
		if l.opts.Only != nil && !l.opts.Only(cmp.Or(v.Of, v.Path)) || t.files[v.Path] != nil {
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
		t.addScript(src)
	}
}

func (t *tree) addScript(src *source) {
	t.files[src.path] = src
	at, _ := slices.BinarySearch(t.scripts, src.path)
	t.scripts = slices.Insert(t.scripts, at, src.path)
}

// beingMade reports whether one of LoaderOptions.Files is being written, by the
// signs that hold for rule files: a notification a moment ago, a writer, or
// nothing in it yet.
func (l *Loader) beingMade(t *tree, now time.Time, changing map[string]bool) bool {
	held := false
	for _, f := range l.opts.Files {
		f = filepath.Clean(f)
		if (changing[f] || unfinished(f, now)) && l.holdBack(f, now) {
			t.unstable[f], held = true, true
		}
	}
	return held
}

func unfinished(name string, now time.Time) bool {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	age := now.Sub(info.ModTime())
	return age < recently && beingWritten(f) || age < emptied && info.Size() == 0
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
			r.of = src.virtual.Of
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

// hold keeps scripts that are made from one thing together: while the newest
// version of one of them does not run, those of the others do not either.
func (l *Loader) hold(refused map[string]runtime.Errors) {
	bad := map[string]bool{}
	for p, s := range l.scripts {
		if of := l.madeFrom(p); of != "" && (s.last.version == nil || refused[p] != nil) {
			bad[of] = true
		}
	}
	for p, s := range l.scripts {
		s.held = bad[l.madeFrom(p)]
	}
}

func (l *Loader) madeFrom(path string) string {
	if src := l.tree.files[path]; src != nil && src.virtual != nil {
		return src.virtual.Of
	}
	return ""
}

// twins reports whether two rules are one, made for two languages.
func twins(a, b *Rule) bool {
	return a.of != "" && a.of == b.of && a.Script != b.Script && a.Pos == b.Pos && a.Match == b.Match && a.Pattern == b.Pattern
}

// made tells LoaderOptions.Made how the scripts that are made fare.
func (l *Loader) made() {
	if l.opts.Made == nil {
		return
	}
	good := true
	for p, src := range l.tree.files {
		if src.virtual != nil {
			s := l.scripts[p]
			good = good && s != nil && s.last.version != nil && s.running == s.last.version
		}
	}
	l.opts.Made(good)
}
