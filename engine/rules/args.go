package rules

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/starling-rules/starling/runtime"
)

// Parse reads the text after a command. problem says in words what does not
// fit; it is meant for the person who typed it.
func (g *Grammar) Parse(text string) (args *runtime.Dict, problem string) {
	tokens, problem := splitLine(text)
	if problem != "" {
		return nil, problem
	}
	args = &runtime.Dict{}
	if tokens, problem = g.options(tokens, args); problem != "" {
		return nil, problem
	}
	named, tokens, problem := g.named(tokens)
	if problem != "" {
		return nil, problem
	}
	for i := range g.words {
		w := &g.words[i]
		v, given := named[w.name]
		var all []string
		switch {
		case given && !w.literal:
			all = []string{v}
		case w.rest && len(tokens) > 0:
			all, given, tokens = w.remainder(tokens), true, nil
		case len(tokens) > 0:
			all, given, tokens = []string{tokens[0].text}, true, tokens[1:]
		}
		if w.literal {
			if len(all) == 0 || all[0] != w.name {
				return nil, fmt.Sprintf("%q is expected", w.name)
			}
			continue
		}
		if problem := w.set(args, all, given); problem != "" {
			return nil, problem
		}
	}
	if len(tokens) > 0 {
		return nil, fmt.Sprintf("%q is too much", tokens[0].text)
	}
	return args, ""
}

// remainder is what an argument that takes the rest of the line is given: a
// text with the white space that was typed, or the words.
func (w *word) remainder(tokens []token) []string {
	if w.list() {
		all := make([]string, len(tokens))
		for i, t := range tokens {
			all[i] = t.text
		}
		return all
	}
	var b strings.Builder
	for i, t := range tokens {
		if i > 0 {
			b.WriteString(t.gap)
		}
		b.WriteString(t.text)
	}
	return []string{b.String()}
}

// options takes --x and --x=value (or --x value) out of the tokens. What is
// behind -- is none, and what no option is called in the rest of a line is text.
func (g *Grammar) options(tokens []token, args *runtime.Dict) (rest []token, problem string) {
	values := map[string][]string{}
	for i := 0; i < len(tokens); i++ {
		written, is := strings.CutPrefix(tokens[i].text, "--")
		if !is || tokens[i].quoted {
			rest = append(rest, tokens[i])
			continue
		}
		if written == "" {
			rest = append(rest, tokens[i+1:]...)
			break
		}
		written, v, has := strings.Cut(written, "=")
		key := strings.ReplaceAll(written, "-", "_")
		at := slices.IndexFunc(g.flags, func(w word) bool { return w.name == key })
		if at < 0 {
			if g.takesRest(len(rest)) {
				rest = append(rest, tokens[i])
				continue
			}
			return nil, fmt.Sprintf("there is no --%s%s", written, suggestion("--"+written, g.optionNames()))
		}
		w := &g.flags[at]
		switch {
		case w.isFlag && has:
			return nil, fmt.Sprintf("--%s takes no value", written)
		case w.isFlag:
			v = "true"
		case !has && i+1 < len(tokens):
			i++
			v = tokens[i].text
		case !has:
			return nil, fmt.Sprintf("--%s needs a value", written)
		}
		if len(values[key]) > 0 && !w.rest && !w.isFlag {
			return nil, fmt.Sprintf("--%s is given twice", written)
		}
		values[key] = append(values[key], v)
	}
	for i := range g.flags {
		w := &g.flags[i]
		if w.isFlag {
			args.Set(w.name, len(values[w.name]) > 0)
			continue
		}
		if problem := w.set(args, values[w.name], len(values[w.name]) > 0); problem != "" {
			return nil, problem
		}
	}
	return rest, ""
}

// takesRest reports whether the word after n others belongs to an argument that
// takes the rest of the line.
func (g *Grammar) takesRest(n int) bool {
	last := len(g.words) - 1
	return last >= 0 && g.words[last].rest && n > last
}

