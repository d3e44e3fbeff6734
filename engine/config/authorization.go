package config

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/starling-rules/starling/runtime"
)

// Authorization says who may use the HTTP API. Checks, Permissions and
// Bindings mean what they mean in omnibot, except that every pattern has to
// match the whole of what it is compared with.
type Authorization struct {
	// Checks must all let a request in; without any, no request without a key is.
	Checks []AuthCheck `key:"checks"`
	// Permissions are named sets of requests, Bindings give them to callers.
	Permissions map[string]Permission `key:"permissions"`
	Bindings    map[string][]string   `key:"bindings"`
	// Keys are callers that prove who they are with `Authorization: Bearer KEY`.
	Keys map[string]APIKey `key:"keys"`
}

// AuthCheck is one check: the name of a function of omnibot's, and its arguments.
type AuthCheck struct {
	Module string         `key:"module"`
	Kwargs map[string]any `key:"kwargs"`
}

// Permission is a set of requests: methods, and patterns of paths.
type Permission struct {
	Methods      []string `key:"methods"`
	Paths        []string `key:"paths"`
	InternalOnly bool     `key:"internal_only"`
}

func (p *Permission) setDefaults() { p.InternalOnly = true }

// APIKey is a caller, and all it may do.
type APIKey struct {
	// Hashes are the SHA-256 of the key, "sha256:" and 64 hexadecimal digits;
	// two while the key is replaced.
	Hashes []string `key:"hash"`
	// Methods of HTTP, and patterns of paths; no path means all of the API's.
	Methods []string `key:"methods"`
	Paths   []string `key:"paths"`
	// Bots it may act as: "team/bot", "team/*", "*/*"; SlackMethods it may
	// call: "chat.postMessage", "reactions.*".
	Bots         []string `key:"bots"`
	SlackMethods []string `key:"slack_methods"`
}

// AuthChecks are the checks there are, with the arguments each takes.
var AuthChecks = map[string][]string{
	"omnibot.authnz:allowed_paths":                        {"paths"},
	"omnibot.authnz.envoy_checks:envoy_internal_check":    {"header"},
	"omnibot.authnz.envoy_checks:envoy_permissions_check": {"header"},
}

var (
	keyHash   = regexp.MustCompile(`^sha256:[0-9a-fA-F]{64}$`)
	httpVerb  = regexp.MustCompile(`^([A-Z]+|\*)$`)
	botOfTeam = regexp.MustCompile(`^[^/]+/[^/]+$`)
)

// validateAuthorization checks names and patterns, so that a slip shows at the
// start and not as a request that is refused, or let in.
func (c *Config) validateAuthorization(bad func(key, msg, hint string)) {
	a := c.Authorization
	patterns := func(key string, list []string) {
		for _, p := range list {
			if _, err := regexp.Compile(p); err != nil {
				bad(key, fmt.Sprintf("%q is no pattern: %v", p, err), "patterns are Go regular expressions (RE2)")
			}
		}
	}
	for i, check := range a.Checks {
		c.validateCheck(fmt.Sprintf("authorization.checks.%d", i), check, bad, patterns)
	}
	for _, name := range keysOf(a.Permissions) {
		key := "authorization.permissions." + name
		verbs(key, a.Permissions[name].Methods, bad)
		patterns(key+".paths", a.Permissions[name].Paths)
	}
	for _, subject := range keysOf(a.Bindings) {
		key := "authorization.bindings." + subject
		patterns(key, []string{subject})
		for _, name := range a.Bindings[subject] {
			if _, ok := a.Permissions[name]; !ok {
				bad(key, fmt.Sprintf("no permission %q", name), hintFor(name, keysOf(a.Permissions)))
			}
		}
	}
	for _, name := range keysOf(a.Keys) {
		c.validateKey("authorization.keys."+name, a.Keys[name], bad, patterns)
	}
}

