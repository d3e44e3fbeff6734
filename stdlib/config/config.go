// Package config declares what a script knows of the configuration: config,
// config_schema and secret.
package config

import (
	"regexp"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib/internal/declare"
)

// Builtins returns the declarations of the module.
func Builtins() []*runtime.Builtin {
	return []*runtime.Builtin{
		{
			Name: "config", Doc: "The script's part of `rules_config`, a dict.",
			Long: "Empty if the configuration has none for this script. It is a value, not a function; `config_schema` checks it. " +
				"`starling docs configuration` tells of the file.",
			Result: "dict", Purity: runtime.Constant, Since: declare.Since, Value: &runtime.Dict{},
			Examples: []runtime.Example{{Star: `config.get("channel", "#general")`, Lua: `config.channel or "#general"`, Want: `"#general"`}},
		},
		schemaBuiltin(),
		{
			Name: "secret", Doc: "Name a secret of the configuration, to be used without being seen.",
			Long:   "It prints as `***`. Text may be put before and after it. Headers, URLs, bodies and `hash.hmac` take it; the server puts the value in at the last moment.",
			Params: []runtime.Param{declare.Arg("name", runtime.TString, "Its name under `secrets`.")},
			Result: "secret", Purity: runtime.Ambient, Since: declare.Since, Fn: secret,
			Examples: []runtime.Example{
				{Star: `str("Bearer " + secret("CI_TOKEN"))`, Lua: `tostring("Bearer " .. secret("CI_TOKEN"))`, Want: `"***"`},
				{Star: `secret("a b")`, Fails: true, Want: "not the name of a secret"},
			},
		},
	}
}

var secretName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]{0,127}$`)

func secret(_ *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	name := a.Text("name")
	if !secretName.MatchString(name) {
		return nil, declare.Hint("such as \"CI_TOKEN\"", "secret: %q is not the name of a secret", name)
	}
	return runtime.Secret{Parts: []runtime.SecretPart{{Name: name}}}, nil
}
