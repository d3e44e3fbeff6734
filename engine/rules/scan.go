package rules

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/starling-rules/starling/runtime"
)

// text is the content of a file. Two sources with the same *text are equal.
type text struct{ bytes []byte }

// source is one file of the rules directories as it was at one scan.
type source struct {
	path string // within its directory, with slashes
	dir  string
	text *text // nil if err is set
	err  *runtime.Error
	info fs.FileInfo
	read time.Time
	// virtual is set for a script that was made.
	virtual *Virtual
}

// tree is what one scan found. It is immutable.
type tree struct {
	files   map[string]*source
	scripts []string // paths of the rule files among them, sorted
	dirs    []string // on disk, to be watched
	// unstable are files that were being written: their previous content, if
	// there is any, is in files.
	unstable map[string]bool
	// problems are those of whole directories.
	problems []error
	opened   map[string]bool // directories that could be read
	// find, if set, looks for a file that is not in files.
	find func(path string) *text
}

// scanner walks the rules directories.
type scanner struct {
	roots []string
	exts  map[string]string
	limit int64
	now   func() time.Time
	prev  *tree
	// force makes it read every file; hold says of a file that looks as if it
	// were being written whether to wait.
	force bool
	hold  func(path string) bool
	// changing are files, by their path on disk, that changed a moment ago.
	changing map[string]bool
	out      *tree
}

// racy is how long after its last modification a file may change again
// without a change of its time stamp and size being visible.
const racy = 2 * time.Second

// maxDepth bounds the nesting of directories, and with it symlink loops.
const maxDepth = 32

func (sc *scanner) scan() *tree {
	sc.out = &tree{files: map[string]*source{}, unstable: map[string]bool{}, opened: map[string]bool{}}
	for _, dir := range sc.roots {
		if err := sc.scanRoot(dir); err != nil {
			sc.out.problems = append(sc.out.problems, fmt.Errorf("read rules directory: %w", err))
			sc.keepRoot(dir)
		}
	}
	for p, src := range sc.out.files {
		if IsScript(src.path) {
			sc.out.scripts = append(sc.out.scripts, p)
		}
	}
	slices.Sort(sc.out.scripts)
	return sc.out
}

// keepRoot carries over what a directory held that cannot be read just now: a
// mount or symlink that is away for a moment must not switch off every rule.
func (sc *scanner) keepRoot(dir string) {
	if sc.prev == nil {
		return
	}
	for p, src := range sc.prev.files {
		if src.dir == dir && sc.out.files[p] == nil {
			sc.out.files[p] = src
		}
	}
}

func (sc *scanner) scanRoot(dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := sc.walk(root, dir, ".", nil, 0); err != nil {
		return err
	}
	sc.out.opened[dir] = true
	return nil
}

// walk visits one directory. Only the failure of the root is an error.
func (sc *scanner) walk(root *os.Root, dir, rel string, above []fs.FileInfo, depth int) error {
	f, err := root.Open(rel)
	if err != nil {
		return err
	}
	self, err := f.Stat()
	if err != nil {
		f.Close()
		return err
	}
	entries, err := f.ReadDir(-1)
	f.Close()
	if err != nil {
		return err
	}
	if depth > maxDepth || slices.ContainsFunc(above, func(a fs.FileInfo) bool { return os.SameFile(a, self) }) {
		return nil
	}
	above = append(above, self)
	sc.out.dirs = append(sc.out.dirs, filepath.Join(dir, filepath.FromSlash(rel)))
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	for _, e := range entries {
		if isTemp(e.Name()) {
			continue
		}
		p := path.Join(rel, e.Name())
		mode := e.Type()
		var info fs.FileInfo
		if mode&fs.ModeSymlink != 0 {
			if info, err = root.Stat(p); err != nil {
				sc.badLink(dir, p, err)
				continue
			}
		} else if mode.IsRegular() && sc.exts[path.Ext(p)] != "" {
			if info, err = e.Info(); err != nil {
				continue // it went in the meantime
			}
		}
		if info != nil {
			mode = info.Mode()
		}
		switch {
		case mode.IsDir():
			if !strings.HasPrefix(e.Name(), ".") {
				_ = sc.walk(root, dir, p, above, depth+1) // one unreadable subdirectory hides its files only
			}
		case sc.exts[path.Ext(p)] == "":
		case !mode.IsRegular():
			sc.add(&source{path: p, dir: dir, err: fileError(p, runtime.LoadError, "is not a regular file")})
		default:
			sc.file(root, dir, p, info)
		}
	}
	return nil
}

// badLink reports a script that is a symlink out of the directory. A dangling
// link is a file that is not there (yet).
func (sc *scanner) badLink(dir, p string, err error) {
	if sc.exts[path.Ext(p)] == "" || errors.Is(err, fs.ErrNotExist) {
		return
	}
	sc.add(&source{path: p, dir: dir, err: fileError(p, runtime.LoadError, "is a symlink that leads out of the rules directory")})
}

