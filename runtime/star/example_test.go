package star_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/star"
)

// A host lends a library of built-ins, loads a script and runs what the
// script registered.
func ExampleNew() {
	lib, err := runtime.NewLibrary([]*runtime.Builtin{
		{Name: "on.greeting", Purity: runtime.Register, Params: []runtime.Param{{Name: "fn", Type: runtime.TFunc}}},
		{Name: "shout", Params: []runtime.Param{{Name: "text", Type: runtime.TString}}, Fn: func(_ *runtime.Context, a *runtime.Args) (runtime.Value, error) {
			return strings.ToUpper(a.Text("text")), nil
		}},
	})
	if err != nil {
		panic(err)
	}
	lang, err := star.New(runtime.Host{Library: lib})
	if err != nil {
		panic(err)
	}
	pool := runtime.NewLocal([]runtime.Language{lang}, runtime.LocalOptions{})
	defer func() { _ = pool.Close(context.Background()) }()

	src := "on.greeting(lambda name: shout(\"hello \" + name))\n"
	bundle := runtime.NewBundle("starlark", "greet.star", map[string][]byte{"greet.star": []byte(src)}, nil)
	manifest, err := pool.Load(context.Background(), bundle)
	if err != nil {
		panic(err)
	}
	fn, _ := manifest.Registrations[0].Args.Get("fn")
	reply, err := pool.Run(context.Background(), &runtime.Call{
		Script: bundle.Digest, Func: fn.(runtime.Func).Index, When: -1, Extra: []runtime.Value{"Ada"},
	})
	if err != nil {
		panic(err)
	}
	fmt.Println(reply.Status, reply.Return)
	// Output: done HELLO ADA
}
