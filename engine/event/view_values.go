package event

import (
	"strings"
	"time"

	"github.com/valyala/fastjson"

	"github.com/starling-rules/starling/runtime"
)

// seconds is a time as scripts have it: seconds since 1970, or None.
func seconds(t time.Time) runtime.Value {
	if t.IsZero() {
		return nil
	}
	return float64(t.UnixMicro()) / 1e6
}

// action is the element that was used, or that asks for options.
func (v *View) action() runtime.Value {
	if list := v.get("actions"); list != nil {
		if l := list.GetArray(); len(l) > 0 {
			return show(l[0])
		}
		return nil
	}
	if len(v.e.Actions) == 0 {
		return nil
	}
	a := v.e.Actions[0]
	return runtime.NewDict("action_id", a.ActionID, "block_id", a.BlockID, "type", a.Type, "value", a.Value)
}

// value is the plain value of the element that was used.
func (v *View) value() runtime.Value {
	if list := v.get("actions"); list != nil {
		if l := list.GetArray(); len(l) > 0 {
			return plain1(l[0])
		}
		return nil
	}
	if v.e.Kind == Options || v.e.Type == "dialog_suggestion" {
		return v.e.Query
	}
	return nil
}

// plain1 is plainValue as a script sees it; several choices are a list of
// their values.
func plain1(el *fastjson.Value) runtime.Value {
	x := plainValue(el)
	if x == nil {
		return nil
	}
	if x.Type() != fastjson.TypeArray {
		return show(x)
	}
	list := x.GetArray()
	out := make(runtime.List, len(list))
	for i, c := range list {
		if c.Type() == fastjson.TypeObject && c.Exists("value") {
			out[i] = show(c.Get("value"))
		} else {
			out[i] = show(c)
		}
	}
	return out
}

// values maps action_id to the plain value of each input of a view or message;
// where an action_id is used in more than one block, block_id.action_id.
// For a dialog it is what was submitted.
func (v *View) values() runtime.Value {
	if s := v.get("submission"); s != nil {
		return show(s)
	}
	state := v.get("view", "state", "values")
	if state == nil {
		if state = v.get("state", "values"); state == nil {
			if v.e.Kind == Submit || v.e.Kind == ViewClosed || v.e.Type == "block_actions" {
				return &runtime.Dict{}
			}
			return nil
		}
	}
	blocks, err := state.Object()
	if err != nil {
		return nil
	}
	uses := map[string]int{}
	blocks.Visit(func(_ []byte, block *fastjson.Value) {
		if o, err := block.Object(); err == nil {
			o.Visit(func(id []byte, _ *fastjson.Value) { uses[string(id)]++ })
		}
	})
	d := &runtime.Dict{Fields: make([]runtime.Field, 0, len(uses))}
	blocks.Visit(func(blockID []byte, block *fastjson.Value) {
		o, err := block.Object()
		if err != nil {
			return
		}
		o.Visit(func(id []byte, el *fastjson.Value) {
			key := string(id)
			if uses[key] > 1 {
				key = string(blockID) + "." + key
			}
			d.Fields = append(d.Fields, runtime.Field{Key: key, Value: plain1(el)})
		})
	})
	return d
}

// raw is the whole payload as Slack sent it; a form as a dict of its fields.
func (v *View) raw() runtime.Value {
	switch v.e.Encoding {
	case JSON:
		if root := v.document(); root != nil {
			return show(root)
		}
		if len(v.e.Raw) > 0 {
			return string(v.e.Raw)
		}
	case Form:
		return formDict(v.e.Raw)
	case HTTP:
		return strings.ToValidUTF8(string(v.e.Raw), "\uFFFD")
	}
	return nil
}

// formDict decodes a form, or returns nil if it is none. Of a field that is
// there twice the first counts.
func formDict(b []byte) runtime.Value {
	fields, err := formFields(b)
	if err != nil {
		return nil
	}
	d := &runtime.Dict{}
	have := map[string]bool{}
	for _, f := range fields {
		if !have[f.key] {
			have[f.key] = true
			d.Fields = append(d.Fields, runtime.Field{Key: f.key, Value: f.value})
		}
	}
	return d
}

// IsForm and IsJSON tell what a Content-Type names, whatever its letter case
// and parameters.
func IsForm[T string | []byte](contentType T) bool {
	return mediaType(contentType, "application/x-www-form-urlencoded")
}

// IsJSON reports whether a Content-Type names JSON.
func IsJSON[T string | []byte](contentType T) bool { return mediaType(contentType, "application/json") }

func mediaType[T string | []byte](s T, want string) bool {
	for len(s) > 0 && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	if len(s) < len(want) {
		return false
	}
	for i := range len(want) {
		c := s[i]
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != want[i] {
			return false
		}
	}
	if len(s) == len(want) {
		return true
	}
	c := s[len(want)]
	return c == ';' || c == ' ' || c == '\t'
}
