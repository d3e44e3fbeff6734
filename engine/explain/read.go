package explain

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/runtime"
)

// Stored is an event as JSON, with all that is needed to take it through the
// rules again. For a person it is also the way to write down an event that does
// not come from Slack: {"kind": "webhook", "request": {…}, "raw": "…"}.
type Stored struct {
	Kind        string     `json:"kind"`
	ID          string     `json:"id,omitempty"`
	Encoding    string     `json:"encoding,omitempty"` // json, form, http, none
	Raw         string     `json:"raw,omitempty"`
	Request     *Request   `json:"request,omitempty"`
	Rule        string     `json:"rule,omitempty"` // of a schedule
	ScheduledAt *time.Time `json:"scheduled_at,omitempty"`
	Received    *time.Time `json:"received,omitempty"`
	Bot         string     `json:"bot,omitempty"`
	BotUser     string     `json:"bot_user,omitempty"`
	Retry       int        `json:"retry,omitempty"`
}

// Request is the HTTP request of a webhook event.
type Request struct {
	Method  string            `json:"method"`
	Path    string            `json:"path"`
	Query   string            `json:"query,omitempty"`
	Headers map[string]string `json:"headers,omitempty"`
}

var encodings = map[event.Encoding]string{event.JSON: "json", event.Form: "form", event.HTTP: "http", event.None: "none"}

// Store writes an event down so that Read gives it back.
func Store(e *event.Event) Stored {
	s := Stored{
		Kind: string(e.Kind), ID: e.ID, Encoding: encodings[e.Encoding], Raw: string(e.Raw), Bot: e.Bot, BotUser: e.BotUser, Retry: e.Retry,
	}
	if !e.Received.IsZero() {
		at := e.Received.UTC()
		s.Received = &at
	}
	if e.Kind == event.Schedule {
		at := e.ScheduledAt.UTC()
		s.ScheduledAt, s.Rule = &at, e.CallbackID
	}
	if r := e.Request; r != nil {
		s.Request = &Request{Method: r.Method, Path: r.Path, Query: r.Query, Headers: map[string]string{}}
		for _, h := range r.Headers {
			s.Request.Headers[h.Name] = h.Value
		}
	}
	return s
}

// Read makes an event of a text: a payload as Slack sends it (a JSON event
// callback or interaction, or the form around an interaction or a slash
// command), the event inside a callback alone, or Stored. notes say what was
// taken for granted. A fault of the text is a *runtime.Error with the place in
// it, where name is the name of the file.
func Read(name string, text []byte, m event.Meta) (e *event.Event, notes []string, err error) {
	trimmed := bytes.TrimSpace(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")))
	switch {
	case len(trimmed) == 0:
		return nil, nil, fault(name, text, 0, "the payload is empty", "give a file with what Slack sent, or - to read it from the standard input")
	case trimmed[0] == '{':
		return readJSON(name, text, trimmed, m)
	case trimmed[0] == '[':
		return nil, nil, fault(name, text, bytes.IndexByte(text, '['), "a list is no payload", "explain takes one event at a time")
	case bytes.IndexByte(trimmed, '=') < 0:
		return nil, nil, fault(name, text, bytes.Index(text, trimmed[:1]), "this is neither JSON nor a form", "Slack sends {…}, payload=… or command=…")
	}
	e, control, err := event.ParseForm(trimmed, m)
	if err != nil {
		return nil, nil, fault(name, text, bytes.Index(text, trimmed[:1]), reason(err), "")
	}
	if control.SSLCheck {
		return nil, nil, fmt.Errorf("%w: this is Slack's check of the certificate, which the server answers itself", ErrNotAnEvent)
	}
	if control.Repeated {
		notes = append(notes, "the form holds payload more than once; the first counts")
	}
	return e, notes, nil
}

// reason is why a payload is unusable, without what the package says before.
func reason(err error) string {
	if bad, ok := errors.AsType[*event.Error](err); ok {
		return bad.Reason
	}
	return err.Error()
}

// fault is an error at byte i of a text.
func fault(name string, text []byte, i int, msg, hint string) error {
	i = max(min(i, len(text)), 0)
	before := text[:i]
	e := &runtime.Error{
		Kind: runtime.LoadError, Msg: msg, Hint: hint,
		Pos: runtime.Position{Path: name, Line: 1 + bytes.Count(before, []byte("\n")), Col: i - bytes.LastIndexByte(before, '\n')},
	}
	e.SetLine(text)
	return e
}

func readJSON(name string, text, trimmed []byte, m event.Meta) (*event.Event, []string, error) {
	var top map[string]json.RawMessage
	if err := json.Unmarshal(trimmed, &top); err != nil {
		return nil, nil, jsonFault(name, text, err)
	}
	if _, stored := top["kind"]; stored && top["type"] == nil {
		return readStored(name, text, trimmed, m)
	}
	var notes []string
	body := trimmed
	if inner := string(top["type"]); isInner(top) {
		notes = append(notes, fmt.Sprintf("an event of type %s alone: taken as if Slack had sent it in an event_callback", inner))
		body = wrap(trimmed, m)
	}
	e, control, err := event.Parse(body, m)
	switch {
	case err != nil:
		return nil, nil, fault(name, text, bytes.IndexByte(text, '{'), reason(err), "")
	case control.Verify:
		return nil, nil, fmt.Errorf("%w: this is Slack's check of the address (url_verification), which the server answers itself", ErrNotAnEvent)
	case e == nil:
		return nil, nil, fmt.Errorf("%w: the server answers this itself", ErrNotAnEvent)
	}
	if e.Kind == event.Other && e.Type == "" {
		notes = append(notes, "the payload has no type: only on.event(\"*\") sees it")
	}
	return e, notes, nil
}

// outer are types of payloads that wrap no event of their own.
var outer = []string{"event_callback", "url_verification", "app_rate_limited"}

// isInner reports whether a payload is the event of a callback without the
// callback: it has a type, and nothing of an envelope or an interaction.
func isInner(top map[string]json.RawMessage) bool {
	var typ string
	if json.Unmarshal(top["type"], &typ) != nil || typ == "" || slices.Contains(outer, typ) {
		return false
	}
	for _, k := range []string{"event", "event_id", "trigger_id", "api_app_id", "view", "actions", "callback_id", "authorizations", "token"} {
		if top[k] != nil {
			return false
		}
	}
	return true
}

func wrap(inner []byte, m event.Meta) []byte {
	env := map[string]any{"type": "event_callback", "event": json.RawMessage(inner)}
	var team struct{ Team string }
	if json.Unmarshal(inner, &team) == nil && team.Team != "" {
		env["team_id"] = team.Team
	}
	if m.BotUser != "" {
		env["authorizations"] = []any{map[string]any{"user_id": m.BotUser, "is_bot": true}}
	}
	b, err := json.Marshal(env)
	if err != nil {
		return inner // it has just been decoded
	}
	return b
}

// jsonFault finds the place of an error of encoding/json.
func jsonFault(name string, text []byte, err error) error {
	start := bytes.IndexByte(text, '{')
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		at := start + int(syntax.Offset) - 1
		if strings.Contains(syntax.Error(), "unexpected end") {
			at = len(bytes.TrimRight(text, " \t\r\n"))
		}
		return fault(name, text, at, "not JSON: "+syntax.Error(), "")
	}
	return fault(name, text, start, "not JSON: "+err.Error(), "")
}

