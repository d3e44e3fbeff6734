package lookup

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/starling-rules/starling/engine/queue"
)

// newsKey holds what was dropped last, by whichever process.
const newsKey = "lookup-news/all"

// maxNews is how many drops are kept. Who has missed more than that forgets
// everything.
const maxNews = 256

// news is the newest drops, oldest first; the last one has the number Seq.
type news struct {
	Seq  uint64 `json:"seq"`
	Last []item `json:"last"`
}

// item is one drop. Empty fields stand for all.
type item struct {
	From string `json:"f"`
	Kind string `json:"k,omitempty"`
	Team string `json:"t,omitempty"`
	ID   string `json:"i,omitempty"`
}

func newOrigin() string { return rand.Text()[:8] }

// Share makes the shelf tell the other processes of the store what it drops.
// Not safe once the shelf is used.
func (s *Shelf) Share() { s.shared = true }

// publish adds a drop to the news.
func (s *Shelf) publish(ctx context.Context, it item) error {
	it.From = s.origin
	_, err := s.state.Update(ctx, newsKey, "lookup", false, func(old []byte, ok bool) (queue.Change, error) {
		var n news
		if ok {
			_ = json.Unmarshal(old, &n) // what cannot be read begins anew: the others see a jump
		}
		n.Seq++
		n.Last = append(n.Last, it)
		n.Last = n.Last[max(0, len(n.Last)-maxNews):]
		b, err := json.Marshal(n)
		return queue.Change{Value: b}, err
	})
	if err != nil {
		return fmt.Errorf("tell other processes of a drop: %w", err)
	}
	return nil
}

// Follow calls forget with what other processes drop, until ctx ends: it looks
// every so often. Empty arguments stand for all kinds, teams, ids.
func (s *Shelf) Follow(ctx context.Context, every time.Duration, forget func(kind, team, id string)) error {
	n, err := s.news(ctx)
	known, sure := n.Seq, err == nil
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		n, err := s.news(ctx)
		if err != nil {
			continue // what happens meanwhile is in the news later
		}
		switch missed := n.Seq - known; {
		case n.Seq == known && sure:
		case !sure, n.Seq < known, missed > uint64(len(n.Last)):
			forget("", "", "")
		default:
			for _, it := range n.Last[len(n.Last)-int(missed):] {
				if it.From != s.origin {
					forget(it.Kind, it.Team, it.ID)
				}
			}
		}
		known, sure = n.Seq, true
	}
}

func (s *Shelf) news(ctx context.Context) (n news, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	b, err := s.state.Get(ctx, newsKey)
	if errors.Is(err, queue.ErrNotFound) {
		return n, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &n)
	}
	return n, err
}
