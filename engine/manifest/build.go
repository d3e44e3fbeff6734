package manifest

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/rules"
	"github.com/starling-rules/starling/runtime"
)

// Options are what the rules do not tell.
type Options struct {
	// Name is that of the app: Starling.
	Name string
	// URL is where Slack reaches the server, without a path; Socket means that
	// it does not have to.
	URL    string
	Socket bool
	// Install says that workspaces install the app by OAuth: RedirectURL is where
	// browsers come back to (by default at URL), Scopes are what the install
	// page asks for if that is not what the rules need.
	Install     bool
	RedirectURL string
	Scopes      Scopes
	// Rotation is for tokens that expire and are renewed, Org for organizations
	// that install the app as a whole.
	Rotation, Org bool
	// MessageShortcuts are the callback_ids of shortcuts of messages; all
	// others are global.
	MessageShortcuts []string
}

// Placeholder stands for the address if none is given.
const Placeholder = "https://starling.example.com"

// Build makes the manifest for rules, enabled ones only, and what their scripts
// use. The result depends on nothing else; its lists are sorted.
func Build(set *rules.Set, uses []Use, o Options) (*Result, error) {
	b := &builder{
		o: o, r: &Result{Reasons: map[string][]string{}}, bot: nameSet{}, user: nameSet{}, optional: nameSet{}, events: nameSet{},
		commands: map[string]Command{}, shortcuts: map[string]Shortcut{},
	}
	if b.o.Name == "" {
		b.o.Name = "Starling"
	}
	if err := b.address(); err != nil {
		return nil, err
	}
	for _, r := range set.Rules() {
		if r.Enabled {
			b.rule(r)
		}
	}
	for _, u := range uses {
		b.use(u)
	}
	b.install()
	b.finish()
	b.limits()
	slices.Sort(b.r.Notes)
	b.r.Notes = slices.Compact(b.r.Notes)
	return b.r, nil
}

type nameSet map[string]bool

func (s nameSet) sorted() []string { return slices.Sorted(maps.Keys(s)) }

type builder struct {
	o                           Options
	r                           *Result
	bot, user, optional, events nameSet
	commands                    map[string]Command
	shortcuts                   map[string]Shortcut
	interactive, options, home  bool
	talks                       bool // people can write to the bot
}

func (b *builder) address() error {
	if b.o.Socket || b.o.URL == "" {
		if !b.o.Socket {
			b.o.URL = Placeholder
			b.note("no address is given: %s stands for yours (--url), unless Slack is reached by Socket Mode (--socket)", Placeholder)
		}
		return nil
	}
	u, err := url.Parse(b.o.URL)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.RawQuery != "" {
		return fmt.Errorf("address %q: Slack wants https://HOST, with or without a path", b.o.URL)
	}
	b.o.URL = strings.TrimSuffix(b.o.URL, "/")
	return nil
}

// at is a URL of the server; none is needed with Socket Mode.
func (b *builder) at(path string) string {
	if b.o.Socket {
		return ""
	}
	return b.o.URL + path
}

func (b *builder) note(format string, args ...any) {
	b.r.Notes = append(b.r.Notes, fmt.Sprintf(format, args...))
}

// scope asks for scopes of a token: list is bot, user or bot_optional.
func (b *builder) scope(list, why string, scopes ...string) {
	to := map[string]nameSet{"bot": b.bot, "user": b.user, "bot_optional": b.optional}[list]
	for _, s := range scopes {
		to[s] = true
		b.because(list+" "+s, why)
	}
}

func (b *builder) because(key, why string) {
	if why != "" && !slices.Contains(b.r.Reasons[key], why) {
		b.r.Reasons[key] = append(b.r.Reasons[key], why)
	}
}

// subscribe asks for an event and the scopes that it needs.
func (b *builder) subscribe(why string, types ...string) {
	for _, t := range types {
		b.events[t] = true
		b.because("bot_events "+t, why)
		b.scope("bot", "event "+t, eventLines()[t]...)
	}
}

