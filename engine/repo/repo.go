// Package repo keeps a directory of rules in step with a git repository. A new
// revision is fetched, laid out beside the one in force, checked as a whole,
// and switched to at once; one that is not good is refused, and the last good
// one stays.
//
//	Repo     Pull fetches and switches; Dir is what rules are read from
//	export   a revision as files: no checkout, so that nothing of it can run
//
//	DIR/mirror.git     what was fetched
//	DIR/rev/<commit>/  the files of a revision
//	DIR/current        a link to the rules of the one in force
//
// What is fetched is not trusted: git runs no hooks and no filters, follows no
// submodules, and speaks https, ssh and, for a repository on this machine, the
// file protocol; links and everything that is no plain file are left out.
//
// The package knows no rules: whether a revision is good, Options.Check says.
package repo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Options configure a Repo. URL and Dir are required.
type Options struct {
	// URL is the repository; Ref its branch or tag, its default branch if
	// empty; Path the directory of the rules within.
	URL, Ref, Path string
	// Dir is where revisions are kept.
	Dir string
	// Keep is how many revisions are kept, the one in force included: 3.
	Keep int
	// Check says whether the rules in a directory are good: Bad tells that they
	// are not, any other error that it cannot be said now. May be nil.
	Check func(ctx context.Context, dir string) error
	// Timeout bounds one call of git: 2 min.
	Timeout time.Duration
	// MaxBytes and MaxFiles bound a revision: 64 MiB, 10,000.
	MaxBytes int64
	MaxFiles int
	Logger   *slog.Logger
}

// Repo is safe for concurrent use.
type Repo struct {
	o Options

	mu sync.Mutex // held over a pull
	// refused is the revision that was refused last, and why.
	refused string
	why     error
}

// fault is the error of a revision itself: trying again changes nothing.
type fault struct{ error }

// Bad says of a revision that it is not good, and will not be.
func Bad(err error) error { return fault{err} }

// Unwrap returns what is wrong.
func (f fault) Unwrap() error { return f.error }

// ErrRefused is wrapped by the error of a revision that is not good.
var ErrRefused = errors.New("revision is refused")

