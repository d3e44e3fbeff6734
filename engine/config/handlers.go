package config

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/starling-rules/starling/runtime"
)

// Handlers are those of an omnibot configuration, in the order of the file.
type Handlers struct {
	Message, SlashCommand, Interactive []Handler
	// Help is help_callback: what runs in place of the built-in help.
	Help *Callback
	// Secrets are credentials that arguments of callbacks held, by the names
	// that SecretRef has in their place.
	Secrets map[string]string
	// passwords are parts of those values as the file has them.
	passwords []string
	// Hosts are host:port of the services that callbacks send requests to.
	Hosts []string
}

// All lists the handlers of every kind.
func (h *Handlers) All() []Handler { return slices.Concat(h.Message, h.SlashCommand, h.Interactive) }

// Handler is one entry of handlers.
type Handler struct {
	// Pos is where the entry begins, At where the value of each key is.
	Pos runtime.Position
	At  map[string]runtime.Position

	// Match is the text, regex or emoji of a message handler; Key the command
	// or callback_id of the others.
	Match, MatchType, RegexType, Key string
	MatchMention, MatchReply         bool
	Description                      string
	ResponseType, CannedResponse     string
	NoMessageResponse                bool
	// Dialog is opened before the answer; nil if there is none.
	Dialog    *runtime.Dict
	Bots      map[string][]string // by team, as configured
	Callbacks []Callback
}

// Absence reports whether the handler fires when the pattern is not found.
func (h *Handler) Absence() bool { return h.RegexType == "absence" }

// Callback names a function and its arguments.
type Callback struct {
	Pos runtime.Position
	// Module is the dotted path, Function what follows the colon.
	Module, Function string
	Kwargs           *runtime.Dict
	Synchronous      bool
}

// SecretRef stands in arguments for a secret of that name.
type SecretRef string

// handlerKeys are what a handler of each list may have.
var handlerKeys = map[string][]string{
	"message_handlers": {"match", "match_type", "match_mention", "match_reply", "regex_type", "description", "bots", "callbacks"},
	"slash_command_handlers": {
		"command", "response_type", "bots", "callbacks", "dialog", "canned_response", "no_message_response", "description",
	},
	"interactive_component_handlers": {
		"callback_id", "response_type", "bots", "callbacks", "dialog", "canned_response", "no_message_response", "description",
	},
}

// handlers reads the lists of handlers. What omnibot would have ignored is a
// warning, what would have failed there at every event is an error.
func (d *decoder) handlers(n *yaml.Node) {
	if n = resolve(n); n.Tag == "!!null" {
		return
	}
	d.c.sources["handlers"] = fmt.Sprintf("%s:%d", d.path, n.Line)
	d.place("handlers", n)
	h := &d.c.Handlers
	d.entries(n, "handlers", func(key, list *yaml.Node) {
		var into *[]Handler
		switch key.Value {
		case "message_handlers":
			into = &h.Message
		case "slash_command_handlers":
			into = &h.SlashCommand
		case "interactive_component_handlers":
			into = &h.Interactive
		default:
			d.warn(key, "handlers."+key.Value+" is not used", hintFor(key.Value, keysOf(handlerKeys)))
			return
		}
		if list = resolve(list); list.Tag == "!!null" {
			return
		}
		if list.Kind != yaml.SequenceNode {
			d.fail(list, fmt.Sprintf("handlers.%s: want a list, got %s", key.Value, kindOf(list)), "")
			return
		}
		for _, item := range list.Content {
			before := len(d.problems)
			if one := d.handler(resolve(item), key.Value); len(d.problems) == before {
				*into = append(*into, one)
			}
		}
	})
}

// entries calls f for each pair of a mapping.
func (d *decoder) entries(n *yaml.Node, name string, f func(key, value *yaml.Node)) {
	if n = resolve(n); n.Kind != yaml.MappingNode {
		d.fail(n, fmt.Sprintf("%s: want a mapping, got %s", name, kindOf(n)), "")
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		d.once(n.Content[:i], n.Content[i], name)
		f(n.Content[i], resolve(n.Content[i+1]))
	}
}

func (d *decoder) handler(n *yaml.Node, list string) Handler {
	name := strings.TrimSuffix(strings.TrimSuffix(list, "s"), "_handler") + " handler"
	h := Handler{Pos: d.position(n), At: map[string]runtime.Position{}, ResponseType: "ephemeral"}
	d.entries(n, name, func(key, v *yaml.Node) {
		if v.Tag == "!!null" {
			return
		}
		if !slices.Contains(handlerKeys[list], key.Value) {
			d.warn(key, fmt.Sprintf("%s: %s is not used", name, key.Value), hintFor(key.Value, handlerKeys[list]))
			return
		}
		h.At[key.Value] = d.position(v)
		d.handlerKey(&h, name+": "+key.Value, key.Value, v)
	})
	d.checkHandler(n, &h, list, name)
	return h
}

