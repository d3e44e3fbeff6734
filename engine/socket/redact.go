package socket

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/starling-rules/starling/engine/redact"
)

// clean masks what must not be logged: the token, other tokens, and the ticket
// in the address of a connection.
func (c *Client) clean(text string) string {
	text = redact.Shapes(strings.ReplaceAll(text, c.o.Token, redact.Mask))
	return ticket.ReplaceAllString(text, "${1}"+redact.Mask)
}

var ticket = regexp.MustCompile(`(ticket=)[^&"\s]*`)

// longestLogged is how much of a frame is logged, in bytes.
const longestLogged = 8 << 10

// readable is a frame as it may be logged: without tokens, and without the
// addresses and ids by which somebody could act in a user's name.
func (c *Client) readable(frame []byte) string {
	dec := json.NewDecoder(bytes.NewReader(frame))
	dec.UseNumber()
	var v any
	if dec.Decode(&v) != nil {
		return fmt.Sprintf("%d bytes that are no JSON", len(frame))
	}
	b, err := json.Marshal(mask(v))
	if err != nil {
		return fmt.Sprintf("%d bytes", len(frame))
	}
	text := c.clean(string(b))
	if len(text) > longestLogged {
		text = text[:longestLogged] + "…"
	}
	return text
}

func mask(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			if text, ok := e.(string); ok && hidden(k, text) {
				v[k] = redact.Mask
				continue
			}
			v[k] = mask(e)
		}
	case []any:
		for i, e := range v {
			v[i] = mask(e)
		}
	}
	return v
}

func hidden(key, text string) bool {
	switch key {
	case "trigger_id", "response_url", "url_private", "url_private_download":
		return true
	}
	if redact.Sensitive(key) {
		return true
	}
	u, err := url.Parse(text)
	return err == nil && u.User != nil
}