// rule takes up what a rule needs to be told of its events.
func (b *builder) rule(r *rules.Rule) {
	why := r.ID
	b.filters(r)
	switch r.Kind {
	case event.Message:
		b.subscribe(why, messageEvents(r)...)
		b.scope("bot", "answers of "+why, "chat:write")
		b.talks = b.talks || b.events["message.im"]
	case event.Mention:
		b.subscribe(why, "app_mention", "message.im")
		b.scope("bot", "answers of "+why, "chat:write")
		b.talks = true
	case event.Command:
		b.command(r)
	case event.Action, event.Submit, event.ViewClosed:
		b.interactive = true
	case event.Options:
		b.interactive, b.options = true, true
	case event.Shortcut:
		b.interactive = true
		b.shortcut(r)
	case event.Reaction:
		if r.Removed {
			b.subscribe(why, "reaction_removed")
		} else {
			b.subscribe(why, "reaction_added")
		}
	case event.Home:
		b.subscribe(why, "app_home_opened")
		b.home = true
	case event.Other:
		b.other(r)
	}
	if r.Owner != "" {
		b.scope("bot", "owner of "+why, "chat:write", "im:write")
	}
}

// messageEvents are the kinds of conversations that a message rule is for. The
// name of a channel does not tell whether it is private.
func messageEvents(r *rules.Rule) []string {
	if len(r.Channels) == 0 {
		return prefixAll("message.", all)
	}
	kinds := map[string]bool{}
	for _, ch := range r.Channels {
		if strings.HasPrefix(ch, "D") && ch == strings.ToUpper(ch) {
			kinds["message.im"] = true
			continue
		}
		kinds["message.channels"], kinds["message.groups"] = true, true
		if strings.HasPrefix(ch, "G") && ch == strings.ToUpper(ch) {
			kinds["message.mpim"] = true
		}
	}
	return nameSet(kinds).sorted()
}

func prefixAll(prefix string, names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = prefix + n
	}
	return out
}

// filters takes up what matching asks Slack for.
func (b *builder) filters(r *rules.Rule) {
	for _, ch := range r.Channels {
		if strings.HasPrefix(ch, "#") || ch != strings.ToUpper(ch) {
			b.scope("bot", "channels of "+r.ID, each("read", "channels", "groups")...)
			break
		}
	}
	for _, u := range r.Users {
		if strings.Contains(u, "@") {
			b.scope("bot", "users of "+r.ID, "users:read")
			if !strings.HasPrefix(u, "@") {
				b.scope("bot", "users of "+r.ID, "users:read.email")
			}
		}
	}
	if len(r.Groups) > 0 {
		b.scope("bot", "groups of "+r.ID, "usergroups:read")
	}
}

func (b *builder) other(r *rules.Rule) {
	typ := r.Pattern
	switch {
	case typ == "*":
		b.note("%s sees every event that comes; it subscribes to none by itself", r.ID)
	case strings.HasPrefix(typ, "starling."), slices.Contains(unsubscribed, typ):
	case typ == "message", strings.HasPrefix(typ, "message.") && eventLines()[typ] == nil:
		b.subscribe(r.ID, prefixAll("message.", all)...)
	case known(typ):
		b.subscribe(r.ID, typ)
	default:
		hint := "subscribe to it by hand if it is one of Slack's"
		if n := runtime.Nearest(typ, eventNames()); n != "" {
			hint = "did you mean " + n + "?"
		}
		b.note("%s at %s: %q is no event that a bot can subscribe to, as far as Starling knows: %s", r.ID, r.Pos, typ, hint)
	}
}

func known(typ string) bool {
	_, ok := eventLines()[typ]
	return ok
}

