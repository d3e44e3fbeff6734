package event

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/valyala/fastjson"
)

// Meta is what the transport knows about a payload.
type Meta struct {
	Received    time.Time
	Retry       int
	RetryReason string
	Via         string // "http", "socket" or "local"
	Bot         string // configured name of the bot whose secret or token it was
	BotUser     string // its user id, used if the payload does not tell
}

// Word keeps a word of a sender's for logs and events: short, and printable.
func Word(s string) string {
	const longest = 64
	s = s[:min(len(s), longest)]
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return "unprintable"
		}
	}
	return s
}

// Control is what a payload asks of the transport itself.
type Control struct {
	// Verify is set for url_verification: answer with Challenge. There is no event.
	Verify    bool
	Challenge string
	// SSLCheck is set for Slack's certificate probe: answer 200, do nothing
	// else. There is no event.
	SSLCheck bool
	// RateLimited is set for app_rate_limited: Slack drops deliveries. The
	// event is there too, of kind Other.
	RateLimited bool
	// Repeated is set if a form held payload= more than once; the first counts.
	Repeated bool
}

// Error says why a payload is unusable. It holds no part of the payload.
type Error struct{ Reason string }

// Error returns the reason.
func (e *Error) Error() string { return "unusable payload: " + e.Reason }

// IsUnusable reports whether err says that a payload can never be used
// (the sender is told 400).
func IsUnusable(err error) bool {
	_, ok := errors.AsType[*Error](err)
	return ok
}

func unusable(format string, args ...any) error {
	return &Error{fmt.Sprintf(format, args...)}
}

// Parse reads a JSON payload of any kind, by its content: an Events API
// envelope, an interaction, or the fields of a slash command. The event is nil
// if control says so. Nothing of the result refers to body.
func Parse(body []byte, m Meta) (*Event, Control, error) {
	p := parsers.Get().(*parser)
	defer p.release()
	if err := p.load(body, m); err != nil {
		return nil, Control{}, err
	}
	var err error
	switch {
	case p.top[kType] == nil && p.top[kCommand] != nil:
		err = p.command()
	case interactions[string(p.top.text(kType))] != "":
		err = p.interaction()
	default:
		err = p.envelope()
	}
	return p.finish(body, err)
}

// ParseEvents reads an Events API body: an envelope of any type, url_verification included.
func ParseEvents(body []byte, m Meta) (*Event, Control, error) {
	p := parsers.Get().(*parser)
	defer p.release()
	err := p.load(body, m)
	if err == nil {
		err = p.envelope()
	}
	return p.finish(body, err)
}

// ParseInteraction reads the JSON of an interaction: the value of payload= or
// the payload of a socket frame. An unknown type becomes an event of kind Other.
func ParseInteraction(payload []byte, m Meta) (*Event, error) {
	p := parsers.Get().(*parser)
	defer p.release()
	err := p.load(payload, m)
	if err == nil {
		err = p.interaction()
	}
	e, _, err := p.finish(payload, err)
	return e, err
}

// ParseCommand reads the fields of a slash command as a JSON object, which is
// how Socket Mode carries them. See ParseForm for HTTP.
func ParseCommand(payload []byte, m Meta) (*Event, error) {
	p := parsers.Get().(*parser)
	defer p.release()
	err := p.load(payload, m)
	if err == nil {
		err = p.command()
	}
	e, _, err := p.finish(payload, err)
	return e, err
}

// Malformed makes an event of kind Other from a payload that the other
// functions refuse, for a transport that has to accept it (Socket Mode).
func Malformed(body []byte, m Meta) *Event {
	e := newEvent(m)
	e.Kind, e.Type, e.Encoding = Other, "malformed", JSON
	e.Raw = append([]byte(nil), body...)
	e.ID = hashID(body)
	return e
}

func newEvent(m Meta) *Event {
	return &Event{
		Received: m.Received, Retry: m.Retry, RetryReason: m.RetryReason,
		Via: m.Via, Bot: m.Bot, BotUser: m.BotUser,
	}
}

// parser holds what one parse needs; they are pooled.
type parser struct {
	doc     document
	json    bool   // what is parsed is in doc
	top     fields // the payload
	in      fields // its event, view, message, … in turn
	sub     fields
	texts   arena
	e       *Event
	control Control
	scratch []byte
}

var parsers = sync.Pool{New: func() any { return new(parser) }}

// maxPooled is the size of payload beyond which a parser is not kept.
const maxPooled = 256 << 10

func (p *parser) release() {
	large := p.e != nil && len(p.e.Raw) > maxPooled || cap(p.scratch) > maxPooled
	p.e, p.json, p.control = nil, false, Control{}
	// The fields point into doc, whose nodes are overwritten, and are reset by scan.
	p.doc.drop()
	p.texts.drop()
	p.scratch = p.scratch[:0]
	if !large {
		parsers.Put(p)
	}
}

// load checks and parses a JSON object into p.top.
func (p *parser) load(body []byte, m Meta) error {
	p.e = newEvent(m)
	v, err := p.doc.read(body)
	if err != nil {
		return unusable("not JSON: %v", err)
	}
	if !v.isObject() {
		return unusable("not a JSON object but a %s", v.kind())
	}
	p.json = true
	return p.top.scan(v)
}

// finish turns what was gathered into the result.
func (p *parser) finish(raw []byte, err error) (*Event, Control, error) {
	if err != nil {
		return nil, Control{}, err
	}
	c := p.control
	if c.Verify || c.SSLCheck {
		return nil, c, nil
	}
	e := p.e
	p.texts.flush()
	e.Raw = append([]byte(nil), raw...)
	if e.ID == "" {
		// White space and escapes differ between HTTP and Socket Mode.
		if p.json {
			root, err := fastjson.ParseBytes(raw)
			if err != nil {
				return nil, Control{}, unusable("not JSON")
			}
			settle(root)
			p.scratch = root.MarshalTo(p.scratch[:0])
			raw = p.scratch
		}
		e.ID = hashID(raw)
	}
	return e, c, nil
}

// maxID bounds the ids that are taken over; a longer one is hashed.
const maxID = 200

// setID names the event by an id of Slack's.
func (p *parser) setID(prefix string, id []byte) {
	if len(id) == 0 {
		return
	}
	if len(id) > maxID {
		p.e.ID = hashID(id)
		return
	}
	p.texts.buf = append(p.texts.buf, prefix...)
	p.texts.put(&p.e.ID, id)
}

// hashID is the id of a payload that has none: the same for the same content.
func hashID(b []byte) string {
	h := sha256.Sum256(b)
	return "h-" + hex.EncodeToString(h[:16])
}

// settle decodes every escape below v, so that v is written in one way only.
// The nesting is bounded: v has passed checkJSON.
func settle(v *fastjson.Value) {
	switch v.Type() {
	case fastjson.TypeObject:
		o, _ := v.Object()
		o.Visit(func(_ []byte, v *fastjson.Value) { settle(v) })
	case fastjson.TypeArray:
		for _, e := range v.GetArray() {
			settle(e)
		}
	}
}