func (d *decoder) handlerKey(h *Handler, name, key string, v *yaml.Node) {
	text := func(into *string) { *into, _ = d.literal(v, name) }
	switch key {
	case "match":
		text(&h.Match)
	case "match_type":
		text(&h.MatchType)
	case "regex_type":
		text(&h.RegexType)
	case "command", "callback_id":
		text(&h.Key)
	case "description":
		text(&h.Description)
	case "response_type":
		text(&h.ResponseType)
	case "canned_response":
		text(&h.CannedResponse)
	case "match_mention":
		h.MatchMention = d.truth(v, name)
	case "match_reply":
		h.MatchReply = d.truth(v, name)
	case "no_message_response":
		h.NoMessageResponse = d.truth(v, name)
	case "dialog":
		h.Dialog, _ = d.lenientAny(v, name).(*runtime.Dict)
		if h.Dialog == nil {
			d.fail(v, fmt.Sprintf("%s: want a mapping, got %s", name, kindOf(v)), "")
		}
	case "bots":
		h.Bots = map[string][]string{}
		d.entries(v, name, func(team, bots *yaml.Node) {
			h.At["bots."+team.Value] = d.position(team)
			h.Bots[team.Value] = d.texts(bots, name+"."+team.Value)
		})
	case "callbacks":
		if v.Kind != yaml.SequenceNode {
			d.fail(v, fmt.Sprintf("%s: want a list, got %s", name, kindOf(v)), "")
			return
		}
		for _, item := range v.Content {
			h.Callbacks = append(h.Callbacks, d.callback(resolve(item), name))
		}
	}
}

// checkHandler finds what would fail at every event.
func (d *decoder) checkHandler(n *yaml.Node, h *Handler, list, name string) {
	need := func(key, got string) {
		if _, given := h.At[key]; !given {
			d.fail(n, name+": "+key+" is missing", "")
		}
		_ = got
	}
	oneOf := func(key, got string, want ...string) {
		if got == "" || slices.Contains(want, got) {
			return
		}
		pos := h.At[key]
		d.fail(&yaml.Node{Line: pos.Line, Column: pos.Col}, fmt.Sprintf("%s: %s: want %s (got %q)", name, key, strings.Join(want, " or "), got), hintFor(got, want))
	}
	oneOf("response_type", h.ResponseType, "ephemeral", "in_channel")
	switch list {
	case "message_handlers":
		need("match", h.Match)
		need("match_type", h.MatchType)
		need("callbacks", "")
		oneOf("match_type", h.MatchType, "command", "regex", "reaction")
		oneOf("regex_type", h.RegexType, "absence")
	case "slash_command_handlers":
		need("command", h.Key)
	default:
		need("callback_id", h.Key)
	}
	for team, bots := range h.Bots {
		pos := h.At["bots."+team]
		at := &yaml.Node{Line: pos.Line, Column: pos.Col}
		d.later = append(d.later, func() {
			known, ok := d.c.Bots[team]
			if !ok {
				d.warn(at, fmt.Sprintf("%s: bots: there is no team %s", name, team), hintFor(team, keysOf(d.c.Bots)))
				return
			}
			for _, b := range bots {
				if _, ok := known[b]; !ok {
					d.warn(at, fmt.Sprintf("%s: bots: team %s has no bot %s", name, team, b), hintFor(b, keysOf(known)))
				}
			}
		})
	}
	if len(h.Bots) == 0 {
		d.warn(n, name+": it names no bots, so that none of them has it", "write bots: {TEAM: [BOT]}")
	}
}

