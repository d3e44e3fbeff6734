package door_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/starling-rules/starling/engine/door"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/metric"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/runtime"
)

// asker asks for effects of one store after the other, each a step of its own.
type asker struct {
	t       testing.TB
	live    door.Live
	store   queue.Store
	metrics *metric.Set
	mu      sync.Mutex
	step    int
}

func newAsker(t testing.TB, d door.Deps) *asker {
	s := queue.NewMemory(queue.MemoryOptions{Now: d.Now})
	t.Cleanup(func() { _ = s.Close(t.Context()) })
	d.State, d.Metrics = s.State(), metric.New("test")
	return &asker{t: t, live: door.NewLive(d), store: s, metrics: d.Metrics}
}

// again is the same store after a restart.
func (a *asker) again(d door.Deps) *asker {
	d.State, d.Metrics = a.store.State(), metric.New("test")
	return &asker{t: a.t, live: door.NewLive(d), store: a.store, metrics: d.Metrics, step: a.step}
}

func (a *asker) do(r door.Run, kind string, args ...any) (runtime.Value, error) {
	a.mu.Lock()
	a.step++
	step := a.step
	a.mu.Unlock()
	if r.ID == "" {
		r.ID = "r"
	}
	return a.live[kind].Do(a.t.Context(), &r, runtime.Effect{Kind: kind, Step: step, Args: runtime.NewDict(args...)})
}

func (a *asker) json(r door.Run, kind string, args ...any) string {
	a.t.Helper()
	v, err := a.do(r, kind, args...)
	if err != nil {
		return "error: " + err.Error()
	}
	b, err := runtime.AppendJSON(nil, v)
	if err != nil {
		a.t.Fatal(err)
	}
	return string(b)
}

func (a *asker) want(want string, r door.Run, kind string, args ...any) {
	a.t.Helper()
	if got := a.json(r, kind, args...); got != want {
		a.t.Errorf("%s %v = %s, want %s", kind, args, got, want)
	}
}

