package install_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/starling-rules/starling/engine/install"
	"github.com/starling-rules/starling/engine/keyring"
	"github.com/starling-rules/starling/engine/queue"
)

func withKeys(keys *keyring.Keyring) func(*install.Options) {
	return func(o *install.Options) { o.Keys = keys }
}

func TestNoByteOfATokenIsOnTheDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store, err := queue.Open(t.Context(), queue.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, store.State())
	put(t, s, acme())
	if _, err := s.Update(t.Context(), acme().ID(), func(in *install.Installation) (*install.Installation, error) {
		in.TeamName = "Acme & sons"
		return in, nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	found := false
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		found = found || bytes.Contains(b, []byte(`"sealed":`))
		for _, secret := range []string{"xox", "secretbot", "secretrefresh", "secretuser", "secrethook", "Acme", "chat:write", strings.Repeat("\x11", keyring.Size), key1} {
			if bytes.Contains(b, []byte(secret)) {
				t.Errorf("%s holds %q", path, secret)
			}
		}
		return nil
	})
	if err != nil || !found {
		t.Errorf("found a sealed record: %v, %v", found, err)
	}
	store, err = queue.Open(t.Context(), queue.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close(context.WithoutCancel(t.Context())) }()
	if in := open(t, store.State()).List(); len(in) != 1 || in[0].Bot.Token != acme().Bot.Token || in[0].TeamName != "Acme & sons" {
		t.Errorf("after a restart: %v", in)
	}
}

func TestAnotherKeyOpensNothing(t *testing.T) {
	t.Parallel()
	state := memory().State()
	put(t, open(t, state), acme())
	_, err := install.Open(t.Context(), install.Options{State: state, Keys: ring(t, key2)})
	if !errors.Is(err, keyring.ErrKey) || !strings.Contains(err.Error(), "A1/T1") || strings.Contains(err.Error(), "222222") {
		t.Errorf("got %v", err)
	}
	sealed, err := install.ListSealed(t.Context(), state, nil)
	if err != nil || len(sealed) != 1 || !errors.Is(sealed[0].Problem, keyring.ErrKey) || sealed[0].Key != ring(t, key1).IDs()[0] {
		t.Errorf("without a key: %+v, %v", sealed, err)
	}
}

func TestRecordsOpenUnderTheirOwnNameAlone(t *testing.T) {
	t.Parallel()
	state := memory().State()
	s := open(t, state)
	put(t, s, acme())
	record, err := state.Get(t.Context(), install.Space+"A1/T1")
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, b []byte) {
		if _, err := state.Update(t.Context(), install.Space+name, "test", false, func([]byte, bool) (queue.Change, error) {
			return queue.Change{Value: b}, nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	damaged := bytes.Replace(record, []byte(`"sealed":"`), []byte(`"sealed":"AAAA`), 1)
	for name, b := range map[string][]byte{"A1/T2": record, "A2/T1": record, "A1/T3": damaged, "A1/T4": []byte("{}"), "A1/T5": []byte("nothing"), "A1/T6": []byte(`{"v":9,"key":"x","sealed":"AA=="}`)} {
		write(name, b)
		id, err := install.ParseID(name)
		if err != nil {
			t.Fatal(err)
		}
		if in, err := s.Get(t.Context(), id); err == nil {
			t.Errorf("%s opens: %v", name, in)
		}
	}
	if _, err := install.Open(t.Context(), install.Options{State: state, Keys: ring(t, key1)}); err == nil {
		t.Error("opened in spite of records that cannot be read")
	}
}

func TestChangingTheKey(t *testing.T) {
	t.Parallel()
	state := memory().State()
	s := open(t, state)
	put(t, s, acme())
	other := acme()
	other.Team = "T2"
	put(t, s, other)

	both := open(t, state, withKeys(ring(t, key2, key1)))
	third := acme()
	third.Team = "T3"
	put(t, both, third) // with the new key
	if n, err := both.Reseal(t.Context()); n != 2 || err != nil {
		t.Errorf("sealed again: %d, %v", n, err)
	}
	if n, err := both.Reseal(t.Context()); n != 0 || err != nil {
		t.Errorf("a second time: %d, %v", n, err)
	}
	after := open(t, state, withKeys(ring(t, key2)))
	if list := after.List(); len(list) != 3 || list[0].Bot.Token != acme().Bot.Token {
		t.Errorf("got %v", list)
	}
	if _, err := install.Open(t.Context(), install.Options{State: state, Keys: ring(t, key1)}); !errors.Is(err, keyring.ErrKey) {
		t.Errorf("the old key: %v", err)
	}
}
