package star

import (
	"go.starlark.net/syntax"

	"github.com/starling-rules/starling/runtime"
)

// callSite is a call in the source that may register a rule.
type callSite struct {
	start syntax.Position
	args  []syntax.Expr
}

// argPos returns the places of the arguments by the names of the parameters.
// Values of keyword arguments are meant, not their names.
func (c *callSite) argPos(b *runtime.Builtin) map[string]runtime.Position {
	out := make(map[string]runtime.Position, len(c.args))
	next := 0
	for _, a := range c.args {
		if kw, ok := a.(*syntax.BinaryExpr); ok && kw.Op == syntax.EQ {
			out[kw.X.(*syntax.Ident).Name] = position(syntax.Start(kw.Y))
			continue
		}
		if u, ok := a.(*syntax.UnaryExpr); ok && (u.Op == syntax.STAR || u.Op == syntax.STARSTAR) {
			return out // what follows cannot be told
		}
		for next < len(b.Params) && (b.Params[next].Named || b.Params[next].Rest) {
			next++
		}
		if next == len(b.Params) {
			break
		}
		if q := b.Params[next]; !q.Variadic {
			out[q.Name] = position(syntax.Start(a))
			next++
		} else if _, ok := out[q.Name]; !ok {
			out[q.Name] = position(syntax.Start(a))
		}
	}
	return out
}