// metric is the value of a metric about a.star.
func (a *asker) metric(name string) float64 {
	a.t.Helper()
	families, err := a.metrics.Registry.Gather()
	if err != nil {
		a.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && strings.Contains(m.String(), `value:"a.star"`) {
				return m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	return 0
}

func TestUpdateStoresOnlyWhatWasMadeOfTheNewestValue(t *testing.T) {
	t.Parallel()
	a, one, two := newAsker(t, door.Deps{}), door.Run{ID: "1", Script: "a.star"}, door.Run{ID: "2", Script: "a.star"}
	a.want(`{"found":false,"value":null,"was":""}`, one, "kv.update", "key", "n")
	a.want(`{"done":true}`, one, "kv.update", "key", "n", "value", int64(1), "was", "")
	v, err := a.do(two, "kv.update", "key", "n")
	if err != nil {
		t.Fatal(err)
	}
	was := v.(*runtime.Dict).Text("was")
	// 1.0 is another version than 1, also where they are equal to a script.
	a.want("null", one, "kv.set", "key", "n", "value", 1.0)
	got := a.json(two, "kv.update", "key", "n", "value", int64(2), "was", was)
	if !strings.HasPrefix(got, `{"found":true,"value":1.0,"was":"`) || !strings.HasSuffix(got, `"done":false}`) {
		t.Errorf("a value made of an old one: %s", got)
	}
	a.want("1.0", one, "kv.get", "key", "n")
	v, _ = a.do(two, "kv.update", "key", "n")
	a.want(`{"done":true}`, two, "kv.update", "key", "n", "value", nil, "was", v.(*runtime.Dict).Text("was"))
	a.want(`"gone"`, one, "kv.get", "key", "n", "default", "gone")
}

// TestUpdateIsAppliedOnce holds that the step of a run that was interrupted
// between the store and the journal returns what it returned, and changes nothing.
func TestUpdateIsAppliedOnce(t *testing.T) {
	t.Parallel()
	a := newAsker(t, door.Deps{})
	store := func(resumed bool) string {
		v, err := a.live["kv.update"].Do(t.Context(), &door.Run{ID: "r", Script: "a.star", Resumed: resumed},
			runtime.Effect{Kind: "kv.update", Step: 2, Args: runtime.NewDict("key", "n", "value", int64(1), "was", "")})
		return fmt.Sprint(declared(t, v), err)
	}
	if got := store(false); got != `{"done":true}<nil>` {
		t.Fatal(got)
	}
	a.want("2", door.Run{ID: "other", Script: "a.star"}, "kv.incr", "key", "n")
	if got := store(true); got != `{"done":true}<nil>` {
		t.Errorf("repeated: %s", got)
	}
	a.want("2", door.Run{Script: "a.star"}, "kv.get", "key", "n")
}

func declared(t testing.TB, v runtime.Value) string {
	b, err := runtime.AppendJSON(nil, v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestRunsStandInLineForAKey holds that runs that update one key at once do so
// one after the other, and that one that never stores is passed by.
func TestRunsStandInLineForAKey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAsker(t, door.Deps{})
		run := func(id string) door.Run { return door.Run{ID: id, Script: "a.star"} }
		// This one reads and fails.
		if _, err := a.do(run("lost"), "kv.update", "key", "n"); err != nil {
			t.Fatal(err)
		}
		var each sync.WaitGroup
		var mu sync.Mutex
		asked := 0
		for i := range 100 {
			each.Go(func() {
				v, err := a.do(run(fmt.Sprint(i)), "kv.update", "key", "n")
				for {
					mu.Lock()
					asked++
					mu.Unlock()
					if err != nil {
						t.Error(err)
						return
					}
					cell := v.(*runtime.Dict)
					old, _ := cell.Get("value")
					n, _ := old.(int64)
					time.Sleep(time.Millisecond) // the pass of the script
					v, err = a.do(run(fmt.Sprint(i)), "kv.update", "key", "n", "value", n+1, "was", cell.Text("was"))
					if done, _ := v.(*runtime.Dict).Get("done"); done == true {
						return
					}
				}
			})
		}
		each.Wait()
		a.want("100", run("x"), "kv.get", "key", "n")
		if asked != 100 {
			t.Errorf("100 updates took %d tries: they do not stand in line", asked)
		}
	})
}

// TestUpdatesOfAnImpatientCrowdAreAllThere takes the line away: each run takes
// longer than its turn, so that values do change under it.
func TestUpdatesOfAnImpatientCrowdAreAllThere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAsker(t, door.Deps{})
		var each sync.WaitGroup
		conflicts := 0
		var mu sync.Mutex
		for i := range 10 {
			each.Go(func() {
				r := door.Run{ID: fmt.Sprint(i), Script: "a.star"}
				v, err := a.do(r, "kv.update", "key", "n")
				for {
					if err != nil {
						t.Error(err)
						return
					}
					cell := v.(*runtime.Dict)
					old, _ := cell.Get("value")
					n, _ := old.(int64)
					time.Sleep(time.Second)
					v, err = a.do(r, "kv.update", "key", "n", "value", n+1, "was", cell.Text("was"))
					if done, _ := v.(*runtime.Dict).Get("done"); done == true {
						return
					}
					mu.Lock()
					conflicts++
					mu.Unlock()
				}
			})
		}
		each.Wait()
		a.want("10", door.Run{Script: "a.star"}, "kv.get", "key", "n")
		if conflicts == 0 {
			t.Error("no value changed meanwhile: the test tests nothing")
		}
	})
}

