package queue_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/starling-rules/starling/engine/queue"
)

// eventually polls until ok, for what a background loop brings about.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("does not happen: %s", what)
		}
	}
}

// Sources that are kept outlive more others than there is room for.
func TestSourcesThatAreKeptOutliveOthers(t *testing.T) {
	t.Parallel()
	s := open(t, queue.Options{Dir: t.TempDir(), MaxBytes: 4 << 20, Shards: 1})
	ctx := context.Background()
	put := func(name string) {
		if err := s.PutSource(ctx, name, make([]byte, 10<<10)); err != nil {
			t.Fatal(err)
		}
	}
	put("needed")
	put("not needed")
	for n := range 100 {
		put(fmt.Sprint("edit", n))
		if n%10 == 0 {
			if err := s.KeepSource(ctx, "needed"); err != nil {
				t.Fatal(err)
			}
		}
	}
	if b, err := s.Source(ctx, "needed"); err != nil || len(b) != 10<<10 {
		t.Errorf("the source that is kept: %d bytes, %v", len(b), err)
	}
	if _, err := s.Source(ctx, "not needed"); !errors.Is(err, queue.ErrNotFound) {
		t.Errorf("the other one: %v", err)
	}
}

func TestFullStore(t *testing.T) {
	t.Parallel()
	o := queue.Options{Dir: t.TempDir(), MaxBytes: 4 << 20, Shards: 1}
	s := open(t, o)
	ctx := context.Background()
	acked := map[string]bool{}
	n := 0
	put := func() error {
		n++
		id := fmt.Sprint("e", n)
		err := s.Put(ctx, queue.Record{ID: id, Key: "k", Body: make([]byte, 64<<10)})
		if err == nil {
			acked[id] = true
		}
		return err
	}
	var err error
	for err == nil {
		err = put()
	}
	began := time.Now()
	if err = put(); !errors.Is(err, queue.ErrFull) {
		t.Fatalf("Put into a full store: %v, want ErrFull", err)
	}
	if d := time.Since(began); d > time.Second {
		t.Errorf("refused after %v", d)
	}
	_ = s.Close(ctx)
	s = open(t, o)
	run, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	got := make(chan string, 1000)
	go func() { done <- s.Consume(run, 1000, func(d queue.Delivery) { got <- d.ID(); d.Settle() }) }()
	for range len(acked) {
		id := <-got
		if !acked[id] {
			t.Errorf("%s was refused and is delivered", id)
		}
	}
	eventually(t, "room again", func() bool { return put() == nil })
	if err := s.Health(); err != nil {
		t.Errorf("Health: %v", err)
	}
	cancel()
	<-done
}

func TestDiskNearlyFull(t *testing.T) {
	t.Parallel()
	s := open(t, queue.Options{Dir: t.TempDir(), MinFreeDisk: 1 << 60, Poll: 20 * time.Millisecond})
	err := s.Put(context.Background(), queue.Record{ID: "a", Key: "k"})
	if !errors.Is(err, queue.ErrUnavailable) || !strings.Contains(err.Error(), "disk nearly full") {
		t.Errorf("Put: %v", err)
	}
	if h := s.Health(); h == nil || h.Error() != err.Error() {
		t.Errorf("Health: %v", h)
	}
}

// A file system of 24 MB is filled by another file; the store must answer in
// time, say why, and go on by itself when there is space, without a loss.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=24m"); err != nil {
		t.Skipf("a small tmpfs cannot be mounted: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	o := queue.Options{
		Dir: filepath.Join(dir, "data"), MaxBytes: 1 << 30, MinFreeDisk: -1,
		PutTimeout: 200 * time.Millisecond, Poll: 50 * time.Millisecond,
	}
	s := open(t, o)
	ctx := context.Background()
	var acked []string
	n := 0
	put := func() error {
		n++
		id := fmt.Sprint("e", n)
		body := make([]byte, 20<<10)
		for i := range body {
			body[i] = byte(rand.Uint32())
		}
		err := s.Put(ctx, queue.Record{ID: id, Key: id, Body: body})
		if err == nil {
			acked = append(acked, id)
		}
		return err
	}
	for range 20 {
		if err := put(); err != nil {
			t.Fatal(err)
		}
	}
	balloon := filepath.Join(dir, "balloon")
	f, err := os.Create(balloon)
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = f.Write(make([]byte, 64<<10))
	}
	_ = f.Close()
	for range 200 {
		began := time.Now()
		if err = put(); err != nil {
			if d := time.Since(began); d > 2*time.Second {
				t.Errorf("answer after %v", d)
			}
			break
		}
	}
	if !errors.Is(err, queue.ErrUnavailable) {
		t.Fatalf("Put on a full disk: %v, want ErrUnavailable", err)
	}
	eventually(t, "health says that something is wrong", func() bool { return s.Health() != nil })
	t.Logf("health: %v", s.Health())
	if err := os.Remove(balloon); err != nil {
		t.Fatal(err)
	}
	eventually(t, "events are accepted again", func() bool { return put() == nil })
	for range 20 {
		if err := put(); err != nil {
			t.Fatalf("Put after recovery: %v", err)
		}
	}
	_ = s.Close(ctx)
	s = open(t, o)
	for _, id := range acked {
		if err := s.Put(ctx, queue.Record{ID: id, Key: id}); !errors.Is(err, queue.ErrDuplicate) {
			t.Fatalf("acked event %s is lost: Put again: %v", id, err)
		}
	}
}

// SyncAlways that does not reach the server is a silent loss of durability: a
// file of the store must be open with O_SYNC.
func TestSyncAlwaysReachesTheServer(t *testing.T) {
	t.Parallel()
	for _, off := range []bool{false, true} {
		if got := queue.SyncAlways(open(t, queue.Options{Dir: t.TempDir(), NoSync: off})); got == off {
			t.Errorf("with NoSync %v the server syncs always: %v", off, got)
		}
	}
}