func (c *Config) validateCheck(key string, check AuthCheck, bad func(key, msg, hint string), patterns func(string, []string)) {
	takes, known := AuthChecks[check.Module]
	if !known {
		hint := hintFor(check.Module, keysOf(AuthChecks))
		if hint == "" {
			hint = "there are " + strings.Join(keysOf(AuthChecks), ", ") +
				"; functions of your own are no checks: write what they decide as permissions and bindings, or give callers keys (starling docs api)"
		}
		bad(key, fmt.Sprintf("no check %q", check.Module), hint)
		return
	}
	for _, arg := range keysOf(check.Kwargs) {
		if !slices.Contains(takes, arg) {
			bad(key, fmt.Sprintf("%s takes no %q", check.Module, arg), hintFor(arg, takes))
		}
	}
	if _, err := check.Text("header"); err != nil {
		bad(key, err.Error(), "")
	}
	paths, err := check.Texts("paths")
	if err != nil {
		bad(key, err.Error(), "")
	}
	patterns(key, paths)
}

func (c *Config) validateKey(key string, k APIKey, bad func(key, msg, hint string), patterns func(string, []string)) {
	if len(k.Hashes) == 0 {
		bad(key, "hash is missing", "starling config hash-key makes a key and its hash")
	}
	for _, h := range k.Hashes {
		if !keyHash.MatchString(h) {
			// What stands there may be the key itself: it is not repeated.
			bad(key+".hash", "want sha256: and 64 hexadecimal digits", "starling config hash-key --stdin makes it of a key")
		}
	}
	verbs(key, k.Methods, bad)
	patterns(key+".paths", k.Paths)
	for _, b := range k.Bots {
		team, bot, _ := strings.Cut(b, "/")
		switch {
		case !botOfTeam.MatchString(b):
			bad(key+".bots", fmt.Sprintf("want team/bot (got %q)", b), `such as acme/helper, "acme/*"`)
		case team != "*" && c.Teams[team] == "":
			bad(key+".bots", fmt.Sprintf("no team %q", team), hintFor(team, keysOf(c.Teams)))
		case team != "*" && bot != "*" && c.Bots[team][bot] == "":
			bad(key+".bots", fmt.Sprintf("no bot %q in that team", bot), hintFor(bot, keysOf(c.Bots[team])))
		}
	}
	for _, m := range k.SlackMethods {
		if _, err := path.Match(m, ""); err != nil || m == "" {
			bad(key+".slack_methods", fmt.Sprintf("%q is no pattern", m), "such as chat.postMessage, chat.*")
		}
	}
}

func verbs(key string, methods []string, bad func(key, msg, hint string)) {
	if len(methods) == 0 {
		bad(key, "methods is missing", "such as [GET, POST]")
	}
	for _, m := range methods {
		if !httpVerb.MatchString(m) {
			bad(key+".methods", fmt.Sprintf("want a method of HTTP (got %q)", m), "such as GET or POST")
		}
	}
}

// Text returns an argument that is a text, "" if it is not there.
func (a AuthCheck) Text(name string) (string, error) {
	v, ok := a.Kwargs[name]
	if !ok || v == nil {
		return "", nil
	}
	s, ok := v.(string)
	if !ok || s == "" {
		return "", fmt.Errorf("%s of %s: want a text", name, a.Module)
	}
	return s, nil
}

// Texts returns an argument that is a list of texts, nil if it is not there.
func (a AuthCheck) Texts(name string) ([]string, error) {
	v, ok := a.Kwargs[name]
	if !ok || v == nil {
		return nil, nil
	}
	list, ok := v.(runtime.List)
	if !ok {
		return nil, fmt.Errorf("%s of %s: want a list", name, a.Module)
	}
	out := make([]string, len(list))
	for i, item := range list {
		if out[i], ok = item.(string); !ok {
			return nil, fmt.Errorf("%s of %s: want a list of texts", name, a.Module)
		}
	}
	return out, nil
}
