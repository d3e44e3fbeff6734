package repo_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/starling-rules/starling/engine/repo"
)

// upstream is a repository on this machine.
type upstream struct {
	t   *testing.T
	dir string
}

func newUpstream(t *testing.T) *upstream {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("there is no git here")
	}
	u := &upstream{t, filepath.Join(t.TempDir(), "upstream")}
	u.git("init", "--quiet", "--initial-branch=main", u.dir)
	return u
}

func (u *upstream) git(args ...string) string {
	u.t.Helper()
	cmd := exec.Command("git", append([]string{
		"-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false", "-c", "protocol.file.allow=always",
	}, args...)...)
	cmd.Env = append(cmd.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1")
	if args[0] != "init" {
		cmd.Dir = u.dir
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		u.t.Fatalf("git %s: %v: %s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (u *upstream) write(name, text string) {
	u.t.Helper()
	full := filepath.Join(u.dir, name)
	if err := os.MkdirAll(filepath.Dir(full), 0o700); err != nil {
		u.t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(text), 0o700); err != nil {
		u.t.Fatal(err)
	}
}

// commit commits all files and returns the revision.
func (u *upstream) commit() string {
	u.t.Helper()
	u.git("add", "-A", "--force")
	u.git("commit", "--quiet", "--no-verify", "-m", "change")
	return u.git("rev-parse", "HEAD")
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		return "absent"
	}
	return string(b)
}

func TestAGoodRevisionIsSwitchedToAndABadOneRefused(t *testing.T) {
	t.Parallel()
	u := newUpstream(t)
	u.write("rules/a.star", "one")
	u.write("README", "not a rule")
	first := u.commit()
	errBad := errors.New("a.star:1:1: bad")
	checks := 0
	r := repo.New(repo.Options{URL: u.dir, Path: "rules", Dir: filepath.Join(t.TempDir(), "git"), Check: func(_ context.Context, dir string) error {
		checks++
		if strings.Contains(read(t, filepath.Join(dir, "a.star")), "bad") {
			return repo.Bad(errBad)
		}
		return nil
	}})
	if got := r.Revision(); got != "" {
		t.Fatalf("at %q before the first", got)
	}
	live := filepath.Join(r.Dir(), "a.star")
	pull := func(rev string, changed bool, is error, text string) repo.Result {
		t.Helper()
		res, err := r.Pull(t.Context())
		if res.Revision != rev || res.Changed != changed || !errors.Is(err, is) || (err == nil) != (is == nil) {
			t.Errorf("got %+v %v, want %s %v %v", res, err, rev, changed, is)
		}
		if got := read(t, live); got != text {
			t.Errorf("in force is %q, want %q", got, text)
		}
		return res
	}
	pull(first, true, nil, "one")
	pull(first, false, nil, "one")

	u.write("rules/a.star", "bad")
	u.commit()
	if res := pull(first, false, errBad, "one"); !res.News {
		t.Error("the refusal is no news")
	}
	if res := pull(first, false, repo.ErrRefused, "one"); res.News {
		t.Error("the same refusal is told twice")
	}
	if checks != 2 {
		t.Errorf("checked %d times, want 2", checks)
	}

	u.write("rules/a.star", "three")
	third := u.commit()
	pull(third, true, nil, "three")
	if _, err := os.Stat(filepath.Join(r.Dir(), "..", "README")); err == nil {
		t.Error("what is no rule was laid out")
	}

	// What is in force outlives the process, and a repository that is gone.
	if err := os.Rename(u.dir, u.dir+"-gone"); err != nil {
		t.Fatal(err)
	}
	if res, err := r.Pull(t.Context()); err == nil || res.Revision != third || read(t, live) != "three" {
		t.Errorf("got %+v %v", res, err)
	}
}

func TestRevisionsAreSweptAndBranchesFollowed(t *testing.T) {
	t.Parallel()
	u := newUpstream(t)
	u.write("a.star", "main")
	u.commit()
	u.git("checkout", "--quiet", "-b", "prod")
	dir := filepath.Join(t.TempDir(), "git")
	r := repo.New(repo.Options{URL: u.dir, Ref: "prod", Dir: dir, Keep: 2})
	for i := range 5 {
		u.write("a.star", strings.Repeat("x", i+1))
		u.commit()
		if _, err := r.Pull(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	u.git("checkout", "--quiet", "main")
	u.git("branch", "--quiet", "-f", "prod", "main") // history is rewritten
	if res, err := r.Pull(t.Context()); err != nil || !res.Changed || read(t, filepath.Join(r.Dir(), "a.star")) != "main" {
		t.Errorf("got %+v %v", res, err)
	}
	revs, err := os.ReadDir(filepath.Join(dir, "rev"))
	if err != nil || len(revs) != 2 {
		t.Errorf("%d revisions are kept, want 2 (%v)", len(revs), err)
	}
	none := repo.New(repo.Options{URL: u.dir, Ref: "no-such", Dir: filepath.Join(t.TempDir(), "git")})
	if _, err := none.Pull(t.Context()); err == nil || !strings.Contains(err.Error(), "fetch rules: git fetch") {
		t.Errorf("got %v", err)
	}
}

// A repository is not trusted: nothing of it runs, and nothing of it leads out.
func TestNothingOfAHostileRepositoryRunsOrLeadsOut(t *testing.T) {
	t.Parallel()
	u := newUpstream(t)
	out := t.TempDir()
	mark := filepath.Join(out, "ran")
	if err := os.WriteFile(filepath.Join(out, "secret"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	run := "#!/bin/sh\ntouch " + mark + "\ncat\n"
	for _, hook := range []string{"post-checkout", "post-merge", "pre-receive", "post-update", "reference-transaction", "post-index-change"} {
		u.write("hooks/"+hook, run)
		u.write(".githooks/"+hook, run)
	}
	u.write("a.star", "rule")
	u.write(".gitattributes", "*.star filter=evil diff=evil\n")
	u.write(".gitconfig", "[filter \"evil\"]\n\tsmudge = "+mark+"\n")
	for name, to := range map[string]string{"out.star": filepath.Join(out, "secret"), "up": "../../../../", "git": "../../mirror.git"} {
		if err := os.Symlink(to, filepath.Join(u.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	// A submodule whose URL would run a command.
	u.write(".gitmodules", "[submodule \"sub\"]\n\tpath = sub\n\turl = ext::sh -c 'touch "+mark+"'\n\tfetchRecurseSubmodules = true\n")
	u.commit()
	u.git("update-index", "--add", "--cacheinfo", "160000,"+u.git("rev-parse", "HEAD")+",sub")
	u.git("commit", "--quiet", "--no-verify", "-m", "submodule")
	// The far side's own configuration, and hooks of the server's account.
	u.git("config", "core.fsmonitor", "touch "+mark)

	dir := filepath.Join(t.TempDir(), "git")
	r := repo.New(repo.Options{URL: u.dir, Dir: dir})
	if _, err := r.Pull(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(mark); err == nil {
		t.Fatal("something of the repository was run")
	}
	if got := read(t, filepath.Join(r.Dir(), "a.star")); got != "rule" {
		t.Errorf("a.star: %q", got)
	}
	err := filepath.Walk(filepath.Join(dir, "rev"), func(name string, info os.FileInfo, err error) error {
		if err == nil && (!info.Mode().IsDir() && !info.Mode().IsRegular() || info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0) {
			t.Errorf("%s is %s", name, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, url := range []string{"ext::sh -c touch% " + mark, "--upload-pack=touch " + mark, "http://127.0.0.1:1/x", "git://127.0.0.1:1/x"} {
		r := repo.New(repo.Options{URL: url, Dir: filepath.Join(t.TempDir(), "git")})
		if _, err := r.Pull(t.Context()); err == nil {
			t.Errorf("fetched from %q", url)
		}
	}
	if _, err := os.Stat(mark); err == nil {
		t.Fatal("a URL was run")
	}
}

func TestARevisionThatIsTooMuchIsRefused(t *testing.T) {
	t.Parallel()
	u := newUpstream(t)
	u.write("a.star", strings.Repeat("x", 2000))
	u.write("b.star", "y")
	u.commit()
	for want, o := range map[string]repo.Options{
		"too large": {MaxBytes: 1000}, "more than 1 files": {MaxFiles: 1}, `no directory "rules"`: {Path: "rules"},
	} {
		o.URL, o.Dir = u.dir, filepath.Join(t.TempDir(), "git")
		_, err := repo.New(o).Pull(t.Context())
		if err == nil || !strings.Contains(err.Error(), want) && !strings.Contains(err.Error(), "pathspec") {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
