package explain_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine"
	"github.com/starling-rules/starling/engine/config"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/explain"
	"github.com/starling-rules/starling/engine/payload"
	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/lua"
	"github.com/starling-rules/starling/runtime/star"
	"github.com/starling-rules/starling/stdlib"
)

// open loads rules from texts by path.
func open(t testing.TB, files map[string]string) *engine.Offline {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		write(t, dir, name, text)
	}
	cfg := config.Default()
	cfg.Rules, cfg.Data = []string{dir}, ""
	cfg.Limits.Deadline = 30 * time.Second // steps are what ends a script here: the machine may be busy
	cfg.Secrets = map[string]string{"TOKEN": "s3cret"}
	lib, err := stdlib.Library()
	if err != nil {
		t.Fatal(err)
	}
	o, err := engine.OpenOffline(t.Context(), engine.Options{Config: cfg, Library: lib, Pool: pool})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.Close(t.Context()) })
	return o
}

func write(t testing.TB, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func pool(host runtime.Host) (runtime.Pool, error) {
	s, err := star.New(host)
	if err != nil {
		return nil, err
	}
	l, err := lua.New(host)
	if err != nil {
		return nil, err
	}
	return runtime.NewLocal([]runtime.Language{s, l}, runtime.LocalOptions{Parallel: 2}), nil
}

// act is the event of something that somebody does.
func act(t testing.TB, kind string, a payload.Act) *event.Event {
	t.Helper()
	p, err := a.Build(kind)
	if err != nil {
		t.Fatal(err)
	}
	e, _, err := explain.Read("event", p.Body, event.Meta{})
	if err != nil {
		t.Fatalf("%s: %v", kind, err)
	}
	return e
}

func explained(t testing.TB, o *engine.Offline, e *event.Event) *explain.Report {
	t.Helper()
	rep, err := o.Explain(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	return rep
}

func asJSON(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
