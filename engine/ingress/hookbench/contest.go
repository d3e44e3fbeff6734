package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/fasthttp/router"
	"github.com/valyala/fasthttp"
	"github.com/valyala/fastjson"

	"github.com/starling-rules/starling/engine"
	"github.com/starling-rules/starling/engine/config"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/hook"
	"github.com/starling-rules/starling/engine/ingress"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/rules"
)

// script is the rules: the same handler behind each of the patterns.
func script() string {
	return fmt.Sprintf(`def handle(e):
    return {"repo": e.params.repo, "n": e.params.n, "action": e.json["action"]}

for i in range(%d):
    on.webhook("POST /hooks/%%d/{repo}/pulls/{n:int}" %% i, handle, open = True)
`, patterns)
}

var filler = strings.Repeat("lorem ipsum dolor sit amet ", 30)

// request is the n-th request: each has a pattern of its own, then again.
func request(n int64) []byte {
	body := fmt.Sprintf(`{"action":"opened","number":%d,"pull_request":{"title":"Change %d","body":%q,"user":{"login":"ada","id":1},"labels":[]}}`, n, n, filler)
	return fmt.Appendf(nil, "POST /hooks/%d/starling/pulls/%d HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nUser-Agent: hookbench\r\nContent-Length: %d\r\n\r\n%s",
		n%patterns, n, len(body), body)
}

// want is the answer to the n-th request.
func want(repo string, n int64, action string) string {
	return fmt.Sprintf(`{"repo":%q,"n":%d,"action":%q}`, repo, n, action)
}

// right wants the answer to the n-th request to be right.
func right(status int, body []byte, n int64) error {
	if status != http.StatusOK || string(body) != want("starling", n, "opened") {
		return fmt.Errorf("request %d: status %d: %s", n, status, body)
	}
	return nil
}

// compiled is the handler in Go.
func compiled(repo string, n int64, body []byte) (string, error) {
	v, err := fastjson.ParseBytes(body)
	if err != nil {
		return "", err
	}
	return want(repo, n, string(v.GetStringBytes("action"))), nil
}

// contest serves as one of the compiled contestants until its input ends,
// after printing its address.
func contest(name, dir string) error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error, 1)
	switch name {
	case "router":
		s := &fasthttp.Server{Handler: routed().Handler, NoDefaultServerHeader: true}
		go func() { done <- s.Serve(ln) }()
	case "stored":
		if err := stored(ctx, ln, dir, done); err != nil {
			return err
		}
	default:
		return fmt.Errorf("unknown contestant %q", name)
	}
	fmt.Println(ln.Addr())
	go func() { _, _ = io.Copy(io.Discard, os.Stdin); cancel(); _ = ln.Close() }()
	return <-done
}

// routed is the 200 patterns in fasthttp/router, with compiled handlers.
func routed() *router.Router {
	r := router.New()
	for i := range patterns {
		r.POST(fmt.Sprintf("/hooks/%d/{repo}/pulls/{n:[0-9]+}", i), func(ctx *fasthttp.RequestCtx) {
			n, err := strconv.ParseInt(ctx.UserValue("n").(string), 10, 64)
			if err != nil {
				ctx.Error("not found", fasthttp.StatusNotFound)
				return
			}
			text, err := compiled(ctx.UserValue("repo").(string), n, ctx.PostBody())
			if err != nil {
				ctx.Error(err.Error(), fasthttp.StatusBadRequest)
				return
			}
			ctx.SetContentType("application/json")
			ctx.SetBodyString(text)
		})
	}
	return r
}

// stored is Starling's way in and its store, with the compiled handler in the
// place of matching, workers and journal.
func stored(ctx context.Context, ln net.Listener, dir string, done chan<- error) error {
	engine.TuneMemory() // as the server does
	cfg := config.Default()
	cfg.Data = filepath.Join(dir, "data")
	store, err := engine.OpenStore(ctx, cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	var list []*rules.Rule
	for i := range patterns {
		h, err := rules.ParseRoute(fmt.Sprintf("POST /hooks/%d/{repo}/pulls/{n:int}", i))
		if err != nil {
			return err
		}
		list = append(list, &rules.Rule{ID: h.Path, Kind: event.Webhook, Answers: true, Hook: h, Options: rules.Options{Enabled: true}})
	}
	sink := &keeper{store: store, set: rules.NewSet(list, nil)}
	s, err := ingress.New(ingress.Options{Listener: ln, Sink: sink, Webhooks: sink})
	if err != nil {
		return err
	}
	go func() { _ = store.Consume(ctx, 4096, func(d queue.Delivery) { d.Settle() }) }()
	go func() {
		err := s.Run(ctx)
		_ = store.Close(context.Background())
		done <- err
	}()
	return nil
}

// keeper stores each event and answers with the compiled handler.
type keeper struct {
	store queue.Store
	set   *rules.Set
}

func (k *keeper) Route(method, path string) (*ingress.Route, []string) {
	rule, allow := k.set.Hook(method, path)
	if rule == nil {
		return nil, allow
	}
	return &ingress.Route{Lock: hook.Lock{Open: true}, CheckBody: rule.Hook.CheckBody}, nil
}

func (k *keeper) Accept(ctx context.Context, e *event.Event) error {
	return k.store.Put(ctx, queue.Record{ID: e.ID, Key: e.Conversation(), Body: e.Encode(nil), Local: e})
}

func (k *keeper) AcceptAnswered(ctx context.Context, e *event.Event) (*event.Answer, error) {
	if err := k.Accept(ctx, e); err != nil {
		return nil, err
	}
	_, params, _, _ := k.set.Webhook(e.Request.Method, e.Request.Path)
	n, _ := params.Get("n")
	text, err := compiled(params.Text("repo"), n.(int64), e.Raw)
	if err != nil {
		return nil, err
	}
	return &event.Answer{ContentType: "application/json", Body: []byte(text)}, nil
}
