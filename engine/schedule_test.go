package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine"
	"github.com/starling-rules/starling/engine/door"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/queue/queuetest"
	"github.com/starling-rules/starling/runtime"
)

// clockAt is a clock that goes at the usual pace from a moment on.
func clockAt(t *testing.T, text string) func() time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	return func() time.Time { return at.Add(time.Since(began)) }
}

// onClock starts an engine with a store in dir, by a clock.
func onClock(t *testing.T, dir string, now func() time.Time, files map[string]string, change func(*engine.Options)) (*rig, queue.Store) {
	t.Helper()
	store, err := queue.Open(t.Context(), queue.Options{Dir: dir, MinFreeDisk: -1, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, files, func(o *engine.Options) {
		o.Store, o.Now = store, now
		if change != nil {
			change(o)
		}
	})
	return r, store
}

// timers waits until the store has the timers of n schedules.
func timers(t *testing.T, store queue.Store, n int) []queue.Timer {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		list, err := store.Timers().List(t.Context(), "schedule/", 0)
		if err != nil {
			t.Fatal(err)
		}
		if len(list) == n {
			return list
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d timers, want %d: %+v", len(list), n, list)
		}
	}
}

// schedules waits until the admin port says of the schedules what is wanted.
func (r *rig) schedules(want func(map[string]engine.ScheduleReport) bool) map[string]engine.ScheduleReport {
	r.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		_, body := r.operate(http.MethodGet, "/schedules")
		var list []engine.ScheduleReport
		if err := json.Unmarshal([]byte(body), &list); err != nil {
			r.t.Fatalf("%v: %s", err, body)
		}
		byName := map[string]engine.ScheduleReport{}
		for _, s := range list {
			byName[s.Name] = s
		}
		if want(byName) {
			return byName
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("schedules: %s", body)
		}
	}
}

func (r *rig) operate(method, path string) (int, string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, "http://"+r.AdminAddr().String()+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
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

// told returns what scripts have told of a name, in order of due time.
func told(all []*runtime.Dict, name string) []string {
	var out []string
	for _, d := range all {
		if v, _ := d.Get("name"); v == name {
			at, _ := d.Get("at")
			sec, _ := at.(float64)
			out = append(out, time.Unix(int64(sec), 0).UTC().Format("15:04:05"))
		}
	}
	slices.Sort(out)
	return out
}

const catchingUp = `
def tell(name):
    return lambda e: probe.see(name=name, at=e.scheduled_at)

on.schedule("0 * * * *", tell("last"), name="last")
on.schedule("0 * * * *", tell("all"), name="all", catch_up="all")
on.schedule("0 * * * *", tell("none"), name="none", catch_up="none")
on.schedule("at 2026-03-02T11:00", tell("once"), name="once")
on.schedule("at 2026-03-02T09:00", tell("past"), name="past")
`

func TestMissedFiringsAreCaughtUpByPolicy(t *testing.T) {
	t.Parallel()
	dir, files := t.TempDir(), map[string]string{"a.star": catchingUp}
	first, store := onClock(t, dir, clockAt(t, "2026-03-02T09:30:00Z"), files, nil)
	timers(t, store, 5)
	first.stop()
	if seen := first.all(); len(seen) != 0 {
		t.Fatalf("fired before anything was due: %v", seen)
	}

	second, _ := onClock(t, dir, clockAt(t, "2026-03-02T12:30:00Z"), files, nil)
	got := second.schedules(func(s map[string]engine.ScheduleReport) bool {
		return s["last"].Firings == 1 && s["all"].Firings == 3 && s["none"].Missed == 3 && s["once"].Firings == 1
	})
	second.wait(5)
	for name, want := range map[string][]string{
		"last": {"12:00:00"}, "all": {"10:00:00", "11:00:00", "12:00:00"}, "once": {"11:00:00"}, "none": nil, "past": nil,
	} {
		if seen := told(second.all(), name); !slices.Equal(seen, want) {
			t.Errorf("%s fired at %v, want %v", name, seen, want)
		}
	}
	if s := got["last"]; s.Missed != 2 || s.Outcome != "fired" || !s.Next.Equal(clockAt(t, "2026-03-02T13:00:00Z")().Truncate(time.Minute)) {
		t.Errorf("last: %+v", s)
	}
	if got["once"].State != "over" || got["past"].State != "over" || got["once"].Next != nil {
		t.Errorf("once: %+v, past: %+v", got["once"], got["past"])
	}
	second.stop()

	// What was dealt with stays dealt with.
	third, _ := onClock(t, dir, clockAt(t, "2026-03-02T12:40:00Z"), files, nil)
	third.schedules(func(s map[string]engine.ScheduleReport) bool { return s["all"].Firings == 3 && s["last"].Firings == 1 })
	if seen := third.all(); len(seen) != 0 {
		t.Errorf("fired again after a restart: %v", seen)
	}
}

// forgetful is a store that cannot note that a schedule was fired.
type forgetful struct{ queue.Store }

func (f forgetful) Timers() queue.Timers { return forgetfulTimers{f.Store.Timers()} }

type forgetfulTimers struct{ queue.Timers }

func (f forgetfulTimers) Replace(ctx context.Context, t queue.Timer) error {
	if t.Rev != 0 {
		return errors.New("killed here")
	}
	return f.Timers.Replace(ctx, t)
}

func TestACrashBetweenFiringAndRecordFiresOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	files := map[string]string{"a.star": `on.schedule("0 * * * *", lambda e: probe.see(name="x", at=e.scheduled_at), name="x")`}
	first, store := onClock(t, dir, clockAt(t, "2026-03-02T09:59:58Z"), files, func(o *engine.Options) { o.Store = forgetful{o.Store} })
	timers(t, store, 1)
	first.wait(1)
	first.stop()
	if n := len(first.all()); n != 1 {
		t.Fatalf("fired %d times", n)
	}

	second, _ := onClock(t, dir, clockAt(t, "2026-03-02T10:00:30Z"), files, nil)
	s := second.schedules(func(s map[string]engine.ScheduleReport) bool { return s["x"].Firings == 1 })["x"]
	if s.Fired.UTC().Format("15:04:05") != "10:00:00" || s.Next.UTC().Format("15:04:05") != "11:00:00" {
		t.Errorf("%+v", s)
	}
	if seen := second.all(); len(seen) != 0 {
		t.Errorf("fired again: %v", seen)
	}
}

