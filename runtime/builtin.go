package runtime

import (
	"fmt"
	"math/rand/v2"
	"sort"
	"strings"
	"time"
)

// Type is a set of value types that a parameter accepts.
type Type uint16

// The types of parameters and results.
const (
	TNone Type = 1 << iota
	TBool
	TInt
	TFloat
	TString
	TBytes
	TList
	TDict
	TFunc
	TSecret
	TRegexp
	TDuration // "10m", or a number of seconds: arrives as time.Duration
	TObject   // the event
	TCallable // a function that is called before the built-in returns: arrives as Callable
	TAny      = TNone | TBool | TInt | TFloat | TString | TBytes | TList | TDict | TFunc | TSecret | TRegexp | TObject
	TNumber   = TInt | TFloat
	TText     = TString | TSecret
)

// String returns the names of the set joined by " or ".
func (t Type) String() string {
	if t == TAny {
		return "any"
	}
	names := []string{"None", "bool", "int", "float", "string", "bytes", "list", "dict", "function", "secret", "regexp", "duration", "event", "function"}
	var out []string
	for i, n := range names {
		if t&(1<<i) != 0 {
			out = append(out, n)
		}
	}
	return strings.Join(out, " or ")
}

// TypeOf returns the type bit of a value; 0 if it has none.
func TypeOf(v Value) Type {
	switch v := v.(type) {
	case nil:
		return TNone
	case bool:
		return TBool
	case int64:
		return TInt
	case float64:
		return TFloat
	case string:
		return TString
	case []byte:
		return TBytes
	case List:
		return TList
	case *Dict:
		return TDict
	case *View:
		if v.IsList() {
			return TList
		}
		return TDict
	case Func:
		return TFunc
	case Secret:
		return TSecret
	case Regexp:
		return TRegexp
	case Object:
		return TObject
	}
	return 0
}

// Param is one parameter of a Builtin.
type Param struct {
	Name string
	Type Type
	Doc  string
	// Optional parameters may be left out; Default documents what is then used.
	Optional bool
	Default  Value
	// Named parameters can only be given by keyword (in Lua: in the last table).
	Named bool
	// Rest takes every further keyword argument, as a *Dict.
	Rest bool
	// Variadic takes every further positional argument, as a list.
	Variadic bool
	// Values, if not empty, lists the texts that are allowed.
	Values []string
}

// Purity tells what a built-in does.
type Purity uint8

// The kinds of built-ins.
const (
	Pure     Purity = iota // computes from its arguments alone
	Ambient                // reads what travels with the run: clock, random, config
	Asks                   // asks for an effect through the door
	Register               // registers a rule; only while the script is loaded
	Native                 // made by each language's adapter (catch, struct, fail, print)
	Constant               // not a function: Value is what the name stands for
)

// String names the purity as the documentation does.
func (p Purity) String() string {
	return [...]string{"pure", "ambient", "effect", "registration", "native", "constant"}[p]
}

// Example is a use of a built-in that the tests execute in both languages.
type Example struct {
	// Star is an expression or statements in Starlark; Lua the same in Lua.
	// An empty Lua means that the Star text is valid Lua as well.
	Star, Lua string
	// Want is the JSON of the value of the expression; or the effect that is
	// asked for, as {"effect": kind, "args": {…}}; or, with Fails, a part of
	// the error message. Empty: the example only has to succeed.
	Want  string
	Fails bool
}

// Builtin is the one declaration of something that scripts can use.
// Everything else about it is derived: both bindings, argument errors,
// documentation, editor support and the checker's knowledge.
type Builtin struct {
	Name     string // dotted: "http_post", "kv.get"
	Doc      string // one line
	Long     string // further paragraphs, Markdown
	Params   []Param
	Result   string // what it returns, in words: "result", "string", "dict"
	Purity   Purity
	Since    string
	Examples []Example
	// Methods that may be repeated after a crash: Repeat is for documentation;
	// the door decides.
	Repeat string
	// Value is the value of a Constant.
	Value Value
	// Fn computes the result. For Asks, nil means: ask for the effect
	// {Name, args}. For Register, nil means: register {Name, args}.
	// Fn may return an *Error to give a hint; its position is filled in.
	Fn func(x *Context, a *Args) (Value, error)
}

// Context is what a built-in may know of the pass that calls it.
// It lives as long as the pass and belongs to its goroutine.
type Context struct {
	// Now is the start of the run; Rand is seeded from it.
	Now  time.Time
	Rand *rand.Rand
	// RunID names the run; empty while loading.
	RunID string
	// Script is the path of the script, Config its configuration.
	Script string
	Config Value
	// Loading is true while the top level runs.
	Loading bool
	// Pos returns the place of the call.
	Pos func() Position
	// Do asks for an effect, and returns its recorded result or a Pending.
	Do func(kind string, args *Dict) (Value, error)
	// Suspend is for a built-in that has to look at a Pending itself: it
	// returns what it gets, and the pass ends until the result is there.
	Suspend func() error
	// Log emits a log line, counted against the output limit.
	Log func(LogLine) error
	// Register records a registration; an error after loading.
	Register func(Registration) error
	// Charge adds steps, for built-ins whose work grows with their input.
	// It returns the limit error when the fuel is gone.
	Charge func(steps uint64) error
}

