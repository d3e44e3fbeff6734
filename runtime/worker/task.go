package worker

import (
	"time"

	"github.com/starling-rules/starling/runtime"
)

// script is a version that the pool can run.
type script struct {
	bundle   *runtime.Bundle
	manifest *runtime.Manifest
	// funcs are the places of the functions that the manifest mentions, for
	// passes that end without a word of their own.
	funcs map[int]runtime.Position
	// usually is how long passes of each function take, and how much of a
	// processor's time they use. Pool.mu guards it.
	usually map[int]usual
	// loading is the processor time that the latest load took which a pass had to
	// wait for; good counts the passes since the last breach. Pool.mu guards both.
	loading time.Duration
	good    int
}

// trusted reports whether passes have gone well for long.
func (s *script) trusted() bool { return s.good >= trustedAfter }

type usual struct{ took, used time.Duration }

func newScript(b *runtime.Bundle, m *runtime.Manifest) *script {
	s := &script{bundle: b, manifest: m, funcs: map[int]runtime.Position{}, usually: map[int]usual{}}
	for _, r := range m.Registrations {
		s.collect(r.Args)
	}
	return s
}

// learn adapts what a pass of a function is expected to take: fast to a longer
// one, slowly to shorter ones. A pass of several milliseconds is enough to end
// the writing ahead for a while; one that merely lost its processor is not.
func (s *script) learn(fn int, took, used time.Duration) {
	u, known := s.usually[fn]
	if !known {
		u = usual{took, used}
	}
	s.usually[fn] = usual{adapt(u.took, took), adapt(u.used, used)}
}

func adapt(to, by time.Duration) time.Duration {
	if by > to {
		return to + (by-to)/4
	}
	return to - (to-by)/8
}

func (s *script) collect(v runtime.Value) {
	switch v := v.(type) {
	case runtime.Func:
		s.funcs[v.Index] = v.Pos
	case runtime.List:
		for _, e := range v {
			s.collect(e)
		}
	case *runtime.Dict:
		for i := range v.Len() {
			s.collect(v.Fields[i].Value)
		}
	}
}

// task is one Load or Run on its way. After it was queued, Pool.mu guards it
// until done is closed; then it belongs to its caller.
type task struct {
	load   bool
	script *script // of a load: the bundle alone
	call   *runtime.Call
	limits runtime.Limits
	frame  []byte

	done     chan struct{}
	settled  bool
	dropped  bool // the caller has gone
	slow     bool // it is for workers of low priority
	deaths   int  // workers that died under it, by themselves
	kills    int  // workers that somebody else killed under it
	excused  int  // deadlines that it missed because the machine stood still
	loadErrs runtime.Errors

	manifest *runtime.Manifest
	reply    *runtime.Reply
	err      error

	worker     *worker   // who has or had it
	queued     time.Time // when it was put in line
	list       *taskList // where it waits, if it does
	prev, next *task
}

// owner is whose task it is: workers that are not shared go by it.
func (t *task) owner() string { return t.script.bundle.Main }

// lane is the lane of a run; a load has none.
func (t *task) lane() string {
	if t.load {
		return ""
	}
	return t.call.Lane
}

// usual is how long a run is expected to take. What has not run yet may take for ever.
func (t *task) usual() time.Duration {
	if u, ok := t.script.usually[t.call.Func]; ok {
		return u.took
	}
	return time.Hour
}

// quick reports whether a run is known to use little of a processor's time.
func (t *task) quick() bool {
	u, ok := t.script.usually[t.call.Func]
	return ok && u.used <= quickPass
}

// settle gives the task to its caller. Pool.mu is held.
func (t *task) settle() {
	if !t.settled {
		t.settled = true
		close(t.done)
	}
}

// fail ends the task with an error that is no fault of the script.
func (t *task) fail(err error) {
	if !t.settled {
		t.err = err
		t.settle()
	}
}

// blame ends the task as the script's own fault.
func (t *task) blame(e *runtime.Error, took time.Duration) {
	switch {
	case t.settled:
		return
	case t.load:
		t.err = runtime.Errors{e}
	default:
		t.reply = &runtime.Reply{Status: runtime.Failed, Err: e, Took: took}
	}
	t.settle()
}

// place is where a script is said to have gone wrong if only the worker's end
// tells: the function that ran, or the script.
func (t *task) place() runtime.Position {
	if t.call != nil {
		if pos, ok := t.script.funcs[t.call.Func]; ok {
			return pos
		}
	}
	return runtime.Position{Path: t.script.bundle.Main}
}

