package sim

import (
	"net"
	"net/http"
	"net/url"
	"strings"
)

// guard keeps other people's web pages out: a name that resolves to this
// machine (DNS rebinding) fails at Host, a form or fetch of another site at
// Origin and Sec-Fetch-Site. Programs send neither of the last two.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "+
			"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if reason := refuse(r); reason != "" {
			http.Error(w, reason, http.StatusForbidden)
			return
		}
		if strings.Contains(r.URL.Path, "//") || strings.Contains(r.URL.Path, "/.") {
			http.NotFound(w, r) // clients are never redirected, which a ServeMux does to clean a path
			return
		}
		next.ServeHTTP(w, r)
	})
}

func refuse(r *http.Request) string {
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if !loopbackHost(strings.Trim(host, "[]")) {
		return "this server answers to localhost only"
	}
	if strings.HasPrefix(r.URL.Path, "/link/") {
		return "" // clients of Socket Mode name Slack's own site; a ticket lets them in
	}
	if origin := r.Header.Get("Origin"); origin != "" {
		u, err := url.Parse(origin)
		if err != nil || u.Scheme != "http" || u.Host != r.Host {
			return "requests from other pages are refused"
		}
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin":
		return ""
	case "none": // typed or bookmarked
		if r.Method == http.MethodGet {
			return ""
		}
	case "cross-site", "same-site":
		// A link to the page itself is harmless; to that of an authorization
		// apps send browsers on purpose, and it does nothing by itself.
		if r.Method == http.MethodGet && (r.URL.Path == "/" || r.URL.Path == "/oauth/v2/authorize") && r.Header.Get("Sec-Fetch-Mode") == "navigate" {
			return ""
		}
	}
	return "requests from other pages are refused"
}

func loopbackHost(name string) bool {
	if strings.EqualFold(name, "localhost") {
		return true
	}
	ip := net.ParseIP(name)
	return ip != nil && ip.IsLoopback()
}
