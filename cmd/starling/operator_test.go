package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/queue"
)

// command runs the program to its end.
func command(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := exec.Command(binary(t), args...)
	cmd.Dir, cmd.Env = t.TempDir(), []string{}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

func good(t *testing.T, args ...string) string {
	t.Helper()
	out, errs, code := command(t, args...)
	if code != 0 {
		t.Fatalf("starling %s: exit %d\n%s", strings.Join(args, " "), code, errs)
	}
	return out
}

func bad(t *testing.T, code int, want string, args ...string) {
	t.Helper()
	if _, errs, got := command(t, args...); got != code || !strings.Contains(errs, want) {
		t.Errorf("starling %s: exit %d %q, want %d %q", strings.Join(args, " "), got, errs, code, want)
	}
}

func fromJSON[T any](t *testing.T, text string) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}

// The same answers come from the running server and, when none runs, from the
// data directory.
func TestRunsAndQueueWithAndWithoutServer(t *testing.T) {
	slow(t)
	slack, rules, data := newFakeSlack(t), t.TempDir(), t.TempDir()
	kill(t, data, "EvDEAD1", "EvDEAD2")
	writeFile(t, filepath.Join(rules, "job.star"), echoRule+`
def bad(e):
    r = post(e.channel, "before")
    fail("it went wrong")
on.message("^bad", bad)
`)
	c := serve(t, slack, rules, data).ready()
	c.message(1, "job 1")
	c.message(2, "bad")
	c.until("both are over", func() bool {
		_, body := c.ask("/runs")
		over := 0
		for _, e := range fromJSON[[]struct {
			EventID string `json:"event_id"`
			Settled string
		}](t, body) {
			if strings.HasPrefix(e.EventID, "EvCRASH") && e.Settled != "" {
				over++
			}
		}
		return over == 2
	})
	check := func(t *testing.T, where ...string) {
		with := func(args ...string) []string { return append(args, where...) }
		out := good(t, with("runs")...)
		for _, want := range []string{"RUN ", "job.star:message", "done", "job.star:bad", "failed", "it went wrong"} {
			if !strings.Contains(out, want) {
				t.Errorf("runs without %q:\n%s", want, out)
			}
		}
		type run struct {
			Run     string
			Rule    string
			Outcome string
			Effects []struct{ Kind, State, Args, Result string }
		}
		type ev struct {
			EventID string `json:"event_id"`
			Kind    string
			Runs    []run
		}
		list := fromJSON[[]ev](t, good(t, with("runs", "--json")...))
		list = slices.DeleteFunc(list, func(e ev) bool { return strings.Contains(e.EventID, "EvDEAD") })
		if len(list) != 2 || list[0].EventID != "EvCRASH2" || list[1].EventID != "EvCRASH1" {
			t.Fatalf("not newest first: %+v", list)
		}
		one := list[1].Runs[0]
		if one.Outcome != "done" || len(one.Effects) != 1 || one.Effects[0].Kind != "post" || one.Effects[0].State != "done" {
			t.Errorf("run %+v", one)
		}
		out = good(t, with("runs", list[0].Runs[0].Run)...)
		for _, want := range []string{"event EvCRASH2  message message", "post", "done", `"text":"before"`, "job.star:4:5", "fail(", "^", "it went wrong"} {
			if !strings.Contains(out, want) {
				t.Errorf("runs ID without %q:\n%s", want, out)
			}
		}
		if out = good(t, with("runs", "EvCRASH1")...); !strings.Contains(out, one.Run) {
			t.Errorf("no run in\n%s", out)
		}
		bad(t, 1, `no run or event "nope"`, with("runs", "nope")...)
		bad(t, 1, `no dead event "nope"`, with("queue", "retry", "nope")...)
		bad(t, 1, `no dead event "nope"`, with("queue", "drop", "nope")...)
		bad(t, 2, "queue retry ID", with("queue", "retry")...)
		bad(t, 2, "queue retry ID", with("queue", "nonsense")...)
		q := fromJSON[map[string]any](t, good(t, with("queue", "--json")...))
		for _, key := range []string{"pending", "oldest_age_seconds", "dead", "bytes", "max_bytes", "health"} {
			if _, ok := q[key]; !ok {
				t.Errorf("queue has no %s: %v", key, q)
			}
		}
		if q["health"] != "ok" || q["pending"] != 0.0 {
			t.Errorf("queue %v", q)
		}
	}
	server := []string{"--admin", c.admin}
	t.Run("server", func(t *testing.T) {
		check(t, server...)
		if out := good(t, append([]string{"queue", "dead"}, server...)...); !strings.Contains(out, "EvDEAD1") || !strings.Contains(out, "it never ends") {
			t.Errorf("dead letters:\n%s", out)
		}
		good(t, append([]string{"queue", "retry", "EvDEAD1"}, server...)...)
		c.until("the event is run again", func() bool { return slack.times("did job EvDEAD1") == 1 })
		dead := fromJSON[[]map[string]any](t, good(t, append([]string{"queue", "dead", "--json"}, server...)...))
		if len(dead) != 1 || dead[0]["event_id"] != "EvDEAD2" || dead[0]["reason"] != "it never ends" {
			t.Errorf("dead letters %v", dead)
		}
	})
	bad(t, 3, "in use by another process: if it is a server, name its admin address with --admin", "runs", "--data", data, "--admin", freeAddress(t))
	c.signal(syscall.SIGTERM)
	c.exits(0)
	t.Run("data directory", func(t *testing.T) {
		where := []string{"--admin", c.admin, "--data", data}
		check(t, where...)
		if out := good(t, append([]string{"runs"}, where...)...); strings.Count(out, "done") != 2 || strings.Count(out, "failed") != 1 {
			t.Errorf("want the runs of the server's life:\n%s", out)
		}
		good(t, append([]string{"queue", "drop", "EvDEAD2"}, where...)...)
		if out := good(t, append([]string{"queue", "dead"}, where...)...); strings.Contains(out, "Ev") {
			t.Errorf("still there:\n%s", out)
		}
		if out := good(t, append([]string{"queue"}, where...)...); !strings.HasPrefix(out, "pending 0, ") || !strings.Contains(out, "dead 0, ") {
			t.Errorf("queue: %s", out)
		}
	})
	missing := filepath.Join(t.TempDir(), "typo")
	bad(t, 3, "no data directory "+missing, "queue", "--data", missing, "--admin", c.admin)
	if _, err := os.Stat(missing); err == nil {
		t.Error("asking made a data directory")
	}
}

