// Package re declares the module re: RE2 regular expressions, as Go has them,
// with the functions and group references of Python's module.
//
// RE2 never backtracks, but a search still costs program size times text
// length in one call that nobody can interrupt. So both are bounded, and the
// product is charged as fuel.
//
//	Builtins   the declarations
//	compiler   checks patterns, compiles them, keeps the recent ones
package re

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib/internal/declare"
)

// The bounds of patterns and texts.
const (
	MaxPattern = 200 // bytes; runtime.CheckPattern bounds what it may say
	MaxText    = runtime.MaxMatchText
	MaxResult  = 64 << 10 // bytes that sub makes
	cacheSize  = 128      // compiled patterns kept
	matchSteps = 64       // fuel for each match beyond the first: the matcher starts afresh
)

const patternTypes = runtime.TString | runtime.TRegexp

type fn = func(*runtime.Context, *runtime.Args) (runtime.Value, error)

// Builtins returns the declarations of the module. They share one cache of
// compiled patterns, which is safe for concurrent use.
func Builtins() []*runtime.Builtin {
	c := &compiler{}
	pattern := declare.Arg("pattern", patternTypes, "RE2 expression of at most 200 bytes, or what `re.compile` made.")
	text := declare.Arg("text", runtime.TString, "The text, at most 8 KiB.")
	const found = "dict: `text`, `start`, `end` (bytes from 0), `groups` (list), `named` (dict); or None"
	return []*runtime.Builtin{
		function("compile", "Check a regular expression, once, and give it a name.", "regexp",
			[]runtime.Param{declare.Arg("pattern", runtime.TString, "RE2 expression of at most 200 bytes.")}, c.compile,
			runtime.Example{Star: `re.search(re.compile("[0-9]+"), "ab12")["text"]`, Want: `"12"`},
			runtime.Example{Star: `re.compile("a(")`, Fails: true, Want: "missing closing )"},
			runtime.Example{Star: `re.compile("a{51}")`, Fails: true, Want: "repeat"}),
		function("search", "Find the first place where an expression matches.", found, []runtime.Param{pattern, text}, c.search(false),
			runtime.Example{
				Star: `re.search("(?P<app>[a-z]+)-([0-9]+)", "see api-42")`,
				Want: `{"text":"api-42","start":4,"end":10,"groups":["api","42"],"named":{"app":"api"}}`,
			},
			runtime.Example{Star: `re.search("x", "abc")`, Want: `null`}),
		function("match", "Match an expression at the start of a text.", found, []runtime.Param{pattern, text}, c.search(true),
			runtime.Example{Star: `re.match("[a-z]+", "abc1")["text"]`, Want: `"abc"`},
			runtime.Example{Star: `re.match("b", "abc")`, Want: `null`}),
		function("findall", "Find all matches.", "list of strings; of lists of strings if the expression has several groups", []runtime.Param{pattern, text}, c.findall,
			runtime.Example{Star: `re.findall("[0-9]+", "1 and 22")`, Want: `["1","22"]`},
			runtime.Example{Star: `re.findall("(a)(b)?", "ab a")`, Want: `[["a","b"],["a",""]]`}),
		function("sub", "Replace all matches.", "string", []runtime.Param{
			pattern,
			declare.Arg("replacement", runtime.TString, `What to put there; \1 and \g<name> are groups, \\ is a backslash.`),
			text,
			declare.Key("count", runtime.TInt, int64(0), "Replace at most so many; 0 replaces all."),
		}, c.sub,
			runtime.Example{Star: `re.sub("(a)(b)", "\\2\\1", "ab ab")`, Want: `"ba ba"`},
			runtime.Example{Star: `re.sub("a", "x", "aaa", count=1)`, Lua: `re.sub("a", "x", "aaa", {count = 1})`, Want: `"xaa"`},
			runtime.Example{Star: `re.sub("a", "\\3", "a")`, Fails: true, Want: "no group 3"}),
		function("split", "Cut a text at the matches.", "list of strings", []runtime.Param{
			pattern, text, declare.Key("max", runtime.TInt, int64(0), "Cut at most so often; 0 cuts everywhere."),
		}, c.split,
			runtime.Example{Star: `re.split(", *", "a, b,c")`, Want: `["a","b","c"]`}),
		function("escape", "Make a text match itself.", "string",
			[]runtime.Param{declare.Arg("text", runtime.TString, "The text, at most 8 KiB.")}, escape,
			runtime.Example{Star: `re.escape("a.b")`, Want: `"a\\.b"`}),
	}
}

func function(name, doc, result string, params []runtime.Param, f fn, ex ...runtime.Example) *runtime.Builtin {
	return &runtime.Builtin{
		Name: "re." + name, Doc: doc, Params: params, Result: result,
		Purity: runtime.Pure, Since: declare.Since, Examples: ex, Fn: f,
	}
}

func (c *compiler) compile(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	if _, err := c.get(x, "re.compile", a.Text("pattern")); err != nil {
		return nil, err
	}
	return runtime.Regexp{Pattern: a.Text("pattern")}, nil
}

// open returns the compiled pattern and the text of a call, and charges for
// one pass of the one over the other.
func (c *compiler) open(x *runtime.Context, a *runtime.Args) (*regexp.Regexp, string, error) {
	pattern := a.Text("pattern")
	if v, _ := a.Get("pattern"); v != nil {
		if r, ok := v.(runtime.Regexp); ok {
			pattern = r.Pattern
		}
	}
	p, err := c.get(x, a.Builtin.Name, pattern)
	if err != nil {
		return nil, "", err
	}
	text := a.Text("text")
	if err := checkText(a.Builtin.Name, text); err != nil {
		return nil, "", err
	}
	return p.re, text, declare.Charge(x, 4+p.size*len(text)/8)
}

