package lua

import (
	"container/list"
	goruntime "runtime"
	"sync"
	"weak"
)

// maxIdle bounds the states that wait for a pass, of all modules of a language
// together: each takes some 40 KB, and a new one some 0.1 ms and what the top
// level of the file takes.
const maxIdle = 256

// shelf counts the idle states of all modules, which hold them: a module that
// is forgotten takes its states with it. The state that was put away longest
// ago makes room for another. Safe for concurrent use.
type shelf struct {
	mu    sync.Mutex // of the modules' idle states, as well
	order list.List  // of weak.Pointer[module], the latest at the front
}

// idle is a state that waits, and its place in the order.
type idle struct {
	st *state
	at *list.Element
}

// put keeps a state for later.
func (s *shelf) put(m *module, st *state) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(m.idle) >= goruntime.GOMAXPROCS(0) {
		return
	}
	m.idle = append(m.idle, idle{st, s.order.PushFront(weak.Make(m))})
	if s.order.Len() > maxIdle {
		oldest := s.order.Remove(s.order.Back()).(weak.Pointer[module])
		if m := oldest.Value(); m != nil {
			m.idle = append(m.idle[:0:0], m.idle[1:]...)
		}
	}
}

// take returns the state of a module that was put away last, or nil.
func (s *shelf) take(m *module) *state {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(m.idle) - 1
	if n < 0 {
		return nil
	}
	last := m.idle[n]
	m.idle[n], m.idle = idle{}, m.idle[:n]
	s.order.Remove(last.at)
	return last.st
}
