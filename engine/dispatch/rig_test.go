package dispatch_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/dispatch"
	"github.com/starling-rules/starling/engine/door"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/rules"
	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/lua"
	"github.com/starling-rules/starling/runtime/star"
	"github.com/starling-rules/starling/stdlib"
)

// world is what outlives a server: the store, the rules on disk, and the far
// side that effects reach. Servers are started and killed in it.
type world struct {
	t     testing.TB
	dir   string
	store queue.Store
	far   *far
	log   *lockedBuffer
	// broken allows rule files that do not load.
	broken bool
}

func newWorld(t testing.TB, files map[string]string) *world {
	t.Helper()
	return newWorldOn(t, queue.NewMemory(queue.MemoryOptions{}), files)
}

func newWorldOn(t testing.TB, on queue.Store, files map[string]string) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), store: on, far: &far{told: make(chan struct{}, 1)}, log: &lockedBuffer{}}
	for path, text := range files {
		w.write(path, text)
	}
	t.Cleanup(func() {
		if err := w.store.Close(context.Background()); err != nil {
			t.Errorf("close the store: %v", err)
		}
		if t.Failed() {
			s := w.log.String()
			t.Logf("log:\n%s", s[max(0, len(s)-4000):])
		}
	})
	return w
}

func (w *world) write(path, text string) {
	w.t.Helper()
	full := filepath.Join(w.dir, path)
	if err := os.WriteFile(full, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// far is what lies behind the door: it counts what reaches it.
type far struct {
	mu    sync.Mutex
	calls []call
	told  chan struct{}
	block map[string]chan struct{} // effects with this key wait for it
	fail  map[string]error         // effects of this kind fail
	tells tells
	vain  atomic.Int64 // how often a run was to wait again
}

type call struct{ kind, key, id string }

// keys lists what was done, by the argument key, or by the text of a message.
func (f *far) keys() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make([]string, len(f.calls))
	for i, c := range f.calls {
		out[i] = c.key
	}
	return out
}

func (f *far) count(key string) int {
	n := 0
	for _, k := range f.keys() {
		if k == key {
			n++
		}
	}
	return n
}

// hold makes effects with that key wait until the function is called.
func (f *far) hold(key string) (release func()) {
	ch := make(chan struct{})
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.block == nil {
		f.block = map[string]chan struct{}{}
	}
	f.block[key] = ch
	return sync.OnceFunc(func() { close(ch) })
}

func (f *far) wait(t testing.TB, n int) []string {
	t.Helper()
	var got []string
	eventually(t, "effects", func() bool { got = f.keys(); return len(got) >= n })
	return got
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(200 * time.Microsecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited for %s in vain", what)
		}
	}
}

// probes are effects of each class: reads, what may be repeated, what may be
// looked up, and what may not be repeated.
var probes = map[string]struct {
	read   bool
	repeat door.Repeat
}{
	"probe.read": {true, door.Again}, "probe.again": {false, door.Again},
	"probe.find": {false, door.Lookup}, "probe.never": {false, door.Never},
	"post": {false, door.Lookup}, "respond": {false, door.Never}, "ephemeral": {false, door.Never},
	"http_post": {false, door.Never}, "slack_action": {false, door.Never},
}

var library = sync.OnceValue(func() *runtime.Library {
	std, err := stdlib.Library()
	if err != nil {
		panic(err)
	}
	var own []*runtime.Builtin
	for name := range probes {
		if strings.HasPrefix(name, "probe.") {
			own = append(own, &runtime.Builtin{
				Name: name, Purity: runtime.Asks, Result: "result",
				Params: []runtime.Param{{Name: "key", Type: runtime.TAny}},
			})
		}
	}
	for _, name := range waitProbes {
		own = append(own, &runtime.Builtin{
			Name: name, Purity: runtime.Asks, Result: "result",
			Params: []runtime.Param{{Name: "key", Type: runtime.TAny}, {Name: "timeout", Type: runtime.TAny, Optional: true}},
		})
	}
	lib, err := runtime.NewLibrary(std.All(), own)
	if err != nil {
		panic(err)
	}
	return lib
})

// endings are the languages that rules are in.
var endings = map[string]string{".star": "starlark", ".lua": "lua"}

func languages(t testing.TB) []runtime.Language {
	t.Helper()
	host := runtime.Host{Library: library(), Input: event.Host}
	s, err := star.New(host)
	if err != nil {
		t.Fatal(err)
	}
	l, err := lua.New(host)
	if err != nil {
		t.Fatal(err)
	}
	return []runtime.Language{s, l}
}