func checkText(name, text string) error {
	if len(text) > MaxText {
		return declare.Hint("cut it, or look line by line", "%s: text has %d bytes, the limit is %d", name, len(text), MaxText)
	}
	return nil
}

func (c *compiler) search(atStart bool) fn {
	return func(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
		re, text, err := c.open(x, a)
		if err != nil {
			return nil, err
		}
		at := re.FindStringSubmatchIndex(text)
		if at == nil || (atStart && at[0] != 0) {
			return nil, nil
		}
		return match(re, text, at), nil
	}
}

// match describes what was found at these indexes.
func match(re *regexp.Regexp, text string, at []int) *runtime.Dict {
	names := re.SubexpNames()
	groups, named := make(runtime.List, 0, len(names)-1), &runtime.Dict{}
	for i := 1; i < len(names); i++ {
		var g runtime.Value
		if at[2*i] >= 0 {
			g = text[at[2*i]:at[2*i+1]]
		}
		groups = append(groups, g)
		if names[i] != "" {
			named.Set(names[i], g)
		}
	}
	return runtime.NewDict("text", text[at[0]:at[1]], "start", int64(at[0]), "end", int64(at[1]), "groups", groups, "named", named)
}

func (c *compiler) findall(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	re, text, err := c.open(x, a)
	if err != nil {
		return nil, err
	}
	out := runtime.List{}
	found := re.FindAllStringSubmatch(text, -1)
	if err := declare.Charge(x, matchSteps*len(found)); err != nil {
		return nil, err
	}
	for _, m := range found {
		switch len(m) {
		case 1:
			out = append(out, m[0])
		case 2:
			out = append(out, m[1])
		default:
			groups := make(runtime.List, len(m)-1)
			for i := range groups {
				groups[i] = m[i+1]
			}
			out = append(out, groups)
		}
	}
	return out, nil
}

func (c *compiler) split(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	re, text, err := c.open(x, a)
	if err != nil {
		return nil, err
	}
	n := int(min(max(a.Int("max", 0), 0), MaxText))
	if n == 0 {
		n = -2
	}
	parts := re.Split(text, n+1)
	out := make(runtime.List, len(parts))
	for i, p := range parts {
		out[i] = p
	}
	return out, declare.Charge(x, matchSteps*len(out))
}

func escape(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	text := a.Text("text")
	if err := checkText("re.escape", text); err != nil {
		return nil, err
	}
	return regexp.QuoteMeta(text), declare.ChargeText(x, len(text))
}

func (c *compiler) sub(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	re, text, err := c.open(x, a)
	if err != nil {
		return nil, err
	}
	parts, err := replacement(re, a.Text("replacement"))
	if err != nil {
		return nil, err
	}
	count := a.Int("count", 0)
	if count <= 0 || count > MaxText {
		count = -1
	}
	var b strings.Builder
	last := 0
	found := re.FindAllStringSubmatchIndex(text, int(count))
	if err := declare.Charge(x, matchSteps*len(found)); err != nil {
		return nil, err
	}
	for _, at := range found {
		b.WriteString(text[last:at[0]])
		for _, p := range parts {
			if p.group < 0 {
				b.WriteString(p.text)
			} else if at[2*p.group] >= 0 {
				b.WriteString(text[at[2*p.group]:at[2*p.group+1]])
			}
		}
		last = at[1]
		if b.Len() > MaxResult {
			return nil, declare.Hint("", "re.sub: the result has more than %d bytes", MaxResult)
		}
	}
	b.WriteString(text[last:])
	return b.String(), declare.ChargeText(x, b.Len())
}

// part is literal text, or a group.
type part struct {
	text  string
	group int // -1 for text
}

// replacement parses \1, \g<name> and \\.
func replacement(re *regexp.Regexp, s string) ([]part, error) {
	var out []part
	for {
		before, after, found := strings.Cut(s, `\`)
		if before != "" {
			out = append(out, part{before, -1})
		}
		if !found {
			return out, nil
		}
		name, rest := "", ""
		switch {
		case strings.HasPrefix(after, `\`):
			out = append(out, part{`\`, -1})
			s = after[1:]
			continue
		case strings.HasPrefix(after, "g<"):
			var ok bool
			if name, rest, ok = strings.Cut(after[2:], ">"); !ok {
				return nil, declare.Hint(`such as \g<app>`, "re.sub: the replacement has a \\g without its <name>")
			}
		case after != "" && after[0] >= '0' && after[0] <= '9':
			name, rest = after[:1], after[1:]
			if rest != "" && rest[0] >= '0' && rest[0] <= '9' {
				name, rest = after[:2], after[2:]
			}
		default:
			return nil, declare.Hint(`a backslash itself is written \\`, "re.sub: the replacement has a backslash that means nothing")
		}
		group := re.SubexpIndex(name)
		if n, err := strconv.Atoi(name); err == nil {
			group = n
		}
		if group < 0 || group > re.NumSubexp() {
			return nil, declare.Hint("", "re.sub: the pattern has no group %s", name)
		}
		out, s = append(out, part{"", group}), rest
	}
}
