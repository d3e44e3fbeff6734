package hook_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/hook"
)

var now = time.Unix(1_700_000_000, 500_000_000)

const body = `{"id":"evt_1"}`

// request has the headers "Name: value".
func request(text string, headers ...string) *hook.Request {
	h := http.Header{}
	for _, f := range headers {
		k, v, _ := strings.Cut(f, ": ")
		h.Add(k, v)
	}
	return &hook.Request{Header: h.Values, Body: []byte(text), Remote: netip.MustParseAddr("10.1.2.3")}
}

func sum256(secret, text string) string {
	m := hmac.New(sha256.New, []byte(secret))
	m.Write([]byte(text))
	return hex.EncodeToString(m.Sum(nil))
}

func at(d time.Duration) string { return strconv.FormatInt(now.Add(d).Unix(), 10) }

// TestGitHubsOwnExample is the one of GitHub's manual.
func TestGitHubsOwnExample(t *testing.T) {
	t.Parallel()
	l := hook.Lock{Signature: hook.Signature{Scheme: hook.GitHub}, Secrets: []string{"It's a Secret to Everybody"}}
	if !l.Admits(request("Hello, World!", "X-Hub-Signature-256: sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"), now) {
		t.Error("refused")
	}
}

func TestSignatures(t *testing.T) {
	t.Parallel()
	good, other := sum256("s", body), sum256("t", body)
	stripe := func(when, secret string) string { return sum256(secret, when+"."+body) }
	grafana := hook.Signature{Scheme: hook.Grafana, Timestamp: "X-Grafana-Alerting-Timestamp"}
	for name, c := range map[string]struct {
		signature hook.Signature
		headers   []string
		want      bool
	}{
		"github":               {hook.Signature{Scheme: "github"}, []string{"x-hub-signature-256: sha256=" + good}, true},
		"github other secret":  {hook.Signature{Scheme: "github"}, []string{"x-hub-signature-256: sha256=" + other}, false},
		"github no prefix":     {hook.Signature{Scheme: "github"}, []string{"x-hub-signature-256: " + good}, false},
		"github upper case":    {hook.Signature{Scheme: "github"}, []string{"x-hub-signature-256: sha256=" + strings.ToUpper(good)}, false},
		"github short":         {hook.Signature{Scheme: "github"}, []string{"x-hub-signature-256: sha256=" + good[:62]}, false},
		"github twice":         {hook.Signature{Scheme: "github"}, []string{"x-hub-signature-256: sha256=" + good, "X-Hub-Signature-256: sha256=" + good}, false},
		"github none":          {hook.Signature{Scheme: "github"}, nil, false},
		"github sha1":          {hook.Signature{Scheme: "github"}, []string{"x-hub-signature: sha1=" + good}, false},
		"gitlab":               {hook.Signature{Scheme: "gitlab"}, []string{"X-Gitlab-Token: s"}, true},
		"gitlab wrong":         {hook.Signature{Scheme: "gitlab"}, []string{"X-Gitlab-Token: ss"}, false},
		"gitlab empty":         {hook.Signature{Scheme: "gitlab"}, []string{"X-Gitlab-Token: "}, false},
		"stripe":               {hook.Signature{Scheme: "stripe"}, []string{"Stripe-Signature: t=" + at(0) + ",v1=" + stripe(at(0), "s") + ",v0=ff"}, true},
		"stripe second v1":     {hook.Signature{Scheme: "stripe"}, []string{"Stripe-Signature: t=" + at(0) + ",v1=" + stripe(at(0), "t") + ", v1=" + stripe(at(0), "s")}, true},
		"stripe only v0":       {hook.Signature{Scheme: "stripe"}, []string{"Stripe-Signature: t=" + at(0) + ",v0=" + stripe(at(0), "s")}, false},
		"stripe old":           {hook.Signature{Scheme: "stripe"}, []string{"Stripe-Signature: t=" + at(-6*time.Minute) + ",v1=" + stripe(at(-6*time.Minute), "s")}, false},
		"stripe of the future": {hook.Signature{Scheme: "stripe"}, []string{"Stripe-Signature: t=" + at(6*time.Minute) + ",v1=" + stripe(at(6*time.Minute), "s")}, false},
		"stripe tolerated":     {hook.Signature{Scheme: "stripe", Tolerance: 10 * time.Minute}, []string{"Stripe-Signature: t=" + at(-6*time.Minute) + ",v1=" + stripe(at(-6*time.Minute), "s")}, true},
		"stripe other time":    {hook.Signature{Scheme: "stripe"}, []string{"Stripe-Signature: t=" + at(time.Second) + ",v1=" + stripe(at(0), "s")}, false},
		"stripe two times":     {hook.Signature{Scheme: "stripe"}, []string{"Stripe-Signature: t=" + at(0) + ",t=" + at(0) + ",v1=" + stripe(at(0), "s")}, false},
		"stripe odd time":      {hook.Signature{Scheme: "stripe"}, []string{"Stripe-Signature: t=+" + at(0) + ",v1=" + stripe("+"+at(0), "s")}, false},
		"stripe no time":       {hook.Signature{Scheme: "stripe"}, []string{"Stripe-Signature: v1=" + stripe("", "s")}, false},
		"pagerduty":            {hook.Signature{Scheme: "pagerduty"}, []string{"X-PagerDuty-Signature: v1=" + good}, true},
		"pagerduty rotating":   {hook.Signature{Scheme: "pagerduty"}, []string{"X-PagerDuty-Signature: v1=" + other + ",v1=" + good}, true},
		"pagerduty v2":         {hook.Signature{Scheme: "pagerduty"}, []string{"X-PagerDuty-Signature: v2=" + good}, false},
		"pagerduty the ninth":  {hook.Signature{Scheme: "pagerduty"}, []string{"X-PagerDuty-Signature: " + strings.Repeat("v1="+other+",", 8) + "v1=" + good}, false},
		"grafana":              {hook.Signature{Scheme: "grafana"}, []string{"X-Grafana-Alerting-Signature: " + good}, true},
		"grafana with prefix":  {hook.Signature{Scheme: "grafana"}, []string{"X-Grafana-Alerting-Signature: sha256=" + good}, false},
		"grafana own header":   {hook.Signature{Scheme: "grafana", Header: "X-Mine"}, []string{"X-Mine: " + good}, true},
		"grafana with time": {grafana, []string{
			"X-Grafana-Alerting-Signature: " + sum256("s", at(0)+":"+body), "X-Grafana-Alerting-Timestamp: " + at(0),
		}, true},
		"grafana time missing": {grafana, []string{"X-Grafana-Alerting-Signature: " + good}, false},
		"grafana old": {grafana, []string{
			"X-Grafana-Alerting-Signature: " + sum256("s", at(-time.Hour)+":"+body), "X-Grafana-Alerting-Timestamp: " + at(-time.Hour),
		}, false},
		"hmac":              {hook.Signature{Scheme: "hmac"}, []string{"X-Signature: " + good}, true},
		"hmac with its own": {hook.Signature{Scheme: "hmac"}, []string{"X-Signature: sha256=" + good}, true},
		"hmac other prefix": {hook.Signature{Scheme: "hmac"}, []string{"X-Signature: sha1=" + good}, false},
		"hmac prefix":       {hook.Signature{Scheme: "hmac", Prefix: "v0:"}, []string{"X-Signature: v0:" + good}, true},
		"hmac prefix must":  {hook.Signature{Scheme: "hmac", Prefix: "v0:"}, []string{"X-Signature: " + good}, false},
		"hmac sha1": {hook.Signature{Scheme: "hmac", Algorithm: "sha1", Header: "X-Hub-Signature"}, []string{"X-Hub-Signature: sha1=" + func() string {
			m := hmac.New(sha1.New, []byte("s"))
			m.Write([]byte(body))
			return hex.EncodeToString(m.Sum(nil))
		}()}, true},
		"hmac sha512 base64": {hook.Signature{Scheme: "hmac", Algorithm: "sha512", Encoding: "base64"}, []string{"X-Signature: " + func() string {
			m := hmac.New(sha512.New, []byte("s"))
			m.Write([]byte(body))
			return base64.StdEncoding.EncodeToString(m.Sum(nil))
		}()}, true},
		"hmac base64 as hex": {hook.Signature{Scheme: "hmac", Encoding: "base64"}, []string{"X-Signature: " + good}, false},
		"hmac-sha256":        {hook.Signature{Scheme: "hmac-sha256", Header: "x-mine"}, []string{"X-Mine: " + good}, true},
		"unknown":            {hook.Signature{Scheme: "md5"}, []string{"X-Signature: " + good}, false},
	} {
		l := hook.Lock{Signature: c.signature, Secrets: []string{"", "s"}}
		if got := l.Admits(request(body, c.headers...), now); got != c.want {
			t.Errorf("%s: admitted %v", name, got)
		}
		l.Secrets = nil
		if l.Admits(request(body, c.headers...), now) {
			t.Errorf("%s: admitted without a secret", name)
		}
		l.Secrets = []string{"new", "s"}
		if got := l.Admits(request(body, c.headers...), now); got != c.want {
			t.Errorf("%s: admitted %v while the secret changes", name, got)
		}
		if l.Secrets = []string{"s"}; c.want && l.Admits(request(body+" ", c.headers...), now) && c.signature.Scheme != hook.GitLab {
			t.Errorf("%s: another body is admitted", name)
		}
	}
}

