package door

import (
	"github.com/starling-rules/starling/runtime"
)

// plain converts what is still JSON, so that handlers meet Dicts and Lists.
func plain(v runtime.Value) runtime.Value {
	switch v := v.(type) {
	case *runtime.View:
		return v.Value()
	case runtime.JSON:
		if p, err := runtime.ParseJSON(v); err == nil {
			return p
		}
	}
	return v
}

// dict is a dict argument whatever its form, or nil.
func dict(args *runtime.Dict, name string) *runtime.Dict {
	v, _ := args.Get(name)
	d, _ := plain(v).(*runtime.Dict)
	return d
}

// flag is a bool argument, or def.
func flag(args *runtime.Dict, name string, def bool) bool {
	v, _ := args.Get(name)
	if b, ok := v.(bool); ok {
		return b
	}
	return def
}

// integer is an int argument, or def.
func integer(args *runtime.Dict, name string, def int64) int64 {
	v, _ := args.Get(name)
	switch n := v.(type) {
	case int64:
		return n
	case float64:
		return int64(n)
	}
	return def
}

// without returns a copy of args that lacks these names and all that are None.
func without(args *runtime.Dict, names ...string) *runtime.Dict {
	out := &runtime.Dict{}
	if args == nil {
		return out
	}
next:
	for _, f := range args.Fields {
		if f.Value == nil {
			continue
		}
		for _, n := range names {
			if f.Key == n {
				continue next
			}
		}
		out.Fields = append(out.Fields, f)
	}
	return out
}
