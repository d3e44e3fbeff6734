package rules

import (
	"cmp"
	"errors"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/runtime"
)

// declaration is what the compiler knows of one on.* built-in.
type declaration struct {
	kind    event.Kind
	arg     string // the name of its pattern; "": it takes none
	read    func(c *compiler, r *Rule, v runtime.Value)
	answers bool
	own     []string // options beside the common ones
	only    []string // if not nil, the common ones that it has
}

// declarations by the name of the built-in; the standard library declares the
// same names and parameters.
var declarations = map[string]declaration{
	"on.message":     {kind: event.Message, arg: "regex", read: (*compiler).text, own: []string{"match", "args"}},
	"on.mention":     {kind: event.Mention, arg: "regex", read: (*compiler).text, own: []string{"match", "args"}},
	"on.command":     {kind: event.Command, arg: "command", read: (*compiler).command, answers: true, own: []string{"args", "answers"}},
	"on.action":      {kind: event.Action, arg: "id", read: (*compiler).action, answers: true, own: []string{"block", "answers"}},
	"on.view":        {kind: event.Submit, arg: "callback_id", read: (*compiler).id, answers: true, own: []string{"answers"}},
	"on.view_closed": {kind: event.ViewClosed, arg: "callback_id", read: (*compiler).id},
	"on.shortcut":    {kind: event.Shortcut, arg: "callback_id", read: (*compiler).id, answers: true, own: []string{"answers"}},
	"on.options":     {kind: event.Options, arg: "action_id", read: (*compiler).id, answers: true},
	"on.reaction":    {kind: event.Reaction, arg: "emoji", read: (*compiler).emoji, own: []string{"removed"}},
	"on.home":        {kind: event.Home},
	"on.event":       {kind: event.Other, arg: "type", read: (*compiler).eventType},
	"on.webhook": {
		kind: event.Webhook, arg: "route", read: (*compiler).webhook, answers: true,
		own: hookOptions,
	},
	"on.schedule": {kind: event.Schedule, arg: "schedule", read: (*compiler).schedule, own: []string{"tz", "jitter", "overlap", "catch_up"}},
	"on.error":    {kind: Failure},
	"on.guard": {
		kind: Guard, own: []string{"kinds"},
		only: []string{"name", "help", "channels", "users", "teams", "bots", "priority", "owner", "timeout", "enabled"},
	},
	"on.outgoing": {
		kind: Outgoing, own: []string{"own"}, only: []string{"name", "help", "priority", "owner", "timeout", "enabled"},
	},
}

// common are the options of every rule that this one has.
func (d declaration) common() []string {
	if d.only != nil {
		return d.only
	}
	return optionNames
}

// compiler checks the registrations of one version of one script.
type compiler struct {
	bundle *runtime.Bundle
	names  Names
	// hasSecret tells which secrets are configured; nil: not known.
	hasSecret func(string) bool
	reg       *runtime.Registration
	decl      declaration
	args      *runtime.Dict
	errs      runtime.Errors
	sum       totals

	// static is set for registrations that were read, not made: unknown are
	// the arguments that are there without their value, and with spread there
	// may be any.
	static  bool
	unknown map[string]bool
	spread  bool
}

// perhaps reports whether an argument that has no value may be there.
func (c *compiler) perhaps(names ...string) bool {
	return c.static && (c.spread || slices.ContainsFunc(names, func(n string) bool { return n == "fn" || c.unknown[n] }))
}

// compile turns the registrations of a bundle into rules, or returns every
// problem that they have.
func compile(b *runtime.Bundle, regs []runtime.Registration, names Names, hasSecret func(string) bool) ([]*Rule, runtime.Errors) {
	c := &compiler{bundle: b, names: names, hasSecret: hasSecret}
	rules := make([]*Rule, 0, len(regs))
	for i := range regs {
		if r := c.rule(&regs[i]); r != nil {
			rules = append(rules, r)
		}
	}
	c.duplicateNames(rules)
	for _, clash := range conflicts(rules) {
		c.errs = append(c.errs, clash.problem(b))
	}
	if len(c.errs) > 0 {
		slices.SortStableFunc(c.errs, func(a, b *runtime.Error) int {
			return cmp.Or(cmp.Compare(a.Pos.Path, b.Pos.Path), a.Pos.Line-b.Pos.Line, a.Pos.Col-b.Pos.Col)
		})
		return nil, c.errs
	}
	finish(rules)
	return rules, nil
}

