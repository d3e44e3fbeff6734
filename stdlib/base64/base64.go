// Package base64 declares the module base64.
package base64

import (
	gobase64 "encoding/base64"
	"strings"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib/internal/declare"
)

// Builtins returns the declarations of the module.
func Builtins() []*runtime.Builtin {
	return []*runtime.Builtin{
		{
			Name: "base64.encode", Doc: "Write bytes as base64.",
			Params: []runtime.Param{
				declare.Arg("data", runtime.TString|runtime.TBytes, "What to write."),
				declare.Key("url", runtime.TBool, false, "Use - and _ and no padding, for URLs."),
			},
			Result: "string", Purity: runtime.Pure, Since: declare.Since,
			Examples: []runtime.Example{
				{Star: `base64.encode("hi?>")`, Want: `"aGk/Pg=="`},
				{Star: `base64.encode("hi?>", url=True)`, Lua: `base64.encode("hi?>", {url = true})`, Want: `"aGk_Pg"`},
			},
			Fn: func(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
				s := declare.Text(a, "data", "")
				if len(s)/3*4 > declare.MaxText {
					return nil, declare.Hint("", "base64.encode: %d bytes are too many", len(s))
				}
				return Encode(s, a.Bool("url", false)), declare.ChargeText(x, 3*len(s))
			},
		},
		{
			Name: "base64.decode", Doc: "Read base64, of either alphabet, with or without padding.",
			Params: []runtime.Param{declare.Arg("text", runtime.TString, "The base64 text; white space in it is skipped.")},
			Result: "string", Purity: runtime.Pure, Since: declare.Since,
			Examples: []runtime.Example{
				{Star: `base64.decode("aGk_Pg")`, Want: `"hi?>"`},
				{Star: `base64.decode("a")`, Fails: true, Want: "base64.decode: not base64"},
			},
			Fn: func(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
				if err := declare.ChargeText(x, 3*len(a.Text("text"))); err != nil {
					return nil, err
				}
				s, ok := Decode(a.Text("text"))
				if !ok {
					return nil, declare.Hint("", "base64.decode: not base64")
				}
				return s, nil
			},
		},
	}
}

// Encode writes s in the standard alphabet, or in that of URLs.
func Encode(s string, url bool) string {
	if url {
		return gobase64.RawURLEncoding.EncodeToString([]byte(s))
	}
	return gobase64.StdEncoding.EncodeToString([]byte(s))
}

var standard = strings.NewReplacer("-", "+", "_", "/", " ", "", "\t", "", "\r", "", "\n", "")

// Decode reads either alphabet, with or without padding.
func Decode(s string) (string, bool) {
	s = standard.Replace(s)
	body := strings.TrimRight(s, "=")
	if pad := len(s) - len(body); pad > 0 && (pad > 2 || len(s)%4 != 0) {
		return "", false
	}
	b, err := gobase64.RawStdEncoding.DecodeString(body)
	return string(b), err == nil
}
