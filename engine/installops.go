package engine

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/starling-rules/starling/engine/config"
	"github.com/starling-rules/starling/engine/ingress"
	"github.com/starling-rules/starling/engine/install"
	"github.com/starling-rules/starling/engine/keyring"
	"github.com/starling-rules/starling/engine/queue"
)

// InstallReport is an installation as operators see it: its tokens are masked.
type InstallReport struct {
	ID install.ID `json:"id"`
	// State is good, revoked, broken or unreadable; Why says more.
	State string `json:"state"`
	Why   string `json:"why,omitempty"`
	// Key names the key that it is sealed with; OldKey says that it is not the
	// one that new records are sealed with.
	Key    string `json:"key"`
	OldKey bool   `json:"old_key"`
	// Installation is what is stored; nil if it cannot be read.
	*install.Installation
}

// Installer is what operators do with installations.
type Installer interface {
	// List returns all, by app and place, as the store has them: whether or not
	// the keys are there.
	List(ctx context.Context) ([]InstallReport, error)
	// Add stores an installation as Slack's answer to oauth.v2.access describes
	// it, in the place of an earlier one.
	Add(ctx context.Context, answer []byte) (InstallReport, error)
	// Remove deletes an installation with its tokens from the store. Slack is
	// not asked: unless end is "revoke" or "uninstall", which is done there before.
	Remove(ctx context.Context, id install.ID, end string) error
	// Reseal encrypts with the first key what is sealed with another one, and
	// returns how many installations that were.
	Reseal(ctx context.Context) (int, error)
}

// Installations are those of the store.
func (o *Operator) Installations() Installer {
	return &installer{store: o.Store, config: o.Config, open: o.Installs, revoke: o.Revoke}
}

// installer is the Installer of a store. Without a server, open and revoke are nil.
type installer struct {
	store  queue.Store
	config *config.Config
	open   *install.Store
	revoke func(ctx context.Context, id install.ID, uninstall bool) error
}

// List implements Installer.
func (o *installer) List(ctx context.Context) ([]InstallReport, error) {
	var ring *keyring.Keyring
	if keys := o.config.Installs.Keys; len(keys) > 0 {
		var err error
		if ring, err = keyring.New(keys...); err != nil {
			return nil, err
		}
	}
	sealed, err := install.ListSealed(ctx, o.store.State(), ring)
	if err != nil {
		return nil, err
	}
	out := make([]InstallReport, 0, len(sealed))
	for _, rec := range sealed {
		rep := InstallReport{ID: rec.ID, Key: rec.Key, State: "good", Installation: rec.Installation}
		rep.OldKey = ring != nil && rec.Key != ring.IDs()[0]
		switch in := rec.Installation; {
		case in == nil && ring == nil:
			rep.State, rep.Why = "unreadable", errNoKey.Error()
		case in == nil:
			rep.State, rep.Why = "unreadable", rec.Problem.Error()
		case in.Broken != "":
			rep.State, rep.Why = "broken", in.Broken
		case in.Usable() != nil:
			rep.State, rep.Why = "revoked", in.Usable().Error()
		case in.Bot.Revoked != "":
			rep.State, rep.Why = "revoked", "the bot: "+in.Bot.Revoked
		}
		out = append(out, rep)
	}
	return out, nil
}

// Add implements Installer.
func (o *installer) Add(ctx context.Context, answer []byte) (InstallReport, error) {
	s, err := o.opened(ctx)
	if err != nil {
		return InstallReport{}, err
	}
	in, err := install.FromAnswer(answer, s.Now())
	if err != nil {
		return InstallReport{}, err
	}
	if in, err = s.Install(ctx, in); err != nil {
		return InstallReport{}, err
	}
	return InstallReport{ID: in.ID(), State: "good", Installation: in}, nil
}

// Remove implements Installer.
func (o *installer) Remove(ctx context.Context, id install.ID, end string) error {
	switch {
	case end == "":
	case end != "revoke" && end != "uninstall":
		return fmt.Errorf("want revoke or uninstall (got %.40q)", end)
	case o.revoke == nil:
		return errors.New("no server answers, and only a server calls Slack")
	default:
		if err := o.revoke(ctx, id, end == "uninstall"); err != nil {
			return err
		}
	}
	var err error
	if o.open != nil {
		err = o.open.Delete(ctx, id, "")
	} else {
		err = install.Drop(ctx, o.store.State(), id)
	}
	if end != "" && errors.Is(err, install.ErrNotFound) {
		return nil // Slack was faster to tell of it
	}
	return err
}

// Reseal implements Installer.
func (o *installer) Reseal(ctx context.Context) (int, error) {
	s, err := o.opened(ctx)
	if err != nil {
		return 0, err
	}
	return s.Reseal(ctx)
}

func (o *installer) opened(ctx context.Context) (*install.Store, error) {
	if o.open != nil {
		return o.open, nil
	}
	// Servers may be at work on the same cluster: they are told.
	return OpenInstalls(ctx, o.config, o.store, install.Options{Shared: o.config.Queue.URL != ""})
}

// PickInstall finds the installation that is meant: by its id, by the
// workspace alone, or by its name.
func PickInstall(list []InstallReport, text string) (InstallReport, error) {
	for _, means := range []func(InstallReport) bool{
		func(r InstallReport) bool { return r.ID.String() == text },
		func(r InstallReport) bool { return r.ID.Place == text },
		func(r InstallReport) bool { return r.Installation != nil && strings.EqualFold(r.Name(), text) },
	} {
		var found []InstallReport
		for _, r := range list {
			if means(r) {
				found = append(found, r)
			}
		}
		switch len(found) {
		case 0:
			continue
		case 1:
			return found[0], nil
		}
		return InstallReport{}, fmt.Errorf("%q is %d installations: write %s or %s", text, len(found), found[0].ID, found[1].ID)
	}
	return InstallReport{}, fmt.Errorf("no installation %q: starling installs lists them", text)
}

// mountInstalls adds the endpoints of starling installs.
func (e *Engine) mountInstalls(o *Operator) {
	op := o.Installations()
	e.admin.Handle(http.MethodGet, "/installs", func(ctx context.Context, _ *ingress.AdminRequest) ingress.AdminResponse {
		return reply(op.List(ctx))
	})
	e.admin.Handle(http.MethodPost, "/installs", func(ctx context.Context, r *ingress.AdminRequest) ingress.AdminResponse {
		return said(op.Add(ctx, r.Body))
	})
	e.admin.Handle(http.MethodPost, "/installs/remove/{app}/{place}", func(ctx context.Context, r *ingress.AdminRequest) ingress.AdminResponse {
		id, err := install.ParseID(r.Params["app"] + "/" + r.Params["place"])
		if err != nil {
			return ingress.Problem(http.StatusBadRequest, err.Error())
		}
		return said(done, op.Remove(ctx, id, r.Query["end"]))
	})
	e.admin.Handle(http.MethodPost, "/installs/reseal", func(ctx context.Context, _ *ingress.AdminRequest) ingress.AdminResponse {
		n, err := op.Reseal(ctx)
		return said(Resealed{n}, err)
	})
}

// Resealed is what Reseal did.
type Resealed struct {
	Sealed int `json:"sealed"`
}

// said is reply for what the asker may have got wrong.
func said[T any](v T, err error) ingress.AdminResponse {
	switch {
	case errors.Is(err, install.ErrNotFound):
		return ingress.Problem(http.StatusNotFound, "not found")
	case err != nil:
		return ingress.Problem(http.StatusBadRequest, err.Error())
	}
	return ingress.JSON(http.StatusOK, v)
}
