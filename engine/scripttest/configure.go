package scripttest

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/starling-rules/starling/engine/config"
)

// configured is the configuration that holds for a test file.
type configured struct {
	*config.Config
	dir string // of its file, "" if there is none
	err error
}

// configFor returns the configuration for the tests of a directory: the one
// given, or that of the nearest starling.yaml.
func (r *runner) configFor(dir string) *configured {
	if r.o.Config != nil {
		return &configured{Config: r.o.Config}
	}
	file := r.o.ConfigFile
	if file == "" {
		file = nearestConfig(dir)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.configs[file]; c != nil {
		return c
	}
	c := &configured{}
	r.configs[file] = c
	if file == "" {
		c.Config = config.Default()
		return c
	}
	r.watch[file] = true
	c.dir = filepath.Dir(file)
	c.Config, c.err = config.Load(config.Sources{File: file, Getenv: r.placeholder})
	return c
}

func nearestConfig(dir string) string {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return ""
	}
	for {
		if p := filepath.Join(abs, "starling.yaml"); isFile(p) {
			return p
		}
		up := filepath.Dir(abs)
		if up == abs || isFile(filepath.Join(abs, "go.mod")) || isDir(filepath.Join(abs, ".git")) {
			return "" // another project begins above
		}
		abs = up
	}
}

func isDir(p string) bool {
	info, err := os.Stat(p)
	return err == nil && info.IsDir()
}

// placeholder is the environment of configuration files: a test runs without
// the secrets of production. Starling's own variables are settings, and absent
// where they are not set.
func (r *runner) placeholder(name string) string {
	if r.o.Getenv != nil {
		if v := r.o.Getenv(name); v != "" {
			return v
		}
	}
	for _, own := range []string{"SLACK_", "STARLING_", "LOG_", "CONFIG_", "CREDENTIALS_"} {
		if strings.HasPrefix(name, own) {
			return ""
		}
	}
	if strings.HasSuffix(name, "_FILE") {
		return ""
	}
	return "test-" + name
}

// rootOf returns the rules directory that a file belongs to: a configured one,
// or the file's own.
func (c *configured) rootOf(file string) string {
	own := filepath.Dir(file)
	abs, err := filepath.Abs(file)
	if err != nil {
		return own
	}
	best, longest := own, -1
	for _, dir := range c.Rules {
		if c.dir != "" && !filepath.IsAbs(dir) {
			dir = filepath.Join(c.dir, dir)
		}
		root, err := filepath.Abs(dir)
		if err != nil {
			continue
		}
		rel, err := filepath.Rel(root, abs)
		if err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator)) && len(root) > longest {
			best, longest = dir, len(root)
		}
	}
	return best
}
