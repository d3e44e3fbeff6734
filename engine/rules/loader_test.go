package rules_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/rules"
	"github.com/starling-rules/starling/runtime"
)

// say is a rule file whose one rule has this name and sees every message.
func say(name string) string { return on("message", "regex", "x", "name", name) + "\n" }

// ids lists the rules of a set.
func ids(s *rules.Set) string {
	var out []string
	for _, r := range s.Rules() {
		out = append(out, r.ID)
	}
	return strings.Join(out, " ")
}

// status finds a file in a report.
func status(t *testing.T, r *rules.Report, path string) rules.FileStatus {
	t.Helper()
	for _, f := range r.Files {
		if f.Path == path {
			return f
		}
	}
	t.Fatalf("no file %s in the report: %+v", path, r.Files)
	return rules.FileStatus{}
}

func TestLoadFindsRuleFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{
		"b.fake", "a.fake", "team/deep/c.fake", "a_test.fake", "_lib/h.fake", "_off.fake", ".hidden.fake", ".git/x.fake",
		"notes.txt", "a.fake~", ".#a.fake", "4913", "x.fake.swp", "_team/y.fake",
	} {
		write(t, dir, name, say(strings.NewReplacer("/", "-", ".", "-").Replace(name)))
	}
	s, report := load(t, newLoader(t, dir))
	want := "a.fake:a-fake b.fake:b-fake team/deep/c.fake:team-deep-c-fake"
	if got := ids(s); got != want {
		t.Errorf("rules %q, want %q", got, want)
	}
	if report.Rules != 3 || report.Errors != 0 || len(report.Files) != 3 || !report.Changed {
		t.Errorf("report %+v", report)
	}
}

func TestBrokenFileDoesNotStopOthers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "good.fake", say("good"))
	write(t, dir, "bad.fake", "bad line\n"+on("message", "regex", "x"))
	s, report := load(t, newLoader(t, dir))
	if ids(s) != "good.fake:good" || report.Errors != 1 {
		t.Errorf("rules %q, %d errors", ids(s), report.Errors)
	}
	f := status(t, report, "bad.fake")
	if f.Previous || !f.Digest.IsZero() || f.Errors[0].Error() != "bad.fake:1:1: bad line" {
		t.Errorf("status %+v", f)
	}
}

func TestBrokenEditKeepsThePreviousVersion(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := newLoader(t, dir)
	write(t, dir, "a.fake", say("one"))
	write(t, dir, "b.fake", say("other"))
	before, _ := load(t, l)
	write(t, dir, "a.fake", "bad")
	s, report := load(t, l)
	f := status(t, report, "a.fake")
	if ids(s) != "a.fake:one b.fake:other" || s != before || !f.Previous || len(f.Errors) != 1 || f.Digest != before.Rules()[0].Digest {
		t.Errorf("rules %q, status %+v", ids(s), f)
	}
	write(t, dir, "a.fake", say("two"))
	s, report = load(t, l)
	if ids(s) != "a.fake:two b.fake:other" || report.Errors != 0 {
		t.Errorf("after the repair: rules %q, %d errors", ids(s), report.Errors)
	}
	if s.Rules()[1] != before.Rules()[1] {
		t.Error("the file that did not change was compiled again")
	}
}

func TestModules(t *testing.T) {
	t.Parallel()
	dir, other := t.TempDir(), t.TempDir()
	l := newLoader(t, dir, other)
	write(t, dir, "a.fake", "load _lib/x.fake\n")
	write(t, dir, "_lib/x.fake", "load _lib/y.fake\n")
	write(t, other, "_lib/y.fake", on("message", "regex", "one", "name", "y"))
	write(t, dir, "lib.fake", "load @starling//omni/cb.fake\n")
	s, report := load(t, l)
	if got, want := ids(s), "a.fake:y lib.fake:message:from the library"; got != want {
		t.Fatalf("rules %q, want %q; %+v", got, want, report.Files)
	}
	v, ok := l.Version(s.Rules()[0].Digest)
	if !ok || len(v.Bundle.Files) != 3 || v.Rule("a.fake:y") != s.Rules()[0] {
		t.Errorf("version %+v", v)
	}
	// A module that changes makes a new version of what loads it.
	write(t, other, "_lib/y.fake", on("message", "regex", "two", "name", "y2"))
	if s, _ := load(t, l); s.Rule("a.fake:y2") == nil {
		t.Errorf("after the module changed: %q", ids(s))
	}
	// A module that goes is an error of what loads it, and coming back mends it.
	write(t, dir, "_lib/x.fake", "load _lib/z.fake\n")
	_, report = load(t, l)
	if got := status(t, report, "a.fake").Errors.Error(); got != `_lib/x.fake:1:1: cannot load "_lib/z.fake": there is no such file below the rules directory (did you mean _lib/x.fake?)` {
		t.Errorf("error %q", got)
	}
	write(t, dir, "_lib/z.fake", say("z"))
	if s, _ := load(t, l); s.Rule("a.fake:z") == nil {
		t.Errorf("after the module appeared: %q", ids(s))
	}
}

