package config

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/starling-rules/starling/engine/keyring"
	"github.com/starling-rules/starling/runtime"
)

// Sources are where a configuration comes from.
type Sources struct {
	// File is the path that --config names; "" means $STARLING_CONFIG,
	// $CONFIG_FILE, or ./starling.yaml if it is there.
	File string
	// Text, if not nil, is what File holds in an editor: it is not read.
	Text []byte
	// Getenv looks up the environment.
	Getenv func(string) string
	// Flags are the flags that were given, by configuration key ("listen").
	Flags map[string]string
	// Base is what flags, environment and file change; nil means Default().
	Base *Config
}

// variables maps environment variables to keys, in the order they apply.
var variables = []struct{ name, key string }{
	{"SLACK_SIGNING_SECRET", "slack.signing_secrets"},
	{"SLACK_BOT_TOKEN", "slack.bot_token"},
	{"SLACK_USER_TOKEN", "slack.user_token"},
	{"SLACK_APP_TOKEN", "slack.app_token"},
	{"SLACK_CLIENT_ID", "slack.oauth.client_id"},
	{"SLACK_CLIENT_SECRET", "slack.oauth.client_secret"},
	{"SLACK_API_URL", "slack.api_url"},
	{"STARLING_LISTEN", "listen"},
	{"STARLING_ADMIN", "admin"},
	{"STARLING_RULES", "rules"},
	{"STARLING_DATA", "data"},
	{"STARLING_NATS_URL", "queue.url"},
	{"STARLING_KEY", "installs.keys"},
	{"LOG_LEVEL", "log.level"},
}

// Load reads the configuration. The error is a runtime.Errors with every
// problem: those of the file have positions.
func Load(src Sources) (*Config, error) {
	c, problems := Inspect(src)
	if len(problems) > 0 {
		return nil, problems
	}
	return c, nil
}