// kill leaves dead events in a store.
func kill(t *testing.T, data string, ids ...string) {
	t.Helper()
	s, err := queue.Open(t.Context(), queue.Options{Dir: data})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	for _, id := range ids {
		e := &event.Event{
			ID: id, Kind: event.Message, Type: "message", Team: "T0TEST", Channel: "C1", User: "U1", Text: "job " + id, Received: time.Now(),
			Raw: []byte(`{"event":{"type":"message","channel":"C1","user":"U1","text":"job ` + id + `"}}`),
		}
		if err := s.Put(ctx, queue.Record{ID: id, Key: "C1", Body: e.Encode(nil)}); err != nil {
			t.Fatal(err)
		}
	}
	consuming, enough := context.WithCancel(ctx)
	left := make(chan struct{}, len(ids))
	done := make(chan error, 1)
	go func() {
		done <- s.Consume(consuming, 10, func(d queue.Delivery) {
			if err := d.Dead(ctx, "it never ends"); err != nil {
				t.Error(err)
			}
			left <- struct{}{}
		})
	}()
	for range ids {
		select {
		case <-left:
		case <-ctx.Done():
			t.Fatal(ctx.Err())
		}
	}
	enough()
	<-done
	if err := s.Close(ctx); err != nil {
		t.Fatal(err)
	}
}
