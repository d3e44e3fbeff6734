package check_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/check"
	"github.com/starling-rules/starling/engine/config"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/rules"
	"github.com/starling-rules/starling/engine/scripttest"
	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/runtime/lua"
	"github.com/starling-rules/starling/runtime/star"
	"github.com/starling-rules/starling/scripts"
	"github.com/starling-rules/starling/stdlib"
	"github.com/starling-rules/starling/stdlib/ui"
)

// newChecker makes a checker over a directory with these files.
func newChecker(t testing.TB, files map[string]string, change func(*config.Config)) (*check.Checker, string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		write(t, filepath.Join(dir, filepath.FromSlash(name)), text)
	}
	cfg := config.Default()
	cfg.Rules = []string{dir}
	if change != nil {
		change(cfg)
	}
	o := check.Options{Config: cfg, Scripts: scripts.FS, CheckView: ui.CheckView}
	o.CheckBlocks = func(l runtime.List) error { return ui.CheckBlocks(l, ui.MaxMessageBlocks) }
	var err error
	if o.Library, err = stdlib.Library(); err != nil {
		t.Fatal(err)
	}
	if o.TestLibrary, err = runtime.NewLibrary(o.Library.All(), scripttest.Builtins()); err != nil {
		t.Fatal(err)
	}
	o.Languages, o.TestLanguages = languages(t, o.Library), languages(t, o.TestLibrary)
	c, err := check.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c, dir
}

