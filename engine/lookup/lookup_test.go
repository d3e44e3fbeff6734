package lookup_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/lookup"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/slackapi"
)

func key(kind, team, id string) slackapi.ShelfKey {
	return slackapi.ShelfKey{Kind: kind, Team: team, ID: id, Who: team + "/bot/b"}
}

func stores(t *testing.T, f func(t *testing.T, s queue.Store)) {
	t.Parallel()
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		f(t, queue.NewMemory(queue.MemoryOptions{}))
	})
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		s, err := queue.Open(t.Context(), queue.Options{Dir: t.TempDir(), Replicas: 1, MaxBytes: 64 << 20})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Close(context.Background()); err != nil {
				t.Error(err)
			}
		})
		f(t, s)
	})
}

func TestShelf(t *testing.T) {
	stores(t, func(t *testing.T, store queue.Store) {
		ctx, s := t.Context(), lookup.New(store.State(), nil)
		at := time.Unix(1_700_000_000, 123_456_789)
		keys := []slackapi.ShelfKey{
			key("user", "T1", "U1"), key("user", "T1", "a/b:c@x.example"), key("user", "T2", "U1"), key("dm", "T1", "U1"), key("user", "T1", "U10"),
		}
		for _, k := range keys {
			if _, _, ok := s.Get(ctx, k); ok {
				t.Errorf("%v is there already", k)
			}
			s.Put(ctx, k, []byte(k.Kind+k.Team+k.ID), at, time.Hour)
		}
		for _, k := range keys {
			if v, when, ok := s.Get(ctx, k); !ok || string(v) != k.Kind+k.Team+k.ID || !when.Equal(at) {
				t.Errorf("%v: got %q at %v, %v", k, v, when, ok)
			}
		}
		list, err := s.List(ctx, "T1")
		if err != nil || len(list) != 4 || list[0].Kind != "dm" || !slices.ContainsFunc(list, func(e lookup.Entry) bool { return e.ID == "a/b:c@x.example" && e.Who == "T1/bot/b" }) {
			t.Errorf("got %+v %v", list, err)
		}
		s.Drop("user", "T1", "U1")
		s.Close()
		for i, k := range keys {
			if _, _, ok := s.Get(ctx, k); ok != (i != 0) {
				t.Errorf("after a drop of the first: %v is there: %v", k, ok)
			}
		}
		s.Drop("user", "T2", "U1") // after Close: nothing
		if _, _, ok := s.Get(ctx, keys[2]); !ok {
			t.Error("a closed shelf drops")
		}
		again := lookup.New(store.State(), nil)
		again.Drop("user", "", "a/b:c@x.example")
		again.Close()
		if n, err := s.Purge(ctx, "T1"); err != nil || n != 2 {
			t.Errorf("purge: got %d %v, want 2", n, err)
		}
		if n, err := s.Purge(ctx, ""); err != nil || n != 1 {
			t.Errorf("purge of the rest: got %d %v, want 1", n, err)
		}
		if list, err := s.List(ctx, ""); err != nil || len(list) != 0 {
			t.Errorf("got %+v %v", list, err)
		}
	})
}

// broken is a store that fails.
type broken struct{ queue.State }

func (broken) Get(context.Context, string) ([]byte, error) { return nil, queue.ErrUnavailable }

func (broken) Update(context.Context, string, string, bool, func([]byte, bool) (queue.Change, error)) ([]byte, error) {
	return nil, queue.ErrUnavailable
}

func (broken) List(context.Context, string, string, int) ([]string, error) {
	return nil, queue.ErrUnavailable
}

func TestAStoreThatFailsIsLeftOut(t *testing.T) {
	t.Parallel()
	s := lookup.New(broken{}, nil)
	s.Put(t.Context(), key("user", "T1", "U1"), []byte("x"), time.Now(), time.Hour)
	if _, _, ok := s.Get(t.Context(), key("user", "T1", "U1")); ok {
		t.Error("found something")
	}
	s.Drop("user", "T1", "U1")
	s.Close()
	if _, err := s.List(t.Context(), ""); !errors.Is(err, queue.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	if _, err := s.Purge(t.Context(), ""); !errors.Is(err, queue.ErrUnavailable) || !strings.Contains(err.Error(), "list look-ups") {
		t.Errorf("got %v", err)
	}
}

func TestWhatIsNotOursIsLeftAlone(t *testing.T) {
	t.Parallel()
	store := queue.NewMemory(queue.MemoryOptions{})
	for _, k := range []string{"kv/x", "lookup", "lookup:", "lookup:a/b", "lookup:a:b/c"} {
		if _, err := store.State().Update(t.Context(), k, "op", false, func([]byte, bool) (queue.Change, error) { return queue.Change{Value: []byte("1")}, nil }); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := lookup.New(store.State(), nil).Purge(t.Context(), ""); n != 0 || err != nil {
		t.Errorf("got %d %v", n, err)
	}
}
