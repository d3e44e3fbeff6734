package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/starling-rules/starling/runtime"
)

// decoder walks a YAML tree beside the Config and notes every fault.
type decoder struct {
	c        *Config
	path     string
	text     []byte
	lines    [][]byte // of text, once a position is asked for
	getenv   func(string) string
	problems runtime.Errors
	// visited bounds what aliases can expand to.
	visited int
	// lenient leaves ${NAME} alone where the variable is not set: omnibot's
	// files may hold such texts.
	lenient bool
	// later are checks that need the whole file.
	later []func()
	// own tells that the file has a key that is Starling's alone.
	own bool
}

// position is where a node is: the parser counts columns in characters, a
// runtime.Position in bytes.
func (d *decoder) position(n *yaml.Node) runtime.Position {
	if d.lines == nil {
		d.lines = bytes.Split(d.text, []byte("\n"))
	}
	p := runtime.Position{Path: d.path, Line: n.Line, Col: n.Column}
	if n.Line < 1 || n.Line > len(d.lines) {
		return p
	}
	at, line := 0, d.lines[n.Line-1]
	for range n.Column - 1 {
		_, size := utf8.DecodeRune(line[min(at, len(line)):])
		at += max(size, 1)
	}
	if n.Column > 0 {
		p.Col = at + 1
	}
	return p
}

// place remembers where a setting is.
func (d *decoder) place(name string, n *yaml.Node) {
	d.c.places[name] = d.position(n)
}

// maxNodes bounds a configuration file, aliases expanded.
const maxNodes = 100_000

func (c *Config) readYAML(path string, text []byte, getenv func(string) string) runtime.Errors {
	d := &decoder{c: c, path: path, text: text, getenv: getenv}
	var doc yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(text))
	if err := dec.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return nil // an empty file sets nothing
		}
		d.syntax(err)
		return d.problems
	}
	if len(doc.Content) != 1 || doc.Content[0].Kind != yaml.MappingNode {
		d.fail(&doc, "want a mapping of settings", "")
		return d.problems
	}
	d.own = ownKeys(doc.Content[0])
	d.structure(doc.Content[0], reflect.ValueOf(c).Elem(), "")
	for _, check := range d.later {
		check()
	}
	return d.problems
}

var yamlLine = regexp.MustCompile(`line (\d+): (.*)`)

func (d *decoder) syntax(err error) {
	e := problem(d.path, strings.TrimPrefix(err.Error(), "yaml: "), "")
	e.Kind = runtime.SyntaxError
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		e.Pos.Line, _ = strconv.Atoi(m[1])
		e.Msg = m[2]
		e.SetLine(d.text)
	}
	d.problems = append(d.problems, e)
}

func (d *decoder) fail(n *yaml.Node, msg, hint string) {
	e := problem(d.path, msg, hint)
	e.Pos = d.position(n)
	e.SetLine(d.text)
	d.problems = append(d.problems, e)
}

// structure fills a struct from a mapping.
func (d *decoder) structure(n *yaml.Node, v reflect.Value, prefix string) {
	if n = resolve(n); n.Kind != yaml.MappingNode {
		d.fail(n, fmt.Sprintf("%s: want a mapping, got %s", strings.TrimSuffix(prefix, "."), kindOf(n)), "")
		return
	}
	fields := map[string]int{}
	for i := range v.NumField() {
		if key := v.Type().Field(i).Tag.Get("key"); key != "" && key != "-" {
			fields[key] = i
		}
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, val := n.Content[i], n.Content[i+1]
		if seen[key.Value] {
			d.fail(key, fmt.Sprintf("%s%s is set twice", prefix, key.Value), "")
		}
		seen[key.Value] = true
		if prefix == "" && d.omnibotKey(key.Value, val) {
			continue
		}
		idx, ok := fields[key.Value]
		if !ok {
			if why, old := legacy[key.Value]; old && prefix == "" {
				d.c.Warnings = append(d.c.Warnings, fmt.Sprintf("%s:%d: %s", d.path, key.Line, why))
				continue
			}
			if prefix == "" && !d.own { // omnibot accepts whatever its file has
				d.warn(key, "unknown key "+key.Value, hintForKey(key.Value, prefix, keysOf(fields)))
				continue
			}
			d.fail(key, fmt.Sprintf("unknown key %s%s", prefix, key.Value), hintForKey(key.Value, prefix, keysOf(fields)))
			continue
		}
		d.value(val, v.Field(idx), prefix+key.Value)
	}
}

// omnibotKey reads the settings that have a form of their own.
func (d *decoder) omnibotKey(key string, val *yaml.Node) bool {
	switch key {
	case "handlers":
		d.handlers(val)
	case "help_callback":
		d.helpCallback(val)
	default:
		return false
	}
	return true
}