func TestQuotaIsCountedExactly(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	d := door.Deps{MaxKeys: 3, MaxBytes: 60, Now: func() time.Time { return now }}
	a, r, other := newAsker(t, d), door.Run{Script: "a.star"}, door.Run{Script: "b.star"}
	a.want("null", r, "kv.set", "key", "a", "value", "1")
	a.want("null", r, "kv.set", "key", "b", "value", "1", "ttl", 60.0)
	a.want("true", r, "once", "key", "c")
	tooMany := "error: kv.set: the script keeps 3 keys, and limits.kv_keys is 3: delete some, or give them a ttl"
	a.want(tooMany, r, "kv.set", "key", "d", "value", "1")
	a.want("null", r, "kv.set", "key", "a", "value", "2") // no more than before
	a.want("null", other, "kv.set", "key", "d", "value", "1")
	for _, key := range []string{"a", "b", "c"} {
		a.want("null", r, "kv.set", "key", key, "value", "1", "shared", true)
	}
	a.want(strings.Replace(tooMany, "the script keeps", "all scripts together share", 1), r, "kv.set", "key", "d", "value", "1", "shared", true)
	// What has expired does not count, nobody has to have read it.
	now = now.Add(time.Minute)
	a.want("null", r, "kv.set", "key", "d", "value", "1")
	a.want(`["a","d"]`, r, "kv.list")
	a.want(tooMany, r, "kv.set", "key", "e", "value", "1")
	a.want("true", r, "kv.delete", "key", "a")
	a.want("1", r, "kv.incr", "key", "e")
	a.want("error: kv.incr"+strings.TrimPrefix(tooMany, "error: kv.set"), r, "kv.incr", "key", "f")
	a.want("error: kv.cas"+strings.TrimPrefix(tooMany, "error: kv.set"), r, "kv.cas", "key", "f", "old", nil, "new", "x")
	a.want("error: kv.update"+strings.TrimPrefix(tooMany, "error: kv.set"), r, "kv.update", "key", "f", "value", "x", "was", "")
	a.want("error: once"+strings.TrimPrefix(tooMany, "error: kv.set"), r, "once", "key", "f")
	// The same after a restart: the keys are counted again.
	b := a.again(d)
	b.want(tooMany, r, "kv.set", "key", "f", "value", "1")
	// d: 1+3, e: 1+2, c: 1+1 bytes are there; 52 and a byte for the name fit in 60.
	b.want("true", r, "kv.delete", "key", "e")
	b.want("null", r, "kv.set", "key", "f", "value", strings.Repeat("x", 51))
	b.want("error: kv.set: the script keeps 60 bytes, with this it would be 61, and limits.kv_bytes is 60: delete keys, or give them a ttl",
		r, "kv.set", "key", "d", "value", "12")
	b.want("null", r, "kv.set", "key", "f", "value", strings.Repeat("x", 50))
	b.want("null", r, "kv.set", "key", "d", "value", "12")
	if n := b.metric("starling_kv_bytes"); n != 60 {
		t.Errorf("%v bytes are told", n)
	}
	if n := b.metric("starling_kv_keys"); n != 3 {
		t.Errorf("%v keys are told", n)
	}
	if n := b.metric("starling_kv_refused_total"); n != 1 {
		t.Errorf("%v refusals are told", n)
	}
	// Tighter bounds than there are keys: what makes less of it is let through.
	d.MaxKeys, d.MaxBytes = 1, 10
	c := a.again(d)
	c.want("null", r, "kv.set", "key", "f", "value", "x")
	c.want("true", r, "kv.delete", "key", "d")
}

// TestQuotaOfManyAtOnce holds that not one key more is stored than there may be.
func TestQuotaOfManyAtOnce(t *testing.T) {
	t.Parallel()
	a, r := newAsker(t, door.Deps{MaxKeys: 50}), door.Run{Script: "a.star"}
	var each sync.WaitGroup
	for i := range 100 {
		each.Go(func() { _, _ = a.do(r, "kv.set", "key", fmt.Sprint("k", i), "value", int64(i)) })
	}
	each.Wait()
	keys, err := a.store.State().Keys(t.Context(), door.KVSpace("a.star", false))
	if err != nil || len(keys) != 50 {
		t.Errorf("%d keys, %v", len(keys), err)
	}
	if n := a.metric("starling_kv_refused_total"); n != 50 {
		t.Errorf("%v refusals are told", n)
	}
}

