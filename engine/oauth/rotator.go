package oauth

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/starling-rules/starling/engine/install"
	"github.com/starling-rules/starling/engine/metric"
	"github.com/starling-rules/starling/engine/queue"
)

// How tokens are renewed. A token with a life shorter than Slack's 12 h is
// renewed when a quarter of it is left.
const (
	aheadOfEnd  = 2 * time.Hour
	spread      = 10 * time.Minute // each process has a time of its own within this
	longestNap  = time.Minute      // between two looks at all installations
	askFor      = 30 * time.Second // one call of Slack's, with its repeats
	firstPause  = 15 * time.Second // after a failure, then longer and longer
	longestWait = 10 * time.Minute
	// lastRefusals is how often Slack has to refuse a refresh token before it is
	// given up: another process may be about to store what it got for it.
	lastRefusals = 2
)

// RotatorOptions are what a Rotator is made of. App, Slack, Store and State are
// required.
type RotatorOptions struct {
	App   App
	Slack Slack
	Store *install.Store
	// State holds the leases. Processes that share it renew a token once.
	State queue.State
	// Exchange moves tokens that live for ever to rotation, once. The app must
	// have rotation switched on, which cannot be undone.
	Exchange bool
	// Learn is told of each new token before it is used, so that it can be
	// masked wherever it might appear; may be nil.
	Learn   func(secrets ...string)
	Now     func() time.Time // time.Now
	Logger  *slog.Logger
	Metrics *metric.Set
}

// Rotator renews tokens. Safe for concurrent use.
type Rotator struct {
	o      RotatorOptions
	log    *slog.Logger
	origin string // names this process in leases

	mu      sync.Mutex
	flights map[grantID]*flight
	trouble map[grantID]*trouble
	wake    chan struct{}
	closing chan struct{} // closed when Run has ended: what is not stored yet is tried no more
}

// grantID names a token: that of the bot, or of a user.
type grantID struct {
	install.ID
	User string // empty: the bot's
}

// String is the token as operators know it.
func (g grantID) String() string {
	if g.User == "" {
		return g.ID.String() + " bot"
	}
	return g.ID.String() + " user " + g.User
}

// of returns the grant of an installation; nil if there is none.
func (g grantID) of(in *install.Installation) *install.Grant {
	if g.User == "" {
		return &in.Bot
	}
	u, ok := in.Users[g.User]
	if !ok {
		return nil
	}
	return &u
}

// put stores a grant in an installation.
func (g grantID) put(in *install.Installation, to install.Grant) {
	if g.User == "" {
		in.Bot = to
		return
	}
	in.Users[g.User] = to
}

// trouble is what keeps a token from being renewed.
type trouble struct {
	since   time.Time
	why     string // Slack's code, or what is wrong here
	advice  string
	failed  int       // in a row
	refused int       // of these, how often Slack has refused the refresh token itself
	spent   string    // which one that was, as a hash
	next    time.Time // not before
	ends    time.Time // when the token in use expires; zero: never, or long ago
}

// Problem is a token that could not be renewed.
type Problem struct {
	Installation install.ID `json:"installation"`
	User         string     `json:"user,omitempty"`
	Since        time.Time  `json:"since"`
	Reason       string     `json:"reason"`
	// Advice says what to do; Ends is until when the token in use is good.
	Advice string    `json:"advice,omitempty"`
	Ends   time.Time `json:"ends,omitzero"`
}

// String is the problem in a line.
func (p Problem) String() string {
	s := "token of " + grantID{p.Installation, p.User}.String() + " is not renewed: " + p.Reason
	if p.Advice != "" {
		s += " (" + p.Advice + ")"
	}
	if !p.Ends.IsZero() {
		s += ", it ends at " + p.Ends.UTC().Format(time.RFC3339)
	}
	return s
}

// NewRotator makes a Rotator.
func NewRotator(o RotatorOptions) *Rotator {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Metrics == nil {
		o.Metrics = metric.New("")
	}
	if o.Learn == nil {
		o.Learn = func(...string) {}
	}
	return &Rotator{
		o: o, log: o.Logger, origin: rand.Text()[:12], flights: map[grantID]*flight{}, trouble: map[grantID]*trouble{},
		wake: make(chan struct{}, 1), closing: make(chan struct{}),
	}
}

// Run renews tokens as they come near their end, until ctx ends. It can be
// called once.
func (r *Rotator) Run(ctx context.Context) error {
	defer close(r.closing)
	r.o.Store.Subscribe(func(install.Change) { // one may be due at once
		select {
		case r.wake <- struct{}{}:
		default:
		}
	})
	for {
		next := r.round(ctx)
		nap := min(max(next.Sub(r.o.Now()), time.Second), longestNap)
		t := time.NewTimer(nap)
		select {
		case <-ctx.Done():
			t.Stop()
			return nil
		case <-r.wake:
		case <-t.C:
		}
		t.Stop()
	}
}

