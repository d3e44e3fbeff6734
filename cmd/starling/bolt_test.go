package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// boltApp copies the app of testdata/bolt beside the versions of its lock file
// and returns the directory. Where there is no node or npm, or npm cannot reach
// its registry, the test is skipped.
func boltApp(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"node", "npm"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("no %s in PATH: the conversation with Bolt is not held (apt-get install nodejs npm)", name)
		}
	}
	installed, err := installBolt()
	if unreachable := (*installError)(nil); errors.As(err, &unreachable) {
		t.Skipf("npm cannot install Bolt, the conversation with it is not held: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(filepath.Join(installed, "node_modules"), filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	if err := copyFiles(dir, boltFiles, "app.mjs"); err != nil {
		t.Fatal(err)
	}
	return dir
}

// boltFiles is the app, without what npm installs.
const boltFiles = "testdata/bolt"

// locked says what npm installs.
var locked = []string{"package.json", "package-lock.json", ".npmrc"}

// installError is npm's own.
type installError struct {
	err error
	out string
}

func (e *installError) Error() string { return e.err.Error() + "\n" + e.out }

// installBolt installs once for all tests, and once for a lock file where the
// user has a directory for caches.
var installBolt = sync.OnceValues(func() (string, error) {
	sum := sha256.New()
	for _, name := range locked {
		raw, err := os.ReadFile(filepath.Join(boltFiles, name))
		if err != nil {
			return "", err
		}
		_, _ = sum.Write(raw)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	home := filepath.Join(cache, "starling-tests")
	dir := filepath.Join(home, "bolt-"+hex.EncodeToString(sum.Sum(nil))[:16])
	if _, err := os.Stat(filepath.Join(dir, "node_modules")); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(home, 0o755); err != nil {
		return "", err
	}
	fresh, err := os.MkdirTemp(home, "install-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(fresh)
	if err := copyFiles(fresh, boltFiles, locked...); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--prefer-offline", "--loglevel=error")
	cmd.Dir, cmd.WaitDelay = fresh, time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", &installError{err, strings.TrimSpace(string(out))}
	}
	if err := os.Rename(fresh, dir); err != nil && !errors.Is(err, fs.ErrExist) {
		if _, there := os.Stat(filepath.Join(dir, "node_modules")); there != nil { // another test run was not faster
			return "", err
		}
	}
	return dir, nil
})

func copyFiles(to, from string, names ...string) error {
	for _, name := range names {
		raw, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, name), raw, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// An unmodified app on Bolt holds the conversation, over HTTP and over Socket
// Mode.
func TestConversationWithBolt(t *testing.T) {
	slow(t)
	for name, events := range map[string]string{"http": freeAddress(t), "socket": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := boltApp(t)
			node, err := exec.LookPath("node")
			if err != nil {
				t.Fatal(err)
			}
			url, env := "", []string(nil)
			if events != "" {
				_, port, _ := strings.Cut(events, ":")
				url, env = "http://"+events+"/slack/events", []string{"BOLT_PORT=" + port}
			}
			c := startLocalSlack(t, url)
			c.app = runProgram(t, node, append(c.appEnv(), env...), filepath.Join(dir, "app.mjs"))
			c.app.prints("the app runs")
			start := time.Now()
			c.talk(t)
			if took := time.Since(start); took > 40*time.Second {
				t.Errorf("the conversation took %s", took)
			}
		})
	}
}
