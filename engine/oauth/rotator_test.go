package oauth

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/starling-rules/starling/engine/install"
	"github.com/starling-rules/starling/engine/keyring"
	"github.com/starling-rules/starling/engine/metric"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/slackapi"
	"github.com/starling-rules/starling/runtime"
)

// issuer is Slack's side of token rotation alone: it needs no clock but the
// test's own, so that hours pass in no time.
type issuer struct {
	mu      sync.Mutex
	n       int
	refresh string // the one that is good
	asked   []string
	at      []time.Time
	// fail, if not nil, answers in the place of the issuer.
	fail func(method string, args *runtime.Dict) (slackapi.Result, bool)
	slow time.Duration
}

const tokenLife = 12 * time.Hour

func (i *issuer) CallWith(ctx context.Context, method, _ string, args *runtime.Dict) (slackapi.Result, error) {
	if i.slow > 0 {
		select {
		case <-time.After(i.slow):
		case <-ctx.Done():
			return slackapi.Result{}, context.Cause(ctx)
		}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.asked, i.at = append(i.asked, method+" "+args.Text("grant_type")+args.Text("refresh_token")+args.Text("token")), append(i.at, time.Now())
	if i.fail != nil {
		if res, ok := i.fail(method, args); ok {
			return res, nil
		}
	}
	if args.Text("client_secret") != "secret" {
		return slackapi.Failed("bad_client_secret", ""), nil
	}
	if method == "oauth.v2.access" && args.Text("refresh_token") != i.refresh {
		return slackapi.Failed("invalid_refresh_token", ""), nil
	}
	i.n++
	i.refresh = fmt.Sprintf("refresh-%d", i.n)
	body := fmt.Sprintf(`{"ok":true,"access_token":"token-%d","refresh_token":%q,"expires_in":43200,"token_type":"bot"}`, i.n, i.refresh)
	return slackapi.Result{OK: true, Status: 200, Body: runtime.JSON(body)}, nil
}

func (i *issuer) calls() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.asked)
}

// bench is a store and processes that share it.
type bench struct {
	t      *testing.T
	slack  *issuer
	state  queue.State
	store  *install.Store
	logs   *logBuffer
	ms     *metric.Set
	learnt atomic.Int64
}

// newBench has to be called inside the bubble of synctest.
func newBench(t *testing.T) *bench {
	mem := queue.NewMemory(queue.MemoryOptions{})
	t.Cleanup(func() { _ = mem.Close(context.Background()) })
	b := &bench{t: t, slack: &issuer{refresh: "refresh-0"}, state: mem.State(), logs: &logBuffer{}, ms: metric.New("test")}
	b.store = b.open(b.state)
	return b
}

func (b *bench) open(state queue.State) *install.Store {
	ring, err := keyring.New(testKey)
	if err != nil {
		b.t.Fatal(err)
	}
	s, err := install.Open(b.t.Context(), install.Options{State: state, Keys: ring, Shared: true})
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

var theID = install.ID{App: "A1", Place: "T1"}

// has stores an installation with a bot token that ends after life; 0: never.
func (b *bench) has(life time.Duration) *install.Installation {
	in := &install.Installation{App: "A1", Team: "T1", TeamName: "One", Bot: install.Grant{Token: "token-0", Scopes: []string{"chat:write"}, Since: time.Now()}}
	if life != 0 {
		end := time.Now().Add(life)
		in.Bot.Refresh, in.Bot.Expires = "refresh-0", &end
	}
	out, err := b.store.Install(b.t.Context(), in)
	if err != nil {
		b.t.Fatal(err)
	}
	return out
}

func (b *bench) now() *install.Installation {
	in, err := b.store.Get(b.t.Context(), theID)
	if err != nil {
		b.t.Fatal(err)
	}
	return in
}

// rotator is one process's; change may be nil.
func (b *bench) rotator(store *install.Store, change func(*RotatorOptions)) *Rotator {
	o := RotatorOptions{
		App: App{"1.1", "secret"}, Slack: b.slack, Store: store, State: b.state, Metrics: b.ms,
		Logger: slog.New(slog.NewTextHandler(b.logs, nil)), Learn: func(s ...string) { b.learnt.Add(int64(len(s))) },
	}
	if change != nil {
		change(&o)
	}
	return NewRotator(o)
}

// run starts rotators; the function returned stops them.
func (b *bench) run(rs ...*Rotator) (stop func()) {
	ctx, cancel := context.WithCancel(b.t.Context())
	var wg sync.WaitGroup
	for _, r := range rs {
		wg.Go(func() {
			if err := r.Run(ctx); err != nil {
				b.t.Error(err)
			}
		})
	}
	return func() { cancel(); wg.Wait() }
}

func TestTokenIsRenewedTwoHoursAheadOfItsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.has(tokenLife)
		start := time.Now()
		defer b.run(b.rotator(b.store, nil))()
		time.Sleep(9*time.Hour + 59*time.Minute)
		if n := b.slack.calls(); n != 0 {
			t.Fatalf("%d calls hours ahead", n)
		}
		time.Sleep(12 * time.Minute)
		if in := b.now(); in.Bot.Token != "token-1" || in.Bot.Refresh != "refresh-1" || in.Bot.Expires.Sub(start) < 21*time.Hour || len(in.Bot.Scopes) != 1 {
			t.Fatalf("%+v", in.Bot)
		}
		time.Sleep(5 * 24 * time.Hour)
		n := b.slack.calls() // each process has minutes of its own
		if in := b.now(); in.Broken != "" || n < 12 || n > 13 {
			t.Errorf("%d calls, %q after five days", n, in.Broken)
		}
		for i, at := range b.slack.at {
			if early := start.Add(time.Duration(i+1) * 10 * time.Hour); at.Before(early) || at.Sub(early) > time.Duration(i+1)*12*time.Minute {
				t.Errorf("renewal %d after %s", i, at.Sub(start))
			}
		}
		if b.learnt.Load() != int64(2*n) {
			t.Errorf("%d secrets were told of", b.learnt.Load())
		}
	})
}

