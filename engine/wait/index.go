package wait

import (
	"hash/fnv"
	"slices"
	"sync"

	"github.com/starling-rules/starling/engine/queue"
)

// Index finds the runs that wait for what an event bears, in memory. Its cost
// per event is that of a look-up for each key of the event, however many wait.
// It may be behind, and two keys may share a number: what it finds is asked
// about again. Safe for concurrent use; the zero value is empty.
type Index struct {
	mu    sync.RWMutex
	runs  map[string]*entry
	byKey map[uint64][]*entry
	bytes int64 // of the rows that wait
	rules map[string]*ruleCount
}

// ruleCount is how many runs of a rule wait. Entries share its name.
type ruleCount struct {
	name string
	n    int
}

// entry is one waiting run: about 250 bytes with its places in the maps.
type entry struct {
	run  string
	rule *ruleCount
	rev  uint64
	size int32
	keys []uint64
}

func hashKey(key string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(key))
	return h.Sum64()
}

// set notes what was seen of a row, unless something newer was.
func (x *Index) set(s Summary) {
	x.mu.Lock()
	defer x.mu.Unlock()
	old := x.runs[s.Run]
	if old != nil {
		if old.rev >= s.Rev {
			return
		}
		x.remove(old)
	}
	if s.State != Waiting {
		return
	}
	if x.runs == nil {
		x.runs, x.byKey, x.rules = map[string]*entry{}, map[uint64][]*entry{}, map[string]*ruleCount{}
	}
	rule := x.rules[s.Rule]
	if rule == nil {
		rule = &ruleCount{name: s.Rule}
		x.rules[s.Rule] = rule
	}
	rule.n++
	e := &entry{run: s.Run, rule: rule, rev: s.Rev, keys: s.keys, size: int32(s.Bytes + queue.RowOverhead)}
	x.bytes += int64(e.size)
	x.runs[s.Run] = e
	for _, k := range e.keys {
		x.byKey[k] = append(x.byKey[k], e)
	}
}

// drop forgets a run that was found to wait no more at that revision.
func (x *Index) drop(run string, rev uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if e := x.runs[run]; e != nil && e.rev <= rev {
		x.remove(e)
	}
}

func (x *Index) remove(e *entry) {
	delete(x.runs, e.run)
	x.bytes -= int64(e.size)
	if e.rule.n--; e.rule.n == 0 {
		delete(x.rules, e.rule.name)
	}
	for _, k := range e.keys {
		rest := slices.DeleteFunc(x.byKey[k], func(o *entry) bool { return o == e })
		if len(rest) == 0 {
			delete(x.byKey, k)
		} else {
			x.byKey[k] = rest
		}
	}
}

// find returns the runs that share a key with what an event bears, each once.
func (x *Index) find(keys []string) []string {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if len(x.byKey) == 0 {
		return nil
	}
	var out []string
	for _, k := range keys {
		for _, e := range x.byKey[hashKey(k)] {
			out = append(out, e.run)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// keyed reports whether any wait has a key.
func (x *Index) keyed() bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return len(x.byKey) > 0
}

// Len is how many runs wait.
func (x *Index) Len() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return len(x.runs)
}

// Bytes is about what their rows take in the store.
func (x *Index) Bytes() int64 {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.bytes
}

// Waits reports whether a run is known to wait.
func (x *Index) Waits(run string) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.runs[run] != nil
}
