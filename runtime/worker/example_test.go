package worker_test

import (
	"context"
	"fmt"
	"time"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/worker"
)

// A program that uses the pool asks worker.IsChild(os.Args) first of all in
// main, and if that is true exits with what worker.Main returns. In tests,
// TestMain does so.
func ExampleNew() {
	ctx := context.Background()
	pool, err := worker.New(worker.Options{
		Workers: 2,
		Memory:  memory,
		Limits:  runtime.Limits{Deadline: time.Second},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer pool.Close(ctx)

	script := runtime.NewBundle("starlark", "hello.star", map[string][]byte{"hello.star": []byte(`
def hello(e):
    return "hello, " + e.user

on.message("hello", hello)
`)}, nil)
	manifest, err := pool.Load(ctx, script)
	if err != nil {
		fmt.Println(err)
		return
	}
	fn, _ := manifest.Registrations[0].Args.Get("fn")
	reply, err := pool.Run(ctx, &runtime.Call{
		Script: script.Digest, Func: fn.(runtime.Func).Index, When: -1,
		Input: []byte(`{"user": "U1"}`), RunID: "run-1", Now: time.Now(),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(reply.Status, reply.Return)
	// Output: done hello, U1
}
