package rules

import (
	"fmt"
	"slices"
	"strings"

	"github.com/starling-rules/starling/runtime"
)

// Grammar is the declared shape of a command's arguments:
//
//	create <name> <count:int> [env=staging|prod] [for:duration=1h] [--dry-run] [--to:user] [--tag=<text>...] [note...]
//
// A bare word must be typed as it is. <x> must be given, [x] may be, and may
// also be written x=value. x:int, float, bool, duration, user and channel are
// converted. x=a|b allows these words, and [x=a|b] is the first if it is left
// out; [x=a] is a if it is left out, and may be anything. x... takes the rest of
// the line, as a text, or as a list if it has a type or choices. --x is true or
// false, --x=… has a value, with ... any number of them, as a list. -- alone
// ends the options. It is immutable.
type Grammar struct {
	text  string
	words []word
	flags []word
}

// word is one element of a grammar.
type word struct {
	name    string
	label   string // as written
	typ     string
	choices []string
	def     *string // what is used if it is left out
	literal bool
	must    bool
	rest    bool // takes all that is left; of an option: may be repeated
	option  bool
	isFlag  bool // --x without a value
}

// argTypes are the types that a grammar may name, and what people call them.
var argTypes = []struct{ name, words string }{
	{"int", "a whole number"},
	{"float", "a number"},
	{"bool", "yes or no"},
	{"duration", "a duration such as 10m or 2h"},
	{"user", "a person, such as @ann"},
	{"channel", "a channel, such as #general"},
}

// placeholders are the types that stand for a value in --n=<int> too; <user> and
// others say what is meant, and --owner:user is what must be a person.
var placeholders = []string{"int", "float", "duration"}

func typeWords(typ string) string {
	for _, t := range argTypes {
		if t.name == typ {
			return t.words
		}
	}
	return ""
}

func argTypeNames() []string {
	names := make([]string, len(argTypes))
	for i, t := range argTypes {
		names[i] = t.name
	}
	return names
}

// ParseGrammar reads a grammar.
func ParseGrammar(text string) (*Grammar, error) {
	if err := atMost("the text", text, MaxArgs); err != nil {
		return nil, err
	}
	g := &Grammar{text: strings.Join(strings.Fields(text), " ")}
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
		if w.option {
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
	case strings.HasPrefix(part, "--"):
		return w, fmt.Errorf("cannot read %q: write [%s]", part, part)
	default:
		return word{name: part, literal: true, must: true, label: part}, nil
	}
	inner, w.option = strings.CutPrefix(inner, "--")
	inner, w.rest = strings.CutSuffix(inner, "...")
	name, value, has := strings.Cut(inner, "=")
	if n, t, ok := strings.Cut(name, ":"); ok {
		name, w.typ = n, t
		if typeWords(t) == "" {
			return w, fmt.Errorf("unknown type %q in %s: %s", t, part, strings.Join(argTypeNames(), ", "))
		}
	}
	w.isFlag = w.option && !has && w.typ == ""
	if w.option {
		name = strings.ReplaceAll(name, "-", "_")
	}
	w.name = name
	if !identifier.MatchString(name) {
		return w, fmt.Errorf("%q is no name of an argument", name)
	}
	if has {
		if err := w.values(part, value); err != nil {
			return w, err
		}
	}
	if w.isFlag && w.must {
		return w, fmt.Errorf("%s is true or false and need not be given: write [--%s]", part, inner)
	}
	if w.isFlag && w.rest {
		return w, fmt.Errorf("%s has no value to repeat: write [--%s=<text>...]", part, inner)
	}
	return w, nil
}

// values reads what is behind the = of an argument: choices, a default, or the
// placeholder of an option's value.
func (w *word) values(part, value string) error {
	if strings.HasPrefix(value, "<") && strings.HasSuffix(value, ">") { // --owner=<somebody>, --n=<int>
		if t := value[1 : len(value)-1]; w.typ == "" && slices.Contains(placeholders, t) {
			w.typ = t
		}
		return nil
	}
	all := strings.Split(value, "|")
	if slices.Contains(all, "") {
		return fmt.Errorf("empty choice in %s", part)
	}
	for _, v := range all {
		if _, ok := w.convert(v); !ok {
			return fmt.Errorf("%s: %q is not %s", part, v, typeWords(w.typ))
		}
	}
	if len(all) > 1 {
		w.choices = all
	} else if w.must {
		return fmt.Errorf("%s must be given, and has a default: write [%s]", part, strings.Trim(part, "<>"))
	}
	if !w.must && (!w.rest || len(all) == 1) {
		w.def = &all[0]
	}
	return nil
}

// String returns the grammar as written.
func (g *Grammar) String() string { return g.text }

// list reports whether an argument is a list of values.
func (w *word) list() bool { return w.rest && (w.option || w.typ != "" || len(w.choices) > 0) }

// Arguments lists what the grammar names, in the order in which it is written:
// for help. The values are those of words that people read.
func (g *Grammar) Arguments() []runtime.Value {
	var out []runtime.Value
	for _, w := range slices.Concat(g.words, g.flags) {
		if w.literal {
			continue
		}
		d := runtime.NewDict("name", w.name, "written", w.label, "type", w.typ, "required", w.must, "choices", texts(w.choices), "default", nil)
		switch {
		case w.isFlag:
			d.Set("type", "flag")
		case w.typ == "":
			d.Set("type", "text")
		}
		if w.def != nil {
			d.Set("default", *w.def)
		}
		out = append(out, d)
	}
	return out
}

func texts(list []string) []runtime.Value {
	out := make([]runtime.Value, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}
