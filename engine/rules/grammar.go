package rules

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/starling-rules/starling/runtime"
)

// Grammar is the declared shape of a command's arguments:
//
//	create <name> <count:int> [env=staging|prod] [--dry-run] [--owner=<user>] [note...]
//
// A bare word must be typed as it is. <x> must be given, [x] may be; x:int,
// x:float and x:duration are converted; x=a|b allows these words, and the
// first is used if [x=a|b] is left out; x... takes the rest of the line; an
// argument may also be written x=value. --x is true or false, --x=… a value.
// It is immutable.
type Grammar struct {
	text  string
	words []word
	flags []word
}

// word is one element of a grammar.
type word struct {
	name    string
	literal bool
	must    bool
	rest    bool
	isFlag  bool // --x without a value
	typ     string
	choices []string
	label   string // as written
}

// argTypes are the types that a grammar may name.
var argTypes = []string{"", "int", "float", "duration"}

// ParseGrammar reads a grammar.
func ParseGrammar(text string) (*Grammar, error) {
	if err := atMost("the text", text, MaxArgs); err != nil {
		return nil, err
	}
	g := &Grammar{text: text}
	optional, rest := false, false
	seen := map[string]bool{}
	for _, part := range strings.Fields(text) {
		w, err := parseWord(part)
		if err != nil {
			return nil, err
		}
		if len(g.words)+len(g.flags) == MaxParts {
			return nil, fmt.Errorf("more than %d words", MaxParts)
		}
		if !w.literal && seen[w.name] {
			return nil, fmt.Errorf("two arguments are called %q", w.name)
		}
		seen[w.name] = !w.literal || seen[w.name]
		if strings.Contains(part, "--") {
			g.flags = append(g.flags, w)
			continue
		}
		switch {
		case rest:
			return nil, fmt.Errorf("%s cannot follow an argument that takes the rest of the line", part)
		case optional && w.must:
			return nil, fmt.Errorf("%s cannot follow an optional argument", part)
		}
		optional, rest = optional || !w.must, w.rest
		g.words = append(g.words, w)
	}
	return g, nil
}

func parseWord(part string) (word, error) {
	w := word{label: part}
	inner := part
	switch {
	case strings.HasPrefix(part, "<") && strings.HasSuffix(part, ">"):
		w.must, inner = true, part[1:len(part)-1]
	case strings.HasPrefix(part, "[") && strings.HasSuffix(part, "]"):
		inner = part[1 : len(part)-1]
	case strings.ContainsAny(part, "<>[]=|"):
		return w, fmt.Errorf("cannot read %q: write <x>, [x] or a word", part)
	default:
		return word{name: part, literal: true, must: true, label: part}, nil
	}
	inner, isOption := strings.CutPrefix(inner, "--")
	inner, w.rest = strings.CutSuffix(inner, "...")
	name, choices, has := strings.Cut(inner, "=")
	if strings.HasPrefix(choices, "<") && strings.HasSuffix(choices, ">") { // --owner=<user>, --n=<int>
		if t := choices[1 : len(choices)-1]; slices.Contains(argTypes, t) {
			w.typ = t
		}
		choices = ""
	} else if has {
		w.choices = strings.Split(choices, "|")
	}
	if n, t, ok := strings.Cut(name, ":"); ok {
		name, w.typ = n, t
	}
	w.isFlag = isOption && !has && w.typ == ""
	if isOption {
		name = strings.ReplaceAll(name, "-", "_")
	}
	w.name = name
	switch {
	case !identifier.MatchString(name):
		return w, fmt.Errorf("%q is no name of an argument", name)
	case !slices.Contains(argTypes, w.typ):
		return w, fmt.Errorf("unknown type %q in %s: int, float or duration", w.typ, part)
	case slices.Contains(w.choices, ""):
		return w, fmt.Errorf("empty choice in %s", part)
	}
	return w, nil
}

// String returns the grammar as written.
func (g *Grammar) String() string { return g.text }

// Parse reads the text after a command. problem says in words what does not
// fit; it is meant for the person who typed it.
func (g *Grammar) Parse(text string) (args *runtime.Dict, problem string) {
	tokens, err := splitArgs(text)
	if err != "" {
		return nil, err
	}
	args = &runtime.Dict{}
	if tokens, err = g.options(tokens, args); err != "" {
		return nil, err
	}
	named, tokens := g.named(tokens)
	for _, w := range g.words {
		v, given := named[w.name]
		switch {
		case given && !w.literal:
		case w.rest && len(tokens) > 0:
			v, given, tokens = strings.Join(tokens, " "), true, nil
		case len(tokens) > 0:
			v, given, tokens = tokens[0], true, tokens[1:]
		}
		if w.literal {
			if v != w.name {
				return nil, fmt.Sprintf("%q is expected", w.name)
			}
			continue
		}
		if err := w.set(args, v, given); err != "" {
			return nil, err
		}
	}
	if len(tokens) > 0 {
		return nil, fmt.Sprintf("%q is too much", tokens[0])
	}
	return args, ""
}

