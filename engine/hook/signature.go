package hook

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The schemes in which requests are signed.
const (
	// GitHub is X-Hub-Signature-256: sha256= and the hexadecimal HMAC of the body.
	GitHub = "github"
	// GitLab is the secret itself in X-Gitlab-Token.
	GitLab = "gitlab"
	// Stripe is Stripe-Signature: t=time and one or more v1=HMAC of "time.body".
	Stripe = "stripe"
	// PagerDuty is X-PagerDuty-Signature: one or more v1=HMAC of the body.
	PagerDuty = "pagerduty"
	// Grafana is X-Grafana-Alerting-Signature: the bare hexadecimal HMAC of the
	// body, or, with a Timestamp header, of "time:body".
	Grafana = "grafana"
	// HMAC is an HMAC of the body with header, algorithm, encoding and prefix.
	HMAC = "hmac"
	// HMACSHA256 is an older name of HMAC.
	HMACSHA256 = "hmac-sha256"
)

// Schemes lists them, the default first.
var Schemes = []string{GitHub, GitLab, Stripe, PagerDuty, Grafana, HMAC, HMACSHA256}

// Algorithms and Encodings list what HMAC knows, the default first.
var (
	Algorithms = []string{"sha256", "sha1", "sha512"}
	Encodings  = []string{"hex", "base64"}
)

// DefaultTolerance is how far the time in a signature may be off, either way.
const DefaultTolerance = 5 * time.Minute

// Signature is how a request proves that its sender knows a secret.
type Signature struct {
	Scheme string
	// Header holds the signature; "" is that of the scheme.
	Header string
	// Algorithm, Encoding and Prefix are for HMAC; "" is sha256, hex and none
	// (where "sha256=" in front does no harm).
	Algorithm, Encoding, Prefix string
	// Timestamp is the header with the time of Grafana's signatures; "": the
	// signature has no time.
	Timestamp string
	// Tolerance is how far that time, and Stripe's, may be off; 0 is
	// DefaultTolerance.
	Tolerance time.Duration
}

// Named reports which of the fields the scheme has a use for.
func (s Signature) Named() []string {
	switch s.Scheme {
	case HMAC, HMACSHA256:
		return []string{"header", "algorithm", "encoding", "prefix"}
	case Grafana:
		return []string{"header", "timestamp", "tolerance"}
	case Stripe:
		return []string{"tolerance"}
	}
	return nil
}

// header is where the signature is.
func (s Signature) header() string {
	if s.Header != "" {
		return s.Header
	}
	switch s.Scheme {
	case GitHub:
		return "X-Hub-Signature-256"
	case GitLab:
		return "X-Gitlab-Token"
	case Stripe:
		return "Stripe-Signature"
	case PagerDuty:
		return "X-PagerDuty-Signature"
	case Grafana:
		return "X-Grafana-Alerting-Signature"
	}
	return "X-Signature"
}

// verify reports whether the request is signed with one of the secrets.
func (s Signature) verify(r *Request, secrets []string, now time.Time) bool {
	given, ok := only(r, s.header())
	if !ok {
		return false
	}
	switch s.Scheme {
	case GitLab:
		return oneOf(given, secrets)
	case GitHub, HMAC, HMACSHA256:
		sum, ok := s.decode(given)
		return ok && s.proved(secrets, sum, "", r.Body)
	case Grafana:
		if s.Timestamp == "" {
			sum, ok := s.decode(given)
			return ok && s.proved(secrets, sum, "", r.Body)
		}
		at, once := only(r, s.Timestamp)
		sum, ok := s.decode(given)
		return once && ok && s.fresh(at, now) && s.proved(secrets, sum, at+":", r.Body)
	case PagerDuty:
		return s.anyOf(listed(given, "v1"), secrets, "", r.Body)
	case Stripe:
		times := listed(given, "t")
		return len(times) == 1 && s.fresh(times[0], now) && s.anyOf(listed(given, "v1"), secrets, times[0]+".", r.Body)
	}
	return false
}

// maxListed bounds the signatures of one header that are looked at: each of
// them costs the sender nothing and us an HMAC per secret.
const maxListed = 8

// listed returns the values of a key in "k=v,k=v".
func listed(text, key string) []string {
	var out []string
	for len(text) > 0 && len(out) < maxListed {
		var part string
		part, text, _ = strings.Cut(text, ",")
		if k, v, ok := strings.Cut(strings.TrimSpace(part), "="); ok && k == key {
			out = append(out, v)
		}
	}
	return out
}

// anyOf reports whether one of the hexadecimal signatures is right.
func (s Signature) anyOf(given, secrets []string, before string, body []byte) bool {
	for _, g := range given {
		if sum, ok := s.decode(g); ok && s.proved(secrets, sum, before, body) {
			return true
		}
	}
	return false
}

