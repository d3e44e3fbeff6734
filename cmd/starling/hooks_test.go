package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/hook"
	"github.com/starling-rules/starling/stdlib"
)

// hookRules is what a team has of Errbot's webhooks, in both languages: each
// path below the name of the language.
var hookRules = map[string]string{
	"star.star": `
def test_star(e):
    return "OK"

on.webhook(test_star, open = True)
on.webhook("/star/example/{name}/{action}/", lambda e: "User %s is performing %s" % (e.params.name, e.params.action), open = True)
on.webhook("/star/n/{n:int}", lambda e: {"n": e.params.n + 1}, open = True)
on.webhook("GET,PUT /star/methods", lambda e: e.method, open = True)
on.webhook("/star/none", lambda e: None, open = True)
on.webhook("/star/json", lambda e: http_reply(json = e.json), open = True)
on.webhook("/star/list", lambda e: [1, {"a": e.json["a"]}], open = True)
on.webhook("/star/github", lambda e: "Commit on %s!" % e.form["repository"]["name"], form_param = "payload", open = True)
on.webhook("/star/form", lambda e: {"form": e.form}, open = True)
on.webhook("/star/raw", lambda e: "Your user-agent is %s" % e.headers.get("user-agent", "Unknown"), raw = True, open = True)
on.webhook("/star/bytes", lambda e: e.body_bytes, open = True)
on.webhook("/star/headers", lambda e: http_reply(201, "OK", headers = {"X-Powered-By": "Errbot", "Content-Type": "text/html"}, cookies = {"a": "1", "b": {"value": "2", "path": "/", "http_only": True, "same_site": "Lax"}}), open = True)
on.webhook("/star/remote", lambda e: e.remote + " " + e.cookies["seen"], open = True)

def forbid(e):
    abort(403, "Forbidden")
    post("#never", "never")

on.webhook("/star/abort", forbid, open = True)
on.webhook("/star/fails", lambda e: fail("a secret detail"), open = True)
on.webhook("/star/number", lambda e: 42, open = True)

def slow(e):
    post("#slow", "slow")
    return "late"

on.webhook("/star/slow", slow, open = True)
`,
	"lua.lua": `
local function test_lua(e) return "OK" end
on.webhook(test_lua, {open = true})
on.webhook("/lua/example/{name}/{action}/", function(e) return "User " .. e.params.name .. " is performing " .. e.params.action end, {open = true})
on.webhook("/lua/n/{n:int}", function(e) return {n = e.params.n + 1} end, {open = true})
on.webhook("GET,PUT /lua/methods", function(e) return e.method end, {open = true})
on.webhook("/lua/none", function(e) end, {open = true})
on.webhook("/lua/json", function(e) return http_reply(200, {json = e.json}) end, {open = true})
on.webhook("/lua/list", function(e) return {1, {a = e.json.a}} end, {open = true})
on.webhook("/lua/github", function(e) return "Commit on " .. e.form.repository.name .. "!" end, {form_param = "payload", open = true})
on.webhook("/lua/form", function(e) return {form = e.form} end, {open = true})
on.webhook("/lua/raw", function(e) return "Your user-agent is " .. (e.headers["user-agent"] or "Unknown") end, {raw = true, open = true})
on.webhook("/lua/bytes", function(e) return http_reply(200, e.body_bytes, {headers = {["Content-Type"] = "application/octet-stream"}}) end, {open = true})
on.webhook("/lua/headers", function(e) return http_reply(201, "OK", {headers = {["X-Powered-By"] = "Errbot", ["Content-Type"] = "text/html"}, cookies = {a = "1", b = {value = "2", path = "/", http_only = true, same_site = "Lax"}}}) end, {open = true})
on.webhook("/lua/remote", function(e) return e.remote .. " " .. e.cookies.seen end, {open = true})
on.webhook("/lua/abort", function(e) abort(403, "Forbidden") post("#never", "never") end, {open = true})
on.webhook("/lua/fails", function(e) fail("a secret detail") end, {open = true})
on.webhook("/lua/number", function(e) return 42 end, {open = true})
on.webhook("/lua/slow", function(e) post("#slow", "slow") return "late" end, {open = true})
`,
}

