package rules

import (
	"regexp/syntax"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of literal extraction: more alternatives cost more than they prune.
const (
	maxExact   = 16
	maxLiteral = 64 // bytes; longer literals are cut
	maxSingle  = 4  // a larger set with a single letter in it is in every text
)

// literals returns sets of texts, each of which has the property that every
// text in which the regex is found contains at least one of its members, when
// ASCII letters are compared without case. No set means that nothing is known.
//
// It is the analysis of RE2's prefilter: a node has either a small exact set
// of the texts it can match, or sets that are required of its matches.
func literals(pattern string) [][]string {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil
	}
	n := analyse(re)
	n.flush()
	return n.required
}

// node is what is known of the texts that a part of a regex matches.
type node struct {
	exact    []string // nil: not known
	required [][]string
}

var nothing = node{}

func exactly(s ...string) node { return node{exact: s} }

// flush turns the exact set into a required one.
func (n *node) flush() {
	n.required, n.exact = require(n.required, n.exact), nil
}

// minimal drops texts that contain another of the set: the other suffices.
func minimal(set []string) []string {
	out := set[:0:0]
	for i, s := range set {
		keep := true
		for j, t := range set {
			if i != j && strings.Contains(s, t) && (s != t || j < i) {
				keep = false
			}
		}
		if keep {
			out = append(out, s[:min(len(s), maxLiteral)])
		}
	}
	return out
}

func analyse(re *syntax.Regexp) node {
	switch re.Op {
	case syntax.OpNoMatch:
		return nothing
	case syntax.OpEmptyMatch, syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText,
		syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return exactly("")
	case syntax.OpLiteral:
		return literalNode(re.Rune, re.Flags&syntax.FoldCase != 0)
	case syntax.OpCharClass:
		return classNode(re.Rune)
	case syntax.OpCapture:
		return analyse(re.Sub[0])
	case syntax.OpQuest:
		if n := analyse(re.Sub[0]); n.exact != nil && len(n.exact) < maxExact {
			return exactly(union(n.exact, []string{""})...)
		}
		return nothing
	case syntax.OpPlus:
		return onceOrMore(re.Sub[0])
	case syntax.OpRepeat:
		if re.Min > 0 {
			return onceOrMore(re.Sub[0])
		}
		return nothing
	case syntax.OpConcat:
		return concat(re.Sub)
	case syntax.OpAlternate:
		return alternate(re.Sub)
	}
	return nothing // any character, star
}

// onceOrMore requires what one repetition requires.
func onceOrMore(sub *syntax.Regexp) node {
	n := analyse(sub)
	n.flush()
	return n
}

// concat multiplies exact sets as long as they stay small, and requires what
// each stretch requires.
func concat(subs []*syntax.Regexp) node {
	exact, whole := []string{""}, true
	var required [][]string
	for _, sub := range subs {
		n := analyse(sub)
		if n.exact != nil && len(exact)*len(n.exact) <= maxExact {
			exact = product(exact, n.exact)
			continue
		}
		whole = false
		required = append(require(required, exact), n.required...)
		exact = n.exact
		if exact == nil {
			exact = []string{""}
		}
	}
	if whole {
		return exactly(exact...)
	}
	return node{required: require(required, exact)}
}

// require adds an exact set to the required ones, if it says anything.
func require(required [][]string, exact []string) [][]string {
	if len(exact) == 0 || shortest(exact) == 0 || shortest(exact) == 1 && len(exact) > maxSingle {
		return required
	}
	return append(required, minimal(exact))
}

// alternate is exact if every branch is; else it needs something of every
// branch, and takes the best set of each.
func alternate(subs []*syntax.Regexp) node {
	nodes := make([]node, len(subs))
	exact, all := []string{}, true
	for i, sub := range subs {
		nodes[i] = analyse(sub)
		all = all && nodes[i].exact != nil
		exact = union(exact, nodes[i].exact)
	}
	if all && len(exact) <= maxExact {
		return exactly(exact...)
	}
	var required []string
	for i := range nodes {
		nodes[i].flush()
		best := bestSet(nodes[i].required)
		if best == nil {
			return nothing
		}
		required = union(required, best)
	}
	if len(required) > 4*maxExact {
		return nothing
	}
	return node{required: [][]string{minimal(required)}}
}

// bestSet prefers the set whose shortest text is longest.
func bestSet(sets [][]string) []string {
	var best []string
	for _, s := range sets {
		if best == nil || shortest(s) > shortest(best) {
			best = s
		}
	}
	return best
}

func shortest(set []string) int {
	n := 1 << 30
	for _, s := range set {
		n = min(n, len(s))
	}
	return n
}

func product(a, b []string) []string {
	out := make([]string, 0, len(a)*len(b))
	for _, x := range a {
		for _, y := range b {
			out = append(out, x+y)
		}
	}
	return union(nil, out)
}

func union(a, b []string) []string {
	out := slices.Clone(a)
	for _, s := range b {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// literalNode is a text. Without regard to case, a rune outside ASCII has
// forms that differ in more than the ASCII case, and U+FFFD is found in place
// of any invalid byte: such a rune is left out, and the text falls into what
// is before and after it.
func literalNode(runes []rune, fold bool) node {
	if !fold && !slices.Contains(runes, utf8.RuneError) {
		return exactly(lowerASCII(foldOdd(string(runes))))
	}
	var n node
	var part []byte
	broken := false
	flush := func() {
		if len(part) > 0 {
			n.required = append(n.required, []string{string(part[:min(len(part), maxLiteral)])})
		}
		part = nil
	}
	for _, r := range runes {
		if r < utf8.RuneSelf {
			part = append(part, lower(byte(r)))
			continue
		}
		if low := asciiFold(r); low != 0 {
			part = append(part, low)
			continue
		}
		flush()
		broken = true
	}
	if !broken {
		return exactly(string(part))
	}
	flush()
	return n
}

// asciiFold returns the lower-case ASCII letter among the case forms of r, or 0.
func asciiFold(r rune) byte {
	for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
		if f < utf8.RuneSelf && 'a' <= f && f <= 'z' {
			return byte(f)
		}
	}
	return 0
}

// classNode is one character of a small class; runes are pairs of bounds.
func classNode(runes []rune) node {
	var out []string
	for i := 0; i+1 < len(runes); i += 2 {
		if runes[i+1]-runes[i] > 2*maxExact {
			return nothing
		}
		for r := runes[i]; r <= runes[i+1]; r++ {
			if r == utf8.RuneError {
				return nothing
			}
			out = union(out, []string{lowerASCII(foldOdd(string(r)))})
			if len(out) > maxExact {
				return nothing
			}
		}
	}
	if len(out) == 0 {
		return nothing
	}
	return exactly(out...)
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c |= 0x20
	}
	return c
}

func lowerASCII(s string) string {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c != lower(c) {
			b := []byte(s)
			for i := range b {
				b[i] = lower(b[i])
			}
			return string(b)
		}
	}
	return s
}

// The Kelvin sign and the long s are case forms of k and s: the only runes
// outside ASCII whose case forms are ASCII.
const (
	kelvin = "\u212a"
	longS  = "\u017f"
)

var oddFolds = strings.NewReplacer(kelvin, "k", longS, "s")

// foldOdd replaces the runes outside ASCII that a regex without regard to case
// takes for an ASCII letter.
func foldOdd(s string) string {
	if !strings.Contains(s, kelvin) && !strings.Contains(s, longS) {
		return s
	}
	return oddFolds.Replace(s)
}