func TestPathsAreUniqueOverDirectories(t *testing.T) {
	t.Parallel()
	one, two := t.TempDir(), t.TempDir()
	write(t, one, "a.fake", say("one"))
	write(t, two, "a.fake", say("two"))
	s, report := load(t, newLoader(t, one, two))
	if ids(s) != "a.fake:one" || report.Errors != 1 || !strings.Contains(report.Files[0].Errors.Error(), "is there already, in "+one) {
		t.Errorf("rules %q, report %+v", ids(s), report.Files)
	}
}

func TestFilesThatAreNotRead(t *testing.T) {
	t.Parallel()
	dir, outside := t.TempDir(), t.TempDir()
	write(t, outside, "secret.fake", say("secret"))
	write(t, dir, "big.fake", strings.Repeat("#\n", 200<<10))
	write(t, dir, "real/in.fake", say("in"))
	for link, target := range map[string]string{
		"out.fake": filepath.Join(outside, "secret.fake"), "up.fake": "../../etc/passwd", "dangling.fake": "nowhere.fake",
		"inside.fake": "real/in.fake", "dir": "real", "loop": ".",
	} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "folder.fake"), 0o755); err != nil {
		t.Fatal(err)
	}
	s, report := load(t, newLoader(t, dir))
	if got, want := ids(s), "dir/in.fake:in inside.fake:in real/in.fake:in"; got != want {
		t.Errorf("rules %q, want %q", got, want)
	}
	if e := status(t, report, "big.fake").Errors[0]; e.Limit != runtime.LimitSource {
		t.Errorf("big file: %v", e)
	}
	if e := status(t, report, "out.fake").Errors.Error(); e != "out.fake: is a symlink that leads out of the rules directory" {
		t.Errorf("symlink: %v", e)
	}
}

func TestMissingDirectoryIsReported(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "rules")
	l := newLoader(t, dir)
	s, report := load(t, l)
	if s.Len() != 0 || len(report.Problems) != 1 {
		t.Errorf("%d rules, problems %v", s.Len(), report.Problems)
	}
	write(t, dir, "a.fake", say("a"))
	if s, report = load(t, l); s.Len() != 1 || len(report.Problems) != 0 {
		t.Errorf("%d rules, problems %v", s.Len(), report.Problems)
	}
	// A directory that is away for a moment switches nothing off.
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	if s, report = load(t, l); s.Len() != 1 || len(report.Problems) != 1 {
		t.Errorf("%d rules, problems %v", s.Len(), report.Problems)
	}
}

func TestConfigIsPartOfTheVersion(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "deploys.fake", say("x"))
	l := newLoader(t, dir)
	s, _ := load(t, l)
	b, _ := l.Bundle(s.Rules()[0].Digest)
	if c, _ := b.Config.(*runtime.Dict); c.Text("channel") != "#ops" {
		t.Errorf("config %v", b.Config)
	}
}

