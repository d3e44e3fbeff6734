package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/spf13/cobra"

	"github.com/starling-rules/starling/engine/scripttest"
	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib"
)

// testFlags are the flags of `starling test`.
type testFlags struct {
	match, format, coverOut string
	verbose, watch, stop    bool
	cover, update, bench    bool
	jobs                    int
	coverMin                float64
	testLimit, benchTime    time.Duration
	re                      *regexp.Regexp
}

func (c *command) testCommand() *cobra.Command {
	f := &testFlags{}
	cmd := &cobra.Command{
		Use:   "test [PATH...]",
		Short: "Run the tests of rules: *_test.star and *_test.lua",
		Long: "Runs the functions test_* of *_test.star and *_test.lua, and tests named with\n" +
			"test(\"name\", function(t) … end), through the same matching, limits and effects as\n" +
			"production. Slack and HTTP are replaced by recorders, the clock stands still\n" +
			"until a test moves it, and every test begins in a new world.",
		Example: "  starling test                       # everything below this directory\n" +
			"  starling test -r approve -v rules   # tests whose name has \"approve\"\n" +
			"  starling test -w deploy.star        # again, whenever a file changes\n" +
			"  starling test --cover-min 90        # fails below 90 % of lines\n" +
			"  starling test --format junit > report.xml",
	}
	flags := cmd.Flags()
	flags.StringVar(&c.file, "config", "", "configuration file (default: the starling.yaml nearest above each test)")
	flags.StringVarP(&f.match, "run", "r", "", "run only tests whose name, or file:name, has this regular expression")
	flags.BoolVarP(&f.verbose, "verbose", "v", false, "tell of tests that passed, too")
	flags.BoolVarP(&f.watch, "watch", "w", false, "run again whenever a file changes")
	flags.BoolVarP(&f.stop, "stop", "x", false, "stop at the first failure")
	flags.IntVarP(&f.jobs, "jobs", "j", 0, "how many tests run at a time (default: one per processor)")
	flags.BoolVar(&f.cover, "cover", false, "count which lines of the rules run")
	flags.Float64Var(&f.coverMin, "cover-min", 0, "fail if fewer than this percentage of lines run; implies --cover")
	flags.StringVar(&f.coverOut, "cover-out", "", "write the counts to this file, in lcov's format; implies --cover")
	flags.StringVar(&f.format, "format", "pretty", strings.Join(scripttest.Formats, ", "))
	asJSON := flags.Bool("json", false, "print JSON, as --format json")
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(scripttest.Formats, cobra.ShellCompDirectiveNoFileComp))
	flags.BoolVar(&f.update, "update", false, "write snapshots instead of comparing with them")
	flags.BoolVar(&f.bench, "bench", false, "repeat each test and measure")
	flags.DurationVar(&f.benchTime, "bench-time", time.Second, "how long each test is repeated with --bench")
	flags.DurationVar(&f.testLimit, "timeout", time.Minute, "the most time that one test may take")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *asJSON {
			f.format = "json"
		}
		if err := f.check(cmd); err != nil {
			return withCode(ExitUsage, err)
		}
		if f.watch {
			return c.watchTests(cmd.Context(), f, args)
		}
		_, err := c.runTests(cmd.Context(), f, args)
		return err
	}
	return cmd
}

// check validates what the flags say together.
func (f *testFlags) check(cmd *cobra.Command) error {
	if !slices.Contains(scripttest.Formats, f.format) {
		hint := ""
		if n := runtime.Nearest(f.format, scripttest.Formats); n != "" {
			hint = ", did you mean " + n + "?"
		}
		return fmt.Errorf("--format %q: want %s%s", f.format, strings.Join(scripttest.Formats, ", "), hint)
	}
	if f.jobs < 0 || f.jobs == 0 && cmd.Flags().Changed("jobs") {
		return fmt.Errorf("--jobs %d: want at least 1", f.jobs)
	}
	if f.coverMin < 0 || f.coverMin > 100 {
		return fmt.Errorf("--cover-min %v: want a percentage from 0 to 100", f.coverMin)
	}
	if f.match != "" {
		re, err := regexp.Compile(f.match)
		if err != nil {
			return fmt.Errorf("-r: %w", err)
		}
		f.re = re
	}
	f.cover = f.cover || cmd.Flags().Changed("cover-min") || f.coverOut != ""
	return nil
}

