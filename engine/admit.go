package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/ingress"
	"github.com/starling-rules/starling/engine/install"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/runtime"
)

// aboutInstalls are the events that tell of installations themselves: they are
// taken in also for workspaces that have removed the app.
var aboutInstalls = []string{"app_installed", "app_uninstalled", "app_uninstalled_team", "tokens_revoked", "team_access_granted", "team_access_revoked"}

// admit is nil if an event is for somebody who has installed the app, or is
// configured; else it wraps ingress.ErrNotInstalled, or queue.ErrUnavailable if
// that could not be found out.
func (e *Engine) admit(ctx context.Context, ev *event.Event) error {
	if e.installs == nil || ev.Team == "" && ev.Enterprise == "" || slices.Contains(aboutInstalls, ev.Type) {
		return nil
	}
	switch ev.Kind {
	case event.Webhook, event.Schedule:
		return nil
	}
	if _, known, _ := e.bots.known.Load().find(ev.Team, ev.Enterprise, ""); known {
		return nil
	}
	in, err := e.bots.installed(ctx, queryOf(ev))
	switch {
	case err == nil && in.Broken == "":
		if err = in.Usable(); err == nil {
			return nil
		}
		return fmt.Errorf("%w: %w", ingress.ErrNotInstalled, err)
	case err == nil, e.bots.atHome(ev.Team, ev.Enterprise):
		return nil // broken: rules may have something to do that needs no Slack
	case errors.Is(err, install.ErrNotFound):
		return fmt.Errorf("%w: %w", ingress.ErrNotInstalled, err)
	}
	return fmt.Errorf("%w: %w", queue.ErrUnavailable, err)
}

// refused counts and logs an event that is for nobody, and returns what its
// sender is told: nothing, or who types a command, that the app is not there.
func (e *Engine) refused(ev *event.Event, why error) *event.Answer {
	e.metrics.Strangers.WithLabelValues(string(ev.Kind)).Inc()
	e.recent.Add(ev)
	if others, ok := e.strangers.pass(e.o.Now()); ok {
		e.log.Warn("event refused: nobody has installed the app there", "event_id", ev.ID, "event_type", ev.Type,
			"team", ev.Team, "enterprise", ev.Enterprise, "app", ev.App, "why", why, "others", others)
	}
	switch ev.Kind {
	case event.Command:
		return &event.Answer{ContentType: "text/plain; charset=utf-8", Body: []byte("This app is not installed in this workspace any more. Ask whoever looks after your apps to install it again.")}
	case event.Options:
		return &event.Answer{ContentType: "application/json; charset=utf-8", Body: []byte(`{"options":[]}`)}
	}
	return nil
}

// gate lets in what is for somebody, after it has taken note of what says that
// somebody has removed the app. The answer is for what is refused.
func (e *Engine) gate(ctx context.Context, ev *event.Event) (*event.Answer, error) {
	if e.installs == nil {
		return nil, nil
	}
	if err := e.takeNote(ctx, ev); err != nil {
		return nil, fmt.Errorf("%w: %w", queue.ErrUnavailable, err)
	}
	err := e.admit(ctx, ev)
	if errors.Is(err, ingress.ErrNotInstalled) {
		return e.refused(ev, err), err
	}
	return nil, err
}

// staleBy is how much an event may be older than an installation, and be about
// it all the same: clocks differ.
const staleBy = 2 * time.Second

// takeNote removes what an event says is no good any more, before the event is
// stored: Slack sends it again if that fails. It makes no call, and may be
// repeated, in any order.
func (e *Engine) takeNote(ctx context.Context, ev *event.Event) error {
	if ev.Kind != event.Other || ev.Via == "local" {
		return nil
	}
	switch ev.Type {
	case "app_uninstalled":
		return e.uninstalled(ctx, ev)
	case "tokens_revoked":
		return e.revoked(ctx, ev)
	case "team_access_granted", "team_access_revoked":
		for _, team := range texts(ev, "event", "team_ids") {
			e.slack.Purge(team) // what could be seen of it is another thing now
		}
	}
	return nil
}

