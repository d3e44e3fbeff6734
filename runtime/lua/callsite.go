package lua

import (
	"github.com/yuin/gopher-lua/ast"

	"github.com/starling-rules/starling/runtime"
)

// This file notes where calls that register rules have their arguments.

// callSite is a call in the source that may register a rule.
type callSite struct {
	start   runtime.Position
	args    []runtime.Position
	options map[string]runtime.Position // of a last table of named values
}

func (r *rewriter) registers(name string) bool {
	if r.lang.host.Library == nil {
		return false
	}
	b := r.lang.host.Library.Lookup(name)
	return b != nil && b.Purity == runtime.Register
}

// site notes where the arguments of a call are.
func (r *rewriter) site(e *ast.FuncCallExpr) *callSite {
	s := &callSite{start: r.src.at(e.Line())}
	for _, a := range e.Args {
		s.args = append(s.args, r.src.at(a.Line()))
	}
	if n := len(e.Args); n > 0 {
		if t, ok := e.Args[n-1].(*ast.TableExpr); ok {
			s.options = map[string]runtime.Position{}
			for _, f := range t.Fields {
				if key, ok := f.Key.(*ast.StringExpr); ok {
					s.options[key.Value] = r.src.at(f.Value.Line())
				}
			}
		}
	}
	return s
}