// scriptError makes an error at the task's place, with its source line.
func (t *task) scriptError(kind runtime.ErrorKind, limit, msg, hint string) *runtime.Error {
	e := &runtime.Error{Kind: kind, Limit: limit, Msg: msg, Hint: hint, Pos: t.place()}
	e.SetLine(t.script.bundle.Files[e.Pos.Path])
	return e
}

// crash is scriptError for a pass that its worker did not survive.
func (t *task) crash(msg string) *runtime.Error {
	e := t.scriptError(runtime.InternalError, "", msg, "")
	e.Crashed = true
	return e
}

// taskList is a first-in-first-out list from which any task can be taken.
type taskList struct {
	head, tail *task
	len        int
	// lanes counts those of each lane, if it is not nil.
	lanes map[string]int
}

// has reports whether one of a lane is in the list.
func (l *taskList) has(lane string) bool { return lane != "" && l.lanes[lane] > 0 }

func (l *taskList) count(t *task, by int) {
	if l.lanes == nil || t.lane() == "" {
		return
	}
	if n := l.lanes[t.lane()] + by; n > 0 {
		l.lanes[t.lane()] = n
	} else {
		delete(l.lanes, t.lane())
	}
}

func (l *taskList) pushBack(t *task) {
	t.list, t.prev, t.next = l, l.tail, nil
	if l.tail == nil {
		l.head = t
	} else {
		l.tail.next = t
	}
	l.tail = t
	l.len++
	l.count(t, 1)
}

func (l *taskList) pushFront(t *task) {
	t.list, t.prev, t.next = l, nil, l.head
	if l.head == nil {
		l.tail = t
	} else {
		l.head.prev = t
	}
	l.head = t
	l.len++
	l.count(t, 1)
}

func (l *taskList) remove(t *task) {
	if t.prev == nil {
		l.head = t.next
	} else {
		t.prev.next = t.next
	}
	if t.next == nil {
		l.tail = t.prev
	} else {
		t.next.prev = t.prev
	}
	t.list, t.prev, t.next = nil, nil, nil
	l.len--
	l.count(t, -1)
}

func (l *taskList) pop() *task {
	t := l.head
	if t != nil {
		l.remove(t)
	}
	return t
}

// modules is what a worker has compiled, least recently used first out. The
// server keeps the books: it sent the bundles, and believes no worker.
type modules struct {
	byDigest map[runtime.Digest]*module
	oldest   *module // a ring: oldest.prev is the newest
	bytes    int
	max      int
}

type module struct {
	digest     runtime.Digest
	size       int
	prev, next *module
}

// maxModuleBytes bounds the sources behind one worker's modules.
const maxModuleBytes = 16 << 20

func (m *modules) has(d runtime.Digest) bool { return m.byDigest[d] != nil }

// touch makes d the newest.
func (m *modules) touch(d runtime.Digest) {
	if x := m.byDigest[d]; x != nil {
		m.unlink(x)
		m.link(x)
	}
}

// add notes d and returns what has to go for it.
func (m *modules) add(b *runtime.Bundle) (evicted []runtime.Digest) {
	if m.has(b.Digest) {
		m.touch(b.Digest)
		return nil
	}
	x := &module{digest: b.Digest}
	for path, text := range b.Files {
		x.size += len(path) + len(text)
	}
	if m.byDigest == nil {
		m.byDigest = map[runtime.Digest]*module{}
	}
	m.byDigest[b.Digest] = x
	m.bytes += x.size
	m.link(x)
	for m.oldest != x && (len(m.byDigest) > m.max || m.bytes > maxModuleBytes) {
		evicted = append(evicted, m.oldest.digest)
		m.drop(m.oldest.digest)
	}
	return evicted
}

// drop forgets d, and reports whether it was there.
func (m *modules) drop(d runtime.Digest) bool {
	x := m.byDigest[d]
	if x == nil {
		return false
	}
	delete(m.byDigest, d)
	m.bytes -= x.size
	m.unlink(x)
	return true
}

func (m *modules) link(x *module) {
	if m.oldest == nil {
		m.oldest, x.prev, x.next = x, x, x
		return
	}
	x.prev, x.next = m.oldest.prev, m.oldest
	x.prev.next, m.oldest.prev = x, x
}

func (m *modules) unlink(x *module) {
	if x.next == x {
		m.oldest = nil
		return
	}
	if m.oldest == x {
		m.oldest = x.next
	}
	x.prev.next, x.next.prev = x.next, x.prev
}
