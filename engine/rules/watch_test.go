package rules_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/rules"
)

// watched starts a loader that watches dir, and returns when it is watching.
func watched(t *testing.T, dir string) *rules.Loader {
	t.Helper()
	l := newLoader(t, dir)
	load(t, l)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- l.Watch(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	// Watching begins with a load: what is written before it is seen as well.
	before := l.Report().Loaded
	eventually(t, "the watcher to start", func() bool { return l.Report().Loaded.After(before) })
	return l
}

// eventually polls until ok, at most ten seconds: the machine may be busy. How
// soon a change is live is for TestChangeIsLiveSoon.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// rename, remove and the like fail the test.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestHotDrop is the ways in which editors and tools change files.
func TestHotDrop(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		before map[string]string
		do     func(t *testing.T, dir string)
		want   string
	}{
		{"new file", nil, func(t *testing.T, dir string) { write(t, dir, "a.fake", say("a")) }, "a.fake:a"},
		{"write in place", map[string]string{"a.fake": say("a")}, func(t *testing.T, dir string) { write(t, dir, "a.fake", say("a2")) }, "a.fake:a2"},
		{"temporary file and rename", map[string]string{"a.fake": say("a")}, func(t *testing.T, dir string) {
			write(t, dir, "a.fake.tmp123", say("a2"))
			must(t, os.Rename(filepath.Join(dir, "a.fake.tmp123"), filepath.Join(dir, "a.fake")))
		}, "a.fake:a2"},
		{"vim: backup, 4913, new file", map[string]string{"a.fake": say("a")}, func(t *testing.T, dir string) {
			write(t, dir, "4913", "")
			must(t, os.Remove(filepath.Join(dir, "4913")))
			write(t, dir, ".a.fake.swp", "b0VIM")
			must(t, os.Rename(filepath.Join(dir, "a.fake"), filepath.Join(dir, "a.fake~")))
			write(t, dir, "a.fake", say("a2"))
			must(t, os.Remove(filepath.Join(dir, "a.fake~")))
		}, "a.fake:a2"},
		{"emacs: lock, autosave", map[string]string{"a.fake": say("a")}, func(t *testing.T, dir string) {
			must(t, os.Symlink("me@host.1", filepath.Join(dir, ".#a.fake")))
			write(t, dir, "#a.fake#", "half")
			write(t, dir, "a.fake", say("a2"))
			must(t, os.Remove(filepath.Join(dir, ".#a.fake")))
		}, "a.fake:a2"},
		{"remove", map[string]string{"a.fake": say("a"), "b.fake": say("b")}, func(t *testing.T, dir string) {
			must(t, os.Remove(filepath.Join(dir, "a.fake")))
		}, "b.fake:b"},
		{"move", map[string]string{"a.fake": on("command", "command", "/x", "name", "c")}, func(t *testing.T, dir string) {
			must(t, os.Rename(filepath.Join(dir, "a.fake"), filepath.Join(dir, "b.fake")))
		}, "b.fake:c"},
		{"new directories at once", nil, func(t *testing.T, dir string) { write(t, dir, "x/y/z/a.fake", say("a")) }, "x/y/z/a.fake:a"},
		{"file in a new directory later", nil, func(t *testing.T, dir string) {
			must(t, os.Mkdir(filepath.Join(dir, "sub"), 0o755))
			time.Sleep(150 * time.Millisecond) // so that the directory is seen alone
			write(t, dir, "sub/a.fake", say("a"))
		}, "sub/a.fake:a"},
		{"directory moved in", nil, func(t *testing.T, dir string) {
			outside := t.TempDir()
			write(t, outside, "sub/a.fake", say("a"))
			must(t, os.Rename(filepath.Join(outside, "sub"), filepath.Join(dir, "sub")))
		}, "sub/a.fake:a"},
		{"directory renamed", map[string]string{"old/a.fake": say("a")}, func(t *testing.T, dir string) {
			must(t, os.Rename(filepath.Join(dir, "old"), filepath.Join(dir, "new")))
		}, "new/a.fake:a"},
		{"directory removed", map[string]string{"sub/a.fake": say("a"), "b.fake": say("b")}, func(t *testing.T, dir string) {
			must(t, os.RemoveAll(filepath.Join(dir, "sub")))
		}, "b.fake:b"},
		{"module changed", map[string]string{"a.fake": "load _m.fake\n", "_m.fake": say("m")}, func(t *testing.T, dir string) {
			write(t, dir, "_m.fake", say("m2"))
		}, "a.fake:m2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for name, text := range c.before {
				write(t, dir, name, text)
			}
			l := watched(t, dir)
			c.do(t, dir)
			eventually(t, c.want+", not "+ids(l.Current()), func() bool { return ids(l.Current()) == c.want })
			if n := l.Report().Errors; n != 0 {
				t.Errorf("%d errors: %+v", n, l.Report().Files)
			}
		})
	}
}

