// Package manifest works out the Slack app manifest that rules need: commands,
// shortcuts, events, interactivity and scopes.
//
//	Uses      the built-ins that a script calls, from its analysis
//	Build     the manifest of a set of rules and their uses
//	Manifest  Slack's format; YAML and JSON
//	Diff      what an existing manifest lacks, and what it has beyond
//
// The package reads no file and runs no script.
package manifest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Manifest is an app manifest as Slack takes it, as far as rules decide it.
type Manifest struct {
	Metadata Metadata `json:"_metadata" yaml:"_metadata"`
	Display  Display  `json:"display_information" yaml:"display_information"`
	Features Features `json:"features" yaml:"features"`
	OAuth    OAuth    `json:"oauth_config" yaml:"oauth_config"`
	Settings Settings `json:"settings" yaml:"settings"`
}

// Metadata is the version of the format.
type Metadata struct {
	Major int `json:"major_version" yaml:"major_version"`
	Minor int `json:"minor_version" yaml:"minor_version"`
}

// Display is what people see of the app.
type Display struct {
	Name string `json:"name" yaml:"name"`
}

// Features are what the app adds to Slack.
type Features struct {
	Home      *Home      `json:"app_home,omitempty" yaml:"app_home,omitempty"`
	BotUser   BotUser    `json:"bot_user" yaml:"bot_user"`
	Shortcuts []Shortcut `json:"shortcuts,omitempty" yaml:"shortcuts,omitempty"`
	Commands  []Command  `json:"slash_commands,omitempty" yaml:"slash_commands,omitempty"`
}

// Home is the app's own page: its home tab, and the conversation with the bot.
type Home struct {
	HomeTab     bool `json:"home_tab_enabled" yaml:"home_tab_enabled"`
	MessagesTab bool `json:"messages_tab_enabled" yaml:"messages_tab_enabled"`
	ReadOnly    bool `json:"messages_tab_read_only_enabled" yaml:"messages_tab_read_only_enabled"`
}

// BotUser is the bot.
type BotUser struct {
	Name         string `json:"display_name" yaml:"display_name"`
	AlwaysOnline bool   `json:"always_online" yaml:"always_online"`
}

// Shortcut is one that people find in Slack's menus: Type is global or message.
type Shortcut struct {
	Name        string `json:"name" yaml:"name"`
	Type        string `json:"type" yaml:"type"`
	CallbackID  string `json:"callback_id" yaml:"callback_id"`
	Description string `json:"description" yaml:"description"`
}

// Command is a slash command.
type Command struct {
	Command     string `json:"command" yaml:"command"`
	URL         string `json:"url,omitempty" yaml:"url,omitempty"`
	Description string `json:"description" yaml:"description"`
	UsageHint   string `json:"usage_hint,omitempty" yaml:"usage_hint,omitempty"`
	Escape      bool   `json:"should_escape" yaml:"should_escape"`

	sub bool // known by its subcommands alone
}

// OAuth is what the app asks for when it is installed.
type OAuth struct {
	// RedirectURLs are where Slack may send browsers back to.
	RedirectURLs []string `json:"redirect_urls,omitempty" yaml:"redirect_urls,omitempty"`
	Scopes       Scopes   `json:"scopes" yaml:"scopes"`
}

// Scopes are those of the bot token and of the user token; optional ones may
// be declined.
type Scopes struct {
	Bot         []string `json:"bot,omitempty" yaml:"bot,omitempty"`
	BotOptional []string `json:"bot_optional,omitempty" yaml:"bot_optional,omitempty"`
	User        []string `json:"user,omitempty" yaml:"user,omitempty"`
}

// Settings are how Slack reaches the app.
type Settings struct {
	Events        *Events       `json:"event_subscriptions,omitempty" yaml:"event_subscriptions,omitempty"`
	Interactivity Interactivity `json:"interactivity" yaml:"interactivity"`
	OrgDeploy     bool          `json:"org_deploy_enabled" yaml:"org_deploy_enabled"`
	SocketMode    bool          `json:"socket_mode_enabled" yaml:"socket_mode_enabled"`
	TokenRotation bool          `json:"token_rotation_enabled" yaml:"token_rotation_enabled"`
}

// Events are the events that the bot is told of.
type Events struct {
	URL string   `json:"request_url,omitempty" yaml:"request_url,omitempty"`
	Bot []string `json:"bot_events" yaml:"bot_events"`
}

// Interactivity is on if the app is told of buttons, forms and shortcuts.
type Interactivity struct {
	Enabled    bool   `json:"is_enabled" yaml:"is_enabled"`
	URL        string `json:"request_url,omitempty" yaml:"request_url,omitempty"`
	OptionsURL string `json:"message_menu_options_url,omitempty" yaml:"message_menu_options_url,omitempty"`
}

// Result is a manifest, and why it holds what it holds.
type Result struct {
	Manifest Manifest `json:"manifest"`
	// Reasons say for each scope and event what needs it: "bot chat:write".
	Reasons map[string][]string `json:"reasons"`
	// Notes are what a person should know or decide; Problems what Slack would
	// refuse.
	Notes    []string `json:"notes,omitempty"`
	Problems []string `json:"problems,omitempty"`
}

// YAML writes the manifest, with the reason for each scope and event beside it.
func (r *Result) YAML() ([]byte, error) {
	var doc yaml.Node
	if err := doc.Encode(r.Manifest); err != nil {
		return nil, fmt.Errorf("write manifest: %w", err)
	}
	r.comment(&doc, "")
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(&doc); err != nil {
		return nil, fmt.Errorf("write manifest: %w", err)
	}
	return b.Bytes(), enc.Close()
}

// comment puts the reasons beside the scalars of lists; key is that of the list.
func (r *Result) comment(n *yaml.Node, key string) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			r.comment(n.Content[i+1], n.Content[i].Value)
		}
	case yaml.SequenceNode:
		for _, c := range n.Content {
			if c.Kind == yaml.ScalarNode {
				c.LineComment = because(r.Reasons[key+" "+c.Value])
				continue
			}
			r.comment(c, key)
		}
	default:
	}
}

// because is a short list of reasons.
func because(reasons []string) string {
	const most = 2
	if len(reasons) > most {
		return strings.Join(reasons[:most], ", ") + fmt.Sprintf(" and %d more", len(reasons)-most)
	}
	return strings.Join(reasons, ", ")
}

// Read reads a manifest: YAML or JSON, as Slack exports it, also inside the
// answer of apps.manifest.export. What rules do not decide is left out.
func Read(text []byte) (*Manifest, error) {
	var outer struct {
		Manifest yaml.Node `yaml:"manifest"`
	}
	if err := yaml.Unmarshal(text, &outer); err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	m := &Manifest{}
	var err error
	if outer.Manifest.Kind != 0 {
		err = outer.Manifest.Decode(m)
	} else {
		err = yaml.Unmarshal(text, m)
	}
	if err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	if m.Display.Name == "" && len(m.OAuth.Scopes.Bot) == 0 && m.Settings == (Settings{}) && len(m.Features.Commands) == 0 {
		return nil, fmt.Errorf("read manifest: this is no app manifest: it has neither display_information nor settings")
	}
	return m, nil
}

// JSON writes the manifest alone.
func (m *Manifest) JSON() ([]byte, error) { return json.MarshalIndent(m, "", "  ") }
