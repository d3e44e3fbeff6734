package runtime_test

import (
	"slices"
	"sync"
	"testing"

	"github.com/starling-rules/starling/runtime"
)

func TestCoverageCountsDeclaredLinesOnly(t *testing.T) {
	t.Parallel()
	var c runtime.Coverage
	f := c.Declare("a.star", []int{7, 3, 3})
	if got := f.Lines(); !slices.Equal(got, []int{3, 7}) {
		t.Fatalf("Lines() = %v, want 3 and 7", got)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				f.Hit(f.Slot(7))
			}
		})
	}
	wg.Wait()
	for line, want := range map[int]int64{3: 0, 7: 8000, 4: -1} {
		if got := c.File("a.star").Count(line); got != want {
			t.Errorf("Count(%d) = %d, want %d", line, got, want)
		}
	}
	if again := c.Declare("a.star", []int{3, 7}); again != f {
		t.Error("the same file declared again lost its counts")
	}
	if edited := c.Declare("a.star", []int{3, 7, 9}); edited == f || edited.Slot(9) != 2 {
		t.Error("another version of the file is counted with the first")
	}
	if got := c.Files(); !slices.Equal(got, []string{"a.star"}) {
		t.Errorf("Files() = %v", got)
	}
}
