package slackapi

import (
	"context"
	"fmt"

	"github.com/starling-rules/starling/runtime"
)

// CallWith calls a method with a token that the caller has, or with none: for
// what is about tokens. Such a call is sent again only if Slack surely has not
// carried it out, unless the method only reads; Result.Doubt tells of one that
// it may have. The error is as of Call.
func (c *Client) CallWith(ctx context.Context, method, token string, args *runtime.Dict) (Result, error) {
	if !validMethod(method) {
		return Result{}, fmt.Errorf("call %.100q: %w", method, ErrMethod)
	}
	m := Known(method)
	body, contentType, err := encode(m, args)
	if err != nil {
		return Result{}, fmt.Errorf("call %s: %w", method, err)
	}
	start := c.o.Now()
	res, err := c.carry(ctx, method+" with", 16, &request{
		url: c.base.JoinPath(method).String(), body: body, contentType: contentType, label: m.Label(), repeat: m.Class == Read,
		tokens: func(context.Context) (string, error) { return token, nil },
	})
	if err != nil {
		return Result{}, err
	}
	return c.done(method, CallOptions{}, start, res), nil
}
