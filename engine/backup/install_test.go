package backup_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/backup"
	"github.com/starling-rules/starling/engine/install"
	"github.com/starling-rules/starling/engine/keyring"
	"github.com/starling-rules/starling/engine/queue"
)

var installKey = strings.Repeat("5a", keyring.Size)

type installed struct{ *install.Store }

func installs(t testing.TB, s queue.Store, keys ...string) installed {
	t.Helper()
	ring, err := keyring.New(keys...)
	if err != nil {
		t.Fatal(err)
	}
	store, err := install.Open(t.Context(), install.Options{State: s.State(), Keys: ring})
	if err != nil {
		t.Fatal(err)
	}
	return installed{store}
}

func (s installed) install(t testing.TB, team string) {
	t.Helper()
	if _, err := s.Install(t.Context(), &install.Installation{App: "A1", Team: team, Bot: install.Grant{Token: "xoxb-in-no-archive"}}); err != nil {
		t.Fatal(err)
	}
}

func TestInstallationsStayEncryptedInAnArchive(t *testing.T) {
	t.Parallel()
	from, to := memory(t), memory(t)
	installs(t, from, installKey).install(t, "T1")
	for _, key := range []string{"install-news/all", "oauth-used/x", "oauth-lease/A1/T1"} {
		if _, err := from.State().Update(t.Context(), key, "op", false, func([]byte, bool) (queue.Change, error) {
			return queue.Change{Value: []byte("1")}, nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	var archive bytes.Buffer
	n, err := backup.Write(t.Context(), &archive, &backup.Store{Queue: from, Now: time.Now}, backup.Header{}, backup.Filter{})
	if err != nil || n != 1 {
		t.Fatalf("%d records, %v:\n%s", n, err, &archive)
	}
	if text := archive.String(); strings.Contains(text, "xox") || !strings.Contains(text, `{"kind":"install","key":"A1/T1","value":{"v":1,"key":"`) {
		t.Errorf("got %s", text)
	}
	told := 0
	target := &backup.Store{Queue: to, Now: time.Now, Done: func(context.Context) error { told++; return nil }}
	sum, err := backup.Restore(t.Context(), target, bytes.NewReader(archive.Bytes()), backup.RestoreOptions{})
	if err != nil || sum.Changes[backup.Added] != 1 || told != 1 {
		t.Fatalf("%+v, %v, told %d times", sum, err, told)
	}
	if in := installs(t, to, installKey).List(); len(in) != 1 || in[0].Bot.Token != "xoxb-in-no-archive" {
		t.Errorf("restored %v", in)
	}
	other, _ := keyring.New(strings.Repeat("a5", keyring.Size))
	if _, err := install.Open(t.Context(), install.Options{State: to.State(), Keys: other}); !errors.Is(err, keyring.ErrKey) {
		t.Errorf("another key: %v", err)
	}
}

func TestAnArchiveHasNoInstallationsButSealedOnes(t *testing.T) {
	t.Parallel()
	good := `{"v":1,"key":"aabb","sealed":"AAAA"}`
	for name, c := range map[string]struct {
		key, value string
		ok         bool
	}{
		"sealed":          {"A1/T1", good, true},
		"another version": {"A1/T1", `{"v":2,"key":"aabb","sealed":"AAAA"}`, false},
		"plain":           {"A1/T1", `{"app":"A1","bot":{"token":"xoxb-1"}}`, false},
		"with more in it": {"A1/T1", `{"v":1,"key":"aabb","sealed":"AAAA","token":"xoxb-1"}`, false},
		"nothing":         {"A1/T1", `{}`, false},
		"no id":           {"A1", good, false},
		"a path":          {"../T1", good, false},
	} {
		text, err := json.Marshal(map[string]any{"kind": "install", "key": c.key, "value": json.RawMessage(c.value)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := backup.ReadRecord(text); (err == nil) != c.ok || err != nil && strings.Contains(err.Error(), "xoxb") {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Past its own kind nothing is written there.
	for _, key := range []string{"install/A1/T1", "install-news/all", "oauth-used/x"} {
		if _, err := backup.ReadRecord([]byte(`{"kind":"state","key":"` + key + `","data":"AAAA"}`)); err == nil {
			t.Errorf("state %s is taken", key)
		}
	}
}
