package config

import (
	"fmt"
	"reflect"
	"sort"
	"strings"
	"time"

	"github.com/starling-rules/starling/runtime"
)

// Value is one effective setting.
type Value struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Source string `json:"source"`
}

// secret keys are shown masked.
func isSecret(key string) bool {
	switch key {
	case "rules_git.secret", "slack.signing_secrets", "slack.bot_token", "slack.user_token", "slack.app_token", "slack.oauth.client_secret", "installs.keys":
		return true
	}
	return strings.HasPrefix(key, "secrets.") || strings.HasPrefix(key, "authorization.keys.") && strings.HasSuffix(key, ".hash")
}

// Explain lists every effective setting with its source, secrets masked.
func (c *Config) Explain() []Value {
	var out []Value
	c.walk(reflect.ValueOf(c).Elem(), "", &out)
	return out
}

func (c *Config) walk(v reflect.Value, prefix string, out *[]Value) {
	for i := range v.NumField() {
		key := v.Type().Field(i).Tag.Get("key")
		if key == "" || key == "-" {
			continue
		}
		f := v.Field(i)
		switch f.Kind() {
		case reflect.Struct:
			c.walk(f, prefix+key+".", out)
		case reflect.Map:
			c.walkMap(f, prefix+key, out)
		default:
			*out = append(*out, c.value(prefix+key, show(f)))
		}
	}
}

func (c *Config) walkMap(m reflect.Value, key string, out *[]Value) {
	keys := m.MapKeys()
	sort.Slice(keys, func(i, j int) bool { return keys[i].String() < keys[j].String() })
	for _, k := range keys {
		elem := m.MapIndex(k)
		switch elem.Kind() {
		case reflect.Map:
			c.walkMap(elem, key+"."+k.String(), out)
			continue
		case reflect.Struct:
			c.walk(elem, key+"."+k.String()+".", out)
			continue
		}
		*out = append(*out, c.value(key+"."+k.String(), show(elem)))
	}
}

func (c *Config) value(key, text string) Value {
	source := c.sources[key]
	for k := key; source == "" && strings.Contains(k, "."); {
		k = k[:strings.LastIndexByte(k, '.')]
		source = c.sources[k]
	}
	if source == "" {
		source = "default"
	}
	if isSecret(key) && text != "" {
		text = "***"
	}
	return Value{key, text, source}
}

func show(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case []string:
		return strings.Join(x, ", ")
	case []Access:
		entries := make([]string, len(x))
		for i, a := range x {
			entries[i] = strings.Join(a.Rules, " ")
		}
		return strings.Join(entries, ", ")
	case []AuthCheck:
		names := make([]string, len(x))
		for i, check := range x {
			names[i] = check.Module
		}
		return strings.Join(names, ", ")
	case time.Duration:
		return x.String()
	case runtime.Value:
		if v.Kind() == reflect.Interface || v.Kind() == reflect.Pointer {
			if b, err := runtime.AppendJSON(nil, x); err == nil {
				return string(b)
			}
		}
		return fmt.Sprint(x)
	}
	return fmt.Sprint(v.Interface())
}

// SecretValues are the values that must never be printed.
func (c *Config) SecretValues() []string {
	out := append([]string(nil), c.Slack.SigningSecrets...)
	out = append(out, c.RulesGit.Secret, c.Slack.BotToken, c.Slack.UserToken, c.Slack.AppToken, c.Slack.OAuth.ClientSecret)
	out = append(out, c.Installs.Keys...)
	out = append(out, c.appSecrets()...)
	for _, k := range keysOf(c.Secrets) {
		out = append(out, c.Secrets[k])
	}
	for _, k := range keysOf(c.Handlers.Secrets) {
		out = append(out, c.Handlers.Secrets[k])
	}
	out = append(out, c.Handlers.passwords...)
	kept := out[:0]
	for _, s := range out {
		if s != "" {
			kept = append(kept, s)
		}
	}
	return kept
}
