// Package scripttest runs the tests that rule authors write in the language of
// their rules: *_test.star and *_test.lua (SPEC §12).
//
//	Run       finds the tests, runs them, gives a Result
//	suite     one test file: compiled once, with the rules that it tests
//	world     one test: a store, a dispatcher, a clock, recorders; made anew each time
//	recorder  the far side of Slack's Web API and of response URLs
//	web       the far side of http_*: stubs, and nothing else
//	run       what came of one event: the value that t.message(…) returns
//	Builtins  the declarations of t.*, assert.*, test
//
// A test goes through what production is made of; only the far side differs:
//
//	test script ── t.message ──► payload ─► event.Parse ─► dispatch.Dispatcher (queue.Memory)
//	    ▲                                                    │ rules.Set, runtime.Pool, journal
//	    └── run, when the event is settled                   ▼
//	                                    door.Live ─► slackapi.Client ─► recorder
//	                                              ─► door.HTTP ──────► web
//
// The functions of a test script are built-ins like any others. They block
// until the event is settled, in the goroutine of the test.
//
// The package knows no interpreter: whoever runs tests passes the languages in.
package scripttest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	goruntime "runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/starling-rules/starling/engine/config"
	"github.com/starling-rules/starling/engine/door"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/metric"
	"github.com/starling-rules/starling/engine/rules"
	"github.com/starling-rules/starling/runtime"
)

// Options say what to run and how. Library and Languages are required.
type Options struct {
	// Paths are test files, rule files, or directories, searched recursively;
	// none means the current directory.
	Paths []string
	// Config gives limits, rules directories, rules_config, http.allow and the
	// names of teams; its secrets and tokens are never used. nil: that of
	// ConfigFile, or of the starling.yaml nearest above each test file.
	Config     *config.Config
	ConfigFile string
	// Getenv is what ${NAME} in a configuration file stands for; where it gives
	// nothing, a placeholder stands in.
	Getenv func(string) string
	// Library declares what rules can call.
	Library *runtime.Library
	// Languages binds built-ins to the languages that scripts are written in.
	Languages func(runtime.Host) ([]runtime.Language, error)
	// Scripts are the library scripts behind "@starling//"; may be nil.
	Scripts fs.FS
	// Live are the handlers of effects that Starling itself does not have, by
	// kind: those of built-ins of your own. They are called as they are.
	Live door.Live
	// Match picks tests by name, or by "file:name"; nil runs all.
	Match *regexp.Regexp
	// Jobs is how many tests run at a time (default: GOMAXPROCS).
	Jobs int
	// StopAtFirst leaves out what has not begun when a test fails.
	StopAtFirst bool
	// Update writes snapshots instead of comparing with them.
	Update bool
	// Bench, if not zero, repeats each test that passes for about as long, and
	// measures.
	Bench time.Duration
	// Cover counts the lines of rules that run: Result.Cover.
	Cover bool
	// TestLimit bounds one test in wall time (default 1 min), TestSteps its
	// script in steps (default 500 million).
	TestLimit time.Duration
	TestSteps uint64
	// Each, if not nil, is told of every test in the order of files and lines,
	// as soon as it and those before it are done. It is called by one
	// goroutine at a time.
	Each func(*Test)
}

// ErrNoTests says that no test was found, or none that Options.Match names.
var ErrNoTests = errors.New("no tests found")

// Result is what came of a Run.
type Result struct {
	// Tests are in the order of files, and of lines within them.
	Tests  []*Test
	Passed int
	Failed int
	// Skipped were left out after a failure (Options.StopAtFirst).
	Skipped int
	Took    time.Duration
	// Watch are the files and directories that the tests depend on.
	Watch []string
	// Cover are the files of rules, by path, if Options.Cover asks for them.
	Cover []*Covered
}

// runner is one Run.
type runner struct {
	o       Options
	testLib *runtime.Library
	tests   map[string]runtime.Language // for test scripts, by name
	exts    map[string]string
	hosts   map[string]*host
	metrics *metric.Set
	names   *directory
	methods methods
	snaps   *snapshots
	disk    rules.Disk // so that each file is read once, not once by each test file
	stop    atomic.Bool

	mu      sync.Mutex
	worlds  map[string]*world
	watch   map[string]bool
	configs map[string]*configured
}