// holdBuiltin is probe.hold: an effect that ends when the test says so.
func holdBuiltin(until <-chan struct{}) engine.Builtin {
	return engine.Builtin{
		Name: "probe.hold", Doc: "Wait for the test.", Idempotent: true,
		Params: []runtime.Param{{Name: "key", Type: runtime.TString, Doc: "Anything."}},
		Do: func(ctx context.Context, _ *door.Run, _ *runtime.Dict) (runtime.Value, error) {
			select {
			case <-until:
				return runtime.NewDict("ok", true), nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		},
	}
}

func TestAFiringIsSkippedWhileTheRunBeforeGoesOn(t *testing.T) {
	t.Parallel()
	until := make(chan struct{})
	release := sync.OnceFunc(func() { close(until) })
	r := newRig(t, map[string]string{"a.star": `
on.schedule("every 1s", lambda e: probe.hold("a"), name="skip")
on.schedule("every 1s", lambda e: probe.hold("b"), name="allow", overlap="allow")
`}, func(o *engine.Options) { o.Builtins = append(o.Builtins, holdBuiltin(until)) })
	t.Cleanup(release)
	s := r.schedules(func(s map[string]engine.ScheduleReport) bool {
		return s["skip"].Skipped >= 2 && s["allow"].Firings >= 3
	})
	if s := s["skip"]; s.Firings != 1 || s.State != "running" || s.Outcome != "skipped" || !s.Last.After(*s.Fired) {
		t.Errorf("skip: %+v", s)
	}
	if s := s["allow"]; s.Skipped != 0 {
		t.Errorf("allow: %+v", s)
	}
	if !strings.Contains(r.log.String(), "a schedule is skipped") {
		t.Error("nothing in the log of what was skipped")
	}
	if status, body := r.operate(http.MethodPost, "/schedules/run/"+url.PathEscape(s["skip"].Rule)); status != http.StatusConflict || !strings.Contains(body, "goes on") {
		t.Errorf("run now: %d %s", status, body)
	}
	release()
	r.schedules(func(s map[string]engine.ScheduleReport) bool { return s["skip"].Firings >= 2 })
}

func TestSchedulesFollowTheRules(t *testing.T) {
	t.Parallel()
	now := clockAt(t, "2026-03-02T09:30:00Z")
	r, store := onClock(t, t.TempDir(), now, map[string]string{
		"a.star": `on.schedule("0 12 * * *", lambda e: None, name="a")`,
		"b.star": `on.schedule("0 12 * * *", lambda e: None, name="b")`,
	}, nil)
	timers(t, store, 2)
	r.write("a.star", `on.schedule("0 15 * * *", lambda e: None, name="a", tz="Asia/Kolkata", jitter="10m")`)
	r.write("b.star", `# nothing is left`)
	if err := r.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	timers(t, store, 1)
	r.schedules(func(s map[string]engine.ScheduleReport) bool {
		got := timers(t, store, 1)[0]
		late := got.At.Sub(time.Date(2026, 3, 2, 9, 30, 0, 0, time.UTC))
		if late >= 0 && late <= 10*time.Minute { // 15:00 in Kolkata is 09:30 in UTC
			return true
		}
		return got.At.Truncate(time.Hour).Equal(time.Date(2026, 3, 3, 9, 0, 0, 0, time.UTC))
	})
	status, body := r.operate(http.MethodPost, "/schedules/run/none")
	if status != http.StatusNotFound {
		t.Errorf("run of none: %d %s", status, body)
	}
}

func TestAScheduleIsRunByHand(t *testing.T) {
	t.Parallel()
	r := newRig(t, map[string]string{"jobs/a.star": `
on.schedule("0 0 1 1 *", lambda e: probe.see(name=e.callback_id, at=e.scheduled_at), name="year")
on.message("x", lambda e: None, name="other")
on.schedule("0 0 1 1 *", lambda e: None, name="off", enabled=False)
`}, nil)
	run := func(id string) (int, string) {
		return r.operate(http.MethodPost, "/schedules/run/"+url.PathEscape(id))
	}
	s := r.schedules(func(s map[string]engine.ScheduleReport) bool { return s["year"].Next != nil })
	for range 2 {
		if status, body := run(s["year"].Rule); status != http.StatusOK || !strings.Contains(body, `"event":"sch-`) {
			t.Fatalf("%d %s", status, body)
		}
		r.schedules(func(s map[string]engine.ScheduleReport) bool { return s["year"].State == "on" })
	}
	seen := r.wait(2)
	if v, _ := seen[0].Get("name"); v != s["year"].Rule {
		t.Errorf("run of %v", v)
	}
	if status, body := run(s["off"].Rule); status != http.StatusConflict {
		t.Errorf("disabled: %d %s", status, body)
	}
	if status, body := run("jobs/a.star:other"); status != http.StatusBadRequest {
		t.Errorf("a message rule: %d %s", status, body)
	}
}

func TestTwoServersOnOneStoreFireOnce(t *testing.T) {
	t.Parallel()
	addr := queuetest.Server(t)
	files := map[string]string{"a.star": `
on.schedule("every 1s", lambda e: probe.see(name="tick", at=e.scheduled_at), catch_up="all", overlap="allow", name="tick")
`}
	start := func() *rig {
		store, err := queue.Open(t.Context(), queue.Options{URL: addr, Shards: 2, MaxBytes: 64 << 20, Lease: 2 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		return newRig(t, files, func(o *engine.Options) { o.Store = store })
	}
	a, b := start(), start()
	both := func() []*runtime.Dict { return append(a.all(), b.all()...) }
	until := func(n int) {
		t.Helper()
		for deadline := time.Now().Add(40 * time.Second); len(told(both(), "tick")) < n; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("fired %v", told(both(), "tick"))
			}
		}
	}
	until(4)
	// The one that has fired leaves, the other takes over what was due meanwhile.
	leaves, stays := a, b
	if len(b.all()) > len(a.all()) {
		leaves, stays = b, a
	}
	leaves.stop()
	n := len(stays.all())
	until(len(both()) + 4)
	if len(stays.all()) < n+4 {
		t.Error("the other server has not taken over")
	}
	seen := both()
	slices.SortFunc(seen, func(x, y *runtime.Dict) int { return int(dueOf(x) - dueOf(y)) })
	for i := 1; i < len(seen); i++ {
		if d := dueOf(seen[i]) - dueOf(seen[i-1]); d != 1 {
			t.Errorf("after the firing of second %d comes that of %d", dueOf(seen[i-1]), dueOf(seen[i]))
		}
	}
}

func dueOf(d *runtime.Dict) int64 {
	at, _ := d.Get("at")
	sec, _ := at.(float64)
	return int64(sec)
}
