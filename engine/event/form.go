package event

import (
	"bytes"
	"unicode/utf8"
)

// MaxFormFields is how many fields a form may have; Slack sends under 20.
const MaxFormFields = 256

// ParseForm reads an application/x-www-form-urlencoded body: an interaction
// (payload=), a slash command, or Slack's certificate probe. If several are
// there the probe wins over the interaction, and that over the command.
// Nothing of the result refers to body.
func ParseForm(body []byte, m Meta) (*Event, Control, error) {
	if IsSSLCheck(body) {
		return nil, Control{SSLCheck: true}, nil
	}
	p := parsers.Get().(*parser)
	defer p.release()
	p.e = newEvent(m)
	var f form
	err := f.read(body, &p.scratch)
	if err != nil {
		return nil, Control{}, err
	}
	if f.has(fPayload) {
		return p.formInteraction(&f)
	}
	if !f.has(fCommand) && f.has(fSSLCheck) {
		// A probe with another value than 1: it had to be signed, and asks nothing.
		return nil, Control{SSLCheck: true}, nil
	}
	if !f.has(fCommand) {
		return nil, Control{}, unusable("the form holds neither payload nor command")
	}
	if f.twice >= 0 {
		return nil, Control{}, unusable("a field is there twice: %s", formNames[f.twice])
	}
	return p.finish(body, p.formCommand(&f))
}

func (p *parser) formInteraction(f *form) (*Event, Control, error) {
	payload := f.val[fPayload]
	if len(payload) == 0 {
		return nil, Control{}, unusable("payload is empty")
	}
	c := Control{Repeated: f.twice == fPayload}
	m := Meta{
		Received: p.e.Received, Retry: p.e.Retry, RetryReason: p.e.RetryReason,
		Via: p.e.Via, Bot: p.e.Bot, BotUser: p.e.BotUser,
	}
	e, err := ParseInteraction(payload, m)
	if err != nil {
		return nil, Control{}, err
	}
	return e, c, nil
}

func (p *parser) formCommand(f *form) error {
	e := p.e
	if len(f.val[fCommand]) == 0 {
		return unusable("command is empty")
	}
	e.Kind, e.Type, e.Encoding = Command, "slash_commands", Form
	for i, dst := range [nForm]*string{
		fCommand: &e.Command, fText: &e.Text, fTeam: &e.Team, fEnterprise: &e.Enterprise, fApp: &e.App,
		fUser: &e.User, fChannel: &e.Channel, fResponseURL: &e.ResponseURL, fTrigger: &e.TriggerID,
	} {
		if dst != nil {
			p.texts.put(dst, f.val[i])
		}
	}
	e.OrgWide = string(f.val[fOrgWide]) == "true"
	p.setID("tr-", f.val[fTrigger])
	return nil
}

// The fields of a form that parsing looks at.
const (
	fPayload = iota
	fCommand
	fText
	fTeam
	fEnterprise
	fApp
	fUser
	fChannel
	fResponseURL
	fTrigger
	fSSLCheck
	fOrgWide
	nForm
)

var formNames = [nForm]string{
	"payload", "command", "text", "team_id", "enterprise_id", "api_app_id", "user_id", "channel_id", "response_url", "trigger_id", "ssl_check",
	"is_enterprise_install",
}

// form holds the decoded values of the known fields; the first of each counts.
type form struct {
	val   [nForm][]byte
	seen  [nForm]bool
	twice int // a known field that is there more than once, or -1
}

func (f *form) has(i int) bool { return f.seen[i] }

// read decodes a form. The values share *scratch, which is enlarged as needed.
func (f *form) read(body []byte, scratch *[]byte) error {
	f.twice = -1
	// Decoding never makes a text longer, so nothing moves once it is written.
	buf := (*scratch)[:0]
	if cap(buf) < len(body) {
		buf = make([]byte, 0, len(body))
	}
	for n := 0; len(body) > 0; n++ {
		if n == MaxFormFields {
			return unusable("the form has more than %d fields", MaxFormFields)
		}
		var pair []byte
		pair, body, _ = bytes.Cut(body, []byte{'&'})
		if len(pair) == 0 {
			continue
		}
		rawKey, rawVal, _ := bytes.Cut(pair, []byte{'='})
		start := len(buf)
		var err error
		if buf, err = unescapeForm(buf, rawKey); err != nil {
			return err
		}
		field := formIndex(buf[start:])
		start = len(buf)
		if buf, err = unescapeForm(buf, rawVal); err != nil {
			return err
		}
		switch {
		case field < 0:
		case f.seen[field]:
			f.twice = field
		default:
			f.seen[field], f.val[field] = true, buf[start:len(buf):len(buf)]
		}
	}
	*scratch = buf
	return nil
}

func formIndex(key []byte) int {
	for i, n := range formNames {
		if string(key) == n {
			return i
		}
	}
	return -1
}

// unescapeForm appends the decoded form of s, strictly.
func unescapeForm(b, s []byte) ([]byte, error) {
	start := len(b)
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '+':
			b = append(b, ' ')
		case '%':
			if i+2 >= len(s) || unhex(s[i+1]) < 0 || unhex(s[i+2]) < 0 {
				return b, unusable("bad percent escape in the form")
			}
			b = append(b, byte(unhex(s[i+1])<<4|unhex(s[i+2])))
			i += 2
		default:
			b = append(b, c)
		}
	}
	if text := b[start:]; !utf8.Valid(text) {
		return b, unusable("the form is not UTF-8")
	} else if bytes.IndexByte(text, 0) >= 0 {
		return b, unusable("NUL in the form")
	}
	return b, nil
}

// IsSSLCheck reports whether a form is Slack's certificate probe: exactly one
// field ssl_check, with the value 1. The probe is not signed, so whoever asks
// must do nothing but answer.
func IsSSLCheck(body []byte) bool {
	const key = "ssl_check="
	found := false
	for rest := body; ; {
		i := bytes.Index(rest, []byte(key))
		if i < 0 {
			return found
		}
		if at := len(body) - len(rest) + i; at > 0 && body[at-1] != '&' {
			rest = rest[i+len(key):]
			continue
		}
		rest = rest[i+len(key):]
		value, _, _ := bytes.Cut(rest, []byte{'&'})
		if found || string(value) != "1" && string(value) != "1\n" {
			return false
		}
		found = true
	}
}