func fileError(p string, kind runtime.ErrorKind, format string, a ...any) *runtime.Error {
	return &runtime.Error{Kind: kind, Msg: fmt.Sprintf(format, a...), Pos: runtime.Position{Path: p}}
}

// add puts a file into the tree. A path that an earlier directory has as well
// is an error of the later one.
func (sc *scanner) add(src *source) {
	if first := sc.out.files[src.path]; first != nil && first.dir != src.dir {
		p := path.Join(filepath.ToSlash(src.dir), src.path)
		e := fileError(p, runtime.LoadError, "%s is there already, in %s", src.path, first.dir)
		e.Hint = "paths are unique over all rules directories: rename one of the two"
		sc.out.files[p] = &source{path: src.path, dir: src.dir, err: e}
		return
	}
	sc.out.files[src.path] = src
}

// file takes up one regular file, from the previous scan if it is unchanged.
func (sc *scanner) file(root *os.Root, dir, p string, info fs.FileInfo) {
	var prev *source
	if sc.prev != nil {
		if prev = sc.prev.files[p]; prev != nil && prev.dir != dir {
			prev = nil
		}
	}
	if prev != nil && prev.text != nil && !sc.force && sameStat(prev.info, info) && prev.read.Sub(info.ModTime()) > racy {
		sc.add(prev)
		return
	}
	if sc.changing[filepath.Join(dir, filepath.FromSlash(p))] && sc.hold(p) {
		sc.out.unstable[p] = true
		if prev != nil {
			sc.add(prev)
		}
		return
	}
	src, stable := sc.readFile(root, dir, p, prev)
	if !stable && sc.hold(p) {
		sc.out.unstable[p] = true
		src = prev
	}
	if src != nil {
		sc.add(src)
	}
}

func sameStat(a, b fs.FileInfo) bool {
	return a != nil && b != nil && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime()) && os.SameFile(a, b)
}

// readFile reads a file. It is not stable if somebody is writing it: its size
// or time changes under the reader, a writer has it open, or it has just been
// emptied, as by a program that is about to write it anew. nil is a file that
// is gone.
func (sc *scanner) readFile(root *os.Root, dir, p string, prev *source) (src *source, stable bool) {
	f, err := root.OpenFile(p, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, true
		}
		return &source{path: p, dir: dir, err: fileError(p, runtime.LoadError, "cannot be read: %v", errors.Unwrap(err))}, true
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nil, true
	}
	now := sc.now()
	src = &source{path: p, dir: dir, info: info, read: now}
	if now.Sub(info.ModTime()) < recently && beingWritten(f) {
		stable = false
	} else {
		stable = true
	}
	if info.Size() > sc.limit {
		src.err = fileError(p, runtime.LimitError, "has %d bytes, at most %d are allowed", info.Size(), sc.limit)
		src.err.Limit = runtime.LimitSource
		return src, stable
	}
	content, err := io.ReadAll(io.LimitReader(f, sc.limit+1))
	if err != nil {
		return &source{path: p, dir: dir, err: fileError(p, runtime.LoadError, "cannot be read: %v", err)}, stable
	}
	if after, err := f.Stat(); err != nil || !sameStat(info, after) || int64(len(content)) != info.Size() {
		stable = false
	}
	if prev != nil && prev.text != nil && len(prev.text.bytes) > 0 && len(content) == 0 && now.Sub(info.ModTime()) < emptied {
		stable = false
	}
	src.text = &text{content}
	if prev != nil && prev.text != nil && bytes.Equal(prev.text.bytes, content) {
		src.text = prev.text
	}
	return src, stable
}

// recently is how new a file must be for its writers to matter: some programs
// never close what they wrote.
const recently = 10 * time.Second

// emptied is how long a file that has become empty is waited for.
const emptied = 100 * time.Millisecond

// IsScript reports whether a file of a rules directory is a rule file: not a
// test, and no part of its path hidden. The others can be loaded by scripts.
func IsScript(p string) bool {
	if isTest(p) {
		return false
	}
	for part := range strings.SplitSeq(p, "/") {
		if strings.HasPrefix(part, ".") || strings.HasPrefix(part, "_") {
			return false
		}
	}
	return true
}

// isTemp reports whether a file is one that editors and tools keep beside the
// one they write.
func isTemp(name string) bool {
	switch path.Ext(name) {
	case ".swp", ".swo", ".swx", ".tmp", ".bak", ".orig", ".part":
		return true
	}
	return strings.HasSuffix(name, "~") || strings.HasPrefix(name, ".#") || strings.HasPrefix(name, ".goutputstream") ||
		strings.HasPrefix(name, "#") && strings.HasSuffix(name, "#") || name == "4913"
}
