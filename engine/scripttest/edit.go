package scripttest

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/starling-rules/starling/engine/rules"
	"github.com/starling-rules/starling/runtime"
)

// The world is the dispatcher's source of rules: t.edit may put another loader
// in the place of the one that the tests of a file share.

// Current implements dispatch.Rules.
func (w *world) Current() *rules.Set { return w.rules().Current() }

// Acquire implements dispatch.Rules.
func (w *world) Acquire(d runtime.Digest) { w.rules().Acquire(d) }

// Release implements dispatch.Rules.
func (w *world) Release(d runtime.Digest) { w.rules().Release(d) }

// Bundle implements dispatch.Rules.
func (w *world) Bundle(d runtime.Digest) (*runtime.Bundle, bool) { return w.rules().Bundle(d) }

// Restore implements dispatch.Rules.
func (w *world) Restore(ctx context.Context, b *runtime.Bundle) error {
	return w.rules().Restore(ctx, b)
}

func (w *world) rules() *rules.Loader {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.loader
}

// paths are the scripts under test.
func (w *world) paths() ([]string, error) {
	if w.scripts != nil {
		return w.scripts, nil
	}
	if own := w.s.ownScript(); own != nil {
		return own, nil
	}
	return nil, &runtime.Error{
		Kind: runtime.LoadError, Msg: "there is no script that " + w.s.path + " is named after",
		Hint: "name the rules under test: t.rules(\"deploy.star\")",
	}
}

// load loads the rules as a server that starts does.
func (w *world) load(ctx context.Context) error {
	paths, err := w.paths()
	if err != nil {
		return err
	}
	var l *rules.Loader
	if w.edits == nil {
		l, err = w.s.rules(ctx, paths, w.config)
	} else {
		l, err = w.ownLoader(ctx, paths)
	}
	if err != nil {
		return err
	}
	w.use(l)
	return nil
}

func (w *world) use(l *rules.Loader) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.loader = l
}

// ownLoader makes a loader that sees what the test has edited.
func (w *world) ownLoader(ctx context.Context, paths []string) (*rules.Loader, error) {
	o := w.s.loaderOptions(w.config)
	o.Only = func(p string) bool { _, edited := w.edits[p]; return edited || slices.Contains(paths, p) }
	o.Overlay = func() map[string][]byte { return w.edits }
	l := rules.NewLoader(o)
	return l, w.reload(ctx, l)
}

// reload loads what has changed; a file with an error is one of the test.
func (w *world) reload(ctx context.Context, l *rules.Loader) error {
	_, rep, err := l.Load(ctx)
	if err != nil {
		return fmt.Errorf("load rules: %w", err)
	}
	var errs runtime.Errors
	for _, f := range rep.Files {
		errs = append(errs, f.Errors...)
	}
	if len(errs) > 0 {
		return errs
	}
	return nil
}

// edit is t.edit: a file of the rules changes while they run.
func edit(w *world, x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	_, err := w.finish(w.newRun(x, "t.edit"), w.edit(a))
	return nil, err
}

func (w *world) edit(a *runtime.Args) error {
	p, err := w.editable(a.Text("path"))
	if err != nil {
		return err
	}
	text, err := w.newText(p, a)
	if err != nil {
		return err
	}
	if err := w.start(); err != nil {
		return err
	}
	ctx := context.Background()
	l := w.rules()
	if w.edits == nil { // the old version is one that this world has seen
		w.edits = map[string][]byte{}
		paths, err := w.paths()
		if err != nil {
			return err
		}
		if l, err = w.ownLoader(ctx, paths); err != nil {
			return err
		}
		w.use(l)
	}
	w.edits[p] = text
	return w.reload(ctx, l)
}

// editable is the path of a file to edit: one that there is, or one beside the
// test that is new.
func (w *world) editable(name string) (string, error) {
	p, err := w.s.named(name)
	if err == nil {
		return p, nil
	}
	p = path.Join(path.Dir(w.s.path), name)
	if _, edited := w.edits[p]; edited {
		return p, nil
	}
	if w.s.r.exts[path.Ext(p)] == "" || strings.HasPrefix(p, "../") {
		return "", fmt.Errorf("t.edit: %w", err)
	}
	return p, nil
}

// newText is the text that a file is to have; nil if it is to go.
func (w *world) newText(p string, a *runtime.Args) ([]byte, error) {
	given := 0
	for _, n := range []string{"text", "replace", "remove"} {
		if a.Has(n) {
			given++
		}
	}
	if given != 1 {
		return nil, errors.New("t.edit: give the new text, or replace =, or remove = True")
	}
	if a.Bool("remove", false) {
		return nil, nil
	}
	if a.Has("text") {
		return []byte(a.Text("text")), nil
	}
	text, edited := w.edits[p]
	if !edited {
		var err error
		if text, err = w.s.read(p); err != nil {
			return nil, fmt.Errorf("t.edit: %w", err)
		}
	} else if text == nil {
		return nil, fmt.Errorf("t.edit: %s was removed", p)
	}
	out := string(text)
	for _, f := range a.Map("replace").Fields {
		with, ok := f.Value.(string)
		if !ok {
			return nil, fmt.Errorf("t.edit: replace: %q: got %s, want string", f.Key, runtime.TypeName(f.Value))
		}
		if !strings.Contains(out, f.Key) {
			return nil, fmt.Errorf("t.edit: replace: %s has no %q", p, f.Key)
		}
		out = strings.ReplaceAll(out, f.Key, with)
	}
	return []byte(out), nil
}
