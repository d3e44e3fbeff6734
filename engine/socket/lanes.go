package socket

import "sync"

// lanes runs functions in the order of the calls, lane by lane. Safe for
// concurrent use.
type lanes struct {
	mu     sync.Mutex
	byName map[string][]func() // what waits behind what runs
}

// do runs f in a goroutine, behind those that came before it in its lane; a
// lane without a name is no lane.
func (l *lanes) do(lane string, f func()) {
	if lane == "" {
		go f()
		return
	}
	l.mu.Lock()
	if l.byName == nil {
		l.byName = map[string][]func(){}
	}
	waiting, running := l.byName[lane]
	if running {
		l.byName[lane] = append(waiting, f)
		l.mu.Unlock()
		return
	}
	l.byName[lane] = nil
	l.mu.Unlock()
	go l.run(lane, f)
}

func (l *lanes) run(lane string, f func()) {
	for f != nil {
		f()
		l.mu.Lock()
		if waiting := l.byName[lane]; len(waiting) > 0 {
			f, l.byName[lane] = waiting[0], waiting[1:]
		} else {
			f = nil
			delete(l.byName, lane)
		}
		l.mu.Unlock()
	}
}
