package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/starling-rules/starling/runtime"
)

// App is what the environment says of one Slack app, by omnibot's variables
// CREDENTIALS_SLACK_…_<APP ID>. It does not print its values.
type App struct {
	ID string
	// SigningSecrets verify the app's requests; several while rotating.
	SigningSecrets []string
	BotToken       string
	UserToken      string
	// VerificationToken is the deprecated token in the body of requests. It
	// counts only with Slack.VerificationTokens.
	VerificationToken string
}

// String names the app and hides the rest.
func (a App) String() string { return "app " + a.ID }

// GoString hides the values from %#v.
func (a App) GoString() string { return a.String() }

// Callable reports whether the app has a token to call Slack with.
func (a App) Callable() bool { return a.BotToken != "" || a.UserToken != "" }

// Bot is one configured bot: an app in a workspace.
type Bot struct {
	Team, Name  string // as configured
	TeamID, App string // ids
}

// BotList lists the configured bots by team and name, those of teams that are
// not configured left out.
func (c *Config) BotList() []Bot {
	var out []Bot
	for _, team := range keysOf(c.Bots) {
		id, ok := c.Teams[team]
		if !ok {
			continue
		}
		for _, name := range keysOf(c.Bots[team]) {
			out = append(out, Bot{team, name, id, c.Bots[team][name]})
		}
	}
	return out
}

// BotOf returns the configured bot that an app is in a workspace.
func (c *Config) BotOf(teamID, app string) (Bot, bool) {
	for _, b := range c.BotList() {
		if b.TeamID == teamID && b.App == app {
			return b, true
		}
	}
	return Bot{}, false
}

// Disabled tells why a configured bot cannot be used; "" if it can.
func (c *Config) Disabled(b Bot) string {
	a := c.Apps[b.App]
	verified := len(a.SigningSecrets) > 0 || len(c.Slack.SigningSecrets) > 0 || c.Slack.AppToken != "" ||
		c.Slack.VerificationTokens && a.VerificationToken != ""
	switch {
	case !a.Callable() && c.Slack.BotToken == "" && c.Slack.UserToken == "":
		return "it has no token: set " + botTokenVar + b.App + " or " + userTokenVar + b.App
	case !verified && a.VerificationToken != "":
		return "its requests could only be verified by the deprecated token in their body: set " + signingVar + b.App +
			" (or, for a while, slack.verification_tokens: true)"
	case !verified:
		return "its requests cannot be verified: set " + signingVar + b.App
	}
	return ""
}

// Signed reports whether there is any signing secret.
func (c *Config) Signed() bool {
	for _, a := range c.Apps {
		if len(a.SigningSecrets) > 0 || c.Slack.VerificationTokens && a.VerificationToken != "" {
			return true
		}
	}
	return len(c.Slack.SigningSecrets) > 0
}

// Callable reports whether there is any token to call Slack with as a bot.
func (c *Config) Callable() bool {
	for _, a := range c.Apps {
		if a.Callable() {
			return true
		}
	}
	return c.Slack.BotToken != ""
}

// The variables of an app, its id follows.
const (
	signingVar      = "CREDENTIALS_SLACK_SIGNING_SECRET_"
	botTokenVar     = "CREDENTIALS_SLACK_OAUTH_BOT_TOKEN_"
	userTokenVar    = "CREDENTIALS_SLACK_OAUTH_TOKEN_"
	verificationVar = "CREDENTIALS_SLACK_VERIFICATION_TOKEN_"
)

// readApps takes the credentials of the configured apps from the environment.
func (c *Config) readApps(getenv func(string) string) runtime.Errors {
	var problems runtime.Errors
	ids := map[string]bool{}
	for _, bots := range c.Bots {
		for _, id := range bots {
			ids[id] = true
		}
	}
	c.Apps = make(map[string]App, len(ids))
	for _, id := range keysOf(ids) {
		a := App{ID: id}
		for _, v := range []struct {
			prefix string
			set    func(string)
		}{
			{signingVar, func(s string) { a.SigningSecrets = commaList(s) }},
			{botTokenVar, func(s string) { a.BotToken = s }},
			{userTokenVar, func(s string) { a.UserToken = s }},
			{verificationVar, func(s string) { a.VerificationToken = s }},
		} {
			text, _, err := variable(getenv, v.prefix+strings.ToUpper(id))
			if err != nil {
				problems = append(problems, problem(v.prefix+id+"_FILE", err.Error(), ""))
				continue
			}
			v.set(text)
		}
		c.Apps[id] = a
	}
	return problems
}

// warnApps says which bots cannot be used, and what is deprecated.
func (c *Config) warnApps() {
	if len(c.Handlers.All()) > 0 {
		for _, b := range c.BotList() {
			if why := c.Disabled(b); why != "" {
				c.Warnings = append(c.Warnings, fmt.Sprintf("bot %s of team %s is disabled: %s", b.Name, b.Team, why))
			}
		}
	}
	if c.Slack.VerificationTokens {
		c.Warnings = append(c.Warnings, "slack.verification_tokens: the deprecated token in the body proves nothing about the rest of a request, nor when it was sent; use signing secrets")
	}
}

func commaList(s string) []string {
	var out []string
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}

// appSecrets are the values of all apps that must never be printed.
func (c *Config) appSecrets() []string {
	var out []string
	for _, id := range keysOf(c.Apps) {
		a := c.Apps[id]
		out = slices.Concat(out, a.SigningSecrets, []string{a.BotToken, a.UserToken, a.VerificationToken})
	}
	return out
}
