package scripttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/starling-rules/starling/engine/door"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/runtime"
)

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// stubHTTP is t.http.stub.
func stubHTTP(w *world, x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	s := &httpStub{
		method: strings.ToUpper(a.Text("method")), glob: a.Text("url"), status: int(a.Int("status", 200)), header: http.Header{},
		failed: a.Text("error"), delay: a.Duration("delay", 0), times: int(a.Int("times", 0)), may: a.Bool("may", false), at: x.Pos(),
	}
	if s.status < 100 || s.status > 599 {
		return nil, fmt.Errorf("t.http.stub: %d is no HTTP status", s.status)
	}
	if v, ok := a.Get("json"); ok {
		body, err := runtime.AppendJSON(nil, plain(v))
		if err != nil {
			return nil, fmt.Errorf("t.http.stub: json: %w", err)
		}
		s.body = body
		s.header.Set("Content-Type", "application/json")
	}
	if a.Has("text") {
		if s.body != nil {
			return nil, errors.New("t.http.stub: json and text exclude each other")
		}
		s.body = []byte(a.Text("text"))
		s.header.Set("Content-Type", "text/plain; charset=utf-8")
	}
	if d := a.Map("headers"); d != nil {
		for _, f := range d.Fields {
			s.header.Set(f.Key, text(f.Value))
		}
	}
	w.web.stubs = append(w.web.stubs, s)
	return nil, nil
}

// stubSlack is t.slack.stub.
func stubSlack(w *world, x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	w.slack.stubs = append(w.slack.stubs, &slackStub{
		method: a.Text("method"), answer: a.Map("json"), failed: a.Text("error"),
		times: int(a.Int("times", 0)), may: a.Bool("may", false), at: x.Pos(),
	})
	return nil, nil
}

func knowUser(w *world, _ *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	id := w.s.r.names.user(a.Text("name"))
	return id, w.prepare(func() error {
		w.slack.know(&w.slack.users, w.s.r.names.name(id))
		return nil
	})
}

func knowChannel(w *world, _ *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	id := w.s.r.names.channel(a.Text("name"))
	return id, w.prepare(func() error {
		w.slack.know(&w.slack.channels, w.s.r.names.name(id))
		return nil
	})
}

// prepare does something to the world, now and whenever it is made new.
func (w *world) prepare(f func() error) error {
	w.setup = append(w.setup, f)
	return f()
}

func listRequests(w *world, _ *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := runtime.List{}
	for _, r := range w.web.requests {
		if u := a.Text("url"); u == "" || glob(u, r.url) {
			out = append(out, r.dict())
		}
	}
	return data(out), nil
}

func listCalls(w *world, _ *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := runtime.List{}
	for _, c := range w.slack.calls {
		if m := a.Text("method"); m == "" || glob(m, c.method) {
			out = append(out, c.dict())
		}
	}
	return data(out), nil
}

// begun refuses what has to come before the first event.
func (w *world) begun(what string) error {
	if w.disp == nil {
		return nil
	}
	return &runtime.Error{Kind: runtime.RunError, Msg: what + " comes too late: the rules are running", Hint: "write it before the first event of the test"}
}

// chooseRules is t.rules.
func chooseRules(w *world, _ *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	if err := w.begun("t.rules"); err != nil {
		return nil, err
	}
	w.scripts = []string{}
	for _, v := range a.List("scripts") {
		p, err := w.s.named(v.(string))
		if err != nil {
			return nil, fmt.Errorf("t.rules: %w", err)
		}
		w.scripts = append(w.scripts, p)
	}
	return nil, nil
}

// subject is the script that t.config and t.kv are about.
func (w *world) subject(a *runtime.Args) (string, error) {
	if name := a.Text("script"); name != "" {
		return w.s.named(name)
	}
	paths := w.scripts
	if paths == nil {
		paths = w.s.ownScript()
	}
	if len(paths) == 0 {
		return "", errors.New("there is no script under test: name it with t.rules, or with script =")
	}
	return paths[0], nil
}

// changeConfig is t.config.
func changeConfig(w *world, _ *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	if err := w.begun("t.config"); err != nil {
		return nil, err
	}
	script, err := w.subject(a)
	if err != nil {
		return nil, fmt.Errorf("t.config: %w", err)
	}
	cfg := &runtime.Dict{}
	stem := strings.TrimSuffix(script, path.Ext(script))
	for _, k := range []string{path.Base(stem), stem, script} { // what is more precise comes later
		for _, from := range []runtime.Value{w.s.cfg.RulesConfig[k], w.config[k]} {
			if d, ok := plain(from).(*runtime.Dict); ok {
				cfg = d.Clone()
			}
		}
	}
	for _, from := range []string{"values", "more"} {
		if d := a.Map(from); d != nil {
			for _, f := range d.Fields {
				cfg.Set(f.Key, plain(f.Value))
			}
		}
	}
	w.config[script] = cfg
	return nil, nil
}

func changeSecret(w *world, _ *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	w.secrets[a.Text("name")] = a.Text("value")
	return nil, nil
}

func (w *world) kvKey(a *runtime.Args) (string, error) {
	script, err := w.subject(a)
	if err != nil {
		return "", err
	}
	return door.KVSpace(script, a.Bool("shared", false)) + a.Text("key"), nil
}

func kvGet(w *world, _ *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	key, err := w.kvKey(a)
	if err != nil {
		return nil, fmt.Errorf("t.kv.get: %w", err)
	}
	b, err := w.store.State().Get(context.Background(), key)
	if errors.Is(err, queue.ErrNotFound) {
		v, _ := a.Get("default")
		return plain(v), nil
	}
	if err != nil {
		return nil, fmt.Errorf("t.kv.get: %w", err)
	}
	return runtime.Decode(bytes.Clone(b))
}

func kvSet(w *world, _ *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	key, err := w.kvKey(a)
	if err != nil {
		return nil, fmt.Errorf("t.kv.set: %w", err)
	}
	v, _ := a.Get("value")
	b := runtime.Encode(nil, plain(v))
	return nil, w.prepare(func() error {
		w.count++
		_, err := w.store.State().Update(context.Background(), key, fmt.Sprintf("test.%d", w.count), false, func([]byte, bool) (queue.Change, error) {
			return queue.Change{Value: b}, nil
		})
		return err
	})
}

// makeLike is t.like.
func makeLike(_ *world, _ *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	glob, isGlob := a.Get("glob")
	v, isRegexp := a.Get("re")
	if isGlob == isRegexp {
		return nil, errors.New("t.like: give it a text with *, or re =")
	}
	if isGlob {
		return runtime.Regexp{Pattern: globRegexp(glob.(string))}, nil
	}
	r, ok := v.(runtime.Regexp)
	if !ok {
		r.Pattern, _ = v.(string)
	}
	if _, err := regexp.Compile(r.Pattern); err != nil {
		return nil, fmt.Errorf("t.like: %w", err)
	}
	return r, nil
}
