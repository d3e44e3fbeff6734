// Package stdlib is everything that scripts can use: each built-in declared
// once, with its parameters, documentation, examples and function. Bindings,
// argument errors, reference, editor support and the checker's knowledge are
// derived from these declarations.
//
//	Builtins   the declarations of all modules
//	Library    the same as a runtime.Library, ready for a Language
//	stdlib/…   one directory for each module
//	stdlib/doc renders a Library as text, Markdown and JSON
//
// It imports runtime only: it knows no interpreter, no Slack client, no store.
// A built-in that does something asks for an effect, as plain data; the engine
// performs it.
package stdlib

import (
	"slices"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib/admin"
	"github.com/starling-rules/starling/stdlib/answer"
	"github.com/starling-rules/starling/stdlib/base64"
	"github.com/starling-rules/starling/stdlib/commands"
	"github.com/starling-rules/starling/stdlib/config"
	"github.com/starling-rules/starling/stdlib/hash"
	"github.com/starling-rules/starling/stdlib/http"
	"github.com/starling-rules/starling/stdlib/json"
	"github.com/starling-rules/starling/stdlib/kv"
	"github.com/starling-rules/starling/stdlib/lang"
	"github.com/starling-rules/starling/stdlib/log"
	"github.com/starling-rules/starling/stdlib/lookup"
	"github.com/starling-rules/starling/stdlib/math"
	"github.com/starling-rules/starling/stdlib/on"
	"github.com/starling-rules/starling/stdlib/random"
	"github.com/starling-rules/starling/stdlib/re"
	"github.com/starling-rules/starling/stdlib/talk"
	"github.com/starling-rules/starling/stdlib/text"
	"github.com/starling-rules/starling/stdlib/time"
	"github.com/starling-rules/starling/stdlib/ui"
	"github.com/starling-rules/starling/stdlib/wait"
)

// Builtins returns new declarations of everything, module by module.
// The caller may add its own before making a Library.
func Builtins() []*runtime.Builtin {
	return slices.Concat(
		on.Builtins(),
		talk.Builtins(),
		wait.Builtins(),
		http.Builtins(),
		kv.Builtins(),
		lookup.Builtins(),
		commands.Builtins(),
		admin.Builtins(),
		config.Builtins(),
		ui.Builtins(),
		answer.Builtins(),
		json.Builtins(),
		time.Builtins(),
		math.Builtins(),
		re.Builtins(),
		hash.Builtins(),
		base64.Builtins(),
		text.Builtins(),
		random.Builtins(),
		log.Builtins(),
		lang.Builtins(),
	)
}

// Library returns the standard library. Safe for concurrent use once made.
func Library() (*runtime.Library, error) { return runtime.NewLibrary(Builtins()) }
