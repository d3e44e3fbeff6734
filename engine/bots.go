package engine

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/starling-rules/starling/engine/config"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/install"
	"github.com/starling-rules/starling/engine/slackapi"
)

// bots knows the configured bots: which one an app is in a workspace, the
// token of each, and who each is at Slack. Behind them it knows the
// installations: workspaces that have installed the app by OAuth. It implements
// slackapi.Tokens. What is configured is replaced whole when the configuration
// changes.
type bots struct {
	known atomic.Pointer[botTable]
	// installs is set before the first call, nil if no installations are kept;
	// home tells whose the token is that is of no bot, nil as long as nobody
	// knows; renew may be nil.
	installs *install.Store
	home     func() *slackapi.Identity
	renew    atomic.Pointer[renewFunc]

	mu     sync.RWMutex
	selves map[config.Bot]slackapi.Identity
}

// botTable is the bots of one configuration. It is immutable.
type botTable struct {
	apps    map[string]config.App
	general slackapi.Static
	teams   map[string]*teamBots // by team id
	list    []config.Bot
}

// teamBots are the bots of one workspace.
type teamBots struct {
	byName, byApp map[string]config.Bot
	primary       string // name; empty if none is the obvious one
}

// renewFunc renews a token of an installation that Slack refuses; see
// slackapi.Renewer. User is empty for the bot's token.
type renewFunc func(ctx context.Context, id install.ID, user string, token install.Token, code string) bool

var _ slackapi.Renewer = (*bots)(nil)

func newBots(c *config.Config) *bots {
	b := &bots{selves: map[config.Bot]slackapi.Identity{}}
	b.replace(c)
	return b
}

// replace takes up the bots of another configuration.
func (b *bots) replace(c *config.Config) { b.known.Store(newBotTable(c)) }

// configured reports whether any bot is, as omnibot has them.
func (b *bots) configured() bool { return len(b.known.Load().teams) > 0 }

func newBotTable(c *config.Config) *botTable {
	b := &botTable{
		apps: c.Apps, general: slackapi.Static{Bot: c.Slack.BotToken, User: c.Slack.UserToken},
		teams: map[string]*teamBots{}, list: c.BotList(),
	}
	for _, bot := range b.list {
		t := b.teams[bot.TeamID]
		if t == nil {
			t = &teamBots{byName: map[string]config.Bot{}, byApp: map[string]config.Bot{}}
			b.teams[bot.TeamID] = t
		}
		t.byName[bot.Name], t.byApp[bot.App] = bot, bot
		t.primary = cmp.Or(c.PrimaryBot[bot.Team], t.primary, bot.Name)
		if c.PrimaryBot[bot.Team] == "" && len(t.byName) > 1 {
			t.primary = ""
		}
	}
	return b
}

// find returns the bot of a name, of an app id, or the primary one if that is
// empty. known is false if no bot of the team is configured.
func (b *botTable) find(team, enterprise, name string) (bot config.Bot, known bool, err error) {
	t := b.teams[team]
	if t == nil && enterprise != "" {
		t = b.teams[enterprise]
	}
	if t == nil && team == "" && len(b.teams) == 1 {
		for _, only := range b.teams {
			t = only
		}
	}
	if t == nil {
		return bot, false, nil
	}
	if name == "" {
		if name = t.primary; name == "" {
			return bot, true, fmt.Errorf("the team has several bots and no primary_bot")
		}
	}
	bot, ok := t.byName[name]
	if !ok {
		if bot, ok = t.byApp[name]; !ok {
			return bot, true, fmt.Errorf("bot %s is not configured in the team", name)
		}
	}
	return bot, true, nil
}

// Token implements slackapi.Tokens. The tokens of one app are never used for
// another; SLACK_BOT_TOKEN and SLACK_USER_TOKEN are those of the only app, and
// of workspaces that are neither configured nor installed.
func (b *bots) Token(ctx context.Context, team, enterprise, name string, user bool) (string, error) {
	table := b.known.Load()
	_, known, err := table.find(team, enterprise, name)
	if b.installs == nil || known && err == nil {
		return table.token(ctx, team, enterprise, name, user)
	}
	if known && !appID(name) {
		return "", err
	}
	in, missing := b.installed(ctx, install.Query{App: appOf(name), Team: team, Enterprise: enterprise})
	switch {
	case missing == nil:
		_, g, err := grantOf(in, user)
		return string(g.Token), err
	case known:
		return "", err
	case b.atHome(team, enterprise):
		return table.general.Token(ctx, team, enterprise, name, user)
	}
	return "", missing
}

func (b *botTable) token(ctx context.Context, team, enterprise, name string, user bool) (string, error) {
	bot, known, err := b.find(team, enterprise, name)
	if err != nil {
		return "", err
	}
	if !known {
		return b.general.Token(ctx, team, enterprise, name, user)
	}
	app := b.apps[bot.App]
	if !app.Callable() && len(b.apps) == 1 {
		return b.general.Token(ctx, team, enterprise, name, user)
	}
	token := app.UserToken
	if !user {
		// An app that has nothing but a user token acts with that.
		token = cmp.Or(app.BotToken, app.UserToken)
	}
	if token == "" {
		kind := "bot"
		if user {
			kind = "user"
		}
		return "", fmt.Errorf("bot %s of team %s has no %s token", bot.Name, bot.Team, kind)
	}
	return token, nil
}

// complete sets which bot an event is for. Bot is the app whose secret signed
// it, if that is known by its secret.
func (b *bots) complete(ev *event.Event) {
	app := cmp.Or(ev.Bot, ev.App)
	bot, known, err := b.known.Load().find(ev.Team, ev.Enterprise, app)
	if known && err == nil && app != "" {
		ev.Bot = bot.Name
		if ev.BotUser == "" {
			ev.BotUser = b.self(bot).User
		}
		return
	}
	// The look takes no longer than install.Store lets it.
	if in, err := b.installed(context.Background(), queryOf(ev)); err == nil {
		identify(ev, in)
		return
	}
	if known {
		ev.Bot = app // no token is found for it, rather than another bot's
	} else {
		ev.Bot = ""
	}
}

func (b *bots) self(bot config.Bot) slackapi.Identity {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.selves[bot]
}

func (b *bots) introduced(bot config.Bot, id slackapi.Identity) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.selves[bot] = id
}

// strangers lists the bots that have a token, and of whom nobody knows yet who
// they are at Slack.
func (b *bots) strangers() []config.Bot {
	var out []config.Bot
	table := b.known.Load()
	for _, bot := range table.list {
		if b.self(bot).User != "" {
			continue
		}
		if _, err := table.token(context.Background(), bot.TeamID, "", bot.Name, false); err == nil {
			out = append(out, bot)
		}
	}
	return out
}
