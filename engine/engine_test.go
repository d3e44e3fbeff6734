package engine_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine"
	"github.com/starling-rules/starling/engine/config"
	"github.com/starling-rules/starling/engine/door"
	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib"
)

const secret = "engine-test-secret"

// rig is an engine on loopback with a directory of rules. Scripts report
// through probe.see, a built-in of the test.
type rig struct {
	*engine.Engine
	t     testing.TB
	rules string
	log   *lockedBuffer
	stop  func() // ends the engine before the test does

	mu   sync.Mutex
	seen []*runtime.Dict
	told chan struct{}
}

func newRig(t testing.TB, files map[string]string, change func(*engine.Options)) *rig {
	t.Helper()
	r := &rig{t: t, rules: t.TempDir(), log: &lockedBuffer{}, told: make(chan struct{}, 1)}
	for path, text := range files {
		r.write(path, text)
	}
	cfg := config.Default()
	cfg.Rules, cfg.Data, cfg.Listen, cfg.Admin = []string{r.rules}, "", "127.0.0.1:0", "127.0.0.1:0"
	cfg.Slack.SigningSecrets = []string{secret}
	cfg.Limits.Deadline = 30 * time.Second // steps are what ends a script here: the machine may be busy
	lib, err := stdlib.Library()
	if err != nil {
		t.Fatal(err)
	}
	o := engine.Options{
		Config: cfg, Library: lib, Pool: inProcess, Drain: 5 * time.Second,
		Logger:   slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Builtins: []engine.Builtin{r.probe()},
	}
	if change != nil {
		change(&o)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.Engine, err = engine.New(ctx, o)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	select {
	case <-r.Started():
	case err := <-done:
		cancel()
		t.Fatalf("start: %v\n%s", err, r.log)
	}
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	t.Cleanup(func() {
		r.stop()
		if t.Failed() {
			t.Logf("log:\n%s", tail(r.log.String()))
		}
	})
	return r
}

func (r *rig) probe() engine.Builtin {
	return engine.Builtin{
		Name: "probe.see", Doc: "Tell the test.", Idempotent: true,
		Params: []runtime.Param{{Name: "fields", Type: runtime.TAny, Rest: true, Doc: "What to tell."}},
		Do: func(_ context.Context, _ *door.Run, args *runtime.Dict) (runtime.Value, error) {
			fields := args
			if d, ok := args.Get("fields"); ok {
				fields, _ = d.(*runtime.Dict)
			}
			r.mu.Lock()
			r.seen = append(r.seen, fields)
			r.mu.Unlock()
			select {
			case r.told <- struct{}{}:
			default:
			}
			return runtime.NewDict("ok", true), nil
		},
	}
}

// all returns what scripts have told so far.
func (r *rig) all() []*runtime.Dict {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]*runtime.Dict(nil), r.seen...)
}

// wait returns what scripts have told once it is at least n things.
func (r *rig) wait(n int) []*runtime.Dict {
	r.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		if all := r.all(); len(all) >= n {
			return all
		}
		select {
		case <-r.told:
		case <-deadline:
			r.t.Fatalf("got %d of %d reports from scripts\nlog:\n%s", len(r.all()), n, tail(r.log.String()))
		}
	}
}

func (r *rig) write(path, text string) {
	r.t.Helper()
	full := filepath.Join(r.rules, path)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

func tail(s string) string { return s[max(0, len(s)-3000):] }

const (
	jsonBody = "application/json"
	formBody = "application/x-www-form-urlencoded"
)

// send posts a signed body to a path and returns status and answer.
func (r *rig) send(path, contentType string, body []byte) (int, string) {
	r.t.Helper()
	ts := strconv.FormatInt(time.Now().Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("v0:" + ts + ":"))
	mac.Write(body)
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, "http://"+r.Addr().String()+path, bytes.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("X-Slack-Request-Timestamp", ts)
	req.Header.Set("X-Slack-Signature", "v0="+hex.EncodeToString(mac.Sum(nil)))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// lockedBuffer is a log that is read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// waitBuiltin is probe.wait: an effect that takes its time.
func waitBuiltin(d time.Duration) engine.Builtin {
	return engine.Builtin{
		Name: "probe.wait", Doc: "Wait.", Idempotent: true,
		Params: []runtime.Param{{Name: "key", Type: runtime.TString, Doc: "Anything."}},
		Do: func(ctx context.Context, _ *door.Run, _ *runtime.Dict) (runtime.Value, error) {
			select {
			case <-time.After(d):
				return runtime.NewDict("ok", true), nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		},
	}
}