var modulePath = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*$`)

func (d *decoder) callback(n *yaml.Node, name string) Callback {
	cb := Callback{Pos: d.position(n), Kwargs: &runtime.Dict{}}
	d.entries(n, name, func(key, v *yaml.Node) {
		switch key.Value {
		case "module":
			module, _ := d.literal(v, name+": module")
			cb.Pos = d.position(v)
			if !modulePath.MatchString(module) {
				d.fail(v, fmt.Sprintf("%s: module: want pkg.module:function (got %q)", name, module), "")
				return
			}
			cb.Module, cb.Function, _ = strings.Cut(module, ":")
		case "kwargs":
			if v.Tag == "!!null" {
				return
			}
			if v.Kind != yaml.MappingNode {
				d.fail(v, fmt.Sprintf("%s: kwargs: want a mapping, got %s", name, kindOf(v)), "")
				return
			}
			cb.Kwargs, _ = d.lenientAny(v, name+": kwargs").(*runtime.Dict)
			d.hideCredentials(cb.Kwargs)
		case "synchronous":
			cb.Synchronous = d.truth(v, name+": synchronous")
		default:
			d.warn(key, fmt.Sprintf("%s: %s is not used", name, key.Value), hintFor(key.Value, []string{"module", "kwargs", "synchronous"}))
		}
	})
	if cb.Module == "" && len(d.problems) == 0 {
		d.fail(n, name+": module is missing", "write module: \"omnibot.callbacks.network_callbacks:http_callback\"")
	}
	return cb
}

// credentialHeader are headers whose values no log should show.
var credentialHeader = regexp.MustCompile(`(?i)auth|token|secret|key|cookie|password|signature`)

// hideCredentials puts references in the place of what a request proves itself
// with: scripts, and what is stored of them, hold no credentials.
func (d *decoder) hideCredentials(kwargs *runtime.Dict) {
	v, _ := kwargs.Get("request_kwargs")
	req, _ := v.(*runtime.Dict)
	if req == nil {
		return
	}
	d.allowHost(req.Text("url"))
	hide := func(header, value string) SecretRef {
		h := &d.c.Handlers
		if h.Secrets == nil {
			h.Secrets = map[string]string{}
		}
		// The name is of the service and the header: a run that began before the
		// file was changed sends no service the credential of another.
		sum := sha256.Sum256([]byte(req.Text("url") + "\x00" + header))
		base := "handlers." + hex.EncodeToString(sum[:8])
		name := base
		for n := 2; ; n++ {
			if old, taken := h.Secrets[name]; !taken || old == value {
				break
			}
			name = fmt.Sprintf("%s.%d", base, n)
		}
		h.Secrets[name] = value
		return SecretRef(name)
	}
	headers, _ := req.Get("headers")
	hd, _ := headers.(*runtime.Dict)
	if hd == nil {
		hd = &runtime.Dict{}
	}
	for i := range hd.Fields {
		if s, ok := hd.Fields[i].Value.(string); ok && credentialHeader.MatchString(hd.Fields[i].Key) {
			hd.Fields[i].Value = hide(hd.Fields[i].Key, s)
		}
	}
	auth, _ := req.Get("auth")
	if pair, ok := auth.(runtime.List); ok && len(pair) == 2 {
		user, _ := pair[0].(string)
		pass, _ := pair[1].(string)
		d.c.Handlers.passwords = append(d.c.Handlers.passwords, pass)
		hd.Set("Authorization", hide("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(user+":"+pass))))
		req.Delete("auth")
	}
	if hd.Len() > 0 {
		req.Set("headers", hd)
	}
}

// allowHost lets scripts reach a service that the operator has named, though
// its address be private: that host and port, nothing beside it.
func (d *decoder) allowHost(address string) {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" {
		return
	}
	port := u.Port()
	switch {
	case port != "":
	case u.Scheme == "http":
		port = "80"
	default:
		port = "443"
	}
	if host := net.JoinHostPort(u.Hostname(), port); !slices.Contains(d.c.Handlers.Hosts, host) {
		d.c.Handlers.Hosts = append(d.c.Handlers.Hosts, host)
	}
}

// literal reads a text of an omnibot file, which knows no ${NAME}: a variable
// that is set is put in, anything else stays as it is written.
func (d *decoder) literal(n *yaml.Node, name string) (string, bool) {
	if n.Kind != yaml.ScalarNode {
		d.fail(n, fmt.Sprintf("%s: want a single value, got %s", name, kindOf(n)), "")
		return "", false
	}
	return interpolation.ReplaceAllStringFunc(n.Value, func(ref string) string {
		if v, _, err := variable(d.getenv, ref[2:len(ref)-1]); err == nil && v != "" {
			return v
		}
		return ref
	}), true
}

func (d *decoder) lenientAny(n *yaml.Node, name string) runtime.Value {
	d.lenient = true
	defer func() { d.lenient = false }()
	return d.any(n, name)
}

func (d *decoder) truth(n *yaml.Node, name string) bool {
	var b bool
	if n.Kind != yaml.ScalarNode || n.Decode(&b) != nil {
		d.fail(n, fmt.Sprintf("%s: want true or false (got %q)", name, n.Value), "")
	}
	return b
}

func (d *decoder) texts(n *yaml.Node, name string) []string {
	items := n.Content
	if n.Kind == yaml.ScalarNode {
		items = []*yaml.Node{n}
	}
	out := make([]string, 0, len(items))
	for _, item := range items {
		if s, ok := d.literal(resolve(item), name); ok {
			out = append(out, s)
		}
	}
	return out
}

// helpCallback reads help_callback: {callback: {module, kwargs}}.
func (d *decoder) helpCallback(n *yaml.Node) {
	if n = resolve(n); n.Tag == "!!null" {
		return
	}
	d.entries(n, "help_callback", func(key, v *yaml.Node) {
		if key.Value != "callback" {
			d.warn(key, "help_callback: "+key.Value+" is not used", hintFor(key.Value, []string{"callback"}))
			return
		}
		before := len(d.problems)
		if cb := d.callback(v, "help_callback"); len(d.problems) == before {
			d.c.Handlers.Help = &cb
		}
	})
}

func (d *decoder) warn(n *yaml.Node, msg, hint string) {
	if hint != "" {
		msg += " (" + hint + ")"
	}
	d.c.Warnings = append(d.c.Warnings, fmt.Sprintf("%s:%d: %s", d.path, n.Line, msg))
}
