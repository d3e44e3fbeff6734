package check

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/starling-rules/starling/engine/config"
	"github.com/starling-rules/starling/engine/omnibot"
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
	// them tests are not checked.
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
	o        Options
	pool     runtime.Pool
	testPool runtime.Pool // nil without TestLanguages

	mu     sync.Mutex
	loader *rules.Loader // over Config.Rules, for File
}

// New returns a checker with a pool of its own, in this process.
func New(o Options) (*Checker, error) {
	if o.Library == nil || len(o.Languages) == 0 {
		return nil, errors.New("check: Options.Library and Languages are required")
	}
	if o.Config == nil {
		o.Config = config.Default()
	}
	limits := o.Config.Limits.Runtime()
	limits.Deadline = 0 // loading has a deadline of its own
	c := &Checker{o: o, pool: runtime.NewLocal(o.Languages, runtime.LocalOptions{Load: limits})}
	if o.TestLibrary != nil && len(o.TestLanguages) > 0 {
		c.testPool = runtime.NewLocal(o.TestLanguages, runtime.LocalOptions{Load: limits})
	}
	return c, nil
}

// Close ends the checker's pools.
func (c *Checker) Close(ctx context.Context) error {
	err := c.pool.Close(ctx)
	if c.testPool != nil {
		err = errors.Join(err, c.testPool.Close(ctx))
	}
	return err
}

// language returns the language of a file by its ending, or nil, and the
// built-ins that it may use.
func (c *Checker) language(p string, test bool) (runtime.Language, *runtime.Library) {
	langs, lib := c.o.Languages, c.o.Library
	if test {
		langs, lib = c.o.TestLanguages, c.o.TestLibrary
	}
	for _, l := range langs {
		if l.Ext() == path.Ext(p) {
			return l, lib
		}
	}
	return nil, nil
}

// newLoader makes a loader that decides nothing by file times.
func (c *Checker) newLoader(dirs ...string) *rules.Loader {
	exts := map[string]string{}
	for _, l := range c.o.Languages {
		exts[l.Ext()] = l.Name()
	}
	cfg := c.o.Config
	values := make(map[string]runtime.Value, len(cfg.RulesConfig))
	for name, v := range cfg.RulesConfig {
		values[name] = v
	}
	return rules.NewLoader(rules.LoaderOptions{
		Dirs: dirs, Pool: c.pool, Languages: exts, Library: c.o.Scripts, Config: values,
		Limits: cfg.Limits.Runtime(), Names: teams(cfg.Teams), HasSecret: cfg.HasSecret, ByPath: true, Virtual: c.handlers(dirs),
	})
}

// handlers makes the script of the configuration's handlers, for its own rules
// directories.
func (c *Checker) handlers(dirs []string) func(func(string) bool) []rules.Virtual {
	if !slices.Equal(dirs, c.o.Config.Rules) {
		return nil
	}
	return func(has func(string) bool) []rules.Virtual {
		return omnibot.Scripts(c.o.Config, has, c.o.Scripts)
	}
}

// teams are all the names that are known without asking Slack.
type teams map[string]string

// ChannelName implements rules.Names.
func (teams) ChannelName(string, string) string { return "" }

// UserName implements rules.Names.
func (teams) UserName(string, string) (name, email string) { return "", "" }

// TeamID implements rules.Names.
func (t teams) TeamID(name string) (string, bool) { id, ok := t[name]; return id, ok }

func isTest(p string) bool { return strings.HasSuffix(strings.TrimSuffix(p, path.Ext(p)), "_test") }
