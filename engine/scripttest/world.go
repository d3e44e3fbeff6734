package scripttest

import (
	"context"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/starling-rules/starling/engine/dispatch"
	"github.com/starling-rules/starling/engine/door"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/help"
	"github.com/starling-rules/starling/engine/hook"
	"github.com/starling-rules/starling/engine/permit"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/rules"
	"github.com/starling-rules/starling/engine/slackapi"
	"github.com/starling-rules/starling/runtime"
)

// settleIn bounds the wait for one event, in real time: its runs are bounded by
// the limits of rules, and nothing in a world waits for anything outside.
const settleIn = 30 * time.Second

// world is what one test works on: everything that an engine has, made anew,
// with recorders for a far side. Its methods are called by the goroutine of the
// test; what the engine calls back is guarded by mu.
type world struct {
	s      *suite
	t      *Test
	tester *object
	clock  *clock
	count  int // of what was made: ids are the same in each run of a test
	// began is when the clock was started, fired the newest due time of each
	// schedule that was fired.
	began time.Time
	fired map[string]time.Time

	// What the test set up, and what holds for every case of a table.
	scripts []string
	config  map[string]runtime.Value
	secrets map[string]string
	setup   []func() error
	web     *web
	slack   *recorder

	// limiters are those of webhooks, by the id of their rule.
	limiters map[string]*hook.Limiter

	// The engine, from the first event on; t.restart makes it anew, on the same
	// store.
	loader *rules.Loader
	store  *store
	disp   *dispatch.Dispatcher
	guide  *help.Guide
	client *slackapi.Client
	stop   func()
	// edits are what t.edit has made of files, by path; nil: it is gone. From
	// the first of them on the world has a loader of its own.
	edits map[string][]byte

	mu   sync.Mutex
	runs map[string]*run // by event id
	all  []*run
	// now is what the test does at this moment; from is where each run of a rule
	// began, by its id.
	now  *run
	from map[string]*run
	cut  *cut
	// failed are what does not stop the test at once; last is what the error
	// that is under way has to show.
	failed []*Failure
	last   *Failure
	shots  int
}

func newWorld(t *Test) *world {
	w := &world{s: t.s, t: t, config: map[string]runtime.Value{}, secrets: map[string]string{}}
	w.web, w.slack = &web{w: w}, &recorder{w: w}
	w.tester = &object{name: "t", w: w, methods: t.s.r.methods["t"]}
	w.begin()
	return w
}

// begin makes the parts that hold state.
func (w *world) begin() {
	w.clock, w.count = newClock(), 0
	w.began, w.fired = w.clock.Now(), map[string]time.Time{}
	w.store = newStore(queue.NewMemory(queue.MemoryOptions{Now: w.clock.Now}))
	w.runs, w.all, w.now, w.from = map[string]*run{}, nil, nil, map[string]*run{}
	w.edits, w.cut = nil, nil
	w.slack.begin()
	w.web.begin()
}

// again makes the world new, as the test had set it up, for a case of a table.
func (w *world) again() error {
	w.close()
	w.begin()
	for _, f := range w.setup {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

// start puts the engine together, once.
func (w *world) start() error {
	if w.disp != nil {
		return nil
	}
	if err := w.load(context.Background()); err != nil {
		return err
	}
	var policy *permit.Policy
	w.guide = help.New(help.Options{Rules: w.Current, Permit: func() *permit.Policy { return policy }, Submit: w.resubmit, Now: w.clock.Now})
	live, err := w.live()
	if err != nil {
		return err
	}
	c := w.s.cfg
	policy = permit.New(c.Admins, c.Access, &permit.Slack{Client: w.client, Now: w.clock.Now})
	w.disp = dispatch.New(dispatch.Options{
		Store: w.store, Pool: w.s.pool, Rules: w, Live: live,
		Permit: policy,
		Limits: patient(c.Limits.Runtime()), RunLimit: c.Limits.Run, AnswerLimit: settleIn,
		ParkGrace: time.Millisecond, // there is no other process
		Now:       w.clock.Now, Metrics: w.s.r.metrics, Inspector: inspector{w},
		Observe: func(e *event.Event) { w.client.Observe(e) }, Advise: w.guide.Advise,
	})
	w.store.OnTimer(w.disp.Timer)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = w.disp.Run(ctx) })
	disp := w.disp
	w.stop = func() {
		cancel()
		disp.Abort()
		wg.Wait()
	}
	return nil
}

// live are the handlers of production, on top of the recorders.
func (w *world) live() (door.Live, error) {
	var err error
	w.client, err = slackapi.New(slackapi.Options{
		HTTP: &http.Client{Transport: w.slack}, Tokens: slackapi.Static{Bot: "xoxb-test", User: "xoxp-test"},
		Timeout: settleIn, Now: w.clock.Now, AfterFunc: w.clock.after, Rand: half,
	})
	if err != nil {
		return nil, err
	}
	out, err := door.NewHTTP(door.HTTPOptions{
		Allow: w.s.cfg.HTTP.Allow, Transport: w.web, Sleep: w.clock.sleep, Rand: half,
	})
	if err != nil {
		return nil, err
	}
	live := door.NewLive(door.Deps{
		Slack: w.client, HTTP: out, State: w.store.State(), Secrets: w.secret, Now: w.clock.Now,
		MaxKeys: w.s.cfg.Limits.KVKeys, MaxBytes: int64(w.s.cfg.Limits.KVBytes),
	})
	maps.Copy(live, w.guide.Handlers())
	maps.Copy(live, w.admins().Handlers())
	maps.Copy(live, w.s.r.o.Live)
	for kind, h := range live {
		live[kind] = w.asking(kind, h)
	}
	return live, nil
}

func half() float64 { return 0.5 }

// secret is what stands in for a secret; t.secret gives it another value.
func (w *world) secret(name string) (string, bool) {
	if v, ok := w.secrets[name]; ok {
		return v, true
	}
	return "test-" + name, true
}

// random returns n characters of Slack's ids, the same ones in each run.
func (w *world) random(n int) string {
	const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	w.count++
	b := []byte(strings.Repeat("0", n))
	for i, k := n-1, w.count; i >= 0 && k > 0; i, k = i-1, k/32 {
		b[i] = alphabet[k%32]
	}
	return string(b)
}

// close ends the engine of the world.
func (w *world) close() {
	if w.stop != nil {
		w.stop()
	}
	_ = w.store.Close(context.Background())
	w.disp, w.stop = nil, nil
}