func TestConflictBetweenFilesRefusesTheNewest(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := newLoader(t, dir)
	cmd := func(c, name string) string { return on("command", "command", c, "name", name) + "\n" }
	write(t, dir, "m.fake", cmd("/x", "mx"))
	load(t, l)

	write(t, dir, "a.fake", cmd("/x", "ax")) // sorts before m, but is newer
	write(t, dir, "z.fake", cmd("/z", "zz"))
	s, report := load(t, l)
	if got := ids(s); got != "m.fake:mx z.fake:zz" {
		t.Fatalf("rules %q", got)
	}
	if e := status(t, report, "a.fake").Errors.Error(); !strings.HasPrefix(e, `a.fake:1:1: on.command("/x") is answered already by the rule at m.fake:1:1`) {
		t.Errorf("error %q", e)
	}

	// A rule that moves from one file to another in one change is no conflict.
	write(t, dir, "m.fake", cmd("/m", "mm"))
	if s, report = load(t, l); ids(s) != "a.fake:ax m.fake:mm z.fake:zz" || report.Errors != 0 {
		t.Errorf("after the move: rules %q, %d errors", ids(s), report.Errors)
	}

	// Refusing one brings its previous version back, which is in the way of another.
	write(t, dir, "a.fake", cmd("/z", "az")) // refused: z.fake has it
	write(t, dir, "n.fake", cmd("/x", "nx")) // refused: a.fake keeps /x
	if s, report = load(t, l); ids(s) != "a.fake:ax m.fake:mm z.fake:zz" || report.Errors != 2 {
		t.Errorf("chain: rules %q, %d errors", ids(s), report.Errors)
	}
	// When the obstacle goes, what was refused comes in without being touched.
	if err := os.Remove(filepath.Join(dir, "z.fake")); err != nil {
		t.Fatal(err)
	}
	if s, report = load(t, l); ids(s) != "a.fake:az m.fake:mm n.fake:nx" || report.Errors != 0 {
		t.Errorf("obstacle gone: rules %q, %d errors", ids(s), report.Errors)
	}
}

// Whoever shows the rules hears of a broken file at once, though the rules in
// force stay the same.
func TestNewsIsToldOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := newLoader(t, dir)
	var told []string
	l.OnReport(func(r *rules.Report) { told = append(told, fmt.Sprint(r.Rules, " rules ", r.Errors, " errors")) })
	write(t, dir, "a.fake", say("one"))
	load(t, l)
	load(t, l) // nothing new
	write(t, dir, "a.fake", "broken\n")
	load(t, l)
	load(t, l)
	write(t, dir, "a.fake", "broken\nin another way\n")
	load(t, l)
	write(t, dir, "b.fake", "broken\n")
	load(t, l)
	if err := os.Remove(filepath.Join(dir, "b.fake")); err != nil {
		t.Fatal(err)
	}
	load(t, l)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	load(t, l) // the directory has gone; its rules go on
	load(t, l)
	want := []string{"1 rules 0 errors", "1 rules 1 errors", "1 rules 1 errors", "1 rules 2 errors", "1 rules 1 errors", "1 rules 1 errors"}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}

