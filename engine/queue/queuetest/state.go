package queuetest

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/queue"
)

func set(t *testing.T, st queue.State, key, value string, ttl time.Duration) {
	t.Helper()
	_, err := st.Update(bg(), key, "set "+key+value, false, func([]byte, bool) (queue.Change, error) {
		return queue.Change{Value: []byte(value), TTL: ttl}, nil
	})
	if err != nil {
		t.Fatalf("set %q: %v", key, err)
	}
}

func remove(t *testing.T, st queue.State, key string) {
	t.Helper()
	_, err := st.Update(bg(), key, "delete "+key, false, func([]byte, bool) (queue.Change, error) {
		return queue.Change{Delete: true}, nil
	})
	if err != nil {
		t.Fatalf("delete %q: %v", key, err)
	}
}

func absent(t *testing.T, st queue.State, key string) {
	t.Helper()
	if v, err := st.Get(bg(), key); !errors.Is(err, queue.ErrNotFound) {
		t.Errorf("Get(%q): %q, %v, want ErrNotFound", key, v, err)
	}
}

// incr adds one and returns the new value as result.
func incr(old []byte, _ bool) (queue.Change, error) {
	n, _ := strconv.Atoi(string(old))
	v := strconv.AppendInt(nil, int64(n+1), 10)
	return queue.Change{Value: v, Result: v}, nil
}

func testStateValues(t *testing.T, s queue.Store, reopen func() queue.Store) {
	st := s.State()
	absent(t, st, "ns/a")
	set(t, st, "ns/a", "1", 0)
	set(t, st, "ns/empty", "", 0)
	set(t, st, "ns/gone", "x", 0)
	remove(t, st, "ns/gone")
	remove(t, st, "ns/never")
	kept, err := st.Update(bg(), "ns/a", "look", false, func(old []byte, ok bool) (queue.Change, error) {
		if !ok || string(old) != "1" {
			t.Errorf("old %q, %v", old, ok)
		}
		return queue.Change{Keep: true, Result: []byte("seen")}, nil
	})
	if err != nil || string(kept) != "seen" {
		t.Errorf("Update that keeps: %q, %v", kept, err)
	}
	refused := errors.New("refused")
	if _, err := st.Update(bg(), "ns/a", "refuse", false, func([]byte, bool) (queue.Change, error) {
		return queue.Change{}, refused
	}); !errors.Is(err, refused) {
		t.Errorf("Update whose change fails: %v", err)
	}
	if reopen != nil {
		st = reopen().State()
	}
	for key, want := range map[string]string{"ns/a": "1", "ns/empty": ""} {
		if v, err := st.Get(bg(), key); err != nil || string(v) != want {
			t.Errorf("Get(%q): %q, %v", key, v, err)
		}
	}
	absent(t, st, "ns/gone")
	absent(t, st, "ns/never")
	if keys, err := st.List(bg(), "ns/", "", 0); err != nil || !slices.Equal(keys, []string{"ns/a", "ns/empty"}) {
		t.Errorf("List: %v, %v", keys, err)
	}
}

func testStateRepeat(t *testing.T, s queue.Store, reopen func() queue.Store) {
	st := s.State()
	do := func(op string, repeat bool, want string) {
		t.Helper()
		if got, err := st.Update(bg(), "ns/n", op, repeat, incr); err != nil || string(got) != want {
			t.Fatalf("%s (repeat %v): %q, %v, want %s", op, repeat, got, err, want)
		}
	}
	do("run1/1", false, "1")
	do("run2/1", false, "2")
	do("run1/1", true, "1")
	do("run3/1", true, "3") // never applied: a repeat applies it
	do("run3/1", true, "3")
	if reopen != nil {
		st = reopen().State()
		do("run2/1", true, "2")
	}
	remove(t, st, "ns/n")
	do("run1/1", true, "1") // remembered over a deletion
	absent(t, st, "ns/n")
	// What a crash leaves in doubt is known after it, whatever is done then.
	for i := range 200 {
		do(fmt.Sprint("before/", i), false, strconv.Itoa(i+1))
	}
	if reopen != nil {
		st = reopen().State()
	}
	for i := range 200 {
		do(fmt.Sprint("never/", i), true, strconv.Itoa(i+201))
	}
	for i := range 200 {
		do(fmt.Sprint("before/", i), true, strconv.Itoa(i+1))
	}
	for i := range 600 {
		do(fmt.Sprint("many/", i), false, strconv.Itoa(i+401))
	}
	do("many/599", true, "1000")
	do("many/100", true, "501")
	if _, err := st.Update(bg(), "ns/n", "run1/1", true, incr); !errors.Is(err, queue.ErrForgotten) {
		t.Errorf("repeat of what is long ago: %v, want ErrForgotten", err)
	}
}

