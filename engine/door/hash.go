package door

import (
	"context"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"hash"

	"github.com/starling-rules/starling/runtime"
)

// hmac computes a keyed hash. It is an effect because its key may be a secret.
// The old digests are there for the senders that still sign with them.
func (l *live) hmac(_ context.Context, _ *Run, e runtime.Effect) (runtime.Value, error) {
	var digest func() hash.Hash
	switch name := e.Args.Text("algorithm"); name {
	case "", "sha256":
		digest = sha256.New
	case "sha512":
		digest = sha512.New
	case "sha1":
		digest = sha1.New
	case "md5":
		digest = md5.New
	default:
		return nil, fmt.Errorf("hash.hmac: unknown algorithm %.20q", name)
	}
	mac := hmac.New(digest, content(e.Args, "key"))
	mac.Write(content(e.Args, "msg"))
	return hex.EncodeToString(mac.Sum(nil)), nil
}

// content is a text or bytes argument.
func content(args *runtime.Dict, name string) []byte {
	v, _ := args.Get(name)
	switch v := v.(type) {
	case string:
		return []byte(v)
	case []byte:
		return v
	}
	return nil
}
