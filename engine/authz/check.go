package authz

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/starling-rules/starling/engine/config"
)

// The headers that Envoy sets, unless the configuration names others.
const (
	headerInternal = "x-envoy-internal"
	headerIdentity = "x-envoy-downstream-service-cluster"
)

type permission struct {
	methods  []string
	paths    patterns
	internal bool
}

func (p permission) covers(r Request) bool {
	return (slices.Contains(p.methods, r.Method) || slices.Contains(p.methods, "*")) && p.paths.match(r.Path)
}

func compilePermissions(in map[string]config.Permission) (map[string]permission, error) {
	out := make(map[string]permission, len(in))
	for name, p := range in {
		paths, err := compilePatterns(p.Paths)
		if err != nil {
			return nil, fmt.Errorf("permission %s: %w", name, err)
		}
		out[name] = permission{p.Methods, paths, p.InternalOnly}
	}
	return out, nil
}

// compileCheck makes the check that an omnibot configuration names.
func compileCheck(c config.AuthCheck, a config.Authorization, perms map[string]permission) (func(Request) (string, bool), error) {
	header, err := c.Text("header")
	if err != nil {
		return nil, err
	}
	switch c.Module {
	case "omnibot.authnz:allowed_paths":
		return allowedPaths(c)
	case "omnibot.authnz.envoy_checks:envoy_internal_check":
		return internal(cmp.Or(header, headerInternal), perms), nil
	case "omnibot.authnz.envoy_checks:envoy_permissions_check":
		return bound(cmp.Or(header, headerIdentity), a.Bindings, perms)
	}
	return nil, fmt.Errorf("there is no such check")
}

func allowedPaths(c config.AuthCheck) (func(Request) (string, bool), error) {
	list, err := c.Texts("paths")
	if err != nil {
		return nil, err
	}
	paths, err := compilePatterns(list)
	return func(r Request) (string, bool) { return "", paths.match(r.Path) }, err
}

// internal lets in what comes from inside, and what some permission opens to
// the outside.
func internal(header string, perms map[string]permission) func(Request) (string, bool) {
	var public []permission
	for _, p := range perms {
		if !p.internal {
			public = append(public, p)
		}
	}
	return func(r Request) (string, bool) {
		if proxied(r, header) == "true" {
			return "", true
		}
		return "", slices.ContainsFunc(public, func(p permission) bool { return p.covers(r) })
	}
}

// bound lets in the callers that a binding gives a permission for the request.
func bound(header string, bindings map[string][]string, perms map[string]permission) (func(Request) (string, bool), error) {
	type binding struct {
		subject patterns
		gives   []permission
	}
	all := make([]binding, 0, len(bindings))
	for subject, names := range bindings {
		b := binding{}
		var err error
		if b.subject, err = compilePatterns([]string{subject}); err != nil {
			return nil, err
		}
		for _, name := range names {
			b.gives = append(b.gives, perms[name]) // one that is not there covers nothing
		}
		all = append(all, b)
	}
	return func(r Request) (string, bool) {
		who := proxied(r, header)
		if who == "" {
			return "", false
		}
		return who, slices.ContainsFunc(all, func(b binding) bool {
			return b.subject.match(who) && slices.ContainsFunc(b.gives, func(p permission) bool { return p.covers(r) })
		})
	}, nil
}

// proxied is a header that a trusted proxy has set, once; else "".
func proxied(r Request, header string) string {
	if !r.Trusted {
		return ""
	}
	v, once := r.Header(header)
	if !once {
		return ""
	}
	return v
}
