package scripttest

import (
	"net/http"

	"github.com/starling-rules/starling/runtime"
)

// cut is where the engine is to be cut off: in the middle of a request. Its
// fields are guarded by the world's mu.
type cut struct {
	glob string // a method of Slack, or a URL
	at   runtime.Position
	hit  bool
	now  chan struct{} // closed when it is hit
}

// restartEngine is t.restart.
func restartEngine(w *world, x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	if during := a.Text("during"); during != "" {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.cut = &cut{glob: during, at: x.Pos(), now: make(chan struct{})}
		return nil, nil
	}
	r := w.newRun(x, "t.restart")
	err := w.start()
	if err == nil {
		err = w.restart()
	}
	if err == nil {
		err = w.settle()
	}
	return w.finish(r, err)
}

// restart throws the engine away as it stands, and starts one on the same store:
// what is not in the store is gone.
func (w *world) restart() error {
	w.mu.Lock()
	if w.cut != nil && w.cut.hit {
		w.cut = nil
	}
	w.mu.Unlock()
	w.stop()
	w.disp, w.stop, w.limiters = nil, nil, nil
	return w.start()
}

// severed is closed when a request is hit that the engine is to be cut off in;
// nil if there is none to wait for.
func (w *world) severed() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cut == nil {
		return nil
	}
	return w.cut.now
}

// severs reports whether the engine is to be cut off in a request by that name.
// The caller holds mu, and then lets the request hang.
func (w *world) severs(name string) bool {
	c := w.cut
	if c == nil || c.hit || !glob(c.glob, name) {
		return false
	}
	c.hit = true
	close(c.now)
	return true
}

// hang is a request whose answer nobody will hear: it has been received, and
// who sent it is about to end.
func hang(req *http.Request) error {
	<-req.Context().Done()
	return req.Context().Err()
}
