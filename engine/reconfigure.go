package engine

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/starling-rules/starling/engine/config"
	"github.com/starling-rules/starling/engine/ingress"
)

// liveKeys are the settings, and the beginnings of settings, that follow the
// configuration file without a restart.
var liveKeys = []string{
	"admins", "access",
	"teams.", "bots.", "primary_bot.", "help_callback", "default_to_help", "authorization.", "http.allow", "secrets.",
	"slack.signing_secrets", "slack.bot_token", "slack.user_token", "slack.verification_tokens",
}

// config is the configuration in force.
func (e *Engine) config() *config.Config { return e.cfg.Load() }

// reconfigure takes up a configuration that has been read again and whose
// handlers are in force. It is whole: what cannot be taken up is found before
// anything is changed. The rules are being loaded meanwhile.
func (e *Engine) reconfigure(c *config.Config) {
	policy, err := e.api.Prepare(c)
	if err == nil {
		err = e.web.SetAllow(slices.Concat(c.HTTP.Allow, c.Handlers.Hosts))
	}
	if err != nil {
		e.log.Error("the configuration is not taken up: the old one stays in force", "file", c.File, "err", err)
		return
	}
	old := e.cfg.Swap(c)
	e.bots.replace(c)
	if !maps.Equal(old.Teams, c.Teams) {
		e.known.setTeams(c.Teams)
		e.loader.Renamed()
	}
	e.api.Use(policy)
	e.permit.Set(c.Admins, c.Access)
	if !reflect.DeepEqual(old.Bots, c.Bots) {
		e.slack.Purge("") // what one bot has seen is not for another of its name
	}
	// Last, so that whatever is let in finds the rest in its place.
	secrets, tokens := credentials(c)
	e.server.SetSecrets(secrets...)
	e.server.SetVerificationTokens(tokens...)
	select {
	case e.newcomers <- struct{}{}:
	default:
	}
	for _, w := range c.Warnings {
		e.log.Warn(w)
	}
	if keys := needRestart(e.o.Config, c); len(keys) > 0 {
		e.log.Warn("settings that have changed count from the next start only", "settings", keys)
	}
	e.log.Info("configuration read again", "file", c.File)
}

// credentials are what Slack's requests are verified with.
func credentials(c *config.Config) (secrets, tokens []ingress.Secret) {
	for _, s := range c.Slack.SigningSecrets {
		secrets = append(secrets, ingress.Secret{Value: s})
	}
	for id, app := range c.Apps {
		for _, s := range app.SigningSecrets {
			secrets = append(secrets, ingress.Secret{App: id, Value: s})
		}
		if c.Slack.VerificationTokens && len(app.SigningSecrets) == 0 && app.VerificationToken != "" {
			tokens = append(tokens, ingress.Secret{App: id, Value: app.VerificationToken})
		}
	}
	return secrets, tokens
}

// needRestart lists the settings that differ and do not follow the file.
func needRestart(old, now *config.Config) []string {
	values := func(c *config.Config) map[string]string {
		out := map[string]string{}
		for _, v := range c.Explain() {
			if !slices.ContainsFunc(liveKeys, func(k string) bool { return v.Key == k || strings.HasSuffix(k, ".") && strings.HasPrefix(v.Key, k) }) {
				out[v.Key] = v.Value
			}
		}
		return out
	}
	before, after := values(old), values(now)
	changed := map[string]bool{
		"slack.app_token": old.Slack.AppToken != now.Slack.AppToken,
		"installs.keys":   !slices.Equal(old.Installs.Keys, now.Installs.Keys),
	}
	for k := range before {
		changed[k] = changed[k] || before[k] != after[k]
	}
	for k := range after {
		changed[k] = changed[k] || before[k] != after[k]
	}
	maps.DeleteFunc(changed, func(_ string, differs bool) bool { return !differs })
	return slices.Sorted(maps.Keys(changed))
}
