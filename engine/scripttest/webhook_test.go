package scripttest_test

import "testing"

// hooks has a rule for each way in which a sender proves who it is.
const hooks = `
def seen(e):
    return {"remote": e.remote, "body": e.body}

def named(e):
    return "named"

for scheme in ["github", "gitlab", "stripe", "pagerduty", "grafana", "hmac", "hmac-sha256"]:
    on.webhook("/" + scheme, seen, secret = [secret("NEW"), secret("OLD")], signature = scheme)
on.webhook("/timed", seen, secret = secret("S"), signature = "grafana", timestamp = "X-Time")
on.webhook("/odd", seen, secret = secret("S"), signature = "hmac", header = "X-Odd", algorithm = "sha512", encoding = "base64", prefix = "v=")
on.webhook("/bearer", seen, bearer = secret("T"))
on.webhook("/basic", seen, basic = "user:" + secret("P"))
on.webhook("/home", seen, allow = ["10.0.0.0/8", "192.0.2.7"])
on.webhook("/all", seen, allow = "10.0.0.0/8", bearer = secret("T"), secret = secret("S"))
on.webhook("/seldom", seen, open = True, rate = "2/m")
on.webhook("/short", seen, open = True, max_body = 4)
on.webhook("/form", lambda e: http_reply(json = e.form), open = True, form_param = "p")
on.webhook("/raw", lambda e: {"json": e.json, "bytes": base64.encode(e.body_bytes)}, open = True, raw = True)
on.webhook("/once", lambda e: kv.incr("n"), open = True, dedupe = "X-Id")
on.webhook("/cookies", lambda e: http_reply(200, "ok", cookies = {"a": e.cookies["a"] + "1", "b": {"value": "2", "http_only": True}}), open = True)
on.webhook(named, open = True)
`

func TestWebhooksOfAllKinds(t *testing.T) {
	t.Parallel()
	passes(t, run(t, map[string]string{"hooks.star": hooks, "hooks_test.star": `
def test_each_proof(t):
    for path in ["github", "gitlab", "stripe", "pagerduty", "grafana", "hmac", "hmac-sha256", "timed", "odd", "bearer", "basic", "home", "all"]:
        t.expect(t.webhook("/" + path, body = "x")).answered(status = 200)
        t.expect(t.webhook("/" + path, body = "x", authentic = False, remote = "203.0.113.9")).answered(status = 401)

def test_half_a_proof(t):
    t.expect(t.webhook("/all", body = "x", remote = "203.0.113.9")).answered(status = 401)
    t.expect(t.webhook("/all", body = "x", headers = {"Authorization": "Bearer wrong"})).answered(status = 401)
    t.expect(t.webhook("/all", body = "x", remote = "10.9.9.9")).answered({"remote": "10.9.9.9", "body": "x"})

def test_a_signature_of_something_else(t):
    t.expect(t.webhook("/github", body = "x", headers = {"X-Hub-Signature-256": "sha256=" + "0" * 64})).answered(status = 401).no_calls()

def test_bounds(t):
    t.expect(t.webhook("/seldom")).answered(status = 200)
    t.expect(t.webhook("/seldom")).answered(status = 200)
    t.expect(t.webhook("/seldom")).answered(status = 429)
    t.advance("30s")
    t.expect(t.webhook("/seldom")).answered(status = 200)
    t.expect(t.webhook("/short", body = "1234")).answered(status = 200)
    t.expect(t.webhook("/short", body = "12345")).answered(status = 413)

def test_bodies(t):
    t.expect(t.webhook("/form", form = {"p": '{"a": [1]}'})).answered({"a": [1]})
    t.expect(t.webhook("/form", form = {"p": "0"})).answered(json = 0, text = "0")
    t.expect(t.webhook("/form", form = {"q": "0"})).answered(status = 400, text = t.like("*lacks the parameter p*"))
    t.expect(t.webhook("/raw", body = b"\xff{", headers = {"Content-Type": "application/json"})).answered({"json": None, "bytes": "/3s="})
    t.expect(t.webhook("/short", body = "{", headers = {"Content-Type": "application/json"})).answered(status = 400)

def test_a_copy(t):
    t.expect(t.webhook("/once", headers = {"x-id": "1"}))
    t.expect(t.webhook("/once", headers = {"x-id": "1"}))
    t.expect(t.webhook("/once", headers = {"x-id": "2"}))
    assert.eq(t.kv.get("n"), 2)

def test_cookies_and_default_path(t):
    t.expect(t.webhook("GET /named")).answered(status = 405)
    t.expect(t.webhook("/named/")).answered("named")
    t.expect(t.webhook("/cookies", headers = {"cookie": "a=7"})).answered("ok")
`}))
}
