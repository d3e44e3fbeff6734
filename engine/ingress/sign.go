package ingress

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"hash"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Secret is one signing secret and the configured name of the app (or bot)
// that it belongs to. It does not print its value.
type Secret struct {
	App   string
	Value string
}

// String hides the value.
func (s Secret) String() string { return s.App + ":***" }

// GoString hides the value from %#v.
func (s Secret) GoString() string { return s.String() }

// LogValue hides the value from slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// Verifier checks Slack's v0 request signatures. It is safe for concurrent
// use, also of SetSecrets. It allocates nothing per request.
type Verifier struct {
	ring atomic.Pointer[keyring]
	skew int64 // seconds
}

// keyring is one set of secrets, with hashes that are ready to use.
type keyring struct {
	names []string
	macs  sync.Pool
}

type macs struct {
	hashes []hash.Hash
	sum    [sha256.Size]byte
	want   [sha256.Size]byte
}

// NewVerifier makes a verifier. A signature's timestamp may differ from the
// clock by maxSkew in either direction. Empty secrets are left out: an empty
// key would let anyone in.
func NewVerifier(maxSkew time.Duration, secrets ...Secret) *Verifier {
	v := &Verifier{skew: int64(maxSkew / time.Second)}
	v.SetSecrets(secrets...)
	return v
}

// SetSecrets replaces the secrets, for rotation.
func (v *Verifier) SetSecrets(secrets ...Secret) {
	r := &keyring{}
	var keys [][]byte
	for _, s := range secrets {
		if s.Value != "" {
			r.names = append(r.names, s.App)
			keys = append(keys, []byte(s.Value))
		}
	}
	r.macs.New = func() any {
		m := &macs{hashes: make([]hash.Hash, len(keys))}
		for i, k := range keys {
			m.hashes[i] = hmac.New(sha256.New, k)
		}
		return m
	}
	v.ring.Store(r)
}

var (
	versionPart = []byte("v0:")
	colonPart   = []byte(":")
)

// Verify reports whether signature is that of timestamp and body at time now,
// by any of the secrets, and the name of the app whose secret it is. Only the
// forms that Slack itself writes are accepted: v0= and 64 lower-case
// hexadecimal digits; decimal seconds without sign, space or leading zero.
// Every secret is tried, whichever matches.
func (v *Verifier) Verify(signature, timestamp, body []byte, now time.Time) (app string, ok bool) {
	at, good := parseTimestamp(timestamp)
	if !good {
		return "", false
	}
	if d := now.Unix() - at; d > v.skew || d < -v.skew {
		return "", false
	}
	ring := v.ring.Load()
	m := ring.macs.Get().(*macs)
	defer ring.macs.Put(m)
	if !decodeSignature(m.want[:], signature) {
		return "", false
	}
	matched := -1
	for i, h := range m.hashes {
		h.Reset()
		h.Write(versionPart)
		h.Write(timestamp)
		h.Write(colonPart)
		h.Write(body)
		h.Sum(m.sum[:0])
		same := subtle.ConstantTimeCompare(m.sum[:], m.want[:])
		// The first match counts; the rest is computed all the same.
		matched = subtle.ConstantTimeSelect(same&subtle.ConstantTimeEq(int32(matched), -1), i, matched)
	}
	clear(m.sum[:])
	if matched < 0 {
		return "", false
	}
	return ring.names[matched], true
}

// maxTimestamp is the longest timestamp that is read: seconds until the year 33658.
const maxTimestamp = 12

func parseTimestamp(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) > maxTimestamp || b[0] == '0' {
		return 0, false
	}
	var n int64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// decodeSignature decodes v0= and the hexadecimal digits into dst.
func decodeSignature(dst, s []byte) bool {
	if len(s) != 3+2*len(dst) || string(s[:3]) != "v0=" {
		return false
	}
	return decodeHex(dst, s[3:])
}

// decodeHex decodes lower-case hexadecimal digits that fill dst exactly.
func decodeHex(dst, s []byte) bool {
	if len(s) != 2*len(dst) {
		return false
	}
	for i := range dst {
		hi, lo := hexDigit(s[2*i]), hexDigit(s[2*i+1])
		if hi < 0 || lo < 0 {
			return false
		}
		dst[i] = byte(hi<<4 | lo)
	}
	return true
}

func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	}
	return -1
}

// Sign returns the signature of a body, as Slack would send it. The local
// Slack, `starling trigger` and tests use it.
func Sign(secret, timestamp string, body []byte) string {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write(versionPart)
	h.Write([]byte(timestamp))
	h.Write(colonPart)
	h.Write(body)
	return "v0=" + encodeHex(h.Sum(nil))
}

func encodeHex(b []byte) string {
	const digits = "0123456789abcdef"
	out := make([]byte, 0, 2*len(b))
	for _, c := range b {
		out = append(out, digits[c>>4], digits[c&15])
	}
	return string(out)
}
