package kv_test

import (
	"strings"
	"testing"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib/internal/declaretest"
	"github.com/starling-rules/starling/stdlib/kv"
)

type named = declaretest.Named

func TestSharedIsTheSameEffectWithAFlag(t *testing.T) {
	t.Parallel()
	s := declaretest.New(t, kv.Builtins())
	s.Equal(s.Effect("kv.shared.incr", "n", int64(2), named{"ttl", "1m"}), `kv.incr {"key":"n","by":2,"ttl":60.0,"shared":true}`)
	s.Equal(s.Effect("kv.incr", "n", int64(2), named{"ttl", "1m", "shared", true}), `kv.incr {"key":"n","by":2,"ttl":60.0,"shared":true}`)
}

func TestKeysAndLimits(t *testing.T) {
	t.Parallel()
	s := declaretest.New(t, kv.Builtins())
	long := strings.Repeat("k", 256)
	for _, name := range []string{"kv.get", "kv.delete", "kv.incr", "once", "kv.shared.get"} {
		s.Fails(name+": key is empty", name, "")
		s.Fails("256 bytes, the limit is 255", name, long)
	}
	s.Fails("prefix has 256 bytes", "kv.list", long)
	s.Fails("limit is 1001", "kv.list", named{"limit", int64(1001)})
	s.Equal(s.Effect("kv.list", "a", named{"after", "ab", "limit", int64(1000)}), `kv.list {"prefix":"a","after":"ab","limit":1000}`)
	s.Fails("ttl must be more than nothing", "kv.set", "k", "v", named{"ttl", int64(0)})
	s.Fails("ttl must be more than nothing", "once", "k", int64(-1))
}

func TestOnlyPlainDataIsStored(t *testing.T) {
	t.Parallel()
	s := declaretest.New(t, kv.Builtins())
	for want, v := range map[string]runtime.Value{
		"function": runtime.Func{}, "secret": runtime.List{runtime.Secret{}}, "regexp": runtime.NewDict("a", runtime.Regexp{}),
	} {
		s.Fails("has a "+want+" in it", "kv.set", "k", v)
	}
	s.Fails("more than 65536 bytes", "kv.set", "k", strings.Repeat("x", 65_536))
	// One text that is there many times: made to be written out, it is huge.
	text, big := strings.Repeat("x", 1<<20), runtime.List{}
	for range 50_000 {
		big = append(big, text)
	}
	s.Fails("more than 65536 bytes", "kv.set", "k", big)
	s.Equal(s.Effect("kv.cas", "k", nil, runtime.List{true}), `kv.cas {"key":"k","old":null,"new":[true]}`)
}
