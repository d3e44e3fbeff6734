package cli

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/starling-rules/starling/engine/hook"
	"github.com/starling-rules/starling/engine/ingress"
	"github.com/starling-rules/starling/engine/payload"
)

// slackRequest is a request ready to be sent.
type slackRequest struct {
	method, url string
	headers     [][2]string
	body, shown []byte
	signed      bool
}

// slackRequest signs a payload of Slack's.
func (t *trigger) slackRequest(target *url.URL, secret string, p payload.Payload) (*slackRequest, error) {
	if target.Path == "" || target.Path == "/" {
		target.Path = "/slack/events"
	}
	ts := strconv.FormatInt(t.act.Now.Unix(), 10)
	r := &slackRequest{method: "POST", url: target.String(), body: p.Body, shown: p.JSON, signed: true, headers: [][2]string{
		{"Content-Type", p.ContentType}, {"X-Slack-Request-Timestamp", ts}, {"X-Slack-Signature", ingress.Sign(secret, ts, p.Body)},
	}}
	return r, t.addHeaders(r)
}

func (t *trigger) addHeaders(r *slackRequest) error {
	for _, h := range t.headers {
		name, value, ok := strings.Cut(h, ":")
		if !ok || strings.TrimSpace(name) == "" {
			return fmt.Errorf("--header %q: want 'Name: value'", h)
		}
		r.headers = append(r.headers, [2]string{strings.TrimSpace(name), strings.TrimSpace(value)})
	}
	return nil
}

// webhook makes a request of somebody else than Slack: [METHOD] /path [body].
func (t *trigger) webhook(c *command, target *url.URL, words []string) (*slackRequest, error) {
	if len(words) > 0 && words[0] == strings.ToUpper(words[0]) && !strings.HasPrefix(words[0], "/") {
		t.method, words = words[0], words[1:]
	}
	if t.path == "" && len(words) > 0 {
		t.path, words = words[0], words[1:]
	}
	if t.body == "" && len(words) > 0 {
		t.body, words = words[0], words[1:]
	}
	switch {
	case len(words) > 0:
		return nil, fmt.Errorf("%q is too much: want webhook [METHOD] /path [body]", words)
	case !strings.HasPrefix(t.path, "/"):
		return nil, errors.New("want the path of the webhook: starling trigger webhook /hooks/name [body]")
	}
	body := []byte(t.body)
	if file, ok := strings.CutPrefix(t.body, "@"); ok {
		var err error
		if body, err = os.ReadFile(file); err != nil {
			return nil, err
		}
	}
	path, query, _ := strings.Cut(t.path, "?")
	u := *target
	u.Path, u.RawPath, u.RawQuery = "", "", ""
	where := strings.TrimSuffix(u.String(), "/") + path
	if query != "" {
		where += "?" + query
	}
	r := &slackRequest{method: t.method, url: where, body: body, shown: body}
	if len(body) > 0 {
		r.headers = append(r.headers, [2]string{"Content-Type", bodyType(body)})
	}
	if t.hookSecret != "" {
		if err := t.signHook(r); err != nil {
			return nil, err
		}
	}
	return r, t.addHeaders(r)
}

// bodyType guesses what a body is.
func bodyType(body []byte) string {
	switch text := bytes.TrimSpace(body); {
	case json.Valid(text) && len(text) > 0 && (text[0] == '{' || text[0] == '['):
		return "application/json"
	case bytes.IndexByte(text, '=') > 0 && !bytes.ContainsAny(text, " \n{"):
		return payload.FormType
	}
	return "text/plain; charset=utf-8"
}

// signHook proves to know the secret of a webhook.
func (t *trigger) signHook(r *slackRequest) error {
	var headers []hook.Header
	var err error
	switch t.signature {
	case "bearer":
		headers = []hook.Header{{Name: "Authorization", Value: "Bearer " + t.hookSecret}}
	case "basic":
		headers = []hook.Header{{Name: "Authorization", Value: "Basic " + base64.StdEncoding.EncodeToString([]byte(t.hookSecret))}}
	default:
		if headers, err = (hook.Signature{Scheme: t.signature}).Sign(t.hookSecret, r.body, t.act.Now); err != nil {
			return fmt.Errorf("--signature %q: want %s, bearer or basic", t.signature, strings.Join(hook.Schemes, ", "))
		}
	}
	for _, h := range headers {
		r.headers = append(r.headers, [2]string{h.Name, h.Value})
	}
	return nil
}

// curl writes the request as a command for the shell.
func (r *slackRequest) curl() string {
	parts := []string{"curl -sS -X " + shellQuote(r.method) + " " + shellQuote(r.url)}
	for _, h := range r.headers {
		parts = append(parts, "-H "+shellQuote(h[0]+": "+h[1]))
	}
	if len(r.body) > 0 {
		parts = append(parts, "--data-binary "+shellQuote(string(r.body)))
	}
	return strings.Join(parts, " \\\n  ")
}

// prettyBody indents JSON.
func prettyBody(contentType string, body []byte) string {
	var b bytes.Buffer
	if strings.HasPrefix(contentType, "application/json") && json.Indent(&b, body, "", "  ") == nil {
		return strings.TrimRight(b.String(), "\n")
	}
	return strings.TrimRight(string(body), "\n")
}
