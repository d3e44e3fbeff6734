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

// segment is one part of a path: a text, or a typed parameter.
type segment struct {
	text string // without parameter
	name string // of the parameter
	kind paramKind
	any  []string // the texts of which anyParam is one, sorted
}

// paramKind is the type of a path parameter. The order is that of precedence
// where several routes match: the more specific first.
type paramKind uint8

const (
	literal paramKind = iota
	anyParam
	uuidParam
	intParam
	floatParam
	textParam
	pathParam
)

var paramKinds = map[string]paramKind{"uuid": uuidParam, "int": intParam, "float": floatParam, "": textParam, "str": textParam, "path": pathParam}

// typeNames are the types as a hint lists them.
var typeNames = []string{"int", "float", "path", "uuid", "str", "any(one,other)"}

// httpMethods are those that a webhook may name.
var httpMethods = []string{"DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"}

// reserved are the paths that Starling answers itself (SPEC §4, §11).
var reserved = []string{"/slack", "/api", "/healthcheck", "/healthz", "/readyz", "/metrics"}

// MaxAny bounds the ways in which a route may be chosen by its any(…) parts:
// each of them is compared with the other routes.
const MaxAny = 64

// ParseRoute reads "POST /hooks/{repo}/{n:int}". Without a method it is POST;
// several are joined by commas.
func ParseRoute(route string) (*Hook, error) {
	if err := atMost("the route", route, MaxRoute); err != nil {
		return nil, err
	}
	h := &Hook{Methods: []string{"POST"}}
	p := strings.TrimSpace(route)
	if methods, rest, ok := strings.Cut(p, " "); ok && !strings.HasPrefix(p, "/") {
		h.Methods = strings.Split(methods, ",")
		for _, m := range h.Methods {
			if !slices.Contains(httpMethods, m) {
				return nil, fmt.Errorf("%q is no method: write them in upper case, GET,POST (%s)", m, strings.Join(httpMethods, " "))
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
	for _, p := range parts {
		s, err := parseSegment(p)
		if err != nil {
			return err
		}
		if s.kind != literal && seen[s.name] {
			return fmt.Errorf("two parameters are called %q", s.name)
		}
		if s.kind == pathParam && slices.ContainsFunc(h.segments, func(o segment) bool { return o.kind == pathParam }) {
			return fmt.Errorf("%s is the second path: nothing tells where the first one ends", p)
		}
		seen[s.name] = true
		h.segments = append(h.segments, s)
	}
	if n := len(h.shapes()); n > MaxAny {
		return fmt.Errorf("its any(…) come to %d paths, at most %d are allowed", n, MaxAny)
	}
	return nil
}

// angled is a parameter as Flask writes it.
var angled = regexp.MustCompile(`^<(?:([a-z]+):)?([A-Za-z_][A-Za-z0-9_]*)>$`)

func parseSegment(p string) (segment, error) {
	inner, isParam := strings.CutPrefix(p, "{")
	if !isParam {
		if m := angled.FindStringSubmatch(p); m != nil {
			return segment{}, fmt.Errorf("bad part %q of the path: write {%s}", p, strings.TrimSuffix(m[2]+":"+m[1], ":"))
		}
		if p == "" || p == "." || p == ".." || strings.ContainsAny(p, "{}<>?# \t") {
			return segment{}, fmt.Errorf("bad part %q of the path: a text, or a whole part in braces", p)
		}
		return segment{text: p}, nil
	}
	inner, closed := strings.CutSuffix(inner, "}")
	name, typ, _ := strings.Cut(inner, ":")
	if !closed || !identifier.MatchString(name) {
		return segment{}, fmt.Errorf("bad part %q of the path: write {name} or {name:int}", p)
	}
	if list, is := strings.CutPrefix(typ, "any("); is {
		list, is = strings.CutSuffix(list, ")")
		s := segment{name: name, kind: anyParam}
		for _, t := range strings.Split(list, ",") {
			if t = strings.TrimSpace(t); t == "" || !is {
				return segment{}, fmt.Errorf("bad part %q of the path: write {name:any(one,other)}", p)
			}
			s.any = append(s.any, t)
		}
		slices.Sort(s.any)
		s.any = slices.Compact(s.any)
		return s, nil
	}
	kind, known := paramKinds[typ]
	if !known {
		what := strings.Join(typeNames[:len(typeNames)-1], ", ") + " or " + typeNames[len(typeNames)-1]
		return segment{}, fmt.Errorf("unknown type %q in %s: %s", typ, p, what)
	}
	return segment{name: name, kind: kind}, nil
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

// cutPath is the path without its slashes at both ends; more tells whether
// there is any part in it.
func cutPath(path string) (rest string, more bool) {
	rest = strings.TrimPrefix(trimSlash(path), "/")
	return rest, rest != ""
}

// match returns the parameters of a path as it was sent, or ok = false. Parts
// are decoded after the path was split: an encoded slash separates nothing.
func (h *Hook) match(path string) (params *runtime.Dict, ok bool) {
	params = &runtime.Dict{}
	rest, more := cutPath(path)
	for i := range h.segments {
		s := &h.segments[i]
		if !more {
			return nil, false
		}
		var part string
		if s.kind == pathParam {
			if part, rest, more, ok = cutTail(rest, len(h.segments)-i-1); !ok {
				return nil, false
			}
		} else {
			part, rest, more = strings.Cut(rest, "/")
		}
		part, ok := unescape(part)
		if !ok || !s.accepts(part) {
			return nil, false
		}
		if s.kind != literal {
			params.Set(s.name, s.value(part))
		}
	}
	return params, !more
}

// cutTail cuts the last n parts off a path.
func cutTail(path string, n int) (head, tail string, more, ok bool) {
	if n == 0 {
		return path, "", false, true
	}
	at := len(path)
	for range n {
		if at = strings.LastIndexByte(path[:at], '/'); at < 0 {
			return "", "", false, false
		}
	}
	return path[:at], path[at+1:], true, true
}

// ends reports whether the parts that follow the path parameter, and it, fit
// what is left of a path.
func (h *Hook) ends(rest string) bool {
	k := slices.IndexFunc(h.segments, func(s segment) bool { return s.kind == pathParam })
	head, tail, more, ok := cutTail(rest, len(h.segments)-k-1)
	if !ok {
		return false
	}
	if head, ok = unescape(head); !ok || !h.segments[k].accepts(head) {
		return false
	}
	for i := k + 1; i < len(h.segments); i++ {
		var part string
		if !more {
			return false
		}
		part, tail, more = strings.Cut(tail, "/")
		if part, ok = unescape(part); !ok || !h.segments[i].accepts(part) {
			return false
		}
	}
	return !more
}

func unescape(s string) (string, bool) {
	if strings.IndexByte(s, '%') < 0 {
		return s, true
	}
	s, err := url.PathUnescape(s)
	return s, err == nil
}

// accepts reports whether a decoded part fits.
func (s *segment) accepts(part string) bool {
	switch s.kind {
	case literal:
		return part == s.text
	case anyParam:
		_, found := slices.BinarySearch(s.any, part)
		return found
	case intParam:
		return digits(part)
	case floatParam:
		whole, fraction, point := strings.Cut(part, ".")
		return digits(whole) && (!point || digits(fraction))
	case uuidParam:
		return isUUID(part)
	case pathParam: // one that begins with a slash would look like another one
		return part != "" && part[0] != '/'
	}
	return part != ""
}

// value is a part that is accepted as the script sees it.
func (s *segment) value(part string) runtime.Value {
	switch s.kind {
	case intParam:
		n, _ := strconv.ParseInt(part, 10, 64)
		return n
	case floatParam:
		f, _ := strconv.ParseFloat(part, 64)
		return f
	}
	return part
}

// digits reports whether a text is 1 to 18 digits, which fit an int64.
func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return len(s) > 0 && len(s) <= 18
}

func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch dash := i == 8 || i == 13 || i == 18 || i == 23; {
		case dash && c != '-':
			return false
		case !dash && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'f'):
			return false
		}
	}
	return true
}

// shapes are texts of which two routes have one in common if some path cannot
// tell them apart: one for each choice of its any(…) parts.
func (h *Hook) shapes() []string {
	out := []string{""}
	for i := range h.segments {
		s := &h.segments[i]
		var ways []string
		switch s.kind {
		case literal:
			ways = []string{"/" + s.text}
		case anyParam:
			for _, t := range s.any {
				ways = append(ways, "/{any:"+t)
			}
		default:
			ways = []string{"/{" + string('0'+byte(s.kind))}
		}
		next := make([]string, 0, len(out)*len(ways))
		for _, o := range out {
			for _, w := range ways {
				next = append(next, o+w)
			}
		}
		if out = next; len(out) > MaxAny {
			return out
		}
	}
	return out
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