func languages(t testing.TB, lib *runtime.Library) []runtime.Language {
	t.Helper()
	host := runtime.Host{Library: lib, Input: event.Host}
	s, err := star.New(host)
	if err != nil {
		t.Fatal(err)
	}
	l, err := lua.New(host)
	if err != nil {
		t.Fatal(err)
	}
	return []runtime.Language{s, l}
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// texts lists problems a line each, positions without the directory.
func texts(dir string, problems []*runtime.Error) []string {
	out := make([]string, len(problems))
	for i, e := range problems {
		out[i] = strings.ReplaceAll(e.Error(), dir+"/", "")
	}
	return out
}

func wants(t *testing.T, got []string, want ...string) {
	t.Helper()
	ok := len(got) == len(want)
	for i := range min(len(got), len(want)) {
		ok = ok && strings.HasPrefix(got[i], want[i])
	}
	if !ok {
		t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

func TestAnOpenFileIsCheckedBesideTheOthers(t *testing.T) {
	t.Parallel()
	c, dir := newChecker(t, map[string]string{
		"a.star": "on.command(\"/deploy\", lambda e: None)\n", "b.star": "", "lib/names.star": "APP = \"api\"\n",
	}, nil)
	path := filepath.Join(dir, "b.star")
	for name, x := range map[string]struct {
		text string
		want []string
	}{
		"good":                       {"on.command(\"/roll\", lambda e: None)\n", nil},
		"what is on disk is no part": {"", nil},
		"an answer that is taken":    {"on.command(\"/deploy\", lambda e: None)\n", []string{"b.star:1:1: on.command(\"/deploy\") is answered already by the rule at a.star:1:1"}},
		"a module":                   {"load(\"lib/names.star\", \"APP\")\non.message(APP, lambda e: None)\n", nil},
		"no such module":             {"load(\"lib/nams.star\", \"APP\")\non.message(APP, lambda e: None)\n", []string{"b.star:1:6: cannot load \"lib/nams.star\""}},
		"all at once": {
			"on.message(\"(\", lambda e: nope)\non.message(\"a*\", lambda e: None, chanels = \"#x\")\n",
			[]string{"b.star:1:13: on.message: bad regex", "b.star:1:27: nope is not defined", "b.star:2:34: on.message: unknown option \"chanels\""},
		},
		"half a line": {"on.message(\"x\", lambda e:", []string{"b.star:1:26: "}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wants(t, texts(dir, c.File(t.Context(), path, []byte(x.text))), x.want...)
		})
	}
}

func TestAnOpenFileSeesWhatHasChangedOnDisk(t *testing.T) {
	t.Parallel()
	c, dir := newChecker(t, map[string]string{"a.star": ""}, nil)
	open := filepath.Join(dir, "b.lua")
	text := []byte("on.command(\"/deploy\", function() end)\n")
	wants(t, texts(dir, c.File(t.Context(), open, text)))
	write(t, filepath.Join(dir, "c.star"), "on.command(\"/deploy\", lambda e: None)\n")
	wants(t, texts(dir, c.File(t.Context(), open, text)), "b.lua:1:1: on.command(\"/deploy\") is answered already")
}

func TestAFileOutsideTheRulesDirectoriesIsCheckedAlone(t *testing.T) {
	t.Parallel()
	c, dir := newChecker(t, map[string]string{"a.star": "on.command(\"/deploy\", lambda e: None)\n"}, nil)
	other := t.TempDir()
	write(t, filepath.Join(other, "lib/names.star"), "APP = \"api\"\n")
	path := filepath.Join(other, "b.star")
	wants(t, texts(other, c.File(t.Context(), path, []byte("load(\"lib/names.star\", \"APP\")\non.command(\"/deploy\", lambda e: APP)\nnope()\n"))),
		"b.star:3:1: nope is not defined")
	test := filepath.Join(other, "b_test.star")
	wants(t, texts(other, c.File(t.Context(), test, []byte("load(\"lib/names.star\", \"APP\")\ndef test_x(t):\n    assert.eq(APP)\n"))),
		"b_test.star:3:12: assert.eq: missing argument \"want\"")
	_ = dir
}

func TestATreeTellsEachFaultOnce(t *testing.T) {
	t.Parallel()
	c, dir := newChecker(t, map[string]string{
		"a.star":          "load(\"_shared.star\", \"f\")\nre.compile(\"(\")\non.message(\"x\", f)\n",
		"b.star":          "load(\"_shared.star\", \"f\")\non.message(\"y\", f)\n",
		"_shared.star":    "def f(e):\n    return nope\n",
		"c.lua":           "local x = re.compile(\"(\")\non.message(x, function() end)\n",
		"notes.txt":       "x",
		".hidden/x.star":  "nope()\n",
		"deploy.star~":    "nope()\n",
		"c_test.lua":      "test(\"x\", function(t) assert.eq(1, 1) end)\n",
		"_unused_x.star":  "def f():\n    return 1\n",
		"deep/er/ok.star": "on.message(\"z\", lambda e: None)\n",
	}, nil)
	rep, err := c.Tree(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	wants(t, texts(dir, rep.Problems),
		"_shared.star:2:12: nope is not defined", "a.star:2:12: re.compile: bad pattern", "c.lua:1:22: re.compile: bad pattern")
	if rep.Files != 7 {
		t.Errorf("%d files, want 7", rep.Files)
	}
	one, err := c.Tree(t.Context(), []string{filepath.Join(dir, "c.lua"), filepath.Join(dir, "deep")})
	if err != nil {
		t.Fatal(err)
	}
	wants(t, texts(dir, one.Problems), "c.lua:1:22: re.compile")
	if one.Files != 2 {
		t.Errorf("%d files, want 2", one.Files)
	}
}

func TestConfigurationOfNoScript(t *testing.T) {
	t.Parallel()
	c, dir := newChecker(t, map[string]string{"deploy.star": "x = secret(\"A\")\ny = secret(\"B\")\n"}, func(cfg *config.Config) {
		path := filepath.Join(cfg.Rules[0], "starling.yaml")
		write(t, path, "rules: ["+cfg.Rules[0]+"]\nsecrets: {A: a}\nrules_config:\n  deploy: {x: 1}\n  deply: {x: 1}\n")
		_, problems := config.Inspect(config.Sources{File: path, Base: cfg})
		if len(problems) > 0 {
			t.Fatal(problems)
		}
	})
	rep, err := c.Tree(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	wants(t, texts(dir, rep.Problems),
		"deploy.star:2:12: secret: there is no secret \"B\" in the configuration",
		"starling.yaml:5:3: rules_config.deply: there is no script of that name (did you mean deploy?)")
}

func TestLintLooksAtWhatIsLive(t *testing.T) {
	t.Parallel()
	c, dir := newChecker(t, map[string]string{"a.star": "def f(e):\n    x = 1\n    reply()\non.message(\"a*\", f)\n"}, nil)
	pool := runtime.NewLocal(languages(t, mustLibrary(t)), runtime.LocalOptions{})
	t.Cleanup(func() { _ = pool.Close(context.Background()) })
	l := rules.NewLoader(rules.LoaderOptions{Dirs: []string{dir}, Pool: pool, Languages: map[string]string{".star": "starlark"}})
	set, _, err := l.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	v, ok := l.Version(set.Rules()[0].Digest)
	if !ok {
		t.Fatal("the version is not loaded")
	}
	wants(t, texts(dir, c.Lint(v)), "a.star:2:5: x is never used", "a.star:3:5: reply: nothing to show", "a.star:4:12: on.message: \"a*\" is found in every text")
}

func mustLibrary(t testing.TB) *runtime.Library {
	t.Helper()
	lib, err := stdlib.Library()
	if err != nil {
		t.Fatal(err)
	}
	return lib
}

func TestACheckerIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	c, dir := newChecker(t, map[string]string{"a.star": "on.message(\"x\", lambda e: nope)\n", "b.lua": "on.message(\"x\", function() return nope end)\n"}, nil)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			if i%2 == 0 {
				if rep, err := c.Tree(t.Context(), nil); err != nil || len(rep.Problems) != 2 {
					t.Errorf("got %+v, %v", rep, err)
				}
				return
			}
			if got := c.File(t.Context(), filepath.Join(dir, "a.star"), []byte("nope()\n")); len(got) != 1 {
				t.Errorf("got %v", got)
			}
		})
	}
	wg.Wait()
}

