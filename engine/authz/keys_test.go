package authz_test

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/starling-rules/starling/engine/authz"
	"github.com/starling-rules/starling/engine/config"
)

// Every key is compared, also behind the one that matches: how long it takes
// tells nothing of which it was. It shows in that of two keys of one hash the
// last one is found, wherever the first stands.
func TestEveryKeyIsCompared(t *testing.T) {
	t.Parallel()
	hash := func(s string) string {
		sum := sha256.Sum256([]byte(s))
		return "sha256:" + hex.EncodeToString(sum[:])
	}
	all := []string{"*"}
	c := config.Authorization{Keys: map[string]config.APIKey{
		"a": {Hashes: []string{hash("shared")}, Methods: all},
		"b": {Hashes: []string{hash("other"), hash("next")}, Methods: all},
		"z": {Hashes: []string{hash("unrelated"), hash("shared")}, Methods: all},
	}}
	p, err := authz.New(c)
	if err != nil {
		t.Fatal(err)
	}
	for secret, want := range map[string]string{"shared": "z", "other": "b", "next": "b", "unrelated": "z", "share": "", "shared ": "", "": ""} {
		d := p.Decide(authz.Request{Method: "GET", Path: "/api/x", Header: func(string) (string, bool) { return "Bearer " + secret, true }})
		if d.Caller != want || d.Allowed != (want != "") {
			t.Errorf("%q: got %q, allowed %v, want %q", secret, d.Caller, d.Allowed, want)
		}
	}
}
