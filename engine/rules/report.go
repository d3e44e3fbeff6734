package rules

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/starling-rules/starling/runtime"
)

// Report says what a load found, file by file. It is immutable.
type Report struct {
	// Files are the rule files, sorted by path.
	Files []FileStatus `json:"files"`
	// Problems are those of whole directories.
	Problems []error `json:"-"`
	// Rules and Slow count what runs; Errors the files whose newest version
	// does not.
	Rules  int `json:"rules"`
	Slow   int `json:"slow"`
	Errors int `json:"errors"`
	// Warnings counts those of all files.
	Warnings int `json:"warnings"`
	// Changed tells whether the rules in force are others than before.
	Changed bool `json:"changed"`
	// Pending are files that were being written and will be looked at again.
	Pending []string      `json:"pending,omitempty"`
	Loaded  time.Time     `json:"loaded"`
	Took    time.Duration `json:"-"`
}

// MarshalJSON implements json.Marshaler: the fields, with problems as texts
// and the time that the load took as dur_ms.
func (r *Report) MarshalJSON() ([]byte, error) {
	type fields Report
	problems := make([]string, len(r.Problems))
	for i, err := range r.Problems {
		problems[i] = err.Error()
	}
	return json.Marshal(struct {
		*fields
		Problems []string `json:"problems,omitempty"`
		Ms       float64  `json:"dur_ms"`
	}{(*fields)(r), problems, float64(r.Took.Microseconds()) / 1000})
}

// FileStatus is the state of one rule file.
type FileStatus struct {
	Path string `json:"path"`
	// Digest names the version that runs; zero if none does.
	Digest runtime.Digest `json:"version"`
	// Rules are the IDs of the running version.
	Rules []string `json:"rules"`
	// Errors are those of the newest version, if it does not run.
	Errors runtime.Errors `json:"errors,omitempty"`
	// Registered tells of a file with errors that its top level ran to the
	// end: they are all that is wrong with what it registers.
	Registered bool `json:"-"`
	// Warnings are what is questionable in the version that runs: it is looked
	// for after the version has become live.
	Warnings runtime.Errors `json:"warnings,omitempty"`
	// Previous tells that an earlier version runs in place of the newest.
	Previous bool `json:"previous,omitempty"`
	// Loaded is when the running version was loaded, Tried when the newest was.
	Loaded time.Time `json:"loaded"`
	Tried  time.Time `json:"tried"`
}

// newReport describes the state after a load.
func (l *Loader) newReport(t *tree, start time.Time) *Report {
	r := &Report{Problems: t.problems, Pending: slices.Sorted(maps.Keys(t.unstable)), Loaded: start, Took: l.now().Sub(start)}
	for _, p := range slices.Sorted(maps.Keys(l.scripts)) {
		s := l.scripts[p]
		f := FileStatus{Path: p, Tried: s.last.when, Errors: s.last.errs, Registered: s.last.registered || s.last.version != nil}
		if len(f.Errors) == 0 {
			f.Errors = s.clash
		}
		f.Warnings = s.lints()
		r.Warnings += len(f.Warnings)
		if s.running != nil {
			f.Digest, f.Loaded = s.running.Digest, s.running.Loaded
			f.Previous = len(f.Errors) > 0
			f.Rules = make([]string, len(s.running.Rules))
			for i, rule := range s.running.Rules {
				f.Rules[i] = rule.ID
			}
		}
		if len(f.Errors) > 0 {
			r.Errors++
		}
		r.Files = append(r.Files, f)
	}
	set := l.Current()
	r.Rules, r.Slow = set.Len(), len(set.Slow())
	return r
}

// tell writes the log and the metrics of a load in which so many scripts were
// compiled. An error is logged once. It reports whether the errors of a file or
// of the directories are others than those told last.
func (l *Loader) tell(r *Report, fresh int) (news bool) {
	m := l.opts.Metrics
	m.Rules.Set(float64(r.Rules))
	m.SlowRules.Set(float64(r.Slow))
	m.FileErrs.Set(float64(r.Errors))
	outcome := "ok"
	if problems := fmt.Sprint(r.Problems); problems != l.told {
		l.told, news = problems, true
		for _, err := range r.Problems {
			l.opts.Logger.Error("rules directory", "err", err)
		}
	}
	for _, f := range r.Files {
		s, text := l.scripts[f.Path], f.Errors.Error()
		if text == s.told {
			continue
		}
		s.told, news = text, true
		if text != "" {
			outcome = "error"
			l.opts.Logger.Error("rule file has an error", "file", f.Path, "previous_version_runs", f.Previous, "err", f.Errors)
		}
	}
	if r.Changed || fresh > 0 {
		m.Reloads.WithLabelValues(outcome).Inc()
	}
	if !r.Changed {
		return news
	}
	l.opts.Logger.Info("rules loaded", "files", len(r.Files), "rules", r.Rules, "errors", r.Errors, "dur_ms", float64(r.Took.Microseconds())/1000)
	if r.Slow > 0 {
		ids := make([]string, 0, min(r.Slow, 10))
		for _, rule := range l.Current().Slow()[:min(r.Slow, 10)] {
			ids = append(ids, rule.ID)
		}
		l.opts.Logger.Debug("rules without a literal text are tried on every message", "count", r.Slow, "rules", ids)
	}
	return news
}