func TestTheEmptySecretProvesNothing(t *testing.T) {
	t.Parallel()
	for _, scheme := range hook.Schemes {
		s := hook.Signature{Scheme: scheme}
		headers, err := s.Sign("", []byte(body), now)
		if err != nil {
			t.Fatal(err)
		}
		for _, secrets := range [][]string{nil, {""}} {
			l := hook.Lock{Signature: s, Secrets: secrets}
			if l.Admits(request(body, headers[0].Name+": "+headers[0].Value), now) {
				t.Errorf("%s: admitted", scheme)
			}
		}
	}
}

func TestWhatIsSignedIsAdmitted(t *testing.T) {
	t.Parallel()
	locks := map[string]hook.Lock{
		"bearer": {Bearer: []string{"a", "b"}}, "basic": {Basic: []string{"user:pass:word"}},
		"hmac options":       {Signature: hook.Signature{Scheme: hook.HMAC, Header: "X-M", Algorithm: "sha512", Encoding: "base64", Prefix: "v="}, Secrets: []string{"s"}},
		"grafana with time":  {Signature: hook.Signature{Scheme: hook.Grafana, Timestamp: "X-T"}, Secrets: []string{"s"}},
		"github and a token": {Signature: hook.Signature{Scheme: hook.GitHub}, Secrets: []string{"s"}, Bearer: []string{"t"}},
	}
	for _, s := range hook.Schemes {
		locks[s] = hook.Lock{Signature: hook.Signature{Scheme: s}, Secrets: []string{"s"}}
	}
	for name, l := range locks {
		l.Wants.Bearer, l.Wants.Basic = l.Bearer != nil, l.Basic != nil
		headers, err := l.Sign([]byte(body), now)
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for _, h := range headers {
			lines = append(lines, h.Name+": "+h.Value)
		}
		if !l.Admits(request(body, lines...), now) {
			t.Errorf("%s: %v is refused", name, lines)
		}
		for i := range lines { // each part is asked for
			some := append(append([]string(nil), lines[:i]...), lines[i+1:]...)
			if l.Admits(request(body, some...), now) {
				t.Errorf("%s: %v is admitted", name, some)
			}
		}
	}
	if _, err := (hook.Signature{Scheme: "md5"}).Sign("s", nil, now); err == nil {
		t.Error("an unknown scheme signs")
	}
}

