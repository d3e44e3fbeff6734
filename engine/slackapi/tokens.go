package slackapi

import (
	"context"
	"errors"
)

// Tokens is where tokens come from. Safe for concurrent use.
type Tokens interface {
	// Token returns the token of a bot in a workspace, or with user set the
	// user token. Empty names mean the only or the primary one. Its errors
	// are shown to script authors: they name no token.
	Token(ctx context.Context, team, enterprise, bot string, user bool) (string, error)
}

// Renewer is a Tokens that can have another token in the place of one that
// Slack refuses.
type Renewer interface {
	Tokens
	// Renew is told that Slack has refused a token, and with which error (see
	// Refused). It reports whether there is another one now.
	Renew(ctx context.Context, team, enterprise, bot string, user bool, token, code string) bool
}

// Static is one bot token and one user token for every team.
type Static struct {
	Bot, User string
}

// Token returns the one or the other.
func (s Static) Token(_ context.Context, _, _, _ string, user bool) (string, error) {
	switch {
	case user && s.User == "":
		return "", errors.New("no user token is configured (SLACK_USER_TOKEN)")
	case user:
		return s.User, nil
	case s.Bot == "":
		return "", errors.New("no bot token is configured (SLACK_BOT_TOKEN)")
	}
	return s.Bot, nil
}

// TokenFunc is Tokens from a function.
type TokenFunc func(ctx context.Context, team, enterprise, bot string, user bool) (string, error)

// Token calls f.
func (f TokenFunc) Token(ctx context.Context, team, enterprise, bot string, user bool) (string, error) {
	return f(ctx, team, enterprise, bot, user)
}
