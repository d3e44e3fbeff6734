package wait

import (
	"hash/fnv"
	"slices"
	"sync"

	"github.com/starling-rules/starling/engine/queue"
)

// Index finds the runs that wait for what an event bears, in memory. Its cost
// per event is that of a look-up for each key of the event, however many wait.
// It may be behind; runs whose row is only being written are in it (expect), and
// two keys may share a number: what it finds is asked about again. Safe for
// concurrent use; the zero value is empty.
type Index struct {
	mu    sync.RWMutex
	runs  map[string]*entry
	byKey map[uint64][]*entry
	bytes int64 // of the rows that wait
	rules map[string]*ruleCount
	// writing are the runs whose rows are being written.
	writing map[string]*writing
	// gone are, while rows are read, the runs that turned out to wait no more,
	// with the revision: what is read may be older.
	gone    map[string]uint64
	reading int // how many read them
}

// writing is a run whose row is being written, by how many, and the newest
// revision that was seen meanwhile: who has found the run already may be done
// with it before its writer comes to say so.
type writing struct {
	n   int
	rev uint64
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
	keys []place
}

// place is where an entry is among those of a key.
type place struct {
	key uint64
	at  int32
}

func hashKey(key string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(key))
	return h.Sum64()
}

// expect enters a run by what it is about to wait for, before its row is
// written: an event that comes between the two is not missed. It is there until
// the function that it returns is called, once, when the row is written and
// noted (set), or is not. Len and Bytes do not count it.
func (x *Index) expect(run string, keys []uint64) (over func()) {
	e := &entry{run: run}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.writing == nil {
		x.writing = map[string]*writing{}
	}
	w := x.writing[run]
	if w == nil {
		w = &writing{}
		x.writing[run] = w
	}
	w.n++
	x.link(e, keys)
	return func() {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.unlink(e)
		if w.n--; w.n == 0 {
			delete(x.writing, run)
		}
	}
}

// expects reports whether the row of a run is being written.
func (x *Index) expects(run string) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.writing[run] != nil
}

// seen notes a revision of a run whose row is being written, and reports
// whether a newer one is known of it.
func (x *Index) seen(run string, rev uint64) (old bool) {
	w := x.writing[run]
	if w == nil {
		return false
	}
	old = w.rev > rev
	w.rev = max(w.rev, rev)
	return old
}

// set notes what was seen of a row, unless something newer was.
func (x *Index) set(s Summary) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.seen(s.Run, s.Rev) || x.gone[s.Run] >= s.Rev {
		return
	}
	old := x.runs[s.Run]
	if old != nil {
		if old.rev >= s.Rev {
			return
		}
		x.remove(old)
	}
	if s.State != Waiting {
		x.went(s.Run, s.Rev)
		return
	}
	if x.runs == nil {
		x.runs, x.rules = map[string]*entry{}, map[string]*ruleCount{}
	}
	rule := x.rules[s.Rule]
	if rule == nil {
		rule = &ruleCount{name: s.Rule}
		x.rules[s.Rule] = rule
	}
	rule.n++
	e := &entry{run: s.Run, rule: rule, rev: s.Rev, size: int32(s.Bytes + queue.RowOverhead)}
	x.bytes += int64(e.size)
	x.runs[s.Run] = e
	x.link(e, s.keys)
}

// drop forgets a run that was found to wait no more at that revision.
func (x *Index) drop(run string, rev uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.seen(run, rev)
	x.went(run, rev)
	if e := x.runs[run]; e != nil && e.rev <= rev {
		x.remove(e)
	}
}

// keepGone says that one more, or one less, reads the rows.
func (x *Index) keepGone(by int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch x.reading += by; {
	case x.reading == 0:
		x.gone = nil
	case x.gone == nil:
		x.gone = map[string]uint64{}
	}
}

// went notes that a run waits no more. Called with mu held.
func (x *Index) went(run string, rev uint64) {
	if x.gone != nil {
		x.gone[run] = max(x.gone[run], rev)
	}
}

// rev is the newest revision that is known of a run that waits; 0: none.
func (x *Index) rev(run string) uint64 {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if e := x.runs[run]; e != nil {
		return e.rev
	}
	return 0
}

func (x *Index) remove(e *entry) {
	delete(x.runs, e.run)
	x.bytes -= int64(e.size)
	if e.rule.n--; e.rule.n == 0 {
		delete(x.rules, e.rule.name)
	}
	x.unlink(e)
}

// link puts an entry at the end of those of each key.
func (x *Index) link(e *entry, keys []uint64) {
	if x.byKey == nil {
		x.byKey = map[uint64][]*entry{}
	}
	e.keys = make([]place, 0, len(keys))
	for _, k := range keys {
		if e.place(k) != nil {
			continue
		}
		list := x.byKey[k]
		e.keys = append(e.keys, place{k, int32(len(list))})
		x.byKey[k] = append(list, e)
	}
}

func (e *entry) place(key uint64) *place {
	for i := range e.keys {
		if e.keys[i].key == key {
			return &e.keys[i]
		}
	}
	return nil
}

// unlink takes an entry out from those of its keys; the last of them takes its
// place: it costs the same however many runs share a key.
func (x *Index) unlink(e *entry) {
	for _, p := range e.keys {
		list := x.byKey[p.key]
		end := len(list) - 1
		last := list[end]
		list[p.at], last.place(p.key).at, list[end] = last, p.at, nil
		switch list = list[:end]; {
		case end == 0:
			delete(x.byKey, p.key)
		case cap(list) > 64 && end < cap(list)/4: // what many took is given back
			x.byKey[p.key] = slices.Clone(list)
		default:
			x.byKey[p.key] = list
		}
	}
	e.keys = nil
}

// crowd is how many runs the most crowded of the keys has.
func (x *Index) crowd(keys []uint64) int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	most := 0
	for _, k := range keys {
		most = max(most, len(x.byKey[k]))
	}
	return most
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
