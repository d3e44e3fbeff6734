// Package install keeps the installations of apps: which workspaces and
// organisations have installed which app, and the tokens that Slack gave for it.
//
//	Installation  one app in one workspace, or in all of an organisation
//	Grant         one token with its scopes, when it expires, and how to renew it
//	Store         Put, Get, Find, List, Delete; Subscribe and Follow for changes
//	FromAnswer    an installation from Slack's answer to oauth.v2.access
//
// Where an installation goes and comes from:
//
//	OAuth, starling installs ─► Put ─► seal (AES-256-GCM) ─► state of the store
//	                                                            │ Follow: other processes
//	event, call ─► Find(app, team, enterprise) ◄── table ◄── open
//
// Installations are kept in the state of the durable store, under names that
// no script can reach. What is written there is encrypted, and bound to its
// name: a record that is copied to the name of another workspace does not open.
// Every process has all of them in memory, decrypted.
//
// The package calls nobody: it knows no HTTP and no Slack.
package install

import (
	"cmp"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"
)

// Token is a credential. It prints as ***, in whatever way it is printed;
// convert it to a string to use it.
type Token string

const masked = "***"

// String hides the token.
func (t Token) String() string {
	if t == "" {
		return ""
	}
	return masked
}

// GoString hides the token from %#v.
func (t Token) GoString() string { return t.String() }

// LogValue hides the token from logs.
func (t Token) LogValue() slog.Value { return slog.StringValue(t.String()) }

// MarshalText hides the token from JSON. Installations are stored by Store alone.
func (t Token) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// Grant is one token. The zero value grants nothing.
type Grant struct {
	Token  Token    `json:"token,omitempty"`
	Scopes []string `json:"scopes,omitempty"`
	// Refresh renews the token; Expires is when it ends. Both are empty for
	// tokens that do not rotate.
	Refresh Token      `json:"refresh,omitempty"`
	Expires *time.Time `json:"expires,omitempty"`
	// Since is when the token was issued, by the clock of this server.
	Since time.Time `json:"since"`
	// Revoked says why the token is no good any more; it is empty then.
	Revoked string `json:"revoked,omitempty"`
}

// Usable reports whether there is a token.
func (g *Grant) Usable() bool { return g.Token != "" && g.Revoked == "" }

// Revoke wipes the token, and notes why.
func (g *Grant) Revoke(why string) {
	g.Token, g.Refresh, g.Expires, g.Revoked = "", "", nil, why
}

// Webhook is the incoming webhook that an installation may bring along.
type Webhook struct {
	Channel          string `json:"channel,omitempty"`
	ChannelID        string `json:"channel_id,omitempty"`
	ConfigurationURL string `json:"configuration_url,omitempty"`
	// URL is a credential: whoever has it can post.
	URL Token `json:"url,omitempty"`
}

// ID names an installation: the app, and where it is. In JSON it is a text.
type ID struct {
	App string
	// Place is the workspace (T…), or for an org-wide installation the
	// organisation (E…).
	Place string
}

// String is the id as operators write it: A0123/T0123.
func (id ID) String() string { return id.App + "/" + id.Place }

// MarshalText is String; UnmarshalText is ParseID.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (id *ID) UnmarshalText(text []byte) (err error) {
	*id, err = ParseID(string(text))
	return err
}

// Installation is one app in one workspace, or org-wide. What Store.Find
// returns is shared and must not be changed; the others return copies.
type Installation struct {
	App            string `json:"app"`
	Team           string `json:"team,omitempty"` // empty if OrgWide
	TeamName       string `json:"team_name,omitempty"`
	Enterprise     string `json:"enterprise,omitempty"`
	EnterpriseName string `json:"enterprise_name,omitempty"`
	// OrgWide is Slack's is_enterprise_install: one token for all workspaces
	// of the organisation.
	OrgWide bool `json:"org_wide"`
	// Bot is the bot's token; BotUser and BotID are who it is at Slack.
	Bot     Grant  `json:"bot"`
	BotUser string `json:"bot_user,omitempty"`
	BotID   string `json:"bot_id,omitempty"`
	// Users are the tokens of users, by their ids; Installer is who installed
	// the app last.
	Users     map[string]Grant `json:"users,omitempty"`
	Installer string           `json:"installer,omitempty"`
	Webhook   *Webhook         `json:"webhook,omitempty"`
	// Installed is when it was installed last, Updated when it was stored.
	Installed time.Time `json:"installed"`
	Updated   time.Time `json:"updated"`
	// Broken says why it cannot be used although nobody has revoked it: a
	// refresh token that Slack refuses. Installing again mends it.
	Broken string `json:"broken,omitempty"`
	// Revision is the version of what is stored, for Put; empty if nothing is.
	Revision string `json:"revision,omitempty"`
}