// Args are the decoded arguments of a call, by parameter name.
type Args struct {
	Builtin *Builtin
	// Dict holds what was given, in the order of the parameters.
	*Dict
	// Self is the object that a Method belongs to; nil for other built-ins.
	Self Object
}

// Has reports whether the argument was given (None counts as not given,
// unless the parameter accepts None without being optional).
func (a *Args) Has(name string) bool { _, ok := a.Get(name); return ok }

// Bool returns a bool argument, or def.
func (a *Args) Bool(name string, def bool) bool {
	if v, ok := a.Get(name); ok {
		if b, ok := v.(bool); ok {
			return b
		}
	}
	return def
}

// Int returns an int argument, or def.
func (a *Args) Int(name string, def int64) int64 {
	if v, ok := a.Get(name); ok {
		switch n := v.(type) {
		case int64:
			return n
		case float64:
			return int64(n)
		}
	}
	return def
}

// Float returns a number argument, or def.
func (a *Args) Float(name string, def float64) float64 {
	if v, ok := a.Get(name); ok {
		switch n := v.(type) {
		case int64:
			return float64(n)
		case float64:
			return n
		}
	}
	return def
}

// Duration returns a duration argument, or def.
func (a *Args) Duration(name string, def time.Duration) time.Duration {
	if v, ok := a.Get(name); ok {
		if d, err := ToDuration(v); err == nil {
			return d
		}
	}
	return def
}

// List returns a list argument, or nil.
func (a *Args) List(name string) List {
	v, _ := a.Get(name)
	l, _ := v.(List)
	return l
}

// Map returns a dict argument, or nil.
func (a *Args) Map(name string) *Dict {
	v, _ := a.Get(name)
	d, _ := v.(*Dict)
	return d
}

// ToDuration reads "90s", "10m", "1h30m", "2d", "1w", or a number of seconds.
func ToDuration(v Value) (time.Duration, error) {
	switch v := v.(type) {
	case time.Duration:
		return v, nil
	case int64:
		return time.Duration(v) * time.Second, nil
	case float64:
		return time.Duration(v * float64(time.Second)), nil
	case string:
		return ParseDuration(v)
	}
	return 0, fmt.Errorf("want a duration such as \"10m\" or a number of seconds")
}

// ParseDuration is time.ParseDuration with days (d) and weeks (w).
func ParseDuration(s string) (time.Duration, error) {
	bad := fmt.Errorf("%q is not a duration: write \"90s\", \"10m\", \"1h30m\", \"2d\" or \"1w\"", s)
	rest, total := s, time.Duration(0)
	for _, u := range []struct {
		unit string
		d    time.Duration
	}{{"w", 7 * 24 * time.Hour}, {"d", 24 * time.Hour}} {
		if n, tail, ok := strings.Cut(rest, u.unit); ok {
			var k float64
			if _, err := fmt.Sscanf(n+"\n", "%g\n", &k); err != nil || k < 0 || k > 1e6 {
				return 0, bad
			}
			total += time.Duration(k * float64(u.d))
			rest = tail
		}
	}
	if rest != "" {
		d, err := time.ParseDuration(rest)
		if err != nil {
			return 0, bad
		}
		total += d
	} else if s == "" {
		return 0, bad
	}
	return total, nil
}

// Library is a set of built-ins. It is immutable once made.
type Library struct {
	list   []*Builtin
	byName map[string]*Builtin
}

// NewLibrary makes a library. Two built-ins of one name are an error, as is a
// name that is both a built-in and the module of another.
func NewLibrary(sets ...[]*Builtin) (*Library, error) {
	l := &Library{byName: map[string]*Builtin{}}
	for _, set := range sets {
		for _, b := range set {
			if l.byName[b.Name] != nil {
				return nil, fmt.Errorf("built-in %s is declared twice", b.Name)
			}
			l.byName[b.Name] = b
			l.list = append(l.list, b)
		}
	}
	sort.Slice(l.list, func(i, j int) bool { return l.list[i].Name < l.list[j].Name })
	for _, b := range l.list {
		if mod, _, ok := strings.Cut(b.Name, "."); ok && l.byName[mod] != nil && l.byName[mod].Purity != Native {
			return nil, fmt.Errorf("built-in %s: %s is itself a built-in", b.Name, mod)
		}
	}
	return l, nil
}

// Lookup returns the built-in of that dotted name, or nil.
func (l *Library) Lookup(name string) *Builtin { return l.byName[name] }

// All returns the built-ins sorted by name. The caller must not change it.
func (l *Library) All() []*Builtin { return l.list }

// Nearest returns the candidate closest to name, or "" if none is close
// enough to be what was meant.
func Nearest(name string, candidates []string) string {
	best, bestDist := "", max(1, len(name)/3)+1
	fold := strings.ToLower(name)
	for _, c := range candidates {
		if d := editDistance(fold, strings.ToLower(c), bestDist); d < bestDist {
			best, bestDist = c, d
		}
	}
	return best
}

// editDistance is the Damerau–Levenshtein distance (adjacent transpositions
// count once), or limit if it is not smaller than that.
func editDistance(a, b string, limit int) int {
	if abs(len(a)-len(b)) >= limit {
		return limit
	}
	prev2, prev, cur := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], prev2[j-2]+1)
			}
		}
		prev2, prev, cur = prev, cur, prev2
	}
	return min(prev[len(b)], limit)
}

func abs(n int) int {
	if n < 0 {
		return -n
	}
	return n
}
