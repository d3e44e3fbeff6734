// Package keyring encrypts what the store keeps of credentials.
//
//	Keyring   several keys: the first seals, all open
//	Generate  a new key, as text
//
// Sealing is AES-256-GCM with a nonce at random. What is sealed is bound to a
// text (associated data), and opens with the same text alone.
//
// The package knows neither the store nor what is sealed.
package keyring

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Size is the size of a key in bytes.
const Size = 32

// Keyring is some keys. The first seals; the others open what was sealed before
// the first came. Immutable; it does not print its keys. The zero value has no
// key: it opens nothing, and must not seal.
type Keyring struct {
	keys []ringKey
}

type ringKey struct {
	id  string
	gcm cipher.AEAD
}

// New reads keys, each 32 bytes as 64 hex digits or base64. The error
// counts keys from 1 and repeats nothing of them.
func New(texts ...string) (*Keyring, error) {
	r := &Keyring{}
	for i, text := range texts {
		key, err := parseKey(text)
		if err == nil {
			err = r.add(key)
		}
		if err != nil {
			return nil, fmt.Errorf("key %d of %d: %w", i+1, len(texts), err)
		}
	}
	if len(r.keys) == 0 {
		return nil, errors.New("no key")
	}
	return r, nil
}

// Check says what is wrong with the text of a key, or nil.
func Check(text string) error {
	_, err := parseKey(text)
	return err
}

// Generate makes a key, as New reads it.
func Generate() string {
	var key [Size]byte
	_, _ = rand.Read(key[:]) // never fails
	return base64.StdEncoding.EncodeToString(key[:])
}

var errKey = errors.New("want 32 bytes, as base64 or as 64 hex digits (starling installs key makes one)")

func parseKey(text string) ([]byte, error) {
	text = strings.TrimSpace(text)
	for _, decode := range []func(string) ([]byte, error){
		hex.DecodeString, base64.StdEncoding.DecodeString, base64.RawStdEncoding.DecodeString,
		base64.URLEncoding.DecodeString, base64.RawURLEncoding.DecodeString,
	} {
		if key, err := decode(text); err == nil && len(key) == Size {
			if slices.Equal(key, make([]byte, Size)) {
				return nil, errors.New("all zeros is no key")
			}
			return key, nil
		}
	}
	return nil, errKey
}

// add derives from a key its name and what it encrypts with: the name, which is
// stored in plain, tells nothing of either.
func (r *Keyring) add(key []byte) error {
	name, err := hkdf.Key(sha256.New, key, nil, "starling keyring: id", 6)
	if err != nil {
		return err
	}
	id := hex.EncodeToString(name)
	if r.find(id) != nil {
		return errors.New("it is there twice")
	}
	secret, err := hkdf.Key(sha256.New, key, nil, "starling keyring: AES-256-GCM", Size)
	if err != nil {
		return err
	}
	block, err := aes.NewCipher(secret)
	if err != nil {
		return err
	}
	gcm, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return err
	}
	r.keys = append(r.keys, ringKey{id, gcm})
	return nil
}

func (r *Keyring) find(id string) *ringKey {
	for i := range r.keys {
		if r.keys[i].id == id {
			return &r.keys[i]
		}
	}
	return nil
}

// IDs names the keys, the one that seals first.
func (r *Keyring) IDs() []string {
	out := make([]string, len(r.keys))
	for i, k := range r.keys {
		out[i] = k.id
	}
	return out
}

// String names the keys.
func (r *Keyring) String() string { return "keys " + strings.Join(r.IDs(), ", ") }

// GoString hides the keys from %#v.
func (r *Keyring) GoString() string { return r.String() }

// Seal encrypts text with the first key, and names that key. What it is bound
// to has to be the same to open it.
func (r *Keyring) Seal(text []byte, boundTo string) (keyID string, sealed []byte) {
	k := r.keys[0]
	return k.id, k.gcm.Seal(nil, nil, text, []byte(boundTo))
}

// ErrKey says that something is sealed with a key that is not in the keyring.
var ErrKey = errors.New("sealed with another key")

// ErrSealed says that something does not open although its key is there: it is
// damaged, or bound to another text.
var ErrSealed = errors.New("it does not open: it is damaged, or was moved there from another name")

// Open decrypts what Seal has encrypted with one of the keys. The errors are
// ErrKey and ErrSealed.
func (r *Keyring) Open(keyID string, sealed []byte, boundTo string) ([]byte, error) {
	k := r.find(keyID)
	if k == nil {
		return nil, fmt.Errorf("%w: %.20q is not among %s", ErrKey, keyID, r)
	}
	text, err := k.gcm.Open(nil, nil, sealed, []byte(boundTo))
	if err != nil {
		return nil, ErrSealed
	}
	return text, nil
}