func TestLocks(t *testing.T) {
	t.Parallel()
	basic := func(s string) string { return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(s)) }
	allow := func(texts ...string) []netip.Prefix {
		list, bad := hook.ParseAddresses(texts)
		if bad != "" {
			t.Fatalf("%q is no address", bad)
		}
		return list
	}
	for name, c := range map[string]struct {
		lock    hook.Lock
		headers []string
		want    bool
	}{
		"nothing":               {hook.Lock{}, nil, false},
		"open":                  {hook.Lock{Open: true}, nil, true},
		"bearer":                {hook.Lock{Bearer: []string{"tok"}}, []string{"Authorization: Bearer tok"}, true},
		"bearer in lower case":  {hook.Lock{Bearer: []string{"tok"}}, []string{"Authorization: bearer tok"}, true},
		"the second bearer":     {hook.Lock{Bearer: []string{"new", "tok"}}, []string{"Authorization: Bearer tok"}, true},
		"wrong bearer":          {hook.Lock{Bearer: []string{"tok"}}, []string{"Authorization: Bearer tokk"}, false},
		"empty bearer":          {hook.Lock{Bearer: []string{""}}, []string{"Authorization: Bearer "}, false},
		"bearer not configured": {hook.Lock{Bearer: []string{}}, []string{"Authorization: Bearer "}, false},
		"bearer twice":          {hook.Lock{Bearer: []string{"tok"}}, []string{"Authorization: Bearer tok", "Authorization: Bearer tok"}, false},
		"bearer as basic":       {hook.Lock{Bearer: []string{"u:p"}}, []string{basic("u:p")}, false},
		"basic":                 {hook.Lock{Basic: []string{"u:p"}}, []string{basic("u:p")}, true},
		"basic other user":      {hook.Lock{Basic: []string{"u:p"}}, []string{basic("v:p")}, false},
		"basic no base64":       {hook.Lock{Basic: []string{"u:p"}}, []string{"Authorization: Basic u:p"}, false},
		"address":               {hook.Lock{Allow: allow("10.0.0.0/8")}, nil, true},
		"single address":        {hook.Lock{Allow: allow("192.0.2.1", "10.1.2.3")}, nil, true},
		"mapped address":        {hook.Lock{Allow: allow("::ffff:10.1.2.3")}, nil, true},
		"other address":         {hook.Lock{Allow: allow("10.1.2.4", "fe80::/10")}, nil, false},
		"no address":            {hook.Lock{Allow: []netip.Prefix{}}, nil, false},
		"address and bearer":    {hook.Lock{Allow: allow("10.0.0.0/8"), Bearer: []string{"tok"}}, []string{"Authorization: Bearer tok"}, true},
		"address, no bearer":    {hook.Lock{Allow: allow("10.0.0.0/8"), Bearer: []string{"tok"}}, nil, false},
		"bearer, wrong address": {hook.Lock{Allow: allow("11.0.0.0/8"), Bearer: []string{"tok"}}, []string{"Authorization: Bearer tok"}, false},
	} {
		c.lock.Wants.Bearer, c.lock.Wants.Basic = c.lock.Bearer != nil, c.lock.Basic != nil
		if got := c.lock.Admits(request(body, c.headers...), now); got != c.want {
			t.Errorf("%s: admitted %v", name, got)
		}
	}
	for _, bad := range []string{"", "home", "10.0.0.0/33", "10.0.0.1:80", "fe80::1%eth0", "::ffff:10.0.0.0/64"} {
		if _, got := hook.ParseAddresses([]string{"10.0.0.1", bad}); got != bad && bad != "" {
			t.Errorf("%q is taken for an address", bad)
		}
	}
	for want, l := range map[string]hook.Lock{
		"": {}, `Basic realm="webhook", charset="UTF-8"`: {Wants: struct{ Bearer, Basic bool }{Basic: true}},
		`Bearer realm="webhook"`: {Wants: struct{ Bearer, Basic bool }{Bearer: true}},
	} {
		if got := l.Challenge(); got != want {
			t.Errorf("challenge %q, want %q", got, want)
		}
	}
}