// Inspect is Load for who goes on in spite of problems: what is wrong has its
// default in the configuration.
func Inspect(src Sources) (*Config, runtime.Errors) {
	c := src.Base
	if c == nil {
		c = Default()
	}
	c.sources, c.places = map[string]string{}, map[string]runtime.Position{}
	if src.Getenv == nil {
		src.Getenv = func(string) string { return "" }
	}
	var problems runtime.Errors
	problems = append(problems, c.readFile(src)...)
	problems = append(problems, c.readEnvironment(src.Getenv)...)
	keys := make([]string, 0, len(src.Flags))
	for k := range src.Flags {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for _, k := range keys {
		if err := c.set(k, src.Flags[k], "flag --"+flagName(k)); err != nil {
			problems = append(problems, problem("--"+flagName(k), err.Error(), ""))
		}
	}
	problems = append(problems, c.readApps(src.Getenv)...)
	problems = append(problems, c.validate()...)
	c.warnApps()
	for _, p := range problems {
		if p.Line != "" && p.Pos.Path == c.File {
			p.Line = c.Line(p.Pos.Line)
		}
	}
	slices.SortStableFunc(problems, func(a, b *runtime.Error) int { return cmp.Or(a.Pos.Line-b.Pos.Line, a.Pos.Col-b.Pos.Col) })
	return c, problems
}

// Place returns where a setting is in the configuration file, by its key, and
// the text of that line; a zero position if it is not from there.
func (c *Config) Place(key string) (pos runtime.Position, line string) {
	pos = c.places[key]
	if pos.IsZero() {
		return pos, ""
	}
	return pos, runtime.SourceLine(c.text, pos.Line)
}

// Line returns the text of a line of the configuration file, credentials masked.
func (c *Config) Line(n int) string {
	text := string(c.text)
	for _, s := range c.SecretValues() {
		// A value of a few letters would mask half the file, and is no secret.
		if len(s) >= minMasked && !strings.Contains(s, "\n") {
			text = strings.ReplaceAll(text, s, "***")
		}
	}
	return runtime.SourceLine([]byte(text), n)
}

const minMasked = 4

// problem is a fault of one setting, at its place in the file if it is from there.
func (c *Config) problem(key, msg, hint string) *runtime.Error {
	pos, line := c.Place(key)
	if pos.IsZero() {
		return problem(key, msg, hint)
	}
	if c.secretLine(pos.Line) {
		line = "" // what stands there is for nobody's eyes
	}
	return &runtime.Error{Kind: runtime.LoadError, Pos: pos, Line: line, Msg: key + ": " + msg, Hint: hint}
}

// secretLine reports whether a secret stands in a line of the file, beside
// whatever else is there.
func (c *Config) secretLine(line int) bool {
	for key, at := range c.places {
		if at.Line == line && isSecret(key) {
			return true
		}
	}
	return false
}

// flagName is the spelling of a key on the command line.
func flagName(key string) string {
	return strings.NewReplacer(".", "-", "_", "-").Replace(key)
}

func (c *Config) readFile(src Sources) runtime.Errors {
	path, named := src.File, src.File != ""
	for _, v := range []string{"STARLING_CONFIG", "CONFIG_FILE"} {
		if p := src.Getenv(v); path == "" && p != "" {
			path, named = p, true
		}
	}
	if path == "" {
		path = "starling.yaml"
	}
	text, err := src.Text, error(nil)
	if text == nil {
		text, err = os.ReadFile(path)
	}
	if err != nil {
		if os.IsNotExist(err) && !named {
			return nil
		}
		return runtime.Errors{problem(path, "read configuration: "+err.Error(), "")}
	}
	c.File, c.text = path, text
	return c.readYAML(path, text, src.Getenv)
}

func (c *Config) readEnvironment(getenv func(string) string) runtime.Errors {
	var problems runtime.Errors
	for _, v := range variables {
		text, source, err := variable(getenv, v.name)
		if err != nil {
			problems = append(problems, problem(v.name+"_FILE", err.Error(), ""))
			continue
		}
		if text == "" {
			continue
		}
		if err := c.set(v.key, text, source); err != nil {
			problems = append(problems, problem(v.name, err.Error(), ""))
		}
	}
	return problems
}

// variable reads NAME, or the file that NAME_FILE names. Empty counts as unset.
func variable(getenv func(string) string, name string) (text, source string, err error) {
	if v := getenv(name); v != "" {
		return v, "environment " + name, nil
	}
	path := getenv(name + "_FILE")
	if path == "" {
		return "", "", nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", "", fmt.Errorf("read secret: %w", err)
	}
	return strings.TrimRight(string(b), "\r\n"), "file of " + name + "_FILE", nil
}

func problem(where, msg, hint string) *runtime.Error {
	return &runtime.Error{Kind: runtime.LoadError, Pos: runtime.Position{Path: where}, Msg: msg, Hint: hint}
}

// validate checks what each value alone cannot tell.
func (c *Config) validate() runtime.Errors {
	var out runtime.Errors
	bad := func(key, msg, hint string) { out = append(out, c.problem(key, msg, hint)) }
	switch c.Sandbox {
	case "default", "strict", "none":
	default:
		bad("sandbox", fmt.Sprintf("want default, strict or none (got %q)", c.Sandbox), hintFor(c.Sandbox, []string{"default", "strict", "none"}))
	}
	switch c.Log.Format {
	case "text", "json":
	default:
		bad("log.format", fmt.Sprintf("want text or json (got %q)", c.Log.Format), "")
	}
	switch strings.ToLower(c.Log.Level) {
	case "debug", "info", "warn", "warning", "error":
		c.Log.Level = strings.TrimSuffix(strings.ToLower(c.Log.Level), "ing")
	default:
		bad("log.level", fmt.Sprintf("want debug, info, warn or error (got %q)", c.Log.Level), "")
	}
	for rule, level := range c.Log.Rules {
		if _, err := c.Log.LevelOf(level); err != nil {
			bad("log.rules."+rule, err.Error(), "")
		}
	}
	for key, addr := range map[string]string{"listen": c.Listen, "admin": c.Admin, "tls.listen": c.TLS.Listen} {
		if addr == "" && key != "listen" {
			continue
		}
		if _, port, err := net.SplitHostPort(addr); err != nil {
			bad(key, fmt.Sprintf("want HOST:PORT (got %q)", addr), "")
		} else if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
			bad(key, fmt.Sprintf("want a port from 0 to 65535 (got %q)", port), "")
		}
	}
	if u, err := url.Parse(c.Slack.APIURL); err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		bad("slack.api_url", fmt.Sprintf("want an http or https URL (got %q)", c.Slack.APIURL), "")
	}
	switch {
	case c.TLS.Cert != "" && c.TLS.Key == "":
		bad("tls.cert", "cert and key go together", "add tls.key")
	case c.TLS.Cert == "" && c.TLS.Key != "":
		bad("tls.key", "cert and key go together", "add tls.cert")
	}
	switch {
	case c.TLS.Listen == "":
	case c.TLS.Cert == "":
		bad("tls.listen", "there is no certificate", "add tls.cert and tls.key; starling cert makes them")
	case c.TLS.Listen == c.Listen && !strings.HasSuffix(c.Listen, ":0"):
		bad("tls.listen", "plain HTTP is taken there", "leave it out for HTTPS alone at "+c.Listen)
	}
	c.validateLimits(bad)
	c.validateNames(bad)
	c.validateAuthorization(bad)
	c.validateAccess(bad)
	c.validateGit(bad)
	c.validateOAuth(bad)
	if len(c.Installs.Keys) > 0 {
		if _, err := keyring.New(c.Installs.Keys...); err != nil {
			bad("installs.keys", err.Error(), "")
		}
	}
	for team := range c.Bots {
		if _, ok := c.Teams[team]; !ok {
			bad("bots."+team, "no such team", hintFor(team, keysOf(c.Teams)))
		}
	}
	for team, bot := range c.PrimaryBot {
		if _, ok := c.Bots[team][bot]; !ok {
			bad("primary_bot."+team, fmt.Sprintf("no bot %q in that team", bot), hintFor(bot, keysOf(c.Bots[team])))
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Pos.Path < out[j].Pos.Path })
	return out
}