func (c *compiler) rule(reg *runtime.Registration) *Rule {
	c.reg, c.args = reg, reg.Args
	before := len(c.errs)
	if reg.Name == schemaName {
		c.schema()
		return nil
	}
	decl, ok := declarations[reg.Name]
	if !ok {
		c.fail("", didYouMean(reg.Name, declarationNames()), "%s does not register a rule", reg.Name)
		return nil
	}
	c.decl = decl
	r := &Rule{
		Script: c.bundle.Main, Digest: c.bundle.Digest, Kind: decl.kind, Pos: reg.Pos,
		Answers: decl.answers, Func: -1, When: -1,
	}
	if decl.kind == event.Webhook {
		c.args = handlerAlone(c.args)
	}
	c.known(decl)
	if decl.answers && slices.Contains(decl.own, "answers") {
		r.Answers = c.flag("answers", true)
	}
	r.Func = c.handler(r)
	c.options(r)
	fn, _ := c.args.Get("fn")
	c.document(r, fn)
	c.boundKind(r)
	v, given := c.args.Get(decl.arg)
	switch {
	case isText(decl.kind) && c.matchOption(r):
	case decl.read == nil:
		r.any = true
		c.kinds(r)
	case !given && c.perhaps(decl.arg):
	case !given && decl.kind == event.Webhook:
		c.defaultRoute(r)
	case !given && !isText(decl.kind):
		c.fail("", "", "%s: missing argument %s", reg.Name, decl.arg)
	default:
		decl.read(c, r, v)
	}
	if r.Absent && r.Match == "" && (!isText(decl.kind) || r.any) && !c.perhaps(decl.arg) {
		c.fail("absent", "", "%s: absent works with on.message and on.mention, and needs a regex", reg.Name)
	}
	if len(c.errs) > before {
		return nil
	}
	return r
}

// isText reports whether rules of the kind look for a regex in a text.
func isText(k event.Kind) bool { return k == event.Message || k == event.Mention }

// known refuses arguments that the registration does not have.
func (c *compiler) known(decl declaration) {
	names := slices.Concat(decl.common(), decl.own)
	for i := 0; i < c.args.Len(); i++ {
		if k := c.args.Fields[i].Key; k != "fn" && k != decl.arg && !slices.Contains(names, k) {
			c.fail(k, didYouMean(k, names), "%s has no option %q", c.reg.Name, k)
		}
	}
}

func (c *compiler) handler(r *Rule) int {
	v, given := c.args.Get("fn")
	if !given && c.perhaps("fn") {
		return -1
	}
	f, ok := v.(runtime.Func)
	if !ok {
		c.fail("fn", "", "%s: the handler must be a function, got %s", c.reg.Name, runtime.TypeName(v))
		return -1
	}
	takes, binds := "def "+f.Name+"(e):", "lambda e: "+f.Name+"(e, …)"
	if f.Name == "lambda" {
		takes, binds = "lambda e: …", "lambda e, n = 5: …"
	}
	if f.Arity == 0 && c.bundle.Language != "lua" { // Lua drops arguments that nobody takes
		c.fail("fn", "write "+takes, "%s: %s takes no argument, but a handler is given the event", c.reg.Name, f.Name)
	}
	if f.Required > 1 {
		c.fail("fn", "give the others a default, or bind them: "+binds,
			"%s: %s needs %d arguments, but a handler is given the event alone", c.reg.Name, f.Name, f.Required)
	}
	if identifier.MatchString(f.Name) && f.Name != "lambda" {
		r.function = f.Name
	}
	return f.Index
}

var identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// duplicateNames refuses two rules of one name in a file: their IDs, and with
// them cooldowns, metrics and past runs, would be mixed up.
func (c *compiler) duplicateNames(rules []*Rule) {
	seen := map[string]*Rule{}
	for _, r := range rules {
		if r.Name == "" {
			continue
		}
		if first := seen[r.Name]; first != nil {
			c.errs = append(c.errs, c.problem(r.Pos, "give one of them another name",
				"name %q is taken by the rule at %s", r.Name, first.Pos))
			continue
		}
		seen[r.Name] = r
	}
}

// text reads the regex of a message or mention rule, or with args the words of
// a command. Without either it sees all.
func (c *compiler) text(r *Rule, v runtime.Value) {
	if a, given := c.args.Get("args"); given && a != nil {
		c.words(r, v)
		return
	}
	if v == nil || v == "" {
		r.any = true
		return
	}
	if p, ok := c.pattern(v); ok {
		c.regex(r, c.decl.arg, p, false)
	}
}

