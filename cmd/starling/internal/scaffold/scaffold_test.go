package scaffold_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/starling-rules/starling/cmd/starling/internal/scaffold"
)

func TestEveryKindHasARuleAndATestInBothLanguages(t *testing.T) {
	t.Parallel()
	for _, k := range scaffold.Kinds() {
		if k.Doc == "" || strings.HasSuffix(k.Doc, ".") {
			t.Errorf("%s is described as %q", k.Name, k.Doc)
		}
		for _, ext := range []string{".star", ".lua"} {
			files, err := scaffold.Rule(k.Name, "ops/my-rule", ext)
			if err != nil {
				t.Fatal(err)
			}
			if len(files) != 2 || files[0].Path != "ops/my-rule"+ext || files[1].Path != "ops/my-rule_test"+ext {
				t.Errorf("%s%s: %v", k.Name, ext, files)
			}
			for _, f := range files {
				if text := string(f.Text); strings.Contains(text, "NAME") || strings.Contains(text, "IDENT") || strings.Contains(text, "my-rule(") {
					t.Errorf("%s %s is not filled in\n%s", k.Name, f.Path, text)
				}
			}
		}
	}
}

func TestNamesThatNoRuleCanHave(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "A", "a b", "../a", "/a", "a/", "_a", ".a", "a_test", "a.b", "é", "a/../b"} {
		if _, err := scaffold.Rule("message", name, ".star"); !errors.Is(err, scaffold.ErrName) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestWriteWritesAllOrNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	files := []scaffold.File{{Path: "a/b.txt", Text: []byte("b")}, {Path: "c.txt", Text: []byte("c")}}
	// A symlink that leads nowhere is there as well.
	if err := os.Symlink("nowhere", filepath.Join(dir, "c.txt")); err != nil {
		t.Fatal(err)
	}
	if err := scaffold.Write(dir, files); !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), "c.txt") {
		t.Fatalf("got %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "a")); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("something was written: %v", err)
	}
	if err := errors.Join(os.Remove(filepath.Join(dir, "c.txt")), scaffold.Write(dir, files)); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "a", "b.txt")); err != nil || string(text) != "b" {
		t.Fatalf("got %q, %v", text, err)
	}
}
