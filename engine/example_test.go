package engine_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/starling-rules/starling/engine"
	"github.com/starling-rules/starling/engine/config"
	"github.com/starling-rules/starling/engine/door"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/star"
	"github.com/starling-rules/starling/stdlib"
)

// inProcess runs scripts in this process. A program that takes scripts from
// people it does not trust uses runtime/worker instead.
func inProcess(host runtime.Host) (runtime.Pool, error) {
	lang, err := star.New(host)
	if err != nil {
		return nil, err
	}
	return runtime.NewLocal([]runtime.Language{lang}, runtime.LocalOptions{}), nil
}

// A program embeds the engine, and gives its scripts a function of its own.
func Example() {
	rules, err := os.MkdirTemp("", "rules-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(rules)
	script := `on.event("team_join", lambda e: tickets.create(title = "Welcome " + e.user))`
	if err := os.WriteFile(filepath.Join(rules, "welcome.star"), []byte(script), 0o600); err != nil {
		fmt.Println(err)
		return
	}
	cfg := config.Default()
	cfg.Rules, cfg.Data, cfg.Admin = []string{rules}, "", "" // in memory, without an admin port
	cfg.Listen = "127.0.0.1:0"

	created := make(chan string, 1)
	lib, err := stdlib.Library()
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	e, err := engine.New(ctx, engine.Options{
		Config: cfg, Library: lib, Pool: inProcess,
		Builtins: []engine.Builtin{{
			Name: "tickets.create", Doc: "Create a ticket.",
			Params: []runtime.Param{{Name: "title", Type: runtime.TString, Doc: "What it is about."}},
			Do: func(_ context.Context, _ *door.Run, args *runtime.Dict) (runtime.Value, error) {
				created <- args.Text("title")
				return runtime.NewDict("ok", true), nil
			},
		}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	<-e.Started()

	// Slack would send this over HTTP; an embedder can also hand events in.
	ev := &event.Event{ID: "Ev1", Kind: event.Other, Type: "team_join", Team: "T1", User: "U1", Raw: []byte(`{}`)}
	if err := e.Accept(ctx, ev); err != nil {
		fmt.Println(err)
	}
	fmt.Println(<-created)
	stop()
	fmt.Println(<-done)
	// Output:
	// Welcome U1
	// <nil>
}
