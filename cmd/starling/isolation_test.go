package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/queue"
)

// What one run, or one script, tries to leave for another. Each attempt may
// fail or come to nothing; what the others then see must be as it was.
var poison = map[string]string{
	"lib/list.star": "LIST = [1]\nTABLE = {\"k\": 1}\ndef add(x):\n    LIST.append(x)\n    return len(LIST)\n",
	"poison.star": `
load("lib/list.star", "LIST", "TABLE", "add")
SEEN = []
STATE = {"n": 0}
def keep(e, seen = []):
    seen.append(1)
    post("C0", "star default %d" % len(seen))
def field(e):
    e.text = "poison"
def item(e):
    e["text"] = "poison"
def raw(e):
    e.raw["event"]["text"] = "poison"
def deep(e):
    e.raw.event.text = "poison"
def settings(e):
    config["k"] = "poison"
def inner(e):
    config["list"].append("poison")
for fn in [
    keep, field, item, raw, deep, settings, inner,
    lambda e: SEEN.append(1), lambda e: STATE.update(n = 1), lambda e: STATE.pop("n"), lambda e: LIST.append("poison"),
    lambda e: TABLE.clear(), lambda e: add("poison"), lambda e: e.raw.update(x = 1), lambda e: e.raw["event"].clear(),
]:
    on.message("^poison", fn, priority = 9)
on.message("^look", lambda e: post("C0", "star %s %s %s %s %s" % (SEEN, STATE, LIST, TABLE, config)))
on.message("^poison", lambda e: post("C0", "star event " + e.text + " " + e.raw["event"]["text"]), priority = -9)
`,
	"see.star": `
load("lib/list.star", "LIST", "TABLE")
on.message("^look", lambda e: post("C0", "other star %s %s %s" % (LIST, TABLE, sorted([2, 1]))))
`,
	"lib/list.lua": "local M = {list = {1}, t = {k = 1}}\nlocal n = 0\nfunction M.add(x) M.list[#M.list + 1] = x end\nfunction M.count() n = n + 1 return n end\nreturn M\n",
	"poison.lua": `
local lib = require("lib.list")
local n, seen = 0, {}
STATE = {n = 0}
local function try(fn) on.message("^poison", fn, {priority = 9}) end
try(function(e) n = n + 1 post("C0", "lua upvalue " .. n) end)
try(function(e) seen[#seen + 1] = 1 post("C0", "lua table " .. #seen) end)
try(function(e) STATE.n = STATE.n + 1 post("C0", "lua global " .. STATE.n) end)
try(function(e) post("C0", "lua module " .. lib.count()) end)
try(function(e) LEFT = "poison" end)
try(function(e) rawset(STATE, "n", "poison") end)
try(function(e) table.insert(seen, "poison") end)
try(function(e) seen = {"poison"} end)
try(function(e) lib.add("poison") end)
try(function(e) lib.list[1] = "poison" end)
try(function(e) lib.t = nil end)
try(function(e) table.remove(lib.list) end)
try(function(e) table.sort(lib.list, function() return true end) end)
try(function(e) string.upper = function() return "poison" end end)
try(function(e) rawset(string, "upper", function() return "poison" end) end)
try(function(e) getmetatable("").__index.upper = function() return "poison" end end)
try(function(e) getmetatable("").__index = {} end)
try(function(e) setmetatable(STATE, {__index = {x = "poison"}}) end)
try(function(e) setmetatable(string, {__index = {poison = 1}}) end)
try(function(e) post = function() end end)
try(function(e) on.message = nil end)
try(function(e) math.floor = function() return "poison" end end)
try(function(e) e.text = "poison" end)
try(function(e) rawset(e, "text", "poison") end)
try(function(e) e.raw.event.text = "poison" end)
try(function(e) rawset(e.raw, "event", "poison") end)
try(function(e) setmetatable(e, {__index = {text = "poison"}}) end)
try(function(e) config.k = "poison" end)
try(function(e) config.list[1] = "poison" end)
try(function(e) table.insert(config.list, "poison") end)
on.message("^look", function(e)
  post("C0", "lua " .. json.encode({n, #seen, STATE.n, #lib.list, lib.list[1], lib.t.k, tostring(LEFT), ("x"):upper(), string.upper("y"),
    math.floor(1.5), config.k, config.list[1], #config.list, tostring(STATE.x), tostring((pcall(function() return string["poi" .. "son"] end)))}))
end)
on.message("^poison", function(e) post("C0", "lua event " .. e.text .. " " .. e.raw.event.text) end, {priority = -9})
`,
	"see.lua": `
local lib = require("lib.list")
on.message("^look", function(e)
  post("C0", "other lua " .. json.encode({#lib.list, lib.list[1], lib.t.k, ("x"):upper(), lib.count()}))
end)
`,
}

