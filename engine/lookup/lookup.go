// Package lookup keeps what was looked up at Slack in the store, beside the
// cache that each process has (package slackapi): for the next start, and for
// the other processes of a cluster.
//
//	Shelf   slackapi.Shelf on the state of the store
//	Follow  what other processes of a cluster have found out of date
//	Entry   one look-up, for `starling cache list`
//
// Slack tells one process of a cluster that a channel was renamed. That one
// drops what it knows, in the store too, and says so under a key of the store
// that the others look at:
//
//	event ─► Client.Observe ─► Shelf.Drop ─► store: look-ups, news
//	                                                          │ Follow
//	                          another process: Client.Forget ◄┘
//
// The package does not know what the values are.
package lookup

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/slackapi"
)

// prefix begins the keys of this package. A key is lookup:kind:team:id/who:
// what is before the slash is what the store lists quickly.
const prefix = "lookup:"

// timeout bounds one use of the store: a look-up at Slack takes no longer.
const timeout = 2 * time.Second

// Shelf keeps look-ups in a State. Safe for concurrent use. Close it before
// the store is closed.
type Shelf struct {
	state queue.State
	log   *slog.Logger
	// origin names this shelf in the news; shared: there are others to tell.
	origin string
	shared bool
	drops  sync.WaitGroup
	mu     sync.Mutex
	ended  bool
}

var _ slackapi.Shelf = (*Shelf)(nil)

// New makes a shelf. A nil logger discards.
func New(state queue.State, log *slog.Logger) *Shelf {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Shelf{state: state, log: log, origin: newOrigin()}
}

func space(kind, team, id string) string {
	return prefix + kind + ":" + team + ":" + url.PathEscape(id) + "/"
}

func name(k slackapi.ShelfKey) string { return space(k.Kind, k.Team, k.ID) + k.Who }

// Get implements slackapi.Shelf.
func (s *Shelf) Get(ctx context.Context, k slackapi.ShelfKey) (value []byte, at time.Time, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	b, err := s.state.Get(ctx, name(k))
	if err != nil {
		if !errors.Is(err, queue.ErrNotFound) {
			s.log.Debug("look-up is not read from the store", "kind", k.Kind, "err", err)
		}
		return nil, at, false
	}
	nanos, n := binary.Varint(b)
	if n <= 0 {
		return nil, at, false
	}
	return b[n:], time.Unix(0, nanos), true
}

// Put implements slackapi.Shelf. What is too large for one record of the store
// stays in the process alone.
func (s *Shelf) Put(ctx context.Context, k slackapi.ShelfKey, value []byte, at time.Time, ttl time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	data := append(binary.AppendVarint(nil, at.UnixNano()), value...)
	if err := s.update(ctx, name(k), queue.Change{Value: data, TTL: ttl}); err != nil {
		s.log.Debug("look-up is not kept in the store", "kind", k.Kind, "bytes", len(data), "err", err)
	}
}

func (s *Shelf) update(ctx context.Context, key string, ch queue.Change) error {
	// Every change is its own: nobody asks again whether it was made.
	_, err := s.state.Update(ctx, key, "lookup", false, func([]byte, bool) (queue.Change, error) { return ch, nil })
	return err
}

// Drop implements slackapi.Shelf. It works behind the caller's back.
func (s *Shelf) Drop(kind, team, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	s.drops.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*timeout)
		defer cancel()
		match, list := func(string) bool { return true }, space(kind, team, id)
		if team == "" {
			list = prefix
			match = func(key string) bool {
				e, ok := entry(key)
				return ok && e.Kind == kind && e.ID == id
			}
		}
		if _, err := s.drop(ctx, list, match); err != nil {
			s.log.Debug("look-ups are not dropped from the store", "kind", kind, "err", err)
		}
		if s.shared {
			if err := s.publish(ctx, item{Kind: kind, Team: team, ID: id}); err != nil {
				s.log.Warn("other processes are not told that a look-up is out of date", "kind", kind, "err", err)
			}
		}
	})
}

func (s *Shelf) drop(ctx context.Context, list string, match func(key string) bool) (n int, err error) {
	keys, err := s.state.List(ctx, list, "", 0)
	if err != nil {
		return 0, fmt.Errorf("list look-ups: %w", err)
	}
	for _, key := range keys {
		if !match(key) {
			continue
		}
		if err := s.update(ctx, key, queue.Change{Delete: true}); err != nil {
			return n, fmt.Errorf("drop a look-up: %w", err)
		}
		n++
	}
	return n, nil
}

// Entry is one look-up that the store keeps.
type Entry struct {
	Kind string `json:"kind"`
	Team string `json:"team"`
	ID   string `json:"id"`
	// Who is the bot whose token was used: team/bot/b, or …/u for a user token.
	Who string `json:"who"`
}

func entry(key string) (e Entry, ok bool) {
	rest, mine := strings.CutPrefix(key, prefix)
	head, who, cut := strings.Cut(rest, "/")
	parts := strings.SplitN(head, ":", 3)
	if !mine || !cut || len(parts) != 3 {
		return e, false
	}
	id, err := url.PathUnescape(parts[2])
	return Entry{Kind: parts[0], Team: parts[1], ID: id, Who: who}, err == nil
}

// List returns what the store keeps, of one team if that is not empty.
func (s *Shelf) List(ctx context.Context, team string) ([]Entry, error) {
	keys, err := s.state.List(ctx, prefix, "", 0)
	if err != nil {
		return nil, fmt.Errorf("list look-ups: %w", err)
	}
	out := []Entry{}
	for _, key := range keys {
		if e, ok := entry(key); ok && (team == "" || e.Team == team) {
			out = append(out, e)
		}
	}
	sort.Slice(out, func(i, j int) bool {
		a, b := out[i], out[j]
		return a.Team+"\x00"+a.Kind+"\x00"+a.ID+"\x00"+a.Who < b.Team+"\x00"+b.Kind+"\x00"+b.ID+"\x00"+b.Who
	})
	return out, nil
}

// Purge drops what the store keeps, of one team if that is not empty, and
// returns how many look-ups that were. Processes that follow forget as much.
func (s *Shelf) Purge(ctx context.Context, team string) (int, error) {
	n, err := s.drop(ctx, prefix, func(key string) bool {
		e, ok := entry(key)
		return ok && (team == "" || e.Team == team)
	})
	if err != nil {
		return n, err
	}
	return n, s.publish(ctx, item{Team: team})
}

// Close waits for what Drop has begun; later drops do nothing.
func (s *Shelf) Close() {
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	s.drops.Wait()
}