// New returns a repo. It touches nothing.
func New(o Options) *Repo {
	if o.Keep < 1 {
		o.Keep = 3
	}
	if o.Timeout == 0 {
		o.Timeout = 2 * time.Minute
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = 64 << 20
	}
	if o.MaxFiles == 0 {
		o.MaxFiles = 10_000
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.Path = strings.Trim(filepath.ToSlash(filepath.Clean("/"+o.Path)), "/")
	return &Repo{o: o}
}

// Dir is the directory of the rules in force: a link that is switched.
func (r *Repo) Dir() string { return filepath.Join(r.o.Dir, "current") }

// Revision is the commit in force; empty before the first good one.
func (r *Repo) Revision() string {
	target, err := os.Readlink(r.Dir())
	if err != nil {
		return ""
	}
	parts := strings.Split(filepath.ToSlash(target), "/")
	if len(parts) < 2 || parts[0] != "rev" {
		return ""
	}
	return parts[1]
}

// Result is what a pull came to.
type Result struct {
	// Revision is the commit in force, Changed that it is another than before.
	Revision string
	Changed  bool
	// News is set for a refusal that was not told before.
	News bool
}

// Pull fetches the repository and switches to its newest revision, if that is
// good. The error wraps ErrRefused if it is not; whatever the error, what was
// in force stays.
func (r *Repo) Pull(ctx context.Context) (Result, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	res := Result{Revision: r.Revision()}
	commit, err := r.fetch(ctx)
	if err != nil {
		return res, fmt.Errorf("fetch rules: %w", err)
	}
	switch commit {
	case res.Revision:
		r.refused = ""
		return res, nil
	case r.refused:
		return res, r.why
	}
	if err := r.prepare(ctx, commit); err != nil {
		if ctx.Err() != nil {
			return res, ctx.Err()
		}
		if _, ok := errors.AsType[fault](err); !ok {
			return res, fmt.Errorf("lay out revision %s: %w", short(commit), err) // it is tried again
		}
		r.refused, r.why = commit, fmt.Errorf("%w: %s: %w", ErrRefused, short(commit), err)
		res.News = true
		return res, r.why
	}
	if err := r.point(commit); err != nil {
		return res, fmt.Errorf("switch rules to %s: %w", short(commit), err)
	}
	r.o.Logger.Info("rules are at another revision", "revision", commit, "before", res.Revision)
	r.refused = ""
	r.sweep(commit, res.Revision)
	return Result{Revision: commit, Changed: true}, nil
}

func short(commit string) string { return commit[:min(len(commit), 12)] }

// fetch brings the mirror up to date and returns the commit of the ref.
func (r *Repo) fetch(ctx context.Context) (string, error) {
	mirror := filepath.Join(r.o.Dir, "mirror.git")
	if _, err := os.Stat(filepath.Join(mirror, "HEAD")); err != nil {
		if err := os.MkdirAll(r.o.Dir, 0o700); err != nil {
			return "", err
		}
		if _, err := r.git(ctx, nil, "init", "--quiet", "--bare", "--template=", mirror); err != nil {
			return "", err
		}
	}
	ref := r.o.Ref
	if ref == "" {
		ref = "HEAD"
	}
	url := r.o.URL
	if local(url) {
		abs, err := filepath.Abs(url)
		if err != nil {
			return "", err
		}
		url = abs
	}
	_, err := r.git(ctx, nil, "--git-dir="+mirror, "fetch", "--quiet", "--force", "--no-tags", "--depth=1",
		"--no-recurse-submodules", "--no-write-fetch-head", "--", url, ref+":refs/starling/next")
	if err != nil {
		return "", err
	}
	out, err := r.git(ctx, nil, "--git-dir="+mirror, "rev-parse", "--verify", "--quiet", "refs/starling/next^{commit}")
	if err != nil {
		return "", err
	}
	commit := strings.TrimSpace(out)
	if len(commit) < 40 || strings.Trim(commit, "0123456789abcdef") != "" {
		return "", fmt.Errorf("git names no commit: %.80q", commit)
	}
	return commit, nil
}

// prepare lays a revision out, and has it checked.
func (r *Repo) prepare(ctx context.Context, commit string) error {
	final := filepath.Join(r.o.Dir, "rev", commit)
	if _, err := os.Stat(final); err != nil {
		if err := os.MkdirAll(filepath.Dir(final), 0o700); err != nil {
			return err
		}
		tmp, err := os.MkdirTemp(filepath.Dir(final), ".new-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(tmp)
		if err := r.export(ctx, commit, tmp); err != nil {
			return err
		}
		if err := os.Rename(tmp, final); err != nil {
			return err
		}
	}
	dir := filepath.Join(final, filepath.FromSlash(r.o.Path))
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return fault{fmt.Errorf("there is no directory %q in it", r.o.Path)}
	}
	if r.o.Check == nil {
		return nil
	}
	return r.o.Check(ctx, dir)
}

// export writes the files of a revision into a directory.
func (r *Repo) export(ctx context.Context, commit, dir string) error {
	args := []string{"--git-dir=" + filepath.Join(r.o.Dir, "mirror.git"), "archive", "--format=tar", commit}
	if r.o.Path != "" {
		args = append(args, "--", r.o.Path)
	}
	pr, pw := io.Pipe()
	done := make(chan error, 1)
	go func() {
		_, err := r.git(ctx, pw, args...)
		pw.CloseWithError(err)
		done <- err
	}()
	err := unpack(pr, dir, r.o.MaxBytes, r.o.MaxFiles, r.o.Logger)
	if err == nil {
		_, _ = io.Copy(io.Discard, pr) // what fills the last block
	}
	pr.CloseWithError(errors.New("enough"))
	gitErr := <-done
	if err != nil {
		return err
	}
	return gitErr
}

// point switches the link.
func (r *Repo) point(commit string) error {
	next := filepath.Join(r.o.Dir, ".current-next")
	_ = os.Remove(next)
	if err := os.Symlink(filepath.Join("rev", commit, filepath.FromSlash(r.o.Path)), next); err != nil {
		return err
	}
	return os.Rename(next, r.Dir())
}

// sweep removes the oldest revisions, those named apart.
func (r *Repo) sweep(keep ...string) {
	root := filepath.Join(r.o.Dir, "rev")
	entries, err := os.ReadDir(root)
	if err != nil {
		return
	}
	type old struct {
		name string
		when time.Time
	}
	var all []old
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || slices.Contains(keep, e.Name()) {
			continue
		}
		all = append(all, old{e.Name(), info.ModTime()})
	}
	slices.SortFunc(all, func(a, b old) int { return b.when.Compare(a.when) })
	for i, o := range all {
		if i+len(keep) >= r.o.Keep || strings.HasPrefix(o.name, ".") {
			_ = os.RemoveAll(filepath.Join(root, o.name))
		}
	}
}

