package doc_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib"
	"github.com/starling-rules/starling/stdlib/doc"
)

var update = flag.Bool("update", false, "write the goldens")

// small is a library with one built-in of each shape.
func small(t *testing.T) *runtime.Library {
	t.Helper()
	lib, err := runtime.NewLibrary([]*runtime.Builtin{
		{
			Name: "post", Doc: "Post a message.", Long: "Names and ids are taken; `#` may be left out.", Result: "result",
			Purity: runtime.Asks, Since: "0.1", Repeat: "Looked up after a crash.",
			Params: []runtime.Param{
				{Name: "channel", Type: runtime.TString, Doc: "Where to."},
				{Name: "text", Type: runtime.TString, Optional: true, Doc: "What."},
				{Name: "blocks", Type: runtime.TList, Optional: true, Named: true, Doc: "Blocks, a|b."},
				{Name: "style", Type: runtime.TString, Optional: true, Named: true, Default: "plain", Values: []string{"plain", "bold"}, Doc: "How."},
				{Name: "urgent", Type: runtime.TBool, Optional: true, Named: true, Default: false, Doc: "Loudly."},
			},
			Examples: []runtime.Example{
				{Star: `post("#a", blocks=[])`, Lua: `post("#a", {blocks = {}})`, Want: `{"effect":"post","args":{"channel":"#a"}}`},
				{Star: `post("")`, Fails: true, Want: "channel is empty"},
			},
		},
		{
			Name: "set.union", Doc: "Join sets.", Result: "list", Purity: runtime.Pure, Since: "0.2",
			Params: []runtime.Param{
				{Name: "sets", Type: runtime.TList, Optional: true, Variadic: true, Doc: "The sets."},
				{Name: "more", Type: runtime.TAny, Optional: true, Rest: true, Doc: "Named sets."},
			},
		},
		{Name: "set.empty", Doc: "The empty set.", Result: "list", Purity: runtime.Constant, Since: "0.2", Value: runtime.List{}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return lib
}

func TestGoldens(t *testing.T) {
	t.Parallel()
	lib, err := stdlib.Library()
	if err != nil {
		t.Fatal(err)
	}
	text := func(lib *runtime.Library, name string) func(io.Writer) error {
		return func(w io.Writer) error { return (&doc.Reader{Library: lib}).Text(w, name) }
	}
	in := &doc.Reader{Library: small(t)}
	lua := &doc.Reader{Library: small(t), Lua: true}
	for name, render := range map[string]func(io.Writer) error{
		"small_post.txt":  text(small(t), "post"),
		"small_set.txt":   text(small(t), "set"),
		"small_const.txt": text(small(t), "set.empty"),
		"small_all.txt":   text(small(t), ""),
		"small.md":        func(w io.Writer) error { return errors.Join(in.Markdown(w, "post"), in.Markdown(w, "set")) },
		"small.json":      func(w io.Writer) error { return in.JSON(w, "") },
		"small_types.lua": in.LuaTypes,
		"small_types.pyi": in.StarTypes,
		"small_lua.txt":   func(w io.Writer) error { return errors.Join(lua.Text(w, "post"), lua.Text(w, "set.union")) },
		"on_message.txt":  text(lib, "on.message"),
		"kv_get.txt":      text(lib, "kv.get"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got bytes.Buffer
			if err := render(&got); err != nil {
				t.Fatal(err)
			}
			// Topics are not goldens: their authors are others.
			if i := bytes.Index(got.Bytes(), []byte("\ntopics\n")); i >= 0 {
				got.Truncate(i + 1)
			}
			golden := filepath.Join("testdata", name)
			if *update {
				if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got.String()); diff != "" {
				t.Fatalf("differs from %s; -update writes it (-want +got)\n%s", golden, diff)
			}
		})
	}
}

func TestSignature(t *testing.T) {
	t.Parallel()
	lib := small(t)
	for name, want := range map[string]string{
		"post":      `post(channel, text=None, *, blocks=None, style="plain", urgent=False)`,
		"set.union": `set.union(*sets, **more)`,
		"set.empty": `set.empty`,
	} {
		if got := doc.Signature(lib.Lookup(name)); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestUnknownNameSuggestsTheNearest(t *testing.T) {
	t.Parallel()
	lib, err := stdlib.Library()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"on.mesage":     "did you mean on.message?",
		"respnd":        "did you mean respond?",
		"ul":            "did you mean ui?",
		"search":        "did you mean re.search?",
		"time.template": "did you mean text.template?",
	} {
		err := (&doc.Reader{Library: lib}).Text(io.Discard, name)
		if !errors.Is(err, doc.ErrUnknown) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
	if err := (&doc.Reader{Library: lib}).Text(io.Discard, "quite.something.else"); !errors.Is(err, doc.ErrUnknown) || strings.Contains(err.Error(), "mean") {
		t.Errorf("a far name: %v", err)
	}
}

func TestWholeReference(t *testing.T) {
	t.Parallel()
	lib, err := stdlib.Library()
	if err != nil {
		t.Fatal(err)
	}
	all := &doc.Reader{Library: lib}
	var md, js bytes.Buffer
	if err := all.Markdown(&md, ""); err != nil {
		t.Fatal(err)
	}
	if err := all.JSON(&js, ""); err != nil {
		t.Fatal(err)
	}
	var entries []doc.Entry
	if err := json.Unmarshal(js.Bytes(), &entries); err != nil {
		t.Fatal(err)
	}
	if len(entries) != len(lib.All()) {
		t.Fatalf("JSON has %d entries, the library %d", len(entries), len(lib.All()))
	}
	for _, e := range entries {
		if !strings.Contains(md.String(), "\n### "+e.Name+"\n") {
			t.Errorf("Markdown lacks %s", e.Name)
		}
		if len(e.Examples) == 0 || e.Signature == "" || e.Kind == "" {
			t.Errorf("%s: incomplete entry", e.Name)
		}
		var text bytes.Buffer
		if err := all.Text(&text, e.Name); err != nil || !strings.Contains(text.String(), e.Since) {
			t.Errorf("%s: %v", e.Name, err)
		}
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("pipe is closed") }

func TestWriteErrorsComeBack(t *testing.T) {
	t.Parallel()
	in := &doc.Reader{Library: small(t)}
	for name, err := range map[string]error{
		"text": in.Text(brokenWriter{}, "post"), "markdown": in.Markdown(brokenWriter{}, ""), "json": in.JSON(brokenWriter{}, ""),
		"search": in.Search(brokenWriter{}, []string{"post"}), "topic": in.Text(brokenWriter{}, "sandbox"),
	} {
		if err == nil || !strings.Contains(err.Error(), "pipe is closed") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTopicsAreNoBuiltins(t *testing.T) {
	t.Parallel()
	lib, err := stdlib.Library()
	if err != nil {
		t.Fatal(err)
	}
	for _, topic := range doc.Topics() {
		for _, b := range lib.All() {
			if b.Name == topic || strings.HasPrefix(b.Name, topic+".") {
				t.Errorf("topic %s hides %s", topic, b.Name)
			}
		}
	}
}

func TestSearch(t *testing.T) {
	t.Parallel()
	in := &doc.Reader{Library: small(t)}
	var out, js bytes.Buffer
	if err := in.Search(&out, []string{"JOIN", "sets"}); err != nil || !strings.Contains(out.String(), "set.union") || strings.Contains(out.String(), "post") {
		t.Errorf("%v\n%s", err, out.String())
	}
	out.Reset()
	if err := in.Search(&out, []string{"loudly"}); err != nil || !strings.HasPrefix(out.String(), "  post ") {
		t.Errorf("a word of a parameter: %v\n%s", err, out.String())
	}
	if err := in.Search(&out, []string{"qwertz"}); !errors.Is(err, doc.ErrUnknown) {
		t.Errorf("nothing found: %v", err)
	}
	if err := in.SearchJSON(&js, []string{"loudly"}); err != nil || !json.Valid(js.Bytes()) || !strings.Contains(js.String(), `"name": "post"`) {
		t.Errorf("%v\n%s", err, js.String())
	}
}

func TestNamesAreAllKnown(t *testing.T) {
	t.Parallel()
	in := &doc.Reader{Library: small(t)}
	for _, name := range in.Names() {
		if err := in.Text(io.Discard, name); err != nil {
			t.Error(err)
		}
	}
}
