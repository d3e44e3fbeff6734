package runtime

import "fmt"

// CountParts counts v and everything in it.
func CountParts(v Value) int {
	n := 1
	switch v := v.(type) {
	case List:
		for _, e := range v {
			n += CountParts(e)
		}
	case *Dict:
		for _, f := range v.Fields {
			n += CountParts(f.Value)
		}
	}
	return n
}

// What leaves a pass in one value: the other end refuses more, and would have
// to take the worker for broken.
const maxBytes = 1 << 20

// CheckBounds refuses data that the wire form would not carry: deeper than
// MaxDepth, of more than MaxParts parts or 1 MiB. The errors are for the
// script's author.
func CheckBounds(v Value) error {
	parts, bytes := MaxParts, maxBytes
	return bounds(v, MaxDepth, &parts, &bytes)
}

func bounds(v Value, depth int, parts, bytes *int) error {
	if depth == 0 {
		return &Error{Kind: RunError, Msg: fmt.Sprintf("data nested more than %d deep cannot leave the script", MaxDepth-2)}
	}
	switch v := v.(type) {
	case string:
		*bytes -= len(v)
	case []byte:
		*bytes -= len(v)
	case JSON:
		*bytes -= len(v)
	case Secret:
		*parts -= len(v.Parts)
		for _, p := range v.Parts {
			*bytes -= len(p.Text) + len(p.Name)
		}
	case List:
		*parts -= len(v)
		for _, e := range v {
			if err := bounds(e, depth-1, parts, bytes); err != nil {
				return err
			}
		}
	case *Dict:
		*parts -= v.Len()
		for i := range v.Len() {
			*bytes -= len(v.Fields[i].Key)
			if err := bounds(v.Fields[i].Value, depth-1, parts, bytes); err != nil {
				return err
			}
		}
	}
	switch {
	case *parts < 0:
		return &Error{Kind: RunError, Msg: fmt.Sprintf("data of more than %d parts cannot leave the script", MaxParts)}
	case *bytes < 0:
		return &Error{Kind: RunError, Msg: fmt.Sprintf("data of more than %d bytes cannot leave the script", maxBytes)}
	}
	return nil
}

// Plain replaces views and JSON text in v by dicts and lists.
func Plain(v Value) Value {
	switch v := v.(type) {
	case *View:
		return v.Value()
	case JSON:
		if w, err := ParseJSON(v); err == nil {
			return w
		}
		return nil
	case List:
		list := make(List, len(v))
		for i, e := range v {
			list[i] = Plain(e)
		}
		return list
	case *Dict:
		d := &Dict{Fields: make([]Field, v.Len())}
		for i := range d.Fields {
			d.Fields[i] = Field{Key: v.Fields[i].Key, Value: Plain(v.Fields[i].Value)}
		}
		return d
	}
	return v
}
