package event

import (
	"bytes"
	"fmt"
	"net/http"
	"net/netip"
	"strings"

	"github.com/valyala/fastjson"

	"github.com/starling-rules/starling/runtime"
)

// Request is what a webhook event keeps of its HTTP request.
type Request struct {
	Method string
	Path   string
	Query  string
	// Remote is the address of the client, behind the proxies that are trusted.
	Remote string
	// Headers have lower-case names.
	Headers []Header
}

// Header is one header field.
type Header struct{ Name, Value string }

// Values returns the values of a header, by its name in any letter case.
func (r *Request) Values(name string) (values []string) {
	for i := range r.Headers {
		if strings.EqualFold(r.Headers[i].Name, name) {
			values = append(values, r.Headers[i].Value)
		}
	}
	return values
}

// header returns the first value of a header.
func (r *Request) header(name string) string {
	for i := range r.Headers {
		if r.Headers[i].Name == name {
			return r.Headers[i].Value
		}
	}
	return ""
}

// CheckBody says why a body is none of its content type, or does not hold the
// form parameter that is wanted; formParam may be "". An empty body is none.
func CheckBody(contentType string, body []byte, formParam string) error {
	switch form := IsForm(contentType); {
	case formParam != "":
		if !form {
			return fmt.Errorf("want a form with the parameter %s", formParam)
		}
		_, err := formParameter(body, formParam)
		return err
	case len(body) == 0:
	case form:
		_, err := formFields(body)
		return err
	case isJSONLike(contentType):
		if err := checkJSON(body); err != nil {
			return fmt.Errorf("the body is no JSON: it %w", err)
		}
	}
	return nil
}

// isJSONLike is IsJSON, for application/vnd.github+json and its like too.
func isJSONLike(contentType string) bool {
	if IsJSON(contentType) {
		return true
	}
	t, _, _ := strings.Cut(contentType, ";")
	return strings.HasSuffix(strings.ToLower(strings.TrimSpace(t)), "+json")
}

// formField is one field of a form, or parameter of a query.
type formField struct{ key, value string }

// formFields decodes a form.
func formFields(b []byte) ([]formField, error) {
	var out []formField
	var buf []byte
	for n := 0; len(b) > 0; n++ {
		if n == MaxFormFields {
			return nil, fmt.Errorf("the form has more than %d fields", MaxFormFields)
		}
		var pair []byte
		pair, b, _ = bytes.Cut(b, []byte{'&'})
		if len(pair) == 0 {
			continue
		}
		rawKey, rawVal, _ := bytes.Cut(pair, []byte{'='})
		var f formField
		var err error
		if buf, err = unescapeForm(buf[:0], rawKey); err != nil {
			return nil, err
		}
		f.key = string(buf)
		if buf, err = unescapeForm(buf[:0], rawVal); err != nil {
			return nil, err
		}
		f.value = string(buf)
		out = append(out, f)
	}
	return out, nil
}

// formParameter is the one field of that name.
func formParameter(body []byte, name string) (string, error) {
	fields, err := formFields(body)
	if err != nil {
		return "", err
	}
	value, found := "", false
	for _, f := range fields {
		if f.key != name {
			continue
		}
		if found { // two readers could take one each
			return "", fmt.Errorf("the form has the parameter %s twice", name)
		}
		value, found = f.value, true
	}
	if !found {
		return "", fmt.Errorf("the form lacks the parameter %s", name)
	}
	return value, nil
}

// multiDict makes a dict of fields: a field that is there several times is the
// list of its values.
func multiDict(fields []formField) *runtime.Dict {
	d := &runtime.Dict{Fields: make([]runtime.Field, 0, len(fields))}
	at := make(map[string]int, len(fields))
	for _, f := range fields {
		i, again := at[f.key]
		if !again {
			at[f.key] = len(d.Fields)
			d.Fields = append(d.Fields, runtime.Field{Key: f.key, Value: f.value})
			continue
		}
		list, is := d.Fields[i].Value.(runtime.List)
		if !is {
			list = runtime.List{d.Fields[i].Value}
		}
		d.Fields[i].Value = append(list, f.value)
	}
	return d
}

