// Package scaffold makes the files that new projects and new rules begin with.
//
//	Rule      a rule of a kind with its test, in either language
//	Project   configuration and editor setup of a directory of rules
//	Write     puts files on disk, all or none, over nothing that is there
//
// The templates are scripts that run: their tests are run for every kind in
// both languages.
package scaffold

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/txtar"
)

//go:embed templates/*.txtar
var templates embed.FS

// File is a file to be made. Its path has slashes.
type File struct {
	Path string
	Text []byte
}

// Kind is a kind of rule that there is a template for.
type Kind struct{ Name, Doc string }

// Kinds lists the kinds of rules, by name.
func Kinds() []Kind {
	var out []Kind
	for _, name := range kindNames() {
		a := template(name)
		out = append(out, Kind{name, strings.TrimSpace(string(a.Comment))})
	}
	return out
}

func kindNames() []string {
	entries, err := fs.ReadDir(templates, "templates")
	if err != nil {
		panic(err) // it is embedded
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".txtar"))
	}
	return names
}

func template(kind string) *txtar.Archive {
	text, err := templates.ReadFile("templates/" + kind + ".txtar")
	if err != nil {
		panic(err) // it is embedded
	}
	return txtar.Parse(text)
}

// ErrName is wrapped by the errors for names that no rule can have.
var ErrName = errors.New("not the name of a rule")

var ruleName = regexp.MustCompile(`^[a-z][a-z0-9]*([_-][a-z0-9]+)*$`)

// Rule makes a rule of a kind and its test. name is a path below the rules
// directory without its ending, such as "deploy" or "ops/deploy"; ext is
// ".star" or ".lua".
func Rule(kind, name, ext string) ([]File, error) {
	if !slices.Contains(kindNames(), kind) {
		return nil, fmt.Errorf("no kind %q: want %s", kind, strings.Join(kindNames(), ", "))
	}
	parts := strings.Split(name, "/")
	for _, p := range parts {
		if !ruleName.MatchString(p) {
			return nil, fmt.Errorf("%q is %w: want lower-case letters, digits, - and _, such as deploy or ops/deploy", name, ErrName)
		}
	}
	base := parts[len(parts)-1]
	if strings.HasSuffix(base, "_test") {
		return nil, fmt.Errorf("%q is %w: files that end in _test are tests", name, ErrName)
	}
	fill := strings.NewReplacer("NAME_SECRET", strings.ToUpper(ident(base))+"_SECRET", "NAME", base, "IDENT", ident(base))
	var out []File
	for _, f := range template(kind).Files {
		stem, ok := strings.CutSuffix(f.Name, ext)
		if !ok {
			continue
		}
		p := name + ext
		if stem == "test" {
			p = name + "_test" + ext
		}
		out = append(out, File{p, []byte(fill.Replace(string(f.Data)))})
	}
	return out, nil
}

// ident is a name as a variable of either language has it.
func ident(name string) string {
	name = strings.ReplaceAll(name, "-", "_")
	if slices.Contains(reserved, name) {
		name += "_"
	}
	return name
}

// reserved are words of either language, built-ins that the templates use, and
// names in the templates themselves.
var reserved = strings.Fields("and or not if elif else elseif for in while return def lambda load pass break continue function local do end then " +
	"repeat until nil true false goto as assert class del except finally from global import is nonlocal raise try with yield async await " +
	"config dm ipairs kv on open_modal post publish_home re reply respond secret text ui http_reply open submitted ask answer test t e")

// Write makes the files below a directory, which it makes too. If one of them
// is there already none is written, and the error names it.
func Write(dir string, files []File) error {
	var there []string
	for _, f := range files {
		if _, err := os.Lstat(filepath.Join(dir, filepath.FromSlash(f.Path))); err == nil {
			there = append(there, filepath.Join(dir, filepath.FromSlash(f.Path)))
		}
	}
	if len(there) > 0 {
		return fmt.Errorf("%w: %s: nothing was written", fs.ErrExist, strings.Join(there, ", "))
	}
	for _, f := range files {
		if err := writeNew(filepath.Join(dir, filepath.FromSlash(f.Path)), f.Text); err != nil {
			return fmt.Errorf("write %s: %w", f.Path, err)
		}
	}
	return nil
}

// writeNew writes a file that must not be there.
func writeNew(p string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(p), 0o777); err != nil {
		return err
	}
	f, err := os.OpenFile(p, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Close())
}
