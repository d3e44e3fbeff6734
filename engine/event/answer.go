package event

import (
	"encoding/json"
	"strings"
)

// Answer is what the sender of an event is told, when a rule says so.
type Answer struct {
	// Status is the HTTP status; 0 means 200.
	Status int
	// ContentType of Body; "" with an empty Body.
	ContentType string
	Body        []byte
	// Headers and cookies are for webhooks only.
	Headers []Header
}

// MaxSocketPayload is how long an answer may be in an ack of Socket Mode, in
// bytes: Slack drops frames of 20,480 and more without a word, and the rest of
// the frame needs some.
const MaxSocketPayload = 20_480 - 1 - 256

// SocketPayload is the answer as an ack of Socket Mode carries it: JSON as it is,
// a text as that of a message. It is empty if there is nothing to say.
func (a *Answer) SocketPayload() json.RawMessage {
	if a == nil || len(a.Body) == 0 {
		return nil
	}
	if strings.HasPrefix(a.ContentType, "application/json") && json.Valid(a.Body) {
		return a.Body
	}
	b, err := json.Marshal(struct {
		Text string `json:"text"`
	}{string(a.Body)})
	if err != nil {
		return nil
	}
	return b
}
