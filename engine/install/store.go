package install

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/starling-rules/starling/engine/keyring"
	"github.com/starling-rules/starling/engine/queue"
)

// Errors that callers branch on. Wrapped with detail.
var (
	// ErrNotFound: there is no such installation.
	ErrNotFound = errors.New("not installed")
	// ErrConflict: somebody else has changed the installation meanwhile.
	ErrConflict = errors.New("the installation was changed meanwhile")
)

// Options are what a Store is made of. State and Keys are required.
type Options struct {
	State queue.State
	Keys  *keyring.Keyring
	// Shared says that other processes work on the same state: they are told
	// of changes, and Follow hears of theirs.
	Shared bool
	Now    func() time.Time // time.Now
	Logger *slog.Logger     // nil discards
}

// Store keeps installations. Safe for concurrent use.
type Store struct {
	o      Options
	origin string // names this store in the news

	// load serialises what takes records from the state into the table, so
	// that no older one takes the place of a newer.
	load sync.Mutex
	// known is the number of the last change that the table has, of other
	// processes; sure is false until it could be read.
	known uint64
	sure  bool

	mu          sync.RWMutex
	table       map[ID]*Installation
	subscribers []func(Change)
}

// Change is one change of what a Store keeps.
type Change struct {
	ID ID
	// Installation is what is there now; nil if it is gone. It is shared.
	Installation *Installation
	// Elsewhere says that another process has made the change.
	Elsewhere bool
}

// Open reads all installations. It fails with keyring.ErrKey or keyring.ErrSealed if there is
// one that the keys do not open: to go on without it would be to lose it.
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Store{o: o, origin: rand.Text()[:8], table: map[ID]*Installation{}}
	n, err := s.news(ctx)
	if err != nil {
		return nil, fmt.Errorf("read installations: %w", err)
	}
	s.known, s.sure = n.Seq, true
	sealed, err := ListSealed(ctx, o.State, o.Keys)
	if err != nil {
		return nil, err
	}
	var bad []Sealed
	for _, rec := range sealed {
		if rec.Problem != nil {
			bad = append(bad, rec)
			continue
		}
		s.table[rec.ID] = rec.Installation
	}
	if len(bad) > 0 {
		return nil, fmt.Errorf("%d of %d installations cannot be read, %s first: %w", len(bad), len(sealed), bad[0].ID, bad[0].Problem)
	}
	return s, nil
}

// Get reads one installation from the state, as it is now. The copy is the
// caller's. ErrNotFound if there is none.
func (s *Store) Get(ctx context.Context, id ID) (*Installation, error) {
	in, err := s.take(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("read installation %s: %w", id, err)
	}
	if in == nil {
		return nil, fmt.Errorf("read installation %s: %w", id, ErrNotFound)
	}
	return in.Clone(), nil
}

// List returns copies of all installations, by app and place.
func (s *Store) List() []*Installation {
	s.mu.RLock()
	out := make([]*Installation, 0, len(s.table))
	for _, in := range s.table {
		out = append(out, in.Clone())
	}
	s.mu.RUnlock()
	slices.SortFunc(out, func(a, b *Installation) int {
		return cmp.Or(strings.Compare(a.App, b.App), strings.Compare(a.ID().Place, b.ID().Place))
	})
	return out
}

// Count is how many installations there are.
func (s *Store) Count() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.table)
}

// Put stores an installation whose Revision is that of what is stored: empty
// if nothing may be. Otherwise it returns ErrConflict and changes nothing. The
// result has the new revision; in is not changed.
func (s *Store) Put(ctx context.Context, in *Installation) (*Installation, error) {
	out, err := s.put(ctx, in)
	if err != nil {
		return nil, fmt.Errorf("store installation %s: %w", in.ID(), err)
	}
	return out.Clone(), nil
}

func (s *Store) put(ctx context.Context, in *Installation) (*Installation, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	in = in.Clone()
	revision := in.Revision
	in.Revision, in.Updated = "", s.o.Now().UTC()
	if in.Installed.IsZero() {
		in.Installed = in.Updated
	}
	record, err := sealRecord(s.o.Keys, in)
	if err != nil {
		return nil, err
	}
	in.Revision = revisionOf(record)
	err = s.change(ctx, in.ID(), in, func(old []byte, ok bool) (queue.Change, error) {
		if err := same(old, ok, revision); err != nil {
			return queue.Change{}, err
		}
		return queue.Change{Value: record}, nil
	})
	return in, err
}

func same(old []byte, ok bool, revision string) error {
	switch {
	case !ok && revision != "":
		return fmt.Errorf("it is gone: %w", ErrConflict)
	case ok && revision == "":
		return fmt.Errorf("there is one already: %w", ErrConflict)
	case ok && revisionOf(old) != revision:
		return ErrConflict
	}
	return nil
}

