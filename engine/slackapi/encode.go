package slackapi

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/starling-rules/starling/runtime"
)

// The content types of requests: Slack warns of JSON without a charset and of
// a form with one.
const (
	formType = "application/x-www-form-urlencoded"
	jsonType = "application/json; charset=utf-8"
)

// encode writes the arguments as the method wants them: JSON where it is
// known to be taken, else a form, which every method takes. None means absent.
func encode(m Method, args *runtime.Dict) (body []byte, contentType string, err error) {
	if m.Has(TakesJSON) {
		d := &runtime.Dict{}
		if args != nil {
			for _, f := range args.Fields {
				if s, ok := joined(f.Key, f.Value); ok {
					d.Fields = append(d.Fields, runtime.Field{Key: f.Key, Value: s})
				} else if f.Value != nil {
					d.Fields = append(d.Fields, f)
				}
			}
		}
		body, err = runtime.AppendJSON(nil, d)
		return body, jsonType, err
	}
	if args != nil {
		for _, f := range args.Fields {
			s, ok, err := formValue(f.Key, f.Value)
			if err != nil {
				return nil, "", err
			}
			if !ok {
				continue
			}
			if len(body) > 0 {
				body = append(body, '&')
			}
			body = append(append(append(body, url.QueryEscape(f.Key)...), '='), url.QueryEscape(s)...)
		}
	}
	return body, formType, nil
}

// formValue is the text of one field: nested values are JSON inside a form.
func formValue(key string, v runtime.Value) (s string, ok bool, err error) {
	switch v := v.(type) {
	case nil:
		return "", false, nil
	case string:
		return v, true, nil
	case bool:
		return strconv.FormatBool(v), true, nil
	case int64:
		return strconv.FormatInt(v, 10), true, nil
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), true, nil
	}
	if s, ok := joined(key, v); ok {
		return s, true, nil
	}
	b, err := runtime.AppendJSON(nil, v)
	return string(b), err == nil, err
}

// joined is a list of ids or types as Slack takes it everywhere: with commas.
func joined(key string, v runtime.Value) (string, bool) {
	switch key {
	case "users", "channels", "types", "scopes", "bot_scopes", "exclude", "emails":
	default:
		if !strings.HasSuffix(key, "_ids") {
			return "", false
		}
	}
	list, ok := v.([]runtime.Value)
	if !ok {
		return "", false
	}
	parts := make([]string, len(list))
	for i, e := range list {
		s, ok := e.(string)
		if !ok {
			return "", false
		}
		parts[i] = s
	}
	return strings.Join(parts, ","), true
}