// local reports whether a URL is a path on this machine.
func local(url string) bool {
	return strings.HasPrefix(url, "/") || strings.HasPrefix(url, "./") || strings.HasPrefix(url, "../") || strings.HasPrefix(url, "file://")
}

// maxComplaint bounds what is kept of git's own words.
const maxComplaint = 2000

// git runs git on what is not trusted. out, if not nil, takes what it prints.
func (r *Repo) git(ctx context.Context, out io.Writer, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, r.o.Timeout)
	defer cancel()
	file := "never"
	if local(r.o.URL) {
		file = "always"
	}
	safe := []string{
		"-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "core.sshCommand=ssh -oBatchMode=yes",
		"-c", "protocol.allow=never", "-c", "protocol.https.allow=always", "-c", "protocol.ssh.allow=always", "-c", "protocol.file.allow=" + file,
		"-c", "submodule.recurse=false", "-c", "fetch.recurseSubmodules=false", "-c", "fetch.fsckObjects=true", "-c", "transfer.bundleURI=false",
		"-c", "credential.helper=", "-c", "gc.auto=0", "-c", "maintenance.auto=false",
	}
	cmd := exec.CommandContext(ctx, "git", append(safe, args...)...)
	cmd.Env = environment(cmd.Environ())
	cmd.WaitDelay = 5 * time.Second
	var text, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &text, &complaint
	if out != nil {
		cmd.Stdout = out
	}
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		return "", fmt.Errorf("git %s: %w", verb(args), ctx.Err())
	case err != nil:
		said := strings.TrimSpace(complaint.String())
		return "", fmt.Errorf("git %s: %w: %s", verb(args), err, withoutPasswords(strings.ToValidUTF8(said[:min(len(said), maxComplaint)], "")))
	}
	return text.String(), nil
}

func verb(args []string) string {
	for _, a := range args {
		if !strings.HasPrefix(a, "-") {
			return a
		}
	}
	return ""
}

// environment is what git gets of that of the server: where programs and keys
// are, and nothing that is secret.
func environment(all []string) []string {
	keep := []string{"PATH", "HOME", "USER", "TMPDIR", "LANG", "SSH_AUTH_SOCK", "SSL_CERT_FILE", "SSL_CERT_DIR", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"}
	env := []string{"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=true", "GIT_ATTR_NOSYSTEM=1"}
	for _, v := range all {
		if name, _, _ := strings.Cut(v, "="); slices.Contains(keep, name) {
			env = append(env, v)
		}
	}
	return env
}

// withoutPasswords takes user:password@ out of URLs.
func withoutPasswords(text string) string {
	words := strings.Fields(text)
	for i, w := range words {
		before, rest, ok := strings.Cut(w, "://")
		if !ok {
			continue
		}
		if at := strings.LastIndexByte(rest, '@'); at >= 0 {
			words[i] = before + "://…" + rest[at:]
		}
	}
	return strings.Join(words, " ")
}