func TestNothingIsLeftForAnotherRunOrScript(t *testing.T) {
	for _, sandbox := range []string{"default", "none"} {
		t.Run(sandbox, func(t *testing.T) {
			slow(t)
			slack, rules := newFakeSlack(t), t.TempDir()
			for path, text := range poison {
				writeFile(t, filepath.Join(rules, filepath.FromSlash(path)), text)
			}
			conf := filepath.Join(t.TempDir(), "starling.yaml")
			writeFile(t, conf, "rules_config: {poison.star: {k: clean, list: [1]}, poison.lua: {k: clean, list: [1]}}\nworkers: 1\n")
			c := serve(t, slack, rules, t.TempDir(), "--sandbox", sandbox, "--config", conf).ready()
			if _, body := c.ask("/rules"); !strings.Contains(body, `"errors":0`) {
				t.Fatalf("rules: %s", body)
			}
			idle := func() {
				c.until("all is done", func() bool {
					_, body := c.ask("/queue")
					return fromJSON[struct{ Pending int }](t, body).Pending == 0
				})
			}
			const rounds = 3
			n := 0
			for range rounds {
				for _, text := range []string{"poison", "look"} {
					n++
					c.message(n, text)
					idle()
				}
			}
			got := slack.texts()
			want := map[string]int{
				`star [] {"n": 0} [1] {"k": 1} {"k": "clean", "list": [1]}`:   rounds,
				`other star [1] {"k": 1} [1, 2]`:                              rounds,
				"star event poison poison":                                    rounds,
				`lua [0,0,0,1,1,1,"nil","X","Y",1,"clean",1,1,"nil","false"]`: rounds,
				`other lua [1,1,1,"X",1]`:                                     rounds,
				"lua event poison poison":                                     rounds,
			}
			for text, times := range want {
				if got[text] != times {
					t.Errorf("%d times %s, want %d", got[text], text, times)
				}
			}
			for text, times := range got {
				// An attempt that succeeds within its run sees the first state.
				if _, ok := want[text]; !ok && !strings.HasSuffix(text, " 1") {
					t.Errorf("%d times %s", times, text)
				}
			}
			if t.Failed() {
				t.Log(good(t, "runs", "--admin", c.admin))
			}
		})
	}
}

