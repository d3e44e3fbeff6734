// Package config is the one configuration of a Starling process: built-in
// defaults, then the file, then the environment, then flags (SPEC §2, §3).
//
//	Config   every setting, documented field by field
//	Load     reads all sources and reports every problem at once, with position;
//	         Inspect does, and yields what is good in spite of them
//	Explain  the effective values with the source of each, secrets masked
//
// The package reads the configuration file and nothing else; the environment
// is given to it.
package config

import (
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/starling-rules/starling/runtime"
)

// Config holds every setting. Its zero value is not usable: start from Default.
// The key tag is the name in starling.yaml.
type Config struct {
	// Rules are the directories with scripts, read recursively.
	Rules []string `key:"rules"`
	// Data is the directory of the embedded store; empty keeps everything in memory.
	Data string `key:"data"`
	// Listen serves Slack and webhooks, Admin health, metrics and the admin API.
	Listen string `key:"listen"`
	Admin  string `key:"admin"`
	TLS    TLS    `key:"tls"`
	// TrustedProxies are addresses or CIDRs whose x-forwarded-for and
	// x-forwarded-proto count.
	TrustedProxies []string `key:"trusted_proxies"`
	Slack          Slack    `key:"slack"`
	// Teams maps names of teams to their ids; Bots names of bots to app ids, by
	// team; PrimaryBot names the bot of a team that look-ups use.
	Teams      map[string]string            `key:"teams"`
	Bots       map[string]map[string]string `key:"bots"`
	PrimaryBot map[string]string            `key:"primary_bot"`
	// Apps are the credentials of the apps that Bots names, by app id.
	Apps map[string]App `key:"-"`
	// Handlers are omnibot's: they become rules (package omnibot). DefaultToHelp
	// answers what is addressed to a bot and meets no handler with help.
	Handlers      Handlers `key:"-"`
	DefaultToHelp bool     `key:"default_to_help"`
	// Authorization guards the HTTP API: what it does not allow is refused.
	Authorization Authorization `key:"authorization"`
	// Admins may use what is for admins: users by id or address, user groups.
	// None: nobody may.
	Admins []string `key:"admins"`
	// Access says who may run which rules.
	Access []Access `key:"access"`
	// RulesGit is a repository that rules are fetched from, beside Rules.
	RulesGit RulesGit `key:"rules_git"`
	Queue    Queue    `key:"queue"`
	Runs     Runs     `key:"runs"`
	Installs Installs `key:"installs"`
	// Sandbox is default, strict or none.
	Sandbox string `key:"sandbox"`
	// Workers is the number of worker processes; 0 means one per processor.
	Workers int    `key:"workers"`
	Limits  Limits `key:"limits"`
	HTTP    HTTP   `key:"http"`
	// Secrets are what secret("NAME") stands for.
	Secrets map[string]string `key:"secrets"`
	// RulesConfig is `config` in the script of that name.
	RulesConfig map[string]any `key:"rules_config"`
	Check       Check          `key:"check"`
	Log         Log            `key:"log"`

	// File is the file that was read, "" if none.
	File string `key:"-"`
	// Warnings are for the operator: settings that are accepted and not used.
	Warnings []string `key:"-"`

	sources map[string]string
	// places are where the settings of the file are, text is the file.
	places map[string]runtime.Position
	text   []byte
}

// TLS names the certificate and key for HTTPS; both empty means plain HTTP. The
// files are loaded again when they change.
type TLS struct {
	Cert string `key:"cert"`
	Key  string `key:"key"`
	// Listen is where HTTPS is taken, beside plain HTTP at Config.Listen; empty
	// means that Config.Listen is HTTPS, and there is no plain HTTP.
	Listen string `key:"listen"`
}

// Slack is how to talk with Slack.
type Slack struct {
	// MaxSkew is how far a request's timestamp may be off, either way.
	MaxSkew time.Duration `key:"max_skew"`
	// APIURL is the base of the Web API.
	APIURL string `key:"api_url"`
	Socket Socket `key:"socket"`
	// SigningSecrets verify requests; several while rotating.
	SigningSecrets []string `key:"signing_secrets"`
	BotToken       string   `key:"bot_token"`
	UserToken      string   `key:"user_token"`
	AppToken       string   `key:"app_token"`
	// OAuth lets workspaces install the app.
	OAuth OAuth `key:"oauth"`
	// VerificationTokens admits requests that prove nothing but the deprecated
	// token in their body (CREDENTIALS_SLACK_VERIFICATION_TOKEN_<APP>).
	VerificationTokens bool `key:"verification_tokens"`
}

// Socket configures Socket Mode.
type Socket struct {
	// Connections is how many are kept open, 1 to 10.
	Connections int `key:"connections"`
	// PingTimeout is how long a connection may show no sign of Slack.
	PingTimeout time.Duration `key:"ping_timeout"`
	// Debug logs every frame, at the level debug, without tokens.
	Debug bool `key:"debug"`
	// Proxy takes the place of HTTPS_PROXY for Socket Mode.
	Proxy string `key:"proxy"`
}

// Queue is where events are stored.
type Queue struct {
	// URL of a NATS cluster; empty means the embedded store in Data.
	URL string `key:"url"`
	// Replicas of each stream in a cluster.
	Replicas int `key:"replicas"`
	// Shards of the intake; 0 means 1 embedded and 8 in a cluster.
	Shards int `key:"shards"`
	// MaxBytes bounds the store on disk.
	MaxBytes Size `key:"max_bytes"`
}

