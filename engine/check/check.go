package check

import (
	"context"
	"errors"
	"io/fs"

	"github.com/starling-rules/starling/engine/config"
	"github.com/starling-rules/starling/engine/rules"
	"github.com/starling-rules/starling/runtime"
)

// Options say what is checked and against what. Library and Languages are required.
type Options struct {
	// Library declares the built-ins of rules; Languages are bound to it, and
	// those that are a runtime.Analyzer are asked to analyse.
	Library   *runtime.Library
	Languages []runtime.Language
	// TestLibrary and TestLanguages are the same for files *_test.*; without
	// them tests are checked as far as rules are, except for unknown names.
	TestLibrary   *runtime.Library
	TestLanguages []runtime.Language
	// Config is the configuration in force; nil means config.Default.
	// Config.Rules are the directories of the rules.
	Config *config.Config
	// Scripts are the library scripts behind "@starling//"; may be nil.
	Scripts fs.FS
	// CheckBlocks and CheckView tell how blocks and views break Slack's limits;
	// runtime.Unknown in them stands for what cannot be read off the text.
	// They may be nil.
	CheckBlocks func(blocks runtime.List) error
	CheckView   func(view *runtime.Dict) error
}

// Checker finds problems. Its methods are safe for concurrent use; Close ends it.
type Checker struct {
	o    Options
	pool runtime.Pool
}

// New returns a checker with a pool of its own, in this process.
func New(o Options) (*Checker, error) {
	if o.Library == nil || len(o.Languages) == 0 {
		return nil, errors.New("check: Options.Library and Languages are required")
	}
	if o.Config == nil {
		o.Config = config.Default()
	}
	return &Checker{o: o, pool: runtime.NewLocal(o.Languages, runtime.LocalOptions{})}, nil
}

// Close ends the checker's pool.
func (c *Checker) Close(ctx context.Context) error { return c.pool.Close(ctx) }

// File checks one file as it is in an editor: text takes the place of what is
// at path on disk, beside the rest of the rules directories. The problems are
// those of this file, with positions in path, in the order of the text.
func (c *Checker) File(ctx context.Context, path string, text []byte) []*runtime.Error {
	return nil
}

// Tree checks files and directories; none means Config.Rules. The error tells
// that it could not be done: a path that does not exist, say.
func (c *Checker) Tree(ctx context.Context, paths []string) (*Report, error) {
	return &Report{}, nil
}

// Lint says what is questionable in a version of a script that is live. It
// reads the sources and the rules; nothing is run.
func (c *Checker) Lint(v *rules.Version) []*runtime.Error {
	return nil
}

// Report is what a Tree found.
type Report struct {
	// Files counts the files that were looked at.
	Files int `json:"files"`
	// Problems are sorted by file, line and column. Those of kind
	// runtime.LintError do not keep a script from running.
	Problems []*runtime.Error `json:"problems"`
}
