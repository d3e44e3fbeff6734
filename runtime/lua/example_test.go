package lua_test

import (
	"context"
	"fmt"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/lua"
	"github.com/starling-rules/starling/runtime/runtimetest"
)

// A bundle is loaded once; each call is a pass over one of its functions.
func Example() {
	lang, err := lua.New(runtimetest.Host())
	if err != nil {
		fmt.Println(err)
		return
	}
	src := `on.message("hi", function(e) return "hello " .. e.user end)`
	bundle := runtime.NewBundle("lua", "hello.lua", map[string][]byte{"hello.lua": []byte(src)}, nil)
	module, manifest, err := lang.Load(context.Background(), bundle, runtime.Limits{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fn, _ := manifest.Registrations[0].Args.Get("fn")
	reply := module.Run(context.Background(), &runtime.Call{Func: fn.(runtime.Func).Index, When: -1, Input: []byte(`{"user": "U1"}`)})
	fmt.Println(reply.Status, reply.Return)
	// Output: done hello U1
}