// TestQuotaSeesOtherProcesses holds that near the bound the keys are counted
// again where others write as well.
func TestQuotaSeesOtherProcesses(t *testing.T) {
	t.Parallel()
	d := door.Deps{MaxKeys: 10, SharedStore: true}
	one, r := newAsker(t, d), door.Run{Script: "a.star"}
	two := one.again(d)
	one.want("null", r, "kv.set", "key", "mine", "value", "1")
	two.step = 100
	for i := range 9 {
		two.want("null", r, "kv.set", "key", fmt.Sprint("theirs", i), "value", "1")
	}
	two.want("error: kv.set: the script keeps 10 keys, and limits.kv_keys is 10: delete some, or give them a ttl", r, "kv.set", "key", "more", "value", "1")
}

func TestConversationsDoNotMeet(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	d := door.Deps{Now: func() time.Time { return now }}
	a := newAsker(t, d)
	in := func(user, channel, thread string) door.Run {
		return door.Run{Script: "a.star", Event: &event.Event{Team: "T1", User: user, Channel: channel, TS: "9.9", ThreadTS: thread}}
	}
	ann, bob := in("U1", "C1", ""), in("U2", "C1", "")
	a.want("{}", ann, "conversation.get")
	a.want("null", ann, "conversation.set", "name", "step", "value", "size")
	a.want("null", bob, "conversation.set", "name", "step", "value", "city")
	a.want("null", ann, "conversation.set", "name", "size", "value", int64(3))
	a.want(`{"step":"size","size":3}`, ann, "conversation.get")
	a.want(`"city"`, bob, "conversation.get", "name", "step")
	for what, r := range map[string]door.Run{
		"another channel": in("U1", "C2", ""), "a thread": in("U1", "C1", "1.0"), "ids that look alike": in("", "C1", "U1"), "a slash": in("U1", "C1/", ""),
		"another team":   {Script: "a.star", Event: &event.Event{Team: "T2", User: "U1", Channel: "C1"}},
		"another script": {Script: "b.star", Event: ann.Event},
	} {
		if got := a.json(r, "conversation.get"); got != "{}" {
			t.Errorf("%s has the state %s", what, got)
		}
	}
	// All that stand in a thread have one state, and the message above it.
	a.want("null", in("U1", "C1", ""), "conversation.set", "name", "votes", "value", int64(1), "scope", "thread")
	a.want("1", in("U2", "C1", "9.9"), "conversation.get", "name", "votes", "scope", "thread")
	a.want("null", in("U2", "C1", "8.0"), "conversation.get", "name", "votes", "scope", "thread")
	a.want("null", in("U2", "C1", "8.0"), "conversation.set", "name", "topic", "value", "x", "scope", "channel")
	a.want(`"x"`, in("U3", "C1", ""), "conversation.get", "name", "topic", "scope", "channel")
	a.want("null", in("U2", "C1", "8.0"), "conversation.set", "name", "lang", "value", "de", "scope", "user")
	a.want(`"de"`, in("U2", "C7", ""), "conversation.get", "name", "lang", "scope", "user")
	// A restart in the middle.
	a = a.again(d)
	a.want("true", ann, "conversation.delete", "name", "size")
	a.want("false", ann, "conversation.delete", "name", "size")
	a.want(`{"step":"size"}`, ann, "conversation.get")
	a.want("null", ann, "conversation.set", "name", "step", "value", nil)
	a.want("true", bob, "conversation.delete")
	a.want("{}", bob, "conversation.get")
	a.want(`"none"`, bob, "conversation.get", "default", "none")
	// A day after the last change it is forgotten, or when the script says.
	a.want("null", bob, "conversation.set", "name", "a", "value", int64(1), "ttl", 600.0)
	now = now.Add(10 * time.Minute)
	a.want("{}", bob, "conversation.get")
	a.want("null", ann, "conversation.set", "name", "a", "value", int64(1))
	now = now.Add(24*time.Hour - time.Second)
	a.want("1", ann, "conversation.get", "name", "a")
	now = now.Add(time.Second)
	a.want("null", ann, "conversation.get", "name", "a")
	a.want("error: conversation.get: the event is of nobody's conversation: it has no user and no channel", in("", "", ""), "conversation.get")
	a.want(`error: conversation.get: scope: want person, thread, channel or user (got "all")`, ann, "conversation.get", "scope", "all")
	// What kv lists is not the state of people.
	a.want("[]", ann, "kv.list")
}
