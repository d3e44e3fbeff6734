package rules

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/starling-rules/starling/runtime"
)

// Bounds of what one script may load.
const (
	maxModules = 256
	maxRounds  = 32 // nesting of modules that load modules
)

// libraryPrefix begins the paths of library scripts.
const libraryPrefix = "@starling//"

// Version is one loaded version of a script. It is immutable.
type Version struct {
	Path   string
	Digest runtime.Digest
	Bundle *runtime.Bundle
	// Rules are in the order of the registrations.
	Rules []*Rule
	// Logs are what the script printed while it was loaded.
	Logs   []runtime.LogLine
	Loaded time.Time
}

// Rule returns the version's rule of that ID, or nil.
func (v *Version) Rule(id string) *Rule {
	for _, r := range v.Rules {
		if r.ID == id {
			return r
		}
	}
	return nil
}

// attempt is what came of compiling a script from one tree.
type attempt struct {
	// used are the texts that went into it by path; nil for those that were
	// missing. It stands as long as the tree has the same.
	used    map[string]*text
	srcErr  *runtime.Error
	version *Version
	errs    runtime.Errors
	// registered tells that the script's top level ran to its end.
	registered bool
	// retry is set if what went wrong was no fault of the script.
	retry bool
	when  time.Time
	mtime time.Time // of the script's file
}

// current reports whether compiling again would give the same.
func (a *attempt) current(t *tree, lib func(string) *text) bool {
	if a.retry {
		return false
	}
	for p, used := range a.used {
		if moduleText(t, lib, p) != used {
			return false
		}
	}
	return true
}

// moduleText returns the text of a module, or nil.
func moduleText(t *tree, lib func(string) *text, p string) *text {
	if strings.HasPrefix(p, libraryPrefix) {
		return lib(p)
	}
	if src := t.files[p]; src != nil {
		return src.text
	}
	if t.find != nil {
		return t.find(p)
	}
	return nil
}

// attempt compiles one script: it loads it in the pool, adds the modules that
// the pool finds missing until there are none, and checks the registrations.
// The error is for what concerns all scripts (the pool is closed, ctx ended).
func (l *Loader) attempt(ctx context.Context, t *tree, main string, running *Version) (*attempt, error) {
	src := t.files[main]
	a := &attempt{used: map[string]*text{main: src.text}, when: l.now(), srcErr: src.err}
	if src.info != nil {
		a.mtime = src.info.ModTime()
	}
	if src.err != nil {
		a.errs = runtime.Errors{src.err}
		if src.virtual != nil {
			a.errs = src.virtual.Errors
		}
		return a, nil
	}
	language := l.opts.Languages[path.Ext(main)]
	if src.virtual != nil {
		language = src.virtual.Language
		defer func() {
			if a.version == nil || a.version != running {
				src.place(a)
			}
		}()
	}
	files := map[string][]byte{main: src.text.bytes}
	for range maxRounds {
		b := runtime.NewBundle(language, main, maps.Clone(files), l.config(main))
		if running != nil && running.Digest == b.Digest {
			a.version = running
			return a, nil
		}
		v, missing, err := l.open(ctx, b)
		if _, ok := errors.AsType[refused](err); ok {
			a.registered = true
		}
		switch {
		case err != nil:
			return a, a.fail(ctx, err)
		case len(missing) == 0:
			a.version = v
			return a, nil
		}
		for _, m := range missing {
			module := moduleText(t, l.library, m.Path)
			a.used[m.Path] = module
			if module == nil {
				a.errs = append(a.errs, l.missing(t, b, m))
				continue
			}
			files[m.Path] = module.bytes
		}
		if len(files) > maxModules {
			a.errs = append(a.errs, fileError(main, runtime.LoadError, "loads more than %d files", maxModules))
		}
		if len(a.errs) > 0 {
			return a, nil
		}
	}
	a.errs = runtime.Errors{fileError(main, runtime.LoadError, "loads modules nested deeper than %d", maxRounds)}
	return a, nil
}

// fail sorts an error of open: the script's own go into the attempt, those
// that concern all scripts are returned.
func (a *attempt) fail(ctx context.Context, err error) error {
	var many runtime.Errors
	var one *runtime.Error
	switch {
	case errors.As(err, &many):
		a.errs = many
	case errors.As(err, &one):
		a.errs = runtime.Errors{one}
	case ctx.Err() != nil || errors.Is(err, runtime.ErrClosed):
		return err
	default: // a worker died, say: the next poll tries again
		a.errs = runtime.Errors{{Kind: runtime.InternalError, Msg: err.Error()}}
		a.retry = true
	}
	return nil
}

// open loads a bundle in the pool and compiles its registrations.
func (l *Loader) open(ctx context.Context, b *runtime.Bundle) (*Version, []runtime.Missing, error) {
	man, err := l.opts.Pool.Load(ctx, b)
	if err != nil {
		return nil, nil, err
	}
	if len(man.Missing) > 0 {
		return nil, man.Missing, nil
	}
	rules, errs := compile(b, man.Registrations, l.opts.Names, l.opts.HasSecret)
	if len(errs) > 0 {
		l.opts.Pool.Forget(b.Digest)
		return nil, nil, refused{errs}
	}
	return &Version{Path: b.Main, Digest: b.Digest, Bundle: b, Rules: rules, Logs: man.Logs, Loaded: l.now()}, nil, nil
}

// refused is the problems of a script that loads and registers what cannot be.
type refused struct{ runtime.Errors }

func (r refused) Unwrap() error { return r.Errors }

// missing is the error of a module that is not there.
func (l *Loader) missing(t *tree, b *runtime.Bundle, m runtime.Missing) *runtime.Error {
	if src := t.files[m.Path]; src != nil && src.err != nil {
		return problem(b, m.Pos, "", "cannot load %q: %s", m.Name, src.err.Msg)
	}
	paths := slices.Sorted(maps.Keys(t.files))
	where := "below the rules directory"
	if strings.HasPrefix(m.Path, libraryPrefix) {
		paths, where = nil, "among the library scripts"
	}
	return problem(b, m.Pos, didYouMean(m.Path, paths), "cannot load %q: there is no such file %s", m.Name, where)
}

// library returns a library script, or nil. What it read once it keeps: the
// library does not change while the process runs.
func (l *Loader) library(p string) *text {
	l.libMu.Lock()
	defer l.libMu.Unlock()
	if t, ok := l.lib[p]; ok {
		return t
	}
	var t *text
	name := strings.TrimPrefix(p, libraryPrefix)
	if l.opts.Library != nil && fs.ValidPath(name) {
		if b, err := fs.ReadFile(l.opts.Library, name); err == nil {
			t = &text{b}
		}
	}
	l.lib[p] = t
	return t
}

// config returns what `config` is in a script: by its path, its path without
// the ending, or its name alone.
func (l *Loader) config(main string) runtime.Value {
	stem := strings.TrimSuffix(main, path.Ext(main))
	for _, k := range []string{main, stem, path.Base(stem)} {
		if v, ok := l.opts.Config[k]; ok {
			return v
		}
	}
	return nil
}
