package oauth

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/starling-rules/starling/engine/queue"
)

// stateLife is how long a person has to decide, as at Slack.
const stateLife = 10 * time.Minute

// What is wrong with a state. Only the first is worth telling apart for people.
var (
	errStateExpired = errors.New("the state has expired")
	errStateUsed    = errors.New("the state was used already")
	errStateBad     = errors.New("the state is not one that was handed out to this browser")
)

// The sizes in bytes of a state's parts: version, nonce, end, check.
const (
	nonceSize   = 16
	stateHead   = 1 + nonceSize + 8
	stateSize   = stateHead + sha256.Size
	bindingSize = 32
	stateV1     = 1
)

// usedSpace begins the names under which used states are remembered, until they
// expire, in the state of the store.
const usedSpace = "oauth-used/"

// states makes and checks the `state` parameter. A state holds a random number
// and when it ends, and a keyed hash over these, the browser's cookie and the
// address to return to; so nothing has to be stored for those who only look, and
// every process of a cluster can check it. That it was used is stored.
type states struct {
	key  []byte
	rand func([]byte)
	now  func() time.Time
}

// newStates derives the key from the client secret, which all processes share.
func newStates(a App, random func([]byte), now func() time.Time) *states {
	mac := hmac.New(sha256.New, []byte(a.ClientSecret))
	mac.Write([]byte("starling oauth state 1"))
	return &states{key: mac.Sum(nil), rand: random, now: now}
}

// make returns a state for a browser with that cookie.
func (s *states) make(binding []byte, redirect string) string {
	b := make([]byte, stateHead, stateSize)
	b[0] = stateV1
	s.rand(b[1 : 1+nonceSize])
	binary.BigEndian.PutUint64(b[1+nonceSize:], uint64(s.now().Add(stateLife).UnixMilli()))
	return base64.RawURLEncoding.EncodeToString(append(b, s.check(b, binding, redirect)...))
}

func (s *states) check(head, binding []byte, redirect string) []byte {
	mac := hmac.New(sha256.New, s.key)
	mac.Write(head)
	sum := sha256.Sum256(binding)
	mac.Write(sum[:])
	mac.Write([]byte(redirect))
	return mac.Sum(nil)
}

// ticket is a state that was found good.
type ticket struct {
	nonce string
	ends  time.Time
}

// open checks a state against the browser's cookie.
func (s *states) open(text string, binding []byte, redirect string) (ticket, error) {
	if len(text) != base64.RawURLEncoding.EncodedLen(stateSize) || len(binding) != bindingSize {
		return ticket{}, errStateBad
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) != stateSize || b[0] != stateV1 {
		return ticket{}, errStateBad
	}
	if !hmac.Equal(b[stateHead:], s.check(b[:stateHead], binding, redirect)) {
		return ticket{}, errStateBad
	}
	t := ticket{nonce: hex.EncodeToString(b[1 : 1+nonceSize]), ends: time.UnixMilli(int64(binary.BigEndian.Uint64(b[1+nonceSize:])))}
	if !s.now().Before(t.ends) {
		return ticket{}, errStateExpired
	}
	return t, nil
}

// use spends a state, once among all processes.
func (s *states) use(ctx context.Context, store queue.State, t ticket) error {
	used := false
	_, err := store.Update(ctx, usedSpace+t.nonce, "oauth."+rand.Text(), false, func(_ []byte, ok bool) (queue.Change, error) {
		if used = ok; ok {
			return queue.Change{Keep: true}, nil
		}
		return queue.Change{Value: []byte("1"), TTL: t.ends.Sub(s.now()) + time.Minute}, nil
	})
	switch {
	case err != nil:
		return fmt.Errorf("note that a state was used: %w", err)
	case used:
		return errStateUsed
	}
	return nil
}

// readBinding reads the cookie's value; nil if it is none of ours.
func readBinding(text string) []byte {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) != bindingSize {
		return nil
	}
	return b
}
