package door

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/runtime"
)

// Namespaces of the keys in the store. The path of a script ends in two
// slashes because no path has two: no key of one script is one of another.
const (
	scriptSpace       = "s/"
	sharedSpace       = "shared/"
	onceSpace         = "once/"
	conversationSpace = "talk/"
)

// KVSpace is what the keys of a script begin with in the store.
func KVSpace(script string, shared bool) string {
	if shared {
		return sharedSpace
	}
	return scriptSpace + script + "//"
}

// KVSpaces are the namespaces that count against the quota of a script; of what
// all scripts share, if script is empty.
func KVSpaces(script string) []string {
	if script == "" {
		return []string{sharedSpace}
	}
	own := KVSpace(script, false)
	return []string{own, onceSpace + own, conversationSpace + own}
}

func (l *live) kvHandlers(all Live) {
	read := func(do func(context.Context, *Run, runtime.Effect) (runtime.Value, error)) Handler {
		return Handler{Do: do, Read: true, Repeat: Always(Again)}
	}
	write := func(change func(e runtime.Effect, old []byte, ok bool) (queue.Change, runtime.Value, error)) Handler {
		return Handler{
			// The store applies a step at most once, so it may be asked again.
			Repeat: Always(Again),
			Do: func(ctx context.Context, r *Run, e runtime.Effect) (runtime.Value, error) {
				return l.kvUpdate(ctx, r, e, change)
			},
		}
	}
	all["kv.get"] = read(l.kvGet)
	all["kv.list"] = read(l.kvList)
	all["kv.set"] = write(l.kvSet)
	all["kv.delete"] = write(kvDelete)
	all["kv.incr"] = write(kvIncr)
	all["kv.cas"] = write(l.kvCas)
	all["once"] = write(once)
	all["kv.update"] = Handler{Do: l.kvChange, Repeat: Always(Again)}
	all["conversation.get"] = read(l.conversationGet)
	all["conversation.set"] = write(l.conversationSet)
	all["conversation.delete"] = write(l.conversationDelete)
	all["conversation.update"] = Handler{Do: l.kvChange, Repeat: Always(Again)}
}

// kvKey is the key in the store.
func (l *live) kvKey(r *Run, e runtime.Effect) (string, error) {
	if strings.HasPrefix(e.Kind, "conversation.") {
		return conversationKey(r, e)
	}
	key := e.Args.Text("key")
	switch {
	case key == "":
		return "", fmt.Errorf("%s: key is empty", e.Kind)
	case len(key) > l.MaxKey:
		return "", fmt.Errorf("%s: key has %d bytes, the limit is %d", e.Kind, len(key), l.MaxKey)
	case e.Kind == "once":
		return onceSpace + KVSpace(r.Script, false) + key, nil
	}
	return KVSpace(r.Script, flag(e.Args, "shared", false)) + key, nil
}

func (l *live) kvGet(ctx context.Context, r *Run, e runtime.Effect) (runtime.Value, error) {
	key, err := l.kvKey(r, e)
	if err != nil {
		return nil, err
	}
	b, err := l.State.Get(ctx, key)
	if errors.Is(err, queue.ErrNotFound) {
		v, _ := e.Args.Get("default")
		return v, nil
	}
	if err != nil {
		return nil, fmt.Errorf("kv.get: %w", err)
	}
	// The decoded value shares memory with what the store may keep.
	return runtime.Decode(bytes.Clone(b))
}

func (l *live) kvList(ctx context.Context, r *Run, e runtime.Effect) (runtime.Value, error) {
	space := KVSpace(r.Script, flag(e.Args, "shared", false))
	limit := min(max(integer(e.Args, "limit", 100), 1), 1000)
	after := ""
	if a := e.Args.Text("after"); a != "" {
		after = space + a
	}
	keys, err := l.State.List(ctx, space+e.Args.Text("prefix"), after, int(limit))
	if err != nil {
		return nil, fmt.Errorf("kv.list: %w", err)
	}
	out := make([]runtime.Value, len(keys))
	for i, k := range keys {
		out[i] = strings.TrimPrefix(k, space)
	}
	return out, nil
}

// kvUpdate changes one key, once per run and step.
func (l *live) kvUpdate(ctx context.Context, r *Run, e runtime.Effect, change func(runtime.Effect, []byte, bool) (queue.Change, runtime.Value, error)) (runtime.Value, error) {
	key, err := l.kvKey(r, e)
	if err != nil {
		return nil, err
	}
	ttl, err := ttlOf(e)
	if err != nil {
		return nil, err
	}
	if ttl == 0 && strings.HasPrefix(e.Kind, "conversation.") {
		ttl = conversationTTL
	}
	b, err := l.store(ctx, r, e, key, func(old []byte, ok bool) (queue.Change, error) {
		c, result, err := change(e, old, ok)
		if err != nil {
			return queue.Change{}, err
		}
		c.TTL = ttl
		c.Result = runtime.Encode(nil, result)
		return c, nil
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.Kind, err)
	}
	return runtime.Decode(b)
}