// omnibotKeys are the settings of an omnibot configuration.
var omnibotKeys = []string{"teams", "bots", "primary_bot", "handlers", "authorization", "help_callback", "default_to_help"}

// ownKeys reports whether a file has any key beyond omnibot's, or has none of
// its handlers: then it is meant for Starling, and a key that nobody knows is
// a mistake.
func ownKeys(n *yaml.Node) bool {
	handlers := false
	for i := 0; i < len(n.Content); i += 2 {
		key := n.Content[i].Value
		handlers = handlers || key == "handlers"
		if slices.Contains(omnibotKeys, key) {
			continue
		}
		t := reflect.TypeFor[Config]()
		for i := range t.NumField() {
			if t.Field(i).Tag.Get("key") == key && key != "-" {
				return true
			}
		}
	}
	return !handlers
}

// value fills one setting.
func (d *decoder) value(n *yaml.Node, v reflect.Value, name string) {
	n = resolve(n)
	if d.visited++; d.visited > maxNodes || n.Tag == "!!null" {
		return // an empty value leaves the default
	}
	if v.Kind() == reflect.Struct {
		d.structure(n, v, name+".")
		return
	}
	d.c.sources[name] = fmt.Sprintf("%s:%d", d.path, n.Line)
	d.place(name, n)
	switch v.Kind() {
	case reflect.Slice:
		items := n.Content
		if n.Kind == yaml.ScalarNode {
			items = []*yaml.Node{n}
		} else if n.Kind != yaml.SequenceNode {
			d.fail(n, fmt.Sprintf("%s: want a list, got %s", name, kindOf(n)), "")
			return
		}
		out := reflect.MakeSlice(v.Type(), 0, len(items))
		if v.Type().Elem().Kind() == reflect.Struct {
			for i, item := range items {
				elem := reflect.New(v.Type().Elem()).Elem()
				d.place(fmt.Sprintf("%s.%d", name, i), item)
				d.structure(item, elem, fmt.Sprintf("%s.%d.", name, i))
				out = reflect.Append(out, elem)
			}
			v.Set(out)
			return
		}
		for _, item := range items {
			if s, ok := d.scalar(item, name); ok {
				out = reflect.Append(out, reflect.ValueOf(s))
			}
		}
		v.Set(out)
	case reflect.Map:
		d.mapping(n, v, name)
	default:
		s, ok := d.scalar(n, name)
		if !ok {
			return
		}
		if err := assign(v, s); err != nil {
			d.fail(n, fmt.Sprintf("%s: %v (got %q)", name, err, s), "")
		}
	}
}

func (d *decoder) mapping(n *yaml.Node, v reflect.Value, name string) {
	if n.Kind != yaml.MappingNode {
		d.fail(n, fmt.Sprintf("%s: want a mapping, got %s", name, kindOf(n)), "")
		return
	}
	out := reflect.MakeMap(v.Type())
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, item := n.Content[i], resolve(n.Content[i+1])
		d.once(n.Content[:i], key, name)
		d.place(name+"."+key.Value, key)
		elem := reflect.New(v.Type().Elem()).Elem()
		if e, ok := elem.Addr().Interface().(interface{ setDefaults() }); ok {
			e.setDefaults()
		}
		switch elem.Kind() {
		case reflect.Interface:
			if value := d.any(item, name+"."+key.Value); value != nil {
				elem.Set(reflect.ValueOf(value))
			}
		default:
			d.value(item, elem, name+"."+key.Value)
		}
		out.SetMapIndex(reflect.ValueOf(key.Value), elem)
	}
	v.Set(out)
}

// once refuses a key that is there already.
func (d *decoder) once(before []*yaml.Node, key *yaml.Node, name string) {
	for i := 0; i < len(before); i += 2 {
		if before[i].Value == key.Value {
			d.fail(key, fmt.Sprintf("%s.%s is set twice", name, key.Value), "")
			return
		}
	}
}

// any converts free-form configuration of rules into script values.
func (d *decoder) any(n *yaml.Node, name string) runtime.Value {
	if d.visited++; d.visited > maxNodes || strings.Count(name, ".") > 2*runtime.MaxDepth {
		if d.visited <= maxNodes+1 {
			d.visited = maxNodes + 1
			d.fail(n, name+": too large, or nested too deeply", "")
		}
		return nil
	}
	switch n = resolve(n); n.Kind {
	case yaml.MappingNode:
		out := &runtime.Dict{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			d.once(n.Content[:i], n.Content[i], name)
			out.Set(n.Content[i].Value, d.any(n.Content[i+1], name+"."+n.Content[i].Value))
		}
		return out
	case yaml.SequenceNode:
		out := make(runtime.List, 0, len(n.Content))
		for _, item := range n.Content {
			out = append(out, d.any(item, name+"."))
		}
		return out
	}
	switch n.Tag {
	case "!!null":
		return nil
	case "!!bool":
		var b bool
		_ = n.Decode(&b)
		return b
	case "!!int":
		var i int64
		if n.Decode(&i) == nil {
			return i
		}
	case "!!float":
		var f float64
		if n.Decode(&f) == nil {
			return f
		}
	}
	s, _ := d.scalar(n, name)
	return s
}

