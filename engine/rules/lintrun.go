package rules

import (
	"context"
	"slices"
	"time"

	"github.com/starling-rules/starling/runtime"
)

// The pace of looking for what is questionable: a change of a few files is
// looked at at once, ten thousand files in a share of one processor.
const (
	lintWork = 5 * time.Millisecond
	lintRest = 20 * time.Millisecond
	// maxToldWarnings bounds the log lines of one round.
	maxToldWarnings = 50
)

// lintLoop looks at versions that have become live, until ctx ends.
func (l *Loader) lintLoop(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.lintNow:
		}
		l.lintRound(ctx)
	}
}

// wantLint asks for a round; those that are asked for meanwhile are one.
func (l *Loader) wantLint() {
	select {
	case l.lintNow <- struct{}{}:
	default:
	}
}

// lintRound looks at every version that runs and was not looked at, then at
// all rules together, and publishes what it found.
func (l *Loader) lintRound(ctx context.Context) {
	l.mu.Lock()
	var todo []*Version
	for _, s := range l.scripts {
		if s.running != nil && s.linted != s.running {
			todo = append(todo, s.running)
		}
	}
	rules := l.running()
	l.mu.Unlock()
	slices.SortFunc(todo, func(a, b *Version) int {
		if a.Path < b.Path {
			return -1
		}
		return 1
	})
	found := make(map[*Version][]*runtime.Error, len(todo))
	began := time.Now()
	for _, v := range todo {
		found[v] = l.lintOne(v)
		if time.Since(began) > lintWork {
			select {
			case <-ctx.Done():
				return
			case <-time.After(lintRest):
			}
			began = time.Now()
		}
	}
	l.publishLint(found, Unreachable(rules))
}

// lintOne calls Lint; a panic there must not take the server with it.
func (l *Loader) lintOne(v *Version) (out []*runtime.Error) {
	defer func() {
		if p := recover(); p != nil {
			l.opts.Logger.Error("lint of a rule file panicked", "file", v.Path, "panic", p)
		}
	}()
	return l.opts.Lint(v)
}

// publishLint puts the findings into the report, and tells of those that are new.
func (l *Loader) publishLint(found map[*Version][]*runtime.Error, global []Finding) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for v, errs := range found {
		if s := l.scripts[v.Path]; s != nil && s.running == v {
			s.linted, s.warnings = v, errs
		}
	}
	for _, s := range l.scripts {
		s.unreachable = nil
	}
	for _, f := range global {
		if s := l.scripts[f.Rule.Script]; s != nil && s.running != nil && s.running.Digest == f.Rule.Digest {
			s.unreachable = append(s.unreachable, f.Problem(s.running.Bundle))
		}
	}
	report := *l.report.Load()
	report.Files = slices.Clone(report.Files)
	report.Warnings = 0
	for i := range report.Files {
		f := &report.Files[i]
		f.Warnings = l.scripts[f.Path].lints()
		report.Warnings += len(f.Warnings)
	}
	l.report.Store(&report)
	if !l.tellWarnings(&report) {
		return
	}
	for _, f := range l.onNews {
		f(&report)
	}
}

// lints are the warnings of the version that runs.
func (s *script) lints() runtime.Errors {
	if s == nil || s.running == nil || s.linted != s.running {
		return nil
	}
	return slices.Concat(s.warnings, s.unreachable)
}

// tellWarnings logs each warning once, and reports whether any came or went.
func (l *Loader) tellWarnings(r *Report) (news bool) {
	told := 0
	for _, f := range r.Files {
		s := l.scripts[f.Path]
		if s == nil {
			continue
		}
		text := f.Warnings.Error()
		if text == s.toldWarnings {
			continue
		}
		s.toldWarnings, news = text, true
		for _, w := range f.Warnings {
			if told++; told <= maxToldWarnings {
				l.opts.Logger.Warn("rule file is questionable", "file", f.Path, "problem", w.Error())
			}
		}
	}
	if told > maxToldWarnings {
		l.opts.Logger.Warn("rule files are questionable", "not_shown", told-maxToldWarnings)
	}
	return news
}
