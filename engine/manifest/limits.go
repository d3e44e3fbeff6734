package manifest

import (
	"fmt"
	"unicode/utf8"
)

// Slack's limits of manifests.
const (
	maxName        = 35
	maxBotName     = 80
	maxCommands    = 50
	maxCommand     = 32
	maxDescription = 2000
	maxUsage       = 1000
	maxShortcuts   = 10
	maxShortcut    = 24
	maxShortcutDoc = 150
	maxCallback    = 255
	maxEvents      = 100
	maxScopes      = 255
)

// limits shortens what is only shown, and reports what Slack would refuse.
func (b *builder) limits() {
	m := &b.r.Manifest
	problem := func(format string, args ...any) { b.r.Problems = append(b.r.Problems, fmt.Sprintf(format, args...)) }
	if n := utf8.RuneCountInString(m.Display.Name); n > maxName {
		problem("the name of the app has %d characters, Slack takes %d", n, maxName)
	}
	if n := len(m.Features.Commands); n > maxCommands {
		problem("%d slash commands, Slack takes %d", n, maxCommands)
	}
	for i := range m.Features.Commands {
		c := &m.Features.Commands[i]
		if n := utf8.RuneCountInString(c.Command); n > maxCommand {
			problem("%s has %d characters, Slack takes %d", c.Command, n, maxCommand)
		}
		c.Description, c.UsageHint = short(c.Description, maxDescription), short(c.UsageHint, maxUsage)
	}
	if n := len(m.Features.Shortcuts); n > maxShortcuts {
		problem("%d shortcuts, Slack takes %d", n, maxShortcuts)
	}
	for i := range m.Features.Shortcuts {
		s := &m.Features.Shortcuts[i]
		if n := utf8.RuneCountInString(s.CallbackID); n > maxCallback {
			problem("the callback_id of shortcut %s has %d characters, Slack takes %d", s.Name, n, maxCallback)
		}
		s.Name, s.Description = short(s.Name, maxShortcut), short(s.Description, maxShortcutDoc)
	}
	m.Features.BotUser.Name = short(m.Features.BotUser.Name, maxBotName)
	if e := m.Settings.Events; e != nil && len(e.Bot) > maxEvents {
		problem("%d events, Slack takes %d", len(e.Bot), maxEvents)
	}
	if n := len(m.OAuth.Scopes.Bot) + len(m.OAuth.Scopes.BotOptional); n > maxScopes {
		problem("%d scopes, Slack takes %d", n, maxScopes)
	}
}

// short cuts a text to n characters.
func short(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}