var interpolation = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)

// scalar returns the text of a scalar with ${NAME} replaced.
func (d *decoder) scalar(n *yaml.Node, name string) (string, bool) {
	if n = resolve(n); d.lenient {
		return d.literal(n, name)
	}
	if n.Kind != yaml.ScalarNode {
		d.fail(n, fmt.Sprintf("%s: want a single value, got %s", name, kindOf(n)), "")
		return "", false
	}
	ok := true
	s := interpolation.ReplaceAllStringFunc(n.Value, func(ref string) string {
		v, _, err := variable(d.getenv, ref[2:len(ref)-1])
		if err != nil || v == "" {
			d.fail(n, fmt.Sprintf("%s: environment variable %s is not set", name, ref[2:len(ref)-1]), "")
			ok = false
		}
		return v
	})
	if rest := interpolation.ReplaceAllString(n.Value, ""); strings.Contains(rest, "${") {
		d.fail(n, fmt.Sprintf("%s: ${ does not begin the name of a variable", name), "write ${NAME}, with letters, digits and _")
		ok = false
	}
	return s, ok
}

func resolve(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	return strconv.Quote(n.Value)
}

// set changes one setting by its key, from a flag or the environment; lists
// are separated by commas.
func (c *Config) set(key, text, source string) error {
	v := reflect.ValueOf(c).Elem()
	for part := range strings.SplitSeq(key, ".") {
		next := reflect.Value{}
		for i := range v.NumField() {
			if v.Type().Field(i).Tag.Get("key") == part {
				next = v.Field(i)
			}
		}
		if !next.IsValid() {
			return fmt.Errorf("unknown setting %s", key)
		}
		v = next
	}
	c.sources[key] = source
	delete(c.places, key)
	if v.Kind() == reflect.Slice {
		var items []string
		for item := range strings.SplitSeq(text, ",") {
			if item = strings.TrimSpace(item); item != "" {
				items = append(items, item)
			}
		}
		v.Set(reflect.ValueOf(items))
		return nil
	}
	if err := assign(v, text); err != nil {
		return fmt.Errorf("%w (got %q)", err, text)
	}
	return nil
}

func assign(v reflect.Value, text string) error {
	switch p := v.Addr().Interface().(type) {
	case *time.Duration:
		d, err := runtime.ParseDuration(text)
		if err != nil {
			return errors.New(`want a duration such as "250ms" or "5m"`)
		}
		*p = d
	case *Size:
		n, err := ParseSize(text)
		if err != nil {
			return err
		}
		*p = n
	case *string:
		*p = text
	case *int:
		n, err := strconv.Atoi(strings.ReplaceAll(text, "_", ""))
		if err != nil {
			return errors.New("want a whole number")
		}
		*p = n
	case *bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return errors.New("want true or false")
		}
		*p = b
	default:
		return fmt.Errorf("setting of type %s", v.Type())
	}
	return nil
}

var sizeUnits = []struct {
	suffix string
	factor int64
}{
	{"KiB", 1 << 10},
	{"MiB", 1 << 20},
	{"GiB", 1 << 30},
	{"TiB", 1 << 40},
	{"KB", 1e3},
	{"MB", 1e6},
	{"GB", 1e9},
	{"TB", 1e12},
	{"B", 1},
	{"", 1},
}

// ParseSize reads 64KiB, 256MiB, 1GiB, 100MB or a number of bytes.
func ParseSize(text string) (Size, error) {
	for _, u := range sizeUnits {
		if num, ok := strings.CutSuffix(text, u.suffix); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(num), 10, 64)
			if err != nil || n < 0 || n > (1<<62)/u.factor {
				break
			}
			return Size(n * u.factor), nil
		}
	}
	return 0, errors.New(`want a size such as "64KiB" or "256MiB"`)
}

// String writes the size with the largest unit that fits exactly.
func (s Size) String() string {
	for i := 3; i >= 0; i-- {
		if u := sizeUnits[i]; int64(s) >= u.factor && int64(s)%u.factor == 0 {
			return strconv.FormatInt(int64(s)/u.factor, 10) + u.suffix
		}
	}
	return strconv.FormatInt(int64(s), 10)
}
