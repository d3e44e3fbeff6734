// Package http declares the built-ins that call other servers: http_get and
// its like. Each asks for an effect of its own name; the server performs it,
// within its limits on destinations, size and time. What the far side says,
// and that it says nothing, is a result, never an error.
package http

import (
	"regexp"
	"strings"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib/internal/declare"
)

// The bounds of a request.
const (
	MaxURL   = 8 << 10
	MaxRetry = 5
)

// Builtins returns the declarations of the module.
func Builtins() []*runtime.Builtin {
	out := []*runtime.Builtin{
		request("get", "Fetch a URL.", again,
			runtime.Example{
				Star: `http_get("https://ci.example/status", params={"app": "api"})`, Lua: `http_get("https://ci.example/status", {params = {app = "api"}})`,
				Want: `{"effect":"http_get","args":{"url":"https://ci.example/status","params":{"app":"api"}}}`,
			},
			runtime.Example{Star: `http_get("ci.example")`, Fails: true, Want: "want https:// or http://"}),
		request("post", "Send data to a URL.", never,
			runtime.Example{
				Star: `http_post("https://ci.example/run", json={"app": "api"}, headers={"Authorization": "Bearer " + secret("CI_TOKEN")})`,
				Lua:  `http_post("https://ci.example/run", {json = {app = "api"}, headers = {Authorization = "Bearer " .. secret("CI_TOKEN")}})`,
			},
			runtime.Example{
				Star: `http_post("https://ci.example/run", form={"app": "api"}, timeout="3s", retry=2)`,
				Lua:  `http_post("https://ci.example/run", {form = {app = "api"}, timeout = "3s", retry = 2})`,
				Want: `{"effect":"http_post","args":{"url":"https://ci.example/run","form":{"app":"api"},"timeout":3.0,"retry":2}}`,
			},
			runtime.Example{
				Star: `http_post("https://ci.example/run", json={}, body="x")`, Lua: `http_post("https://ci.example/run", {json = {a = 1}, body = "x"})`,
				Fails: true, Want: "json and body exclude each other",
			}),
		request("put", "Put data at a URL.", again, runtime.Example{
			Star: `http_put("https://store.example/k", body="v")`, Lua: `http_put("https://store.example/k", {body = "v"})`,
			Want: `{"effect":"http_put","args":{"url":"https://store.example/k","body":"v"}}`,
		}),
		request("patch", "Change what is at a URL.", never, runtime.Example{
			Star: `http_patch("https://store.example/k", json={"n": 1})`, Lua: `http_patch("https://store.example/k", {json = {n = 1}})`,
			Want: `{"effect":"http_patch","args":{"url":"https://store.example/k","json":{"n":1}}}`,
		}),
		request("delete", "Delete what is at a URL.", again, runtime.Example{
			Star: `http_delete("https://store.example/k")`,
			Want: `{"effect":"http_delete","args":{"url":"https://store.example/k"}}`,
		}),
	}
	any := request("request", "Call a URL with any method.", "Repeated after a crash if the method is GET, HEAD, OPTIONS, PUT or DELETE, or with `idempotent=True`.",
		runtime.Example{
			Star: `http_request("HEAD", "https://ci.example/")`,
			Want: `{"effect":"http_request","args":{"method":"HEAD","url":"https://ci.example/"}}`,
		},
		runtime.Example{Star: `http_request("TRACE", "https://ci.example/")`, Fails: true, Want: "TRACE"})
	method := declare.Arg("method", runtime.TString, "The method.")
	method.Values = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
	any.Params = append([]runtime.Param{method}, any.Params...)
	return append(out, any)
}

const (
	again = "Repeated after a crash: to do it twice changes nothing."
	never = "Not repeated after a crash unless `idempotent=True`; the result is then `interrupted`."
)

