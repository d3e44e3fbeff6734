package main

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/starling-rules/starling/"

// arrows say which imports are wrong, and why. A package is matched with
// everything below it.
var arrows = []struct {
	from, to, why string
}{
	{from: "runtime", to: "engine", why: "the runtime knows no Slack, no HTTP server and no queue"},
	{from: "runtime", to: "stdlib", why: "built-ins are given to the runtime, it does not know them"},
	{from: "runtime", to: "scripts", why: "the runtime knows no particular script"},
	{from: "stdlib", to: "engine", why: "built-ins are declarations; what they do is done in engine/door"},
	{from: "engine", to: "stdlib", why: "only cmd wires engine and stdlib together"},
	{from: "engine", to: "cmd", why: "commands use the engine, not the other way round"},
	{from: "stdlib", to: "cmd", why: "commands use the built-ins, not the other way round"},
	{from: "engine/event", to: "engine/queue", why: "an event knows no store"},
	{from: "engine/door", to: "engine/dispatch", why: "the door performs effects; it does not run scripts"},
	{from: "engine/rules", to: "engine/dispatch", why: "matching knows no runs"},
	{from: "engine/wait", to: "engine/dispatch", why: "who waits is known without who runs it"},
	{from: "engine/wait", to: "engine/door", why: "the door makes waits; their rows know no effects"},
	{from: "engine/dispatch", to: "engine/ingress", why: "dispatch knows no HTTP"},
	{from: "engine/install", to: "engine/slackapi", why: "installations are kept, and nobody is called for it"},
	{from: "engine/keyring", to: "engine/queue", why: "a keyring knows no store"},
}

// owners are third-party modules that stay behind one package.
var owners = []struct {
	dependency string
	owners     []string
}{
	{"github.com/valyala/fasthttp", []string{"engine/ingress"}},
	{"github.com/fasthttp/router", []string{"engine/ingress"}},
	{"github.com/nats-io", []string{"engine/queue"}},
	{"go.starlark.net", []string{"runtime/star"}},
	{"github.com/yuin/gopher-lua", []string{"runtime/lua"}},
	{"github.com/spf13/cobra", []string{"cmd/starling"}},
	{"go.yaml.in/yaml", []string{"engine/config", "engine/manifest"}}, // Slack's app manifest is YAML with comments
	{"go.lsp.dev", []string{"cmd/starling/internal/lsp"}},
	{"github.com/bazelbuild/buildtools", []string{"cmd/starling/internal"}},
	{"github.com/slack-go/slack", []string{"engine/slackapi", "engine/ingress", "engine/socket"}},
	{"github.com/gorilla/websocket", []string{"engine/socket", "engine/sim"}},
	{"github.com/fsnotify/fsnotify", []string{"engine/rules", "cmd/starling/internal/cli"}}, // rules; tests with -w
}

type goPackage struct {
	ImportPath string
	Imports    []string
}

func TestImportsPointOneWay(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", module+"...").Output()
	if err != nil {
		t.Fatalf("list packages: %v", err)
	}
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for dec.More() {
		var p goPackage
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		from := strings.TrimPrefix(p.ImportPath, module)
		for _, imp := range p.Imports {
			checkArrow(t, from, imp)
			checkOwner(t, from, imp)
		}
	}
}

func checkArrow(t *testing.T, from, imp string) {
	to, ours := strings.CutPrefix(imp, module)
	if !ours {
		return
	}
	for _, a := range arrows {
		if below(from, a.from) && below(to, a.to) {
			t.Errorf("%s imports %s: %s", from, to, a.why)
		}
	}
}

func checkOwner(t *testing.T, from, imp string) {
	for _, o := range owners {
		if !below(imp, o.dependency) {
			continue
		}
		ok := false
		for _, owner := range o.owners {
			ok = ok || below(from, owner)
		}
		if !ok {
			t.Errorf("%s imports %s: only %s may", from, imp, strings.Join(o.owners, " and "))
		}
	}
}

func below(path, dir string) bool { return path == dir || strings.HasPrefix(path, dir+"/") }
