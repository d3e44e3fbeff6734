package authz_test

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/starling-rules/starling/engine/authz"
	"github.com/starling-rules/starling/engine/config"
	"github.com/starling-rules/starling/runtime"
)

func hashOf(key string) string {
	sum := sha256.Sum256([]byte(key))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// headers are those of a request; a name that ends in + was sent twice.
type headers map[string]string

func (h headers) get(name string) (string, bool) {
	for k, v := range h {
		if base, twice := strings.CutSuffix(k, "+"); strings.EqualFold(base, name) {
			return v, !twice
		}
	}
	return "", false
}

func policy(t *testing.T, c config.Authorization) *authz.Policy {
	t.Helper()
	p, err := authz.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const (
	paths       = "omnibot.authnz:allowed_paths"
	internal    = "omnibot.authnz.envoy_checks:envoy_internal_check"
	permissions = "omnibot.authnz.envoy_checks:envoy_permissions_check"
)

func check(module string, kwargs ...any) config.AuthCheck {
	c := config.AuthCheck{Module: module, Kwargs: map[string]any{}}
	for i := 0; i < len(kwargs); i += 2 {
		c.Kwargs[kwargs[i].(string)] = kwargs[i+1]
	}
	return c
}

func list(items ...string) runtime.List {
	out := make(runtime.List, len(items))
	for i, s := range items {
		out[i] = s
	}
	return out
}

func TestNothingIsAllowedThatNoCheckAllows(t *testing.T) {
	t.Parallel()
	for _, p := range []*authz.Policy{{}, policy(t, config.Authorization{}), policy(t, config.Authorization{
		Permissions: map[string]config.Permission{"all": {Methods: []string{"*"}, Paths: []string{".*"}}},
		Bindings:    map[string][]string{".*": {"all"}},
	})} {
		d := p.Decide(authz.Request{Method: "GET", Path: "/api/v1/slack/get_team/a", Header: headers{"x-envoy-internal": "true"}.get, Trusted: true})
		if d.Allowed || d.MayUse("a", "b") || d.MayCall("chat.postMessage") || d.MaySee("a") {
			t.Errorf("got %+v", d)
		}
	}
}

func TestChecksOfOmnibot(t *testing.T) {
	t.Parallel()
	perms := map[string]config.Permission{
		"act":    {Methods: []string{"POST"}, Paths: []string{"/api/v2/slack/action/acme/bot"}, InternalOnly: true},
		"public": {Methods: []string{"POST"}, Paths: []string{"/api/v1/slack/event"}},
	}
	bindings := map[string][]string{"envoy": {"act"}, "ci|cd": {"act", "public"}}
	conf := func(checks ...config.AuthCheck) config.Authorization {
		return config.Authorization{Checks: checks, Permissions: perms, Bindings: bindings}
	}
	const action, event = "/api/v2/slack/action/acme/bot", "/api/v1/slack/event"
	id := func(who string) headers { return headers{"X-Envoy-Downstream-Service-Cluster": who} }
	for name, tc := range map[string]struct {
		conf    config.Authorization
		method  string
		path    string
		headers headers
		direct  bool // not through a trusted proxy
		want    bool
	}{
		"allowed path":                       {conf(check(paths, "paths", list("/api/v1/slack/event"))), "POST", event, nil, true, true},
		"a longer path is another path":      {conf(check(paths, "paths", list("/api/v1/slack/event"))), "POST", event + "s", nil, true, false},
		"a path with more in front":          {conf(check(paths, "paths", list("/api/v1/slack/event"))), "POST", "/x" + event, nil, true, false},
		"either pattern as a whole":          {conf(check(paths, "paths", list("/a|/b"))), "GET", "/bc", nil, true, false},
		"no paths":                           {conf(check(paths)), "GET", "", nil, true, false},
		"internal":                           {conf(check(internal)), "GET", "/x", headers{"x-envoy-internal": "true"}, false, true},
		"internal, but anyone can say so":    {conf(check(internal)), "GET", "/x", headers{"x-envoy-internal": "true"}, true, false},
		"internal, in other words":           {conf(check(internal)), "GET", "/x", headers{"x-envoy-internal": "True"}, false, false},
		"internal, said twice":               {conf(check(internal)), "GET", "/x", headers{"x-envoy-internal+": "true"}, false, false},
		"internal by another header":         {conf(check(internal, "header", "x-inside")), "GET", "/x", headers{"x-inside": "true"}, false, true},
		"external, opened to the outside":    {conf(check(internal)), "POST", event, nil, true, true},
		"external, internal only":            {conf(check(internal)), "POST", action, nil, true, false},
		"bound":                              {conf(check(permissions)), "POST", action, id("envoy"), false, true},
		"bound, but anyone can say so":       {conf(check(permissions)), "POST", action, id("envoy"), true, false},
		"a subject with more behind it":      {conf(check(permissions)), "POST", action, id("envoy-evil"), false, false},
		"either subject as a whole":          {conf(check(permissions)), "POST", action, id("cd"), false, true},
		"either subject, not a part":         {conf(check(permissions)), "POST", action, id("cdx"), false, false},
		"a bot whose name begins alike":      {conf(check(permissions)), "POST", action + "EVIL", id("envoy"), false, false},
		"another method":                     {conf(check(permissions)), "GET", action, id("envoy"), false, false},
		"a permission of others":             {conf(check(permissions)), "POST", event, id("envoy"), false, false},
		"nobody":                             {conf(check(permissions)), "POST", action, nil, false, false},
		"two identities":                     {conf(check(permissions)), "POST", action, headers{"x-envoy-downstream-service-cluster+": "envoy"}, false, false},
		"every check has to agree, and does": {conf(check(internal), check(permissions)), "POST", event, id("ci"), false, true},
		"every check has to agree":           {conf(check(permissions), check(internal)), "POST", action, id("ci"), false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := policy(t, tc.conf).Decide(authz.Request{Method: tc.method, Path: tc.path, Header: tc.headers.get, Trusted: !tc.direct})
			if d.Allowed != tc.want {
				t.Errorf("got %+v, want %v", d, tc.want)
			}
			if d.MayUse("acme", "bot") != tc.want || d.MayCall("chat.postMessage") != tc.want {
				t.Error("who is not bound by a key may use every bot that the paths allow, others none")
			}
		})
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	p := policy(t, config.Authorization{
		// Everybody else is let in: a key that is wrong must not be.
		Checks: []config.AuthCheck{check(paths, "paths", list(".*"))},
		Keys: map[string]config.APIKey{
			"ci": {
				Hashes: []string{hashOf("old-key"), hashOf("new-key")}, Methods: []string{"POST"}, Paths: []string{"/api/v2/.*"},
				Bots: []string{"acme/helper", "other/*"}, SlackMethods: []string{"chat.postMessage", "reactions.*"},
			},
			"none": {Hashes: []string{hashOf("bare-key")}, Methods: []string{"GET"}},
		},
	})
	decide := func(auth, method, path string) authz.Decision {
		return p.Decide(authz.Request{Method: method, Path: path, Header: headers{"Authorization": auth}.get})
	}
	for name, tc := range map[string]struct {
		auth, method, path string
		allowed, unknown   bool
		caller             string
	}{
		"good":          {"Bearer new-key", "POST", "/api/v2/x", true, false, "ci"},
		"rotating":      {"bearer  old-key", "POST", "/api/v2/x", true, false, "ci"},
		"method":        {"Bearer new-key", "GET", "/api/v2/x", false, false, "ci"},
		"path":          {"Bearer new-key", "POST", "/api/v1/x", false, false, "ci"},
		"any path":      {"Bearer bare-key", "GET", "/api/v1/x", true, false, "none"},
		"wrong":         {"Bearer new-kez", "POST", "/api/v2/x", false, true, ""},
		"longer":        {"Bearer new-key ", "POST", "/api/v2/x", false, true, ""},
		"the hash":      {"Bearer " + hashOf("new-key"), "POST", "/api/v2/x", false, true, ""},
		"empty":         {"Bearer ", "POST", "/api/v2/x", false, true, ""},
		"other scheme":  {"Basic new-key", "POST", "/api/v2/x", false, true, ""},
		"without words": {"new-key", "POST", "/api/v2/x", false, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := decide(tc.auth, tc.method, tc.path)
			if d.Allowed != tc.allowed || d.Unknown != tc.unknown || d.Caller != tc.caller {
				t.Errorf("got %+v", d)
			}
			if strings.Contains(d.Reason, "key ") && strings.Contains(d.Reason, "new-") {
				t.Error("the reason repeats the key")
			}
		})
	}
	twice := p.Decide(authz.Request{Method: "POST", Path: "/api/v2/x", Header: headers{"authorization+": "Bearer new-key"}.get})
	if twice.Allowed || !twice.Unknown {
		t.Errorf("two keys: got %+v", twice)
	}
	d, bare := decide("Bearer new-key", "POST", "/api/v2/x"), decide("Bearer bare-key", "GET", "/api/v1/x")
	for what, got := range map[string][2]bool{
		"its bot":             {d.MayUse("acme", "helper"), true},
		"another bot":         {d.MayUse("acme", "help"), false},
		"any bot of a team":   {d.MayUse("other", "whatever"), true},
		"another team":        {d.MayUse("third", "helper"), false},
		"its method":          {d.MayCall("chat.postMessage"), true},
		"a method of a group": {d.MayCall("reactions.add"), true},
		"another method":      {d.MayCall("chat.postMessages"), false},
		"its team":            {d.MaySee("acme"), true},
		"an unknown team":     {d.MaySee("third"), false},
		"nothing given":       {bare.MayUse("acme", "helper") || bare.MayCall("auth.test") || bare.MaySee("acme"), false},
	} {
		if got[0] != got[1] {
			t.Errorf("%s: got %v", what, got[0])
		}
	}
}

func TestWhatLoadWouldHaveRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]config.Authorization{
		"check":      {Checks: []config.AuthCheck{check("os:system")}},
		"pattern":    {Permissions: map[string]config.Permission{"a": {Paths: []string{"a)|(b"}}}},
		"subject":    {Checks: []config.AuthCheck{check(permissions)}, Bindings: map[string][]string{"a)|(?:.*": nil}},
		"hash":       {Keys: map[string]config.APIKey{"a": {Hashes: []string{"sha256:00"}}}},
		"no hash":    {Keys: map[string]config.APIKey{"a": {Hashes: []string{"secret"}}}},
		"paths":      {Checks: []config.AuthCheck{check(paths, "paths", list("("))}},
		"paths type": {Checks: []config.AuthCheck{check(paths, "paths", "/a")}},
	} {
		if _, err := authz.New(c); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}

func FuzzKey(f *testing.F) {
	p, err := authz.New(config.Authorization{Keys: map[string]config.APIKey{"ci": {Hashes: []string{hashOf("right-key")}, Methods: []string{"GET"}}}})
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{"Bearer right-key", "Bearer", "bearer  x", "", "Bearer \x00", "Bearer right-key\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, auth string) {
		d := p.Decide(authz.Request{Method: "GET", Path: "/", Header: headers{"Authorization": auth}.get})
		scheme, secret, _ := strings.Cut(auth, " ")
		if want := strings.EqualFold(scheme, "bearer") && strings.TrimLeft(secret, " ") == "right-key"; d.Allowed != want {
			t.Errorf("%q: got %+v", auth, d)
		}
	})
}