// options takes --x and --x=value (or --x value) out of the tokens.
func (g *Grammar) options(tokens []string, args *runtime.Dict) (rest []string, problem string) {
	given := map[string]bool{}
	for i := 0; i < len(tokens); i++ {
		t, is := strings.CutPrefix(tokens[i], "--")
		if !is || t == "" {
			rest = append(rest, tokens[i])
			continue
		}
		key, v, has := strings.Cut(t, "=")
		key = strings.ReplaceAll(key, "-", "_")
		at := slices.IndexFunc(g.flags, func(w word) bool { return w.name == key })
		if at < 0 {
			return nil, fmt.Sprintf("there is no %s", tokens[i])
		}
		w := g.flags[at]
		given[key] = true
		switch {
		case w.isFlag && has:
			return nil, fmt.Sprintf("--%s takes no value", key)
		case w.isFlag:
			args.Set(key, true)
			continue
		case !has && i+1 < len(tokens):
			i++
			v = tokens[i]
		case !has:
			return nil, fmt.Sprintf("--%s needs a value", key)
		}
		if err := w.set(args, v, true); err != "" {
			return nil, err
		}
	}
	for _, w := range g.flags {
		switch {
		case given[w.name]:
		case w.isFlag:
			args.Set(w.name, false)
		default:
			if err := w.set(args, "", false); err != "" {
				return nil, err
			}
		}
	}
	return rest, ""
}

// named takes x=value out of the tokens for the arguments that there are.
func (g *Grammar) named(tokens []string) (map[string]string, []string) {
	var named map[string]string
	rest := tokens[:0:0]
	for _, t := range tokens {
		key, v, has := strings.Cut(t, "=")
		if has && slices.ContainsFunc(g.words, func(w word) bool { return w.name == key && !w.literal }) {
			if named == nil {
				named = map[string]string{}
			}
			named[key] = v
			continue
		}
		rest = append(rest, t)
	}
	return named, rest
}

// set converts and stores one argument.
func (w *word) set(args *runtime.Dict, v string, given bool) (problem string) {
	if !given {
		switch {
		case w.must:
			return w.label + " is missing"
		case len(w.choices) > 0:
			v = w.choices[0]
		default:
			args.Set(w.name, nil)
			return ""
		}
	}
	if len(w.choices) > 0 && !slices.Contains(w.choices, v) {
		return fmt.Sprintf("%s must be %s, not %q", w.name, strings.Join(w.choices, " or "), v)
	}
	var err error
	var value runtime.Value = v
	switch w.typ {
	case "int":
		value, err = strconv.ParseInt(v, 10, 64)
	case "float":
		value, err = strconv.ParseFloat(v, 64)
	case "duration":
		d, e := runtime.ParseDuration(v)
		value, err = d.Seconds(), e
	}
	if err != nil {
		return fmt.Sprintf("%s must be of type %s, not %q", w.name, w.typ, v)
	}
	args.Set(w.name, value)
	return ""
}

// quotes pairs opening with closing quotation marks, those of phones included.
var quotes = map[rune]rune{'"': '"', '\'': '\'', '“': '”', '‘': '’', '„': '“', '«': '»'}

// splitArgs splits a line at spaces outside quotation marks.
func splitArgs(text string) (tokens []string, problem string) {
	var b strings.Builder
	var closing rune
	inside := false
	for _, r := range text {
		switch {
		case closing != 0 && (r == closing || closing == '”' && r == '“' || closing == '“' && r == '”'):
			closing = 0
		case closing != 0:
			b.WriteRune(r)
		case quotes[r] != 0 && b.Len() == 0 || quotes[r] != 0 && strings.HasSuffix(b.String(), "="):
			closing, inside = quotes[r], true
		case r == ' ' || r == '\t' || r == '\n' || r == '\u00a0':
			if inside || b.Len() > 0 {
				tokens = append(tokens, b.String())
			}
			b.Reset()
			inside = false
		default:
			b.WriteRune(r)
		}
	}
	if closing != 0 {
		return nil, "a quotation mark is not closed"
	}
	if inside || b.Len() > 0 {
		tokens = append(tokens, b.String())
	}
	return tokens, ""
}