// TestStateOfAnotherScriptIsOutOfReach has scripts whose paths and keys are
// made to meet, in directories that have the same paths.
func TestStateOfAnotherScriptIsOutOfReach(t *testing.T) {
	slow(t)
	slack, rules, second := newFakeSlack(t), t.TempDir(), t.TempDir()
	write := `
def put(e):
    for key in KEYS:
        kv.set(key, NAME)
        once(key)
    kv.set("shared-" + NAME, NAME, shared = True)
on.message("^put", put)
`
	look := `
def look(e):
    seen = sorted(kv.list(limit = 1000))
    got = [kv.get(key) for key in KEYS]
    post("C0", "%s sees %d keys of %d, %s" % (NAME, len(seen), len(KEYS), [v for v in got if v != NAME and v != None] or "its own"))
    post("C0", "%s once %s" % (NAME, [key for key in KEYS if once("new-" + NAME + key) != True] or "fresh"))
on.message("^look", look)
`
	// The keys of each contain what would lead into another's namespace.
	keys := `KEYS = ["k", "a.star//k", "//k", "/k", "../a.star//k", "s/a.star//k", "shared/k", "once/s/a.star//k", "sub/a.star//k",
  "..", ".", "*", ">", "%2e%2e/k", "a.star", "\\", " k", "k ", "K", "ключ", "breaker/x", "star//k"]
`
	for path, name := range map[string]string{"a.star": "A", "sub/a.star": "B", "a.star.star": "C", "s.star": "D", "sub/s/a.star": "E"} {
		writeFile(t, filepath.Join(rules, filepath.FromSlash(path)), fmt.Sprintf("NAME = %q\n", name)+keys+write+look)
	}
	// The same path in a second directory would have the same state: it is refused.
	writeFile(t, filepath.Join(second, "a.star"), "on.message(\"^put\", lambda e: kv.set(\"k\", \"thief\"))\n")
	writeFile(t, filepath.Join(second, "b.lua"), `
on.message("^look", function(e)
  post("C0", "lua sees " .. #kv.list({limit = 1000}) .. " " .. tostring(kv.get("k")) .. " " .. tostring(kv.get("a.star//k")))
  post("C0", "lua shared " .. table.concat(kv.list({shared = true}), " "))
end)
`)
	c := serve(t, slack, rules, t.TempDir(), "--rules", second).ready()
	if _, body := c.ask("/rules"); !strings.Contains(body, "paths are unique over all rules directories") {
		t.Errorf("two scripts of one path: %s", body)
	}
	for i, text := range []string{"put", "look"} {
		c.message(i+1, text)
		c.until("all is done", func() bool {
			_, body := c.ask("/queue")
			return fromJSON[struct{ Pending int }](t, body).Pending == 0
		})
	}
	got := slack.texts()
	for _, name := range []string{"A", "B", "C", "D", "E"} {
		for _, want := range []string{name + " sees 22 keys of 22, its own", name + " once fresh"} {
			if got[want] != 1 {
				t.Errorf("missing %q", want)
			}
		}
	}
	for _, want := range []string{"lua sees 0 nil nil", "lua shared shared-A shared-B shared-C shared-D shared-E"} {
		if got[want] != 1 {
			t.Errorf("missing %q", want)
		}
	}
	if t.Failed() {
		t.Logf("posted: %v", got)
	}
}

const (
	theSecret = `s3cr/et+va"lue-Zq81`
	theNumber = "90210421773355"
	theToken  = "xoxb-990011223344-TheTokenItself"
	userToken = "xoxp-990011223344-AnotherOfThem"
	signing   = "signing-secret-0f3e9a"
	public    = "what-every-worker-may-know" // is found where secrets must not be
)

// every form in which a secret could be shown.
func forms(secret string) []string {
	j, _ := json.Marshal(secret)
	return []string{
		secret, url.QueryEscape(secret), url.PathEscape(secret), string(j[1 : len(j)-1]),
		base64.StdEncoding.EncodeToString([]byte(secret)), base64.RawURLEncoding.EncodeToString([]byte(secret)),
		reversed(secret), fmt.Sprintf("%x", secret),
	}
}

func reversed(s string) string {
	b := []byte(s)
	for i := range len(b) / 2 {
		b[i], b[len(b)-1-i] = b[len(b)-1-i], b[i]
	}
	return string(b)
}

