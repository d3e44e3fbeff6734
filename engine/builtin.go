package engine

import (
	"cmp"
	"context"
	"fmt"

	"github.com/starling-rules/starling/engine/door"
	"github.com/starling-rules/starling/runtime"
)

// Builtin is a Go function that scripts can call by a dotted name of its own.
// It runs in the server, as an effect: through the door, journaled, with the
// script suspended meanwhile. It is documented like every other built-in.
type Builtin struct {
	// Name is dotted, so that it cannot clash with Starling's own:
	// "tickets.create".
	Name string
	// Doc is one line; Params are the parameters with their types and docs.
	Doc    string
	Params []runtime.Param
	// Result is what Do returns, in words, if that is no dict: "string", "list
	// of tickets". Empty: a dict, whose fields scripts can read as r.ok.
	Result string
	// Idempotent functions are called again if a crash hides their outcome;
	// others are not, and the script gets .ok = False, .error = "interrupted".
	Idempotent bool
	// Do is called from many goroutines. Its error is raised in the script.
	// args holds the arguments by name; run says who asks.
	Do func(ctx context.Context, run *door.Run, args *runtime.Dict) (runtime.Value, error)
}

// library adds the embedder's built-ins to the library, and returns their
// handlers.
func (e *Engine) library() (*runtime.Library, door.Live, error) {
	lib, err := Extend(e.o.Library, e.o.Builtins...)
	if err != nil {
		return nil, nil, err
	}
	own := door.Live{}
	for _, b := range e.o.Builtins {
		repeat := door.Never
		if b.Idempotent {
			repeat = door.Again
		}
		own[b.Name] = door.Handler{
			Do: func(ctx context.Context, r *door.Run, ef runtime.Effect) (runtime.Value, error) {
				if r.DryRun {
					return runtime.NewDict("ok", true), nil
				}
				v, err := b.Do(ctx, r, ef.Args)
				if err == nil && b.Result == "" && !isDict(v) {
					return nil, fmt.Errorf("%s returned %T, which is no dict: its declaration lacks Result", b.Name, v)
				}
				return v, err
			},
			Repeat: door.Always(repeat),
		}
	}
	return lib, own, nil
}

// isDict tells whether scripts see a value as a dict; none is an empty one.
func isDict(v runtime.Value) bool {
	switch v := v.(type) {
	case nil, *runtime.Dict:
		return true
	case *runtime.View:
		return v.IsDict()
	case runtime.JSON:
		w, err := runtime.ParseView([]byte(v))
		return err == nil && w.IsDict()
	}
	return false
}

// Extend returns a library with the declarations of more built-ins. Worker
// processes of a program with built-ins of its own need the same library.
func Extend(lib *runtime.Library, builtins ...Builtin) (*runtime.Library, error) {
	if len(builtins) == 0 {
		return lib, nil
	}
	more := make([]*runtime.Builtin, len(builtins))
	for i, b := range builtins {
		if b.Do == nil {
			return nil, fmt.Errorf("built-in %s: Do is missing", b.Name)
		}
		more[i] = &runtime.Builtin{Name: b.Name, Doc: b.Doc, Params: b.Params, Result: cmp.Or(b.Result, "result"), Purity: runtime.Asks}
	}
	return runtime.NewLibrary(lib.All(), more)
}
