package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const edits = 1000

// catchAll is a rule whose effect tells which version of the file ran, from
// its first line and from its last. Without the last lines, it would run too.
func catchAll(version int) []byte {
	return fmt.Appendf(nil, `VERSION = [%d, -1]
on.message("", lambda e: post(e.channel, "%%s version %%d %%d" %% (e.text, VERSION[0], VERSION[1])))
%s
VERSION[1] = %d
`, version, strings.Repeat("# This line is here so that a write takes a while.\n", 40), version)
}

// edit saves a version the way that editors do: over the old file in pieces,
// now and then slowly, or beside it and renamed.
func edit(path string, version int) error {
	text := catchAll(version)
	if version%2 == 0 {
		next := path + ".new"
		if err := os.WriteFile(next, text, 0o644); err != nil {
			return err
		}
		return os.Rename(next, path)
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	for i := 0; len(text) > 0; i++ {
		if version%100 == 2*i+1 { // 1: while it is empty, 3: after a piece, …
			time.Sleep(120 * time.Millisecond)
		}
		n := min(len(text), 700)
		if _, err := f.Write(text[:n]); err != nil {
			return err
		}
		text = text[n:]
	}
	return f.Close()
}

func TestAThousandEditsWhileEventsFlow(t *testing.T) {
	slow(t)
	slack, rules := newFakeSlack(t), t.TempDir()
	path := filepath.Join(rules, "all.star")
	if err := edit(path, 0); err != nil {
		t.Fatal(err)
	}
	c := serve(t, slack, rules, t.TempDir()).ready()

	stop := make(chan struct{})
	var senders sync.WaitGroup
	var mu sync.Mutex
	sent := 0
	for range 4 {
		senders.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(5 * time.Millisecond):
				}
				mu.Lock()
				sent++
				n := sent
				mu.Unlock()
				if status, _ := send(http.DefaultClient, c.listen, "/slack/events", "application/json", messageEvent(n, fmt.Sprintf("job %d", n))); status != http.StatusOK {
					t.Errorf("event %d: status %d", n, status)
				}
			}
		})
	}
	var saved time.Time
	for version := 1; version <= edits; version++ {
		if err := edit(path, version); err != nil {
			t.Fatal(err)
		}
		saved = time.Now()
		if version%8 == 0 {
			time.Sleep(60 * time.Millisecond) // time to become live, now and then
		}
	}
	c.until("the last version is live", func() bool { return slack.seen(fmt.Sprintf(" version %d %d", edits, edits)) })
	live := time.Since(saved)
	close(stop)
	senders.Wait()
	c.until("all are done", func() bool { return slack.total() >= sent })
	c.signal(syscall.SIGTERM)
	c.exits(0)

	versions := map[int]bool{}
	runs := map[int]int{}
	for text, times := range slack.texts() {
		var job, first, last int
		if _, err := fmt.Sscanf(text, "job %d version %d %d", &job, &first, &last); err != nil || first != last {
			t.Errorf("a half-written file ran: %q", text)
		}
		runs[job] += times
		versions[first] = true
	}
	for n := 1; n <= sent; n++ {
		if runs[n] != 1 {
			t.Errorf("event %d was run %d times", n, runs[n])
		}
	}
	t.Logf("%d edits, %d events, %d versions seen at work, the last within %v", edits, sent, len(versions), live)
	if sent < 500 || len(versions) < 50 {
		t.Error("too little happened: the test has shown nothing")
	}
}