// runTests runs the tests once and reports. Its error carries the exit code.
func (c *command) runTests(ctx context.Context, f *testFlags, paths []string) (*scripttest.Result, error) {
	if c.env.Getenv("GOGC") == "" {
		debug.SetGCPercent(400) // a short life with little memory alive: a third less time
	}
	lib, err := stdlib.Library()
	if err != nil {
		return nil, withCode(ExitStart, err)
	}
	out := &bytes.Buffer{}
	rep := scripttest.NewReporter(f.format, out, scripttest.ReportOptions{Verbose: f.verbose, Colour: c.style(c.env.Stdout).on})
	flush := func() error {
		_, err := io.Copy(c.env.Stdout, out)
		return err
	}
	o := scripttest.Options{
		Paths: paths, ConfigFile: c.file, Getenv: c.env.Getenv, Library: lib, Languages: languages, Scripts: library(),
		Match: f.re, Jobs: f.jobs, StopAtFirst: f.stop, Update: f.update, Cover: f.cover, TestLimit: f.testLimit,
		Each: func(t *scripttest.Test) {
			rep.Test(t)
			_ = flush() // a lost stdout shows at the end
		},
	}
	if f.bench {
		o.Bench, o.Jobs = f.benchTime, 1
	}
	res, err := scripttest.Run(ctx, o)
	switch {
	case errors.Is(err, scripttest.ErrNoTests):
		return nil, withCode(ExitBad, err)
	case err != nil:
		return nil, withCode(ExitUsage, err)
	}
	if err := c.reportCover(f, res); err != nil {
		return res, withCode(ExitUsage, err)
	}
	if err := rep.End(res); err != nil {
		return res, withCode(ExitUsage, err)
	}
	if err := flush(); err != nil {
		return res, withCode(ExitUsage, err)
	}
	switch {
	case res.Failed > 0:
		return res, withCode(ExitBad, errSaid)
	case f.cover && res.Percent() < f.coverMin:
		return res, withCode(ExitBad, fmt.Errorf("%.1f%% of lines were run, --cover-min asks for %v%%", res.Percent(), f.coverMin))
	}
	return res, nil
}

// reportCover shows the counts: in the margin of each file for people, on
// stderr where stdout is for a program.
func (c *command) reportCover(f *testFlags, res *scripttest.Result) error {
	if !f.cover {
		return nil
	}
	if f.coverOut != "" {
		var b bytes.Buffer
		if err := res.WriteLCOV(&b); err != nil {
			return err
		}
		if err := os.WriteFile(f.coverOut, b.Bytes(), 0o666); err != nil {
			return fmt.Errorf("write coverage: %w", err)
		}
	}
	w := c.env.Stdout
	if f.format != "pretty" {
		w = c.env.Stderr
	}
	for _, file := range res.Cover { // as the other paths of the output
		file.Path = nearHere(file.Path)
	}
	if err := res.WriteMargin(w); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "covered: %.1f%% of lines\n", res.Percent())
	return err
}

// quiet is how long files must rest before the tests run again.
const quiet = 50 * time.Millisecond

// watchTests runs the tests whenever a file below the paths changes, until a
// signal. It ends with 0: whoever watches has seen.
func (c *command) watchTests(ctx context.Context, f *testFlags, paths []string) error {
	ctx, cancel := c.env.untilSignal(ctx, func() {})
	defer cancel()
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return withCode(ExitStart, fmt.Errorf("watch files: %w", err))
	}
	defer w.Close()
	for {
		res, err := c.runTests(ctx, f, paths)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil && !errors.Is(err, errSaid) {
			printError(c.env, err)
		}
		if err := watchAll(w, res, paths); err != nil {
			return withCode(ExitStart, err)
		}
		fmt.Fprintln(c.env.Stdout, "watching for changes")
		if !settled(ctx, w) {
			return nil
		}
	}
}

// watchAll watches what the tests depend on. New directories join with the
// next run.
func watchAll(w *fsnotify.Watcher, res *scripttest.Result, paths []string) error {
	all := paths
	if res != nil {
		all = res.Watch
	}
	if len(all) == 0 {
		all = []string{"."}
	}
	for _, p := range all {
		dir := p
		if info, err := os.Stat(p); err != nil {
			continue
		} else if !info.IsDir() {
			dir = parent(p) // editors put a new file in the place of the old
		}
		if err := w.Add(dir); err != nil {
			return fmt.Errorf("watch %s: %w", dir, err)
		}
	}
	return nil
}

func parent(p string) string {
	if i := strings.LastIndexByte(p, os.PathSeparator); i > 0 {
		return p[:i]
	}
	return "."
}

// settled waits for a change, and then until there is none for a moment; false
// if ctx ends.
func settled(ctx context.Context, w *fsnotify.Watcher) bool {
	var rest <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return false
		case e, ok := <-w.Events:
			if !ok {
				return false
			}
			if e.Op != fsnotify.Chmod && !strings.Contains(e.Name, "__snapshots__") {
				rest = time.After(quiet)
			}
		case <-w.Errors:
			rest = time.After(quiet) // something was lost: look again
		case <-rest:
			return true
		}
	}
}

// nearHere is a path as it is written from the working directory, if it is below.
func nearHere(path string) string {
	wd, err := os.Getwd()
	if err != nil {
		return path
	}
	if rel, err := filepath.Rel(wd, path); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return path
}
