package runtime

// Analyzer is a Language that can tell what is wrong with a script without
// running it: what Load finds, and beyond that what would run but surely is
// not what was meant. Safe for concurrent use.
type Analyzer interface {
	// Analyze reads one file. It knows neither what the file loads nor what
	// the file is for. A file that does not parse yields its problems alone.
	Analyze(path string, text []byte) *Analysis
}

// Analysis is what can be known of one file without running it.
type Analysis struct {
	// Problems are in the order of the text. A RunError is what fails whenever
	// it is reached: a wrong argument of a call. Those of kind LintError do not
	// keep a script from running; all others do.
	Problems []*Error
	// Calls are the uses of built-ins by name, in the order of the text. A
	// name that the script has given another meaning is left out.
	Calls []CallSite
	// Loads are the modules that the file loads or requires, as written.
	Loads []Missing
}

// CallSite is one call of a built-in.
type CallSite struct {
	// Name is the dotted name of the built-in: "on.message".
	Name string
	// Args are the arguments as written, positional ones first. In Lua the
	// options of the last table are named arguments.
	Args []Argument
	// Pos is the place of the name, End of the closing parenthesis.
	Pos, End Position
	// Func is the name of the enclosing function; empty at the top level.
	Func string
}

// Argument is one argument as it is written at a call.
type Argument struct {
	Name string // empty: positional
	// Value is what the argument is if that can be read off the text: texts,
	// numbers, booleans, None, lists and dicts of such. Parts that cannot be
	// read off are Unknown.
	Value Value
	// Spread marks *args and **kwargs: any number of arguments.
	Spread bool
	Pos    Position
}

// Unknown stands in an Argument for a value that only running could tell.
type Unknown struct{}

// LintError is the kind of problems that do not keep a script from running.
const LintError ErrorKind = "lint"
