package config

import (
	"fmt"
	"math"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib/internal/declare"
)

// kind is a type that a setting can have.
type kind struct {
	name, words string
	read        func(*field, runtime.Value) (runtime.Value, bool)
}

var (
	channelName = regexp.MustCompile(`^(#?[^\s#,@A-Z&<>]{1,80}|[CDG][A-Z0-9]+)$`)
	userName    = regexp.MustCompile(`^([UW][A-Z0-9]+|@[^\s@,<>]{1,80}|[^\s@,<>]+@[^\s@,<>]+)$`)
)

var kinds = []kind{
	{"text", "a text", func(_ *field, v runtime.Value) (runtime.Value, bool) { s, ok := v.(string); return s, ok }},
	{"int", "a whole number", func(_ *field, v runtime.Value) (runtime.Value, bool) {
		if f, ok := v.(float64); ok && f == math.Trunc(f) && math.Abs(f) < 1<<53 {
			return int64(f), true
		}
		n, ok := v.(int64)
		return n, ok
	}},
	{"float", "a number", func(_ *field, v runtime.Value) (runtime.Value, bool) {
		if n, ok := v.(int64); ok {
			return float64(n), true
		}
		f, ok := v.(float64)
		return f, ok
	}},
	{"bool", "true or false", func(_ *field, v runtime.Value) (runtime.Value, bool) { b, ok := v.(bool); return b, ok }},
	{"duration", "a duration such as \"10m\"", func(_ *field, v runtime.Value) (runtime.Value, bool) {
		d, err := runtime.ToDuration(v)
		return d.Seconds(), err == nil && d >= 0
	}},
	{"channel", "a channel: \"#name\", or its id", matching(channelName)},
	{"user", "a person: an id, an e-mail address or \"@name\"", matching(userName)},
	{"url", "an address that begins with https:// or http://", func(_ *field, v runtime.Value) (runtime.Value, bool) {
		s, _ := v.(string)
		u, err := url.Parse(s)
		return s, err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http")
	}},
	{"secret", "the name of a secret", func(_ *field, v runtime.Value) (runtime.Value, bool) {
		s, _ := v.(string)
		return runtime.Secret{Parts: []runtime.SecretPart{{Name: s}}}, secretName.MatchString(s)
	}},
	{"list", "a list", nil},
	{"dict", "a dict", nil},
}

func matching(re *regexp.Regexp) func(*field, runtime.Value) (runtime.Value, bool) {
	return func(_ *field, v runtime.Value) (runtime.Value, bool) {
		s, ok := v.(string)
		return s, ok && re.MatchString(s)
	}
}

func kindNames() []string {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = k.name
	}
	return names
}

// field is one setting as the script declares it.
type field struct {
	kind     kind
	def      runtime.Value
	required bool
	choices  runtime.List
	min, max runtime.Value
	items    *field // of a list, or the values of a dict
}

// fieldKeys are what the declaration of a setting may hold.
var fieldKeys = []string{"type", "default", "required", "choices", "min", "max", "items", "doc"}

// maxFields bounds the settings of a script, maxProblems how many are told.
const (
	maxFields   = 100
	maxProblems = 10
)

func schemaBuiltin() *runtime.Builtin {
	return &runtime.Builtin{
		Name: "config_schema", Doc: "Declare the settings of the script, and read them.",
		Long: "Each keyword is a setting of the script's part of `rules_config`: the name of its type, or a dict of `type`, `default`, `required=True`, `choices`, `min` and `max`, " +
			"`items` (the type of the entries of a list, or of the values of a dict) and `doc`. Types are `" + strings.Join(kindNames(), "` `") + "`. " +
			"A duration is read as seconds. A secret is given by its name under `secrets`, and becomes what `secret` makes; one that is not configured is an error. " +
			"What is not given, and has no default, is None; a list or dict is empty then. A setting that is wrong, missing or not declared is an error of the file, and the version before it goes on.",
		Params: []runtime.Param{declare.Rest("fields", "The settings by name.")},
		Result: "dict of the settings", Purity: runtime.Ambient, Since: declare.Since, Fn: readSchema,
		Examples: []runtime.Example{
			{Star: `config_schema(limit={"type": "int", "default": 5, "min": 1})["limit"]`, Lua: `config_schema({limit = {type = "int", default = 5, min = 1}}).limit`, Want: `5`},
			{Star: `config_schema(channel="channel", envs={"type": "list", "items": "text", "default": ["prod"]})["envs"]`, Lua: `config_schema({channel = "channel", envs = {type = "list", items = "text", default = {"prod"}}}).envs`, Want: `["prod"]`},
			{Star: `config_schema(token={"type": "secret", "required": True})`, Lua: `config_schema({token = {type = "secret", required = true}})`, Fails: true, Want: "token is missing"},
			{Star: `config_schema(limit="number")`, Lua: `config_schema({limit = "number"})`, Fails: true, Want: "type of limit"},
		},
	}
}

