package runtimetest

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/starling-rules/starling/runtime"
)

// Case is one case of the suite, read from a .txtar file. The comment of the
// archive holds settings, a line each ("steps: 1000"); other lines are prose.
//
//	steps, effects, output, source   limits
//	deadline                         limit, as a duration
//	rule                             which registration is run, from 0
//	corrupt                          the recorded result of that step gets another hash
//	extra                            a JSON list of further arguments
//
// Files: script.EXT is the main file; input.json the handler's argument;
// config.json the configuration; results the scripted results of effects, a
// line each: kind and JSON, or kind, "!" and the text of an error; want the
// transcript (want.EXT if that of a language must differ). Every other file
// belongs to the bundle.
type Case struct {
	Name  string
	Files map[string][]byte
	// Want is the transcript by language ending; "" is that of all others.
	Want   map[string]string
	Rule   int
	Limits runtime.Limits
	// Corrupt is the step whose recorded hash is wrong in the replay, or 0.
	Corrupt int
	Input   []byte
	Extra   []runtime.Value
	Config  runtime.Value
	// Results are the scripted results by kind, in order.
	Results map[string][]runtime.StepResult

	archive *txtar.Archive
}

// ParseCase reads a case.
func ParseCase(name string, text []byte) (*Case, error) {
	c := &Case{Name: name, Files: map[string][]byte{}, Want: map[string]string{}, Results: map[string][]runtime.StepResult{}, archive: txtar.Parse(text)}
	for _, line := range strings.Split(string(c.archive.Comment), "\n") {
		key, val, ok := strings.Cut(line, ": ")
		if !ok {
			continue
		}
		if err := c.set(key, strings.TrimSpace(val)); err != nil {
			return nil, fmt.Errorf("case %s: %s: %w", name, key, err)
		}
	}
	for _, f := range c.archive.Files {
		var err error
		switch f.Name {
		case "want", "want.star", "want.lua":
			c.Want[strings.TrimPrefix(f.Name, "want")] = string(f.Data)
		case "input.json":
			c.Input = f.Data
		case "config.json":
			c.Config, err = runtime.ParseJSON(f.Data)
		case "results":
			err = c.results(string(f.Data))
		default:
			c.Files[f.Name] = f.Data
		}
		if err != nil {
			return nil, fmt.Errorf("case %s: %s: %w", name, f.Name, err)
		}
	}
	return c, nil
}

func (c *Case) set(key, val string) error {
	switch key {
	case "deadline":
		d, err := time.ParseDuration(val)
		c.Limits.Deadline = d
		return err
	case "extra":
		v, err := runtime.ParseJSON([]byte(val))
		c.Extra, _ = v.(runtime.List)
		return err
	}
	target := map[string]*int{
		"effects": &c.Limits.Effects, "output": &c.Limits.Output, "source": &c.Limits.Source, "rule": &c.Rule, "corrupt": &c.Corrupt,
	}[key]
	if target == nil && key != "steps" {
		return nil // prose
	}
	n, err := strconv.Atoi(val)
	if key == "steps" {
		c.Limits.Steps = uint64(n)
		return err
	}
	*target = n
	return err
}

func (c *Case) results(text string) error {
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		kind, rest, ok := strings.Cut(line, " ")
		if !ok {
			return fmt.Errorf("want kind and result, got %q", line)
		}
		r := runtime.StepResult{}
		if msg, bad := strings.CutPrefix(rest, "!"); bad {
			r.Err = msg
		} else if _, err := runtime.ParseJSON([]byte(rest)); err != nil {
			return err
		} else {
			r.Value = runtime.JSON(rest)
		}
		c.Results[kind] = append(c.Results[kind], r)
	}
	return nil
}

// Bundle returns the bundle of the case for the language whose files end in
// ext, or nil if it has no script for it.
func (c *Case) Bundle(language, ext string) *runtime.Bundle {
	main := "script" + ext
	if c.Files[main] == nil {
		return nil
	}
	files := map[string][]byte{}
	for name, text := range c.Files {
		if strings.HasSuffix(name, ext) {
			files[name] = text
		}
	}
	return runtime.NewBundle(language, main, files, c.Config)
}

// wanted returns the transcript for the language whose files end in ext.
func (c *Case) wanted(ext string) string {
	if w, ok := c.Want[ext]; ok {
		return w
	}
	return c.Want[""]
}

// update replaces the transcript and returns the archive's text.
func (c *Case) update(ext, want string) []byte {
	name := "want"
	if _, ok := c.Want[ext]; ok {
		name += ext
	}
	for i := range c.archive.Files {
		if c.archive.Files[i].Name == name {
			c.archive.Files[i].Data = []byte(want)
			return txtar.Format(c.archive)
		}
	}
	c.archive.Files = append(c.archive.Files, txtar.File{Name: name, Data: []byte(want)})
	return txtar.Format(c.archive)
}
