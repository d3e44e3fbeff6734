package rules

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/starling-rules/starling/runtime"
)

// Hook is the route of a webhook rule, and how its requests are authenticated
// and decoded. It is immutable.
type Hook struct {
	// Methods are upper case, sorted; Path is the pattern without a trailing slash.
	Methods []string
	Path    string
	// FormParam is the form parameter that e.form is taken from; Raw leaves
	// the body undecoded.
	FormParam string
	Raw       bool
	// Secret is what requests prove to know, Signature the scheme in which
	// they do; both are empty if Open: anybody may call.
	Secret    runtime.Secret
	Signature string
	Open      bool

	segments []segment
}

// segment is one part of a path: a text, or a typed parameter.
type segment struct {
	text string // without parameter
	name string // of the parameter
	kind paramKind
}

// paramKind is the type of a path parameter. The order is that of precedence
// where several routes match: the more specific first.
type paramKind uint8

const (
	literal paramKind = iota
	uuidParam
	intParam
	floatParam
	textParam
	pathParam
)

var paramKinds = map[string]paramKind{"uuid": uuidParam, "int": intParam, "float": floatParam, "": textParam, "str": textParam, "path": pathParam}

var (
	uuidText  = regexp.MustCompile(`^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$`)
	intText   = regexp.MustCompile(`^[0-9]{1,18}$`)
	floatText = regexp.MustCompile(`^[0-9]{1,18}(\.[0-9]{1,18})?$`)
)

// httpMethods are those that a webhook may name.
var httpMethods = []string{"DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"}

// signatures are the schemes that the way in can check, the default first.
var signatures = []string{"github", "hmac-sha256"}

// reserved are the paths that Starling answers itself (SPEC §4, §11).
var reserved = []string{"/slack", "/api/v1", "/api/v2", "/healthcheck", "/healthz", "/readyz", "/metrics"}

// ParseRoute reads "POST /hooks/{repo}/{n:int}". Without a method it is POST;
// several are joined by commas.
func ParseRoute(route string) (*Hook, error) {
	if err := atMost("the route", route, MaxRoute); err != nil {
		return nil, err
	}
	h := &Hook{Methods: []string{"POST"}}
	p := strings.TrimSpace(route)
	if methods, rest, ok := strings.Cut(p, " "); ok {
		h.Methods = strings.Split(methods, ",")
		for _, m := range h.Methods {
			if !slices.Contains(httpMethods, m) {
				return nil, fmt.Errorf("%q is no method: %s", m, strings.Join(httpMethods, " "))
			}
		}
		slices.Sort(h.Methods)
		h.Methods = slices.Compact(h.Methods)
		p = strings.TrimSpace(rest)
	}
	if !strings.HasPrefix(p, "/") {
		return nil, fmt.Errorf("path %q must begin with a slash", p)
	}
	h.Path = trimSlash(p)
	for _, r := range reserved {
		if h.Path == r || strings.HasPrefix(h.Path, r+"/") {
			return nil, fmt.Errorf("path %q belongs to Starling itself", h.Path)
		}
	}
	return h, h.parseSegments()
}

func (h *Hook) parseSegments() error {
	seen := map[string]bool{}
	parts := splitPath(h.Path)
	if len(parts) > MaxParts {
		return fmt.Errorf("the path has %d parts, at most %d are allowed", len(parts), MaxParts)
	}
	for i, p := range parts {
		inner, isParam := strings.CutPrefix(p, "{")
		if !isParam {
			if p == "" || p == "." || p == ".." || strings.ContainsAny(p, "{}?# \t") {
				return fmt.Errorf("bad part %q of the path: a text, or a whole part in braces", p)
			}
			h.segments = append(h.segments, segment{text: p})
			continue
		}
		inner, ok := strings.CutSuffix(inner, "}")
		name, typ, _ := strings.Cut(inner, ":")
		kind, known := paramKinds[typ]
		switch {
		case !ok || !identifier.MatchString(name):
			return fmt.Errorf("bad part %q of the path: write {name} or {name:int}", p)
		case !known:
			return fmt.Errorf("unknown type %q in %s: int, float, path or uuid", typ, p)
		case seen[name]:
			return fmt.Errorf("two parameters are called %q", name)
		case kind == pathParam && i != len(parts)-1:
			return fmt.Errorf("%s must be the last part: it takes the rest of the path", p)
		}
		seen[name] = true
		h.segments = append(h.segments, segment{name: name, kind: kind})
	}
	return nil
}

func trimSlash(p string) string {
	if len(p) > 1 {
		p = strings.TrimSuffix(p, "/")
	}
	return p
}

// splitPath returns the parts of a path that begins with a slash.
func splitPath(p string) []string {
	if p == "/" {
		return nil
	}
	return strings.Split(p[1:], "/")
}

// match returns the parameters of a path as it was sent, or ok = false. Parts
// are decoded after the path was split: an encoded slash separates nothing.
func (h *Hook) match(path string) (params *runtime.Dict, ok bool) {
	params = &runtime.Dict{}
	rest := strings.TrimPrefix(trimSlash(path), "/")
	more := rest != ""
	for _, s := range h.segments {
		if !more {
			return nil, false
		}
		var part string
		if s.kind == pathParam {
			part, rest, more = rest, "", false
		} else {
			part, rest, more = strings.Cut(rest, "/")
		}
		part, ok := unescape(part)
		if !ok {
			return nil, false
		}
		if s.kind == literal {
			if part != s.text {
				return nil, false
			}
			continue
		}
		v, ok := s.value(part)
		if !ok {
			return nil, false
		}
		params.Set(s.name, v)
	}
	return params, !more
}

