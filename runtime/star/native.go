package star

import (
	"errors"
	"log/slog"

	"go.starlark.net/starlark"

	"github.com/starling-rules/starling/runtime"
)

// native is the Go side of a Starlark function.
type native = func(*starlark.Thread, *starlark.Builtin, starlark.Tuple, []starlark.Tuple) (starlark.Value, error)

// natives are the built-ins of kind Native: what a language must do itself.
var natives = map[string]native{
	"catch": catch,
	"type":  typeOfValue,
}

// typeName is what type(x) says: views are the dicts and lists they show.
func typeName(v starlark.Value) string {
	switch v := v.(type) {
	case *dictView:
		return v.typeName()
	case *calledView:
		return v.typeName()
	case *listView, *calledList:
		return "list"
	case *object:
		return v.obj.TypeName()
	case *pending:
		if v.result {
			return "result"
		}
	}
	return v.Type()
}

func typeOfValue(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var v starlark.Value
	if err := starlark.UnpackPositionalArgs(b.Name(), args, kwargs, 1, &v); err != nil {
		return nil, err
	}
	return starlark.String(typeName(v)), nil
}

// printLine writes a log line.
func printLine(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	text, err := words(t, b, args, kwargs)
	if err != nil {
		return nil, err
	}
	return starlark.None, passOf(t).ledger.Log(runtime.LogLine{Level: slog.LevelInfo, Text: text})
}

// fail ends the run with a message.
func fail(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	text, err := words(t, b, args, kwargs)
	if err != nil {
		return nil, err
	}
	return nil, &runtime.Error{Kind: runtime.RunError, Msg: text}
}

// catch calls a function and returns its value and None, or None and the text
// of its error. Suspension, limits and divergence pass through: a script must
// not be able to outlive them. So does abort, which is no error but an answer.
func catch(thread *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if len(args) == 0 {
		return nil, &runtime.Error{Kind: runtime.RunError, Msg: "catch: missing argument \"fn\" (function)", Hint: "write catch(fn, argument, …)"}
	}
	v, err := starlark.Call(thread, args[0], args[1:], kwargs)
	if err == nil {
		return newTuple(thread, starlark.Tuple{v, starlark.None})
	}
	p := passOf(thread)
	if p.stop != nil || errors.Is(err, suspension{}) {
		return nil, err
	}
	// The interpreter has written down the stack and the message, which may
	// quote a key of megabytes.
	if err := spend(thread, 20+thread.CallStackDepth()/2+len(err.Error())/16); err != nil {
		return nil, err
	}
	if own, ok := errors.AsType[*runtime.Error](err); ok && own.Kind == runtime.AbortError {
		return nil, err
	}
	if p.doubtful(err) {
		return nil, suspension{}
	}
	return starlark.Tuple{starlark.None, starlark.String(bounded(errorText(err)))}, nil
}
