package queue_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/queue"
)

// The data directories of these tests are handled by a second process: the
// test binary started again with a role.
const (
	roleEnv = "STARLING_QUEUE_TEST_ROLE"
	dirEnv  = "STARLING_QUEUE_TEST_DIR"
)

func TestMain(m *testing.M) {
	if role := os.Getenv(roleEnv); role != "" {
		os.Exit(child(role, os.Getenv(dirEnv)))
	}
	os.Exit(m.Run())
}

func startChild(t *testing.T, role, dir string) (*exec.Cmd, *bytes.Buffer, func() string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleEnv+"="+role, dirEnv+"="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	all := func() string {
		var b bytes.Buffer
		_, _ = b.ReadFrom(out)
		return b.String()
	}
	return cmd, &errs, all
}

// child is the second process.
func child(role, dir string) int {
	s, err := queue.Open(context.Background(), queue.Options{Dir: dir, MinFreeDisk: -1, MaxBytes: 256 << 20})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	switch role {
	case "hold":
		fmt.Println("held")
		select {}
	case "load":
		load(s)
	}
	return 0
}

// load stores, runs and settles events until it is killed, and says so line by
// line: "p id" stored, "j id n" journaled, "s id" settled and flushed.
func load(s *queue.JetStream) {
	ctx := context.Background()
	lines := make(chan string, 1000)
	go func() {
		_ = s.Consume(ctx, 10_000, func(d queue.Delivery) {
			go func() {
				from := len(d.History())
				for i := from; i < from+3; i++ {
					if d.Append(ctx, queue.Entry{Type: 1, Body: fmt.Appendf(nil, "%s/%d", d.ID(), i)}) != nil {
						return
					}
					lines <- fmt.Sprintf("j %s %d", d.ID(), i+1)
				}
				// Every third event stays unsettled.
				if len(d.ID())%3 == 0 || strings.HasSuffix(d.ID(), "7") {
					return
				}
				d.Settle()
				if s.Flush(ctx) == nil {
					lines <- "s " + d.ID()
				}
			}()
		})
	}()
	for w := range 16 {
		go func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("%d-%d-%d", os.Getpid(), w, i)
				if s.Put(ctx, queue.Record{ID: id, Key: id, Body: []byte("body of " + id)}) == nil {
					lines <- "p " + id
				}
			}
		}()
	}
	for line := range lines {
		_, _ = os.Stdout.WriteString(line + "\n")
	}
}

func TestKillLosesNothingAcked(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rounds, pause := 5, 400*time.Millisecond
	put, settled, journal := map[string]bool{}, map[string]bool{}, map[string]int{}
	for round := range rounds {
		cmd, errs, output := startChild(t, "load", dir)
		kill := time.AfterFunc(pause+time.Duration(round)*137*time.Millisecond, func() { _ = cmd.Process.Signal(syscall.SIGKILL) })
		for _, line := range strings.Split(output(), "\n") {
			var id string
			var n int
			switch f := strings.Fields(line); {
			case len(f) == 2 && f[0] == "p":
				put[f[1]] = true
			case len(f) == 2 && f[0] == "s":
				settled[f[1]] = true
			case len(f) == 3 && f[0] == "j":
				id = f[1]
				_, _ = fmt.Sscan(f[2], &n)
				journal[id] = max(journal[id], n)
			}
		}
		_ = cmd.Wait()
		kill.Stop()
		if errs.Len() > 0 {
			t.Fatalf("round %d: %s", round, errs)
		}
	}
	if len(put) < 100 || len(settled) < 10 {
		t.Fatalf("only %d put and %d settled", len(put), len(settled))
	}
	s := open(t, queue.Options{Dir: dir, MaxBytes: 256 << 20})
	got := map[string]int{}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error, 1)
	ids := make(chan queue.Delivery, 1000)
	go func() { done <- s.Consume(ctx, 1_000_000, func(d queue.Delivery) { ids <- d }) }()
	pending := s.Stats().Pending
	for range pending {
		select {
		case d := <-ids:
			if got[d.ID()] != 0 || settled[d.ID()] {
				t.Errorf("%s is delivered though it ended, or twice", d.ID())
			}
			got[d.ID()]++
			h := d.History()
			if len(h) < journal[d.ID()] {
				t.Errorf("%s: %d entries of %d acknowledged", d.ID(), len(h), journal[d.ID()])
			}
			for i, e := range h {
				if want := fmt.Sprintf("%s/%d", d.ID(), i); string(e.Body) != want {
					t.Errorf("%s: entry %d is %q", d.ID(), i, e.Body)
				}
			}
			if string(d.Body()) != "body of "+d.ID() {
				t.Errorf("%s: body %q", d.ID(), d.Body())
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%d of %d deliveries", len(got), pending)
		}
	}
	lost := 0
	for id := range put {
		if got[id] == 0 && !settled[id] {
			// Settled without having been able to say so?
			if info, err := s.Event(ctx, id); err != nil || info.Settled.IsZero() {
				lost++
			}
		}
		if err := s.Put(ctx, queue.Record{ID: id, Key: id}); !errors.Is(err, queue.ErrDuplicate) {
			t.Errorf("Put of %s again: %v, want ErrDuplicate", id, err)
			break
		}
	}
	t.Logf("%d rounds: %d acked, %d settled, %d delivered again, %d lost", rounds, len(put), len(settled), len(got), lost)
	if lost > 0 {
		t.Errorf("%d acknowledged events are lost", lost)
	}
	cancel()
	<-done
}

func TestLockedDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd, _, output := startChild(t, "hold", dir)
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	go output()
	deadline := time.Now().Add(10 * time.Second)
	for {
		if _, err := os.Stat(filepath.Join(dir, "jetstream")); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the other process does not start")
		}
		time.Sleep(10 * time.Millisecond)
	}
	began := time.Now()
	_, err := queue.Open(context.Background(), queue.Options{Dir: dir})
	if !errors.Is(err, queue.ErrLocked) || !strings.Contains(err.Error(), dir) {
		t.Errorf("Open: %v, want ErrLocked with the directory", err)
	}
	if d := time.Since(began); d > time.Second {
		t.Errorf("refused after %v, want at most 1s", d)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	open(t, queue.Options{Dir: dir})
}

func TestDamagedDirectory(t *testing.T) {
	t.Parallel()
	damage := map[string]func(dir string) error{
		"emptied definition of a stream": func(dir string) error {
			return emptyFile(filepath.Join(dir, "jetstream", "$G", "streams", "starling-EV-0", "meta.inf"))
		},
		"a stream removed": func(dir string) error {
			return os.RemoveAll(filepath.Join(dir, "jetstream", "$G", "streams", "starling-EX-1"))
		},
		"streams without a marker": func(dir string) error { return os.Remove(filepath.Join(dir, "starling.json")) },
		"unreadable marker":        func(dir string) error { return emptyFile(filepath.Join(dir, "starling.json")) },
	}
	for name, f := range damage {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := queue.Options{Dir: t.TempDir(), MinFreeDisk: -1, Shards: 2}
			s := open(t, o)
			for i := range 10 {
				if err := s.Put(context.Background(), queue.Record{ID: fmt.Sprint(i), Key: fmt.Sprint(i)}); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.Close(context.Background()); err != nil {
				t.Fatal(err)
			}
			if err := f(o.Dir); err != nil {
				t.Fatal(err)
			}
			for range 2 { // refusing leaves it as it is
				if _, err := queue.Open(context.Background(), o); !errors.Is(err, queue.ErrDamaged) {
					t.Fatalf("Open: %v, want ErrDamaged", err)
				}
			}
			o.ForceNew = true
			s = open(t, o)
			if err := s.Put(context.Background(), queue.Record{ID: "new", Key: "k"}); err != nil {
				t.Errorf("Put with ForceNew: %v", err)
			}
			_ = s.Close(context.Background())
			o.ForceNew = false
			open(t, o)
		})
	}
}

func emptyFile(name string) error {
	if _, err := os.Stat(name); err != nil {
		return err
	}
	return os.WriteFile(name, nil, 0o600)
}

func TestNewerFormatIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	m := []byte(`{"format":99,"shards":2,"ready":true,"streams":[]}`)
	if err := os.WriteFile(filepath.Join(dir, "starling.json"), m, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, force := range []bool{false, true} {
		_, err := queue.Open(context.Background(), queue.Options{Dir: dir, ForceNew: force})
		if err == nil || !strings.Contains(err.Error(), "newer version") {
			t.Errorf("Open (force %v): %v", force, err)
		}
	}
}

func TestShardsStayAsTheyWere(t *testing.T) {
	t.Parallel()
	o := queue.Options{Dir: t.TempDir(), Shards: 3}
	s := open(t, o)
	for i := range 30 {
		if err := s.Put(context.Background(), queue.Record{ID: fmt.Sprint(i), Key: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	_ = s.Close(context.Background())
	o.Shards = 2
	if n := open(t, o).Stats().Pending; n != 30 {
		t.Errorf("%d pending, want 30", n)
	}
}

func TestBadOptions(t *testing.T) {
	t.Parallel()
	_, err := queue.Open(context.Background(), queue.Options{Prefix: "a b", Shards: 1000, Replicas: 9})
	for _, want := range []string{"Dir or URL", "Prefix", "Shards", "Replicas"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Open: %v, want %s named", err, want)
		}
	}
}
