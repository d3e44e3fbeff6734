package ingress_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/starling-rules/starling/engine/ingress"
)

func tokens(o *ingress.Options) {
	o.VerificationTokens = []ingress.Secret{{App: "A1", Value: "tok1"}, {App: "A2", Value: "tok2"}}
}

func TestVerificationTokenOnlyWhenAllowed(t *testing.T) {
	t.Parallel()
	const body = `{"token":"tok1","api_app_id":"A1","type":"event_callback","event_id":"E1","team_id":"T1","event":{"type":"message","channel":"C1","user":"U1","text":"hi","ts":"1.1"}}`
	if r := do(t, start(t, &sink{}, nil), request{body: body, unsigned: true}); r.status != 401 {
		t.Errorf("without the switch: %+v", r)
	}
	form := func(s string) string { return "payload=" + url.QueryEscape(s) }
	for name, c := range map[string]struct {
		body   string
		status int
	}{
		"event":               {body, 200},
		"wrong token":         {strings.Replace(body, "tok1", "tok9", 1), 401},
		"another app's token": {strings.Replace(body, "tok1", "tok2", 1), 401},
		"empty token":         {strings.Replace(body, "tok1", "", 1), 401},
		"no text":             {strings.Replace(body, `"tok1"`, "1", 1), 401},
		"challenge":           {`{"token":"tok2","challenge":"c","type":"url_verification"}`, 200},
		"command":             {command + "&token=tok1&api_app_id=A1", 200},
		"command, forged":     {command + "&token=tok1&api_app_id=A2", 401},
		"interaction":         {form(`{"type":"shortcut","callback_id":"x","token":"tok1","api_app_id":"A1"}`), 200},
		"list":                {`["tok1"]`, 401},
	} {
		srv := start(t, &sink{}, tokens)
		if r := do(t, srv, request{body: c.body, unsigned: true}); r.status != c.status {
			t.Errorf("%s: %+v, want %d", name, r, c.status)
		}
	}
}

func TestASecretHoldsForItsAppAlone(t *testing.T) {
	t.Parallel()
	own := func(o *ingress.Options) { o.Secrets[0].App = "A1" }
	body := `{"api_app_id":"A1","type":"event_callback","event_id":"E1","team_id":"T1","event":{"type":"message","channel":"C1","user":"U1","text":"hi","ts":"1.1"}}`
	if r := do(t, start(t, &sink{}, own), request{body: body}); r.status != 200 {
		t.Errorf("its own: %+v", r)
	}
	if r := do(t, start(t, &sink{}, own), request{body: strings.Replace(body, "A1", "A2", 1)}); r.status != 401 {
		t.Errorf("another's: %+v", r)
	}
}
