// Package hook decides who may call a webhook, and how often.
//
//	Lock        what a caller must prove: signature, bearer token, user and
//	            password, address; all that is set must hold
//	Signature   a scheme in which senders sign: GitHub's, Stripe's, …, or HMAC
//	            with header, algorithm, encoding and prefix; it verifies and signs
//	Rate        so many requests in so much time; Limiter keeps to it
//	Dedupe      what names a delivery, so that its copies are known
//
// The way in, the runner of tests and the command line use the same code. The
// package knows no HTTP server, no rules and no scripts; secrets come in as
// texts and leave it in no error and no log.
package hook

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/netip"
	"strings"
	"time"
)

// Request is what a caller sent, as far as it proves anything. Nothing of it
// is kept.
type Request struct {
	// Header returns all values of a header, by its name in any letter case.
	Header func(name string) []string
	Body   []byte
	// Remote is the client's address.
	Remote netip.Addr
}

// Lock says who may call. The zero Lock lets nobody in. Safe for concurrent
// use while it is not changed.
type Lock struct {
	// Open lets anybody in, whatever else is set.
	Open bool
	// Allow are the addresses that may call; nil is all.
	Allow []netip.Prefix
	// Signature is how Secrets are proved; its zero value asks for none. Any of
	// the secrets will do: there are several while they change.
	Signature Signature
	Secrets   []string
	// Bearer are the tokens of which `Authorization: Bearer` must hold one.
	// With Wants.Bearer and no token nobody has it.
	Bearer []string
	// Basic are the "user:password" of which `Authorization: Basic` must hold one.
	Basic []string
	// Wants says which of Bearer and Basic are asked for, though none may be known.
	Wants struct{ Bearer, Basic bool }
}

// Admits reports whether the caller has proved all that the lock asks for.
func (l *Lock) Admits(r *Request, now time.Time) bool {
	if l.Open {
		return true
	}
	proved := false
	if l.Allow != nil {
		if !contains(l.Allow, r.Remote) {
			return false
		}
		proved = true
	}
	if l.Signature.Scheme != "" {
		if !l.Signature.verify(r, l.Secrets, now) {
			return false
		}
		proved = true
	}
	if l.Wants.Bearer {
		if !oneOf(credentials(r, "bearer"), l.Bearer) {
			return false
		}
		proved = true
	}
	if l.Wants.Basic {
		pair, err := base64.StdEncoding.DecodeString(credentials(r, "basic"))
		if err != nil || !oneOf(string(pair), l.Basic) {
			return false
		}
		proved = true
	}
	return proved
}

// Hidden is what an event keeps in the place of a secret.
const Hidden = "***"

// Holds reports whether a header holds a secret itself, not what is made with
// it: such a header is Hidden from the rule, the store and the log.
func (l *Lock) Holds(header string) bool {
	switch {
	case l.Open:
		return false
	case (l.Wants.Bearer || l.Wants.Basic) && strings.EqualFold(header, "Authorization"):
		return true
	}
	return l.Signature.Scheme == GitLab && strings.EqualFold(header, l.Signature.header())
}

// Challenge is the WWW-Authenticate header of a refusal: clients that send
// user and password only when they are asked need it. "" is none.
func (l *Lock) Challenge() string {
	switch {
	case l.Open:
		return ""
	case l.Wants.Basic:
		return `Basic realm="webhook", charset="UTF-8"`
	case l.Wants.Bearer:
		return `Bearer realm="webhook"`
	}
	return ""
}

func contains(list []netip.Prefix, a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// credentials are what the one Authorization header holds after its scheme; ""
// if there is none, another one, or several.
func credentials(r *Request, scheme string) string {
	given, ok := only(r, "Authorization")
	if !ok {
		return ""
	}
	name, rest, _ := strings.Cut(given, " ")
	if !strings.EqualFold(name, scheme) {
		return ""
	}
	return strings.TrimSpace(rest)
}

// only returns the value of a header that is there once: one that is there
// twice is one that somebody added.
func only(r *Request, name string) (string, bool) {
	values := r.Header(name)
	if len(values) != 1 {
		return "", false
	}
	return values[0], true
}

// oneOf compares in a time that depends neither on where the texts differ nor
// on their lengths. Empty texts prove nothing.
func oneOf(given string, known []string) bool {
	is := sha256.Sum256([]byte(given))
	found := 0
	for _, k := range known {
		want := sha256.Sum256([]byte(k))
		same := subtle.ConstantTimeCompare(is[:], want[:])
		if k != "" {
			found |= same
		}
	}
	return found == 1 && given != ""
}

// ParseAddresses reads addresses and ranges of them: "192.0.2.7", "10.0.0.0/8".
func ParseAddresses(texts []string) (out []netip.Prefix, bad string) {
	for _, t := range texts {
		p, err := netip.ParsePrefix(t)
		if err != nil {
			a, err := netip.ParseAddr(t)
			if err != nil || a.Zone() != "" {
				return nil, t
			}
			a = a.Unmap()
			p = netip.PrefixFrom(a, a.BitLen())
		}
		if p.Addr().Is4In6() { // a request's address is compared as IPv4
			if p.Bits() < 96 {
				return nil, t
			}
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		out = append(out, p.Masked())
	}
	return out, ""
}

// Client is the address of the client of a request: that of the connection,
// or, if that is a trusted proxy, what it says: the last address of
// x-forwarded-for that is none of a trusted proxy. What cannot be read ends
// the way back, for everything before it is the word of a stranger.
func Client(peer netip.Addr, trusted []netip.Prefix, forwarded []string) netip.Addr {
	at := peer.Unmap()
	for i := len(forwarded) - 1; i >= 0; i-- {
		for rest, more := forwarded[i], true; more; {
			if !contains(trusted, at) {
				return at
			}
			hop := rest
			if cut := strings.LastIndexByte(rest, ','); cut >= 0 {
				rest, hop = rest[:cut], rest[cut+1:]
			} else {
				more = false
			}
			next, ok := parseHop(strings.TrimSpace(hop))
			if !ok {
				return at
			}
			at = next
		}
	}
	return at
}

// parseHop reads an address of x-forwarded-for; some proxies add the port.
func parseHop(s string) (netip.Addr, bool) {
	if a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")); err == nil {
		return a.Unmap().WithZone(""), true
	}
	p, err := netip.ParseAddrPort(s)
	return p.Addr().Unmap().WithZone(""), err == nil
}