// TestOneOfManyProcessesRenews: each has its own store on the same state, all
// are late at once, and Slack takes a while.
func TestOneOfManyProcessesRenews(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.has(tokenLife)
		b.slack.slow = 2 * time.Second
		var all []*Rotator
		stores := []*install.Store{b.store}
		for len(stores) < 4 {
			stores = append(stores, b.open(b.state))
		}
		for _, s := range stores {
			all = append(all, b.rotator(s, nil))
		}
		time.Sleep(11 * time.Hour) // nobody was there at the time
		defer b.run(all...)()
		time.Sleep(time.Minute)
		if n := b.slack.calls(); n != 1 {
			t.Errorf("%d renewals: %q", n, b.slack.asked)
		}
		var tokens []install.Token
		var mu sync.Mutex
		var wg sync.WaitGroup
		for _, r := range all { // a call fails in all of them at the same time
			for range 5 {
				wg.Go(func() {
					tok, err := r.Renew(t.Context(), theID, "", "token-1")
					if err != nil {
						t.Error(err)
					}
					mu.Lock()
					tokens = append(tokens, tok)
					mu.Unlock()
				})
			}
		}
		wg.Wait()
		for _, tok := range tokens {
			if tok != "token-2" {
				t.Errorf("got %s", string(tok))
			}
		}
		if n := b.slack.calls(); n != 2 {
			t.Errorf("%d renewals: %q", n, b.slack.asked)
		}
	})
}

func TestRefusedTokenIsRenewedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.has(tokenLife)
		r := b.rotator(b.store, nil)
		if tok, err := r.Renew(t.Context(), theID, "", "token-0"); err != nil || tok != "token-1" {
			t.Fatal(string(tok), err)
		}
		// Whoever still has the old one is told of the new one.
		if tok, err := r.Renew(t.Context(), theID, "", "token-0"); err != nil || tok != "token-1" {
			t.Fatal(string(tok), err)
		}
		if n := b.slack.calls(); n != 1 {
			t.Errorf("%d calls", n)
		}
		for name, id := range map[string]install.ID{"nobody": {App: "A1", Place: "T9"}} {
			if _, err := r.Renew(t.Context(), id, "", "x"); err == nil {
				t.Error(name)
			}
		}
		if _, err := r.Renew(t.Context(), theID, "U9", "x"); err == nil {
			t.Error("a user who has given no token")
		}
	})
}

func TestTokensOfUsersAreRenewedToo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		in := b.has(0)
		end := time.Now().Add(tokenLife)
		in.Users = map[string]install.Grant{"U1": {Token: "user-0", Refresh: "refresh-0", Expires: &end, Since: time.Now()}}
		if _, err := b.store.Put(t.Context(), in); err != nil {
			t.Fatal(err)
		}
		defer b.run(b.rotator(b.store, nil))()
		time.Sleep(11 * time.Hour)
		if got := b.now(); got.Users["U1"].Token != "token-1" || got.Bot.Token != "token-0" {
			t.Errorf("%+v", got)
		}
	})
}

