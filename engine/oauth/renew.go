package oauth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/starling-rules/starling/engine/install"
	"github.com/starling-rules/starling/engine/queue"
)

// leaseSpace begins the names of leases in the state of the store.
const leaseSpace = "oauth-lease/"

// leaseLife is how long a process may take to renew a token before another one
// tries: longer than askFor and the write that follows. leasePoll is how often
// the others look.
const (
	leaseLife = askFor + 30*time.Second
	leasePoll = 200 * time.Millisecond
)

// lease says who renews a token, until when.
type lease struct {
	By    string    `json:"by"`
	Until time.Time `json:"until"`
}

func (g grantID) leaseKey() string {
	key := leaseSpace + g.ID.String()
	if g.User != "" {
		key += "/" + g.User
	}
	return key
}

// acquire takes the lease of a token if nobody has it.
func (r *Rotator) acquire(ctx context.Context, id grantID) (bool, error) {
	got := false
	_, err := r.o.State.Update(ctx, id.leaseKey(), "lease."+rand.Text(), false, func(old []byte, ok bool) (queue.Change, error) {
		var l lease
		if ok && json.Unmarshal(old, &l) == nil && l.By != r.origin && r.o.Now().Before(l.Until) {
			got = false
			return queue.Change{Keep: true}, nil
		}
		got = true
		b, err := json.Marshal(lease{By: r.origin, Until: r.o.Now().Add(leaseLife).UTC()})
		return queue.Change{Value: b, TTL: leaseLife}, err
	})
	return got, err
}

// release gives the lease up; one that stays ends by itself.
func (r *Rotator) release(ctx context.Context, id grantID) {
	_, err := r.o.State.Update(ctx, id.leaseKey(), "release."+rand.Text(), false, func(old []byte, ok bool) (queue.Change, error) {
		var l lease
		if !ok || json.Unmarshal(old, &l) != nil || l.By != r.origin {
			return queue.Change{Keep: true}, nil
		}
		return queue.Change{Delete: true}, nil
	})
	if err != nil {
		r.log.Debug("release the lease of a token", "token", id.String(), "err", err)
	}
}

// attempt renews a token if it is still needed, when it is this process's turn.
func (r *Rotator) attempt(ctx context.Context, id grantID, used install.Token) (install.Token, error) {
	for {
		in, g, err := r.look(ctx, id, used)
		switch {
		case err != nil:
			return "", err
		case in == nil:
			return g.Token, nil // somebody else has done it
		}
		if err := r.tooSoon(id, used); err != nil {
			return "", fmt.Errorf("renew the token of %s: %w", id, err)
		}
		got, err := r.acquire(ctx, id)
		if err != nil {
			return "", r.failed(ctx, id, in, fmt.Errorf("take the lease: %w", err))
		}
		if got {
			break
		}
		select { // whoever has the lease stores the new token, or gives up
		case <-time.After(leasePoll):
		case <-r.closing:
			return "", fmt.Errorf("renew the token of %s: the server ends", id)
		}
	}
	defer r.release(ctx, id)
	// It may have been renewed between the look and the lease.
	in, g, err := r.look(ctx, id, used)
	switch {
	case err != nil:
		return "", err
	case in == nil:
		return g.Token, nil
	}
	fresh, what, err := r.ask(ctx, g)
	if err != nil {
		r.o.Metrics.Tokens.WithLabelValues(what, outcomeOf(err)).Inc()
		return "", r.failed(ctx, id, in, err)
	}
	r.o.Learn(string(fresh.Token), string(fresh.Refresh))
	if err := r.keep(ctx, id, g, fresh); err != nil {
		r.o.Metrics.Tokens.WithLabelValues(what, "not_stored").Inc()
		return "", err
	}
	r.o.Metrics.Tokens.WithLabelValues(what, "ok").Inc()
	r.log.Info("a token was renewed", "installation", id.ID.String(), "user", id.User, "expires", fresh.Expires)
	r.mu.Lock()
	delete(r.trouble, id)
	r.mu.Unlock()
	return fresh.Token, nil
}

// look reads the installation as it is stored now. It returns nil if there is
// nothing to do: g is then the token to use.
func (r *Rotator) look(ctx context.Context, id grantID, used install.Token) (*install.Installation, install.Grant, error) {
	in, err := r.o.Store.Get(ctx, id.ID)
	if err != nil {
		return nil, install.Grant{}, fmt.Errorf("renew the token of %s: %w", id, err)
	}
	g := id.of(in)
	if g == nil || !g.Usable() {
		return nil, install.Grant{}, fmt.Errorf("renew the token of %s: there is none any more", id)
	}
	if used != "" && g.Token != used {
		return nil, *g, nil
	}
	if in.Broken != "" {
		return nil, *g, fmt.Errorf("renew the token of %s: %s; install the app again", id, in.Broken)
	}
	if g.Refresh == "" && (g.Expires != nil || !r.o.Exchange) {
		return nil, *g, fmt.Errorf("renew the token of %s: it cannot be renewed", id)
	}
	if used == "" {
		if at, ok := r.due(id, in); !ok || at.After(r.o.Now()) {
			return nil, *g, nil
		}
	}
	return in, *g, nil
}

// tooSoon holds back those who come with a refused token while a pause is on.
func (r *Rotator) tooSoon(id grantID, used install.Token) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := r.trouble[id]; used != "" && t != nil && r.o.Now().Before(t.next) {
		return fmt.Errorf("%w: %s", errTooSoon, t.why)
	}
	return nil
}

