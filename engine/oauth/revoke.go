package oauth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"github.com/starling-rules/starling/engine/install"
	"github.com/starling-rules/starling/engine/metric"
	"github.com/starling-rules/starling/runtime"
)

// Revoker ends tokens at Slack. App and Slack are required; with an App that is
// empty tokens can be revoked, and no app can be uninstalled.
type Revoker struct {
	App     App
	Slack   Slack
	Logger  *slog.Logger
	Metrics *metric.Set
}

// Revoke ends all tokens of an installation: one by one (auth.revoke), or with
// uninstall all at once, and the app is gone from the workspace
// (apps.uninstall). A token that Slack does not know any more is ended already.
// The store is not changed.
func (r *Revoker) Revoke(ctx context.Context, in *install.Installation, uninstall bool) error {
	grants := []install.Grant{in.Bot}
	for _, user := range slices.Sorted(maps.Keys(in.Users)) {
		grants = append(grants, in.Users[user])
	}
	grants = slices.DeleteFunc(grants, func(g install.Grant) bool { return !g.Usable() })
	if len(grants) == 0 {
		return nil
	}
	if uninstall {
		return r.uninstall(ctx, in, grants)
	}
	var all error
	for _, g := range grants {
		all = errors.Join(all, r.call(ctx, "auth.revoke", g.Token, runtime.NewDict()))
	}
	if all != nil {
		return fmt.Errorf("revoke the tokens of %s: %w", in.ID(), all)
	}
	return nil
}

// uninstall needs one token that works: it tries them in turn.
func (r *Revoker) uninstall(ctx context.Context, in *install.Installation, grants []install.Grant) error {
	if r.App.ClientID == "" {
		return fmt.Errorf("uninstall %s: set SLACK_CLIENT_ID and SLACK_CLIENT_SECRET", in.ID())
	}
	var err error
	for _, g := range grants {
		err = r.call(ctx, "apps.uninstall", g.Token, runtime.NewDict("client_id", r.App.ClientID, "client_secret", r.App.ClientSecret))
		if err == nil {
			return nil
		}
	}
	return fmt.Errorf("uninstall %s: %w", in.ID(), err)
}

// call ends a token; one that is dead already is fine.
func (r *Revoker) call(ctx context.Context, method string, token install.Token, args *runtime.Dict) error {
	_, err := answerOf(r.Slack.CallWith(ctx, method, string(token), args))(method)
	outcome := "ok"
	if err != nil {
		outcome = outcomeOf(err)
	}
	if r.Metrics != nil {
		r.Metrics.Tokens.WithLabelValues("revoke", outcome).Inc()
	}
	switch codeOf(err) {
	case "token_revoked", "account_inactive", "invalid_auth", "token_expired":
		return nil
	}
	return err
}
