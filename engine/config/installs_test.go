package config_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/starling-rules/starling/engine/config"
)

func TestKeysOfInstallations(t *testing.T) {
	t.Parallel()
	one, two := strings.Repeat("1a", 32), strings.Repeat("2b", 32)
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte(one+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		env  map[string]string
		yaml string
		want []string
		err  string
	}{
		"none":                 {nil, "", nil, ""},
		"one":                  {map[string]string{"STARLING_KEY": one}, "", []string{one}, ""},
		"several, a new first": {map[string]string{"STARLING_KEY": two + ", " + one}, "", []string{two, one}, ""},
		"a file":               {map[string]string{"STARLING_KEY_FILE": file}, "", []string{one}, ""},
		"in the configuration": {nil, "installs: {keys: [" + one + "]}", []string{one}, ""},
		"no key":               {map[string]string{"STARLING_KEY": "a passphrase of mine"}, "", nil, "installs.keys: key 1 of 1: want 32 bytes"},
		"the second is none":   {nil, "installs: {keys: [" + one + ", x" + two + "]}", nil, "installs.keys: key 2 of 2: want 32 bytes"},
		"an unknown key":       {nil, "installs: {kes: []}", nil, "did you mean keys?"},
	} {
		cfg, err := config.Load(config.Sources{File: "starling.yaml", Text: []byte(c.yaml), Getenv: func(n string) string { return c.env[n] }})
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) || strings.Contains(err.Error(), "passphrase") || strings.Contains(err.Error(), two) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil || !slices.Equal(cfg.Installs.Keys, c.want) {
			t.Errorf("%s: got %v, %v", name, cfg, err)
			continue
		}
		for _, v := range cfg.Explain() {
			if strings.Contains(v.Value, one) || strings.Contains(v.Value, two) {
				t.Errorf("%s: %s is shown", name, v.Key)
			}
		}
		for _, key := range c.want {
			if !slices.Contains(cfg.SecretValues(), key) {
				t.Errorf("%s: a key is not masked in the log", name)
			}
		}
	}
}