func TestTheClientBehindProxies(t *testing.T) {
	t.Parallel()
	trusted, _ := hook.ParseAddresses([]string{"10.0.0.0/8", "fd00::/8"})
	for name, c := range map[string]struct {
		peer      string
		forwarded []string
		want      string
	}{
		"direct":                   {"192.0.2.1", nil, "192.0.2.1"},
		"a stranger's claim":       {"192.0.2.1", []string{"10.0.0.5"}, "192.0.2.1"},
		"one proxy":                {"10.0.0.1", []string{"192.0.2.7"}, "192.0.2.7"},
		"two proxies":              {"10.0.0.1", []string{"192.0.2.7, 10.0.0.2"}, "192.0.2.7"},
		"two headers":              {"10.0.0.1", []string{"1.1.1.1, 192.0.2.7", "10.0.0.2"}, "192.0.2.7"},
		"a claim before the proxy": {"10.0.0.1", []string{"10.9.9.9, 192.0.2.7"}, "192.0.2.7"},
		"mapped":                   {"::ffff:10.0.0.1", []string{"::ffff:192.0.2.7"}, "192.0.2.7"},
		"with a port":              {"10.0.0.1", []string{"192.0.2.7:4711"}, "192.0.2.7"},
		"IPv6":                     {"fd00::1", []string{"[2001:db8::7]:4711"}, "2001:db8::7"},
		"IPv6 in brackets":         {"fd00::1", []string{"[2001:db8::7]"}, "2001:db8::7"},
		"not readable":             {"10.0.0.1", []string{"192.0.2.7, unknown"}, "10.0.0.1"},
		"nothing said":             {"10.0.0.1", []string{""}, "10.0.0.1"},
		"all trusted":              {"10.0.0.1", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
	} {
		if got := hook.Client(netip.MustParseAddr(c.peer), trusted, c.forwarded); got.String() != c.want {
			t.Errorf("%s: %v, want %s", name, got, c.want)
		}
	}
}

func FuzzProofs(f *testing.F) {
	f.Add("X-Hub-Signature-256", "sha256="+sum256("s", body), "t=1,v1=ff,v1=", "10.0.0.1, [::1]:80")
	f.Add("Authorization", "Basic dTpw", "v1=,,v1,=", ",,")
	f.Add("X-Gitlab-Token", "s", "t=99999999999999999999", "::ffff:1.2.3.4%eth0")
	f.Fuzz(func(t *testing.T, name, value, list, forwarded string) {
		r := request(body)
		r.Header = func(n string) []string {
			switch {
			case strings.EqualFold(n, name):
				return []string{value}
			case strings.EqualFold(n, "Stripe-Signature"), strings.EqualFold(n, "X-PagerDuty-Signature"):
				return []string{list}
			}
			return nil
		}
		for _, s := range hook.Schemes {
			l := hook.Lock{Signature: hook.Signature{Scheme: s}, Secrets: []string{"a secret that nobody guesses"}}
			if l.Admits(r, now) {
				t.Errorf("%s admits %q %q", s, value, list)
			}
			_ = hook.Dedupe{}.ID(s, r, "POST", "/", "", func() string { return "" })
		}
		l := hook.Lock{Basic: []string{"user:a password that nobody guesses"}}
		if l.Wants.Basic = true; l.Admits(r, now) {
			t.Errorf("admits %q", value)
		}
		trusted, _ := hook.ParseAddresses([]string{"10.0.0.0/8"})
		hook.Client(netip.MustParseAddr("10.0.0.1"), trusted, []string{forwarded})
	})
}