// TestFailuresAreRetriedLaterAndLater: what passes does not end an installation.
func TestFailuresAreRetriedLaterAndLater(t *testing.T) {
	t.Parallel()
	for name, res := range map[string]slackapi.Result{
		"Slack is down":      {Error: "http_503", Status: 503, Doubt: true, Body: runtime.JSON(`{"ok":false}`)},
		"nobody answers":     {Error: "timeout", Doubt: true, Body: runtime.JSON(`{"ok":false}`)},
		"rate limit":         slackapi.Failed("ratelimited", ""),
		"wrong secret":       slackapi.Failed("bad_client_secret", ""),
		"not JSON":           {OK: true, Body: runtime.JSON(`{"ok":true,"access_token":1}`)},
		"yes without tokens": {OK: true, Body: runtime.JSON(`{"ok":true}`)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				b.has(tokenLife)
				end := time.Now().Add(10*time.Hour + 40*time.Minute)
				b.slack.fail = func(string, *runtime.Dict) (slackapi.Result, bool) { return res, time.Now().Before(end) }
				r := b.rotator(b.store, nil)
				defer b.run(r)()
				time.Sleep(10*time.Hour + 35*time.Minute)
				if n := b.slack.calls(); n < 5 || n > 12 {
					t.Errorf("%d calls in the first half hour", n)
				}
				p := r.Problems()
				if len(p) != 1 || p[0].Installation != theID || p[0].Ends.IsZero() || p[0].Reason == "" {
					t.Errorf("%+v", p)
				}
				if !strings.Contains(b.logs.String(), "a token was not renewed") {
					t.Error(b.logs)
				}
				time.Sleep(20 * time.Minute)
				if in := b.now(); in.Bot.Token != "token-1" || in.Broken != "" || len(r.Problems()) != 0 {
					t.Errorf("%+v %v", in, r.Problems())
				}
			})
		})
	}
}

// TestLostAnswerIsAskedForAgain: Slack has spent the refresh token, or has not;
// it is asked again, and if it refuses twice, the token in use is used to its
// end, with everybody told.
func TestLostAnswerIsAskedForAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.has(tokenLife)
		lost := false
		b.slack.fail = func(string, *runtime.Dict) (slackapi.Result, bool) {
			if !lost {
				lost, b.slack.refresh = true, "nobody knows" // spent
				return slackapi.Result{Error: "timeout", Doubt: true, Body: runtime.JSON(`{}`)}, true
			}
			return slackapi.Result{}, false
		}
		r := b.rotator(b.store, nil)
		defer b.run(r)()
		time.Sleep(11 * time.Hour)
		if in := b.now(); in.Broken != "" || !in.Bot.Usable() {
			t.Errorf("given up although the token in use is good: %+v", in)
		}
		if n := b.slack.calls(); n != 3 {
			t.Errorf("%d calls: %q", n, b.slack.asked)
		}
		p := r.Problems()
		if len(p) != 1 || p[0].Advice != "install the app again" || p[0].Ends.IsZero() || !strings.Contains(p[0].Reason, "invalid_refresh_token") {
			t.Errorf("%+v", p)
		}
		time.Sleep(2 * time.Hour)
		if in := b.now(); !strings.Contains(in.Broken, "invalid_refresh_token") {
			t.Errorf("not broken when all is over: %+v", in)
		}
		// Installing again mends it.
		b.slack.mu.Lock()
		b.slack.refresh = "refresh-0"
		b.slack.mu.Unlock()
		b.has(tokenLife)
		time.Sleep(11 * time.Hour)
		if in := b.now(); in.Broken != "" || in.Bot.Token == "token-0" || len(r.Problems()) != 0 {
			t.Errorf("%+v %v", in, r.Problems())
		}
	})
}

// TestCrashBeforeTheWriteIsTakenUpByAnotherProcess: the lease of who died runs
// out, and the same refresh token is tried again.
func TestCrashBeforeTheWriteIsTakenUpByAnotherProcess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.has(tokenLife)
		dead := b.rotator(b.store, nil)
		id := grantID{theID, ""}
		time.Sleep(11 * time.Hour)
		if got, err := dead.acquire(t.Context(), id); !got || err != nil {
			t.Fatal(got, err)
		}
		other := b.rotator(b.open(b.state), nil)
		defer b.run(other)()
		time.Sleep(leaseLife - time.Second)
		if n := b.slack.calls(); n != 0 {
			t.Fatalf("%d calls while another process has the lease", n)
		}
		time.Sleep(10 * time.Second)
		if in := b.now(); in.Bot.Token != "token-1" {
			t.Errorf("%+v", in.Bot)
		}
	})
}

