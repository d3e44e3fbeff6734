package engine

import (
	"strings"
	"testing"

	"github.com/starling-rules/starling/engine/config"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/slackapi"
)

func TestTokens(t *testing.T) {
	t.Parallel()
	several := config.Default()
	several.Slack.BotToken = "general"
	several.Teams = map[string]string{"acme": "T1", "solo": "T2", "org": "E3"}
	several.Bots = map[string]map[string]string{"acme": {"one": "A1", "two": "A2", "bare": "A4"}, "solo": {"only": "A3"}, "org": {"wide": "A5"}}
	several.Apps = map[string]config.App{
		"A1": {ID: "A1", BotToken: "b1", UserToken: "u1"}, "A2": {ID: "A2", UserToken: "u2"}, "A3": {ID: "A3", BotToken: "b3"}, "A4": {ID: "A4"},
		"A5": {ID: "A5", BotToken: "b5"},
	}
	primary := *several
	primary.PrimaryBot = map[string]string{"acme": "two"}
	single := config.Default()
	single.Slack.BotToken, single.Slack.UserToken = "general", "general-user"
	single.Teams, single.Bots = map[string]string{"acme": "T1"}, map[string]map[string]string{"acme": {"one": "A1"}}
	single.Apps = map[string]config.App{"A1": {ID: "A1"}}
	none := config.Default()
	none.Slack.BotToken = "general"
	for name, tc := range map[string]struct {
		c                     *config.Config
		team, enterprise, bot string
		user                  bool
		want, err             string
	}{
		"by name":                           {several, "T1", "", "one", false, "b1", ""},
		"the user token":                    {several, "T1", "", "one", true, "u1", ""},
		"by app":                            {several, "T1", "", "A1", false, "b1", ""},
		"nothing but a user token":          {several, "T1", "", "two", false, "u2", ""},
		"no user token":                     {several, "T2", "", "only", true, "", "no user token"},
		"no token, never that of another":   {several, "T1", "", "bare", false, "", "no bot token"},
		"a bot of another team":             {several, "T1", "", "only", false, "", "not configured in the team"},
		"the only bot of a team":            {several, "T2", "", "", false, "b3", ""},
		"several and no primary":            {several, "T1", "", "", false, "", "several bots"},
		"the primary one":                   {&primary, "T1", "", "", false, "u2", ""},
		"a team of an organisation":         {several, "T9", "E3", "", false, "b5", ""},
		"a team that is not configured":     {several, "T9", "", "", false, "general", ""},
		"the only app, the general tokens":  {single, "T1", "", "one", false, "general", ""},
		"the only app, the general user's":  {single, "T1", "", "one", true, "general-user", ""},
		"the only team, without its name":   {single, "", "", "", false, "general", ""},
		"nothing configured":                {none, "T1", "", "", false, "general", ""},
		"nothing configured, and no user's": {none, "T1", "", "", true, "", "SLACK_USER_TOKEN"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := newBots(tc.c).Token(t.Context(), tc.team, tc.enterprise, tc.bot, tc.user)
			if got != tc.want || (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
				t.Errorf("got %q %v, want %q %s", got, err, tc.want, tc.err)
			}
		})
	}
}

func TestAnEventIsOfTheBotWhoseSecretSignedIt(t *testing.T) {
	t.Parallel()
	c := config.Default()
	c.Teams = map[string]string{"acme": "T1", "other": "T2"}
	c.Bots = map[string]map[string]string{"acme": {"one": "A1", "two": "A2"}, "other": {"uno": "A1"}}
	b := newBots(c)
	b.introduced(config.Bot{Team: "acme", Name: "two", TeamID: "T1", App: "A2"}, slackapi.Identity{User: "UTWO"})
	for name, tc := range map[string]struct {
		team, signed, app string
		bot, user         string
	}{
		"by secret":                     {"T1", "A2", "A2", "two", "UTWO"},
		"by secret, whatever it says":   {"T1", "A2", "A1", "two", "UTWO"},
		"by app":                        {"T1", "", "A1", "one", ""},
		"the same app in another team":  {"T2", "", "A1", "uno", ""},
		"an app that is not configured": {"T1", "", "A9", "A9", ""},
		"another team":                  {"T9", "A1", "A1", "", ""},
		"no app":                        {"T1", "", "", "", ""},
	} {
		e := &event.Event{Team: tc.team, Bot: tc.signed, App: tc.app}
		b.complete(e)
		if e.Bot != tc.bot || e.BotUser != tc.user {
			t.Errorf("%s: got bot %q, user %q", name, e.Bot, e.BotUser)
		}
	}
}
