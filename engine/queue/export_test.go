package queue

import "context"

// Reopen is a store on the memory of m, as after a crash of its process.
func Reopen(m *Memory) (*Memory, error) { return m.reopen() }

func (m *Memory) reopen() (*Memory, error) {
	var lanes, journals []log
	for k := range m.lanes {
		lanes, journals = append(lanes, m.lanes[k].log), append(journals, m.shards[k].log)
	}
	c := newCore(m.settings, lanes, journals, m.table)
	return &Memory{core: c}, c.rebuild(context.Background())
}

// StopLeases lets the process of s stall: it neither renews its leases nor
// learns of it.
func StopLeases(s *JetStream) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stalled = true
	return nil
}

// SyncAlways is what the running embedded server believes.
func SyncAlways(s *JetStream) bool { return s.link.srv.JetStreamConfig().SyncAlways }
