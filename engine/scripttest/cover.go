package scripttest

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/starling-rules/starling/runtime"
)

// Covered is one file of rules with how often each line was run.
type Covered struct {
	Path  string // on disk
	Text  []byte
	Lines []Line
	// Ran of All lines that hold a statement were run.
	Ran, All int
}

// Line is a line that holds a statement.
type Line struct {
	Number int
	Count  int64
}

// Percent is the share of lines that were run; 100 of a file without any.
func (c *Covered) Percent() float64 { return percent(c.Ran, c.All) }

func percent(ran, all int) float64 {
	if all == 0 {
		return 100
	}
	return 100 * float64(ran) / float64(all)
}

// Percent is the share of all lines that were run.
func (r *Result) Percent() float64 {
	ran, all := 0, 0
	for _, c := range r.Cover {
		ran, all = ran+c.Ran, all+c.All
	}
	return percent(ran, all)
}

// covered gathers what was counted. Library scripts are not the author's.
func (r *runner) covered() []*Covered {
	var out []*Covered
	for _, h := range r.hosts {
		if h.cover == nil {
			continue
		}
		for _, p := range h.cover.Files() {
			if strings.HasPrefix(p, "@") {
				continue
			}
			if c := h.coveredFile(p); c != nil {
				out = append(out, c)
			}
		}
	}
	slices.SortFunc(out, func(a, b *Covered) int { return cmp.Compare(a.Path, b.Path) })
	return out
}

// coveredFile is nil for a file that only a test has made, with t.edit.
func (h *host) coveredFile(p string) *Covered {
	c := &Covered{Path: filepath.Join(h.root, filepath.FromSlash(p))}
	var err error
	if c.Text, err = os.ReadFile(c.Path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return c.count(h.cover.File(p))
}

func (c *Covered) count(f *runtime.FileCoverage) *Covered {
	for _, n := range f.Lines() {
		l := Line{n, f.Count(n)}
		c.Lines = append(c.Lines, l)
		c.All++
		if l.Count > 0 {
			c.Ran++
		}
	}
	return c
}

// WriteMargin writes the files with the counts in the margin: how often a line
// was run, ##### if never, nothing where there is no statement.
func (r *Result) WriteMargin(w io.Writer) error {
	for _, c := range r.Cover {
		if _, err := fmt.Fprintf(w, "%s: %.1f%% of %d lines\n", c.Path, c.Percent(), c.All); err != nil {
			return err
		}
		if c.Ran == c.All {
			continue
		}
		counts := map[int]int64{}
		for _, l := range c.Lines {
			counts[l.Number] = l.Count
		}
		for i, text := range strings.Split(strings.TrimSuffix(string(c.Text), "\n"), "\n") {
			margin := ""
			if n, ok := counts[i+1]; ok {
				margin = "#####"
				if n > 0 {
					margin = fmt.Sprint(n)
				}
			}
			line := strings.TrimRight(fmt.Sprintf("%7s %4d  %s", margin, i+1, text), " ")
			if _, err := fmt.Fprintln(w, line); err != nil {
				return err
			}
		}
	}
	return nil
}

// WriteLCOV writes the counts as lcov's tracefile.
func (r *Result) WriteLCOV(w io.Writer) error {
	for _, c := range r.Cover {
		var b strings.Builder
		fmt.Fprintf(&b, "TN:\nSF:%s\n", filepath.ToSlash(c.Path))
		for _, l := range c.Lines {
			fmt.Fprintf(&b, "DA:%d,%d\n", l.Number, l.Count)
		}
		fmt.Fprintf(&b, "LF:%d\nLH:%d\nend_of_record\n", c.All, c.Ran)
		if _, err := io.WriteString(w, b.String()); err != nil {
			return err
		}
	}
	return nil
}
