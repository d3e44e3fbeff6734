// Package hash declares the module hash: digests in lower-case hexadecimal.
package hash

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/hex"
	gohash "hash"
	"strings"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib/internal/declare"
)

// New returns the constructor of the digest of that name, or nil.
func New(algorithm string) func() gohash.Hash {
	switch algorithm {
	case "md5":
		return md5.New
	case "sha1":
		return sha1.New
	case "sha256":
		return sha256.New
	case "sha512":
		return sha512.New
	}
	return nil
}

const data = runtime.TString | runtime.TBytes

// Builtins returns the declarations of the module.
func Builtins() []*runtime.Builtin {
	return []*runtime.Builtin{
		digest("md5", "MD5 digest; good for cache keys, not against forgery.", "5d41402abc4b2a76b9719d911017c592"),
		digest("sha1", "SHA-1 digest; not against forgery.", "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d"),
		digest("sha256", "SHA-256 digest.", "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"),
		digest("sha512", "SHA-512 digest.", "9b71d224bd62f3785d96d46ad3ea3d73319bfbc2890caadae2dff72519673ca72323c3d99ba5c11d7c7acc6e14b8c5da0c4663475c2e5c3adef46f73bcdec043"),
		{
			Name: "hash.hex", Doc: "Bytes as hexadecimal.",
			Params: []runtime.Param{declare.Arg("data", data, "What to write.")},
			Result: "string", Purity: runtime.Pure, Since: declare.Since,
			Examples: []runtime.Example{{Star: `hash.hex("az")`, Want: `"617a"`}},
			Fn: func(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
				s := declare.Text(a, "data", "")
				if 2*len(s) > declare.MaxText {
					return nil, declare.Hint("", "hash.hex: %d bytes are too many", len(s))
				}
				return hex.EncodeToString([]byte(s)), declare.ChargeText(x, 3*len(s))
			},
		},
		{
			Name: "hash.equal", Doc: "Compare two texts in a time that does not tell where they differ.",
			Params: []runtime.Param{declare.Arg("a", data, "One."), declare.Arg("b", data, "The other.")},
			Result: "bool", Purity: runtime.Pure, Since: declare.Since,
			Examples: []runtime.Example{{Star: `hash.equal("a", "b")`, Want: `false`}},
			Fn: func(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
				one, other := declare.Text(a, "a", ""), declare.Text(a, "b", "")
				return subtle.ConstantTimeCompare([]byte(one), []byte(other)) == 1, declare.ChargeText(x, len(one)+len(other))
			},
		},
		{
			Name: "hash.hmac", Doc: "Sign a message with a key.",
			Long: "With a secret as key the server computes it, which is an effect; with a text it is computed at once.",
			Params: []runtime.Param{
				declare.Arg("key", runtime.TText|runtime.TBytes, "The key."),
				declare.Arg("msg", data, "The message."),
				{Name: "algorithm", Type: runtime.TString, Optional: true, Default: "sha256", Values: []string{"md5", "sha1", "sha256", "sha512"}, Doc: "The digest."},
			},
			Result: "string", Purity: runtime.Asks, Since: declare.Since, Repeat: "Repeated after a crash: it only computes.", Fn: sign,
			Examples: []runtime.Example{
				{Star: `hash.hmac("key", "hello")`, Want: `"9307b3b915efb5171ff14d8cb55fbcc798c6c0ef1456d66ded1a6aa723a58b7b"`},
				{Star: `hash.hmac(secret("K"), "hello", "sha1")`},
				{Star: `hash.hmac("key", "hello", "sha3")`, Fails: true, Want: "sha3"},
			},
		},
	}
}

func digest(name, doc, hello string) *runtime.Builtin {
	return &runtime.Builtin{
		Name: "hash." + name, Doc: doc,
		Params: []runtime.Param{declare.Arg("data", data, "What to digest.")},
		Result: "string", Purity: runtime.Pure, Since: declare.Since,
		Examples: []runtime.Example{{Star: `hash.` + name + `("hello")`, Want: `"` + hello + `"`}},
		Fn: func(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
			s := declare.Text(a, "data", "")
			if err := declare.ChargeText(x, 2*len(s)); err != nil {
				return nil, err
			}
			h := New(name)()
			h.Write([]byte(s))
			return hex.EncodeToString(h.Sum(nil)), nil
		},
	}
}

// sign computes with a key that the script knows, and asks the server with
// one that it must not know. The effect's arguments are key, msg, algorithm.
func sign(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	algorithm := a.Text("algorithm")
	if algorithm == "" {
		algorithm = "sha256"
	}
	fresh := New(algorithm)
	if fresh == nil {
		return nil, declare.Hint("it knows md5, sha1, sha256, sha512", "hash.hmac: no algorithm %q", strings.ToValidUTF8(algorithm, ""))
	}
	msg := declare.Text(a, "msg", "")
	if err := declare.ChargeText(x, 2*len(msg)); err != nil {
		return nil, err
	}
	if key, _ := a.Get("key"); key != nil {
		if _, hidden := key.(runtime.Secret); hidden {
			return x.Do("hash.hmac", runtime.NewDict("key", key, "msg", msg, "algorithm", algorithm))
		}
	}
	mac := hmac.New(fresh, []byte(declare.Text(a, "key", "")))
	mac.Write([]byte(msg))
	return hex.EncodeToString(mac.Sum(nil)), nil
}
