package rules_test

import "testing"

// What is under /api is behind the authorization of the HTTP API: no pattern of
// a webhook reaches there.
func TestNoWebhookIsUnderTheAPI(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "a.fake", on("webhook", "route", "GET,POST /{rest:path}", "open", true))
	s, report := load(t, newLoader(t, dir))
	if report.Errors != 0 {
		t.Fatal(report.Files[0].Errors)
	}
	for path, want := range map[string]bool{"/hooks/x": true, "/apiary": true, "/api": false, "/api/": false, "/api/v1/slack/nothing": false} {
		if rule, _ := s.Hook("POST", path); (rule != nil) != want {
			t.Errorf("%s: found %v, want %v", path, rule != nil, want)
		}
	}
}
