// Package answer declares what a webhook's handler answers with: http_reply
// and abort. Answers are plain dicts, so that they travel from a worker like
// any other value:
//
//	http_reply(…)   {"$http": {"status": 200, "body": "…", "json": …, "headers": {…}, "cookies": {…}}}
//	                with what was given; a cookie is its value and attributes as one text
//	abort(s, text)  ends the run with a runtime.Error of kind AbortError, Status s and Msg text
//
// A plain text or dict that a handler returns needs neither. The answers to
// views are Slack's own forms; package ui makes them.
package answer

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib/internal/declare"
)

// Key marks the dict that http_reply makes.
const Key = "$http"

// Builtins returns the declarations of the module.
func Builtins() []*runtime.Builtin {
	return []*runtime.Builtin{
		{
			Name: "http_reply", Doc: "Make the answer to a webhook: return it from the handler.",
			Params: []runtime.Param{
				declare.Opt("status", runtime.TInt, int64(200), "HTTP status, 200 to 599."),
				declare.Opt("body", runtime.TString|runtime.TBytes, nil, "The body as it is."),
				declare.Key("json", runtime.TAny, nil, "The body as JSON, instead."),
				declare.Key("headers", runtime.TDict, nil, "Header fields."),
				declare.Key("cookies", runtime.TDict, nil, "Cookies: a text, or a dict with `value path domain max_age secure http_only same_site`."),
			},
			Result: "the answer", Purity: runtime.Pure, Since: declare.Since, Fn: reply,
			Examples: []runtime.Example{
				{
					Star: `http_reply(201, json={"id": 7})`, Lua: `http_reply(201, {json = {id = 7}})`,
					Want: `{"$http":{"status":201,"json":{"id":7}}}`,
				},
				{
					Star: `http_reply(cookies={"seen": {"value": "1", "max_age": 60, "secure": True}})`,
					Lua:  `http_reply({cookies = {seen = {value = "1", max_age = 60, secure = true}}})`,
					Want: `{"$http":{"status":200,"cookies":{"seen":"1; Max-Age=60; Secure"}}}`,
				},
				{Star: `http_reply(99)`, Fails: true, Want: "status is 99"},
				{Star: `http_reply(200, "a", headers={"X": "a\nb"})`, Lua: `http_reply(200, "a", {headers = {X = "a\nb"}})`, Fails: true, Want: "line break"},
			},
		},
		{
			Name: "abort", Doc: "End the run at once, and answer its webhook with a status.",
			Long: "For other kinds of events the run ends as failed with that text.",
			Params: []runtime.Param{
				declare.Arg("status", runtime.TInt, "HTTP status, 400 to 599."),
				declare.Opt("text", runtime.TString, "", "The body."),
			},
			Result: "never returns", Purity: runtime.Pure, Since: declare.Since, Fn: abort,
			Examples: []runtime.Example{
				{Star: `abort(404, "no such repository")`, Fails: true, Want: "no such repository"},
				{Star: `abort(200)`, Fails: true, Want: "want 400 to 599"},
			},
		},
	}
}

func reply(_ *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	status := a.Int("status", 200)
	if status < 200 || status > 599 {
		return nil, declare.Hint("", "http_reply: status is %d, want 200 to 599", status)
	}
	if a.Has("body") && a.Has("json") {
		return nil, declare.Hint("an answer has one body", "http_reply: body and json exclude each other")
	}
	out := runtime.NewDict("status", status)
	if v, ok := a.Get("body"); ok {
		out.Set("body", v)
	}
	if v, ok := a.Get("json"); ok {
		if declare.Size(v, declare.MaxText) > declare.MaxText {
			return nil, declare.Hint("", "http_reply: json has more than %d bytes", declare.MaxText)
		}
		if _, err := runtime.AppendJSON(nil, v); err != nil {
			return nil, declare.Hint("", "http_reply: json: %v", err)
		}
		out.Set("json", v)
	}
	if h := declare.Dict(a, "headers"); h != nil {
		headers, err := headerFields(h)
		if err != nil {
			return nil, err
		}
		out.Set("headers", headers)
	}
	if c := declare.Dict(a, "cookies"); c != nil {
		cookies := &runtime.Dict{}
		for _, f := range c.Fields {
			text, err := cookie(f.Key, f.Value)
			if err != nil {
				return nil, err
			}
			cookies.Set(f.Key, text)
		}
		out.Set("cookies", cookies)
	}
	return runtime.NewDict(Key, out), nil
}

var token = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$")

func headerFields(h *runtime.Dict) (*runtime.Dict, error) {
	out := &runtime.Dict{}
	for _, f := range h.Fields {
		if !token.MatchString(f.Key) {
			return nil, declare.Hint("", "http_reply: %q is not the name of a header", f.Key)
		}
		switch strings.ToLower(f.Key) {
		case "content-length", "transfer-encoding", "connection", "set-cookie":
			return nil, declare.Hint("cookies= sets cookies", "http_reply: the header %s is not for scripts", f.Key)
		}
		s, err := plainText("header "+f.Key, f.Value, "\r\n\x00")
		if err != nil {
			return nil, err
		}
		out.Set(f.Key, s)
	}
	return out, nil
}

// plainText returns a scalar as text without the characters that would end it.
func plainText(what string, v runtime.Value, forbidden string) (string, error) {
	var s string
	switch v := v.(type) {
	case string:
		s = v
	case int64, float64, bool:
		s = fmt.Sprint(v)
	default:
		return "", declare.Hint("", "http_reply: the %s is a %s, want a string", what, runtime.TypeName(v))
	}
	if strings.ContainsAny(s, forbidden) {
		return "", declare.Hint("", "http_reply: the %s has a line break or another character in it that would end it", what)
	}
	return s, nil
}

// cookie renders a cookie's value and attributes.
func cookie(name string, v runtime.Value) (string, error) {
	const ends = "\r\n\x00;,\" \t\\"
	if !token.MatchString(name) {
		return "", declare.Hint("", "http_reply: %q is not the name of a cookie", name)
	}
	d, ok := declare.Plain(v).(*runtime.Dict)
	if !ok {
		return plainText("cookie "+name, v, ends)
	}
	value, _ := d.Get("value")
	text, err := plainText("cookie "+name, value, ends)
	if err != nil {
		return "", err
	}
	known := map[string]string{"path": "Path", "domain": "Domain", "max_age": "Max-Age", "secure": "Secure", "http_only": "HttpOnly", "same_site": "SameSite"}
	for _, f := range d.Fields {
		attr := known[f.Key]
		switch {
		case f.Key == "value":
		case attr == "":
			return "", declare.Hint("it knows value, path, domain, max_age, secure, http_only, same_site", "http_reply: the cookie %s has no attribute %q", name, f.Key)
		case f.Value == true:
			text += "; " + attr
		case f.Value == false || f.Value == nil:
		default:
			s, err := plainText("cookie "+name, f.Value, "\r\n\x00;")
			if err != nil {
				return "", err
			}
			text += "; " + attr + "=" + s
		}
	}
	return text, nil
}

func abort(_ *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	status := a.Int("status", 0)
	if status < 400 || status > 599 {
		return nil, declare.Hint("return an answer that is no failure", "abort: status is %d, want 400 to 599", status)
	}
	return nil, &runtime.Error{Kind: runtime.AbortError, Status: int(status), Msg: a.Text("text")}
}