// Tricks with which a script might read a secret that it may only use. Each
// posts what it got.
var secretTricks = map[string]string{
	"trick.star": `
S = secret("KEY")
N = secret("NUM")
def echo(e):
    for r in [
        http_post(ECHO, headers = {"X-Key": S}, json = {"a": "b"}), http_post(ECHO, body = S), http_post(ECHO, json = {"deep": [S, N]}),
        http_post(ECHO, form = {"k": S}), http_get(ECHO + "?k=" + S), http_get(ECHO + N), http_get(ECHO, params = {"q": S}),
        http_get(ECHO + "redirect?k=" + S), http_get("http://127.0.0.1:1/" + S), http_request("GET", ECHO, headers = {"Host": S}),
    ]:
        post("C0", "echo %s %s %s %s %s" % (r.status, r.text, r.json, r.headers, r.error))
        log.info("answer", text = r.text, json = r.json)
        print(r.text, r.json, r.headers)
        kv.set("answer", r.text)
for i, fn in enumerate([
    echo,
    lambda e: post("C0", "str " + str(S)), lambda e: post("C0", "repr " + repr(S)), lambda e: post("C0", "fmt %s %r {}" % (S, N)),
    lambda e: post("C0", "format {} {}".format(S, N)), lambda e: post("C0", json.encode({"s": S})), lambda e: post("C0", S),
    lambda e: post("C0", "x" + S), lambda e: post("C0", "t", blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": S}}]),
    lambda e: slack_action("chat.postMessage", channel = "C0", text = S), lambda e: slack_action(S), lambda e: post(S, "x"), lambda e: dm(S, "x"),
    lambda e: respond(S), lambda e: S, lambda e: {"text": S}, lambda e: react(S), lambda e: user(S), lambda e: channel(S),
    lambda e: kv.set("k", S), lambda e: kv.set(S, 1), lambda e: kv.set("k", {"a": [S]}), lambda e: post("C0", str(kv.get("k"))),
    lambda e: fail(S), lambda e: fail("no " + S), lambda e: log.error(S), lambda e: log.info("x", secret = S, deep = {"a": [S]}), lambda e: print(S, N),
    lambda e: post("C0", str(len(S))), lambda e: post("C0", str(list(S))), lambda e: post("C0", S[0]), lambda e: post("C0", S[1:3]),
    lambda e: post("C0", "eq %s %s %s" % (S == N, S == "s3cr", S in ["x"])), lambda e: post("C0", str(S < N)), lambda e: post("C0", str(S * 2)),
    lambda e: post("C0", str(hash(S))), lambda e: post("C0", str({S: 1})), lambda e: post("C0", S.upper()), lambda e: post("C0", str(dir(S))),
    lambda e: post("C0", str(re.search(".*", S))), lambda e: post("C0", str(re.sub(".", "x", S))), lambda e: post("C0", text.template("${x}", x = S)),
    lambda e: post("C0", base64.encode(S)), lambda e: post("C0", hash.sha256(S)), lambda e: post("C0", "hmac " + hash.hmac(S, "m")),
    lambda e: post("C0", "hmac " + hash.hmac("k", S)), lambda e: post("C0", str(S.Parts)), lambda e: post("C0", str(getattr(S, "text", "none"))),
    lambda e: post("C0", str(sorted([S, N]))), lambda e: post("C0", "".join([S])), lambda e: post("C0", str(int(N))), lambda e: post("C0", str(struct(s = S))),
    lambda e: post("C0", str(bytes(S))), lambda e: catch(lambda: fail(S))[1] + "", lambda e: post("C0", str(catch(lambda: json.encode(S)))),
    lambda e: secret(S), lambda e: secret("SLACK_BOT_TOKEN"), lambda e: http_get(ECHO + secret("SLACK_BOT_TOKEN")), lambda e: http_get(ECHO + secret("../KEY")),
]):
    on.message("^trick", fn, name = "star%d" % i, channels = ["C1"])
on.command("/trick", lambda e: {"text": "x" + S})
on.message("^last", lambda e: post("C0", "the last one" if config["public"] else ""))
on.error(lambda f: post("C0", "failed: " + str(f.error.message) + str(f.error.detail)))
`,
	"trick.lua": `
local S, N = secret("KEY"), secret("NUM")
local n = 0
local function try(fn) n = n + 1 on.message("^trick", fn, {name = "lua" .. n, channels = {"C1"}}) end
try(function(e)
  local all = {http_post(ECHO, {body = S}), http_post(ECHO, {json = {a = {S, N}}}), http_get(ECHO .. "?k=" .. S), http_post(ECHO, {headers = {["X-Key"] = S}})}
  for _, r in ipairs(all) do post("C0", "echo " .. r.text .. json.encode(r.json)) print(r.text) log.info("answer", {text = r.text}) end
end)
try(function(e) post("C0", tostring(S)) end)
try(function(e) post("C0", S) end)
try(function(e) post("C0", "x" .. S) end)
try(function(e) post("C0", string.format("%s %q %d %x", S, S, S, S)) end)
try(function(e) post("C0", tostring(#S)) end)
try(function(e) post("C0", tostring(S:sub(1, 3))) end)
try(function(e) post("C0", tostring(string.sub(S, 1, 3))) end)
try(function(e) post("C0", tostring(string.byte(S))) end)
try(function(e) post("C0", tostring(S.Parts) .. tostring(S.text) .. tostring(S[1])) end)
try(function(e) post("C0", tostring(getmetatable(S))) end)
try(function(e) for k, v in pairs(S) do post("C0", tostring(k) .. tostring(v)) end end)
try(function(e) post("C0", json.encode(S)) end)
try(function(e) post("C0", json.encode({a = S})) end)
try(function(e) error(S) end)
try(function(e) error("no " .. S) end)
try(function(e) error({S}) end)
try(function(e) post("C0", tostring(select(2, pcall(error, S)))) end)
try(function(e) post("C0", tostring(S == "s3cr") .. tostring(S == N)) end)
try(function(e) post("C0", tostring(S < N)) end)
try(function(e) post("C0", tostring(S + 1)) end)
try(function(e) post("C0", table.concat({S, N})) end)
try(function(e) post("C0", tostring(tonumber(N))) end)
try(function(e) kv.set("k", S) end)
try(function(e) kv.set("k", {a = {S}}) end)
try(function(e) post("C0", tostring(kv.get("k"))) end)
try(function(e) post("C0", tostring(re.search(".*", S))) end)
try(function(e) post("C0", base64.encode(S)) end)
try(function(e) post("C0", hash.sha256(S)) end)
try(function(e) print(S, N) log.error(S) log.info("x", {s = S}) end)
try(function(e) slack_action("chat.postMessage", {channel = "C0", text = S}) end)
try(function(e) post(S, "x") end)
try(function(e) return S end)
try(function(e) return {text = S} end)
try(function(e) local t = {} t[S] = 1 for k in pairs(t) do post("C0", tostring(k)) end end)
try(function(e) http_get(ECHO .. secret("SLACK_BOT_TOKEN")) end)
`,
}