// failingState is a store whose writes fail for a while.
type failingState struct {
	queue.State
	fail atomic.Bool
	n    atomic.Int64
}

func (f *failingState) Update(ctx context.Context, key, op string, repeat bool, change func([]byte, bool) (queue.Change, error)) ([]byte, error) {
	if f.fail.Load() && strings.HasPrefix(key, install.Space) {
		f.n.Add(1)
		return nil, queue.ErrUnavailable
	}
	return f.State.Update(ctx, key, op, repeat, change)
}

// TestNewPairIsNotLostWhileTheStoreFails: Slack has answered, and nothing can be
// written for ten minutes.
func TestNewPairIsNotLostWhileTheStoreFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		failing := &failingState{State: b.state}
		b.state = failing
		b.store = b.open(failing)
		b.has(tokenLife)
		r := b.rotator(b.store, nil)
		defer b.run(r)()
		time.Sleep(9 * time.Hour)
		failing.fail.Store(true)
		time.Sleep(80 * time.Minute)
		if p := r.Problems(); len(p) != 1 || !strings.Contains(p[0].String(), "not stored") {
			t.Errorf("%v", p)
		}
		failing.fail.Store(false)
		time.Sleep(10 * time.Second)
		if in := b.now(); in.Bot.Token != "token-1" || in.Bot.Refresh != "refresh-1" || len(r.Problems()) != 0 || b.slack.calls() != 1 {
			t.Errorf("%+v %v, %d calls", in.Bot, r.Problems(), b.slack.calls())
		}
	})
}

// TestNewPairDoesNotReplaceANewInstallation: somebody installs the app while
// Slack answers.
func TestNewPairDoesNotReplaceANewInstallation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.has(tokenLife)
		b.slack.slow = 5 * time.Second
		r := b.rotator(b.store, nil)
		go func() {
			time.Sleep(time.Second)
			end := time.Now().Add(tokenLife)
			_, err := b.store.Install(t.Context(), &install.Installation{App: "A1", Team: "T1", Bot: install.Grant{Token: "again", Refresh: "again", Expires: &end, Since: time.Now()}})
			if err != nil {
				t.Error(err)
			}
		}()
		if _, err := r.Renew(t.Context(), theID, "", "token-0"); err != nil {
			t.Error(err)
		}
		if in := b.now(); in.Bot.Token != "again" {
			t.Errorf("%+v", in.Bot)
		}
	})
}

func TestTokensThatLiveForEverAreMovedToRotationOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.has(0)
		stop := b.run(b.rotator(b.store, nil))
		time.Sleep(time.Hour)
		stop()
		if n := b.slack.calls(); n != 0 {
			t.Fatalf("%d calls though nobody asked for it", n)
		}
		defer b.run(b.rotator(b.store, func(o *RotatorOptions) { o.Exchange = true }))()
		time.Sleep(time.Minute)
		if in := b.now(); in.Bot.Token != "token-1" || in.Bot.Refresh != "refresh-1" || in.Bot.Expires == nil || len(in.Bot.Scopes) != 1 {
			t.Errorf("%+v", in.Bot)
		}
		time.Sleep(9 * time.Hour)
		if n := b.slack.calls(); n != 1 || b.slack.asked[0] != "oauth.v2.exchange token-0" {
			t.Errorf("%q", b.slack.asked)
		}
	})
}

func TestRotationThatIsOffAtSlackIsNotAskedForAllTheTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.has(0)
		b.slack.fail = func(string, *runtime.Dict) (slackapi.Result, bool) {
			return slackapi.Failed("token_rotation_not_enabled", ""), true
		}
		r := b.rotator(b.store, func(o *RotatorOptions) { o.Exchange = true })
		defer b.run(r)()
		time.Sleep(150 * time.Minute)
		if n := b.slack.calls(); n != 3 {
			t.Errorf("%d calls", n)
		}
		if in := b.now(); !in.Bot.Usable() || in.Broken != "" {
			t.Errorf("%+v", in)
		}
		if p := r.Problems(); len(p) != 1 || !strings.Contains(p[0].String(), "switch token rotation on") {
			t.Errorf("%v", p)
		}
	})
}

func TestRevokedAndBrokenTokensAreLeftAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		in := b.has(tokenLife)
		in.Bot.Revoke("the app was uninstalled")
		if _, err := b.store.Put(t.Context(), in); err != nil {
			t.Fatal(err)
		}
		defer b.run(b.rotator(b.store, nil))()
		time.Sleep(24 * time.Hour)
		if n := b.slack.calls(); n != 0 {
			t.Errorf("%q", b.slack.asked)
		}
	})
}
