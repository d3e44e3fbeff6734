package rules

import (
	"errors"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/hook"
	"github.com/starling-rules/starling/runtime"
)

// Hook is the route of a webhook rule, and how its requests are authenticated,
// bounded and decoded. It is immutable.
type Hook struct {
	// Methods are upper case, sorted; Path is the pattern without a trailing slash.
	Methods []string
	Path    string
	// FormParam is the form parameter that e.form is taken from; Raw takes
	// bodies in that cannot be decoded.
	FormParam string
	Raw       bool

	// Open lets anybody call. Else what is set of the following must hold:
	// Signature with one of Secrets, one of the tokens of Bearer, one of the
	// "user:password" of Basic, an address of Allow.
	Open          bool
	Signature     hook.Signature
	Secrets       []runtime.Secret
	Bearer, Basic []runtime.Secret
	Allow         []netip.Prefix
	Rate          hook.Rate
	MaxBody       int // bytes; 0: the server's own limit
	Dedupe        hook.Dedupe
	segments      []segment
}

// Guard says in a few words who may call: for listings.
func (h *Hook) Guard() string {
	if h.Open {
		return "open"
	}
	var parts []string
	if h.Signature.Scheme != "" {
		parts = append(parts, h.Signature.Scheme)
	}
	if len(h.Bearer) > 0 {
		parts = append(parts, "bearer")
	}
	if len(h.Basic) > 0 {
		parts = append(parts, "basic")
	}
	if len(h.Allow) > 0 {
		parts = append(parts, "addresses")
	}
	return strings.Join(parts, "+")
}

// Lock expands the secrets. One that lookup does not know opens nothing.
func (h *Hook) Lock(lookup func(name string) (string, bool)) *hook.Lock {
	expand := func(list []runtime.Secret) (out []string) {
		for _, s := range list {
			if text, ok := expandSecret(s, lookup); ok {
				out = append(out, text)
			}
		}
		return out
	}
	l := &hook.Lock{
		Open: h.Open, Allow: h.Allow, Signature: h.Signature,
		Secrets: expand(h.Secrets), Bearer: expand(h.Bearer), Basic: expand(h.Basic),
	}
	l.Wants.Bearer, l.Wants.Basic = len(h.Bearer) > 0, len(h.Basic) > 0
	return l
}

func expandSecret(s runtime.Secret, lookup func(string) (string, bool)) (string, bool) {
	var b strings.Builder
	for _, p := range s.Parts {
		b.WriteString(p.Text)
		if p.Name != "" {
			v, ok := lookup(p.Name)
			if !ok || v == "" {
				return "", false
			}
			b.WriteString(v)
		}
	}
	return b.String(), true
}

// CheckBody says what is wrong with the body of a request, as the sender is
// told with status 400; nil if the rule can make use of it.
func (h *Hook) CheckBody(contentType string, body []byte) error {
	if h.Raw {
		return nil
	}
	return event.CheckBody(contentType, body, h.FormParam)
}

// webhook reads the route and the options of a webhook rule.
func (c *compiler) webhook(r *Rule, v runtime.Value) {
	p, ok := c.pattern(v)
	if !ok {
		return
	}
	r.Pattern = p
	before := len(c.errs)
	h, err := ParseRoute(p)
	if err != nil {
		c.fail("route", "for example \"POST /hooks/github/{repo}\"", "%s: bad route: %v", c.reg.Name, err)
		return
	}
	h.FormParam, h.Raw, h.Open = c.str("form_param"), c.flag("raw", false), c.flag("open", false)
	if h.Raw && h.FormParam != "" {
		c.fail("raw", "", "%s: raw=True leaves the body undecoded, so form_param cannot be read", c.reg.Name)
	}
	h.Secrets, h.Bearer, h.Basic = c.secretList("secret"), c.secretList("bearer"), c.secretList("basic")
	c.signature(h)
	c.allowed(h)
	if len(c.errs) == before { // who may call is said, only badly
		c.guarded(h)
	}
	c.bounds(h)
	r.Hook = h
}

// hookOptions are those of webhooks beside the common ones.
var hookOptions = []string{
	"form_param", "raw", "open", "secret", "signature", "header", "algorithm", "encoding", "prefix", "timestamp", "tolerance",
	"bearer", "basic", "allow", "rate", "max_body", "dedupe",
}