func (b *builder) command(r *rules.Rule) {
	b.scope("bot", r.ID, "commands")
	c := Command{Command: r.Words[0], URL: b.at("/slack/commands"), Description: r.Help, Escape: true}
	if c.Description == "" {
		c.Description = "Runs " + r.ID
	}
	if r.Args != nil {
		c.UsageHint = r.Args.String()
	}
	// Slack knows the command alone: its subcommands are the hint, unless the
	// command itself takes arguments.
	if c.sub = len(r.Words) > 1; c.sub {
		c.UsageHint = strings.Join(r.Words[1:], " ")
	}
	old, ok := b.commands[c.Command]
	switch {
	case !ok:
	case c.sub && old.sub:
		old.UsageHint += " | " + c.UsageHint
		c = old
	case c.sub:
		old.UsageHint = cmp.Or(old.UsageHint, c.UsageHint)
		c = old
	case old.sub:
		c.UsageHint = cmp.Or(c.UsageHint, old.UsageHint)
	case r.Help == "" || !strings.HasPrefix(old.Description, "Runs "):
		return
	}
	b.commands[c.Command] = c
}

func (b *builder) shortcut(r *rules.Rule) {
	if r.Regex() {
		b.note("%s at %s: its callback_id is a pattern; add the shortcuts that it stands for by hand", r.ID, r.Pos)
		return
	}
	name := title(r)
	if r.Made() {
		// A handler does not tell whether what comes under its callback_id is a
		// shortcut or a block, a dialog, a view.
		if name = r.Pattern; !slices.Contains(b.o.MessageShortcuts, r.Pattern) {
			b.note("interactive_component_handlers of %s: name those that are shortcuts of messages with --message-shortcut", r.Pos.Path)
			return
		}
	}
	b.scope("bot", r.ID, "commands")
	s := Shortcut{Name: name, Type: "global", CallbackID: r.Pattern, Description: r.Help}
	if slices.Contains(b.o.MessageShortcuts, r.Pattern) {
		s.Type = "message"
	}
	if s.Description == "" {
		s.Description = "Runs " + r.ID
	}
	b.shortcuts[r.Pattern] = s
}

// title is what people read in the menu.
func title(r *rules.Rule) string {
	name := r.Name
	if name == "" {
		name = r.Pattern
	}
	name = strings.TrimSpace(strings.NewReplacer("_", " ", "-", " ", ".", " ").Replace(name))
	if name != "" {
		name = strings.ToUpper(name[:1]) + name[1:]
	}
	return name
}

// finish puts the parts in their places.
func (b *builder) finish() {
	m := &b.r.Manifest
	m.Metadata, m.Display.Name = Metadata{Major: 1, Minor: 1}, b.o.Name
	m.Features.BotUser = BotUser{Name: b.o.Name, AlwaysOnline: true}
	if b.home || b.talks {
		m.Features.Home = &Home{HomeTab: b.home, MessagesTab: b.talks}
	}
	for _, k := range slices.Sorted(maps.Keys(b.commands)) {
		m.Features.Commands = append(m.Features.Commands, b.commands[k])
	}
	for _, k := range slices.Sorted(maps.Keys(b.shortcuts)) {
		m.Features.Shortcuts = append(m.Features.Shortcuts, b.shortcuts[k])
	}
	for s := range b.bot {
		delete(b.optional, s)
	}
	m.OAuth.Scopes = Scopes{Bot: b.bot.sorted(), BotOptional: b.optional.sorted(), User: b.user.sorted()}
	if len(b.events) > 0 {
		m.Settings.Events = &Events{URL: b.at("/slack/events"), Bot: b.events.sorted()}
	}
	m.Settings.Interactivity.Enabled = b.interactive
	if b.interactive {
		m.Settings.Interactivity.URL = b.at("/slack/interactive")
	}
	if b.options {
		m.Settings.Interactivity.OptionsURL = b.at("/slack/options")
	}
	m.Settings.SocketMode, m.Settings.TokenRotation, m.Settings.OrgDeploy = b.o.Socket, b.o.Rotation, b.o.Org
	if b.o.Socket {
		b.note("Socket Mode needs an app-level token (SLACK_APP_TOKEN) with the scope connections:write")
	}
	if len(b.optional) > 0 {
		b.note("the optional scopes let Starling find out after a crash whether a message was sent; without them it is not sent again")
	}
	if n := len(b.shortcuts); n > 0 && len(b.o.MessageShortcuts) == 0 {
		b.note("shortcuts are global unless --message-shortcut names them: rules do not tell")
	}
}
