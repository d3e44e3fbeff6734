package scaffold

// Project makes what a directory of rules begins with: configuration, what git
// shall not keep, a first rule with its test, and the setup of editors. stubs
// are the declarations for editors, by file name.
func Project(ext string, stubs []File) ([]File, error) {
	rule, err := Rule("message", "hello", ext)
	if err != nil {
		return nil, err
	}
	out := []File{{"starling.yaml", []byte(configuration)}, {".gitignore", []byte(ignored)}, {".luarc.json", []byte(luaRC)}}
	for _, f := range rule {
		out = append(out, File{"rules/" + f.Path, f.Text})
	}
	for _, f := range stubs {
		out = append(out, File{Stubs + "/" + f.Path, f.Text})
	}
	return out, nil
}

// Stubs is the directory of the declarations for editors. Its name hides it
// from whoever looks for rules.
const Stubs = ".starling"

const configuration = `# Starling's configuration: every key is optional. "starling docs configuration"
# lists them, "starling config" shows what is in force and where it comes from.

rules: [./rules]   # directories with scripts; a saved file is live at once
data: ./data       # where events, journals and kv are kept

# listen: 0.0.0.0:3000     # Slack and webhooks
# admin: 127.0.0.1:3001    # health, metrics

# Tokens come from the environment: SLACK_SIGNING_SECRET, SLACK_BOT_TOKEN.
# "starling dev" needs none.

# secrets: {CI_TOKEN: "${CI_TOKEN}"}            # secret("CI_TOKEN") in scripts
# rules_config: {hello: {channel: "#general"}}  # config in the script hello
`

const ignored = `/data/
.env
`

// luaRC tells Lua's language server of the built-ins, and which parts of Lua
// there are in a script.
const luaRC = `{
  "runtime.version": "Lua 5.1",
  "runtime.builtin": {
    "debug": "disable", "io": "disable", "math": "disable", "os": "disable", "package": "disable",
    "bit32": "disable", "ffi": "disable", "jit": "disable", "utf8": "disable"
  },
  "workspace.library": ["` + Stubs + `"]
}
`
