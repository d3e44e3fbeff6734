package oauth

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/starling-rules/starling/engine/install"
	"github.com/starling-rules/starling/engine/slackapi"
	"github.com/starling-rules/starling/runtime"
)

// App is the app that is installed, as Slack knows it under Basic Information.
// It does not print its secret.
type App struct {
	ClientID, ClientSecret string
}

// String names the app and hides the rest.
func (a App) String() string { return "client " + a.ClientID }

// GoString hides the secret from %#v.
func (a App) GoString() string { return a.String() }

// Slack is the part of slackapi.Client that the package uses.
type Slack interface {
	CallWith(ctx context.Context, method, token string, args *runtime.Dict) (slackapi.Result, error)
}

// Refusal is Slack's no to something about tokens.
type Refusal struct {
	Method, Code string
	// Doubt says that Slack may have done it all the same.
	Doubt bool
}

// Error names the method and Slack's code.
func (r *Refusal) Error() string { return r.Method + ": " + r.Code }

// codeOf is the error code of a refusal; "" of any other error.
func codeOf(err error) string {
	if r, ok := errors.AsType[*Refusal](err); ok {
		return r.Code
	}
	return ""
}

// ask calls a method that knows the app by its secret. The answer is Slack's
// yes, as JSON.
func (a App) ask(ctx context.Context, s Slack, method string, args ...any) ([]byte, error) {
	d := runtime.NewDict("client_id", a.ClientID, "client_secret", a.ClientSecret)
	for i := 0; i+1 < len(args); i += 2 {
		if v := args[i+1]; v != "" {
			d.Set(args[i].(string), v)
		}
	}
	return answerOf(s.CallWith(ctx, method, "", d))(method)
}

func answerOf(res slackapi.Result, err error) func(method string) ([]byte, error) {
	return func(method string) ([]byte, error) {
		switch {
		case err != nil:
			return nil, fmt.Errorf("%s: %w", method, err)
		case !res.OK:
			return nil, &Refusal{Method: method, Code: res.Error, Doubt: res.Doubt}
		}
		return res.Body, nil
	}
}

// access exchanges a code.
func (a App) access(ctx context.Context, s Slack, code, redirect string) ([]byte, error) {
	return a.ask(ctx, s, "oauth.v2.access", "code", code, "redirect_uri", redirect)
}

// refresh spends a refresh token.
func (a App) refresh(ctx context.Context, s Slack, token install.Token) (*install.Answer, error) {
	return read(a.ask(ctx, s, "oauth.v2.access", "grant_type", "refresh_token", "refresh_token", string(token)))
}

// exchange gives a token that lives for ever for one that rotates.
func (a App) exchange(ctx context.Context, s Slack, token install.Token) (*install.Answer, error) {
	return read(a.ask(ctx, s, "oauth.v2.exchange", "token", string(token)))
}

func read(body []byte, err error) (*install.Answer, error) {
	if err != nil {
		return nil, err
	}
	answer, err := install.ReadAnswer(body)
	if err == nil && answer.AccessToken == "" && answer.AuthedUser.AccessToken != "" {
		answer.AnswerGrant = answer.AuthedUser.AnswerGrant
	}
	if err == nil && answer.AccessToken == "" {
		return nil, errors.New("the answer holds no token")
	}
	return answer, err
}

// AuthorizeURL is where people are asked, for a base of the Web API: beside it.
func AuthorizeURL(api string) string {
	return strings.TrimSuffix(strings.TrimSuffix(api, "/"), "/api") + "/oauth/v2/authorize"
}
