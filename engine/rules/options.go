package rules

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"time"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/runtime"
)

// optionNames are the options that every registration takes (SPEC §7).
var optionNames = []string{
	"name", "help", "channels", "users", "teams", "bots", "when", "priority", "stop", "threads", "edits", "follow_edits",
	"from_bots", "absent", "cooldown", "timeout", "hosts", "owner", "dry_run", "enabled", "groups", "admin",
}

// MaxPattern bounds a rule's regex, in bytes. The server itself runs it, so
// runtime.CheckPattern bounds its repeat counts and its size too.
const MaxPattern = 1000

var (
	channelID   = regexp.MustCompile(`^[CDG][A-Z0-9]+$`)
	channelName = regexp.MustCompile(`^#?[^\s#,@A-Z&<>]{1,80}$`) // * is a wildcard
	userID      = regexp.MustCompile(`^[UWB][A-Z0-9]+$`)
	userName    = regexp.MustCompile(`^@[^\s@,<>]{1,80}$|^[^\s@,<>]+@[^\s@,<>]+$`) // @name or e-mail
	groupID     = regexp.MustCompile(`^S[A-Z0-9]+$`)
	groupName   = regexp.MustCompile(`^@[^\s@,<>]{1,80}$`)
	teamID      = regexp.MustCompile(`^[TE][A-Z0-9]+$`)
	appID       = regexp.MustCompile(`^A[A-Z0-9]+$`)
)

// options reads the common options into r.
func (c *compiler) options(r *Rule) {
	r.Name, r.Help, r.Owner = c.str("name"), c.str("help"), c.str("owner")
	if len(r.Name) > 100 || strings.ContainsAny(r.Name, "\n\r\t") {
		c.fail("name", "", "%s: name must be one line of at most 100 bytes", c.reg.Name)
	}
	r.Priority = c.integer("priority")
	r.Stop, r.Threads, r.Edits = c.flag("stop", false), c.flag("threads", r.Kind == event.Mention), c.flag("edits", false)
	r.FollowEdits = c.flag("follow_edits", false)
	r.Edits = r.Edits || r.FollowEdits
	r.FromBots, r.Absent = c.flag("from_bots", false), c.flag("absent", false)
	r.DryRun, r.Enabled = c.flag("dry_run", false), c.flag("enabled", true)
	r.Own, r.Admin, r.Groups = c.flag("own", false), c.flag("admin", false), c.list("groups")
	r.Cooldown, r.Timeout = c.duration("cooldown"), c.duration("timeout")
	r.Channels, r.Users = c.list("channels"), c.list("users")
	r.Teams, r.Bots, r.Hosts = c.list("teams"), c.list("bots"), c.list("hosts")
	if v, ok := c.args.Get("when"); ok && v != nil {
		if f, is := v.(runtime.Func); is {
			r.When = f.Index
		} else {
			c.fail("when", "", "%s: when must be a function, got %s", c.reg.Name, runtime.TypeName(v))
		}
	}
	c.checkFilters(r)
	r.filter = newFilter(r, c.names)
	c.boundLists(r)
}

func (c *compiler) checkFilters(r *Rule) {
	for _, ch := range r.Channels {
		if channelID.MatchString(ch) || channelName.MatchString(ch) {
			continue
		}
		hint := "write \"#name\", \"#team-*\", or an id such as \"C0123ABCD\""
		if low := strings.ToLower(ch); channelName.MatchString(low) {
			hint = "did you mean \"#" + strings.TrimPrefix(low, "#") + "\"?"
		}
		c.fail("channels", hint, "%s: %q is no channel", c.reg.Name, ch)
	}
	for _, u := range r.Users {
		if !userID.MatchString(u) && !userName.MatchString(u) {
			c.fail("users", "write an id such as \"U0123ABCD\", an e-mail address, or \"@name\"", "%s: %q is no user", c.reg.Name, u)
		}
	}
	for _, g := range r.Groups {
		if !groupID.MatchString(g) && !groupName.MatchString(g) {
			c.fail("groups", "write \"@oncall\", or an id such as \"S0123ABCD\"", "%s: %q is no user group", c.reg.Name, g)
		}
	}
	for _, t := range r.Teams {
		if teamID.MatchString(t) || c.names == nil {
			continue
		}
		if _, ok := c.names.TeamID(t); !ok {
			c.fail("teams", "write a name from teams: in the configuration, or an id such as \"T0123ABCD\"", "%s: %q is no team", c.reg.Name, t)
		}
	}
	for _, h := range r.Hosts {
		if h == "" || strings.ContainsAny(h, " /\t\n@") {
			c.fail("hosts", "write \"ci.example\" or \"ci.example:8443\"", "%s: %q is no host", c.reg.Name, h)
		}
	}
	for _, v := range []struct {
		name string
		d    time.Duration
	}{{"cooldown", r.Cooldown}, {"timeout", r.Timeout}} {
		if v.d < 0 {
			c.fail(v.name, "", "%s: %s must not be negative", c.reg.Name, v.name)
		}
	}
}