func readStored(name string, text, trimmed []byte, m event.Meta) (*event.Event, []string, error) {
	var s Stored
	d := json.NewDecoder(bytes.NewReader(trimmed))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return nil, nil, fault(name, text, bytes.IndexByte(text, '{'), "not a stored event: "+strings.TrimPrefix(err.Error(), "json: "),
			"a stored event is what `starling explain --save ID` prints; a payload of Slack's has a type")
	}
	m.Bot, m.Retry = s.Bot, s.Retry
	if s.BotUser != "" {
		m.BotUser = s.BotUser
	}
	if s.Received != nil {
		m.Received = *s.Received
	}
	e, err := s.event(m)
	if err != nil {
		return nil, nil, fault(name, text, bytes.Index(text, []byte(`"kind"`)), reason(err), "")
	}
	if s.ID != "" {
		e.ID = s.ID
	}
	return e, nil, nil
}

// event makes the event that was written down.
func (s *Stored) event(m event.Meta) (*event.Event, error) {
	switch kind := event.Kind(s.Kind); {
	case kind == event.Webhook:
		return s.webhook(m)
	case kind == event.Schedule:
		e := &event.Event{
			ID: "sch-" + s.Rule, Kind: kind, Type: "schedule", CallbackID: s.Rule, Via: "local", Received: m.Received, ScheduledAt: m.Received, Encoding: event.None,
		}
		if s.ScheduledAt != nil {
			e.ScheduledAt = *s.ScheduledAt
		}
		return e, nil
	case s.Raw == "":
		return nil, fmt.Errorf("raw is missing: the payload that Slack sent, as a text")
	case s.Encoding == "form":
		e, _, err := event.ParseForm([]byte(s.Raw), m)
		return noted(e, err)
	}
	if e, _, err := event.Parse([]byte(s.Raw), m); err == nil || s.Kind != string(event.Other) {
		return noted(e, err)
	}
	return event.Malformed([]byte(s.Raw), m), nil
}

func noted(e *event.Event, err error) (*event.Event, error) {
	if err == nil && e == nil {
		err = errors.New("the server answers this itself")
	}
	return e, err
}

func (s *Stored) webhook(m event.Meta) (*event.Event, error) {
	if s.Request == nil || s.Request.Path == "" {
		return nil, errors.New("request is missing: {\"method\": \"POST\", \"path\": \"/hooks/…\"}")
	}
	r := &event.Request{Method: strings.ToUpper(s.Request.Method), Path: s.Request.Path, Query: s.Request.Query, Remote: "127.0.0.1"}
	if r.Method == "" {
		r.Method = "POST"
	}
	names := make([]string, 0, len(s.Request.Headers))
	for n := range s.Request.Headers {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		r.Headers = append(r.Headers, event.Header{Name: strings.ToLower(n), Value: s.Request.Headers[n]})
	}
	return &event.Event{
		ID: "wh-local", Kind: event.Webhook, Type: "webhook", Via: "local", Received: m.Received, Encoding: event.HTTP, Raw: []byte(s.Raw), Request: r,
	}, nil
}