func unescape(s string) (string, bool) {
	if strings.IndexByte(s, '%') < 0 {
		return s, true
	}
	s, err := url.PathUnescape(s)
	return s, err == nil
}

func (s *segment) value(part string) (runtime.Value, bool) {
	switch s.kind {
	case intParam:
		n, err := strconv.ParseInt(part, 10, 64)
		return n, err == nil && intText.MatchString(part)
	case floatParam:
		f, err := strconv.ParseFloat(part, 64)
		return f, err == nil && floatText.MatchString(part)
	case uuidParam:
		return part, uuidText.MatchString(part)
	}
	return part, part != ""
}

// shape is equal for routes that no path can tell apart.
func (h *Hook) shape() string {
	var b strings.Builder
	for _, s := range h.segments {
		b.WriteByte('/')
		if s.kind == literal {
			b.WriteString(s.text)
		} else {
			b.WriteByte('{')
			b.WriteByte('0' + byte(s.kind))
		}
	}
	return b.String()
}

// moreSpecific orders routes that match the same path.
func (h *Hook) moreSpecific(o *Hook) bool {
	for i := range min(len(h.segments), len(o.segments)) {
		if a, b := h.segments[i].kind, o.segments[i].kind; a != b {
			return a < b
		}
	}
	return len(h.segments) > len(o.segments)
}

// prefix is the part of the path before the first parameter.
func (h *Hook) prefix() string {
	var b strings.Builder
	for _, s := range h.segments {
		if s.kind != literal {
			break
		}
		b.WriteString("/" + s.text)
	}
	return b.String()
}

// webhook reads the route and the options of a webhook rule.
func (c *compiler) webhook(r *Rule, v runtime.Value) {
	p, ok := c.pattern(v)
	if !ok {
		return
	}
	r.Pattern = p
	h, err := ParseRoute(p)
	if err != nil {
		c.fail("route", "for example \"POST /hooks/github/{repo}\"", "%s: bad route: %v", c.reg.Name, err)
		return
	}
	h.FormParam, h.Raw, h.Open, h.Signature = c.str("form_param"), c.flag("raw", false), c.flag("open", false), c.str("signature")
	switch s, _ := c.args.Get("secret"); s := s.(type) {
	case nil:
	case string:
		if s != "" {
			h.Secret = runtime.Secret{Parts: []runtime.SecretPart{{Text: s}}}
		}
	case runtime.Secret:
		h.Secret = s
	default:
		c.wrongType("secret", "a text or secret(\"NAME\")", s)
	}
	secret := len(h.Secret.Parts) > 0
	switch {
	case h.Signature != "" && !slices.Contains(signatures, h.Signature):
		c.fail("signature", didYouMean(h.Signature, signatures), "%s: unknown signature scheme %q: %s", c.reg.Name, h.Signature, strings.Join(signatures, ", "))
	case c.perhaps("secret", "open", "signature"):
	case !secret && h.Signature != "":
		c.fail("signature", "add secret=secret(\"NAME\")", "%s: a signature needs a secret that is not empty", c.reg.Name)
	case !secret && !h.Open:
		c.fail("", "add secret=secret(\"NAME\"), signature=\"github\", or open=True if anybody may call it",
			"%s: nothing says who may call %s", c.reg.Name, h.Path)
	case secret && h.Open:
		c.fail("open", "", "%s: a route is open or has a secret, not both", c.reg.Name)
	case secret && h.Signature == "":
		h.Signature = signatures[0]
	}
	if h.Raw && h.FormParam != "" {
		c.fail("raw", "", "%s: raw=True leaves the body undecoded, so form_param cannot be read", c.reg.Name)
	}
	r.Hook = h
}

// router finds the webhook rules of a path by the part before the first
// parameter: one map look-up for each prefix of the path.
type router map[string][]*Rule

func (rt router) add(r *Rule) {
	p := r.Hook.prefix()
	rt[p] = append(rt[p], r)
}

// candidates calls f for every rule whose route may match the path.
func (rt router) candidates(path string, f func(*Rule)) {
	path, ok := unescape(trimSlash(path))
	if !ok {
		return
	}
	if path == "/" {
		path = ""
	}
	for {
		for _, r := range rt[path] {
			f(r)
		}
		i := strings.LastIndexByte(path, '/')
		if i < 0 {
			return
		}
		path = path[:i]
	}
}

// Webhook finds the rule that answers a request, and the parameters in its
// path, which is as it was sent: encoded, with a leading slash. If the path is
// known but not with that method, found is false and allow lists the methods
// that it is known with.
func (s *Set) Webhook(method, path string) (rule *Rule, params *runtime.Dict, found bool, allow []string) {
	s.routes.candidates(path, func(r *Rule) {
		p, ok := r.Hook.match(path)
		if !ok {
			return
		}
		allow = append(allow, r.Hook.Methods...)
		if slices.Contains(r.Hook.Methods, method) && (rule == nil || preferred(r, rule)) {
			rule, params = r, p
		}
	})
	slices.Sort(allow)
	return rule, params, rule != nil, slices.Compact(allow)
}