// pattern returns the text of a pattern given as a text or a regexp.
func (c *compiler) pattern(v runtime.Value) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case runtime.Regexp:
		return v.Pattern, true
	}
	c.wrongType(c.decl.arg, "a text", v)
	return "", false
}

// id reads an id that must be equal, or a regexp that must match as a whole.
func (c *compiler) id(r *Rule, v runtime.Value) {
	p, ok := c.pattern(v)
	if !ok {
		return
	}
	if _, is := v.(runtime.Regexp); is {
		c.regex(r, c.decl.arg, p, true)
		return
	}
	if p == "" || len(p) > 255 {
		c.fail(c.decl.arg, "", "%s: %s must have 1 to 255 characters", c.reg.Name, c.decl.arg)
	}
	r.Pattern = p
}

// action reads an id or a regex. A text with a character of regexMeta is taken
// as a regex: ids made of letters, digits and -_.: have none.
func (c *compiler) action(r *Rule, v runtime.Value) {
	if s, is := v.(string); is && strings.ContainsAny(s, regexMeta) {
		v = runtime.Regexp{Pattern: s}
	}
	c.id(r, v)
	switch b, _ := c.args.Get("block"); b := b.(type) {
	case nil:
	case string:
		r.Block = b
	case runtime.Regexp:
		r.Block = b.Pattern
		c.blockRegex(r, b.Pattern)
	default:
		c.wrongType("block", "a text", b)
	}
}

// regexMeta are the characters that tell a regex from an id.
const regexMeta = `^$*+?()[]{}|\`

// plainEmoji is the name of one emoji, with or without its skin tone.
var plainEmoji = regexp.MustCompile(`^([+-]1|[\pL0-9_'-]+)(::[a-z0-9-]+)?$`)

// emoji reads the name of an emoji, with or without colons, or a regex that
// must match the whole name.
func (c *compiler) emoji(r *Rule, v runtime.Value) {
	r.Removed = c.flag("removed", false)
	p, ok := c.pattern(v)
	if !ok {
		return
	}
	switch name := strings.Trim(p, ":"); {
	case p == "" || p == ".*":
		r.any, r.Pattern = true, p
	case plainEmoji.MatchString(name):
		r.Pattern = name
	default:
		c.regex(r, c.decl.arg, p, true)
	}
}

// eventType reads Slack's type of an event, "type.subtype", or "*".
func (c *compiler) eventType(r *Rule, v runtime.Value) {
	p, ok := c.pattern(v)
	if !ok {
		return
	}
	r.Pattern = p
	switch {
	case p == "*":
		r.any = true
	case p == "" || strings.ContainsAny(p, " \t\n*"):
		c.fail("type", "write Slack's name of the event, such as \"team_join\", or \"*\" for all", "%s: %q is no event type", c.reg.Name, p)
	case strings.HasPrefix(p, "message."):
		r.subtype = p[len("message."):]
	}
}

func declarationNames() []string {
	names := make([]string, 0, len(declarations))
	for n := range declarations {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// regex compiles a pattern into r; whole makes it match the whole text only.
func (c *compiler) regex(r *Rule, arg, p string, whole bool) {
	r.Pattern = p
	re, size, err := compileRegex(p)
	if err != nil {
		c.badRegex(arg, err)
		return
	}
	if whole {
		re = regexp.MustCompile(`\A(?:` + p + `)\z`)
	}
	r.re, r.names = re, re.SubexpNames()
	c.size(r, arg, size)
}

// blockRegex compiles a pattern that must match the whole id of a block.
func (c *compiler) blockRegex(r *Rule, p string) {
	_, size, err := compileRegex(p)
	if err != nil {
		c.badRegex("block", err)
		return
	}
	r.blockRE = regexp.MustCompile(`\A(?:` + p + `)\z`)
	c.size(r, "block", size)
}

func (c *compiler) badRegex(arg string, err error) {
	e := c.fail(arg, "", "%s: bad regex: %v", c.reg.Name, err)
	var se *syntax.Error
	if !errors.As(err, &se) {
		return
	}
	e.Msg = c.reg.Name + ": bad regex: " + se.Code.String() + ": `" + se.Expr + "`"
	e.Hint = regexHint(se)
	// Point at the offending part if the source line shows it as it is.
	if from := e.Pos.Col - 1; from >= 0 && from < len(e.Line) && se.Expr != "" {
		if at := strings.Index(e.Line[from:], se.Expr); at >= 0 {
			e.Pos.Col += at
		}
	}
}