// echoServer answers with all that it was sent, plainly and in ways that a
// mask might not know. What comes back is the script's to read.
func echoServer(t *testing.T) (server *httptest.Server, got func() string) {
	t.Helper()
	var mu sync.Mutex
	var all strings.Builder
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if strings.HasPrefix(r.URL.Path, "/redirect") {
			http.Redirect(w, r, "/?again="+r.URL.RawQuery, http.StatusFound)
			return
		}
		seen := r.Host + " " + r.URL.String() + " " + r.URL.Query().Encode() + " " + fmt.Sprint(r.Header) + " " + string(body)
		mu.Lock()
		all.WriteString(seen + "\n")
		mu.Unlock()
		number := json.Number("0")
		if strings.Contains(seen, theNumber) {
			number = theNumber
		}
		w.Header().Set("X-Echo", url.QueryEscape(seen))
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"seen": seen, "body": string(body), "b64": base64.StdEncoding.EncodeToString(body), "key": r.Header.Get("X-Key"), "number": number})
	}))
	t.Cleanup(server.Close)
	return server, func() string { mu.Lock(); defer mu.Unlock(); return all.String() }
}

// TestSecretsAndTokensAreSeenByNobody runs every trick on a real server, and
// then looks everywhere: at what was posted, the log, the admin pages, the
// store with its journal and sources, and the memory and environment of the
// workers.
func TestSecretsAndTokensAreSeenByNobody(t *testing.T) {
	slow(t)
	slack, rules, data := newFakeSlack(t), t.TempDir(), t.TempDir()
	echo, sent := echoServer(t)
	for path, text := range secretTricks {
		define := fmt.Sprintf("ECHO = %q\n", echo.URL+"/")
		writeFile(t, filepath.Join(rules, path), define+text)
	}
	conf := filepath.Join(t.TempDir(), "starling.yaml")
	host := strings.TrimPrefix(echo.URL, "http://")
	writeFile(t, conf, fmt.Sprintf("secrets: {KEY: %q, NUM: %q}\nhttp: {allow: [%q, \"127.0.0.1:1\"]}\nrules_config: {trick.star: {public: %q}}\n", theSecret, theNumber, host, public))
	listen, admin := freeAddress(t), freeAddress(t)
	c := run(t, []string{
		"SLACK_SIGNING_SECRET=" + signingSecret + "," + signing, "SLACK_BOT_TOKEN=" + theToken, "SLACK_USER_TOKEN=" + userToken, "SLACK_API_URL=" + slack.URL + "/api/",
	}, "serve", "--config", conf, "--rules", rules, "--data", data, "--listen", listen, "--admin", admin, "--log-level", "debug")
	c.listen, c.admin = listen, admin
	c.ready()
	if n := len(rulesOf(t, "--admin", admin)); n < 90 {
		_, body := c.ask("/rules")
		t.Fatalf("%d rules loaded: %s", n, body)
	}
	for n := 1; n <= 8; n += 7 { // both in channel C1
		c.message(n, "trick")
	}
	c.until("all is done", func() bool {
		_, body := c.ask("/queue")
		return fromJSON[struct{ Pending int }](t, body).Pending == 0
	})
	if !strings.Contains(sent(), theSecret) || !strings.Contains(sent(), url.QueryEscape(theSecret)) {
		t.Error("the secret was not used where it may be")
	}
	if strings.Contains(sent(), theToken) {
		t.Error("a token went out as a secret")
	}

	places := map[string]string{"log": c.out.String()}
	for _, path := range []string{"/runs?limit=1000", "/queue", "/rules", "/metrics", "/healthz"} {
		_, places[path] = c.ask(path)
	}
	for text := range slack.texts() {
		places["posted"] += text + "\n"
	}
	if !strings.Contains(places["posted"], "echo 200") || !strings.Contains(places["posted"], "***") {
		t.Errorf("nothing came back from the echo: %.2000s", places["posted"])
	}
	c.message(15, "last")
	c.until("a worker has just run the script", func() bool { return slack.times("the last one") == 1 })
	workers, readable := 0, true
	for _, pid := range childrenOf(c.cmd.Process.Pid) {
		workers++
		for _, file := range []string{"environ", "cmdline"} {
			b, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), file))
			places["worker "+file] += string(b)
		}
		found, ok := secretsInMemory(t, pid)
		places["worker memory"] += found
		readable = readable && ok
	}
	switch {
	case workers == 0:
		t.Error("no worker process: nothing was looked at")
	case readable && !strings.Contains(places["worker memory"], public):
		t.Error("not even the configuration of a script was found in a worker's memory: the search is in vain")
	}
	c.signal(syscall.SIGTERM)
	c.exits(0)
	places["log"] = c.out.String()
	places["store"], places["files"] = storeText(t, data), filesText(t, data)
	for place, text := range places {
		for _, secret := range []string{theSecret, theNumber, theToken, userToken, signing} {
			for _, form := range forms(secret) {
				if i := strings.Index(text, form); i >= 0 {
					t.Errorf("%s shows %q: …%s…", place, form, text[max(0, i-150):min(len(text), i+80)])
				}
			}
		}
	}
}

