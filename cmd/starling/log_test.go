package main

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// A rule, a file and a directory have levels of their own; the access log says
// who asked for what, and nothing of what was in it.
func TestLogLevelsOfRulesAndAccessLog(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rules, conf := filepath.Join(dir, "rules"), filepath.Join(dir, "starling.yaml")
	hook := func(name string) string {
		return `
def ` + name + `(e):
    log.debug("fine grains of ` + name + `")
    log.info("news of ` + name + `")
    log.warn("worries of ` + name + `")
    return "ok"
on.webhook("POST /` + name + `", ` + name + `, name = "` + name + `", open = True)
`
	}
	writeFile(t, filepath.Join(rules, "a.star"), hook("loud")+hook("usual"))
	writeFile(t, filepath.Join(rules, "b.star"), hook("quiet"))
	writeFile(t, filepath.Join(rules, "team", "c.star"), hook("team"))
	writeFile(t, conf, "log:\n  access: true\n  rules: {\"a.star:loud\": debug, b.star: error, team/: debug}\n")
	c := serve(t, newFakeSlack(t), rules, t.TempDir(), "--config", conf).ready()
	for _, name := range []string{"loud", "usual", "quiet", "team"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+c.listen+"/"+name+"?token=query-secret", strings.NewReader("body-secret"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer header-secret")
		if status, body := do(t, req); status != http.StatusOK {
			t.Fatalf("%s: status %d %s", name, status, body)
		}
	}
	c.until("logs all requests", func() bool { return strings.Count(c.out.String(), `msg="http request"`) >= 4 })
	out := c.out.String()
	for text, want := range map[string]bool{
		"fine grains of loud": true, "news of loud": true, "fine grains of usual": false, "news of usual": true,
		"news of quiet": false, "worries of quiet": false, "fine grains of team": true,
		"path=/loud": true, "client=127.0.0.1": true, "status=200": true,
		"query-secret": false, "body-secret": false, "header-secret": false,
	} {
		if got := strings.Contains(out, text); got != want {
			t.Errorf("%q is in the log: %v, want %v\n%s", text, got, want, out)
		}
	}
	writeFile(t, conf, "log: {rules: {a.star: loud}}\n")
	bad(t, 2, "want debug, info, warn or error (got \"loud\")", "config", "--config", conf)
}
