package lsp

import (
	"sort"
	"strings"

	"github.com/starling-rules/starling/cmd/starling/internal/lex"
	"github.com/starling-rules/starling/runtime"
)

// site is what stands at a place in a document.
type site struct {
	d      *document
	offset int
	// token is the index of the token that the place is in or right behind;
	// -1 if there is none.
	token int
	// inText and inComment tell that the place is within such a token.
	inText, inComment bool
}

// site looks at a place.
func (d *document) site(offset int) *site {
	s := &site{d: d, offset: offset}
	s.token = sort.Search(len(d.tokens), func(i int) bool { return d.tokens[i].Start >= offset }) - 1
	if s.token < 0 {
		return s
	}
	switch t := d.tokens[s.token]; t.Kind {
	case lex.Comment:
		line := d.position(offset).Line == d.position(t.End).Line
		s.inComment = offset < t.End || offset == t.End && line && !strings.HasSuffix(t.Text(d.text), "]]")
	case lex.String:
		s.inText = offset >= t.Start+t.Open && offset <= t.End-t.Close
	}
	return s
}

func (d *document) is(i int, text string) bool {
	return i >= 0 && i < len(d.tokens) && d.tokens[i].Kind != lex.String && d.tokens[i].Kind != lex.Comment && d.tokens[i].Text(d.text) == text
}

func (d *document) ident(i int) string {
	if i >= 0 && i < len(d.tokens) && d.tokens[i].Kind == lex.Ident {
		return d.tokens[i].Text(d.text)
	}
	return ""
}

// before is the index of the token before i that is neither a comment nor the
// end of a line; -1 if there is none.
func (d *document) before(i int) int {
	for i--; i >= 0 && (d.tokens[i].Kind == lex.Comment || d.tokens[i].Kind == lex.Newline); i-- {
	}
	return i
}

// after is the index of the token after i that is neither a comment nor the
// end of a line; len(tokens) if there is none.
func (d *document) after(i int) int {
	for i++; i < len(d.tokens) && (d.tokens[i].Kind == lex.Comment || d.tokens[i].Kind == lex.Newline); i++ {
	}
	return i
}

// chain is the dotted name that ends with the identifier at token i, and where
// it begins: "kv.shared.get". What a call returns is named after what was
// called: "t.expect.replied" is t.expect(run).replied. A name after an index
// has no chain.
func (d *document) chain(i int) (name string, first int) {
	name, first = d.ident(i), i
	if name == "" {
		return "", i
	}
	for parts := 1; d.is(first-1, "."); parts++ {
		owner := first - 2
		if d.is(owner, ")") {
			owner = d.pair[owner] - 1
		}
		if d.ident(owner) == "" || parts == maxParts {
			return "", first
		}
		name, first = d.ident(owner)+"."+name, owner
	}
	return name, first
}

// maxParts bounds dotted names; those of built-ins have three parts.
const maxParts = 8

// prefix is the name being typed at the site, and the chain before its last
// dot; dotted tells that there is a dot at all.
func (s *site) prefix() (typed, owner string, dotted bool) {
	i, d := s.token, s.d
	if i >= 0 && d.ident(i) != "" && s.offset <= d.tokens[i].End {
		typed = d.text[d.tokens[i].Start:s.offset]
		i--
	}
	// The dot may be alone at the end: only what touches it counts.
	if i < 0 || !d.is(i, ".") || typed == "" && d.tokens[i].End != s.offset {
		return typed, "", false
	}
	if i--; d.is(i, ")") {
		i = d.pair[i] - 1
	}
	owner, _ = d.chain(i)
	return typed, owner, true
}

// call is a call that a place is within.
type call struct {
	name  string // dotted; empty if what is called is no name
	open  int    // token of the opening bracket
	inner int    // token of the innermost open bracket around the place
	// commas is how many arguments are complete before the place; keyword the
	// name of the argument that the place is in, if it is given by name.
	commas  int
	keyword string
	// table tells that the place is right within a table (Lua) that is an
	// argument; its keyword is the key.
	table bool
}

// frame counts what lies between an open bracket and the place.
type frame struct {
	commas  int
	keyword string
	settled bool // the argument's beginning has been passed
}

