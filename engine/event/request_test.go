package event_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/runtime"
)

const urlencoded = "application/x-www-form-urlencoded"

// hook is a webhook's request as its rule sees it, on the way that it travels.
func hook(t testing.TB, r *event.Request, body, formParam string) runtime.Object {
	t.Helper()
	e := &event.Event{ID: "wh-1", Kind: event.Webhook, Encoding: event.HTTP, Raw: []byte(body), Request: r}
	v, err := event.Host(event.AppendInput(nil, e.Encode(nil), &event.Match{Args: runtime.NewDict("n", int64(1)), FormParam: formParam}))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func typed(contentType string) *event.Request {
	r := &event.Request{Method: "POST", Path: "/h"}
	if contentType != "" {
		r.Headers = []event.Header{{Name: "content-type", Value: contentType}}
	}
	return r
}

// TestBodies is the decoding of bodies, with what its sender is told where it
// cannot be.
func TestBodies(t *testing.T) {
	t.Parallel()
	const payload = `payload=%7B%22pusher%22%3A%7B%22name%22%3A%22gbin%22%7D%7D`
	for name, c := range map[string]struct {
		contentType, body, param string
		json, form               string // as the rule sees them
		refused                  string
	}{
		"JSON":                     {"application/json", `["foo",{"bar":["baz",null,1.0,2]}]`, "", `["foo",{"bar":["baz",null,1.0,2]}]`, `null`, ""},
		"JSON with parameters":     {"Application/JSON; charset=utf-8", `{"a":1}`, "", `{"a":1}`, `null`, ""},
		"JSON of a vendor":         {"application/vnd.github+json", `{"a":1}`, "", `{"a":1}`, `null`, ""},
		"JSON without a type":      {"", `{"a":1}`, "", `{"a":1}`, `null`, ""},
		"JSON as text":             {"text/plain", `{"a":1}`, "", `{"a":1}`, `null`, ""},
		"zero":                     {"application/json", `0`, "", `0`, `null`, ""},
		"false":                    {"application/json", `false`, "", `false`, `null`, ""},
		"an empty text":            {"application/json", `""`, "", `""`, `null`, ""},
		"an empty dict":            {"application/json", `{}`, "", `{}`, `null`, ""},
		"an empty list":            {"application/json", `[]`, "", `[]`, `null`, ""},
		"null":                     {"application/json", `null`, "", `null`, `null`, ""},
		"nothing":                  {"application/json", ``, "", `null`, `null`, ""},
		"no JSON":                  {"application/json", `{'toto': 'titui'}`, "", "", "", "the body is no JSON"},
		"no JSON of a vendor":      {"application/vnd.api+json ; x=y", `{`, "", "", "", "the body is no JSON"},
		"two documents":            {"application/json", `{} {}`, "", "", "", "the body is no JSON"},
		"no UTF-8":                 {"application/json", "\"\xff\"", "", "", "", "the body is no JSON"},
		"no JSON and no such type": {"text/plain", `{`, "", `null`, `null`, ""},
		"form":                     {urlencoded, "a=1&b=x+y%21&c=", "", `null`, `{"a":"1","b":"x y!","c":""}`, ""},
		"form, repeated":           {urlencoded, "a=1&b=2&a=3&a=", "", `null`, `{"a":["1","3",""],"b":"2"}`, ""},
		"form, empty":              {urlencoded, "", "", `null`, `null`, ""},
		"form, bad escape":         {urlencoded, "a=%zz", "", "", "", "bad percent escape"},
		"form, no UTF-8":           {urlencoded, "a=%ff", "", "", "", "not UTF-8"},
		"form, too many":           {urlencoded, strings.Repeat("a&", event.MaxFormFields+1), "", "", "", "more than 256 fields"},
		"form_param":               {urlencoded, payload, "payload", `null`, `{"pusher":{"name":"gbin"}}`, ""},
		"form_param, text":         {urlencoded, "payload=hello+you&x=1", "payload", `null`, `"hello you"`, ""},
		"form_param, zero":         {urlencoded, "payload=0", "payload", `null`, `0`, ""},
		"form_param, empty":        {urlencoded, "payload=", "payload", `null`, `""`, ""},
		"form_param, missing":      {urlencoded, "a=1", "payload", "", "", "the form lacks the parameter payload"},
		"form_param, no body":      {urlencoded, "", "payload", "", "", "the form lacks the parameter payload"},
		"form_param, twice":        {urlencoded, "payload=1&payload=2", "payload", "", "", "the parameter payload twice"},
		"form_param, no form":      {"application/json", `{"payload":1}`, "payload", "", "", "want a form with the parameter payload"},
	} {
		err := event.CheckBody(c.contentType, []byte(c.body), c.param)
		if c.refused != "" {
			if err == nil || !strings.Contains(err.Error(), c.refused) {
				t.Errorf("%s: %v, want %q", name, err, c.refused)
			}
			continue
		}
		v := hook(t, typed(c.contentType), c.body, c.param)
		if err != nil || show(t, v, "json") != c.json || show(t, v, "form") != c.form {
			t.Errorf("%s: %v, e.json is %s, e.form %s, want %s and %s", name, err, show(t, v, "json"), show(t, v, "form"), c.json, c.form)
		}
	}
}

func TestTheExactBytesOfABody(t *testing.T) {
	t.Parallel()
	const body = "\x89PNG\r\n\x00\xff"
	v := hook(t, typed("image/png"), body, "")
	b, _ := v.Field("body_bytes")
	if got, is := b.([]byte); !is || string(got) != body {
		t.Errorf("e.body_bytes is %q", b)
	}
	text, _ := v.Field("body")
	if got, _ := text.(string); got != "\uFFFDPNG\r\n\x00\uFFFD" {
		t.Errorf("e.body is %q", text)
	}
	b.([]byte)[0] = 'x' // what a script is given is its own
	if e := v.(*event.View).Event(); string(e.Raw) != body {
		t.Errorf("the event has become %q", e.Raw)
	}
}

func TestHeadersCookiesAndWhereARequestComesFrom(t *testing.T) {
	t.Parallel()
	r := &event.Request{
		Method: "GET", Path: "/h", Query: "a=1&b=&a=x%20y&%zz", Remote: "2001:db8::7",
		Headers: []event.Header{
			{Name: "accept", Value: "text/html"},
			{Name: "cookie", Value: `a=1; b="two words"; =x; odd`},
			{Name: "accept", Value: "text/plain"},
			{Name: "cookie", Value: "a=2; c="},
		},
	}
	v := hook(t, r, "", "")
	for field, want := range map[string]string{
		"headers": `{"accept":"text/html, text/plain","cookie":"a=1; b=\"two words\"; =x; odd; a=2; c="}`,
		"cookies": `{"a":"1","b":"two words","odd":"","c":""}`,
		"remote":  `"2001:db8::7"`, "query": `{}`, "body": `""`, "json": `null`, "form": `null`, "method": `"GET"`, "params": `{"n":1}`,
	} {
		if got := show(t, v, field); got != want {
			t.Errorf("e.%s is %s, want %s", field, got, want)
		}
	}
	r.Query, r.Remote = "a=1&b=&a=x%20y", "192.0.2.7:4711"
	v = hook(t, r, "", "")
	if got := show(t, v, "query") + show(t, v, "remote"); got != `{"a":["1","x y"],"b":""}"192.0.2.7"` {
		t.Error(got)
	}
}

func FuzzBody(f *testing.F) {
	f.Add("application/json", []byte(`{"a":[1,"\u00e4",null]}`), "", "a=b; c", "a=1&a=2")
	f.Add(urlencoded, []byte("a=%7B%7D&b=+&a"), "a", "=", "%")
	f.Add(urlencoded, []byte("payload={}"), "payload", `a="`, "&&=")
	f.Add("text/plain", []byte{0xff, 0}, "", "", "")
	f.Fuzz(func(t *testing.T, contentType string, body []byte, param, cookie, query string) {
		r := typed(contentType)
		r.Query = query
		r.Headers = append(r.Headers, event.Header{Name: "cookie", Value: cookie})
		err := event.CheckBody(contentType, body, param)
		v := hook(t, r, string(body), param)
		form, _ := v.Field("form")
		if param != "" && err == nil && form == nil && !strings.Contains(string(body), "null") && !strings.Contains(string(body), "%") {
			t.Errorf("%q has no %s, and is taken in", body, param)
		}
		for _, name := range []string{"json", "form", "cookies", "query", "headers", "body", "body_bytes", "raw", "remote"} {
			x, _ := v.Field(name)
			if s, is := x.(string); is && name == "body" && !utf8.ValidString(s) {
				t.Errorf("e.body is %q", s)
			}
			if plain, is := x.(*runtime.Dict); is {
				if _, err := runtime.AppendJSON(nil, plain); err != nil && name != "headers" && name != "cookies" {
					t.Errorf("e.%s: %v", name, err)
				}
			}
		}
	})
}
