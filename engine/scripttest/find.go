package scripttest

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// discover lists the test files below the paths, sorted, each once.
func (r *runner) discover() ([]string, error) {
	paths := r.o.Paths
	if len(paths) == 0 {
		paths = []string{"."}
	}
	var out []string
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			return nil, fmt.Errorf("find tests: %w", err)
		}
		r.watch[p] = true
		if !info.IsDir() {
			file, err := r.testOf(p)
			if err != nil {
				return nil, err
			}
			out = append(out, file)
			continue
		}
		err = filepath.WalkDir(p, func(name string, d fs.DirEntry, err error) error {
			base := d.Name()
			switch {
			case err != nil:
				return err
			case d.IsDir() && name != p && (strings.HasPrefix(base, ".") || base == "node_modules" || base == "testdata"):
				return filepath.SkipDir
			case d.IsDir():
				r.watch[name] = true
			case r.isTest(name):
				out = append(out, name)
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("find tests: %w", err)
		}
	}
	for i, p := range out {
		out[i] = filepath.Clean(p)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// isTest reports whether a file holds tests by its name.
func (r *runner) isTest(name string) bool {
	ext := filepath.Ext(name)
	return r.exts[ext] != "" && strings.HasSuffix(strings.TrimSuffix(name, ext), "_test")
}

// testOf takes a test file, or a rule file that has one.
func (r *runner) testOf(p string) (string, error) {
	if r.isTest(p) {
		return p, nil
	}
	ext := filepath.Ext(p)
	if r.exts[ext] == "" {
		return "", fmt.Errorf("find tests: %s is no script", p)
	}
	for _, e := range append([]string{ext}, r.extensions()...) {
		if file := strings.TrimSuffix(p, ext) + "_test" + e; isFile(file) {
			return file, nil
		}
	}
	return "", fmt.Errorf("%w: there is no %s", ErrNoTests, strings.TrimSuffix(p, ext)+"_test"+ext)
}

func (r *runner) extensions() []string {
	out := make([]string, 0, len(r.exts))
	for e := range r.exts {
		out = append(out, e)
	}
	slices.Sort(out)
	return out
}

// where says, for the error, where no test was found.
func (r *runner) where(files []string) string {
	if r.o.Match != nil && len(files) > 0 {
		return fmt.Sprintf(": none in %d files is named by -r %s", len(files), r.o.Match)
	}
	if len(files) > 0 {
		return ": " + strings.Join(files, ", ") + " define no function test_…"
	}
	paths := r.o.Paths
	if len(paths) == 0 {
		paths = []string{"."}
	}
	return " in " + strings.Join(paths, ", ") + " (tests are functions test_… in files named *_test.star or *_test.lua)"
}

func isFile(p string) bool {
	info, err := os.Stat(p)
	return err == nil && info.Mode().IsRegular()
}