// Arguments of which only a part can be read off the text must not be blamed
// for the rest.
func TestWhatIsNotKnownIsNotBlamed(t *testing.T) {
	t.Parallel()
	c, dir := newChecker(t, nil, nil)
	for _, line := range []string{
		`respond(e.text)`, `respond(blocks = e.blocks)`, `reply("x", blocks = [b for b in e.blocks])`, `respond(**e.raw)`,
		`ui.section(e.text)`, `ui.section(fields = [e.text])`, `ui.section(text = e.text, fields = e.raw)`, `ui.select("x", [e.text], initial = e.text)`,
		`ui.image(e.text, e.text)`, `ui.modal(e.text, [ui.input("a", e.text)], submit = e.text)`, `ui.datepicker("d", initial = e.text)`,
		`ui.actions([ui.button(e.text, e.text), e.raw])`, `ui.context([e.text, ui.image("https://x/y", "z")])`, `ui.option(e.text)`, `ui.errors({"a": e.text})`,
		`slack_action(e.text, x = 1)`, `slack_action("chat.postMessage", e.raw)`, `slack_action("conversations.create", **e.raw)`, `slack_action("views.open", view = e.raw)`,
		`update(e.ts, "x", channel = e.channel)`, `react(e.text)`, `http_get("https://x/" + e.text)`, `http_post(e.text, json = {"a": e.text})`,
		`kv.set("a", e.text, ttl = e.text)`, `text.template("{a}", {"a": e.text})`, `json.decode(e.text)`, `re.sub("a", e.text, e.text)`, `time.parse(e.text)`,
		`open_modal({"type": "modal", "title": {"type": "plain_text", "text": e.text}, "blocks": e.blocks})`, `catch(json.decode, "[")`,
	} {
		script := "def f(e):\n    return " + line + "\non.message(\"x\", f)\n"
		if got := texts(dir, c.File(t.Context(), filepath.Join(dir, "a.star"), []byte(script))); len(got) > 0 {
			t.Errorf("%s: %s", line, strings.Join(got, "\n"))
		}
	}
}

// The examples of every built-in are good but for those that fail on purpose.
func TestTheExamplesOfTheBuiltinsAreGood(t *testing.T) {
	t.Parallel()
	c, dir := newChecker(t, nil, nil)
	tried, found := 0, 0
	for _, b := range mustLibrary(t).All() {
		for _, x := range b.Examples {
			if strings.Contains(x.Star, "\n") || b.Purity == runtime.Register || b.Purity == runtime.Native || b.Purity == runtime.Constant {
				continue
			}
			script := "def f(e):\n    return " + x.Star + "\non.message(\"x\", f)\n"
			got := texts(dir, c.File(t.Context(), filepath.Join(dir, "a.star"), []byte(script)))
			switch {
			case x.Fails && len(got) > 0:
				found++
			case !x.Fails && len(got) > 0:
				t.Errorf("%s: %s", x.Star, strings.Join(got, "\n"))
			}
			tried++
		}
	}
	t.Logf("%d examples, %d of those that fail found", tried, found)
	if tried < 100 || found < 30 {
		t.Errorf("%d examples, %d of those that fail found: want at least 100 and 30", tried, found)
	}
}

func TestAnOpenFileOfManyIsCheckedQuickly(t *testing.T) {
	t.Parallel()
	files := map[string]string{}
	for i := range 300 {
		files[fmt.Sprintf("r%d.star", i)] = fmt.Sprintf("def f(e):\n    return \"hello\"\non.message(\"deploy%d\", f)\n", i)
	}
	c, dir := newChecker(t, files, nil)
	path := filepath.Join(dir, "r7.star")
	c.File(t.Context(), path, []byte(files["r7.star"])) // reads the others
	best := time.Hour
	for range 5 {
		began := time.Now()
		if got := c.File(t.Context(), path, []byte(files["r7.star"]+"\nnope()\n")); len(got) != 1 {
			t.Fatalf("got %v", got)
		}
		best = min(best, time.Since(began))
	}
	if best > 500*time.Millisecond {
		t.Errorf("the best of five took %v", best)
	}
	t.Logf("one buffer beside %d files: %v", len(files), best)
}