// ID names the installation.
func (in *Installation) ID() ID {
	if in.OrgWide {
		return ID{in.App, in.Enterprise}
	}
	return ID{in.App, in.Team}
}

// Name is what people call the place: its name, or its id.
func (in *Installation) Name() string {
	if in.OrgWide {
		return cmp.Or(in.EnterpriseName, in.Enterprise)
	}
	return cmp.Or(in.TeamName, in.Team)
}

// Clone returns a copy that shares nothing with in.
func (in *Installation) Clone() *Installation {
	out := *in
	out.Bot = in.Bot.clone()
	out.Users = maps.Clone(in.Users)
	for user, g := range out.Users {
		out.Users[user] = g.clone()
	}
	if in.Webhook != nil {
		w := *in.Webhook
		out.Webhook = &w
	}
	return &out
}

func (g Grant) clone() Grant {
	g.Scopes = slices.Clone(g.Scopes)
	if g.Expires != nil {
		at := *g.Expires
		g.Expires = &at
	}
	return g
}

// Usable is nil, or why no call can be made for this installation.
func (in *Installation) Usable() error {
	switch {
	case in.Broken != "":
		return fmt.Errorf("the installation %s cannot be used: %s; install the app again", in.ID(), in.Broken)
	case in.Bot.Usable():
		return nil
	case slices.ContainsFunc(slices.Collect(maps.Values(in.Users)), func(g Grant) bool { return g.Usable() }):
		return nil
	case in.Bot.Revoked != "":
		return fmt.Errorf("the installation %s cannot be used: %s; install the app again", in.ID(), in.Bot.Revoked)
	}
	return fmt.Errorf("the installation %s has no token; install the app again", in.ID())
}

// Merge adds to a new installation what an earlier one of the same app and
// place has and Slack does not send again: the tokens of other users, and a bot
// token if only a user has installed. The revision is that of the earlier one.
func (in *Installation) Merge(earlier *Installation) {
	in.Revision = earlier.Revision
	for user, g := range earlier.Users {
		if _, ok := in.Users[user]; !ok {
			if in.Users == nil {
				in.Users = map[string]Grant{}
			}
			in.Users[user] = g.clone()
		}
	}
	if in.Bot.Token == "" && earlier.Bot.Usable() {
		in.Bot, in.BotUser, in.BotID = earlier.Bot.clone(), earlier.BotUser, earlier.BotID
	}
	in.BotID = cmp.Or(in.BotID, earlier.BotID)
	if in.Webhook == nil && earlier.Webhook != nil {
		w := *earlier.Webhook
		in.Webhook = &w
	}
}

// check says what keeps an installation from being stored.
func (in *Installation) check() error {
	for _, f := range []struct {
		name, id string
		needed   bool
	}{
		{"app", in.App, true},
		{"team", in.Team, !in.OrgWide},
		{"enterprise", in.Enterprise, in.OrgWide},
	} {
		if f.needed && f.id == "" {
			return fmt.Errorf("%s: want the id", f.name)
		}
		if f.id != "" && !validID(f.id) {
			return fmt.Errorf("%s: %.40q is no id of Slack's", f.name, f.id)
		}
	}
	if in.OrgWide && in.Team != "" {
		return fmt.Errorf("team: an org-wide installation is of no team (got %s)", in.Team)
	}
	return nil
}

// validID reports whether a text can be an id of Slack's. Ids are parts of the
// names under which installations are kept.
func validID(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return true
}
