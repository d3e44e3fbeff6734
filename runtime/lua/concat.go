package lua

import "github.com/yuin/gopher-lua/ast"

// This file rewrites operators: it finds where they stand, and makes one call
// of a chain of joins.

// operator finds the place of a binary operator before its right operand.
func (r *rewriter) operator(rhs ast.Expr, op string, otherwise int) int {
	line := rhs.Line()
	for i := r.src.index(line); i > 0; {
		i--
		line--
		for line > 0 && r.src.index(line) > i {
			line--
		}
		switch t := r.src.tokens[i].text; {
		case t == op:
			if r.src.index(line) == i {
				return line
			}
			return otherwise
		case t != "(" && t != "-" && t != "not" && t != "#":
			return otherwise
		}
	}
	return otherwise
}

// concat makes one call of a chain of .. with its operands. The chain nests to
// the right, so it is followed without recursion.
func (r *rewriter) concat(e *ast.StringConcatOpExpr) ast.Expr {
	line := r.operator(e.Rhs, "..", e.Line())
	var parts []ast.Expr
	for {
		parts = append(parts, e.Lhs)
		next, ok := e.Rhs.(*ast.StringConcatOpExpr)
		if !ok || r.src.parenthesised(next) {
			parts = append(parts, e.Rhs)
			break
		}
		e = next
	}
	r.exprs(parts)
	for len(parts) > maxJoined {
		n := len(parts) - maxJoined
		parts = append(parts[:n:n], guard(catName, line, parts[n:]...))
	}
	return guard(catName, line, parts...)
}

// parenthesised tells whether an expression begins with a bracket of its own.
func (s *source) parenthesised(e ast.Expr) bool {
	t := s.token(e.Line())
	return t != nil && t.text == "("
}
