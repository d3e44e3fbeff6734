package slackapi

import (
	"context"
	"errors"
	"slices"
	"strings"
)

// ErrUploadURL says that a file would go to somebody else than Slack.
var ErrUploadURL = errors.New("upload_url is not on a host of Slack")

// UploadURL reports whether a file may be sent there: to Slack's hosts over
// HTTPS, or to the host of the configured API (a local Slack).
func (c *Client) UploadURL(raw string) bool {
	return c.slacks(raw, func(host string) bool {
		return slices.ContainsFunc([]string{"slack.com", "slack-gov.com"}, func(slack string) bool {
			return host == slack || strings.HasSuffix(host, "."+slack)
		})
	})
}

// SendFile sends the content of a file to where files.getUploadURLExternal said.
// No token goes with it. It is sent again if it is in doubt: a file is nowhere
// to be seen before it is completed.
func (c *Client) SendFile(ctx context.Context, uploadURL string, content []byte) (Result, error) {
	if !c.UploadURL(uploadURL) {
		return Result{}, ErrUploadURL
	}
	r := &request{url: uploadURL, body: content, contentType: "application/octet-stream", label: "upload", hook: true, repeat: true}
	res, err := c.carry(ctx, "upload", 4, r)
	if err != nil {
		return Result{}, err
	}
	if c.o.Metrics != nil {
		outcome := "ok"
		if !res.OK {
			outcome = errorLabel(res.Error)
		}
		c.o.Metrics.Slack.WithLabelValues("upload", outcome).Inc()
	}
	return res, nil
}
