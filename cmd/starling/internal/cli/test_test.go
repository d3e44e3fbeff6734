package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// screen is what a command has printed so far; it may be read meanwhile.
type screen struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{}
}

func newScreen() *screen { return &screen{more: make(chan struct{}, 1)} }

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case s.more <- struct{}{}:
	default:
	}
	return s.text.Write(p)
}

// until waits until part was printed n times.
func (s *screen) until(t *testing.T, part string, n int) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		s.mu.Lock()
		text := s.text.String()
		s.mu.Unlock()
		if strings.Count(text, part) >= n {
			return
		}
		select {
		case <-s.more:
		case <-deadline:
			t.Fatalf("%q was not printed %d times:\n%s", part, n, text)
		}
	}
}

func TestWatchRunsTestsAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("a.star", "on.message(\"hi\", lambda e: \"hello\")\n")
	write("a_test.star", "def test_hi(t):\n    t.expect(t.message(\"hi\")).replied(\"hello\")\n")
	out, signals := newScreen(), make(chan os.Signal, 1)
	env := &Env{
		Args: []string{"test", "-w", dir}, Stdin: strings.NewReader(""), Stdout: out, Stderr: out,
		Getenv: func(string) string { return "" }, Now: time.Now, Exit: func(int) {},
		Signals: func() (<-chan os.Signal, func()) { return signals, func() {} },
	}
	code := make(chan int, 1)
	go func() { code <- Main(env) }()
	out.until(t, "1 passed, 0 failed\nwatching for changes\n", 1)
	write("a.star", "on.message(\"hi\", lambda e: \"goodbye\")\n")
	out.until(t, "0 passed, 1 failed\nwatching for changes\n", 1)
	write("b_test.star", "def test_more(t):\n    t.rules()\n    t.expect(t.message(\"hi\")).ignored()\n")
	out.until(t, "1 passed, 1 failed\nwatching for changes\n", 1)
	signals <- os.Interrupt
	select {
	case c := <-code:
		if c != ExitGood {
			t.Errorf("exit %d", c)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("it does not end")
	}
}
