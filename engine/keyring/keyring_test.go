package keyring_test

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/starling-rules/starling/engine/keyring"
)

func TestKeysAreReadInTheFormsThatToolsWrite(t *testing.T) {
	t.Parallel()
	raw := []byte("\xff\xfe0123456789abcdef0123456789abcd")
	for _, text := range []string{
		hex.EncodeToString(raw), strings.ToUpper(hex.EncodeToString(raw)), base64.StdEncoding.EncodeToString(raw), base64.RawStdEncoding.EncodeToString(raw),
		base64.URLEncoding.EncodeToString(raw), " " + base64.StdEncoding.EncodeToString(raw) + "\n",
	} {
		r, err := keyring.New(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if first, _ := keyring.New(hex.EncodeToString(raw)); r.IDs()[0] != first.IDs()[0] {
			t.Errorf("%s is another key", text)
		}
	}
	made := keyring.Generate()
	if err := keyring.Check(made); err != nil || made == keyring.Generate() {
		t.Errorf("made %s: %v", made, err)
	}
}

func TestWhatIsNoKeyIsRefusedWithoutRepeatingIt(t *testing.T) {
	t.Parallel()
	good := strings.Repeat("ab", keyring.Size)
	for name, keys := range map[string][]string{
		"none":         nil,
		"empty":        {""},
		"a passphrase": {"correct horse battery staple"},
		"too short":    {good[2:]},
		"too long":     {good + "ab"},
		"zeros":        {strings.Repeat("00", keyring.Size)},
		"twice":        {good, strings.ToUpper(good)},
		"the second":   {good, "passphrase"},
	} {
		_, err := keyring.New(keys...)
		if err == nil || strings.Contains(err.Error(), "abab") || strings.Contains(err.Error(), "horse") || strings.Contains(err.Error(), "passphrase") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSealedTextOpensWithItsKeyAndBinding(t *testing.T) {
	t.Parallel()
	a, b := strings.Repeat("aa", keyring.Size), strings.Repeat("bb", keyring.Size)
	one, err := keyring.New(a)
	if err != nil {
		t.Fatal(err)
	}
	both, err := keyring.New(b, a)
	if err != nil {
		t.Fatal(err)
	}
	id, sealed := one.Seal([]byte("token"), "name")
	if text, err := both.Open(id, sealed, "name"); err != nil || string(text) != "token" {
		t.Errorf("got %q, %v", text, err)
	}
	if newID, _ := both.Seal(nil, ""); newID == id {
		t.Error("sealed with the old key")
	}
	if _, err := both.Open(id, sealed, "another name"); !errors.Is(err, keyring.ErrSealed) {
		t.Errorf("another name: %v", err)
	}
	if _, err := both.Open(both.IDs()[0], sealed, "name"); !errors.Is(err, keyring.ErrSealed) {
		t.Errorf("the wrong key: %v", err)
	}
	if _, err := both.Open("none", sealed, "name"); !errors.Is(err, keyring.ErrKey) {
		t.Errorf("an unknown key: %v", err)
	}
	if _, again := one.Seal([]byte("token"), "name"); string(again) == string(sealed) {
		t.Error("the same text seals to the same bytes")
	}
	for i := range sealed {
		damaged := []byte(string(sealed))
		damaged[i] ^= 1
		if _, err := one.Open(id, damaged, "name"); err == nil {
			t.Errorf("byte %d is not checked", i)
		}
	}
	if _, err := one.Open(id, sealed[:5], "name"); err == nil {
		t.Error("a part of it opens")
	}
}
