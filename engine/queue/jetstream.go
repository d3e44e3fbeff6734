package queue

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// JetStream is the Store on NATS JetStream: on a server inside the process that
// no socket leads to, or on an external one or a cluster. Safe for concurrent use.
type JetStream struct {
	*core
	o    Options
	link *link
	lock *os.File
	self string // name of this process: where answers for it go

	wake    chan struct{} // a write failed: look at the store now
	stop    context.CancelFunc
	workers sync.WaitGroup
	bytes   int64 // stored, as last seen; guarded by core.mu
	stalled bool  // tests: leases are not tended; guarded by core.mu
	closing sync.Once
	closed  error
}

var _ Store = (*JetStream)(nil)

// Open opens the store. The data directory belongs to one process: ErrLocked
// within a second if another has it. ErrDamaged if streams that it should hold
// are gone.
func Open(ctx context.Context, o Options) (*JetStream, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	s := &JetStream{o: o, wake: make(chan struct{}, 1)}
	var err error
	if o.Dir != "" {
		err = s.openDir(ctx)
	} else {
		err = s.openServers(ctx)
	}
	if err != nil {
		s.release()
		return nil, err
	}
	run, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.workers.Go(func() { s.tend(run) })
	return s, nil
}

// openDir opens the embedded store.
func (s *JetStream) openDir(ctx context.Context) error {
	o := &s.o
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return fmt.Errorf("open data directory: %w", err)
	}
	var err error
	if s.lock, err = lockDir(o.Dir); err != nil {
		return err
	}
	m, err := readMarker(o.Dir)
	if errors.Is(err, ErrDamaged) && o.ForceNew {
		o.Logger.Warn("damaged data directory is opened as asked", "error", err)
		m, err = nil, nil
	}
	if err != nil {
		return err
	}
	if m != nil {
		o.Shards = m.Shards
	} else {
		m = &marker{Format: formatVersion, Shards: o.Shards}
		if err := m.write(o.Dir); err != nil {
			return err
		}
	}
	s.link = embedded(filepath.Clean(o.Dir), !o.NoSync, s.reserve(), o.Logger)
	if err := s.link.start(); err != nil {
		return err
	}
	have, err := s.streams(ctx)
	if err != nil {
		return err
	}
	if err := m.missing(o.Dir, have); err != nil {
		if !o.ForceNew {
			return err
		}
		o.Logger.Warn("damaged data directory is opened as asked", "error", err)
	}
	// A stream that is made anew must not use a sequence twice: the journal
	// names events by it.
	first := uint64(1)
	if m.Ready || o.ForceNew {
		first = uint64(o.Now().UnixMilli())
	}
	names, err := s.createStreams(ctx, have, first)
	if err != nil {
		return err
	}
	if len(names) != len(m.Streams) || !m.Ready {
		m.Ready, m.Streams = true, names
		if err := m.write(o.Dir); err != nil {
			return err
		}
	}
	s.attach(maxPayload)
	if err := s.core.rebuild(ctx); err != nil {
		return err
	}
	if _, err := s.DeadLetters(ctx, 1); err != nil {
		return err
	}
	s.look(ctx)
	return s.subscribe()
}

