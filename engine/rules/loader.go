package rules

import (
	"context"
	"io/fs"
	"log/slog"
	goruntime "runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/starling-rules/starling/engine/metric"
	"github.com/starling-rules/starling/runtime"
)

// LoaderOptions configure a Loader. Dirs, Pool and Languages are required.
type LoaderOptions struct {
	// Dirs are the rules directories. Paths of scripts are relative to theirs,
	// and unique over all.
	Dirs []string
	Pool runtime.Pool
	// Languages are the names of the languages by file name ending with its dot.
	Languages map[string]string
	// Only, if not nil, picks the scripts whose rules are wanted, by path; the
	// others can still be loaded by them.
	Only func(path string) bool
	// Disk, if not nil, shares the first reading of the directories with other
	// loaders of the same languages and limits.
	Disk *Disk
	// Virtual makes scripts that no file holds, at every load; has tells of the
	// files of the directories. May be nil. Files are what it reads: changes of
	// them are noticed.
	Virtual func(has func(path string) bool) []Virtual
	Files   []string
	// Made, if not nil, is told after each load whether the newest versions of
	// all virtual scripts run. It must not call the loader.
	Made func(good bool)
	// Overlay, if not nil, gives texts that stand in the place of files at every
	// load, by path; one that is nil means that there is no such file. A test of
	// scripts edits them so.
	Overlay func() map[string][]byte
	// Library holds the scripts that are loaded as @starling//path. May be nil.
	Library fs.FS
	// Config is what `config` is in a script, by the script's path, with or
	// without its ending, or its name.
	Config map[string]runtime.Value
	Limits runtime.Limits
	// HasSecret tells whether a secret is configured: settings of scripts must
	// not name others. Nil: any may be named.
	HasSecret func(name string) bool
	// Names resolves names of channels, users and teams. May be nil.
	Names Names
	// ByPath makes the first file by name keep what two would answer, whichever
	// changed last: what is found wrong must not depend on file times.
	ByPath bool
	// Lint says what is questionable in a version that has just become live.
	// Watch calls it, one version at a time and after the swap; FileStatus.Warnings
	// has what it said. May be nil.
	Lint func(v *Version) []*runtime.Error
	// Parallel is how many scripts are compiled at a time (default: as many as
	// there are processors).
	Parallel int
	// Poll is the interval of looking for changes that no notification told
	// of (default 2 s).
	Poll time.Duration
	// Grace is how long a version that was replaced stays loaded without a
	// run (default 1 min).
	Grace time.Duration

	Now     func() time.Time
	Logger  *slog.Logger
	Metrics *metric.Set
}

// Loader keeps a Set in step with directories of scripts. Safe for concurrent use.
type Loader struct {
	opts    LoaderOptions
	current atomic.Pointer[Set]
	report  atomic.Pointer[Report]
	lintNow chan struct{}
	// renamed tells that Names has other teams than when rules were compiled.
	renamed atomic.Bool

	versions versions
	libMu    sync.Mutex
	lib      map[string]*text

	// mu is held while rules are loaded; it guards what follows.
	mu      sync.Mutex
	tree    *tree
	scripts map[string]*script
	waiting map[string]time.Time // unstable files: since when
	onSwap  []func(old, new *Set)
	onNews  []func(*Report)
	told    string // the problems of directories that were logged last
}

// script is the state of one rule file.
type script struct {
	running *Version
	last    *attempt
	// atStart tells that its file was there at the first load.
	atStart bool
	// held tells that a script made from the same has an error: see hold.
	held bool
	// clash is why the last attempt, good in itself, does not run.
	clash runtime.Errors
	// told is the text of the errors that were logged last.
	told string
	// linted is the version that warnings are of; toldWarnings is the text of
	// those that were logged last.
	linted       *Version
	warnings     []*runtime.Error
	unreachable  []*runtime.Error
	toldWarnings string
}