// hookServer serves rules, with a configuration of its own.
func hookServer(t testing.TB, config string, rules map[string]string) (c *child, slack *fakeSlack, dir, data string) {
	t.Helper()
	slack, dir, data = newFakeSlack(t), t.TempDir(), t.TempDir()
	for name, text := range rules {
		writeFile(t, filepath.Join(dir, name), text)
	}
	return serveHooks(t, slack, config, dir, data), slack, dir, data
}

func serveHooks(t testing.TB, slack *fakeSlack, config, dir, data string) *child {
	t.Helper()
	path := filepath.Join(t.TempDir(), "starling.yaml")
	writeFile(t, path, config)
	return serve(t, slack, dir, data, "--config", path).ready()
}

// reply is the answer to a request for a webhook.
type reply struct {
	status int
	body   string
	header http.Header
}

// call sends a request: "METHOD /path", headers "Name: value".
func (c *child) call(request, body string, headers ...string) reply {
	c.t.Helper()
	method, path, _ := strings.Cut(request, " ")
	req, err := http.NewRequestWithContext(context.Background(), method, "http://"+c.listen+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	for _, h := range headers {
		k, v, _ := strings.Cut(h, ": ")
		req.Header.Add(k, v)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatalf("%s: %v\n%s", request, err, c.out.String())
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return reply{res.StatusCode, string(b), res.Header}
}

func TestWebhooksAsErrbotHasThem(t *testing.T) {
	t.Parallel()
	c, slack, _, _ := hookServer(t, "limits: {answer: 500ms}\n", hookRules)
	defer slack.hold("slow")()
	const (
		asJSON = "Content-Type: application/json"
		asForm = "Content-Type: application/x-www-form-urlencoded"
		text   = "text/plain; charset=utf-8"
		data   = "application/json; charset=utf-8"
	)
	for _, k := range []struct {
		request, body string
		headers       []string
		status        int
		want          string // "*" is anything
		contentType   string
	}{
		{"POST /test_LANG", "", nil, 200, "OK", text},
		{"POST /test_LANG/", "", nil, 200, "OK", text},
		{"GET /test_LANG", "", nil, 405, "method not allowed\n", text},
		{"POST /LANG/example/gbin/dance/", "", nil, 200, "User gbin is performing dance", text},
		{"POST /LANG/example/g%20b%2Fin/dance", "", nil, 200, "User g b/in is performing dance", text},
		{"POST /LANG/example/gbin", "", nil, 404, "not found\n", text},
		{"POST /LANG/n/41", "", nil, 200, `{"n":42}`, data},
		{"POST /LANG/n/x", "", nil, 404, "not found\n", text},
		{"GET /LANG/n/41", "", nil, 405, "*", text},
		{"GET /LANG/methods", "", nil, 200, "GET", text},
		{"PUT /LANG/methods", "x", nil, 200, "PUT", text},
		{"POST /LANG/methods", "", nil, 405, "*", text},
		{"POST /LANG/none", "", nil, 200, "", ""},
		{"POST /LANG/json", `{"a": [1, 2.5, null, "ä"]}`, []string{asJSON}, 200, `{"a":[1,2.5,null,"ä"]}`, data},
		{"POST /LANG/json", `0`, []string{asJSON}, 200, `0`, data},
		{"POST /LANG/json", `false`, []string{asJSON}, 200, `false`, data},
		{"POST /LANG/json", `""`, []string{asJSON}, 200, `""`, data},
		{"POST /LANG/json", `{}`, []string{asJSON}, 200, `{}`, data},
		{"POST /LANG/json", `[]`, []string{asJSON}, 200, `[]`, data},
		{"POST /LANG/json", `{"a": 1}`, nil, 200, `{"a":1}`, data},
		{"POST /LANG/json", `{`, []string{asJSON}, 400, "*", text},
		{"POST /LANG/list", `{"a":null}`, []string{asJSON}, 200, "*", data},
		{"POST /LANG/github", "payload=%7B%22repository%22%3A%7B%22name%22%3A%22test%22%7D%7D", []string{asForm}, 200, "Commit on test!", text},
		{"POST /LANG/github", "other=1", []string{asForm}, 400, "the form lacks the parameter payload\n", text},
		{"POST /LANG/form", "a=1&b=x+y&a=2", []string{asForm}, 200, `{"form":{"a":["1","2"],"b":"x y"}}`, data},
		{"POST /LANG/raw", "\xff{", []string{asJSON, "User-Agent: curl/8"}, 200, "Your user-agent is curl/8", text},
		{"POST /LANG/bytes", "\x89PNG\xff\x00", []string{"Content-Type: image/png"}, 200, "\x89PNG\xff\x00", "application/octet-stream"},
		{"POST /LANG/headers", "", nil, 201, "OK", "text/html"},
		{"POST /LANG/remote", "", []string{"Cookie: seen=yes"}, 200, "127.0.0.1 yes", text},
		{"POST /LANG/abort", "", nil, 403, "Forbidden", text},
		{"POST /LANG/fails", "", nil, 500, "*", text},
		{"POST /LANG/number", "", nil, 200, "", ""},
		{"POST /LANG/slow", "", nil, 202, "", ""},
		{"POST /LANG/randomness_blah", "{'toto': 'titui'}", nil, 404, "not found\n", text},
	} {
		for _, lang := range []string{"star", "lua"} {
			request := strings.ReplaceAll(k.request, "LANG", lang)
			r := c.call(request, k.body, k.headers...)
			if r.status != k.status || r.body != k.want && k.want != "*" || r.header.Get("Content-Type") != k.contentType {
				t.Errorf("%s %.40q: %d %q %s, want %d %q %s", request, k.body, r.status, r.body, r.header.Get("Content-Type"), k.status, k.want, k.contentType)
			}
			switch {
			case strings.HasSuffix(request, "/methods") && r.status == 405:
				if got := r.header.Get("Allow"); got != "GET, PUT" {
					t.Errorf("%s: Allow is %q", request, got)
				}
			case strings.HasSuffix(request, "/fails"):
				if run, is := strings.CutPrefix(r.body, "run "); !is || strings.Contains(r.body, "secret") || len(strings.Fields(run)) != 1 {
					t.Errorf("%s: a failure says %q", request, r.body)
				}
			case strings.HasSuffix(request, "/headers"):
				cookies := strings.Join(r.header["Set-Cookie"], " | ")
				if r.header.Get("X-Powered-By") != "Errbot" || !strings.Contains(cookies, "a=1") || !strings.Contains(cookies, "b=2; ") ||
					!strings.Contains(cookies, "HttpOnly") || !strings.Contains(cookies, "SameSite=Lax") || !strings.Contains(cookies, "Path=/") || len(r.header["Set-Cookie"]) != 2 {
					t.Errorf("%s: %v", request, r.header)
				}
			}
		}
	}
	if slack.times("never") != 0 {
		t.Error("a script went on after abort")
	}
}

// TestErrbotsOwnExample sends the request of Errbot's manual.
func TestErrbotsOwnExample(t *testing.T) {
	t.Parallel()
	manual := document(t, "S2.txt")
	_, rest, found := strings.Cut(manual, "!webhook test /github ")
	if !found {
		t.Fatal("the manual has no example of /github")
	}
	body, _, _ := strings.Cut(rest, "\n")
	c, _, _, _ := hookServer(t, "", hookRules)
	for _, lang := range []string{"star", "lua"} {
		if r := c.call("POST /"+lang+"/github/", body, "Content-Type: application/x-www-form-urlencoded"); r.status != 200 || r.body != "Commit on test!" {
			t.Errorf("%s: %+v", lang, r)
		}
	}
}

// document reads one of the project's documents, or skips the test.
func document(t *testing.T, name string) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; ; dir = filepath.Dir(dir) {
		if b, err := os.ReadFile(filepath.Join(dir, "shared", "documents", name)); err == nil {
			return string(b)
		}
		if dir == filepath.Dir(dir) {
			t.Skipf("shared/documents/%s is not there", name)
		}
	}
}

const guardedRules = `
def seen(e):
    post("#seen", "%s by %s" % (e.path, e.remote))
    return {"secret": str(secret("GITHUB")), "headers": e.headers}

on.webhook("/github", seen, secret = [secret("NEXT"), secret("GITHUB")], signature = "github")
on.webhook("/gitlab", seen, secret = secret("GITLAB"), signature = "gitlab")
on.webhook("/stripe", seen, secret = secret("STRIPE"), signature = "stripe")
on.webhook("/missing", seen, secret = secret("NOT_CONFIGURED"))
on.webhook("/bearer", seen, bearer = secret("TOKEN"))
on.webhook("/basic", seen, basic = "ci:" + secret("TOKEN"))
on.webhook("/home", seen, allow = ["192.0.2.0/24"])
on.webhook("/both", seen, allow = ["192.0.2.0/24"], bearer = secret("TOKEN"))
on.webhook("/seldom", lambda e: "ok", open = True, rate = "2/h", max_body = "1KiB")
`

const guardedConfig = `
trusted_proxies: [127.0.0.0/8]
secrets: {GITHUB: github-secret-text, GITLAB: gitlab-secret-text, STRIPE: stripe-secret-text, TOKEN: token-secret-text, NEXT: next-secret-text}
`

func mac(secret, text string) string {
	m := hmac.New(sha256.New, []byte(secret))
	m.Write([]byte(text))
	return hex.EncodeToString(m.Sum(nil))
}

func TestGuardedWebhooks(t *testing.T) {
	t.Parallel()
	c, slack, dir, data := hookServer(t, guardedConfig, map[string]string{"a.star": guardedRules})
	const body = `{"id":"evt_1"}`
	now := strconv.FormatInt(time.Now().Unix(), 10)
	old := strconv.FormatInt(time.Now().Add(-time.Hour).Unix(), 10)
	admitted := 0
	for name, k := range map[string]struct {
		path    string
		headers []string
		status  int
	}{
		"github":           {"/github", []string{"X-Hub-Signature-256: sha256=" + mac("github-secret-text", body)}, 200},
		"github, the next": {"/github", []string{"X-Hub-Signature-256: sha256=" + mac("next-secret-text", body)}, 200},
		"github, forged":   {"/github", []string{"X-Hub-Signature-256: sha256=" + mac("guess", body)}, 401},
		"github, none":     {"/github", nil, 401},
		"gitlab":           {"/gitlab", []string{"X-Gitlab-Token: gitlab-secret-text"}, 200},
		"gitlab, wrong":    {"/gitlab", []string{"X-Gitlab-Token: github-secret-text"}, 401},
		"stripe":           {"/stripe", []string{"Stripe-Signature: t=" + now + ",v1=" + mac("stripe-secret-text", now+"."+body)}, 200},
		"stripe, old":      {"/stripe", []string{"Stripe-Signature: t=" + old + ",v1=" + mac("stripe-secret-text", old+"."+body)}, 401},
		"no such secret":   {"/missing", []string{"X-Hub-Signature-256: sha256=" + mac("", body)}, 401},
		"bearer":           {"/bearer", []string{"Authorization: Bearer token-secret-text"}, 200},
		"bearer, wrong":    {"/bearer", []string{"Authorization: Bearer x"}, 401},
		"basic":            {"/basic", []string{"Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("ci:token-secret-text"))}, 200},
		"basic, wrong":     {"/basic", []string{"Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("token-secret-text:ci"))}, 401},
		"home":             {"/home", []string{"X-Forwarded-For: 192.0.2.9"}, 200},
		"away":             {"/home", []string{"X-Forwarded-For: 192.0.3.9"}, 401},
		"both":             {"/both", []string{"X-Forwarded-For: 192.0.2.9", "Authorization: Bearer token-secret-text"}, 200},
		"half of both":     {"/both", []string{"X-Forwarded-For: 192.0.2.9"}, 401},
	} {
		r := c.call("POST "+k.path, body, k.headers...)
		if r.status != k.status || k.status == 401 && r.body != "not authentic\n" {
			t.Errorf("%s: %+v", name, r)
		}
		if r.status == 200 {
			admitted++
			if !strings.Contains(r.body, `"secret":"***"`) || strings.Contains(r.body, "secret-text") {
				t.Errorf("%s: the rule has seen a secret: %s", name, r.body)
			}
		}
	}
	if got := slack.total(); got != admitted {
		t.Errorf("%d rules ran for %d requests that were let in", got, admitted)
	}
	if slack.times("/home by 192.0.2.9") != 1 {
		t.Errorf("who called is not known: %v", slack.texts())
	}

	var last reply
	for range 3 {
		last = c.call("POST /seldom", "x")
	}
	if last.status != 429 || last.header.Get("Retry-After") == "" {
		t.Errorf("the third of two in an hour: %+v", last)
	}
	if r := c.call("POST /seldom", strings.Repeat("x", 1025)); r.status != 413 {
		t.Errorf("1025 bytes of 1024: %+v", r)
	}
	if log := c.out.String(); strings.Contains(log, "secret-text") {
		t.Errorf("the log has a secret:\n%s", log)
	}
	c.signal(syscall.SIGTERM)
	c.exits(0)
	_ = filepath.WalkDir(data, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if b, err := os.ReadFile(path); err == nil && bytes.Contains(b, []byte("secret-text")) {
			t.Errorf("the store has a secret: %s", path)
		}
		return nil
	})
	_ = dir
}

func TestWebhooksAreStoredBeforeTheyAreAnswered(t *testing.T) {
	t.Parallel()
	killed := make(chan struct{})
	far := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-killed }))
	t.Cleanup(far.Close)
	config := "limits: {answer: 100ms}\nhttp: {allow: [\"127.0.0.1\"]}\n"
	c, slack, dir, data := hookServer(t, config, map[string]string{"a.star": `
def work(e):
    http_get("` + far.URL + `")
    post("#done", "done " + e.body)
    return "ok"

on.webhook("/work", work, open = True)
on.webhook("/quick", lambda e: post("#done", "quick " + e.body).ok and "ok", open = True)
`})
	const n = 20
	for i := range n {
		if r := c.call("POST /work", strconv.Itoa(i), "X-GitHub-Delivery: d-"+strconv.Itoa(i)); r.status != 202 {
			t.Fatalf("request %d: %+v", i, r)
		}
	}
	if r := c.call("POST /quick", "1", "Idempotency-Key: k"); r.status != 200 {
		t.Fatalf("%+v", r)
	}
	c.signal(syscall.SIGKILL)
	_ = c.cmd.Wait()
	close(killed)
	c = serveHooks(t, slack, config, dir, data)
	c.until("what was answered is done", func() bool {
		for i := range n {
			if slack.times("done "+strconv.Itoa(i)) == 0 {
				return false
			}
		}
		return true
	})
	// Deliveries that come again after the restart are known.
	for i := range n {
		if r := c.call("POST /work", strconv.Itoa(i), "X-GitHub-Delivery: d-"+strconv.Itoa(i)); r.status != 200 || r.body != "" {
			t.Errorf("delivery %d again: %+v", i, r)
		}
	}
	if r := c.call("POST /quick", "1", "Idempotency-Key: k"); r.status != 200 || r.body != "" {
		t.Errorf("%+v", r)
	}
	if r := c.call("POST /quick", "1", "Idempotency-Key: another"); r.body != "ok" {
		t.Errorf("%+v", r)
	}
	for i := range n {
		if got := slack.times("done " + strconv.Itoa(i)); got != 1 {
			t.Errorf("request %d was done %d times", i, got)
		}
	}
	if got := slack.times("quick 1"); got != 2 {
		t.Errorf("two deliveries were done %d times", got)
	}
}

func TestWebhooksFollowTheFiles(t *testing.T) {
	t.Parallel()
	c, _, dir, _ := hookServer(t, "", map[string]string{"stays.star": `on.webhook("/stays", lambda e: "here", open = True)`})
	stop := make(chan struct{})
	steady := make(chan error, 1)
	go func() { // a hook that no change concerns is never away
		for {
			select {
			case <-stop:
				steady <- nil
				return
			default:
			}
			if r := c.call("POST /stays", ""); r.status != 200 || r.body != "here" {
				steady <- fmt.Errorf("%+v", r)
				return
			}
		}
	}()
	path := filepath.Join(dir, "moving.star")
	for i := range 10 {
		now, before := fmt.Sprintf("/at/%d", i), fmt.Sprintf("/at/%d", i-1)
		writeFile(t, path, fmt.Sprintf("on.webhook(%q, lambda e: \"version %d\", open = True)\n", now, i))
		c.until(now+" is served", func() bool { return c.call("POST "+now, "").status == 200 })
		// One swap: from its first answer on the new path is there and the old one is not.
		if r := c.call("POST "+now, ""); r.body != fmt.Sprintf("version %d", i) {
			t.Errorf("%s: %+v", now, r)
		}
		if r := c.call("POST "+before, ""); r.status != 404 {
			t.Errorf("%s after it has moved: %+v", before, r)
		}
	}
	writeFile(t, path, "on.webhook(\"/at/9\", lambda e: \"version 9\")\n") // nobody says who may call it
	c.prints("nothing says who may call /at/9")
	if r := c.call("POST /at/9", ""); r.body != "version 9" {
		t.Errorf("a file with an error does not leave its last version: %+v", r)
	}
	writeFile(t, filepath.Join(dir, "other.star"), "on.webhook(\"/at/9\", lambda e: \"other\", open = True)\n")
	c.prints("is answered already by the rule at moving.star:1:1")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	c.until("the other rule has the path", func() bool { return c.call("POST /at/9", "").body == "other" })
	if err := os.Remove(filepath.Join(dir, "other.star")); err != nil {
		t.Fatal(err)
	}
	c.until("the path is gone", func() bool { return c.call("POST /at/9", "").status == 404 })
	close(stop)
	if err := <-steady; err != nil {
		t.Errorf("a hook that no change concerns: %v", err)
	}
}

// TestARateOutlivesAnEdit makes sure that saving a file gives nobody more.
func TestARateOutlivesAnEdit(t *testing.T) {
	t.Parallel()
	rule := func(says string) string {
		return fmt.Sprintf("def hook(e):\n    return %q\n\non.webhook(\"/h\", hook, open = True, rate = \"2/h\")\non.webhook(\"/%s\", lambda e: \"x\", open = True)\n", says, says)
	}
	c, _, dir, _ := hookServer(t, "", map[string]string{"a.star": rule("one")})
	c.call("POST /h", "")
	writeFile(t, filepath.Join(dir, "a.star"), rule("two"))
	c.until("the edit is live", func() bool { return c.call("POST /two", "").status == 200 })
	if r := c.call("POST /h", ""); r.body != "two" {
		t.Errorf("%+v", r)
	}
	r := c.call("POST /h", "")
	after, err := json.Number(r.header.Get("Retry-After")).Int64()
	if r.status != 429 || err != nil || after < 1 || after > 1800 {
		t.Errorf("%+v", r)
	}
}

// TestTheSchemesAreThoseThatAreDeclared: on.webhook is declared in stdlib, and
// requests are verified in engine/hook; neither knows the other.
func TestTheSchemesAreThoseThatAreDeclared(t *testing.T) {
	t.Parallel()
	for _, b := range stdlib.Builtins() {
		if b.Name != "on.webhook" {
			continue
		}
		for _, p := range b.Params {
			want, is := map[string][]string{"signature": hook.Schemes, "algorithm": hook.Algorithms, "encoding": hook.Encodings}[p.Name]
			if is && !slices.Equal(p.Values, want) {
				t.Errorf("%s is declared as %v and done as %v", p.Name, p.Values, want)
			}
		}
		return
	}
	t.Error("on.webhook is not declared")
}