// attach makes the core over the streams and subscribes to answers.
func (s *JetStream) attach(payload int64) {
	o := &s.o
	leader := o.Replicas > 1
	var lanes, journals []log
	for k := range o.Shards {
		lanes = append(lanes, &streamLog{s.link, s.name("EV", k), s.subject("ev", k), leader})
		journals = append(journals, &streamLog{s.link, s.name("EX", k), s.subject("ex", k), leader})
	}
	t := func(name, subject string) table {
		return &streamTable{s.link, o.Prefix + "-" + name, o.Prefix + "." + subject + ".", leader}
	}
	room := int(min(payload, maxPayload)) - 4096
	s.core = newCore(o.settings(room), lanes, journals, tables{
		state: t("KV", "kv"), source: t("SRC", "src"), dead: t("DLQ", "dlq"), timer: t("TIMER", "timer"), wait: t("WAIT", "wait"),
	})
	s.core.stats.MaxBytes = o.MaxBytes
	s.core.trouble = func(error) {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
	s.self = nats.NewInbox()[len("_INBOX."):]
}

func (s *JetStream) name(kind string, k int) string {
	return fmt.Sprintf("%s-%s-%d", s.o.Prefix, kind, k)
}

func (s *JetStream) subject(kind string, k int) string {
	return fmt.Sprintf("%s.%s.%d", s.o.Prefix, kind, k)
}

// reserve is what the streams' bounds add up to, with some room: unset, the
// server would take a share of what the disk has free at its start.
func (s *JetStream) reserve() int64 { return s.o.MaxBytes + s.o.MaxBytes/4 + 16<<20 }

// configs are the streams of a store.
func (s *JetStream) configs() []jetstream.StreamConfig {
	o := &s.o
	n := int64(o.Shards)
	base := func(name, subject string, max int64) jetstream.StreamConfig {
		return jetstream.StreamConfig{
			Name: name, Subjects: []string{subject}, MaxBytes: max, Replicas: o.Replicas,
			Storage: jetstream.FileStorage, Discard: jetstream.DiscardNew, AllowDirect: true,
		}
	}
	var cs []jetstream.StreamConfig
	for k := range o.Shards {
		cs = append(cs, base(s.name("EV", k), s.subject("ev", k), o.MaxBytes/2/n),
			base(s.name("EX", k), s.subject("ex", k), o.MaxBytes/4/n))
	}
	kv := base(o.Prefix+"-KV", o.Prefix+".kv.>", o.MaxBytes/8)
	kv.MaxMsgsPerSubject, kv.AllowMsgTTL = 1, true
	// Sources are small, and those that are needed are kept (KeepSource): the
	// oldest may go.
	src := base(o.Prefix+"-SRC", o.Prefix+".src.>", o.MaxBytes/16)
	src.MaxMsgsPerSubject, src.Discard = 1, jetstream.DiscardOld
	dlq := base(o.Prefix+"-DLQ", o.Prefix+".dlq.>", o.MaxBytes/16)
	dlq.MaxMsgsPerSubject, dlq.Discard, dlq.MaxAge = 1, jetstream.DiscardOld, o.Retain
	timer := base(o.Prefix+"-TIMER", o.Prefix+".timer.>", max(o.MaxBytes/16, 1<<20))
	timer.MaxMsgsPerSubject = 1
	// Runs that wait, and those that waited and have ended, until their time is over.
	wait := base(o.Prefix+"-WAIT", o.Prefix+".wait.>", o.parkedBytes())
	wait.MaxMsgsPerSubject, wait.AllowMsgTTL = 1, true
	cs = append(cs, kv, src, dlq, timer, wait)
	if o.URL != "" {
		lease := base(o.Prefix+"-LEASE", o.Prefix+".lease.>", 1<<20)
		lease.MaxMsgsPerSubject, lease.AllowMsgTTL = 1, true
		cs = append(cs, lease)
	}
	return cs
}

func (s *JetStream) streams(ctx context.Context) ([]string, error) {
	var names []string
	l := s.link.jet().StreamNames(ctx)
	for name := range l.Name() {
		names = append(names, name)
	}
	if err := l.Err(); err != nil {
		return nil, fmt.Errorf("list streams: %w", err)
	}
	return names, nil
}

// createStreams makes or adapts the streams and returns their names.
func (s *JetStream) createStreams(ctx context.Context, have []string, first uint64) ([]string, error) {
	exists := make(map[string]bool, len(have))
	for _, name := range have {
		exists[name] = true
	}
	var names []string
	for _, cfg := range s.configs() {
		names = append(names, cfg.Name)
		var err error
		if exists[cfg.Name] {
			err = s.adaptStream(ctx, cfg)
		} else {
			cfg.FirstSeq = first
			_, err = s.link.jet().CreateStream(ctx, cfg)
		}
		if err != nil {
			return nil, fmt.Errorf("make stream %s: %w", cfg.Name, err)
		}
	}
	return names, nil
}

// adaptStream changes the bound of a stream if the options did.
func (s *JetStream) adaptStream(ctx context.Context, cfg jetstream.StreamConfig) error {
	st, err := s.link.jet().Stream(ctx, cfg.Name)
	if err != nil {
		return err
	}
	now := st.CachedInfo().Config
	if now.MaxBytes == cfg.MaxBytes && now.Replicas == cfg.Replicas && now.MaxAge == cfg.MaxAge {
		return nil
	}
	now.MaxBytes, now.Replicas, now.MaxAge = cfg.MaxBytes, cfg.Replicas, cfg.MaxAge
	_, err = s.link.jet().UpdateStream(ctx, now)
	return err
}

// Stats implements Store.
func (s *JetStream) Stats() Stats {
	st := s.core.Stats()
	s.core.mu.Lock()
	defer s.core.mu.Unlock()
	st.Bytes = s.bytes
	return st
}

// Close implements Store. While the disk takes no journal it waits for as long
// as ctx lasts; what is not written then is delivered again at the next start.
func (s *JetStream) Close(ctx context.Context) error {
	s.closing.Do(func() {
		s.stop()
		s.workers.Wait()
		_, s.closed = s.core.shut(ctx)
		s.release()
	})
	return s.closed
}

// release gives up the server and the directory.
func (s *JetStream) release() {
	if s.link != nil {
		s.link.stop()
	}
	if s.lock != nil {
		_ = s.lock.Close()
	}
}

// tendTimeout bounds what tend asks of the server.
const tendTimeout = 5 * time.Second
