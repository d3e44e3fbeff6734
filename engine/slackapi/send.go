package slackapi

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/starling-rules/starling/runtime"
)

// Result is what came of a call.
type Result struct {
	// OK and Error are Slack's, or say what went wrong on the way:
	// "http_503", "timeout", "connection_failed", "ratelimited",
	// "invalid_response", "response_too_large", "not_authed".
	OK    bool
	Error string
	// Body is the JSON object that Slack sent, or one with ok and error.
	Body runtime.JSON
	// Status is the HTTP status; 0 if there was none.
	Status int
	// RetryAfter is how long Slack asked to wait, with status 429.
	RetryAfter time.Duration
	// Doubt is set when the call may have been carried out although no
	// answer to it was understood.
	Doubt bool
}

// Get returns a field of the body, scalars as they are, others as JSON.
func (r Result) Get(path ...string) runtime.Value {
	return dig(r.Body, path...)
}

// Text returns a text field of the body, or "".
func (r Result) Text(path ...string) string {
	s, _ := r.Get(path...).(string)
	return s
}

// dig walks into a JSON document.
func dig(doc runtime.JSON, path ...string) runtime.Value {
	w, err := runtime.ParseView(doc)
	if err != nil {
		return nil
	}
	for i, name := range path {
		v, ok := w.Get(name)
		if !ok {
			return nil
		}
		inner, nested := v.(*runtime.View)
		if i == len(path)-1 {
			if nested {
				return runtime.JSON(inner.JSON())
			}
			return v
		}
		if !nested {
			return nil
		}
		w = inner
	}
	return doc
}

// failure is a result that Slack did not send.
func failure(code, detail string) Result {
	d := runtime.NewDict("ok", false, "error", code)
	if detail != "" {
		d.Set("detail", detail)
	}
	body, _ := runtime.AppendJSON(nil, d)
	return Result{Error: code, Body: body}
}

// Failed is a result with ok false and this error, for callers that refuse a
// call themselves.
func Failed(code, detail string) Result { return failure(code, detail) }

type request struct {
	url, token, contentType string
	// tokens, if set, gives the token of each attempt.
	tokens func(context.Context) (string, error)
	body   []byte
	label  string
	repeat bool // may be sent again when in doubt
	hook   bool // to a response_url
}

// fate is what is known of a request.
type fate uint8

const (
	answered  fate = iota // there is an answer
	throttled             // refused by rate limit
	unsent                // surely never reached Slack
	doubtful              // may have been carried out
	hopeless              // not sent, and trying again will not help
)

// send makes one attempt.
func (c *Client) send(ctx context.Context, r request) (Result, fate) {
	ctx, cancel := context.WithTimeout(ctx, c.o.Timeout)
	defer cancel()
	var wrote atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { wrote.Store(true) }})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url, bytes.NewReader(r.body))
	if err != nil {
		return failure("connection_failed", ""), hopeless
	}
	req.Header.Set("Content-Type", r.contentType)
	req.Header.Set("User-Agent", "starling")
	if r.token != "" {
		req.Header.Set("Authorization", "Bearer "+r.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return c.lost(err, wrote.Load())
	}
	defer resp.Body.Close()
	if r.hook {
		return c.readHook(resp)
	}
	return c.read(resp)
}

// lost classifies a request without an answer. The error's own text is not
// shown: it could repeat the URL of a response.
func (c *Client) lost(err error, wrote bool) (Result, fate) {
	code := "connection_failed"
	var ne net.Error
	if errors.Is(err, context.DeadlineExceeded) || errors.As(err, &ne) && ne.Timeout() {
		code = "timeout"
	}
	c.log.Debug("slack call failed", "error", cause(err))
	res := failure(code, "")
	if !wrote {
		return res, unsent
	}
	res.Doubt = true
	return res, doubtful
}

// cause strips the *url.Error, which repeats the URL.
func cause(err error) error {
	if inner := errors.Unwrap(err); inner != nil {
		return inner
	}
	return err
}

// read understands an answer.
func (c *Client) read(resp *http.Response) (Result, fate) {
	if resp.StatusCode == http.StatusTooManyRequests {
		_, _ = io.CopyN(io.Discard, resp.Body, 64<<10)
		return limited(resp), throttled
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, c.o.MaxResponse+1))
	switch {
	case err != nil:
		res, f := c.lost(err, true)
		res.Status = resp.StatusCode
		return res, f
	case int64(len(body)) > c.o.MaxResponse:
		return bad(resp.StatusCode, "response_too_large"), answered
	case resp.StatusCode >= 500:
		res := bad(resp.StatusCode, "http_"+strconv.Itoa(resp.StatusCode))
		res.Doubt = true
		return res, doubtful
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		return bad(resp.StatusCode, "http_"+strconv.Itoa(resp.StatusCode)), answered
	}
	w, err := runtime.ParseView(body)
	if err != nil || !w.IsDict() {
		if resp.StatusCode >= 400 {
			return bad(resp.StatusCode, "http_"+strconv.Itoa(resp.StatusCode)), answered
		}
		res := bad(resp.StatusCode, "invalid_response")
		res.Doubt = true
		return res, doubtful
	}
	res := Result{Status: resp.StatusCode, Body: body}
	ok, _ := w.Get("ok")
	res.OK, _ = ok.(bool)
	if res.OK {
		return res, answered
	}
	code, _ := w.Get("error")
	res.Error, _ = code.(string)
	switch res.Error {
	case "":
		res.Error = "unknown_error"
		if _, has := w.Get("ok"); !has {
			return bad(resp.StatusCode, "invalid_response"), answered
		}
	case "ratelimited", "rate_limited":
		return limited(resp), throttled
	case "internal_error", "fatal_error", "service_unavailable", "request_timeout":
		res.Doubt = true
		return res, doubtful
	}
	return res, answered
}

func bad(status int, code string) Result {
	res := failure(code, "")
	res.Status = status
	return res
}

func limited(resp *http.Response) Result {
	wait := pauseWithoutHeader
	if s := strings.TrimSpace(resp.Header.Get("Retry-After")); s != "" {
		// An absurd value must not stop a lane for ever.
		if n, err := strconv.ParseInt(s, 10, 64); err == nil && n >= 0 {
			wait = time.Duration(min(max(n, 1), 24*3600)) * time.Second
		}
	}
	body, _ := runtime.AppendJSON(nil, runtime.NewDict("ok", false, "error", "ratelimited", "retry_after", int64(wait.Seconds())))
	return Result{Error: "ratelimited", Body: body, Status: resp.StatusCode, RetryAfter: wait}
}