// str reads a text option; "" if absent.
func (c *compiler) str(name string) string {
	v, ok := c.args.Get(name)
	if !ok || v == nil {
		return ""
	}
	s, is := v.(string)
	if !is {
		c.wrongType(name, "a text", v)
	}
	return s
}

func (c *compiler) flag(name string, def bool) bool {
	v, ok := c.args.Get(name)
	if !ok || v == nil {
		return def
	}
	b, is := v.(bool)
	if !is {
		c.wrongType(name, "True or False", v)
		return def
	}
	return b
}

func (c *compiler) integer(name string) int {
	v, ok := c.args.Get(name)
	if !ok || v == nil {
		return 0
	}
	switch n := v.(type) {
	case int64:
		if n >= -1_000_000 && n <= 1_000_000 {
			return int(n)
		}
		c.fail(name, "", "%s: %s must be between -1000000 and 1000000", c.reg.Name, name)
		return 0
	case float64: // Lua has no other numbers
		if n == float64(int(n)) {
			return int(n)
		}
	}
	c.wrongType(name, "a whole number", v)
	return 0
}

func (c *compiler) duration(name string) time.Duration {
	v, ok := c.args.Get(name)
	if !ok || v == nil {
		return 0
	}
	d, err := runtime.ToDuration(v)
	if err != nil {
		c.fail(name, "", "%s: %s: %v", c.reg.Name, name, err)
	}
	return d
}

// list reads a text or a list of texts.
func (c *compiler) list(name string) []string {
	v, ok := c.args.Get(name)
	if !ok || v == nil {
		return nil
	}
	if s, is := v.(string); is {
		return []string{s}
	}
	l, is := v.(runtime.List)
	if !is {
		c.wrongType(name, "a text or a list of texts", v)
		return nil
	}
	out := make([]string, 0, len(l))
	for _, e := range l {
		s, is := e.(string)
		if !is {
			c.wrongType(name, "a list of texts", e)
			return nil
		}
		out = append(out, s)
	}
	if len(out) == 0 {
		c.fail(name, "leave it out to mean all", "%s: %s is an empty list: the rule would never match", c.reg.Name, name)
	}
	return out
}

func (c *compiler) wrongType(name, want string, got runtime.Value) {
	c.fail(name, "", "%s: %s must be %s, got %s", c.reg.Name, name, want, runtime.TypeName(got))
}

// fail records a problem at the argument of that name, or at the call.
func (c *compiler) fail(arg, hint, format string, a ...any) *runtime.Error {
	pos, ok := c.reg.ArgPos[arg]
	if !ok || pos.IsZero() {
		pos = c.reg.Pos
	}
	e := c.problem(pos, hint, format, a...)
	c.errs = append(c.errs, e)
	return e
}

func (c *compiler) problem(pos runtime.Position, hint, format string, a ...any) *runtime.Error {
	return problem(c.bundle, pos, hint, format, a...)
}

func problem(b *runtime.Bundle, pos runtime.Position, hint, format string, a ...any) *runtime.Error {
	e := &runtime.Error{Kind: runtime.LoadError, Msg: fmt.Sprintf(format, a...), Hint: hint, Pos: pos}
	e.SetLine(b.Files[pos.Path])
	return e
}

// compileRegex compiles an RE2 pattern within MaxPattern. size is the number
// of its instructions.
func compileRegex(p string) (re *regexp.Regexp, size int, err error) {
	if len(p) > MaxPattern {
		return nil, 0, fmt.Errorf("%d bytes, at most %d are allowed", len(p), MaxPattern)
	}
	if size, err = runtime.CheckPattern(p); err != nil {
		return nil, 0, err
	}
	if re, err = regexp.Compile(p); err != nil {
		return nil, 0, err
	}
	return re, size, nil
}

// regexHint explains what people miss who know other dialects.
func regexHint(e *syntax.Error) string {
	switch {
	case strings.HasPrefix(e.Expr, "(?="), strings.HasPrefix(e.Expr, "(?!"), strings.HasPrefix(e.Expr, "(?<"):
		return "regexes are RE2: look-ahead and look-behind do not exist"
	case e.Code == syntax.ErrInvalidEscape && len(e.Expr) == 2 && e.Expr[1] >= '1' && e.Expr[1] <= '9':
		return "regexes are RE2: back-references do not exist"
	case e.Code == syntax.ErrInvalidRepeatOp:
		return "regexes are RE2: possessive and doubled repeats do not exist"
	case e.Code == syntax.ErrInvalidRepeatSize:
		return "a repeat count is at most 1000"
	case e.Code == syntax.ErrMissingRepeatArgument:
		return "to find the character itself, write \\" + e.Expr
	}
	return ""
}

func didYouMean(name string, candidates []string) string {
	if n := runtime.Nearest(name, candidates); n != "" {
		return "did you mean " + n + "?"
	}
	return ""
}
