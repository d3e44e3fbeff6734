package runtime

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
)

// Coverage counts how often each line of the scripts is run. A Language whose
// Host has one instruments what it compiles. Safe for concurrent use.
type Coverage struct {
	mu    sync.Mutex
	files map[string]*FileCoverage
}

// FileCoverage counts the lines of one file that hold a statement.
type FileCoverage struct {
	lines []int // sorted
	index map[int]int
	count []atomic.Uint64
}

// Declare names the lines of a file that hold statements, and returns where
// runs are counted. A file that is declared again with the same lines, as
// happens when several scripts load it, goes on with its counts. Another version
// of a file, with other lines, is counted for itself: what is told of a file is
// what its first version counted.
func (c *Coverage) Declare(path string, lines []int) *FileCoverage {
	lines = slices.Compact(slices.Sorted(slices.Values(lines)))
	c.mu.Lock()
	defer c.mu.Unlock()
	first := c.files[path]
	if first != nil && slices.Equal(first.lines, lines) {
		return first
	}
	f := &FileCoverage{lines: lines, index: make(map[int]int, len(lines)), count: make([]atomic.Uint64, len(lines))}
	for i, n := range lines {
		f.index[n] = i
	}
	if first != nil {
		return f
	}
	if c.files == nil {
		c.files = map[string]*FileCoverage{}
	}
	c.files[path] = f
	return f
}

// Files returns the paths that were declared, sorted.
func (c *Coverage) Files() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Sorted(maps.Keys(c.files))
}

// File returns the counts of one file, or nil.
func (c *Coverage) File(path string) *FileCoverage {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.files[path]
}

// Slot returns what to pass to Hit for a line that was declared.
func (f *FileCoverage) Slot(line int) int { return f.index[line] }

// Hit counts one run of the line behind a slot.
func (f *FileCoverage) Hit(slot int) { f.count[slot].Add(1) }

// Lines returns the lines that hold statements, sorted. The caller must not change it.
func (f *FileCoverage) Lines() []int { return f.lines }

// Count returns how often a line was run; -1 if it holds no statement.
func (f *FileCoverage) Count(line int) int64 {
	i, ok := f.index[line]
	if !ok {
		return -1
	}
	return int64(f.count[i].Load())
}
