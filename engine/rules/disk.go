package rules

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// Disk lets loaders that begin at the same time over the same directories share
// one reading of them: a thousand test files want a loader each. A loader's
// first load takes what the first of them found; later ones read for themselves.
// The zero value is ready; it is safe for concurrent use.
type Disk struct {
	mu   sync.Mutex
	read map[string]*reading // by the limit of sources and the directories
}

type reading struct {
	once sync.Once
	tree *tree
}

// scan is sc.scan, done once for its directories. The tree is the caller's own.
func (d *Disk) scan(sc *scanner) *tree {
	key := fmt.Sprint(sc.limit, "\x00", strings.Join(sc.roots, "\x00"))
	d.mu.Lock()
	if d.read == nil {
		d.read = map[string]*reading{}
	}
	r := d.read[key]
	if r == nil {
		r = &reading{}
		d.read[key] = r
	}
	d.mu.Unlock()
	r.once.Do(func() { r.tree = sc.scan() })
	own := *r.tree
	own.files, own.scripts = maps.Clone(own.files), slices.Clone(own.scripts)
	return &own
}
