package install

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Answer is what Slack answers to oauth.v2.access, to a code and to a refresh
// token alike. Fields that it does not know are left out.
type Answer struct {
	OK    bool   `json:"ok"`
	Error string `json:"error"`
	AppID string `json:"app_id"`
	AnswerGrant
	BotUserID  string `json:"bot_user_id"`
	BotID      string `json:"bot_id"` // Slack leaves it out; others put it there
	Team       *named `json:"team"`
	Enterprise *named `json:"enterprise"`
	OrgWide    bool   `json:"is_enterprise_install"`
	AuthedUser struct {
		ID string `json:"id"`
		AnswerGrant
	} `json:"authed_user"`
	Webhook *struct {
		Channel          string `json:"channel"`
		ChannelID        string `json:"channel_id"`
		ConfigurationURL string `json:"configuration_url"`
		URL              string `json:"url"`
	} `json:"incoming_webhook"`
}

// AnswerGrant is a token in an Answer.
type AnswerGrant struct {
	TokenType    string `json:"token_type"`
	Scope        string `json:"scope"`
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	ExpiresIn    int64  `json:"expires_in"` // seconds; 0: never
}

type named struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Grant is the token of an answer that came at that time.
func (a *AnswerGrant) Grant(at time.Time) Grant {
	at = at.UTC()
	g := Grant{Token: Token(a.AccessToken), Refresh: Token(a.RefreshToken), Since: at}
	for s := range strings.SplitSeq(a.Scope, ",") {
		if s = strings.TrimSpace(s); s != "" {
			g.Scopes = append(g.Scopes, s)
		}
	}
	if a.ExpiresIn > 0 {
		end := at.Add(time.Duration(min(a.ExpiresIn, 10*365*24*3600)) * time.Second)
		g.Expires = &end
	}
	return g
}

// maxAnswer bounds the bytes of an answer.
const maxAnswer = 256 << 10

// ReadAnswer reads an answer. An error of Slack's is not one of ReadAnswer:
// see Answer.Error. The error repeats nothing of the answer.
func ReadAnswer(body []byte) (*Answer, error) {
	if len(body) > maxAnswer {
		return nil, errors.New("read answer of oauth.v2.access: it is too large")
	}
	a := &Answer{}
	if err := json.Unmarshal(body, a); err != nil {
		return nil, errors.New("read answer of oauth.v2.access: it is not the JSON that Slack documents")
	}
	return a, nil
}

// FromAnswer makes an installation of Slack's answer to oauth.v2.access. For
// Store.Install, which merges it into what is there.
func FromAnswer(body []byte, at time.Time) (*Installation, error) {
	a, err := ReadAnswer(body)
	if err != nil {
		return nil, err
	}
	return a.Installation(at)
}

// Installation makes an installation of an answer that came at that time.
func (a *Answer) Installation(at time.Time) (*Installation, error) {
	if !a.OK {
		return nil, fmt.Errorf("read answer of oauth.v2.access: Slack has not granted the installation: %.80q", a.Error)
	}
	at = at.UTC()
	in := &Installation{App: a.AppID, OrgWide: a.OrgWide, BotUser: a.BotUserID, BotID: a.BotID, Installer: a.AuthedUser.ID, Installed: at}
	if a.Enterprise != nil {
		in.Enterprise, in.EnterpriseName = a.Enterprise.ID, a.Enterprise.Name
	}
	if a.Team != nil && !in.OrgWide {
		in.Team, in.TeamName = a.Team.ID, a.Team.Name
	}
	switch a.TokenType {
	case "user": // the answer to the refresh token of a user
		in.setUser(a.AuthedUser.ID, a.Grant(at))
	default:
		if a.AccessToken != "" {
			in.Bot = a.Grant(at)
		}
	}
	if a.AuthedUser.AccessToken != "" {
		in.setUser(a.AuthedUser.ID, a.AuthedUser.Grant(at))
	}
	if w := a.Webhook; w != nil {
		in.Webhook = &Webhook{Channel: w.Channel, ChannelID: w.ChannelID, ConfigurationURL: w.ConfigurationURL, URL: Token(w.URL)}
	}
	if err := in.check(); err != nil {
		return nil, fmt.Errorf("read answer of oauth.v2.access: %w", err)
	}
	if !in.Bot.Usable() && len(in.Users) == 0 {
		return nil, errors.New("read answer of oauth.v2.access: it grants no token")
	}
	return in, nil
}

func (in *Installation) setUser(user string, g Grant) {
	if user == "" {
		return
	}
	if in.Users == nil {
		in.Users = map[string]Grant{}
	}
	in.Users[user] = g
}