// TestConfigMapSwap is how Kubernetes changes a mounted ConfigMap: the files
// are symlinks into ..data, which is a symlink that is replaced.
func TestConfigMapSwap(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	version := func(n int) {
		data := "..2026_" + strconv.Itoa(n)
		write(t, dir, data+"/a.fake", say(fmt.Sprint("a", n)))
		write(t, dir, data+"/b.fake", say(fmt.Sprint("b", n)))
		must(t, os.Symlink(data, filepath.Join(dir, "..data_tmp")))
		must(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
		if n > 1 {
			must(t, os.RemoveAll(filepath.Join(dir, "..2026_"+strconv.Itoa(n-1))))
		}
	}
	version(1)
	for _, f := range []string{"a.fake", "b.fake"} {
		must(t, os.Symlink("..data/"+f, filepath.Join(dir, f)))
	}
	l := watched(t, dir)
	for n := 1; n <= 3; n++ {
		if n > 1 {
			version(n)
		}
		want := fmt.Sprintf("a.fake:a%d b.fake:b%d", n, n)
		eventually(t, want, func() bool { return ids(l.Current()) == want })
	}
}

// TestDirectoryThatIsASymlink is how releases are switched: the rules
// directory itself is replaced.
func TestDirectoryThatIsASymlink(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	write(t, base, "v1/a.fake", say("one"))
	write(t, base, "v2/a.fake", say("two"))
	current := filepath.Join(base, "current")
	must(t, os.Symlink("v1", current))
	l := watched(t, current)
	must(t, os.Symlink("v2", current+".new"))
	must(t, os.Rename(current+".new", current))
	eventually(t, "the second release", func() bool { return ids(l.Current()) == "a.fake:two" })
	write(t, base, "v2/a.fake", say("three"))
	eventually(t, "a change within it", func() bool { return ids(l.Current()) == "a.fake:three" })
}

func TestHalfWrittenFileKeepsThePreviousVersion(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "a.fake", say("one"))
	l := watched(t, dir)
	var seen sync.Map
	l.OnSwap(func(_, s *rules.Set) { seen.Store(ids(s), true) })
	f, err := os.Create(filepath.Join(dir, "a.fake")) // empties it
	must(t, err)
	for _, part := range []string{say("two"), say("three")[:20], say("three")[20:]} {
		_, err := f.WriteString(part)
		must(t, err)
		time.Sleep(150 * time.Millisecond) // longer than any debouncing
	}
	must(t, f.Close())
	want := "a.fake:two a.fake:three"
	eventually(t, want, func() bool { return ids(l.Current()) == want })
	seen.Range(func(k, _ any) bool {
		if k != want {
			t.Errorf("a half-written version was live: %q", k)
		}
		return true
	})
}

