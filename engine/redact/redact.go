// Package redact keeps secrets out of logs.
//
//	Set      secret values and token shapes; Clean masks them in a text
//	Handler  a slog.Handler that cleans messages and attributes
//
// A secret that is registered is masked wherever it stands, also in its
// URL-escaped, JSON-escaped and base64 forms; what merely looks like a Slack
// token, a bearer header or a response URL is masked without registration.
// The package knows no configuration and no Slack client.
package redact

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"regexp"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
)

// Mask stands where a secret stood.
const Mask = "***"

// MinLength is the length in bytes below which a registered secret is not
// masked: masking "a" everywhere would destroy texts and hide nothing.
const MinLength = 4

// Set is a set of secrets. The zero value masks token shapes only.
// Safe for concurrent use.
type Set struct {
	mu       sync.Mutex
	forms    map[string]bool
	replacer atomic.Pointer[strings.Replacer]
}

// NewSet returns a set of these secrets.
func NewSet(secrets ...string) *Set {
	s := &Set{}
	s.Add(secrets...)
	return s
}

// Add registers more secrets, such as a token after its rotation.
func (s *Set) Add(secrets ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.forms == nil {
		s.forms = map[string]bool{}
	}
	before := len(s.forms)
	for _, secret := range secrets {
		for _, form := range Forms(secret) {
			s.forms[form] = true
		}
	}
	if len(s.forms) == before {
		return
	}
	list := make([]string, 0, len(s.forms))
	for form := range s.forms {
		list = append(list, form)
	}
	// The longest first: a secret that contains another one is masked whole.
	sort.Slice(list, func(i, j int) bool {
		if len(list[i]) != len(list[j]) {
			return len(list[i]) > len(list[j])
		}
		return list[i] < list[j]
	})
	pairs := make([]string, 0, 2*len(list))
	for _, form := range list {
		pairs = append(pairs, form, Mask)
	}
	s.replacer.Store(strings.NewReplacer(pairs...))
}

// Forms lists the ways in which a secret may be written: itself, escaped for
// URLs and JSON, in base64. It is empty for secrets shorter than MinLength.
func Forms(secret string) []string {
	if len(secret) < MinLength {
		return nil
	}
	forms := []string{secret}
	add := func(form string) {
		for _, f := range forms {
			if f == form {
				return
			}
		}
		forms = append(forms, form)
	}
	add(url.QueryEscape(secret))
	add(url.PathEscape(secret))
	add((&url.URL{Path: secret}).EscapedPath())
	add(EscapeQuery(secret))
	if b, err := json.Marshal(secret); err == nil {
		add(string(b[1 : len(b)-1]))
	}
	add(strings.ReplaceAll(secret, "/", `\/`))
	add(base64.StdEncoding.EncodeToString([]byte(secret)))
	add(base64.RawStdEncoding.EncodeToString([]byte(secret)))
	add(base64.URLEncoding.EncodeToString([]byte(secret)))
	add(base64.RawURLEncoding.EncodeToString([]byte(secret)))
	return forms
}

// EscapeQuery escapes what may not stand in the query of a URL, and nothing
// else: a query that is well-formed comes back as it is.
func EscapeQuery(s string) string {
	const hex = "0123456789ABCDEF"
	bad := func(c byte) bool { return c <= ' ' || c >= 0x7f || strings.IndexByte("\"<>\\^`{|}#", c) >= 0 }
	first := 0
	for first < len(s) && !bad(s[first]) {
		first++
	}
	if first == len(s) {
		return s
	}
	b := []byte(s[:first])
	for _, c := range []byte(s[first:]) {
		if bad(c) {
			b = append(b, '%', hex[c>>4], hex[c&15])
		} else {
			b = append(b, c)
		}
	}
	return string(b)
}

var (
	tokens = regexp.MustCompile(`\b(?:xox[a-z](?:\.xox[a-z])?|xapp|xwfp)-[A-Za-z0-9%._-]{6,}`)
	bearer = regexp.MustCompile(`(?i)\b(bearer|basic)(\s+|%20|\+)[A-Za-z0-9._~+/%=-]{6,}`)
	hooks  = regexp.MustCompile(`(hooks\.slack(?:-gov)?\.com\\?/)[A-Za-z0-9_%\\/.-]+`)
)

// Clean returns text with every secret and every token shape masked.
func (s *Set) Clean(text string) string { return Shapes(s.Replace(text)) }

// Replace returns text with every registered secret masked, and nothing else.
func (s *Set) Replace(text string) string {
	if r := s.replacer.Load(); r != nil {
		return r.Replace(text)
	}
	return text
}

// Shapes masks what looks like a Slack token, an authorization header or a
// response URL.
func Shapes(text string) string {
	// The substring tests keep the regexps off nearly every log line.
	if strings.Contains(text, "xox") || strings.Contains(text, "xapp-") || strings.Contains(text, "xwfp-") {
		text = tokens.ReplaceAllString(text, Mask)
	}
	if containsFold(text, "bearer") || containsFold(text, "basic") {
		text = bearer.ReplaceAllString(text, "${1}${2}"+Mask)
	}
	if strings.Contains(text, "hooks.slack") {
		text = hooks.ReplaceAllString(text, "${1}"+Mask)
	}
	return text
}

// containsFold is a case-insensitive strings.Contains for a lower-case ASCII word.
func containsFold(s, word string) bool {
	for i := 0; i+len(word) <= len(s); i++ {
		if s[i]|0x20 == word[0] && strings.EqualFold(s[i:i+len(word)], word) {
			return true
		}
	}
	return false
}
