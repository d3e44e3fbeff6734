package install

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/starling-rules/starling/engine/keyring"
	"github.com/starling-rules/starling/engine/queue"
)

// maxNews is how many changes are kept for other processes. Who has missed
// more reads everything again.
const maxNews = 256

// news is the newest changes, oldest first; the last one has the number Seq.
type news struct {
	Seq  uint64 `json:"seq"`
	Last []item `json:"last"`
}

type item struct {
	From string `json:"f"`
	ID   ID     `json:"i"`
}

func (s *Store) publish(ctx context.Context, id ID) error {
	// What was changed has to be told even if whoever changed it has gone away.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	_, err := s.o.State.Update(ctx, newsKey, "install."+id.String(), false, func(old []byte, ok bool) (queue.Change, error) {
		var n news
		if ok {
			_ = json.Unmarshal(old, &n) // what cannot be read begins anew: the others see a jump
		}
		n.Seq++
		n.Last = append(n.Last, item{s.origin, id})
		n.Last = n.Last[max(0, len(n.Last)-maxNews):]
		b, err := json.Marshal(n)
		return queue.Change{Value: b}, err
	})
	return err
}

func (s *Store) news(ctx context.Context) (n news, err error) {
	b, err := s.o.State.Get(ctx, newsKey)
	if errors.Is(err, queue.ErrNotFound) {
		return n, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &n)
	}
	return n, err
}

// Follow takes up what other processes change, until ctx ends: it looks every
// so often. Subscribers are told.
func (s *Store) Follow(ctx context.Context, every time.Duration) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := s.catchUp(ctx); err != nil && ctx.Err() == nil {
			s.o.Logger.Warn("look what other processes have changed of the installations", "err", err)
		}
	}
}

// catchUp reads what others have changed since the last time.
func (s *Store) catchUp(ctx context.Context) error {
	n, err := s.news(ctx)
	if err != nil {
		return err
	}
	s.load.Lock()
	known, sure := s.known, s.sure
	s.load.Unlock()
	missed := n.Seq - known
	switch {
	case sure && missed == 0:
		return nil
	case !sure, n.Seq < known, missed > uint64(len(n.Last)):
		err = s.Reload(ctx)
	default:
		for _, it := range n.Last[len(n.Last)-int(missed):] {
			if it.From == s.origin {
				continue
			}
			if _, e := s.take(ctx, it.ID); e != nil {
				err = fmt.Errorf("installation %s: %w", it.ID, e)
			}
		}
	}
	if err != nil {
		return err // all of it again the next time
	}
	s.load.Lock()
	s.known, s.sure = n.Seq, true
	s.load.Unlock()
	return nil
}

// Reload reads all installations again: for who has changed the state behind
// the Store's back, such as the restore of a backup.
func (s *Store) Reload(ctx context.Context) error {
	keys, err := s.o.State.List(ctx, Space, "", 0)
	if err != nil {
		return fmt.Errorf("list installations: %w", err)
	}
	ids := map[ID]bool{}
	for _, key := range keys {
		if id, err := ParseID(key[len(Space):]); err == nil {
			ids[id] = true
		}
	}
	s.mu.RLock()
	for id := range s.table {
		ids[id] = true // it may be gone
	}
	s.mu.RUnlock()
	for id := range ids {
		if _, e := s.take(ctx, id); e != nil {
			err = errors.Join(err, fmt.Errorf("installation %s: %w", id, e))
		}
	}
	return err
}

// Sealed is a record as it is stored, whether or not there is a key for it.
type Sealed struct {
	ID ID `json:"id"`
	// Key names the key that it is sealed with.
	Key string `json:"key"`
	// Installation is what is sealed; nil if it cannot be read, for which
	// Problem is the reason.
	Installation *Installation `json:"installation,omitempty"`
	Problem      error         `json:"-"`
}

// ListSealed lists all records of a state, by app and place. Without keys none
// is opened, and each has keyring.ErrKey for its problem.
func ListSealed(ctx context.Context, state queue.State, keys *keyring.Keyring) ([]Sealed, error) {
	if keys == nil {
		keys = &keyring.Keyring{}
	}
	names, err := state.List(ctx, Space, "", 0)
	if err != nil {
		return nil, fmt.Errorf("list installations: %w", err)
	}
	out := make([]Sealed, 0, len(names))
	for _, name := range names {
		id, err := ParseID(name[len(Space):])
		if err != nil {
			continue // nothing that a Store has written
		}
		record, err := state.Get(ctx, name)
		if errors.Is(err, queue.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read installation %s: %w", id, err)
		}
		rec := Sealed{ID: id}
		rec.Installation, rec.Key, rec.Problem = openRecord(keys, id, record)
		out = append(out, rec)
	}
	return out, nil
}

// Reseal seals with the first key what is sealed with another one, and returns
// how many records that were. After it the other keys are of no use.
func (s *Store) Reseal(ctx context.Context) (int, error) {
	sealed, err := ListSealed(ctx, s.o.State, s.o.Keys)
	if err != nil {
		return 0, err
	}
	first, n := s.o.Keys.IDs()[0], 0
	for _, rec := range slices.DeleteFunc(sealed, func(r Sealed) bool { return r.Key == first }) {
		if rec.Problem != nil {
			return n, fmt.Errorf("seal installation %s again: %w", rec.ID, rec.Problem)
		}
		for {
			_, err = s.Put(ctx, rec.Installation)
			if !errors.Is(err, ErrConflict) {
				break
			}
			// Whoever has changed it meanwhile may have an old keyring.
			if rec.Installation, err = s.Get(ctx, rec.ID); err != nil {
				break
			}
		}
		if err != nil && !errors.Is(err, ErrNotFound) {
			return n, err
		}
		n++
	}
	return n, nil
}