// handlerAlone moves a handler that was given without a route to its place.
func handlerAlone(args *runtime.Dict) *runtime.Dict {
	f, _ := args.Get("route")
	if _, is := f.(runtime.Func); !is {
		return args
	}
	if fn, _ := args.Get("fn"); fn != nil {
		return args
	}
	args = args.Clone()
	args.Delete("route")
	args.Set("fn", f)
	return args
}

// defaultRoute makes the path of a rule without one from the name of its
// handler, as Errbot does.
func (c *compiler) defaultRoute(r *Rule) {
	v, _ := c.args.Get("fn")
	f, is := v.(runtime.Func)
	switch {
	case !is: // that is said already
	case !identifier.MatchString(f.Name) || f.Name == "lambda":
		c.fail("", "for example \"POST /hooks/github/{repo}\"", "%s: the handler has no name to make a path of: give the route", c.reg.Name)
	default:
		c.webhook(r, "/"+f.Name)
	}
}

// secretList reads a text, a secret, or a list of such.
func (c *compiler) secretList(name string) []runtime.Secret {
	v, ok := c.args.Get(name)
	if !ok || v == nil {
		return nil
	}
	list, is := v.(runtime.List)
	if !is {
		list = runtime.List{v}
	}
	var out []runtime.Secret
	for _, e := range list {
		switch s := e.(type) {
		case runtime.Unknown:
		case string:
			if s != "" {
				out = append(out, runtime.Secret{Parts: []runtime.SecretPart{{Text: s}}})
				continue
			}
			c.fail(name, name+"=secret(\"NAME\")", "%s: %s is empty", c.reg.Name, name)
		case runtime.Secret:
			if len(s.Parts) > 0 {
				out = append(out, s)
			}
		default:
			c.wrongType(name, "a text, secret(\"NAME\"), or a list of them", e)
		}
	}
	if len(list) == 0 || len(out) > MaxSecrets {
		c.fail(name, "", "%s: %s has %d entries, want 1 to %d", c.reg.Name, name, len(list), MaxSecrets)
	}
	for _, s := range out {
		if name == "basic" && len(s.Parts) == 1 && s.Parts[0].Name == "" && !strings.Contains(s.Parts[0].Text, ":") {
			c.fail(name, "", "%s: basic must be \"user:password\"", c.reg.Name)
		}
	}
	return out
}

// MaxSecrets bounds the secrets of a hook: each costs every request an HMAC.
const MaxSecrets = 8

// signature reads the scheme and what it can be told.
func (c *compiler) signature(h *Hook) {
	s := hook.Signature{
		Scheme: c.str("signature"), Header: c.str("header"), Algorithm: c.str("algorithm"),
		Encoding: c.str("encoding"), Prefix: c.str("prefix"), Timestamp: c.str("timestamp"), Tolerance: c.duration("tolerance"),
	}
	switch {
	case s.Scheme == "bearer" || s.Scheme == "basic":
		c.fail("signature", "write "+s.Scheme+"=secret(\"NAME\") instead", "%s: %s is no signature", c.reg.Name, s.Scheme)
		return
	case s.Scheme != "" && !slices.Contains(hook.Schemes, s.Scheme):
		c.fail("signature", didYouMean(s.Scheme, hook.Schemes), "%s: unknown signature scheme %q: %s", c.reg.Name, s.Scheme, strings.Join(hook.Schemes, ", "))
		return
	case s.Scheme == "" && len(h.Secrets) > 0:
		s.Scheme = hook.Schemes[0]
		if s.Header != "" || s.Algorithm != "" || s.Encoding != "" || s.Prefix != "" {
			s.Scheme = hook.HMAC
		}
	}
	named := s.Named()
	for _, o := range []string{"header", "algorithm", "encoding", "prefix", "timestamp", "tolerance"} {
		if v, _ := c.args.Get(o); v != nil && !slices.Contains(named, o) && !c.perhaps("signature", "secret") {
			hint := "leave it out"
			if s.Scheme == "" {
				hint = "add secret=secret(\"NAME\") and signature="
			}
			c.fail(o, hint, "%s: %s says nothing about the signature %q", c.reg.Name, o, s.Scheme)
		}
	}
	for _, o := range []struct {
		name, value string
		known       []string
	}{{"algorithm", s.Algorithm, hook.Algorithms}, {"encoding", s.Encoding, hook.Encodings}} {
		if o.value != "" && !slices.Contains(o.known, o.value) {
			c.fail(o.name, didYouMean(o.value, o.known), "%s: unknown %s %q: %s", c.reg.Name, o.name, o.value, strings.Join(o.known, ", "))
		}
	}
	for _, o := range []struct{ name, value string }{{"header", s.Header}, {"timestamp", s.Timestamp}} {
		c.headerName(o.name, o.value)
	}
	if s.Tolerance < 0 || s.Tolerance > time.Hour {
		c.fail("tolerance", "", "%s: tolerance must be at most an hour", c.reg.Name)
	}
	h.Signature = s
}