// fresh reports whether a time in seconds since 1970 is near enough.
func (s Signature) fresh(text string, now time.Time) bool {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n > 1<<40 || text[0] == '+' {
		return false
	}
	off := now.Sub(time.Unix(n, 0)).Abs()
	return off <= s.tolerance()
}

func (s Signature) tolerance() time.Duration {
	if s.Tolerance == 0 {
		return DefaultTolerance
	}
	return s.Tolerance
}

// prefix is what stands before the digits, and whether it must.
func (s Signature) prefix() (text string, must bool) {
	switch {
	case s.Scheme == GitHub:
		return "sha256=", true
	case s.Prefix != "":
		return s.Prefix, true
	case s.Scheme == HMAC, s.Scheme == HMACSHA256:
		return s.algorithm() + "=", false
	}
	return "", true
}

// decode reads a signature. Digits are lower case, as every sender writes
// them: one request has one form.
func (s Signature) decode(given string) ([]byte, bool) {
	prefix, must := s.prefix()
	digits, had := strings.CutPrefix(given, prefix)
	if must && !had || len(digits) > 2*sha512.Size {
		return nil, false
	}
	var sum []byte
	var err error
	if s.Encoding == "base64" {
		sum, err = base64.StdEncoding.Strict().DecodeString(digits)
	} else {
		if strings.ContainsAny(digits, "ABCDEF") {
			return nil, false
		}
		sum, err = hex.DecodeString(digits)
	}
	return sum, err == nil
}

// proved reports whether sum is the HMAC of before and body with one of the
// secrets. All of them are tried, so that the time tells nothing.
func (s Signature) proved(secrets []string, sum []byte, before string, body []byte) bool {
	found := false
	for _, secret := range secrets {
		same := hmac.Equal(s.sum(secret, before, body), sum)
		found = found || same && secret != ""
	}
	return found
}

func (s Signature) sum(secret, before string, body []byte) []byte {
	mac := hmac.New(s.hash(), []byte(secret))
	mac.Write([]byte(before))
	mac.Write(body)
	return mac.Sum(nil)
}

func (s Signature) algorithm() string {
	if s.Algorithm == "" {
		return Algorithms[0]
	}
	return s.Algorithm
}

func (s Signature) hash() func() hash.Hash {
	switch s.algorithm() {
	case "sha1":
		return sha1.New
	case "sha512":
		return sha512.New
	}
	return sha256.New
}

// Header is a header field to be sent.
type Header struct{ Name, Value string }

// Sign returns the headers with which a sender that knows the secret proves it.
func (s Signature) Sign(secret string, body []byte, now time.Time) ([]Header, error) {
	at := strconv.FormatInt(now.Unix(), 10)
	digest := func(before string) string {
		sum := s.sum(secret, before, body)
		if s.Encoding == "base64" {
			return base64.StdEncoding.EncodeToString(sum)
		}
		return hex.EncodeToString(sum)
	}
	one := func(value string) []Header { return []Header{{s.header(), value}} }
	switch s.Scheme {
	case GitHub:
		return one("sha256=" + digest("")), nil
	case GitLab:
		return one(secret), nil
	case Stripe:
		return one("t=" + at + ",v1=" + digest(at+".")), nil
	case PagerDuty:
		return one("v1=" + digest("")), nil
	case Grafana:
		if s.Timestamp == "" {
			return one(digest("")), nil
		}
		return append(one(digest(at+":")), Header{s.Timestamp, at}), nil
	case HMAC, HMACSHA256:
		prefix := s.Prefix
		if prefix == "" && s.Scheme == HMACSHA256 {
			prefix = "sha256="
		}
		return one(prefix + digest("")), nil
	}
	return nil, fmt.Errorf("unknown signature scheme %q: want one of %s", s.Scheme, strings.Join(Schemes, ", "))
}

// Sign returns the headers that open the lock from an address that it allows:
// what a test or an operator sends.
func (l *Lock) Sign(body []byte, now time.Time) ([]Header, error) {
	if l.Open {
		return nil, nil
	}
	var out []Header
	first := func(list []string) string {
		if i := slices.IndexFunc(list, func(s string) bool { return s != "" }); i >= 0 {
			return list[i]
		}
		return ""
	}
	if l.Signature.Scheme != "" {
		signed, err := l.Signature.Sign(first(l.Secrets), body, now)
		if err != nil {
			return nil, err
		}
		out = signed
	}
	// One header holds one of the two; a rule that asks for both is refused
	// when it is loaded.
	switch {
	case l.Wants.Bearer:
		out = append(out, Header{"Authorization", "Bearer " + first(l.Bearer)})
	case l.Wants.Basic:
		out = append(out, Header{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte(first(l.Basic)))})
	}
	return out, nil
}