// NewLoader returns a loader with an empty Set. Call Load to fill it.
func NewLoader(o LoaderOptions) *Loader {
	o.Limits = o.Limits.OrDefault()
	if o.Parallel <= 0 {
		o.Parallel = goruntime.GOMAXPROCS(0)
	}
	if o.Poll <= 0 {
		o.Poll = 2 * time.Second
	}
	if o.Grace <= 0 {
		o.Grace = time.Minute
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Metrics == nil {
		o.Metrics = metric.New("")
	}
	l := &Loader{
		opts: o, told: "[]", lib: map[string]*text{}, scripts: map[string]*script{}, waiting: map[string]time.Time{},
		versions: versions{held: map[runtime.Digest]*held{}, grace: o.Grace}, lintNow: make(chan struct{}, 1),
	}
	l.current.Store(NewSet(nil, o.Names))
	l.report.Store(&Report{})
	return l
}

func (l *Loader) now() time.Time { return l.opts.Now() }

// Current returns the index in force; never nil.
func (l *Loader) Current() *Set { return l.current.Load() }

// Report returns what the last load found; never nil.
func (l *Loader) Report() *Report { return l.report.Load() }

// OnSwap registers a function that is called after the rules in force have
// changed, one call at a time. It must not call the loader's Load or Reload.
func (l *Loader) OnSwap(f func(old, new *Set)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.onSwap = append(l.onSwap, f)
}

// OnReport registers a function that is called when a load found anything
// new: other rules, other errors, or errors that have gone; after the functions
// of OnSwap, one call at a time. It must not call the loader's Load or Reload.
func (l *Loader) OnReport(f func(*Report)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.onNews = append(l.onNews, f)
}

// Load brings the Set in step with the directories: new and changed scripts
// are compiled beside the running ones, then all is swapped at once. What is
// wrong with single files is in the Report; their previous versions keep
// running. The error tells that nothing could be loaded (the pool is closed,
// ctx ended): then nothing has changed.
func (l *Loader) Load(ctx context.Context) (*Set, *Report, error) { return l.load(ctx, false, nil) }

// Reload is Load without trust in file times: every file is read.
func (l *Loader) Reload(ctx context.Context) error {
	_, _, err := l.load(ctx, true, nil)
	return err
}

// load is Load; changing tells which files are known to be changing right now.
func (l *Loader) load(ctx context.Context, force bool, changing map[string]bool) (*Set, *Report, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	start := l.now()
	renamed := l.renamed.Swap(false)
	sc := &scanner{
		roots: l.opts.Dirs, exts: l.opts.Languages, limit: int64(l.opts.Limits.Source), now: l.now, prev: l.tree, force: force,
		hold: func(p string) bool { return l.holdBack(p, start) }, changing: changing,
	}
	var t *tree
	if l.opts.Disk != nil && l.tree == nil {
		t = l.opts.Disk.scan(sc)
	} else {
		t = sc.scan()
	}
	l.overlay(t)
	if l.opts.Only != nil {
		t.scripts = slices.DeleteFunc(t.scripts, func(p string) bool { return !l.opts.Only(p) })
	}
	l.addVirtual(t, start, changing)
	l.forgetWaiting(t)
	fresh, err := l.compileAll(ctx, t, renamed)
	if err != nil {
		l.renamed.Store(l.renamed.Load() || renamed)
		l.opts.Metrics.Reloads.WithLabelValues("error").Inc()
		return l.Current(), l.Report(), err
	}
	l.tree = t
	removed := l.adopt(t, fresh)
	changed := l.choose() || removed
	old := l.Current()
	set, hooks := old, l.missingHooks()
	changed = changed || !hooks.equal(old.missing)
	if changed {
		set = NewSet(l.running(), l.opts.Names)
		set.missing = hooks
		l.current.Store(set)
	}
	report := l.newReport(t, start)
	report.Changed = changed
	before := l.report.Swap(report)
	l.wantVersions()
	l.made()
	news := l.tell(report, len(fresh)) || changed || report.Errors != before.Errors
	if changed {
		for _, f := range l.onSwap {
			f(old, set)
		}
	}
	if news {
		for _, f := range l.onNews {
			f(report)
		}
	}
	if changed {
		l.wantLint()
	}
	l.sweep()
	return set, report, nil
}

// maxHold is how long a file that is being written is waited for. Longer, and
// it is taken as it is: some programs never close what they write.
const maxHold = 5 * time.Second

// holdBack says whether to wait for a file that is being written.
func (l *Loader) holdBack(p string, now time.Time) bool {
	since, ok := l.waiting[p]
	if !ok {
		l.waiting[p] = now
		return true
	}
	return now.Sub(since) < maxHold
}

func (l *Loader) forgetWaiting(t *tree) {
	for p := range l.waiting {
		if !t.unstable[p] {
			delete(l.waiting, p)
		}
	}
}

// Renamed makes the next load compile all scripts again: Names has other teams.
// Watch sees to that load.
func (l *Loader) Renamed() { l.renamed.Store(true) }

// compileAll compiles the scripts whose sources have changed, or all, several
// at a time.
func (l *Loader) compileAll(ctx context.Context, t *tree, all bool) (map[string]*attempt, error) {
	var paths []string
	for _, p := range t.scripts {
		if s := l.scripts[p]; all || s == nil || s.last == nil || s.last.srcErr != t.files[p].err || !s.last.current(t, l.library) {
			paths = append(paths, p)
		}
	}
	results := make([]*attempt, len(paths))
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(l.opts.Parallel, len(paths)) {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(paths) {
					return
				}
				var running *Version
				if s := l.scripts[paths[i]]; s != nil && !all {
					running = s.running
				}
				a, err := l.attempt(ctx, t, paths[i], running)
				if err != nil {
					cancel(err)
					return
				}
				results[i] = a
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	fresh := make(map[string]*attempt, len(paths))
	for i, p := range paths {
		fresh[p] = results[i]
	}
	return fresh, nil
}

// adopt takes up what was compiled, and drops scripts whose files have gone.
// It reports whether any of those was running.
func (l *Loader) adopt(t *tree, fresh map[string]*attempt) (removed bool) {
	for p, s := range l.scripts {
		if _, ok := slices.BinarySearch(t.scripts, p); !ok {
			removed = removed || s.running != nil
			delete(l.scripts, p)
		}
	}
	for p, a := range fresh {
		s := l.scripts[p]
		if s == nil {
			s = &script{atStart: l.Report().Loaded.IsZero()}
			l.scripts[p] = s
		}
		s.last = a
		if a.version != nil {
			l.versions.add(a.version, l.now())
		}
	}
	return removed
}

// running lists the rules of all running versions.
func (l *Loader) running() []*Rule {
	var out []*Rule
	for _, s := range l.scripts {
		if s.running != nil {
			out = append(out, s.running.Rules...)
		}
	}
	return out
}

// wantVersions retires the versions that neither run nor wait to run.
func (l *Loader) wantVersions() {
	wanted := make(map[runtime.Digest]bool, len(l.scripts))
	for _, s := range l.scripts {
		if s.running != nil {
			wanted[s.running.Digest] = true
		}
		if s.last.version != nil {
			wanted[s.last.version.Digest] = true
		}
	}
	l.versions.want(wanted, l.now())
}
