package install

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/starling-rules/starling/engine/keyring"
)

// Space begins the names of installations in the state of the store: no script
// has names that begin so. What follows is the id: A0123/T0123.
const Space = "install/"

// newsKey is where changes are announced to other processes.
const newsKey = "install-news/all"

// bindingOf is what a record is bound to: its name, and what it is for.
func bindingOf(id ID) string { return "starling installation 1\x00" + id.App + "\x00" + id.Place }

// ParseID reads an id as ID.String writes it.
func ParseID(text string) (ID, error) {
	app, place, ok := strings.Cut(text, "/")
	if !ok || !validID(app) || !validID(place) {
		return ID{}, fmt.Errorf("want APP/TEAM or APP/ENTERPRISE, such as A0123ABCD/T0123ABCD (got %.80q)", text)
	}
	return ID{app, place}, nil
}

func (id ID) key() string { return Space + id.String() }

// envelope is a record as it is stored, in plain JSON around what is sealed.
type envelope struct {
	Version int    `json:"v"`
	Key     string `json:"key"`
	Sealed  []byte `json:"sealed"`
}

const envelopeVersion = 1

// CheckRecord says what is wrong with the bytes of a stored record of that name
// (without Space), or nil. It needs no key: only a Store opens records.
func CheckRecord(name string, text []byte) error {
	if _, err := ParseID(name); err != nil {
		return err
	}
	_, err := readEnvelope(text)
	return err
}

func readEnvelope(text []byte) (envelope, error) {
	var env envelope
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&env); err != nil {
		return env, errors.New("not the record of an installation")
	}
	if env.Version != envelopeVersion {
		return env, fmt.Errorf("a record of version %d, and this program reads version %d", env.Version, envelopeVersion)
	}
	if env.Key == "" || len(env.Sealed) == 0 {
		return env, errors.New("not the record of an installation: it is empty")
	}
	return env, nil
}

// revisionOf names the version of a record. Two records are never the same
// bytes, whatever is in them.
func revisionOf(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:12])
}

// What is sealed: installations with their tokens in plain.
type (
	plain       Installation
	plainInstal struct {
		*plain
		Bot      plainGrant            `json:"bot"`
		Users    map[string]plainGrant `json:"users,omitempty"`
		Webhook  *plainWebhook         `json:"webhook,omitempty"`
		Revision string                `json:"revision,omitempty"` // always empty
	}
	plainGrant struct {
		Grant
		Token   string `json:"token,omitempty"`
		Refresh string `json:"refresh,omitempty"`
	}
	plainWebhook struct {
		Webhook
		URL string `json:"url,omitempty"`
	}
)

func toPlain(g Grant) plainGrant { return plainGrant{g, string(g.Token), string(g.Refresh)} }

func (p plainGrant) grant() Grant {
	g := p.Grant
	g.Token, g.Refresh = Token(p.Token), Token(p.Refresh)
	return g
}

// sealRecord makes the record of an installation.
func sealRecord(r *keyring.Keyring, in *Installation) ([]byte, error) {
	p := plainInstal{plain: (*plain)(in), Bot: toPlain(in.Bot)}
	for user, g := range in.Users {
		if p.Users == nil {
			p.Users = map[string]plainGrant{}
		}
		p.Users[user] = toPlain(g)
	}
	if in.Webhook != nil {
		p.Webhook = &plainWebhook{*in.Webhook, string(in.Webhook.URL)}
	}
	text, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	env := envelope{Version: envelopeVersion}
	env.Key, env.Sealed = r.Seal(text, bindingOf(in.ID()))
	return json.Marshal(env)
}

// openRecord reads the record of an installation, and which key it is sealed with.
func openRecord(r *keyring.Keyring, id ID, record []byte) (*Installation, string, error) {
	env, err := readEnvelope(record)
	if err != nil {
		return nil, "", err
	}
	text, err := r.Open(env.Key, env.Sealed, bindingOf(id))
	if err != nil {
		return nil, env.Key, err
	}
	in := &Installation{}
	p := plainInstal{plain: (*plain)(in)}
	if err := json.Unmarshal(text, &p); err != nil {
		return nil, env.Key, errors.New("what is sealed is not the record of an installation")
	}
	in.Bot = p.Bot.grant()
	for user, g := range p.Users {
		if in.Users == nil {
			in.Users = map[string]Grant{}
		}
		in.Users[user] = g.grant()
	}
	if p.Webhook != nil {
		w := p.Webhook.Webhook
		w.URL = Token(p.Webhook.URL)
		in.Webhook = &w
	}
	in.Revision = revisionOf(record)
	if in.ID() != id {
		return nil, env.Key, keyring.ErrSealed
	}
	return in, env.Key, nil
}