// call finds the innermost call around the site; nil if there is none. A
// literal in brackets belongs to the argument that it is in.
func (s *site) call() *call {
	d := s.d
	var f frame
	depth, ends, inner := 0, 0, -1
	last := s.token
	if s.inText {
		last-- // the text itself is the argument
	}
	for i := last; i >= 0; i-- {
		t := d.tokens[i]
		if t.Kind == lex.String || t.Kind == lex.Comment || t.Kind == lex.Newline || t.Kind == lex.Number || t.End > s.offset {
			continue
		}
		switch text := t.Text(d.text); text {
		case ")", "]", "}":
			depth++
		case "(", "[", "{":
			if depth > 0 {
				depth--
				continue
			}
			if inner < 0 {
				inner = i
			}
			if text == "(" {
				if c := d.callAt(i); c != nil {
					c.commas, c.keyword, c.inner = f.commas, f.keyword, inner
					c.table = inner != i && d.is(inner, "{") && d.lua() && d.enclosedBy(inner, i)
					return c
				}
			}
			if !(d.lua() && text == "{" && inner == i) {
				f.keyword = ""
			}
			f.commas, f.settled = 0, f.keyword != ""
		case ",", ";":
			if depth == 0 {
				f.commas, f.settled = f.commas+1, true
			}
		case "=":
			if name := d.ident(i - 1); depth == 0 && !f.settled && name != "" && !d.is(i-2, ".") {
				f.keyword, f.settled = name, true
			}
		case "def", "load", "return", "function", "end", "if", "for", "while", "do", "repeat", "until", "local":
			if stop := d.statement(i, text, depth, &ends); stop {
				return nil
			}
		}
	}
	return nil
}

// statement tells whether a keyword means that brackets before it cannot hold
// the place: the statement begins here, whatever was left open above it.
func (d *document) statement(i int, text string, depth int, ends *int) bool {
	if !d.lua() {
		startsLine := i == 0 || d.tokens[i-1].Kind == lex.Newline
		column0 := d.tokens[i].Start == 0 || d.text[d.tokens[i].Start-1] == '\n'
		return startsLine && column0 || text == "def" || text == "return"
	}
	if depth > 0 {
		return false
	}
	switch text {
	case "end", "until":
		*ends++
	case "function", "if", "do", "repeat":
		if *ends > 0 {
			*ends--
			return false
		}
		return true // the place is in this block
	case "local", "return":
		return *ends == 0
	}
	return false
}

// callAt is the call whose opening parenthesis is token i.
func (d *document) callAt(i int) *call {
	if i == 0 {
		return nil
	}
	p := d.tokens[i-1]
	callee := d.ident(i-1) != "" && !keywords[d.ident(i-1)] || d.is(i-1, ")") || d.is(i-1, "]")
	if !callee || p.Kind == lex.String {
		return nil
	}
	name, first := d.chain(i - 1)
	if w := d.ident(first - 1); w == "def" || w == "function" {
		return nil // the parameters of a definition
	}
	return &call{name: name, open: i}
}

// enclosedBy tells that bracket inner is directly within bracket outer.
func (d *document) enclosedBy(inner, outer int) bool {
	depth := 0
	for i := inner - 1; i > outer; i-- {
		switch {
		case d.is(i, ")"), d.is(i, "]"), d.is(i, "}"):
			depth++
		case d.is(i, "("), d.is(i, "["), d.is(i, "{"):
			if depth == 0 {
				return false
			}
			depth--
		}
	}
	return true
}

// keywords are words of either language that are called by nobody.
var keywords = func() map[string]bool {
	out := map[string]bool{}
	for _, w := range strings.Fields("and or not if elif else for in while return def lambda pass break continue function local do end then elseif repeat until") {
		out[w] = true
	}
	return out
}()

// startsArgument tells that nothing but the name being typed stands between
// the site and the bracket or comma before it.
func (s *site) startsArgument() bool {
	i := s.token
	if s.d.ident(i) != "" && s.offset <= s.d.tokens[i].End {
		i--
	}
	i = s.d.before(i + 1)
	return s.d.is(i, "(") || s.d.is(i, ",") || s.d.is(i, "{") || s.d.is(i, ";")
}

// param is the parameter that the place in a call is for; nil if it is for none.
func (c *call) param(b *runtime.Builtin) *runtime.Param {
	if c.keyword != "" {
		for i := range b.Params {
			if p := &b.Params[i]; p.Name == c.keyword && !p.Rest && !p.Variadic {
				return p
			}
		}
		return rest(b)
	}
	n := 0
	for i := range b.Params {
		p := &b.Params[i]
		switch {
		case p.Variadic:
			return p
		case p.Named || p.Rest:
			return nil
		case n == c.commas:
			return p
		}
		n++
	}
	return nil
}

func rest(b *runtime.Builtin) *runtime.Param {
	if n := len(b.Params); n > 0 && b.Params[n-1].Rest {
		return &b.Params[n-1]
	}
	return nil
}
