package ingress

import (
	"crypto/subtle"
	"net/url"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/runtime"
)

// byToken finds the app whose deprecated verification token a body holds. It
// proves neither the rest of the body nor when it was sent: only the apps of
// Options.VerificationTokens are let in like this.
func (s *Server) byToken(contentType, body []byte) (app string, ok bool) {
	tokens := *s.tokens.Load()
	if len(tokens) == 0 {
		return "", false
	}
	token, claimed := bodyToken(event.IsForm(contentType), body)
	if token == "" {
		return "", false
	}
	for _, t := range tokens {
		// Every token is compared, so that the time tells nothing.
		same := subtle.ConstantTimeCompare([]byte(token), []byte(t.Value)) == 1
		if same && t.Value != "" && (claimed == "" || claimed == t.App) {
			app, ok = t.App, true
		}
	}
	return app, ok
}

// SetVerificationTokens replaces Options.VerificationTokens.
func (s *Server) SetVerificationTokens(tokens ...Secret) { s.tokens.Store(&tokens) }

// bodyToken reads the token and the app's id out of a payload of any kind.
func bodyToken(form bool, body []byte) (token, app string) {
	if form {
		values, err := url.ParseQuery(string(body))
		if err != nil {
			return "", ""
		}
		payload := values.Get("payload")
		if payload == "" {
			return values.Get("token"), values.Get("api_app_id")
		}
		body = []byte(payload)
	}
	w, err := runtime.ParseView(body)
	if err != nil || w.IsList() {
		return "", ""
	}
	text := func(key string) string {
		v, _ := w.Get(key)
		s, _ := v.(string)
		return s
	}
	return text("token"), text("api_app_id")
}

// isAppID tells the id of an app from a name that somebody gave it.
func isAppID(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return false
		}
	}
	return len(s) > 1 && s[0] == 'A'
}