func (c *compiler) headerName(option, name string) {
	for i := range len(name) {
		if b := name[i]; b <= ' ' || b >= 0x7f || strings.IndexByte("()<>@,;:\\\"/[]?={}", b) >= 0 {
			c.fail(option, "", "%s: %q is not the name of a header", c.reg.Name, name)
			return
		}
	}
}

// allowed reads the addresses.
func (c *compiler) allowed(h *Hook) {
	list := c.list("allow")
	if len(list) > MaxTeams {
		c.fail("allow", "", "%s: allow has %d entries, at most %d are allowed", c.reg.Name, len(list), MaxTeams)
		return
	}
	var bad string
	if h.Allow, bad = hook.ParseAddresses(list); bad != "" {
		c.fail("allow", "such as \"192.0.2.7\" or \"10.0.0.0/8\"", "%s: %q is neither an address nor a range of addresses", c.reg.Name, bad)
	}
}

// guarded refuses a hook of which nothing says who may call it, and one that
// contradicts itself.
func (c *compiler) guarded(h *Hook) {
	name := c.reg.Name
	locked := len(h.Secrets)+len(h.Bearer)+len(h.Basic)+len(h.Allow) > 0
	switch {
	case c.perhaps("secret", "bearer", "basic", "allow", "open", "signature"):
	case h.Signature.Scheme != "" && len(h.Secrets) == 0:
		c.fail("signature", "add secret=secret(\"NAME\")", "%s: a signature needs a secret that is not empty", name)
	case !locked && !h.Open:
		c.fail("", "add secret=secret(\"NAME\"), signature=\"github\", or bearer=, basic= or allow=, or open=True if anybody may call it",
			"%s: nothing says who may call %s", name, h.Path)
	case locked && h.Open:
		c.fail("open", "", "%s: a route is open or it is guarded, not both", name)
	case len(h.Bearer) > 0 && len(h.Basic) > 0:
		c.fail("basic", "", "%s: a request has one Authorization header: ask for bearer or for basic", name)
	case strings.EqualFold(h.Signature.Header, "authorization") && len(h.Bearer)+len(h.Basic) > 0:
		c.fail("header", "", "%s: the Authorization header holds a token or a signature, not both", name)
	}
}

// bounds reads how often and with how much the hook may be called, and what
// makes two requests one.
func (c *compiler) bounds(h *Hook) {
	if text := c.str("rate"); text != "" {
		rate, err := hook.ParseRate(text)
		if err != nil {
			c.fail("rate", "for example \"60/m\"", "%s: bad rate: %v", c.reg.Name, err)
		}
		h.Rate = rate
	}
	if v, _ := c.args.Get("max_body"); v != nil {
		n, err := parseBytes(v)
		if err != nil {
			c.fail("max_body", "for example \"64KiB\"", "%s: bad max_body: %v", c.reg.Name, err)
		}
		h.MaxBody = n
	}
	switch v, _ := c.args.Get("dedupe"); v := v.(type) {
	case nil, runtime.Unknown:
	case bool:
		h.Dedupe.Off = !v
	case string:
		c.headerName("dedupe", v)
		h.Dedupe.Header = v
	default:
		c.wrongType("dedupe", "the name of a header, or False", v)
	}
}

// byteUnits are the units of max_body: those of limits.body.
var byteUnits = []struct {
	suffix string
	factor int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"KB", 1e3}, {"MB", 1e6}, {"B", 1}, {"", 1}}

// parseBytes reads a number of bytes, or a text such as "64KiB".
func parseBytes(v runtime.Value) (int, error) {
	n, is := v.(int64)
	switch v := v.(type) {
	case float64: // Lua has no other numbers
		n, is = int64(v), v == math.Trunc(v)
	case string:
		for _, u := range byteUnits {
			if num, ok := strings.CutSuffix(v, u.suffix); ok {
				k, err := strconv.ParseInt(strings.TrimSpace(num), 10, 32)
				n, is = k*u.factor, err == nil
				break
			}
		}
	}
	if !is || n < 1 || n > 1<<30 {
		return 0, errors.New("want a size from 1 byte to 1024MiB")
	}
	return int(n), nil
}
