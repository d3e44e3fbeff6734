package sim

import (
	"crypto/rand"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Code is an error code of Slack's: "channel_not_found".
type Code string

// Error returns the code.
func (c Code) Error() string { return string(c) }

// maxMessages bounds what one channel remembers; the oldest go first.
const maxMessages = 5000

// World is the state of the workspace. Its methods are safe for concurrent
// use and return copies; nested blocks and views are shared and must not be
// changed.
type World struct {
	now func() time.Time
	rnd io.Reader
	log *changeLog

	mu       sync.Mutex
	team     Team
	app      App
	users    []*User
	channels []*Channel
	groups   []Usergroup
	emoji    map[string]string
	messages map[string][]*Message // by channel, in order of ts
	modals   map[string][]*View    // by user, the open one last
	homes    map[string]*View      // by user
	triggers map[string]*trigger
	hooks    map[string]*hook
	options  map[string]Block // options that external selects were offered, by optionKey
	lastTS   int64
	files    []*file
	// scheduled are the messages that are still to be posted.
	scheduled []*scheduled
	pins      []pinned

	// event is told, with mu held and in order, what apps are told: it must
	// not block and not call back.
	event func(ch *Channel, inner Block)
	// enterprise is the organization of the workspace, and whether the app is
	// installed in all of it; nil: it belongs to none.
	enterprise func() (id string, wide bool)
}

// Block is a JSON object: a block, an element, a view, an event.
type Block = map[string]any

func newWorld(seed Seed, now func() time.Time, rnd io.Reader) (*World, error) {
	w := &World{
		now: now, rnd: rnd, log: newChangeLog(maxChanges),
		team: seed.Team, app: seed.App, groups: seed.Groups, emoji: seed.Emoji,
		messages: map[string][]*Message{}, modals: map[string][]*View{}, homes: map[string]*View{},
		triggers: map[string]*trigger{}, hooks: map[string]*hook{}, options: map[string]Block{},
		event: func(*Channel, Block) {},
	}
	for _, u := range seed.Users {
		w.users = append(w.users, &u)
	}
	if w.user(seed.App.UserID) == nil {
		w.users = append(w.users, &User{ID: seed.App.UserID, Name: seed.App.Name, RealName: seed.App.Name, Bot: true, BotID: seed.App.BotID, AppID: seed.App.ID, Color: "4a5568"})
	}
	if w.user(slackbot) == nil {
		w.users = append(w.users, &User{ID: slackbot, Name: "slackbot", RealName: "Slackbot", Color: "757575"})
	}
	seen := map[string]bool{}
	for _, c := range seed.Channels {
		if c.ID == "" || seen[c.ID] {
			return nil, fmt.Errorf("seed channel %q: id is missing or taken", c.ID)
		}
		for _, m := range c.Members {
			if w.user(m) == nil {
				return nil, fmt.Errorf("seed channel %s: member %s is not a user", c.ID, m)
			}
		}
		seen[c.ID] = true
		c.Created = now().Unix()
		w.channels = append(w.channels, &c)
	}
	return w, nil
}

// nextTS returns a timestamp later than every earlier one, so that it is
// unique and increasing in every channel even if the clock stands still.
func (w *World) nextTS() string {
	t := w.now().UnixMicro()
	if t <= w.lastTS {
		t = w.lastTS + 1
	}
	w.lastTS = t
	return fmt.Sprintf("%d.%06d", t/1e6, t%1e6)
}

// newID returns an id that no other run of a sim gives: engines remember
// event ids over restarts.
func (w *World) newID(prefix string) string { return prefix + w.random(10) }

// random returns n random characters of Slack's ids.
func (w *World) random(n int) string {
	const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ" // 32 letters: no bias
	b := make([]byte, n)
	if _, err := io.ReadFull(w.rnd, b); err != nil {
		_, _ = rand.Read(b) // never fails (crypto/rand)
	}
	for i := range b {
		b[i] = alphabet[b[i]%32]
	}
	return string(b)
}

// tsMicros reads a timestamp; bad ones are 0.
func tsMicros(ts string) int64 {
	sec, frac, _ := strings.Cut(ts, ".")
	s, err := strconv.ParseInt(sec, 10, 64)
	if err != nil || s < 0 || s > 1<<40 {
		return 0
	}
	if len(frac) > 6 {
		frac = frac[:6]
	}
	f, err := strconv.ParseInt((frac + "000000")[:6], 10, 64)
	if err != nil {
		return 0
	}
	return s*1e6 + f
}