// Run finds the tests and runs them. The error is for what keeps tests from
// being run at all: a path that is not there, no tests (ErrNoTests), a faulty
// configuration (runtime.Errors), ctx. What is wrong with single tests and files
// is in the Result.
func Run(ctx context.Context, o Options) (*Result, error) {
	r, err := newRunner(o)
	if err != nil {
		return nil, err
	}
	defer r.close(context.WithoutCancel(ctx))
	began := time.Now()
	files, err := r.discover()
	if err != nil {
		return nil, err
	}
	suites := make([]*suite, len(files))
	r.parallel(len(files), func(i int) { suites[i] = r.open(ctx, files[i]) })
	var all []*Test
	for _, s := range suites {
		if s.cfg.err != nil {
			return nil, s.cfg.err
		}
		all = append(all, s.pick()...)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%w%s", ErrNoTests, r.where(files))
	}
	line := newLine(all, r.o.Each)
	r.parallel(len(all), func(i int) {
		t := all[i]
		if r.stop.Load() || ctx.Err() != nil {
			t.Skipped = true
		} else if t.run(ctx); len(t.Failures) > 0 && o.StopAtFirst {
			r.stop.Store(true)
		}
		line.done(i)
	})
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err := r.snaps.write(); err != nil {
		return nil, err
	}
	res := r.result(all)
	res.Took = time.Since(began)
	return res, nil
}

func newRunner(o Options) (*runner, error) {
	if o.Library == nil || o.Languages == nil {
		return nil, errors.New("scripttest: Options.Library and Languages are required")
	}
	if o.Jobs <= 0 {
		o.Jobs = goruntime.GOMAXPROCS(0)
	}
	if o.TestLimit == 0 {
		o.TestLimit = time.Minute
	}
	if o.TestSteps == 0 {
		o.TestSteps = 500_000_000
	}
	r := &runner{
		o: o, exts: map[string]string{}, tests: map[string]runtime.Language{}, metrics: metric.New("test"),
		names: newDirectory(), worlds: map[string]*world{}, hosts: map[string]*host{}, watch: map[string]bool{}, configs: map[string]*configured{},
		snaps: newSnapshots(o.Update),
	}
	own := builtins(r.find)
	r.methods = methodsOf(own)
	var err error
	if r.testLib, err = testLibrary(o.Library, own); err != nil {
		return nil, err
	}
	langs, err := o.Languages(runtime.Host{Library: r.testLib, Input: r.input})
	if err != nil {
		return nil, fmt.Errorf("bind the built-ins of tests: %w", err)
	}
	for _, l := range langs {
		r.tests[l.Name()] = l
		r.exts[l.Ext()] = l.Name()
	}
	return r, nil
}

// host runs the rules of one rules directory, or if lines are not counted of
// all: a file is known by its path below the directory.
type host struct {
	root  string
	pool  *runtime.Local
	cover *runtime.Coverage
}

func (r *runner) host(root string) (*host, error) {
	key := ""
	if r.o.Cover {
		key = filepath.Clean(root)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if h := r.hosts[key]; h != nil {
		return h, nil
	}
	h := &host{root: root}
	if r.o.Cover {
		h.cover = &runtime.Coverage{}
	}
	langs, err := r.o.Languages(runtime.Host{Library: r.o.Library, Input: event.Host, Cover: h.cover})
	if err != nil {
		return nil, fmt.Errorf("bind the built-ins: %w", err)
	}
	h.pool = runtime.NewLocal(langs, runtime.LocalOptions{Parallel: r.o.Jobs, Load: patient(runtime.DefaultLimits)})
	r.hosts[key] = h
	return h, nil
}

func (r *runner) close(ctx context.Context) {
	for _, h := range r.hosts {
		_ = h.pool.Close(ctx)
	}
}

// patient leaves limits of steps, effects and output as they are. The clock is
// not the judge in tests: how long a pass takes depends on what else the
// machine does.
func patient(l runtime.Limits) runtime.Limits {
	l = l.OrDefault()
	l.Deadline = max(20*l.Deadline, 5*time.Second)
	return l
}

// find returns the world of the test that a built-in is called by.
func (r *runner) find(x *runtime.Context) *world {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.worlds[x.RunID]
}

// input makes the argument of a test function: t.
func (r *runner) input(id []byte) (runtime.Object, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := r.worlds[string(id)]
	if w == nil {
		return nil, fmt.Errorf("no test %q is running", id)
	}
	return w.tester, nil
}

// parallel calls f with 0…n-1, as many at a time as there are jobs.
func (r *runner) parallel(n int, f func(i int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(r.o.Jobs, n) {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				f(i)
			}
		})
	}
	wg.Wait()
}

func (r *runner) result(all []*Test) *Result {
	res := &Result{Tests: all, Cover: r.covered()}
	for _, t := range all {
		switch {
		case t.Skipped:
			res.Skipped++
		case len(t.Failures) > 0:
			res.Failed++
		default:
			res.Passed++
		}
	}
	for p := range r.watch {
		res.Watch = append(res.Watch, p)
	}
	return res
}

// line tells of tests in their order, whatever the order in which they end.
type line struct {
	each  func(*Test)
	mu    sync.Mutex
	tests []*Test
	ended []bool
	next  int
}

func newLine(tests []*Test, each func(*Test)) *line {
	return &line{each: each, tests: tests, ended: make([]bool, len(tests))}
}

func (l *line) done(i int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended[i] = true
	for l.next < len(l.tests) && l.ended[l.next] {
		if l.each != nil {
			l.each(l.tests[l.next])
		}
		l.next++
	}
}
