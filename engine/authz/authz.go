// Package authz decides who may use the HTTP API. What is not allowed is refused.
//
//	Policy    the configuration, compiled
//	Request   what a decision is made from
//	Decision  allowed or not, why, for whom, and what the caller may do
//
// A caller that sends a key is judged by that key alone; any other by the
// checks, all of which have to let it in:
//
//	Authorization: Bearer KEY ──► keys: methods, paths, bots, Slack methods
//	no such header            ──► check 1 ──► check 2 ──► …  (none at all: refused)
//
// Headers that a proxy sets (x-envoy-*) count only when a trusted proxy sent
// them. Every pattern has to match the whole of what it is compared with.
//
// The package knows no HTTP server, and no key: only hashes of keys.
package authz

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"path"
	"regexp"
	"slices"
	"sort"
	"strings"

	"github.com/starling-rules/starling/engine/config"
)

// Request is what a decision is made from.
type Request struct {
	Method string
	// Path is the path that is served: no escapes, no query.
	Path string
	// Header returns a header and whether it was sent, exactly once.
	Header func(name string) (value string, once bool)
	// Trusted says that a trusted proxy sent the request.
	Trusted bool
}

// Decision is what became of a request.
type Decision struct {
	Allowed bool
	// Unknown says that a key was sent that nobody has.
	Unknown bool
	// Caller is the name of the key, or the identity that the proxy gave;
	// empty if nobody said who calls.
	Caller string
	// Reason is why, for the log: it holds nothing that was sent.
	Reason string

	key *key // nil: not bound by a key
}

// Policy decides. It is immutable and safe for concurrent use. The zero value
// refuses everything.
type Policy struct {
	checks []check
	keys   []key
}

type check struct {
	name string
	// let reports whether the check lets a request in, and who the caller is if it knows.
	let func(Request) (caller string, ok bool)
}

type key struct {
	name    string
	hashes  [][sha256.Size]byte
	methods []string
	paths   patterns
	bots    []string
	slack   []string
}

// New compiles a configuration that config.Load has accepted; its errors name
// what Load would have refused.
func New(c config.Authorization) (*Policy, error) {
	p := &Policy{}
	perms, err := compilePermissions(c.Permissions)
	if err != nil {
		return nil, err
	}
	for _, ch := range c.Checks {
		let, err := compileCheck(ch, c, perms)
		if err != nil {
			return nil, fmt.Errorf("compile check %s: %w", ch.Module, err)
		}
		_, name, _ := strings.Cut(ch.Module, ":")
		p.checks = append(p.checks, check{name, let})
	}
	for name, k := range c.Keys {
		compiled, err := compileKey(name, k)
		if err != nil {
			return nil, fmt.Errorf("compile key %s: %w", name, err)
		}
		p.keys = append(p.keys, compiled)
	}
	sort.Slice(p.keys, func(i, j int) bool { return p.keys[i].name < p.keys[j].name })
	return p, nil
}

// Decide decides on a request. Which bot and which Slack method it is about is
// for MayUse, MayCall and MaySee of the decision.
func (p *Policy) Decide(r Request) Decision {
	if text, once := r.Header("Authorization"); once || text != "" {
		return p.byKey(r, text, once)
	}
	if len(p.checks) == 0 {
		return Decision{Reason: "no checks are configured"}
	}
	var d Decision
	for _, c := range p.checks {
		caller, ok := c.let(r)
		if caller != "" {
			d.Caller = caller
		}
		if !ok {
			d.Reason = c.name + " refuses"
			return d
		}
	}
	d.Allowed, d.Reason = true, "checks"
	return d
}

// byKey judges a caller that sent an Authorization header.
func (p *Policy) byKey(r Request, text string, once bool) Decision {
	scheme, secret, _ := strings.Cut(text, " ")
	secret = strings.TrimLeft(secret, " ")
	if !once || !strings.EqualFold(scheme, "Bearer") || secret == "" {
		return Decision{Unknown: true, Reason: "no bearer key"}
	}
	k := p.find(secret)
	switch {
	case k == nil:
		return Decision{Unknown: true, Reason: "unknown key"}
	case !slices.Contains(k.methods, r.Method) && !slices.Contains(k.methods, "*"):
		return Decision{Caller: k.name, Reason: "method not allowed for the key"}
	case len(k.paths) > 0 && !k.paths.match(r.Path):
		return Decision{Caller: k.name, Reason: "path not allowed for the key"}
	}
	return Decision{Allowed: true, Caller: k.name, Reason: "key", key: k}
}

// find returns the key that a secret is of. All are compared, whichever matches.
func (p *Policy) find(secret string) *key {
	sum := sha256.Sum256([]byte(secret))
	found := -1
	for i, k := range p.keys {
		for _, h := range k.hashes {
			same := subtle.ConstantTimeCompare(sum[:], h[:])
			found = subtle.ConstantTimeSelect(same, i, found)
		}
	}
	if found < 0 {
		return nil
	}
	return &p.keys[found]
}

// MayUse reports whether the caller may act as a bot.
func (d Decision) MayUse(team, bot string) bool {
	return d.Allowed && (d.key == nil || slices.ContainsFunc(d.key.bots, func(b string) bool {
		t, n, _ := strings.Cut(b, "/")
		return (t == "*" || t == team) && (n == "*" || n == bot)
	}))
}

// MaySee reports whether the caller may know of a team: whether it has a bot there.
func (d Decision) MaySee(team string) bool {
	return d.Allowed && (d.key == nil || slices.ContainsFunc(d.key.bots, func(b string) bool {
		t, _, _ := strings.Cut(b, "/")
		return t == "*" || t == team
	}))
}

// MayCall reports whether the caller may call a method of the Web API.
func (d Decision) MayCall(method string) bool {
	return d.Allowed && (d.key == nil || slices.ContainsFunc(d.key.slack, func(pattern string) bool {
		ok, _ := path.Match(pattern, method)
		return ok
	}))
}

func compileKey(name string, k config.APIKey) (key, error) {
	out := key{name: name, methods: k.Methods, bots: k.Bots, slack: k.SlackMethods}
	for _, text := range k.Hashes {
		var h [sha256.Size]byte
		digits, _ := strings.CutPrefix(text, "sha256:")
		if n, err := hex.Decode(h[:], []byte(digits)[:min(len(digits), 2*sha256.Size)]); err != nil || n != sha256.Size {
			return out, fmt.Errorf("hash: want sha256: and 64 hexadecimal digits")
		}
		out.hashes = append(out.hashes, h)
	}
	var err error
	out.paths, err = compilePatterns(k.Paths)
	return out, err
}

// patterns match a text from its beginning to its end.
type patterns []*regexp.Regexp

func compilePatterns(list []string) (patterns, error) {
	out := make(patterns, len(list))
	for i, text := range list {
		// Alone first: "a)|(b" is a pattern only inside other brackets.
		if _, err := regexp.Compile(text); err != nil {
			return nil, fmt.Errorf("compile pattern: %w", err)
		}
		re, err := regexp.Compile(`^(?:` + text + `)$`)
		if err != nil {
			return nil, fmt.Errorf("compile pattern: %w", err)
		}
		out[i] = re
	}
	return out, nil
}

func (p patterns) match(text string) bool {
	return slices.ContainsFunc(p, func(re *regexp.Regexp) bool { return re.MatchString(text) })
}
