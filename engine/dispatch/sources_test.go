package dispatch_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/dispatch"
	"github.com/starling-rules/starling/engine/queue"
)

// keeping is a store that notes which sources are kept.
type keeping struct {
	queue.Store
	kept sync.Map
}

func (k *keeping) over(o *dispatch.Options) {
	k.Store = o.Store
	o.Store, o.KeepSources = k, time.Millisecond
}

func (k *keeping) KeepSource(ctx context.Context, name string) error {
	k.kept.Store(name, true)
	return k.Store.KeepSource(ctx, name)
}

// What a run waits on is kept, also by a server that never had it loaded.
func TestSourcesOfWaitingRunsAreKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"a.star": `on.message("^go$", lambda e: probe.ask(key = "q"))`})
	s := w.start()
	s.say("1", "go")
	waits := w.waiting("probe.ask")
	s.end()
	w.write("a.star", `on.message("^go$", lambda e: probe.find(key = "new"))`)
	k := &keeping{}
	s = w.start(k.over)
	eventually(t, "the old source is kept", func() bool { _, ok := k.kept.Load(waits.Digest); return ok })
	s.say("2", "go")
	eventually(t, "that of the new version too", func() bool {
		n := 0
		k.kept.Range(func(any, any) bool { n++; return true })
		return w.far.count("new") == 1 && n == 2
	})
}
