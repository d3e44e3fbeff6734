// Package omnibot makes rules of the handlers of an omnibot configuration.
//
//	Source    what a loader of rules asks for the scripts, at every load
//	Scripts   the scripts that stand for the handlers of a configuration
//
// A script registers a rule for each handler, by what the engine has for
// every rule; its functions load the callbacks and hand them, with the event, to
// the library script omnibot/handlers:
//
//	handlers: ──► on.message("deploy", lambda e: message(e, …, [(callback, kwargs)]), match="command")
//	                                        │
//	              @starling//omnibot/handlers.star: container ─► callback ─► result ─► Slack
//
// Callbacks in Lua are in a second script, which is in Lua and goes by
// omnibot/handlers.lua: the same for that language.
//
// What the script is made from is noted for each statement, so that errors
// point into the configuration. The package knows no interpreter.
package omnibot

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/starling-rules/starling/engine/config"
	"github.com/starling-rules/starling/engine/rules"
	"github.com/starling-rules/starling/runtime"
)

// Source gives a loader the scripts of a configuration file, and takes up
// changes of the file. Safe for concurrent use.
type Source struct {
	file    string
	library fs.FS
	reload  func() (*config.Config, error)
	changed func(*config.Config)

	mu sync.Mutex
	// cfg is what was read last and is good, before what was in force before it.
	cfg, before *config.Config
	// fresh tells that cfg has not been handed to changed.
	fresh bool
	force bool
	errs  runtime.Errors
	made  []rules.Virtual
	size  int64
	time  time.Time
}

// NewSource makes a Source of a configuration that has been read. library holds
// the library scripts. reload, if not nil, reads the configuration again when
// its file has changed; changed is told of one that is good, once its handlers
// are in force.
func NewSource(c *config.Config, library fs.FS, reload func() (*config.Config, error), changed func(*config.Config)) *Source {
	s := &Source{file: c.File, library: library, reload: reload, changed: changed, cfg: c, before: c}
	s.modified()
	return s
}

// Tell makes changed the function that is told. Not safe once the Source is used.
func (s *Source) Tell(changed func(*config.Config)) { s.changed = changed }

// Files are what the Source reads.
func (s *Source) Files() []string {
	if s.file == "" || s.reload == nil {
		return nil
	}
	return []string{s.file}
}

// Again makes the next Scripts read the configuration, changed or not: files
// that it takes credentials from may be others.
func (s *Source) Again() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.force = true
}

// Secret returns the value of a secret that the handlers hold, those included
// that are in force while newer ones are being taken up.
func (s *Source) Secret(name string) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range []*config.Config{s.cfg, s.before} {
		if v, ok := c.Handlers.Secrets[name]; ok {
			return v, true
		}
	}
	return "", false
}

// modified reports whether the file is another than the last time.
func (s *Source) modified() bool {
	if s.file == "" {
		return false
	}
	st, err := os.Stat(s.file)
	if err != nil || st.Size() == s.size && st.ModTime().Equal(s.time) {
		return false // gone for a moment: what was read stands
	}
	s.size, s.time = st.Size(), st.ModTime()
	return true
}

// Scripts implements rules.LoaderOptions.Virtual.
func (s *Source) Scripts(has func(path string) bool) []rules.Virtual {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reload != nil && (s.modified() || s.force) {
		s.force = false
		c, err := s.reload()
		if s.errs = nil; err != nil {
			s.errs = errorsOf(err)
		} else {
			s.cfg, s.fresh = c, true
		}
	}
	if len(s.errs) > 0 {
		// What else there was is there still: it stays as it is (rules.Virtual.Of).
		first := rules.Virtual{Path: Path(s.cfg), Of: Path(s.cfg), Language: starlark.name, Errors: s.errs}
		return append([]rules.Virtual{first}, s.made[min(1, len(s.made)):]...)
	}
	made := Scripts(s.cfg, has, s.library)
	if len(made) == 1 && len(s.made) > 1 {
		// A script that has gone is gone at once, whether or not the other is
		// good: one that is empty goes along with it.
		gone := s.made[1]
		gone.Text, gone.Errors = []byte("return -- there are no callbacks in Lua any more\n"), nil
		made = append(made, gone)
	}
	s.made = made
	return made
}

// Made implements rules.LoaderOptions.Made.
func (s *Source) Made(good bool) {
	s.mu.Lock()
	c := s.cfg
	tell := good && s.fresh
	if tell {
		s.fresh = false
	}
	s.mu.Unlock()
	if !tell {
		return
	}
	if s.changed != nil {
		s.changed(c)
	}
	s.mu.Lock()
	s.before = c
	s.mu.Unlock()
}

func errorsOf(err error) runtime.Errors {
	if many, ok := errors.AsType[runtime.Errors](err); ok {
		return many
	}
	return runtime.Errors{{Kind: runtime.LoadError, Msg: err.Error()}}
}

// Path is what the script of a configuration is called: the name of its file.
func Path(c *config.Config) string {
	if c.File == "" {
		return "starling.yaml"
	}
	return filepath.Base(c.File)
}

// Paths are what the scripts of a configuration may be called.
func Paths(c *config.Config) []string {
	return []string{Path(c) + starlark.suffix, Path(c) + lua.suffix}
}

// module finds the script of a callback: in the rules directories, else in the
// library. tried are the places that were looked at.
func module(dotted string, has func(string) bool, library fs.FS) (file string, tried []string) {
	p := strings.ReplaceAll(dotted, ".", "/")
	for _, ext := range []string{".star", ".lua"} {
		if has(p + ext) {
			return p + ext, nil
		}
		tried = append(tried, p+ext)
	}
	if library != nil {
		if _, err := fs.Stat(library, p+".star"); err == nil {
			return "@starling//" + p + ".star", nil
		}
	}
	return "", tried
}

func isLua(file string) bool { return path.Ext(file) == ".lua" }
