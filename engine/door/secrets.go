package door

import (
	"errors"
	"fmt"
	"strings"

	"github.com/starling-rules/starling/engine/redact"
	"github.com/starling-rules/starling/runtime"
)

// opened remembers which secrets an effect used, so that they can be masked
// in whatever comes back.
type opened struct {
	// lookup is nil where secrets may not be used.
	lookup func(string) (string, bool)
	used   []string
	set    *redact.Set
}

// dict returns args with every Secret replaced by its text. Args without
// secrets come back as they are.
func (o *opened) dict(args *runtime.Dict) (*runtime.Dict, error) {
	if args == nil {
		return &runtime.Dict{}, nil
	}
	v, err := o.open(args)
	if err != nil {
		return nil, err
	}
	if len(o.used) > 0 {
		o.set = redact.NewSet(o.used...)
	}
	return v.(*runtime.Dict), nil
}

func (o *opened) open(v runtime.Value) (runtime.Value, error) {
	switch v := v.(type) {
	case runtime.Secret:
		return o.text(v)
	case []runtime.Value:
		var out []runtime.Value
		for i, e := range v {
			x, err := o.open(e)
			if err != nil {
				return nil, err
			}
			if out == nil && changed(e, x) {
				out = append([]runtime.Value(nil), v...)
			}
			if out != nil {
				out[i] = x
			}
		}
		if out == nil {
			return v, nil
		}
		return out, nil
	case *runtime.Dict:
		var out *runtime.Dict
		for i := 0; i < v.Len(); i++ {
			x, err := o.open(v.Fields[i].Value)
			if err != nil {
				return nil, err
			}
			if out == nil && changed(v.Fields[i].Value, x) {
				out = v.Clone()
			}
			if out != nil {
				out.Fields[i].Value = x
			}
		}
		if out == nil {
			return v, nil
		}
		return out, nil
	}
	return v, nil
}

// changed reports whether opening made a new value: of the kinds that open
// changes, none but Secret is given back unless a secret is inside.
func changed(before, after runtime.Value) bool {
	switch b := before.(type) {
	case runtime.Secret:
		return true
	case *runtime.Dict:
		return after != before
	case []runtime.Value:
		a, ok := after.([]runtime.Value)
		return !ok || len(a) > 0 && len(b) > 0 && &a[0] != &b[0]
	}
	return false
}

func (o *opened) text(s runtime.Secret) (string, error) {
	var out []byte
	for _, p := range s.Parts {
		if p.Name == "" {
			out = append(out, p.Text...)
			continue
		}
		if o.lookup == nil {
			return "", errors.New("a secret cannot be used here: it goes into http_* requests and hash.hmac only")
		}
		value, ok := o.lookup(p.Name)
		if !ok {
			return "", fmt.Errorf("secret %q is not configured", p.Name)
		}
		o.used = append(o.used, value)
		out = append(out, value...)
	}
	return string(out), nil
}

// scrub masks the secrets that were used in a result. JSON is taken apart for
// that, because a far side may have escaped what it repeats.
func (o *opened) scrub(v runtime.Value) runtime.Value {
	if o.set == nil {
		return v
	}
	switch v := v.(type) {
	case string:
		return o.scrubText(v)
	case []byte:
		return []byte(o.set.Replace(string(v)))
	case runtime.JSON:
		p, err := runtime.ParseJSON(v)
		if err != nil {
			return nil
		}
		b, err := runtime.AppendJSON(nil, o.scrub(p))
		if err != nil {
			return nil
		}
		return runtime.JSON(b)
	case *runtime.View:
		return o.scrub(v.Value())
	case int64, float64:
		// A secret of digits comes back as a number.
		if b, err := runtime.AppendJSON(nil, v); err == nil {
			if s := string(b); o.set.Replace(s) != s {
				return redact.Mask
			}
		}
		return v
	case []runtime.Value:
		out := make([]runtime.Value, len(v))
		for i := range v {
			out[i] = o.scrub(v[i])
		}
		return out
	case *runtime.Dict:
		out := &runtime.Dict{Fields: make([]runtime.Field, len(v.Fields))}
		for i, f := range v.Fields {
			out.Fields[i] = runtime.Field{Key: o.set.Replace(f.Key), Value: o.scrub(f.Value)}
		}
		return out
	}
	return v
}

// scrubText masks a text. If it is JSON, what its strings say counts, whatever
// escapes they are written with.
func (o *opened) scrubText(s string) string {
	s = o.set.Replace(s)
	if t := strings.TrimSpace(s); t == "" || t[0] != '{' && t[0] != '[' && t[0] != '"' {
		return s
	}
	v, err := runtime.ParseJSON([]byte(s))
	if err != nil {
		return s
	}
	before, err1 := runtime.AppendJSON(nil, v)
	after, err2 := runtime.AppendJSON(nil, o.scrub(v))
	switch {
	case err1 != nil || err2 != nil:
		return redact.Mask // nested beyond what can be looked through
	case string(before) == string(after):
		return s
	}
	return string(after)
}

// scrubError masks the secrets in an error. What it wraps stays reachable only
// if its text is clean.
func (o *opened) scrubError(err error) error {
	if err == nil || o.set == nil {
		return err
	}
	if s := err.Error(); o.set.Replace(s) != s {
		return errors.New(o.set.Replace(s))
	}
	return err
}