// ask gets a new pair from Slack.
func (r *Rotator) ask(ctx context.Context, g install.Grant) (fresh install.Grant, what string, err error) {
	ctx, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	do, what, with := r.o.App.refresh, "refresh", g.Refresh
	if g.Refresh == "" {
		do, what, with = r.o.App.exchange, "exchange", g.Token
	}
	asked := r.o.Now() // the token's life began after this: it is never overestimated
	answer, err := do(ctx, r.o.Slack, with)
	if err != nil {
		return fresh, what, err
	}
	fresh = answer.Grant(asked)
	if len(fresh.Scopes) == 0 {
		fresh.Scopes = g.Scopes
	}
	return fresh, what, nil
}

// keep stores a new pair in one write. Nothing else has it: it is tried until it
// succeeds, or the server has ended.
func (r *Rotator) keep(ctx context.Context, id grantID, old, fresh install.Grant) error {
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		_, err := r.o.Store.Update(ctx, id.ID, func(in *install.Installation) (*install.Installation, error) {
			g := id.of(in)
			if g == nil || g.Token != old.Token || g.Refresh != old.Refresh {
				return nil, nil // installed again, or removed: that counts
			}
			id.put(in, fresh)
			in.Broken = ""
			return in, nil
		})
		if err == nil || errors.Is(err, install.ErrNotFound) {
			return nil
		}
		r.note(id, "the new token is not stored: "+err.Error(), "look at the store: it is lost if the server ends now", old.Expires, pause)
		r.log.Error("a new token cannot be stored; the old one is dead", "installation", id.ID.String(), "user", id.User, "err", err)
		select {
		case <-time.After(pause):
		case <-r.closing:
			return fmt.Errorf("store the new token of %s: %w", id, err)
		}
	}
}

// failed notes why a token was not renewed, and when to try again. What Slack
// refuses for good ends the token when its time is over, or at once.
func (r *Rotator) failed(ctx context.Context, id grantID, in *install.Installation, err error) error {
	g := id.of(in)
	code := codeOf(err)
	t := r.note(id, err.Error(), adviceFor(code), g.Expires, 0)
	if final(code) {
		sum := sha256.Sum256([]byte(g.Refresh))
		if spent := hex.EncodeToString(sum[:8]); t.spent != spent {
			t.spent, t.refused = spent, 0
		}
		t.refused++
	}
	pause := min(firstPause<<min(t.failed-1, 10), longestWait)
	over := g.Expires == nil || !r.o.Now().Before(*g.Expires)
	hopeless := t.refused >= lastRefusals
	if hopeless && !over {
		pause = g.Expires.Sub(r.o.Now()) // nothing else will help; the token is good until then
	}
	if code == "token_rotation_not_enabled" {
		pause = time.Hour
	}
	r.mu.Lock()
	t.next = r.o.Now().Add(pause)
	r.trouble[id] = t
	r.mu.Unlock()
	log := r.log.Warn
	if hopeless || t.failed > 3 {
		log = r.log.Error
	}
	log("a token was not renewed", "installation", id.ID.String(), "user", id.User, "name", in.Name(), "err", err, "in_a_row", t.failed, "ends", g.Expires, "do", t.advice)
	if hopeless && over {
		r.end(ctx, id, g.Token, code)
	}
	return fmt.Errorf("renew the token of %s: %w", id, err)
}

// note makes, or goes on with, the note of a trouble. It returns a copy.
func (r *Rotator) note(id grantID, why, advice string, ends *time.Time, pause time.Duration) *trouble {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.o.Now()
	t := trouble{since: now}
	if old := r.trouble[id]; old != nil {
		t = *old
	}
	t.failed++
	t.why, t.advice, t.next, t.ends = why, advice, now.Add(pause), time.Time{}
	if ends != nil && ends.After(now) {
		t.ends = *ends
	}
	copied := t
	r.trouble[id] = &copied
	return &t
}

// end marks a token that is over and cannot be renewed, unless it was replaced
// meanwhile.
func (r *Rotator) end(ctx context.Context, id grantID, token install.Token, code string) {
	why := "its token has ended, and Slack refuses to renew it (" + code + ")"
	_, err := r.o.Store.Update(ctx, id.ID, func(in *install.Installation) (*install.Installation, error) {
		g := id.of(in)
		if g == nil || g.Token != token {
			return nil, nil
		}
		if id.User == "" {
			in.Broken = why
			return in, nil
		}
		g.Revoke(why)
		id.put(in, *g)
		return in, nil
	})
	if err != nil {
		r.log.Warn("note that a token is over", "installation", id.ID.String(), "user", id.User, "err", err)
	}
}

// final reports whether Slack will never take that refresh token again.
func final(code string) bool {
	switch code {
	case "invalid_refresh_token", "invalid_grant", "token_revoked", "token_expired", "invalid_auth", "account_inactive",
		"authorization_not_found", "invalid_token", "token_already_exchanged", "user_removed_from_team", "team_disabled":
		return true
	}
	return false
}

func adviceFor(code string) string {
	switch {
	case final(code):
		return "install the app again"
	case code == "token_rotation_not_enabled":
		return "switch token rotation on for the app, or slack.oauth.token_rotation off here"
	case code == "invalid_client_id", code == "bad_client_secret":
		return advice(code)
	}
	return ""
}

// outcomeOf is the label of a failure: Slack's code, or that there was none.
func outcomeOf(err error) string {
	if code := codeOf(err); code != "" {
		return word(code)
	}
	return "error"
}
