package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/starling-rules/starling/engine/config"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/install"
	"github.com/starling-rules/starling/engine/keyring"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/slackapi"
)

// errNoKey says what to do where installations are kept, or would be, and there
// is no key to encrypt them with.
var errNoKey = errors.New("there is no key to encrypt tokens with: set STARLING_KEY, or STARLING_KEY_FILE, to 32 bytes as base64 or hex (starling installs key makes one)")

// openInstalls opens the installations that the store keeps. Without a key
// there are none, and it is an error if there are all the same.
func (e *Engine) openInstalls(ctx context.Context) error {
	keys := e.o.Config.Installs.Keys
	if len(keys) == 0 {
		sealed, err := install.ListSealed(ctx, e.store.State(), nil)
		if err != nil {
			return err
		}
		if len(sealed) > 0 {
			return fmt.Errorf("the store holds %d installations, and %w", len(sealed), errNoKey)
		}
		return nil
	}
	s, err := OpenInstalls(ctx, e.o.Config, e.store, install.Options{Shared: e.shared(), Now: e.o.Now, Logger: e.log})
	if err != nil {
		return err
	}
	e.installs, e.bots.installs = s, s
	e.bots.home = e.self.Load
	s.Subscribe(e.installChanged)
	e.metrics.Func("installations", "Workspaces and organisations that have installed an app.", func() float64 { return float64(s.Count()) })
	return nil
}

// OpenInstalls opens the installations of a store with the keys that the
// configuration names. Of the options, State and Keys are set by it.
func OpenInstalls(ctx context.Context, c *config.Config, store queue.Store, o install.Options) (*install.Store, error) {
	if len(c.Installs.Keys) == 0 {
		return nil, errNoKey
	}
	ring, err := keyring.New(c.Installs.Keys...)
	if err != nil {
		return nil, fmt.Errorf("STARLING_KEY: %w", err)
	}
	o.State, o.Keys = store.State(), ring
	s, err := install.Open(ctx, o)
	if errors.Is(err, keyring.ErrKey) {
		return nil, fmt.Errorf("%w; put the key that sealed it behind the new one in STARLING_KEY, with a comma between them", err)
	}
	return s, err
}

// Installs are the installations that the store keeps; nil if there is no key
// for them.
func (e *Engine) Installs() *install.Store { return e.installs }

// OnRefused sets what is called when Slack refuses a token of an installation:
// it reports whether there is another one now. User is empty for the bot's.
func (e *Engine) OnRefused(renew func(ctx context.Context, id install.ID, user string, token install.Token, code string) bool) {
	f := renewFunc(renew)
	e.bots.renew.Store(&f)
}

// installChanged forgets what was looked up at Slack by who cannot look any
// more, and finds out who is new.
func (e *Engine) installChanged(c install.Change) {
	if c.Installation == nil || c.Installation.Usable() != nil {
		place := c.ID.Place
		if place[0] == 'E' {
			place = "" // which workspaces it is of, nobody knows
		}
		e.slack.Purge(place)
		e.known.drop("", place, "")
		if !c.Elsewhere {
			e.jobs.Go(func() {
				if _, err := e.shelf.Purge(e.jobCtx, place); err != nil && e.jobCtx.Err() == nil {
					e.log.Warn("forget what was looked up for an installation that is gone", "installation", c.ID.String(), "err", err)
				}
			})
		}
		return
	}
	select {
	case e.newcomers <- struct{}{}:
	default:
	}
}

// installed returns the installation that a query is about. A query about
// nothing is about the only one there is.
func (b *bots) installed(ctx context.Context, q install.Query) (*install.Installation, error) {
	if b.installs == nil {
		return nil, install.ErrNotFound
	}
	if q.Team != "" || q.Enterprise != "" {
		return b.installs.Find(ctx, q)
	}
	switch n := b.installs.Count(); n {
	case 0:
		return nil, fmt.Errorf("no workspace has installed the app: %w", install.ErrNotFound)
	case 1:
		if all := b.installs.List(); len(all) == 1 {
			return all[0], nil
		}
		fallthrough
	default:
		return nil, fmt.Errorf("%d workspaces have installed the app, and the event is of none of them: %w", n, install.ErrNotFound)
	}
}

// queryOf is the question for the installation that an event is for.
func queryOf(ev *event.Event) install.Query {
	q := install.Query{App: appOf(cmp.Or(ev.Bot, ev.App)), Team: ev.Team, Enterprise: ev.Enterprise, OrgWide: install.No}
	if ev.OrgWide {
		q.OrgWide = install.Yes
	}
	return q
}

// appOf is the app that a bot's name names; "" is whichever there is.
func appOf(name string) string {
	if appID(name) {
		return name
	}
	return ""
}

// appID reports whether the name of a bot is the id of an app, which is how the
// bots of installations are named.
func appID(name string) bool { return len(name) > 1 && name[0] == 'A' && !hasLower(name) }