// meant returns the installation that an event takes back something of; nil if
// there is none, or only a newer one.
func (e *Engine) meant(ctx context.Context, ev *event.Event) (*install.Installation, error) {
	q := queryOf(ev)
	if ev.Team == "" {
		q.OrgWide = install.Yes
	}
	in, err := e.installs.Find(ctx, q)
	if errors.Is(err, install.ErrNotFound) {
		return nil, nil
	}
	return in, err
}

// over reports whether what was granted at a time is older than the event, and
// so may be meant by it.
func over(ev *event.Event, granted time.Time) bool {
	sec, ok := dig(ev, "event_time").(int64)
	return !ok || !granted.After(time.Unix(sec, 0).Add(staleBy))
}

// uninstalled deletes an installation.
func (e *Engine) uninstalled(ctx context.Context, ev *event.Event) error {
	for {
		in, err := e.meant(ctx, ev)
		if err != nil || in == nil {
			return err
		}
		if !over(ev, in.Installed) {
			e.log.Info("app_uninstalled is about an earlier installation", "installation", in.ID().String(), "event_id", ev.ID)
			return nil
		}
		err = e.installs.Delete(ctx, in.ID(), in.Revision)
		switch {
		case err == nil:
			e.log.Warn("the app was removed: its tokens are deleted", "installation", in.ID().String(), "name", in.Name(), "event_id", ev.ID)
			return nil
		case errors.Is(err, install.ErrNotFound):
			return nil
		case !errors.Is(err, install.ErrConflict):
			return err
		}
		// A token was renewed at this moment.
		if _, err := e.installs.Get(ctx, in.ID()); err != nil && !errors.Is(err, install.ErrNotFound) {
			return err
		}
	}
}

// revoked wipes the tokens that Slack names: of users by their ids, of bots by
// those of their users.
func (e *Engine) revoked(ctx context.Context, ev *event.Event) error {
	in, err := e.meant(ctx, ev)
	if err != nil || in == nil {
		return err
	}
	users, bots := texts(ev, "event", "tokens", "oauth"), texts(ev, "event", "tokens", "bot")
	why := "revoked at " + e.o.Now().UTC().Format(time.RFC3339)
	n := 0
	_, err = e.installs.Update(ctx, in.ID(), func(in *install.Installation) (*install.Installation, error) {
		n = 0
		if in.Bot.Usable() && over(ev, in.Bot.Since) && len(bots) > 0 && (in.BotUser == "" || slices.Contains(bots, in.BotUser)) {
			in.Bot.Revoke(why)
			in.Webhook = nil
			n++
		}
		for _, id := range users {
			if g, ok := in.Users[id]; ok && over(ev, g.Since) {
				delete(in.Users, id)
				n++
			}
		}
		if n == 0 {
			return nil, nil
		}
		return in, nil
	})
	if errors.Is(err, install.ErrNotFound) {
		return nil
	}
	if err == nil && n > 0 {
		e.log.Warn("tokens were revoked: they are deleted", "installation", in.ID().String(), "name", in.Name(), "tokens", n, "event_id", ev.ID)
	}
	return err
}

// dig returns a field of the payload as Slack sent it; nil if it is not there.
func dig(ev *event.Event, path ...string) runtime.Value {
	var v runtime.Value = runtime.JSON(ev.Raw)
	for _, name := range path {
		doc, ok := v.(runtime.JSON)
		if !ok {
			return nil
		}
		w, err := runtime.ParseView(doc)
		if err != nil || !w.IsDict() {
			return nil
		}
		if v, ok = w.Get(name); !ok {
			return nil
		}
		if inner, nested := v.(*runtime.View); nested {
			v = runtime.JSON(inner.JSON())
		}
	}
	return v
}

// texts are the texts of a list in the payload.
func texts(ev *event.Event, path ...string) []string {
	doc, ok := dig(ev, path...).(runtime.JSON)
	if !ok {
		return nil
	}
	v, err := runtime.ParseJSON(doc)
	list, isList := v.(runtime.List)
	if err != nil || !isList {
		return nil
	}
	var out []string
	for _, one := range list {
		if s, ok := one.(string); ok && s != "" {
			out = append(out, s)
		}
	}
	return out
}