func testStateTTL(t *testing.T, s queue.Store, _ func() queue.Store) {
	st := s.State()
	set(t, st, "ns/short", "x", 150*time.Millisecond)
	set(t, st, "ns/long", "x", time.Hour)
	if _, err := st.Get(bg(), "ns/short"); err != nil {
		t.Errorf("Get before the time is up: %v", err)
	}
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		if _, err := st.Get(bg(), "ns/short"); errors.Is(err, queue.ErrNotFound) {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the value does not expire")
		}
	}
	if keys, err := st.List(bg(), "ns/", "", 0); err != nil || !slices.Equal(keys, []string{"ns/long"}) {
		t.Errorf("List: %v, %v", keys, err)
	}
	infos, err := st.Keys(bg(), "ns/")
	if err != nil || len(infos) != 1 || infos[0].Key != "ns/long" || infos[0].Bytes != 1 || infos[0].Expires.Before(time.Now()) {
		t.Errorf("Keys: %+v, %v", infos, err)
	}
	_, err = st.Update(bg(), "ns/short", "again", false, func(_ []byte, ok bool) (queue.Change, error) {
		if ok {
			t.Error("an expired value is still there for Update")
		}
		return queue.Change{Value: []byte("y")}, nil
	})
	if err != nil {
		t.Error(err)
	}
	if v, err := st.Get(bg(), "ns/short"); err != nil || string(v) != "y" {
		t.Errorf("Get: %q, %v", v, err)
	}
	// A value written without a time to live keeps none from before.
	set(t, st, "ns/long", "z", 0)
	if v, err := st.Get(bg(), "ns/long"); err != nil || string(v) != "z" {
		t.Errorf("Get: %q, %v", v, err)
	}
}

func testStateConcurrent(t *testing.T, s queue.Store, _ func() queue.Store) {
	st := s.State()
	const writers, each = 8, 25
	errs := make(chan error, writers)
	for w := range writers {
		go func() {
			var err error
			for i := range each {
				_, e := st.Update(bg(), "ns/n", fmt.Sprint(w, "/", i), false, incr)
				err = errors.Join(err, e)
			}
			errs <- err
		}()
	}
	for range writers {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if v, err := st.Get(bg(), "ns/n"); err != nil || string(v) != strconv.Itoa(writers*each) {
		t.Errorf("after %d increments: %q, %v", writers*each, v, err)
	}
}

func testStateKeys(t *testing.T, s queue.Store, _ func() queue.Store) {
	st := s.State()
	keys := []string{
		"ns/", "ns/a.b", "ns/a b", "ns/*", "ns/>", "ns/a/b", "ns/ä€😀", "ns/\x00\n", "ns/=", "ns/Zg",
		"plain", "other/a", "/a", "n s.*/x",
	}
	for _, k := range keys {
		set(t, st, k, "value of "+k, 0)
	}
	for _, k := range keys {
		if v, err := st.Get(bg(), k); err != nil || string(v) != "value of "+k {
			t.Errorf("Get(%q): %q, %v", k, v, err)
		}
	}
	want := slices.Clone(keys)
	slices.Sort(want)
	if got, err := st.List(bg(), "", "", 0); err != nil || !slices.Equal(got, want) {
		t.Errorf("List of all: %q, %v\nwant %q", got, err, want)
	}
	if got, err := st.List(bg(), "ns/a", "ns/a b", 1); err != nil || !slices.Equal(got, []string{"ns/a.b"}) {
		t.Errorf("List after a key: %q, %v", got, err)
	}
	infos, err := st.Keys(bg(), "ns/a")
	if err != nil || len(infos) != 3 || infos[2].Key != "ns/a/b" || infos[2].Bytes != len("value of ns/a/b") || !infos[2].Expires.IsZero() {
		t.Errorf("Keys: %+v, %v", infos, err)
	}
	if got, err := st.List(bg(), "n s.*/", "", 0); err != nil || !slices.Equal(got, []string{"n s.*/x"}) {
		t.Errorf("List of a namespace: %q, %v", got, err)
	}
	for _, k := range []string{"", "ns/\xff", "ns/" + string(make([]byte, 2000))} {
		if _, err := st.Get(bg(), k); err == nil || errors.Is(err, queue.ErrNotFound) {
			t.Errorf("Get of a bad key of %d bytes: %v", len(k), err)
		}
	}
}
