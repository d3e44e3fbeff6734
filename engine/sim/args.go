package sim

import (
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/starling-rules/starling/engine/payload"
)

// maxBody bounds a request to the Web API, in bytes.
const maxBody = 4 << 20

// args are the arguments of a Web API call: strings if they came as a form,
// any JSON if they came as JSON.
type args struct {
	values  Block
	warning string
	via     string // what they came in: query, form, json or multipart
}

// readArgs reads the query and a form, JSON, multipart or empty body.
func readArgs(r *http.Request) (args, error) {
	a := args{values: Block{}, via: "query"}
	take := func(form url.Values) {
		for k, v := range form {
			if len(v) > 0 {
				a.values[k] = v[0]
			}
		}
	}
	take(r.URL.Query())
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil && r.Header.Get("Content-Type") != "" {
		return a, Code("invalid_post_type")
	}
	if kind == "multipart/form-data" {
		a.via = "multipart"
		if err := r.ParseMultipartForm(maxBody); err != nil {
			return a, Code("invalid_form_data")
		}
		take(r.MultipartForm.Value)
		return a, nil
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return a, Code("request_too_large")
	}
	text := strings.TrimSpace(string(body))
	switch kind {
	case "application/json":
		a.via = "json"
		if params["charset"] == "" {
			a.warning = "missing_charset"
		}
		if text == "" {
			return a, nil
		}
		var in Block
		if decode([]byte(text), &in) != nil {
			return a, Code("invalid_json")
		}
		for k, v := range in {
			a.values[k] = v
		}
	case "", "application/x-www-form-urlencoded":
		if params["charset"] != "" {
			a.warning = "superfluous_charset"
		}
		form, err := url.ParseQuery(text)
		if err != nil {
			return a, Code("invalid_form_data")
		}
		if kind != "" {
			a.via = "form"
		}
		take(form)
	default:
		return a, Code("invalid_post_type")
	}
	return a, nil
}

// str is a scalar argument as text, "" if it is missing.
func (a args) str(name string) string { return text(a.values[name]) }

// flag is a boolean argument: true, "true" or 1.
func (a args) flag(name string) bool {
	s := a.str(name)
	return s == "true" || s == "1"
}

// num is a whole number between lo and hi, or def if it is missing.
func (a args) num(name string, def, lo, hi int) (int, error) {
	s := a.str(name)
	if s == "" {
		return def, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < lo {
		return 0, Code("invalid_" + name)
	}
	return min(n, hi), nil
}

// nested is an argument that holds JSON: as it is, or as text within a form.
func (a args) nested(name string) (any, error) {
	v := a.values[name]
	s, ok := v.(string)
	if !ok {
		return v, nil
	}
	if strings.TrimSpace(s) == "" {
		return nil, nil
	}
	var out any
	if err := decode([]byte(s), &out); err != nil {
		return nil, fmt.Errorf("argument %s: %w", name, err)
	}
	return out, nil
}

// object is an argument that is a JSON object, nil if it is missing.
func (a args) object(name string) (Block, error) {
	v, err := a.nested(name)
	if err != nil || v == nil {
		return nil, err
	}
	b, ok := v.(Block)
	if !ok {
		return nil, fmt.Errorf("argument %s: not an object", name)
	}
	return b, nil
}

// objects is an argument that is a list of JSON objects, nil if it is missing.
func (a args) objects(name string) ([]Block, error) {
	v, err := a.nested(name)
	if err != nil || v == nil {
		return nil, err
	}
	list, ok := v.([]any)
	if !ok {
		return nil, fmt.Errorf("argument %s: not a list", name)
	}
	out := payload.Objects(list)
	if len(out) != len(list) {
		return nil, fmt.Errorf("argument %s: not a list of objects", name)
	}
	return out, nil
}

// has reports whether an argument was given at all.
func (a args) has(name string) bool { _, ok := a.values[name]; return ok }
