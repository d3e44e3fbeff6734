package slackapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/starling-rules/starling/runtime"
)

// ErrResponseURL says that the URL is not one that Slack gives.
var ErrResponseURL = errors.New("response_url is not on a host of Slack")

// ResponseURL reports whether a response_url may be used: on Slack's hosts
// over HTTPS, or on the host of the configured API (a local Slack).
func (c *Client) ResponseURL(raw string) bool {
	return c.slacks(raw, func(host string) bool { return host == "hooks.slack.com" || host == "hooks.slack-gov.com" })
}

// slacks reports whether a URL is over HTTPS on a host that own takes for
// Slack's, or on the host of the configured API.
func (c *Client) slacks(raw string, own func(host string) bool) bool {
	u, err := url.Parse(raw)
	if err != nil || u.User != nil || u.Opaque != "" {
		return false
	}
	if own(u.Host) {
		return u.Scheme == "https"
	}
	return u.Host == c.base.Host && u.Scheme == c.base.Scheme
}

// Respond posts a message to a response_url. Slack's refusals come back as
// "expired_url", "used_url", "http_404" and the like.
func (c *Client) Respond(ctx context.Context, responseURL string, message *runtime.Dict) (Result, error) {
	if !c.ResponseURL(responseURL) {
		return Result{}, ErrResponseURL
	}
	body, err := runtime.AppendJSON(nil, message)
	if err != nil {
		return Result{}, err
	}
	start := c.o.Now()
	r := &request{url: responseURL, body: body, contentType: jsonType, label: "response_url", hook: true}
	// One lane per URL: the responses to one event appear in order.
	res, err := c.carry(ctx, "response_url "+responseURL, 1, r)
	if err != nil {
		return Result{}, err
	}
	if c.o.Metrics != nil {
		outcome := "ok"
		if !res.OK {
			outcome = errorLabel(res.Error)
		}
		c.o.Metrics.Slack.WithLabelValues("response_url", outcome).Inc()
	}
	c.log.Debug("slack response", "status", res.Status, "error", res.Error, "dur_ms", c.o.Now().Sub(start).Milliseconds())
	return res, nil
}

// readHook understands the answer of a response_url: a plain text.
func (c *Client) readHook(resp *http.Response) (Result, fate) {
	if resp.StatusCode == http.StatusTooManyRequests {
		return limited(resp), throttled
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		res, f := c.lost(err, true)
		res.Status = resp.StatusCode
		return res, f
	}
	code := "http_" + strconv.Itoa(resp.StatusCode)
	w, err := runtime.ParseView(text)
	isDict := err == nil && w.IsDict()
	switch {
	case resp.StatusCode >= 500:
		res := bad(resp.StatusCode, code)
		res.Doubt = true
		return res, doubtful
	case resp.StatusCode < 300:
		if isDict {
			if ok, has := w.Get("ok"); has && ok == false {
				return bad(resp.StatusCode, errorLabel(str(w, "error"))), answered
			}
		}
		return Result{OK: true, Status: resp.StatusCode, Body: runtime.JSON(`{"ok":true}`)}, answered
	case resp.StatusCode < 400:
		return bad(resp.StatusCode, code), answered
	}
	said := strings.TrimSpace(string(text))
	if isDict {
		said = str(w, "error")
	}
	if said != "" && errorLabel(said) == said {
		code = said
	}
	return bad(resp.StatusCode, code), answered
}