// childrenOf lists the processes that a process has started.
func childrenOf(pid int) (out []int) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range stats {
		b, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
		if len(fields) > 1 && fields[1] == strconv.Itoa(pid) {
			id, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			out = append(out, id)
		}
	}
	return out
}

// secretsInMemory returns what it finds of the secrets in the memory of a
// process; ok is false if that cannot be read here.
func secretsInMemory(t *testing.T, pid int) (found string, ok bool) {
	t.Helper()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	mem, openErr := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil || openErr != nil {
		t.Logf("the memory of workers was not looked at: %v %v", err, openErr)
		return "", false
	}
	defer mem.Close()
	looked := 0
	for line := range strings.Lines(string(maps)) {
		var from, to int64
		var mode string
		if _, err := fmt.Sscanf(line, "%x-%x %s", &from, &to, &mode); err != nil || !strings.HasPrefix(mode, "rw") || to-from > 1<<30 {
			continue
		}
		b := make([]byte, to-from)
		n, _ := mem.ReadAt(b, from)
		looked += n
		for _, secret := range []string{theSecret, theNumber, theToken, userToken, signing, public} {
			if bytes.Contains(b[:n], []byte(secret)) {
				found += secret
			}
		}
	}
	t.Logf("looked at %d bytes of worker %d", looked, pid)
	return found, looked > 0
}

// storeText is all that a store holds: events, journals, sources and state.
func storeText(t *testing.T, data string) string {
	t.Helper()
	s, err := queue.Open(t.Context(), queue.Options{Dir: data})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close(t.Context())
	var b strings.Builder
	infos, err := s.Recent(t.Context(), 1000)
	if err != nil || len(infos) == 0 {
		t.Fatalf("%d events in the store: %v", len(infos), err)
	}
	for _, info := range infos {
		if _, err := event.Decode(info.Body); err != nil && len(info.Body) > 0 {
			t.Error(err)
		}
		b.Write(info.Body)
		for _, en := range info.Entries {
			b.Write(en.Body)
			b.WriteByte('\n')
		}
	}
	keys, err := s.State().List(t.Context(), "", "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		v, _ := s.State().Get(t.Context(), key)
		b.WriteString(key + " " + string(v) + "\n")
	}
	return b.String()
}

func filesText(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(p)
		b.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}