// round renews what is due, several at a time, and says when the next one is.
func (r *Rotator) round(ctx context.Context) time.Time {
	const atOnce = 8
	next := r.o.Now().Add(longestNap)
	var jobs sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for _, in := range r.o.Store.List() {
		for _, id := range grantsOf(in) {
			at, ok := r.due(id, in)
			if !ok {
				continue
			}
			if at.After(r.o.Now()) {
				next = earlier(next, at)
				continue
			}
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				jobs.Wait()
				return next
			}
			jobs.Go(func() {
				defer func() { <-slots }()
				_, _ = r.renew(ctx, id, "") // what went wrong is noted
			})
		}
	}
	jobs.Wait()
	return next
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// grantsOf lists the tokens of an installation.
func grantsOf(in *install.Installation) []grantID {
	out := []grantID{{in.ID(), ""}}
	for user := range in.Users {
		out = append(out, grantID{in.ID(), user})
	}
	return out
}

// due is when a token is to be renewed; ok is false if it never is.
func (r *Rotator) due(id grantID, in *install.Installation) (at time.Time, ok bool) {
	g := id.of(in)
	if g == nil || !g.Usable() || in.Broken != "" {
		return at, false
	}
	switch {
	case g.Refresh != "" && g.Expires != nil:
		life := g.Expires.Sub(g.Since)
		at = g.Expires.Add(-min(aheadOfEnd, life/4) + r.own(id, min(spread, life/24)))
	case g.Refresh == "" && g.Expires == nil && r.o.Exchange:
		at = g.Since
	default:
		return at, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := r.trouble[id]; t != nil && t.next.After(at) {
		at = t.next
	}
	return at, true
}

// own is this process's own delay for a token, below d: so processes seldom
// reach for the same lease.
func (r *Rotator) own(id grantID, d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(r.origin + id.String()))
	return time.Duration(h.Sum64() % uint64(d))
}

// Renew is told that Slack has refused a token in use, and returns the one to
// use now: another process may have renewed it, else it is renewed. The error
// names no token.
func (r *Rotator) Renew(ctx context.Context, id install.ID, user string, used install.Token) (install.Token, error) {
	if used == "" {
		return "", errors.New("renew a token: it is not said which one was refused")
	}
	return r.renew(ctx, grantID{id, user}, used)
}

// Problems lists the tokens that could not be renewed, the oldest first.
func (r *Rotator) Problems() []Problem {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]Problem, 0, len(r.trouble))
	for id, t := range r.trouble {
		out = append(out, Problem{Installation: id.ID, User: id.User, Since: t.since, Reason: t.why, Advice: t.advice, Ends: t.ends})
	}
	slices.SortFunc(out, func(a, b Problem) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.String(), b.String()))
	})
	return out
}

// Forget drops what is known of the troubles of an installation: it is gone, or
// was made anew.
func (r *Rotator) Forget(id install.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for g := range r.trouble {
		if g.ID == id {
			delete(r.trouble, g)
		}
	}
}

// NextEnd is when the first of the tokens that rotate expires; zero: none does.
func (r *Rotator) NextEnd() time.Time {
	var first time.Time
	for _, in := range r.o.Store.List() {
		for _, id := range grantsOf(in) {
			g := id.of(in)
			if g == nil || !g.Usable() || g.Expires == nil {
				continue
			}
			if first.IsZero() || g.Expires.Before(first) {
				first = *g.Expires
			}
		}
	}
	return first
}

// errTooSoon is wrapped when a token was tried to be renewed a moment ago.
var errTooSoon = errors.New("it was tried a moment ago")

// flight is a renewal under way: whoever wants the same waits for it.
type flight struct {
	done  chan struct{}
	token install.Token
	err   error
}

// renew gets a token renewed, once for all who ask at the same time. With used
// empty it is done if the token is due, else if used is still the one there is.
func (r *Rotator) renew(ctx context.Context, id grantID, used install.Token) (install.Token, error) {
	r.mu.Lock()
	f := r.flights[id]
	if f == nil {
		f = &flight{done: make(chan struct{})}
		r.flights[id] = f
		go r.fly(context.WithoutCancel(ctx), id, used, f)
	}
	r.mu.Unlock()
	select {
	case <-f.done:
		return f.token, f.err
	case <-ctx.Done():
		return "", fmt.Errorf("renew the token of %s: %w", id, context.Cause(ctx))
	}
}

// fly is the renewal itself. It does not end with who asked for it: once the
// refresh token is spent, the answer has to be stored.
func (r *Rotator) fly(ctx context.Context, id grantID, used install.Token, f *flight) {
	f.token, f.err = r.attempt(ctx, id, used)
	r.mu.Lock()
	delete(r.flights, id)
	r.mu.Unlock()
	close(f.done)
}