func ttlOf(e runtime.Effect) (time.Duration, error) {
	v, ok := e.Args.Get("ttl")
	if !ok || v == nil {
		return 0, nil
	}
	d, err := runtime.ToDuration(v)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("%s: ttl: want a duration such as \"1h\"", e.Kind)
	}
	return d, nil
}

// stored is the form of a value in the store.
func (l *live) stored(e runtime.Effect, v runtime.Value) (queue.Change, error) {
	if err := storable(v, runtime.MaxDepth-1); err != nil {
		return queue.Change{}, err
	}
	b := runtime.Encode(nil, v)
	if len(b) > l.MaxValue {
		return queue.Change{}, fmt.Errorf("the value takes %d bytes, the limit is %d", len(b), l.MaxValue)
	}
	if _, err := runtime.Decode(b); err != nil {
		return queue.Change{}, fmt.Errorf("the value could not be read again: %w", err)
	}
	return queue.Change{Value: b}, nil
}

// storable refuses what would mean nothing to a later run.
func storable(v runtime.Value, depth int) error {
	if depth == 0 {
		return errors.New("the value is nested too deeply")
	}
	switch v := v.(type) {
	case runtime.Func, runtime.Pending, runtime.Object:
		return fmt.Errorf("a %s cannot be stored", runtime.TypeName(v))
	case []runtime.Value:
		for _, e := range v {
			if err := storable(e, depth-1); err != nil {
				return err
			}
		}
	case *runtime.Dict:
		for i := 0; i < v.Len(); i++ {
			if err := storable(v.Fields[i].Value, depth-1); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *live) kvSet(e runtime.Effect, _ []byte, _ bool) (queue.Change, runtime.Value, error) {
	v, _ := e.Args.Get("value")
	c, err := l.stored(e, v)
	return c, nil, err
}

func kvDelete(_ runtime.Effect, _ []byte, ok bool) (queue.Change, runtime.Value, error) {
	return queue.Change{Delete: ok, Keep: !ok}, ok, nil
}

func kvIncr(e runtime.Effect, b []byte, ok bool) (queue.Change, runtime.Value, error) {
	old, err := present(b, ok)
	if err != nil {
		return queue.Change{}, nil, err
	}
	by, n := integer(e.Args, "by", 1), int64(0)
	if old != nil {
		if n, ok = old.(int64); !ok {
			return queue.Change{}, nil, fmt.Errorf("the key holds a %s, not an int", runtime.TypeName(old))
		}
	}
	if by > 0 && n > math.MaxInt64-by || by < 0 && n < math.MinInt64-by {
		return queue.Change{}, nil, errors.New("the number would be too large")
	}
	return queue.Change{Value: runtime.Encode(nil, n+by)}, n + by, nil
}

// present decodes the value that a key has; nil for none.
func present(b []byte, ok bool) (runtime.Value, error) {
	if !ok {
		return nil, nil
	}
	v, err := runtime.Decode(bytes.Clone(b))
	if err != nil {
		return nil, fmt.Errorf("read the value of the key: %w", err)
	}
	return v, nil
}

func (l *live) kvCas(e runtime.Effect, b []byte, ok bool) (queue.Change, runtime.Value, error) {
	old, err := present(b, ok)
	if err != nil {
		return queue.Change{}, nil, err
	}
	want, _ := e.Args.Get("old")
	next, _ := e.Args.Get("new")
	if !equal(want, old) {
		return queue.Change{Keep: true}, false, nil
	}
	if next == nil {
		return queue.Change{Delete: ok, Keep: !ok}, true, nil
	}
	c, err := l.stored(e, next)
	return c, true, err
}

func once(_ runtime.Effect, _ []byte, ok bool) (queue.Change, runtime.Value, error) {
	if ok {
		return queue.Change{Keep: true}, false, nil
	}
	return queue.Change{Value: runtime.Encode(nil, true)}, true, nil
}

// equal compares as scripts do: dicts whatever their order, 1 and 1.0 alike.
func equal(a, b runtime.Value) bool {
	a, b = plain(a), plain(b)
	switch x := a.(type) {
	case []runtime.Value:
		y, ok := b.([]runtime.Value)
		if !ok || len(x) != len(y) {
			return false
		}
		for i := range x {
			if !equal(x[i], y[i]) {
				return false
			}
		}
		return true
	case *runtime.Dict:
		y, ok := b.(*runtime.Dict)
		if !ok || x.Len() != y.Len() {
			return false
		}
		for i := 0; i < x.Len(); i++ {
			v, ok := y.Get(x.Fields[i].Key)
			if !ok || !equal(x.Fields[i].Value, v) {
				return false
			}
		}
		return true
	case int64:
		if y, ok := b.(float64); ok {
			return float64(x) == y
		}
	case float64:
		if y, ok := b.(int64); ok {
			return x == float64(y)
		}
	}
	return bytes.Equal(runtime.Encode(nil, a), runtime.Encode(nil, b))
}