// TestEditsWhileMatching changes files a thousand times, in each of the usual
// ways, while events are matched: every version that is seen is whole, and the
// last one comes in.
func TestEditsWhileMatching(t *testing.T) {
	t.Parallel()
	edits := 1000
	if testing.Short() {
		edits = 100
	}
	const files, parts = 4, 3
	dir := t.TempDir()
	text := func(n int) string {
		var b strings.Builder
		for p := range parts {
			b.WriteString(say(fmt.Sprintf("v%d-%d", n, p)))
		}
		return b.String()
	}
	for f := range files {
		write(t, dir, fmt.Sprintf("f%d.fake", f), text(0))
	}
	l := watched(t, dir)

	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	matches := 0
	wg.Go(func() {
		e := message("x")
		for ctx.Err() == nil {
			versions := map[string]map[string]int{}
			for _, m := range l.Current().Match(e, nil) {
				v, _, _ := strings.Cut(m.Rule.Name, "-")
				if versions[m.Rule.Script] == nil {
					versions[m.Rule.Script] = map[string]int{}
				}
				versions[m.Rule.Script][v]++
			}
			for f := range files {
				got := versions[fmt.Sprintf("f%d.fake", f)]
				if len(got) != 1 {
					t.Errorf("file %d runs %v", f, got)
					return
				}
				for v, n := range got {
					if n != parts {
						t.Errorf("file %d runs %d of %d rules of %s", f, n, parts, v)
						return
					}
				}
			}
			matches++
		}
	})
	for n := 1; n <= edits; n++ {
		p := filepath.Join(dir, fmt.Sprintf("f%d.fake", n%files))
		switch n % 3 {
		case 0:
			must(t, os.WriteFile(p, []byte(text(n)), 0o644))
		case 1:
			must(t, os.WriteFile(p+"~", []byte(text(n)), 0o644))
			must(t, os.Rename(p+"~", p))
		case 2:
			f, err := os.Create(p)
			must(t, err)
			for _, half := range strings.SplitAfter(text(n), "\n") {
				_, err := f.WriteString(half)
				must(t, err)
				time.Sleep(100 * time.Microsecond)
			}
			must(t, f.Close())
		}
		time.Sleep(time.Millisecond)
	}
	last := fmt.Sprintf("f%d.fake:v%d-0", edits%files, edits)
	eventually(t, last, func() bool { return l.Current().Rule(last) != nil })
	cancel()
	wg.Wait()
	if matches == 0 {
		t.Error("nothing was matched meanwhile")
	}
}

// TestChangeIsLiveSoon holds the promise of SPEC §7: live within 200 ms of the
// last write. The median is looked at, for other tests share the machine.
func TestChangeIsLiveSoon(t *testing.T) {
	if testing.Short() {
		t.Skip("timing")
	}
	dir := t.TempDir()
	for i := range 200 {
		write(t, dir, fmt.Sprintf("other%d.fake", i), say("o"))
	}
	l := watched(t, dir)
	var took []time.Duration
	for n := range 9 {
		write(t, dir, "a.fake", say(fmt.Sprint("v", n)))
		start := time.Now()
		eventually(t, "the change", func() bool { return l.Current().Rule(fmt.Sprint("a.fake:v", n)) != nil })
		took = append(took, time.Since(start))
	}
	within := 0
	for _, d := range took {
		if d <= 200*time.Millisecond {
			within++
		}
	}
	t.Logf("live after %v", took)
	if within <= len(took)/2 {
		t.Errorf("most changes took longer than 200 ms: %v", took)
	}
}

func TestContinuousChangeDelaysNoOtherFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "busy.fake", say("b"))
	l := watched(t, dir)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			write(t, dir, "busy.fake", say(fmt.Sprint("b", n)))
			time.Sleep(5 * time.Millisecond)
		}
	})
	write(t, dir, "a.fake", say("a"))
	eventually(t, "the other file", func() bool { return l.Current().Rule("a.fake:a") != nil })
	cancel()
	wg.Wait()
}

// TestPollingSeesWhatIsNotNotified begins without any directory to watch.
func TestPollingSeesWhatIsNotNotified(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "not", "there", "yet")
	l := rules.NewLoader(rules.LoaderOptions{
		Dirs: []string{dir}, Pool: newPool(t), Languages: map[string]string{".fake": "fake"}, Poll: 20 * time.Millisecond,
	})
	load(t, l)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- l.Watch(ctx) }()
	write(t, dir, "a.fake", say("a"))
	eventually(t, "the file", func() bool { return ids(l.Current()) == "a.fake:a" })
	cancel()
	must(t, <-done)
}

// TestWriterThatNeverCloses writes a file whole and keeps it open: waiting for
// it has an end.
func TestWriterThatNeverCloses(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for seconds")
	}
	dir := t.TempDir()
	l := watched(t, dir)
	f, err := os.Create(filepath.Join(dir, "a.fake"))
	must(t, err)
	defer f.Close()
	_, err = f.WriteString(say("a"))
	must(t, err)
	eventually(t, "the file", func() bool { return ids(l.Current()) == "a.fake:a" })
}