func TestReportAsJSON(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "a.fake", "broken\n")
	_, report := load(t, newLoader(t, dir, filepath.Join(dir, "missing")))
	b, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"files":[{"path":"a.fake"`, `"errors":1`, `"rules":0`, `"dur_ms":`, `"problems":["`, `missing`} {
		if !strings.Contains(string(b), want) {
			t.Errorf("no %s in %s", want, b)
		}
	}
	if regexp.MustCompile(`"[A-Z]\w*":`).Match(b) {
		t.Errorf("keys are not in lower case: %s", b)
	}
}

func TestSwapIsTold(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := newLoader(t, dir)
	var told []string
	l.OnSwap(func(old, new *rules.Set) {
		told = append(told, fmt.Sprintf("%d -> %d %v", old.Len(), new.Len(), l.Current() == new))
	})
	write(t, dir, "a.fake", say("a"))
	load(t, l)
	load(t, l) // nothing has changed
	write(t, dir, "b.fake", say("b"))
	load(t, l)
	if d := cmp.Diff([]string{"0 -> 1 true", "1 -> 2 true"}, told); d != "" {
		t.Error(d)
	}
}

func TestVersionsAreKeptWhileRunsReferToThem(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	pool := newPool(t)
	l := rules.NewLoader(rules.LoaderOptions{
		Dirs: []string{dir}, Pool: pool, Languages: map[string]string{".fake": "fake"},
		Grace: time.Minute, Now: func() time.Time { return now },
	})
	runs := func(d runtime.Digest) bool {
		_, err := pool.Run(context.Background(), &runtime.Call{Script: d})
		return err == nil
	}
	write(t, dir, "a.fake", say("one"))
	s, _ := load(t, l)
	first := s.Rules()[0].Digest
	l.Acquire(first)
	write(t, dir, "a.fake", say("two"))
	s, _ = load(t, l)
	second := s.Rules()[0].Digest
	write(t, dir, "a.fake", say("three"))
	load(t, l)
	if !runs(first) || !runs(second) {
		t.Error("a replaced version is gone at once")
	}
	now = now.Add(2 * time.Minute)
	load(t, l)
	if !runs(first) || runs(second) {
		t.Errorf("after the grace: acquired version runs %v, want true; other %v, want false", runs(first), runs(second))
	}
	bundle, _ := l.Bundle(first)
	l.Release(first)
	now = now.Add(2 * time.Minute)
	load(t, l)
	if _, ok := l.Version(first); ok || runs(first) {
		t.Error("a released version is kept")
	}
	if err := l.Restore(context.Background(), bundle); err != nil {
		t.Fatal(err)
	}
	if v, ok := l.Version(first); !ok || v.Rule("a.fake:one") == nil || !runs(first) {
		t.Error("a restored version does not run")
	}
}

func TestReloadReadsWhatFileTimesHide(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := newLoader(t, dir)
	old := time.Now().Add(-time.Hour)
	put := func(name string) {
		write(t, dir, "a.fake", say(name))
		if err := os.Chtimes(filepath.Join(dir, "a.fake"), old, old); err != nil {
			t.Fatal(err)
		}
	}
	put("one")
	load(t, l)
	put("two") // same size, same time, same inode
	if s, _ := load(t, l); ids(s) != "a.fake:one" {
		t.Errorf("the file was read again: %q", ids(s))
	}
	if err := l.Reload(context.Background()); err != nil || ids(l.Current()) != "a.fake:two" {
		t.Errorf("after Reload: %q, %v", ids(l.Current()), err)
	}
}

func TestClosedPoolChangesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pool := newPool(t)
	l := rules.NewLoader(rules.LoaderOptions{Dirs: []string{dir}, Pool: pool, Languages: map[string]string{".fake": "fake"}})
	write(t, dir, "a.fake", say("one"))
	load(t, l)
	if err := pool.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "a.fake", say("two"))
	if _, _, err := l.Load(context.Background()); err == nil {
		t.Error("no error")
	}
	if ids(l.Current()) != "a.fake:one" {
		t.Errorf("rules %q", ids(l.Current()))
	}
}

func TestErrorRulesAreApart(t *testing.T) {
	t.Parallel()
	s := set(t, on("error", "name", "e1"), on("error", "name", "e2", "priority", 1), on("error", "name", "off", "enabled", false), on("event", "type", "*", "name", "all"))
	var got []string
	for _, r := range s.ErrorRules() {
		got = append(got, r.Name)
	}
	if d := cmp.Diff([]string{"e2", "e1"}, got); d != "" {
		t.Error(d)
	}
	if got := fired(s, &event.Event{Kind: event.Home}); got != "all" {
		t.Errorf("matched %q", got)
	}
}

func TestFirstLoadRefusesTheNewerOfTwo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "a.fake", on("command", "command", "/x", "name", "a"))
	write(t, dir, "b.fake", on("command", "command", "/x", "name", "b"))
	old := time.Now().Add(-time.Hour)
	must(t, os.Chtimes(filepath.Join(dir, "b.fake"), old, old))
	s, report := load(t, newLoader(t, dir))
	if ids(s) != "b.fake:b" || len(status(t, report, "a.fake").Errors) != 1 {
		t.Errorf("rules %q, want those of the older file, as before a restart", ids(s))
	}
}

func TestChangeWithinOneTickIsSeen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := newLoader(t, dir)
	now := time.Now()
	for _, name := range []string{"one", "two"} { // same size, same time, same inode
		write(t, dir, "a.fake", say(name))
		must(t, os.Chtimes(filepath.Join(dir, "a.fake"), now, now))
		if s, _ := load(t, l); ids(s) != "a.fake:"+name {
			t.Errorf("rules %q, want %s", ids(s), name)
		}
	}
}