func (v *View) request() *Request {
	if v.e.Kind != Webhook {
		return nil
	}
	return v.e.Request
}

// ofRequest is a field that webhooks alone have.
func ofRequest(get func(*View, *Request) runtime.Value) viewField {
	return computed(func(v *View) runtime.Value {
		if r := v.request(); r != nil {
			return get(v, r)
		}
		return nil
	})
}

// requestFields are the fields of webhook events.
var requestFields = map[string]viewField{
	"method": ofRequest(func(_ *View, r *Request) runtime.Value { return r.Method }),
	"path":   ofRequest(func(_ *View, r *Request) runtime.Value { return r.Path }),
	"params": ofRequest(func(v *View, _ *Request) runtime.Value {
		if v.m == nil || v.m.Args == nil {
			return &runtime.Dict{}
		}
		return v.m.Args
	}),
	"remote": ofRequest(func(_ *View, r *Request) runtime.Value {
		if p, err := netip.ParseAddrPort(r.Remote); err == nil { // as older events have it
			return p.Addr().String()
		}
		return r.Remote
	}),
	"query": ofRequest(func(_ *View, r *Request) runtime.Value {
		fields, _ := formFields([]byte(r.Query)) // what cannot be decoded is no parameter
		return multiDict(fields)
	}),
	"headers":    ofRequest(func(_ *View, r *Request) runtime.Value { return headerDict(r) }),
	"cookies":    ofRequest(func(_ *View, r *Request) runtime.Value { return cookieDict(r) }),
	"body":       ofRequest(func(v *View, _ *Request) runtime.Value { return strings.ToValidUTF8(string(v.e.Raw), "\uFFFD") }),
	"body_bytes": ofRequest(func(v *View, _ *Request) runtime.Value { return bytes.Clone(v.e.Raw) }),
	"json":       ofRequest(func(v *View, _ *Request) runtime.Value { return decodedJSON(v.e.Raw) }),
	"form":       ofRequest(formOf),
}

// headerDict is a dict with lower-case names; repeated ones are joined by ", ",
// which says the same (RFC 9110), cookies by "; ".
func headerDict(r *Request) *runtime.Dict {
	d := &runtime.Dict{}
	for _, h := range r.Headers {
		old, ok := d.Get(h.Name)
		switch {
		case !ok:
			d.Set(h.Name, h.Value)
		case h.Name == "cookie":
			d.Set(h.Name, old.(string)+"; "+h.Value)
		default:
			d.Set(h.Name, old.(string)+", "+h.Value)
		}
	}
	return d
}

// cookieDict is the cookies of a request; of one that is there twice the first,
// which is that of the longer path, counts.
func cookieDict(r *Request) *runtime.Dict {
	h := http.Header{}
	for _, f := range r.Headers {
		if f.Name == "cookie" {
			h.Add("Cookie", f.Value)
		}
	}
	d := &runtime.Dict{}
	for _, c := range (&http.Request{Header: h}).Cookies() {
		if _, again := d.Get(c.Name); !again {
			d.Set(c.Name, c.Value)
		}
	}
	return d
}

// decodedJSON is a JSON text as scripts see it, or None if it is none.
func decodedJSON(text []byte) runtime.Value {
	if checkJSON(text) != nil {
		return nil
	}
	root, err := fastjson.ParseBytes(text)
	if err != nil {
		return nil
	}
	return show(root)
}

// formOf is the fields of a form, or the one parameter that the rule asks for,
// decoded if it is JSON.
func formOf(v *View, r *Request) runtime.Value {
	if len(v.e.Raw) == 0 || !IsForm(r.header("content-type")) {
		return nil
	}
	if v.m != nil && v.m.FormParam != "" {
		text, err := formParameter(v.e.Raw, v.m.FormParam)
		if err != nil {
			return nil
		}
		if checkJSON([]byte(text)) == nil {
			return decodedJSON([]byte(text))
		}
		return text
	}
	fields, err := formFields(v.e.Raw)
	if err != nil {
		return nil
	}
	return multiDict(fields)
}