func request(name, doc, repeat string, ex ...runtime.Example) *runtime.Builtin {
	return &runtime.Builtin{
		Name: "http_" + name, Doc: doc,
		Long: "Private and local addresses are refused unless the configuration lists them. A step's requests carry an `Idempotency-Key` that stays the same when they are repeated.",
		Params: []runtime.Param{
			declare.Arg("url", runtime.TText, "Where to; may contain a secret."),
			declare.Key("params", runtime.TDict, nil, "Appended to the query of the URL."),
			declare.Key("headers", runtime.TDict, nil, "Header fields; values may be secrets."),
			declare.Key("json", runtime.TAny, nil, "Sent as JSON."),
			declare.Key("form", runtime.TDict, nil, "Sent as a form."),
			declare.Key("body", runtime.TText|runtime.TBytes, nil, "Sent as it is."),
			declare.Key("timeout", runtime.TDuration, "10s", "How long one attempt may take."),
			declare.Key("retry", runtime.TInt, int64(0), "Further attempts after network errors, 429 and 5xx, at most 5, with growing pauses."),
			declare.Key("idempotent", runtime.TBool, nil, "The request may be repeated after a crash."),
		},
		Result: "result: `.ok` (a 2xx status), `.status`, `.text`, `.json`, `.headers`, `.error`",
		Purity: runtime.Asks, Since: declare.Since, Repeat: repeat, Examples: ex, Fn: ask,
	}
}

// ask refuses what no server could make sense of, and asks for the effect.
func ask(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	name := a.Builtin.Name
	if err := checkURL(name, a); err != nil {
		return nil, err
	}
	var bodies []string
	for _, p := range []string{"json", "form", "body"} {
		if a.Has(p) {
			bodies = append(bodies, p)
		}
	}
	if len(bodies) > 1 {
		return nil, declare.Hint("a request has one body", "%s: %s exclude each other", name, strings.Join(bodies, " and "))
	}
	if n := a.Int("retry", 0); n < 0 || n > MaxRetry {
		return nil, declare.Hint("", "%s: retry is %d, want 0 to %d", name, n, MaxRetry)
	}
	if d := a.Duration("timeout", 1); d <= 0 {
		return nil, declare.Hint("", "%s: timeout must be more than nothing", name)
	}
	if err := checkHeaders(name, declare.Dict(a, "headers")); err != nil {
		return nil, err
	}
	declare.Seconds(a.Dict, "timeout")
	return x.Do(name, a.Dict)
}

// checkURL looks at the text of the URL as far as no secret begins it.
func checkURL(name string, a *runtime.Args) error {
	v, _ := a.Get("url")
	s, _ := v.(string)
	if sec, ok := v.(runtime.Secret); ok {
		if len(sec.Parts) == 0 || sec.Parts[0].Name != "" {
			return nil
		}
		s = sec.Parts[0].Text
	}
	if len(s) > MaxURL {
		return declare.Hint("send data in the body", "%s: url has %d bytes, the limit is %d", name, len(s), MaxURL)
	}
	low := strings.ToLower(s)
	if !strings.HasPrefix(low, "https://") && !strings.HasPrefix(low, "http://") {
		return declare.Hint("", "%s: %q is not a URL: want https:// or http://", name, clip(s))
	}
	if strings.ContainsAny(s, " \r\n\t") {
		return declare.Hint("params= encodes what is given", "%s: the URL has white space in it", name)
	}
	return nil
}

var headerName = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$")

// checkHeaders refuses what would smuggle a second header.
func checkHeaders(name string, h *runtime.Dict) error {
	if h == nil {
		return nil
	}
	for _, f := range h.Fields {
		if !headerName.MatchString(f.Key) {
			return declare.Hint("", "%s: %q is not the name of a header", name, clip(f.Key))
		}
		switch v := f.Value.(type) {
		case runtime.Secret, int64, bool, float64:
		case string:
			if strings.ContainsAny(v, "\r\n\x00") {
				return declare.Hint("", "%s: the header %s has a line break in it", name, f.Key)
			}
		default:
			return declare.Hint("", "%s: the header %s is a %s, want a string", name, f.Key, runtime.TypeName(v))
		}
	}
	return nil
}

func clip(s string) string {
	if len(s) > 60 {
		return strings.ToValidUTF8(s[:60], "") + "…"
	}
	return s
}
