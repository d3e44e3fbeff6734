package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"

	"github.com/valyala/fasthttp"

	"github.com/starling-rules/starling/engine"
	"github.com/starling-rules/starling/engine/config"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/ingress"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/runtime"
)

// contest serves as one of the contestants until its input ends, after
// printing its address.
func contest(name, dir string) error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error, 1)
	switch name {
	case "bare", "hmac":
		handler := func(ctx *fasthttp.RequestCtx) { ctx.SetStatusCode(fasthttp.StatusOK) }
		if name == "hmac" {
			handler = verified
		}
		s := &fasthttp.Server{Handler: handler, NoDefaultServerHeader: true}
		go func() { done <- s.Serve(ln) }()
	case "nostore":
		s, err := ingress.New(ingress.Options{Listener: ln, Secrets: []ingress.Secret{{Value: secret}}, Sink: forgetful{}})
		if err != nil {
			return err
		}
		go func() { done <- s.Run(ctx) }()
	case "stored":
		engine.TuneMemory() // as the server does
		e, store, err := stored(ctx, ln, dir)
		if err != nil {
			return err
		}
		defer func() {
			st := store.Stats()
			fmt.Printf("%.1f events/write\n", float64(st.Events)/float64(max(st.Groups, 1)))
			_ = store.Close(context.Background())
		}()
		go func() { done <- e.Run(ctx) }()
		<-e.Started()
	default:
		return fmt.Errorf("unknown contestant %q", name)
	}
	fmt.Println(ln.Addr())
	go func() { _, _ = io.Copy(io.Discard, os.Stdin); cancel(); _ = ln.Close() }()
	return <-done
}

// verified is what any receiver of Slack's requests must do, and no more.
func verified(ctx *fasthttp.RequestCtx) {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("v0:"))
	mac.Write(ctx.Request.Header.Peek("X-Slack-Request-Timestamp"))
	mac.Write([]byte(":"))
	mac.Write(ctx.PostBody())
	var want [3 + 2*sha256.Size]byte
	copy(want[:], "v0=")
	hex.Encode(want[3:], mac.Sum(nil))
	if !hmac.Equal(want[:], ctx.Request.Header.Peek("X-Slack-Signature")) {
		ctx.SetStatusCode(fasthttp.StatusUnauthorized)
	}
}

// forgetful is a sink without a store.
type forgetful struct{}

func (forgetful) Accept(context.Context, *event.Event) error { return nil }

func (forgetful) AcceptAnswered(context.Context, *event.Event) (*event.Answer, error) {
	return nil, nil
}

// stored is the whole server with its embedded store, fsync before each ack,
// and no rules: what it does after an ack is matching.
func stored(ctx context.Context, ln net.Listener, dir string) (*engine.Engine, queue.Store, error) {
	rules := filepath.Join(dir, "rules")
	if err := os.MkdirAll(rules, 0o755); err != nil {
		return nil, nil, err
	}
	cfg := config.Default()
	cfg.Rules, cfg.Data, cfg.Admin = []string{rules}, filepath.Join(dir, "data"), ""
	cfg.Slack.SigningSecrets = []string{secret}
	lib, err := runtime.NewLibrary()
	if err != nil {
		return nil, nil, err
	}
	store, err := engine.OpenStore(ctx, cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, nil, err
	}
	e, err := engine.New(ctx, engine.Options{
		Config: cfg, Library: lib, Listener: ln, Store: store,
		Pool: func(runtime.Host) (runtime.Pool, error) {
			return runtime.NewLocal(nil, runtime.LocalOptions{}), nil
		},
	})
	return e, store, err
}
