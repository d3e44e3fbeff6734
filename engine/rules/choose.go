package rules

import (
	"cmp"
	"slices"

	"github.com/starling-rules/starling/runtime"
)

// choose decides which version of each script runs: the newest that is good.
// Where two scripts would answer the same thing, the one that changed last is
// refused, and its previous version goes on running. It reports whether any
// script runs another version than before.
func (l *Loader) choose() bool {
	paths := make([]string, 0, len(l.scripts))
	for p := range l.scripts {
		paths = append(paths, p)
	}
	// Scripts that change now come after those that do not, the newest last:
	// who comes last to a conflict is refused.
	slices.SortFunc(paths, func(a, b string) int {
		x, y := l.scripts[a], l.scripts[b]
		if x.changes() != y.changes() {
			if y.changes() {
				return -1
			}
			return 1
		}
		if x.changes() && !l.opts.ByPath {
			if c := x.last.mtime.Compare(y.last.mtime); c != 0 {
				return c
			}
		}
		return cmp.Compare(a, b)
	})
	refused := map[string]runtime.Errors{}
	for {
		l.hold(refused)
		p, errs := l.firstRefusal(paths, refused)
		if p == "" {
			break
		}
		refused[p] = errs
	}
	changed := false
	for _, p := range paths {
		s := l.scripts[p]
		s.clash = refused[p]
		if v := s.candidate(s.clash != nil); v != s.running {
			s.running, changed = v, true
		}
	}
	return changed
}

// changes reports whether the script's last attempt would replace what runs.
func (s *script) changes() bool {
	return !s.held && s.last.version != nil && s.last.version != s.running
}

// candidate is the version that is to run.
func (s *script) candidate(refused bool) *Version {
	if s.changes() && !refused {
		return s.last.version
	}
	return s.running
}

// firstRefusal finds the first script, in the given order, whose newest
// version is in conflict with what comes before it. Refusing it brings its
// previous version back, which may make another conflict: the caller asks
// again until there is none. It ends, for the previous versions alone are what
// has been running together.
func (l *Loader) firstRefusal(paths []string, refused map[string]runtime.Errors) (string, runtime.Errors) {
	c := claims{}
	for _, newest := range []bool{false, true} {
		for _, p := range paths {
			s := l.scripts[p]
			if (s.changes() && refused[p] == nil) != newest {
				continue
			}
			v := s.candidate(refused[p] != nil)
			if v == nil {
				continue
			}
			var errs runtime.Errors
			for _, r := range v.Rules {
				if o := c.conflict(r); o != nil && newest {
					errs = append(errs, clash{o, r}.problem(v.Bundle))
				}
			}
			if errs != nil {
				return p, errs
			}
			for _, r := range v.Rules {
				c.add(r)
			}
		}
	}
	return "", nil
}
