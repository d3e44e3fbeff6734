package ingress_test

import (
	"encoding/base64"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/hook"
	"github.com/starling-rules/starling/engine/ingress"
)

func TestARefusedWebhookIsNotStored(t *testing.T) {
	t.Parallel()
	home, _ := hook.ParseAddresses([]string{"127.0.0.0/8"})
	away, _ := hook.ParseAddresses([]string{"192.0.2.0/24"})
	bearer := hook.Lock{Bearer: []string{"tok"}}
	bearer.Wants.Bearer = true
	basic := hook.Lock{Basic: []string{"u:p"}}
	basic.Wants.Basic = true
	refuse := func(string, []byte) error { return errors.New("the body is no JSON: it is odd") }
	for name, c := range map[string]struct {
		route  ingress.Route
		header []string
		status int
		body   string
		answer string // a header that the answer has
	}{
		"address":                {ingress.Route{Lock: hook.Lock{Allow: home}}, nil, 200, "", ""},
		"other address":          {ingress.Route{Lock: hook.Lock{Allow: away}}, nil, 401, "not authentic\n", ""},
		"a stranger's claim":     {ingress.Route{Lock: hook.Lock{Allow: away}}, []string{"X-Forwarded-For: 192.0.2.1"}, 401, "not authentic\n", ""},
		"bearer":                 {ingress.Route{Lock: bearer}, []string{"Authorization: Bearer tok"}, 200, "", ""},
		"wrong bearer":           {ingress.Route{Lock: bearer}, []string{"Authorization: Bearer to"}, 401, "not authentic\n", `Www-Authenticate: Bearer realm="webhook"`},
		"basic":                  {ingress.Route{Lock: basic}, []string{"Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("u:p"))}, 200, "", ""},
		"no password":            {ingress.Route{Lock: basic}, nil, 401, "not authentic\n", `Www-Authenticate: Basic realm="webhook", charset="UTF-8"`},
		"a bad body":             {ingress.Route{Lock: hook.Lock{Open: true}, CheckBody: refuse}, nil, 400, "the body is no JSON: it is odd\n", ""},
		"a bad body of somebody": {ingress.Route{Lock: bearer, CheckBody: refuse}, nil, 401, "not authentic\n", ""},
		"a long body of someone": {ingress.Route{Lock: bearer, MaxBody: 1}, nil, 413, "body too large\n", ""},
		"as long as allowed":     {ingress.Route{Lock: hook.Lock{Open: true}, MaxBody: 2}, nil, 200, "", ""},
	} {
		s := &sink{}
		srv := start(t, s, func(o *ingress.Options) { o.Webhooks = hooks{c.route} })
		r := do(t, srv, request{path: "/hooks/gh/api", body: "{}", unsigned: true, header: c.header})
		stored := map[bool]int{true: 1}[c.status == 200]
		if r.status != c.status || r.body != c.body || len(s.all()) != stored {
			t.Errorf("%s: %+v with %d events", name, r, len(s.all()))
		}
		if k, v, _ := strings.Cut(c.answer, ": "); c.answer != "" && r.header.Get(k) != v {
			t.Errorf("%s: %v", name, r.header)
		}
	}
}

func TestASecretInAHeaderIsHiddenFromTheEvent(t *testing.T) {
	t.Parallel()
	bearer := hook.Lock{Bearer: []string{"tok"}}
	bearer.Wants.Bearer = true
	for name, c := range map[string]struct {
		route  ingress.Route
		header string
		want   string
	}{
		"bearer":            {ingress.Route{Lock: bearer}, "Authorization: Bearer tok", "***"},
		"gitlab":            {locked(hook.Signature{Scheme: "gitlab"}), "X-Gitlab-Token: s", "***"},
		"a signature":       {locked(hook.Signature{Scheme: "github"}), "X-Hub-Signature-256: sha256=" + hub("s", "x"), "sha256=" + hub("s", "x")},
		"the rule's affair": {open, "Authorization: Bearer tok", "Bearer tok"},
	} {
		s := &sink{}
		srv := start(t, s, func(o *ingress.Options) { o.Webhooks = hooks{c.route} })
		do(t, srv, request{path: "/hooks/gh/api", body: "x", unsigned: true, header: []string{c.header}})
		header, _, _ := strings.Cut(c.header, ":")
		if got := s.one(t).Request.Values(header); len(got) != 1 || got[0] != c.want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestARateIsKeptToByWhoeverMayCall(t *testing.T) {
	t.Parallel()
	s, now := &sink{}, at
	route := locked(hook.Signature{Scheme: "gitlab"})
	route.Limiter = hook.NewLimiter(hook.Rate{N: 2, Per: time.Minute})
	route.CheckBody = func(string, []byte) error { panic("a request beyond the rate was decoded") }
	taken := route
	taken.CheckBody = nil
	srv := start(t, s, func(o *ingress.Options) {
		o.Now = func() time.Time { return now }
		o.Webhooks = routes(func() *ingress.Route {
			if len(s.all()) < 2 || now != at {
				return &taken
			}
			return &route
		})
	})
	post := func(token string) response {
		return do(t, srv, request{path: "/hooks/gh/api", body: "x", unsigned: true, header: []string{"X-Gitlab-Token: " + token}})
	}
	for range 5 { // strangers use nothing up
		if r := post("wrong"); r.status != 401 {
			t.Fatalf("%+v", r)
		}
	}
	post("s")
	post("s")
	if r := post("s"); r.status != 429 || r.header.Get("Retry-After") != "30" || len(s.all()) != 2 {
		t.Errorf("%+v with %d events", r, len(s.all()))
	}
	if now = now.Add(30 * time.Second); post("s").status != 200 || len(s.all()) != 3 {
		t.Errorf("not let in when it was told to come: %d events", len(s.all()))
	}
}

// routes is the route of every path.
type routes func() *ingress.Route

func (r routes) Route(string, string) (*ingress.Route, []string) { return r(), nil }

func TestTheClientOfAWebhookBehindAProxy(t *testing.T) {
	t.Parallel()
	s := &sink{}
	allow, _ := hook.ParseAddresses([]string{"192.0.2.7"})
	srv := start(t, s, func(o *ingress.Options) {
		o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		o.Webhooks = hooks{ingress.Route{Lock: hook.Lock{Allow: allow}}}
	})
	post := func(forwarded ...string) int {
		var header []string
		for _, f := range forwarded {
			header = append(header, "X-Forwarded-For: "+f)
		}
		return do(t, srv, request{path: "/hooks/gh/api", body: "x", unsigned: true, header: header}).status
	}
	if got := []int{post("192.0.2.7"), post("192.0.2.8"), post("192.0.2.7, 192.0.2.8"), post("192.0.2.7", "127.0.0.9"), post()}; got[0] != 200 ||
		got[1] != 401 || got[2] != 401 || got[3] != 200 || got[4] != 401 {
		t.Errorf("statuses %v", got)
	}
	if all := s.all(); len(all) != 2 || all[0].Request.Remote != "192.0.2.7" {
		t.Errorf("%d events, the first from %s", len(all), all[0].Request.Remote)
	}
}

func TestAllHeadersOfARequestAreKept(t *testing.T) {
	t.Parallel()
	s := &sink{}
	srv := start(t, s, func(o *ingress.Options) { o.Webhooks = hooks{open} })
	do(t, srv, request{path: "/hooks/gh/api", body: "{}", unsigned: true, header: []string{
		"User-Agent: curl/8", "Cookie: a=1; b=2", "Cookie: c=3", "X-A: 1", "x-a: 2", "Accept: text/html", "X-Empty:",
	}})
	got := map[string][]string{}
	for _, h := range s.one(t).Request.Headers {
		got[h.Name] = append(got[h.Name], h.Value)
	}
	for name, want := range map[string]string{
		"host": "x", "content-type": "application/json", "content-length": "2", "user-agent": "curl/8",
		"accept": "text/html", "x-a": "1|2", "x-empty": "",
	} {
		if have, there := got[name]; !there || strings.Join(have, "|") != want {
			t.Errorf("%s is %q, want %q", name, have, want)
		}
	}
	if c := strings.Join(got["cookie"], "; "); c != "a=1; b=2; c=3" {
		t.Errorf("cookie is %q", c)
	}
}

func TestAnswersOfWebhooks(t *testing.T) {
	t.Parallel()
	s := &sink{answer: &event.Answer{Status: 201, ContentType: "text/plain", Body: []byte("made"), Headers: []event.Header{
		{Name: "Set-Cookie", Value: "a=1; Path=/; HttpOnly"},
		{Name: "Set-Cookie", Value: "b=2"},
		{Name: "content-type", Value: "text/html"},
		{Name: "X-Powered-By", Value: "Starling"},
		{Name: "Connection", Value: "close"},
	}}}
	srv := start(t, s, func(o *ingress.Options) { o.Webhooks = hooks{open} })
	r := do(t, srv, request{path: "/hooks/gh/api", body: "{}", unsigned: true})
	if cookies := strings.Join(r.header["Set-Cookie"], " | "); r.status != 201 || r.body != "made" || cookies != "a=1; Path=/; HttpOnly | b=2" {
		t.Errorf("%+v", r)
	}
	if types := r.header["Content-Type"]; len(types) != 1 || types[0] != "text/html" || r.header.Get("X-Powered-By") != "Starling" || r.header.Get("Connection") != "" {
		t.Errorf("%v", r.header)
	}
}
