package oauth

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// FuzzState: nothing that was not handed out is taken, and nothing crashes.
func FuzzState(f *testing.F) {
	s := newStates(App{"1.1", "secret"}, func(b []byte) { clear(b) }, func() time.Time { return time.UnixMilli(1_700_000_000_000) })
	binding := make([]byte, bindingSize)
	good := s.make(binding, redirectURL)
	f.Add(good, string(binding), redirectURL)
	f.Add(good[:len(good)-1]+"_", string(binding), redirectURL)
	f.Add(good+"=", string(binding), redirectURL)
	f.Add("", "", "")
	f.Add(strings.Repeat("A", len(good)), string(binding), redirectURL)
	f.Fuzz(func(t *testing.T, text, cookie, redirect string) {
		ticket, err := s.open(text, []byte(cookie), redirect)
		if (err == nil) != (text == good && cookie == string(binding) && redirect == redirectURL) {
			t.Errorf("%q with %q for %q: %v", text, cookie, redirect, err)
		}
		if err == nil && len(ticket.nonce) != 2*nonceSize {
			t.Errorf("nonce %q", ticket.nonce)
		}
	})
}

// FuzzRedirect: whatever a browser sends without a good state ends in a page of
// 400 that repeats nothing of it, and Slack is not asked.
func FuzzRedirect(f *testing.F) {
	flow := NewFlow(FlowOptions{App: App{"1.1", "secret"}, RedirectURL: redirectURL, Scopes: func() (b, u []string) { return []string{"chat:write"}, nil }})
	f.Add("state", "code", "error", plainCookieName+"=x", "127.0.0.1:3000", false)
	f.Add("", "", "<script>alert(1)</script>", "a=b; ; =", "[::1", true)
	f.Add(strings.Repeat("A", 76), "x", "access_denied", cookieName+"="+strings.Repeat("A", 43), "bot.example.com", true)
	f.Fuzz(func(t *testing.T, state, code, problem, cookies, host string, secure bool) {
		r := &Request{Query: map[string]string{"state": state, "code": code, "error": problem, "team": code}, Cookie: cookies, Host: host, Secure: secure, Path: "/slack/install"}
		out := flow.Redirect(t.Context(), r)
		if out.Status != http.StatusBadRequest || strings.Contains(string(out.Body), "<script") {
			t.Errorf("%d %s", out.Status, out.Body)
		}
		page := flow.Install(t.Context(), r)
		if page.Status != http.StatusOK && page.Status != http.StatusBadRequest {
			t.Errorf("%d %s", page.Status, page.Body)
		}
		r.Query["start"], r.Query["team"] = "1", ""
		away := flow.Install(t.Context(), r)
		set := away.Header["Set-Cookie"]
		if away.Status != http.StatusFound || strings.ContainsAny(set+away.Header["Location"], "\r\n") || !strings.Contains(set, "HttpOnly") || strings.Contains(set, "Secure") == strings.HasPrefix(set, plainCookieName) {
			t.Errorf("%d %v", away.Status, away.Header)
		}
	})
}