// validateLimits checks numbers, sizes and durations.
func (c *Config) validateLimits(bad func(key, msg, hint string)) {
	for key, n := range map[string]int64{
		"limits.steps": int64(c.Limits.Steps), "limits.deadline": int64(c.Limits.Deadline), "limits.memory": int64(c.Limits.Memory),
		"limits.effects": int64(c.Limits.Effects), "limits.run": int64(c.Limits.Run), "limits.output": int64(c.Limits.Output),
		"limits.answer": int64(c.Limits.Answer), "limits.source": int64(c.Limits.Source), "limits.body": int64(c.Limits.Body),
		"limits.kv_keys": int64(c.Limits.KVKeys), "limits.kv_bytes": int64(c.Limits.KVBytes),
		"slack.max_skew": int64(c.Slack.MaxSkew), "queue.replicas": int64(c.Queue.Replicas),
		"runs.retention": int64(c.Runs.Retention), "runs.retention_bytes": int64(c.Runs.RetentionBytes),
		"slack.socket.connections": int64(c.Slack.Socket.Connections), "slack.socket.ping_timeout": int64(c.Slack.Socket.PingTimeout),
	} {
		if n <= 0 {
			bad(key, "want more than 0", "")
		}
	}
	if c.Limits.Memory > 0 && c.Limits.Memory < 128<<20 {
		bad("limits.memory", fmt.Sprintf("want at least 128MiB (got %s): below that ordinary scripts die", c.Limits.Memory), "")
	}
	if n := c.Slack.Socket.Connections; n > 10 {
		bad("slack.socket.connections", fmt.Sprintf("want at most 10 (got %d): Slack takes no more of an app", n), "")
	}
	if p := c.Slack.Socket.Proxy; p != "" {
		if u, err := url.Parse(p); err != nil || u.Host == "" {
			bad("slack.socket.proxy", "want the URL of a proxy", "such as http://proxy.internal:3128")
		}
	}
	if c.Limits.Answer > 2900*1e6 {
		bad("limits.answer", fmt.Sprintf("want at most 2.9s (got %s): Slack waits 3 s", c.Limits.Answer), "")
	}
}

var (
	teamID     = regexp.MustCompile(`^[TE][A-Z0-9]+$`)
	appID      = regexp.MustCompile(`^A[A-Z0-9]+$`)
	secretName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]{0,127}$`)
)

// validateNames checks ids, addresses and names that lists and maps are made of.
func (c *Config) validateNames(bad func(key, msg, hint string)) {
	for team, id := range c.Teams {
		if !teamID.MatchString(id) {
			bad("teams."+team, fmt.Sprintf("%q is not the id of a workspace", id), "such as T0123ABCD")
		}
	}
	for team, bots := range c.Bots {
		for bot, id := range bots {
			if !appID.MatchString(id) {
				bad("bots."+team+"."+bot, fmt.Sprintf("%q is not the id of an app", id), "such as A0123ABCD")
			}
		}
	}
	for _, p := range c.TrustedProxies {
		if _, err := netip.ParseAddr(p); err == nil {
			continue
		}
		if _, err := netip.ParsePrefix(p); err != nil {
			bad("trusted_proxies", fmt.Sprintf("%q is neither an address nor a range of addresses", p), "such as 10.0.0.1 or 10.0.0.0/8")
		}
	}
	for _, h := range c.HTTP.Allow {
		if _, err := netip.ParsePrefix(h); err != nil && (h == "" || strings.ContainsAny(h, "/ \t@")) {
			bad("http.allow", fmt.Sprintf("%q is no host", h), "such as ci.internal:8443, or 10.1.0.0/16")
		}
	}
	for name := range c.Secrets {
		if !secretName.MatchString(name) {
			bad("secrets."+name, "is no name that secret(…) takes", "letters, digits, _ . and -, at most 128")
		}
	}
}

func keysOf[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}

// hintForKey suggests a key of the same mapping, or the same key in another one.
func hintForKey(name, prefix string, candidates []string) string {
	if hint := hintFor(name, candidates); hint != "" {
		return hint
	}
	for _, v := range Default().Explain() {
		if last := v.Key[strings.LastIndexByte(v.Key, '.')+1:]; last == name && v.Key != prefix+name {
			return "did you mean " + v.Key + "?"
		}
	}
	return ""
}

func hintFor(name string, candidates []string) string {
	if n := runtime.Nearest(name, candidates); n != "" {
		return "did you mean " + n + "?"
	}
	return ""
}
