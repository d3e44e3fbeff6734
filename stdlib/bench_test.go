package stdlib_test

import (
	"testing"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib"
	"github.com/starling-rules/starling/stdlib/internal/declaretest"
)

// BenchmarkLibrary is part of the start of every worker.
func BenchmarkLibrary(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := stdlib.Library(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFunctions calls what rules call most.
func BenchmarkFunctions(b *testing.B) {
	text := "please deploy api-42 to production & tell <@U123>"
	for name, args := range map[string][]any{
		"re.search":       {`deploy ([a-z]+)-([0-9]+)`, text},
		"text.template":   {"Deploy *{app}* to {env}", runtime.NewDict("app", "api", "env", "prod")},
		"text.split_args": {`deploy "my app" --env=prod`},
		"json.decode":     {`{"ok":true,"items":[1,2,3],"name":"x"}`},
		"ui.section":      {text},
		"post":            {"#ops", text},
		"time.format":     {int64(1_772_366_400), "%Y-%m-%d %H:%M", "Europe/Berlin"},
	} {
		b.Run(name, func(b *testing.B) {
			s := declaretest.New(b, stdlib.Builtins())
			s.X.Do = func(string, *runtime.Dict) (runtime.Value, error) { return nil, nil }
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Call(name, args...); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
