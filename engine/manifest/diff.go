package manifest

import (
	"slices"
	"strings"
)

// Difference is what an existing manifest lacks for the rules, and what it has
// beyond what they need.
type Difference struct {
	Missing []Item `json:"missing"`
	Extra   []Item `json:"extra"`
	// Changed are things that both have, with other settings.
	Changed []Item `json:"changed"`
}

// Item is one thing of a manifest: "bot scope chat:write".
type Item struct {
	What string   `json:"what"` // bot scope, event, command, shortcut, …
	Name string   `json:"name"`
	Note string   `json:"note,omitempty"`
	Why  []string `json:"why,omitempty"`
}

// Diff compares the manifest that rules need with one that is there. Addresses
// are compared if one was given to Build.
func (r *Result) Diff(have *Manifest) Difference {
	d := Difference{Missing: []Item{}, Extra: []Item{}, Changed: []Item{}}
	want := &r.Manifest
	ws, hs := want.OAuth.Scopes, have.OAuth.Scopes
	granted := slices.Concat(hs.Bot, hs.BotOptional)
	r.lists(&d, "bot scope", "bot ", ws.Bot, granted, slices.Concat(ws.Bot, ws.BotOptional))
	r.lists(&d, "user scope", "user ", ws.User, hs.User, ws.User)
	r.lists(&d, "event", "bot_events ", botEvents(want), botEvents(have), botEvents(want))
	d.commands(want.Features.Commands, have.Features.Commands)
	d.shortcuts(want.Features.Shortcuts, have.Features.Shortcuts)
	d.settings(want, have)
	return d
}

func botEvents(m *Manifest) []string {
	if m.Settings.Events == nil {
		return nil
	}
	return m.Settings.Events.Bot
}

// lists compares names; allowed are those that are not too much.
func (r *Result) lists(d *Difference, what, key string, want, have, allowed []string) {
	for _, n := range want {
		if !slices.Contains(have, n) {
			d.Missing = append(d.Missing, Item{What: what, Name: n, Why: r.Reasons[key+n]})
		}
	}
	extra := slices.Clone(have)
	slices.Sort(extra)
	for _, n := range slices.Compact(extra) {
		if !slices.Contains(allowed, n) {
			d.Extra = append(d.Extra, Item{What: what, Name: n})
		}
	}
}

func (d *Difference) commands(want, have []Command) {
	for _, w := range want {
		i := slices.IndexFunc(have, func(h Command) bool { return h.Command == w.Command })
		if i < 0 {
			d.Missing = append(d.Missing, Item{What: "command", Name: w.Command})
			continue
		}
		var notes []string
		if h := have[i]; h.UsageHint != w.UsageHint {
			notes = append(notes, "usage_hint is "+quoted(h.UsageHint)+", the rule's is "+quoted(w.UsageHint))
		}
		if h := have[i]; h.Description != w.Description && !strings.HasPrefix(w.Description, "Runs ") {
			notes = append(notes, "description is "+quoted(h.Description)+", the rule's is "+quoted(w.Description))
		}
		if len(notes) > 0 {
			d.Changed = append(d.Changed, Item{What: "command", Name: w.Command, Note: strings.Join(notes, "; ")})
		}
	}
	for _, h := range have {
		if !slices.ContainsFunc(want, func(w Command) bool { return w.Command == h.Command }) {
			d.Extra = append(d.Extra, Item{What: "command", Name: h.Command})
		}
	}
}

func (d *Difference) shortcuts(want, have []Shortcut) {
	for _, w := range want {
		if !slices.ContainsFunc(have, func(h Shortcut) bool { return h.CallbackID == w.CallbackID }) {
			d.Missing = append(d.Missing, Item{What: "shortcut", Name: w.CallbackID})
		}
	}
	for _, h := range have {
		if !slices.ContainsFunc(want, func(w Shortcut) bool { return w.CallbackID == h.CallbackID }) {
			d.Extra = append(d.Extra, Item{What: "shortcut", Name: h.CallbackID})
		}
	}
}

func (d *Difference) settings(want, have *Manifest) {
	need := func(on, is bool, name, note string) {
		if on && !is {
			d.Missing = append(d.Missing, Item{What: "setting", Name: name, Note: note})
		}
	}
	w, h := want.Settings, have.Settings
	need(w.Interactivity.Enabled, h.Interactivity.Enabled, "interactivity", "is_enabled: true")
	need(w.SocketMode, h.SocketMode, "socket_mode_enabled", "true")
	need(w.TokenRotation, h.TokenRotation, "token_rotation_enabled", "true; it cannot be switched off again")
	need(w.OrgDeploy, h.OrgDeploy, "org_deploy_enabled", "true, so that organizations can install the app as a whole")
	if h.TokenRotation && !w.TokenRotation {
		d.Changed = append(d.Changed, Item{What: "setting", Name: "token_rotation_enabled", Note: "is true: tokens expire, set slack.oauth.token_rotation"})
	}
	for _, to := range want.OAuth.RedirectURLs {
		if !slices.ContainsFunc(have.OAuth.RedirectURLs, func(known string) bool { return covers(known, to) }) && !strings.HasPrefix(to, Placeholder+"/") {
			d.Missing = append(d.Missing, Item{What: "redirect URL", Name: to})
		}
	}
	if !h.SocketMode {
		need(w.Interactivity.OptionsURL != "", h.Interactivity.OptionsURL != "", "message_menu_options_url", "for on.options in messages")
	}
	if f := want.Features.Home; f != nil {
		g := have.Features.Home
		if g == nil {
			g = &Home{}
		}
		need(f.HomeTab, g.HomeTab, "home_tab_enabled", "true, for on.home")
		need(f.MessagesTab, g.MessagesTab, "messages_tab_enabled", "true, so that people can write to the bot")
	}
	url := func(what, want, have string) {
		if want != "" && have != "" && want != have && !strings.HasPrefix(want, Placeholder+"/") {
			d.Changed = append(d.Changed, Item{What: "setting", Name: what, Note: "is " + have + ", wanted " + want})
		}
	}
	if w.Events != nil && h.Events != nil {
		url("event request_url", w.Events.URL, h.Events.URL)
	}
	url("interactivity request_url", w.Interactivity.URL, h.Interactivity.URL)
}

// covers reports whether a registered redirect URL allows an address: Slack takes
// what lies below one as well.
func covers(known, to string) bool {
	rest, ok := strings.CutPrefix(to, strings.TrimSuffix(known, "/"))
	return ok && (rest == "" || rest[0] == '/' || rest[0] == '?')
}

func quoted(s string) string {
	if s == "" {
		return "empty"
	}
	return "\"" + s + "\""
}
