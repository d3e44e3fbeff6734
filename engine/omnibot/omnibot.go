// Package omnibot makes rules of the handlers of an omnibot configuration.
//
//	Source   what a loader of rules asks for the script, at every load
//	Script   the script that stands for the handlers of a configuration
//
// The script registers a rule for each handler, by what the engine has for
// every rule; its functions load the callbacks and hand them, with the event, to
// the library script omnibot/handlers.star:
//
//	handlers: ──► on.message("deploy", lambda e: message(e, …, [(callback, kwargs)]), match="command")
//	                                        │
//	              @starling//omnibot/handlers.star: container ─► callback ─► result ─► Slack
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

// Source gives a loader the script of a configuration file, and takes up
// changes of the file. Safe for concurrent use.
type Source struct {
	file    string
	library fs.FS
	reload  func() (*config.Config, error)
	changed func(*config.Config)

	mu   sync.Mutex
	cfg  *config.Config
	errs runtime.Errors
	size int64
	time time.Time
}

// NewSource makes a Source of a configuration that has been read. library holds
// the library scripts. reload, if not nil, reads the configuration again when
// its file has changed; changed is told of one that is good.
func NewSource(c *config.Config, library fs.FS, reload func() (*config.Config, error), changed func(*config.Config)) *Source {
	s := &Source{file: c.File, library: library, reload: reload, changed: changed, cfg: c}
	s.modified()
	return s
}

// Files are what the Source reads.
func (s *Source) Files() []string {
	if s.file == "" || s.reload == nil {
		return nil
	}
	return []string{s.file}
}

// Secret returns the value of a secret that the handlers hold.
func (s *Source) Secret(name string) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.cfg.Handlers.Secrets[name]
	return v, ok
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
	if s.reload != nil && s.modified() {
		c, err := s.reload()
		s.errs = nil
		if err != nil {
			s.errs = errorsOf(err)
		} else {
			s.cfg = c
			if s.changed != nil {
				s.changed(c)
			}
		}
	}
	if len(s.errs) > 0 {
		return []rules.Virtual{{Path: Path(s.cfg), Language: language, Errors: s.errs}}
	}
	v, ok := Script(s.cfg, has, s.library)
	if !ok {
		return nil
	}
	return []rules.Virtual{v}
}

func errorsOf(err error) runtime.Errors {
	if many, ok := errors.AsType[runtime.Errors](err); ok {
		return many
	}
	return runtime.Errors{{Kind: runtime.LoadError, Msg: err.Error()}}
}

const language = "starlark"

// Path is what the script of a configuration is called: the name of its file.
func Path(c *config.Config) string {
	if c.File == "" {
		return "starling.yaml"
	}
	return filepath.Base(c.File)
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