// readSchema is config_schema.
func readSchema(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	declared := declare.Dict(a, "fields")
	if declared.Len() > maxFields {
		return nil, declare.Hint("", "config_schema: %d settings, at most %d are allowed", declared.Len(), maxFields)
	}
	given, _ := declare.Plain(x.Config).(*runtime.Dict)
	if err := declare.ChargeText(x, declare.Size(x.Config, 1<<20)); err != nil {
		return nil, err
	}
	out, problems, secrets := &runtime.Dict{}, []string(nil), &runtime.Dict{}
	names := make([]string, 0, declared.Len())
	for i := range declared.Len() {
		name := declared.Fields[i].Key
		names = append(names, name)
		f, err := declaredField(name, declared.Fields[i].Value)
		if err != nil {
			return nil, err
		}
		v, there := given.Get(name)
		switch {
		case there && v != nil:
		case f.required:
			problems = append(problems, name+" is missing")
			continue
		default:
			v = f.def
		}
		value, problem := f.read(name, v)
		if problem != "" {
			problems = append(problems, problem)
			continue
		}
		if named := namesOf(value, nil); len(named) > 0 {
			secrets.Set(name, named)
		}
		out.Set(name, value)
	}
	for i := 0; i < given.Len(); i++ {
		if k := given.Fields[i].Key; !slices.Contains(names, k) {
			problems = append(problems, fmt.Sprintf("there is no setting %q%s", k, meant(k, names)))
		}
	}
	if len(problems) > 0 {
		if n := len(problems); n > maxProblems {
			problems = append(problems[:maxProblems], fmt.Sprintf("and %d more", n-maxProblems))
		}
		stem := strings.TrimSuffix(path.Base(x.Script), path.Ext(x.Script))
		return nil, declare.Hint("the settings are under rules_config: "+stem+": in the configuration", "config_schema: %s", strings.Join(problems, "; "))
	}
	if x.Loading && x.Register != nil && secrets.Len() > 0 {
		// Whether they are configured is known to the server alone.
		if err := x.Register(runtime.Registration{Name: "config_schema", Args: runtime.NewDict("secrets", secrets)}); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// namesOf adds the names of the secrets in a value.
func namesOf(v runtime.Value, names runtime.List) runtime.List {
	switch v := v.(type) {
	case runtime.Secret:
		for _, p := range v.Parts {
			names = append(names, p.Name)
		}
	case runtime.List:
		for _, e := range v {
			names = namesOf(e, names)
		}
	case *runtime.Dict:
		for _, f := range v.Fields {
			names = namesOf(f.Value, names)
		}
	}
	return names
}

func meant(name string, candidates []string) string {
	if n := runtime.Nearest(name, candidates); n != "" {
		return ", did you mean " + n + "?"
	}
	return ""
}

// declaredField reads the declaration of a setting; what is wrong with it is
// the script's fault.
func declaredField(name string, v runtime.Value) (*field, error) {
	v = declare.Plain(v)
	typ, is := v.(string)
	d, isDict := v.(*runtime.Dict)
	if !is && !isDict {
		return nil, declare.Hint("such as limit={\"type\": \"int\", \"default\": 5}", "config_schema: %s must be the name of a type, or a dict, got %s", name, runtime.TypeName(v))
	}
	f := &field{}
	if isDict {
		for _, e := range d.Fields {
			if !slices.Contains(fieldKeys, e.Key) {
				return nil, declare.Hint(strings.TrimPrefix(meant(e.Key, fieldKeys), ", "), "config_schema: %s has no %q: want %s", name, e.Key, strings.Join(fieldKeys, ", "))
			}
		}
		typ = "text"
		if t, there := d.Get("type"); there && t != nil {
			typ, _ = t.(string)
		}
	}
	at := slices.IndexFunc(kinds, func(k kind) bool { return k.name == typ })
	if at < 0 {
		return nil, declare.Hint(strings.TrimPrefix(meant(typ, kindNames()), ", "), "config_schema: the type of %s is %q, want %s", name, typ, strings.Join(kindNames(), ", "))
	}
	f.kind = kinds[at]
	if !isDict {
		return f, f.complete(name)
	}
	f.required = truth(d, "required")
	f.def, _ = d.Get("default")
	f.min, _ = d.Get("min")
	f.max, _ = d.Get("max")
	if c, there := d.Get("choices"); there && c != nil {
		f.choices, is = declare.Plain(c).(runtime.List)
		if !is || len(f.choices) == 0 {
			return nil, declare.Hint("", "config_schema: the choices of %s must be a list", name)
		}
	}
	if items, there := d.Get("items"); there && items != nil {
		var err error
		if f.items, err = declaredField(name, items); err != nil {
			return nil, err
		}
	}
	return f, f.complete(name)
}

func truth(d *runtime.Dict, key string) bool {
	v, _ := d.Get(key)
	return v == true
}

// complete holds the declaration to itself: its default must be one that it allows.
func (f *field) complete(name string) error {
	number := f.kind.name == "int" || f.kind.name == "float" || f.kind.name == "duration"
	switch {
	case f.items != nil && f.kind.read != nil:
		return declare.Hint("", "config_schema: %s is no list, and has items", name)
	case (f.min != nil || f.max != nil) && !number && f.kind.name != "list":
		return declare.Hint("", "config_schema: %s is no number, and has min or max", name)
	case f.required && f.def != nil:
		return declare.Hint("leave one of them out", "config_schema: %s is required, and has a default", name)
	case f.def == nil:
		return nil
	}
	if _, problem := f.read(name, f.def); problem != "" {
		return declare.Hint("", "config_schema: the default of %s is not allowed: %s", name, problem)
	}
	return nil
}

// read checks a value and converts it. What a secret may hold is not repeated.
func (f *field) read(name string, v runtime.Value) (runtime.Value, string) {
	v = declare.Plain(v)
	if v == nil {
		switch f.kind.name {
		case "list":
			return runtime.List{}, ""
		case "dict":
			return &runtime.Dict{}, ""
		}
		return nil, ""
	}
	wrong := func() string {
		if f.kind.name == "secret" {
			return name + " must be the name of a secret: put its value under secrets: in the configuration, and its name here"
		}
		return fmt.Sprintf("%s must be %s, got %s", name, f.kind.words, shown(v))
	}
	if f.kind.read == nil {
		return f.readMany(name, v, wrong)
	}
	value, ok := f.kind.read(f, v)
	if !ok {
		return nil, wrong()
	}
	if len(f.choices) > 0 && !slices.ContainsFunc(f.choices, func(c runtime.Value) bool { return same(c, v) }) {
		all := make([]string, len(f.choices))
		for i, c := range f.choices {
			all[i] = shown(c)
		}
		return nil, fmt.Sprintf("%s must be %s, got %s", name, strings.Join(all, " or "), shown(v))
	}
	if problem := f.within(name, value, shown(v)); problem != "" {
		return nil, problem
	}
	return value, ""
}

// readMany reads a list or a dict.
func (f *field) readMany(name string, v runtime.Value, wrong func() string) (runtime.Value, string) {
	each := func(name string, e runtime.Value) (runtime.Value, string) {
		if f.items == nil {
			return e, ""
		}
		if e == nil {
			return nil, name + " is empty"
		}
		return f.items.read(name, e)
	}
	switch v := v.(type) {
	case runtime.List:
		if f.kind.name != "list" {
			return nil, wrong()
		}
		out := make(runtime.List, len(v))
		for i, e := range v {
			var problem string
			if out[i], problem = each(fmt.Sprintf("%s[%d]", name, i), e); problem != "" {
				return nil, problem
			}
		}
		return out, f.within(name, int64(len(out)), fmt.Sprintf("%d entries", len(out)))
	case *runtime.Dict:
		if f.kind.name == "list" && v.Len() == 0 { // Lua's empty table
			return runtime.List{}, f.within(name, int64(0), "none")
		}
		if f.kind.name != "dict" {
			return nil, wrong()
		}
		out := &runtime.Dict{}
		for _, e := range v.Fields {
			value, problem := each(name+"."+e.Key, e.Value)
			if problem != "" {
				return nil, problem
			}
			out.Set(e.Key, value)
		}
		return out, ""
	}
	return nil, wrong()
}

// within holds a number, or the length of a list, to min and max.
func (f *field) within(name string, v runtime.Value, got string) string {
	n, ok := number(v)
	if !ok {
		return ""
	}
	bound := func(b runtime.Value) (float64, bool) {
		if f.kind.name == "duration" && b != nil {
			d, err := runtime.ToDuration(b)
			return d.Seconds(), err == nil
		}
		return number(b)
	}
	if least, is := bound(f.min); is && n < least {
		return fmt.Sprintf("%s must be at least %s, got %s", name, shown(f.min), got)
	}
	if most, is := bound(f.max); is && n > most {
		return fmt.Sprintf("%s must be at most %s, got %s", name, shown(f.max), got)
	}
	return ""
}

func number(v runtime.Value) (float64, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

// same compares as scripts do: 1 and 1.0 alike.
func same(a, b runtime.Value) bool {
	if x, ok := number(a); ok {
		y, is := number(b)
		return is && x == y
	}
	switch a.(type) {
	case string, bool:
		return a == b
	}
	return false
}

// shown is a value in a message, shortened.
func shown(v runtime.Value) string {
	b, err := runtime.AppendJSON(nil, v)
	if err != nil {
		return "a " + runtime.TypeName(v)
	}
	if s := string(b); len(s) <= 60 {
		return s
	}
	return "a long " + runtime.TypeName(v)
}
