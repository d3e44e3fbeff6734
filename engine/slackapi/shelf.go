package slackapi

import (
	"context"
	"encoding/json"
	"time"

	"github.com/starling-rules/starling/runtime"
)

// Shelf keeps look-ups beyond the process: for its next start, and for other
// processes on the same store. What it cannot do at the moment it leaves: the
// look-up is then made at Slack. Safe for concurrent use.
type Shelf interface {
	// Get returns what was put, and when that was true.
	Get(ctx context.Context, k ShelfKey) (value []byte, at time.Time, ok bool)
	// Put keeps value for ttl.
	Put(ctx context.Context, k ShelfKey, value []byte, at time.Time, ttl time.Duration)
	// Drop forgets what any bot of the team (of any team, if it is empty) put
	// under that kind and id. It does not wait.
	Drop(kind, team, id string)
}

// ShelfKey names a look-up: its kind, the team, the id in that kind, and whose
// token was used.
type ShelfKey struct{ Kind, Team, ID, Who string }

// CacheStats is what one kind of look-up has cost and spared in this process.
type CacheStats struct {
	Kind string `json:"kind"`
	// Entries are kept in this process now.
	Entries int `json:"entries"`
	// Hits were answered from this process, FromStore from the store, Loads by Slack.
	Hits      uint64 `json:"hits"`
	FromStore uint64 `json:"from_store"`
	Loads     uint64 `json:"loads"`
}

// CacheStats returns the figures of each kind of look-up.
func (c *Client) CacheStats() []CacheStats {
	return []CacheStats{
		c.users.stats(), c.channels.stats(), c.dms.stats(), c.ims.stats(), c.groups.stats(), c.emoji.stats(),
		c.bots.stats(), c.indexes.stats(), c.selves.stats(), c.messages.stats(),
	}
}

// Purge forgets every look-up of a team, of all teams if it is empty, in this
// process, and returns how many there were. A Shelf is purged by its owner.
func (c *Client) Purge(team string) int {
	return c.users.forgetTeam(team) + c.channels.forgetTeam(team) + c.dms.forgetTeam(team) + c.ims.forgetTeam(team) +
		c.groups.forgetTeam(team) + c.emoji.forgetTeam(team) + c.bots.forgetTeam(team) + c.indexes.forgetTeam(team) + c.selves.forgetTeam(team) +
		c.messages.forgetTeam(team)
}

// Forget drops what any bot of a team (of any team, if it is empty) has looked
// up under a kind and an id in this process: another process of the same Shelf
// has learned that it is out of date. Empty kinds and ids stand for all.
func (c *Client) Forget(kind, team, id string) {
	if kind == "" || id == "" {
		c.Purge(team)
		return
	}
	for _, in := range []interface {
		named() string
		forgetHere(team, id string)
	}{c.users, c.channels, c.dms, c.ims, c.groups, c.emoji, c.bots, c.indexes} {
		if in.named() == kind {
			in.forgetHere(team, id)
		}
	}
}

func (c *cache[V]) named() string { return c.kind }

// The forms that values have on a shelf.

func encodeJSON(v runtime.JSON) []byte { return v }

func decodeJSON(b []byte) (runtime.JSON, error) { return b, nil }

func encodeText(s string) []byte { return []byte(s) }

func decodeText(b []byte) (string, error) { return string(b), nil }

// shelvedIndex is an index on a shelf.
type shelvedIndex struct {
	Users bool                `json:"users,omitempty"`
	Names map[string][]string `json:"names"`
}

func encodeIndex(ix *index) []byte {
	ix.mu.RLock()
	defer ix.mu.RUnlock()
	b, _ := json.Marshal(shelvedIndex{ix.users, ix.names}) // texts always have a form
	return b
}

func decodeIndex(b []byte) (*index, error) {
	var s shelvedIndex
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, err
	}
	ix := newIndex(s.Users)
	for _, id := range sortedKeys(s.Names) {
		ix.set(id, s.Names[id])
	}
	return ix, nil
}

func encodeEmoji(m map[string]emoji) []byte {
	b, _ := json.Marshal(m)
	return b
}

func decodeEmoji(b []byte) (m map[string]emoji, err error) {
	return m, json.Unmarshal(b, &m)
}

func encodeRoster(r *roster) []byte { return r.list }

func decodeRoster(b []byte) (*roster, error) { return newRoster(b) }