func hasLower(s string) bool {
	return slices.ContainsFunc([]byte(s), func(c byte) bool { return 'a' <= c && c <= 'z' })
}

// identify notes in an event which installation it is for, and who the bot is
// there, so that it does not talk with itself.
func identify(ev *event.Event, in *install.Installation) {
	ev.Bot = in.App
	ev.BotUser = cmp.Or(ev.BotUser, in.BotUser)
	ev.Enterprise = cmp.Or(ev.Enterprise, in.Enterprise)
	if ev.AuthorApp == "" && ev.BotID != "" && ev.BotID == in.BotID {
		ev.AuthorApp = cmp.Or(ev.App, in.App)
		ev.App = ev.AuthorApp
	}
}

// grantOf chooses a token of an installation: the bot's, or with user set that
// of who installed the app, or of the only one who has given any. An app that
// has nothing but a user's token acts with that.
func grantOf(in *install.Installation, user bool) (who string, g install.Grant, err error) {
	if err := in.Usable(); err != nil {
		return "", g, err
	}
	if !user && (in.Bot.Token != "" || in.Bot.Revoked != "") {
		if !in.Bot.Usable() {
			return "", g, fmt.Errorf("the bot of %s cannot be used: %s; install the app again", in.ID(), in.Bot.Revoked)
		}
		return "", in.Bot, nil
	}
	if g := in.Users[in.Installer]; g.Usable() {
		return in.Installer, g, nil
	}
	for id, one := range in.Users {
		if !one.Usable() {
			continue
		}
		if who != "" {
			return "", install.Grant{}, fmt.Errorf("several users of %s have given tokens, and who installed the app is not among them", in.ID())
		}
		who, g = id, one
	}
	if who == "" {
		return "", g, fmt.Errorf("no user of %s has given a token: install the app with user scopes", in.ID())
	}
	return who, g, nil
}

// atHome reports whether SLACK_BOT_TOKEN is for a workspace that has not
// installed the app: it is its own, or nobody knows yet whose it is.
func (b *bots) atHome(team, enterprise string) bool {
	general := b.known.Load().general
	if general.Bot == "" && general.User == "" {
		return false
	}
	id := b.home()
	return id == nil || team == "" && enterprise == "" || team != "" && team == id.Team || id.Team == "" && enterprise == id.Enterprise
}

// Renew implements slackapi.Renewer.
func (b *bots) Renew(ctx context.Context, team, enterprise, name string, user bool, token, code string) bool {
	if b.installs == nil {
		return false
	}
	if _, known, err := b.known.Load().find(team, enterprise, name); known && err == nil {
		return false
	}
	in, err := b.installed(ctx, install.Query{App: appOf(name), Team: team, Enterprise: enterprise})
	if err != nil {
		return false
	}
	// Another process may have renewed it, and this one not have heard of it.
	id := in.ID()
	if in, err = b.installs.Get(ctx, id); err != nil {
		return false
	}
	who, g, err := grantOf(in, user)
	if err != nil {
		return false
	}
	if string(g.Token) != token {
		return true
	}
	renew := b.renew.Load()
	return renew != nil && (*renew)(ctx, id, who, install.Token(token), code)
}

// nameless lists the installations of which nobody knows yet who the bot is.
func (b *bots) nameless() []*install.Installation {
	if b.installs == nil {
		return nil
	}
	return slices.DeleteFunc(b.installs.List(), func(in *install.Installation) bool {
		return in.BotID != "" && in.BotUser != "" || !in.Bot.Usable() || in.Broken != ""
	})
}

// namesAtOnce is how many installations are asked after at a time.
const namesAtOnce = 8

// nameInstalls asks Slack who the bots are whom nobody knows, as far as it
// answers before ctx ends.
func (e *Engine) nameInstalls(ctx context.Context) {
	var each sync.WaitGroup
	defer each.Wait()
	free := make(chan struct{}, namesAtOnce)
	for _, in := range e.bots.nameless() {
		select {
		case free <- struct{}{}:
		case <-ctx.Done():
			return
		}
		each.Go(func() {
			defer func() { <-free }()
			e.nameInstalled(ctx, in)
		})
	}
}

// nameInstalled asks Slack who the bot of an installation is.
func (e *Engine) nameInstalled(ctx context.Context, in *install.Installation) {
	o := slackapi.CallOptions{Team: in.Team, Enterprise: in.Enterprise, Bot: in.App}
	_ = e.introduceOne(ctx, o, func(id slackapi.Identity) {
		_, err := e.installs.Update(ctx, in.ID(), func(now *install.Installation) (*install.Installation, error) {
			if now.BotID == id.Bot && now.BotUser == id.User {
				return nil, nil
			}
			now.BotID, now.BotUser = cmp.Or(id.Bot, now.BotID), cmp.Or(id.User, now.BotUser)
			return now, nil
		})
		if err != nil && ctx.Err() == nil {
			e.log.Warn("store who the bot of an installation is", "installation", in.ID().String(), "err", err)
		}
	})
}