// server is one life of a process.
type server struct {
	*dispatch.Dispatcher
	w      *world
	loader *rules.Loader
	pool   *runtime.Local
	cancel context.CancelFunc
	done   chan error

	// Where it is killed: at the n-th point that it passes.
	points atomic.Int64
	killAt int64
	dead   atomic.Bool
	stop   chan struct{}
	// sick makes the store refuse appends.
	sick atomic.Bool
	// tamper changes the events that are delivered.
	tamper atomic.Pointer[func(*event.Event)]
}

// start starts a server on what the world holds.
func (w *world) start(change ...func(*dispatch.Options)) *server {
	w.t.Helper()
	return w.startKilledAt(0, change...)
}

func (w *world) startKilledAt(n int64, change ...func(*dispatch.Options)) *server {
	w.t.Helper()
	return w.startOn(w.store, n, change...)
}

// startOn starts a server on a store that is its own connection to what the
// world holds.
func (w *world) startOn(on queue.Store, n int64, change ...func(*dispatch.Options)) *server {
	w.t.Helper()
	s := &server{w: w, killAt: n, done: make(chan error, 1), stop: make(chan struct{})}
	s.pool = runtime.NewLocal(languages(w.t), runtime.LocalOptions{Parallel: 2})
	s.loader = rules.NewLoader(rules.LoaderOptions{Dirs: []string{w.dir}, Pool: s.pool, Languages: endings, Grace: time.Nanosecond})
	_, report, err := s.loader.Load(context.Background())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range report.Files {
		if len(f.Errors) > 0 && !w.broken {
			w.t.Fatal(f.Errors.Detail())
		}
	}
	on.OnTimer(func(ctx context.Context, t queue.Timer) error {
		if !s.point() {
			return queue.ErrClosed
		}
		return s.Timer(ctx, t)
	})
	o := dispatch.Options{
		Store: &store{on, s}, Pool: s.pool, Rules: s.loader, Live: s.live(), Drain: 5 * time.Second,
		Logger: slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, f := range change {
		f(&o)
	}
	s.Dispatcher = dispatch.New(o)
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	go func() { s.done <- s.Run(ctx) }()
	w.t.Cleanup(func() { s.end() })
	return s
}

// startBroken starts a server though rule files do not load.
func (w *world) startBroken(change ...func(*dispatch.Options)) *server {
	w.t.Helper()
	w.broken = true
	return w.start(change...)
}

// end stops the server in good order, or waits for one that was killed.
func (s *server) end() {
	s.cancel()
	select {
	case err := <-s.done:
		if err != nil && !s.dead.Load() {
			s.w.t.Errorf("run: %v", err)
		}
		s.done <- nil
	case <-time.After(20 * time.Second):
		s.w.t.Error("the dispatcher does not end")
	}
	_ = s.pool.Close(context.Background())
}

// kill is kill -9, as far as the store and the far side can tell.
func (s *server) kill() {
	if !s.dead.Swap(true) {
		close(s.stop)
		s.cancel()
		s.Abort()
	}
}

// point is a place where the server may be killed. It reports whether the
// server is alive behind it.
func (s *server) point() bool {
	if s.dead.Load() {
		return false
	}
	if n := s.points.Add(1); s.killAt != 0 && n == s.killAt {
		s.kill()
		return false
	}
	return true
}

func (s *server) live() door.Live {
	all := door.Live{}
	for kind, p := range probes {
		all[kind] = door.Handler{Read: p.read, Repeat: door.Always(p.repeat), Do: s.do, Find: s.find}
	}
	s.waiters(all)
	return all
}

func keyOf(e runtime.Effect) string {
	for _, name := range []string{"key", "text", "url", "method"} {
		if v, ok := e.Args.Get(name); ok {
			text, _ := v.(string)
			return text
		}
	}
	return e.Kind
}

func (s *server) do(ctx context.Context, r *door.Run, e runtime.Effect) (runtime.Value, error) {
	if r.DryRun {
		return runtime.NewDict("ok", true, "n", int64(0)), nil
	}
	if !s.point() {
		return nil, context.Canceled
	}
	f, key := s.w.far, keyOf(e)
	f.mu.Lock()
	block, fail := f.block[key], f.fail[key]
	f.mu.Unlock()
	if block != nil {
		select {
		case <-block:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if fail != nil {
		return nil, fail
	}
	f.mu.Lock()
	f.calls = append(f.calls, call{e.Kind, key, r.Key(e)})
	n := len(f.calls)
	f.mu.Unlock()
	if !s.point() {
		return nil, context.Canceled
	}
	return runtime.NewDict("ok", true, "n", int64(n), "error", nil), nil
}

// find looks for the trace of an effect: it always knows, but for keys that
// begin with "unknown".
func (s *server) find(_ context.Context, r *door.Run, e runtime.Effect) (runtime.Value, bool, bool) {
	if strings.HasPrefix(keyOf(e), "unknown") {
		return nil, false, false
	}
	f := s.w.far
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.calls {
		if c.id == r.Key(e) {
			return runtime.NewDict("ok", true, "n", int64(0), "error", nil), true, true
		}
	}
	return nil, false, true
}

// store is the world's store as one server sees it, until it is killed.
type store struct {
	queue.Store
	s *server
}

func (s *store) Consume(ctx context.Context, n int, handle func(queue.Delivery)) error {
	return s.Store.Consume(ctx, n, func(d queue.Delivery) {
		if s.s.point() {
			handle(&delivery{Delivery: d, s: s.s})
		}
	})
}

func (s *store) PutSource(ctx context.Context, name string, b []byte) error {
	if s.s.sick.Load() {
		return queue.ErrUnavailable
	}
	if !s.s.point() {
		return queue.ErrClosed
	}
	return s.Store.PutSource(ctx, name, b)
}

// delivery is what one server may do with an event, until it is killed.
type delivery struct {
	queue.Delivery
	s *server
	// refused: an AppendLater was, and the next Append says so.
	refused atomic.Bool
}

func (d *delivery) Body() []byte {
	body := d.Delivery.Body()
	if f := d.s.tamper.Load(); f != nil {
		if e, err := event.Decode(body); err == nil {
			(*f)(e)
			return e.Encode(nil)
		}
	}
	return body
}

func (d *delivery) Append(ctx context.Context, entries ...queue.Entry) error {
	if d.s.sick.Load() || d.refused.Swap(false) {
		return queue.ErrUnavailable
	}
	if !d.s.point() {
		return queue.ErrClosed
	}
	err := d.Delivery.Append(ctx, entries...)
	if !d.s.point() {
		return queue.ErrClosed
	}
	return err
}

func (d *delivery) AppendLater(entries ...queue.Entry) {
	switch {
	case d.s.sick.Load():
		d.refused.Store(true)
	case d.s.point():
		d.Delivery.AppendLater(entries...)
	}
}

func (d *delivery) Settle(entries ...queue.Entry) {
	if d.s.point() {
		d.Delivery.Settle(entries...)
	}
}

func (d *delivery) Claim(names []string) []bool {
	if !d.s.point() {
		return make([]bool, len(names))
	}
	return d.Delivery.Claim(names)
}

func (d *delivery) Dead(ctx context.Context, reason string) error {
	if !d.s.point() {
		return queue.ErrClosed
	}
	return d.Delivery.Dead(ctx, reason)
}

// say sends a message to a server.
func (s *server) say(id, text string, change ...func(*event.Event)) {
	s.w.t.Helper()
	if err := s.Accept(context.Background(), message(id, text, change...)); err != nil {
		s.w.t.Fatalf("accept %s: %v", id, err)
	}
}

func message(id, text string, change ...func(*event.Event)) *event.Event {
	e := &event.Event{
		ID: id, Kind: event.Message, Type: "message", Team: "T1", App: "A1", BotUser: "UBOT", User: "U1",
		Channel: "C1", TS: id + ".1", EventTS: id + ".1", Text: text, Received: time.Now(), Via: "local",
		Raw: []byte(`{"type":"event_callback","event":{"type":"message","text":"` + text + `"}}`),
	}
	for _, f := range change {
		f(e)
	}
	return e
}

func command(id, name string, change ...func(*event.Event)) *event.Event {
	e := &event.Event{
		ID: id, Kind: event.Command, Type: "slash_commands", Team: "T1", User: "U1", Channel: "C1", Command: name,
		ResponseURL: "https://hooks.slack.com/x", Received: time.Now(), Encoding: event.Form, Raw: []byte("command=%2Fx"),
	}
	for _, f := range change {
		f(e)
	}
	return e
}

// settled waits until nothing is left to do.
func (w *world) settled() {
	w.t.Helper()
	eventually(w.t, "the events to be settled", func() bool { return w.store.Stats().Pending == 0 })
	if err := w.store.Flush(context.Background()); err != nil {
		w.t.Fatal(err)
	}
}

// report is what `starling runs` would say of an event.
func (w *world) report(id string) dispatch.EventReport {
	w.t.Helper()
	info, err := w.store.Event(context.Background(), id)
	if err != nil {
		w.t.Fatalf("event %s: %v", id, err)
	}
	rep, err := dispatch.Report(info)
	if err != nil {
		w.t.Fatalf("report %s: %v", id, err)
	}
	return rep
}

// outcomes lists the outcomes of the runs of an event.
func (w *world) outcomes(id string) []dispatch.Outcome {
	var out []dispatch.Outcome
	for _, r := range w.report(id).Runs {
		out = append(out, r.Outcome)
	}
	return out
}

func same(t testing.TB, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

// lockedBuffer is a log that is read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