func (g *Grammar) optionNames() []string {
	names := make([]string, len(g.flags))
	for i, w := range g.flags {
		names[i] = "--" + strings.ReplaceAll(w.name, "_", "-")
	}
	return names
}

// named takes x=value out of the tokens for the arguments that there are.
func (g *Grammar) named(tokens []token) (named map[string]string, rest []token, problem string) {
	for _, t := range tokens {
		key, v, has := strings.Cut(t.text, "=")
		if !has || t.quoted || g.takesRest(len(rest)) || !slices.ContainsFunc(g.words, func(w word) bool { return w.name == key && !w.literal }) {
			rest = append(rest, t)
			continue
		}
		if _, twice := named[key]; twice {
			return nil, nil, fmt.Sprintf("%s is given twice", key)
		}
		if named == nil {
			named = map[string]string{}
		}
		named[key] = v
	}
	return named, rest, ""
}

// set converts and stores one argument.
func (w *word) set(args *runtime.Dict, all []string, given bool) (problem string) {
	if !given {
		switch {
		case w.must:
			return w.label + " is missing"
		case w.def != nil:
			all = []string{*w.def}
		case !w.list():
			args.Set(w.name, nil)
			return ""
		}
	}
	values := make([]runtime.Value, len(all))
	for i, v := range all {
		if len(w.choices) > 0 && !slices.Contains(w.choices, v) {
			return fmt.Sprintf("%s must be %s, not %q%s", w.shown(), oneOf(w.choices), v, suggestion(v, w.choices))
		}
		value, ok := w.convert(v)
		if !ok {
			return fmt.Sprintf("%s must be %s, not %q", w.shown(), typeWords(w.typ), v)
		}
		values[i] = value
	}
	if w.list() {
		args.Set(w.name, values)
		return ""
	}
	args.Set(w.name, values[0])
	return ""
}

// shown is what the person who types calls the argument.
func (w *word) shown() string {
	if w.option {
		return "--" + strings.ReplaceAll(w.name, "_", "-")
	}
	return w.name
}

func oneOf(list []string) string {
	if len(list) > 2 {
		return strings.Join(list[:len(list)-1], ", ") + " or " + list[len(list)-1]
	}
	return strings.Join(list, " or ")
}

// suggestion is ": did you mean x?" if one of the candidates is close. Words of
// a letter or two are close to too many.
func suggestion(given string, candidates []string) string {
	if len(given) < 3 {
		return ""
	}
	if n := runtime.Nearest(given, candidates); n != "" {
		return ": did you mean " + n + "?"
	}
	return ""
}

var (
	userArg    = regexp.MustCompile(`^(?:<@([UW][A-Z0-9]+)(?:\|[^<>]*)?>|([UW][A-Z0-9]*[0-9][A-Z0-9]*))$`)
	channelArg = regexp.MustCompile(`^(?:<#([CGD][A-Z0-9]+)(?:\|[^<>]*)?>|([CGD][A-Z0-9]*[0-9][A-Z0-9]*))$`)
)

// convert reads a value of the argument's type.
func (w *word) convert(v string) (value runtime.Value, ok bool) {
	var err error
	switch w.typ {
	case "int":
		value, err = strconv.ParseInt(v, 10, 64)
	case "float":
		f, e := strconv.ParseFloat(v, 64)
		if math.IsInf(f, 0) || math.IsNaN(f) {
			return nil, false
		}
		value, err = f, e
	case "bool":
		switch strings.ToLower(v) {
		case "yes", "on", "true", "1":
			return true, true
		case "no", "off", "false", "0":
			return false, true
		}
		return nil, false
	case "duration":
		d, e := runtime.ParseDuration(v)
		value, err = d.Seconds(), e
	case "user":
		return id(userArg, v)
	case "channel":
		return id(channelArg, v)
	default:
		return v, true
	}
	return value, err == nil
}

// id takes the id out of a mention.
func id(re *regexp.Regexp, v string) (runtime.Value, bool) {
	m := re.FindStringSubmatch(v)
	if m == nil {
		return nil, false
	}
	return m[1] + m[2], true
}