// Runs is how long runs are kept after their end, with what they did.
type Runs struct {
	// Retention is for how long, RetentionBytes how much at most of those that
	// waited: the oldest go first.
	Retention      time.Duration `key:"retention"`
	RetentionBytes Size          `key:"retention_bytes"`
}

// Installs is how installations of the app in workspaces are kept (OAuth).
type Installs struct {
	// Keys encrypt the tokens in the store: the first seals, the others open
	// what was sealed before, while the key is being changed. 32 bytes each, as
	// base64 or 64 hex digits.
	Keys []string `key:"keys"`
}

// Limits bound scripts and requests: SPEC §9.
type Limits struct {
	Steps    int           `key:"steps"`
	Deadline time.Duration `key:"deadline"`
	Memory   Size          `key:"memory"`
	Effects  int           `key:"effects"`
	Run      time.Duration `key:"run"`
	Output   Size          `key:"output"`
	Answer   time.Duration `key:"answer"`
	Source   Size          `key:"source"`
	Body     Size          `key:"body"`
	// KVKeys and KVBytes bound what one script keeps with kv, once and
	// conversation, and what all scripts share: keys, and bytes of keys and values.
	KVKeys  int  `key:"kv_keys"`
	KVBytes Size `key:"kv_bytes"`
}

// HTTP bounds the requests that scripts make.
type HTTP struct {
	// Allow lists host:port, host or CIDR that are reachable though private.
	Allow []string `key:"allow"`
	// Proxy is the URL of a proxy for them.
	Proxy string `key:"proxy"`
}

// Check configures what scripts are checked for.
type Check struct {
	// SlackMethods are Web API methods that exist beside those that Starling
	// knows, or patterns of such: "admin.*".
	SlackMethods []string `key:"slack_methods"`
}

// Log configures the log.
type Log struct {
	Level  string `key:"level"`
	Format string `key:"format"`
	// Access logs each HTTP request at level info; else it is at debug.
	Access bool `key:"access"`
	// Rules are levels of their own for what is logged about some rules, by id
	// ("deploy.star:restart"), file ("deploy.star") or directory ("teams/a/").
	Rules map[string]string `key:"rules"`
}

// LevelOf reads the name of a level.
func (Log) LevelOf(name string) (slog.Level, error) {
	var level slog.Level
	switch strings.ToLower(name) {
	case "debug", "info", "warn", "error":
		err := level.UnmarshalText([]byte(name))
		return level, err
	}
	return level, fmt.Errorf("want debug, info, warn or error (got %q)", name)
}

// Size is a number of bytes, written as 64KiB, 256MiB, 1GiB, 100MB or a number.
type Size int64

// Default is the configuration with nothing set up.
func Default() *Config {
	return &Config{
		Rules:  []string{"./rules"},
		Data:   "./data",
		Listen: "0.0.0.0:3000",
		Admin:  "127.0.0.1:3001",
		Slack: Slack{
			MaxSkew: 5 * time.Minute,
			APIURL:  "https://slack.com/api/",
			Socket:  Socket{Connections: 2, PingTimeout: 30 * time.Second},
			OAuth:   OAuth{InstallPath: defaultInstallPath},
		},
		Queue:    Queue{Replicas: 1, MaxBytes: 4 << 30},
		Runs:     Runs{Retention: 14 * 24 * time.Hour, RetentionBytes: 128 << 20},
		RulesGit: RulesGit{Keep: 3},
		Sandbox:  "default", DefaultToHelp: true,
		Limits: Limits{
			Steps:    int(runtime.DefaultLimits.Steps),
			Deadline: runtime.DefaultLimits.Deadline,
			Memory:   Size(runtime.DefaultLimits.Memory),
			Effects:  runtime.DefaultLimits.Effects,
			Run:      15 * time.Minute,
			Output:   Size(runtime.DefaultLimits.Output),
			Answer:   2500 * time.Millisecond,
			Source:   Size(runtime.DefaultLimits.Source),
			Body:     1 << 20,
			KVKeys:   100_000,
			KVBytes:  64 << 20,
		},
		Log: Log{Level: "info", Format: "text"},
	}
}

// HasSecret reports whether secrets has one of that name.
func (c *Config) HasSecret(name string) bool { _, ok := c.Secrets[name]; return ok }

// Runtime returns the limits of one pass.
func (l Limits) Runtime() runtime.Limits {
	return runtime.Limits{
		Steps: uint64(l.Steps), Deadline: l.Deadline, Memory: int64(l.Memory),
		Effects: l.Effects, Output: int(l.Output), Source: int(l.Source),
	}
}

// legacy are keys of an omnibot configuration that are accepted, and what to
// say of them.
var legacy = map[string]string{
	"help_handler":                   "help_handler is not used: write help_callback",
	"team_fallback":                  "team_fallback is not used",
	"list_provider_update_frequency": "list_provider_update_frequency has no counterpart: look-ups are refreshed by Slack's events",
	"watcher_spawn_wait_time_in_sec": "watcher_spawn_wait_time_in_sec has no counterpart: there is no watcher process",
}