// Install stores what has just been installed, merged into what is there.
func (s *Store) Install(ctx context.Context, in *Installation) (*Installation, error) {
	for {
		merged := in.Clone()
		merged.Revision = ""
		earlier, err := s.Get(ctx, in.ID())
		switch {
		case err == nil:
			merged.Merge(earlier)
		case !errors.Is(err, ErrNotFound):
			return nil, err
		}
		out, err := s.Put(ctx, merged)
		if !errors.Is(err, ErrConflict) || ctx.Err() != nil {
			return out, err
		}
	}
}

// Update changes an installation: change sees the present one, as a copy, and
// returns what is to be stored; nil leaves all as it is. It may be called
// several times. ErrNotFound if there is none.
func (s *Store) Update(ctx context.Context, id ID, change func(*Installation) (*Installation, error)) (*Installation, error) {
	for {
		in, err := s.Get(ctx, id)
		if err != nil {
			return nil, err
		}
		revision := in.Revision
		next, err := change(in.Clone())
		if err != nil || next == nil {
			return in, err
		}
		next.Revision = revision
		out, err := s.Put(ctx, next)
		if !errors.Is(err, ErrConflict) || ctx.Err() != nil {
			return out, err
		}
	}
}

// Delete removes an installation, of whatever revision if that is empty.
// ErrNotFound if there is none.
func (s *Store) Delete(ctx context.Context, id ID, revision string) error {
	found := false
	err := s.change(ctx, id, nil, func(old []byte, ok bool) (queue.Change, error) {
		if found = ok; !ok {
			return queue.Change{Keep: true}, nil
		}
		if revision != "" && revisionOf(old) != revision {
			return queue.Change{}, ErrConflict
		}
		return queue.Change{Delete: true}, nil
	})
	if err == nil && !found {
		err = ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("delete installation %s: %w", id, err)
	}
	return nil
}

// change writes a record, takes it into the table, and tells everybody.
func (s *Store) change(ctx context.Context, id ID, now *Installation, change func([]byte, bool) (queue.Change, error)) error {
	s.load.Lock()
	_, err := s.o.State.Update(ctx, id.key(), "install."+rand.Text(), false, change)
	if err != nil {
		s.load.Unlock()
		return err
	}
	s.enter(id, now)
	s.load.Unlock()
	if s.o.Shared {
		// The change is made: that the others hear of it late must not make it
		// look as if it were not.
		if err := s.publish(ctx, id); err != nil {
			s.o.Logger.Warn("other processes are not told of a change of an installation", "installation", id.String(), "err", err)
		}
	}
	s.tell(Change{ID: id, Installation: now})
	return nil
}

// take reads a record from the state into the table; nil if there is none. The
// result is shared.
func (s *Store) take(ctx context.Context, id ID) (*Installation, error) {
	s.load.Lock()
	record, err := s.o.State.Get(ctx, id.key())
	var in *Installation
	switch {
	case errors.Is(err, queue.ErrNotFound):
		err = nil
	case err == nil:
		in, _, err = openRecord(s.o.Keys, id, record)
	}
	changed := false
	if err == nil {
		changed = s.enter(id, in)
	}
	s.load.Unlock()
	if err != nil {
		return nil, err
	}
	if changed {
		s.tell(Change{ID: id, Installation: in, Elsewhere: true})
	}
	return in, nil
}

// enter puts an installation, or that there is none, into the table, and
// reports whether that is news. s.load is held.
func (s *Store) enter(id ID, in *Installation) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.table[id]
	if in == nil {
		delete(s.table, id)
		return old != nil
	}
	s.table[id] = in
	return old == nil || old.Revision != in.Revision
}

// Subscribe has f called after each change, also of other processes (see
// Follow). f must not wait for long, and not change installations itself.
func (s *Store) Subscribe(f func(Change)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.subscribers = append(s.subscribers, f)
}

func (s *Store) tell(c Change) {
	s.mu.RLock()
	all := slices.Clone(s.subscribers)
	s.mu.RUnlock()
	for _, f := range all {
		f(c)
	}
}

// Drop deletes an installation of a state whose records need not be readable,
// and tells other processes of it. ErrNotFound if there is none.
func Drop(ctx context.Context, state queue.State, id ID) error {
	found := false
	_, err := state.Update(ctx, id.key(), "install."+rand.Text(), false, func(_ []byte, ok bool) (queue.Change, error) {
		found = ok
		return queue.Change{Delete: ok, Keep: !ok}, nil
	})
	if err == nil && !found {
		err = ErrNotFound
	}
	if err == nil {
		err = (&Store{o: Options{State: state}}).publish(ctx, id)
	}
	if err != nil {
		return fmt.Errorf("delete installation %s: %w", id, err)
	}
	return nil
}
