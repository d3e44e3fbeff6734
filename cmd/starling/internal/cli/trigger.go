package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/starling-rules/starling/engine/config"
	"github.com/starling-rules/starling/engine/payload"
	"github.com/starling-rules/starling/engine/sim"
	"github.com/starling-rules/starling/runtime"
)

// trigger is one command line of trigger.
type trigger struct {
	url, secret, file      string
	json, dry, print       bool
	fresh                  bool
	act                    payload.Act
	values, fields         []string
	headers                []string
	method, path, body     string
	signature, hookSecret  string
	botUser, team, eventID string
}

// webhookKind is the kind of trigger that is no payload of Slack's.
const webhookKind = "webhook"

func triggerKinds() []string { return append(payload.Kinds(), webhookKind) }

// kindLines lists the kinds, in lines that fit a terminal.
func kindLines() string {
	lines := []string{" "}
	for i, kind := range triggerKinds() {
		last := &lines[len(lines)-1]
		if i > 0 {
			*last += ","
			if len(*last)+len(kind) > 78 {
				lines = append(lines, " ")
				last = &lines[len(lines)-1]
			}
		}
		*last += " " + kind
	}
	return strings.Join(lines, "\n")
}

func (c *command) triggerCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "trigger KIND [TEXT...]",
		Short: "Send one signed payload to a running server, as Slack would",
		Long: "Trigger makes the payload that Slack sends for what somebody does, signs it and\n" +
			"sends it to a server: to `starling dev` as it is, to another with --url and the\n" +
			"signing secret in --secret or $SLACK_SIGNING_SECRET. The kinds are\n\n" +
			kindLines() + "\n\n" +
			"What follows KIND is the text of a message, a command with its text, an action_id\n" +
			"with what was chosen, a callback_id with inputs as name=value, an emoji, the type\n" +
			"of an event, or the path of a webhook with its body.",
		Example: "  starling trigger message deploy api --channel C0OPS\n" +
			"  starling trigger command /deploy api prod\n" +
			"  starling trigger action deploy_yes api\n" +
			"  starling trigger view incident what='the door' severity=major\n" +
			"  starling trigger reaction tada --ts 1700000000.000100\n" +
			"  starling trigger webhook /hooks/gh/api '{\"ref\": \"main\"}' --hook-secret \"$GH_SECRET\"\n" +
			"  starling trigger --file recorded.json --fresh      # a payload that Slack once sent\n" +
			"  starling trigger mention help --dry                # as a curl command",
		Args: cobra.ArbitraryArgs,
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return triggerKinds(), cobra.ShellCompDirectiveNoFileComp
		},
	}
	t := &trigger{}
	t.flags(cmd)
	cmd.Flags().StringVar(&c.file, "config", "", "configuration file, for the address and the secret")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		cfg, err := c.load(cmd, nil)
		if err != nil {
			return err
		}
		req, err := t.request(c, cfg, args)
		if err != nil {
			return withCode(ExitUsage, err)
		}
		switch {
		case t.print:
			_, err := fmt.Fprintf(c.env.Stdout, "%s\n", req.body)
			return err
		case t.dry:
			_, err := fmt.Fprintln(c.env.Stdout, req.curl())
			return err
		}
		return c.send(cmd.Context(), req, t.json)
	}
	return cmd
}

func (t *trigger) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&t.url, "url", "", "where to send it (default: the configured address, path /slack/events)")
	f.StringVar(&t.secret, "secret", "", "signing secret (default $SLACK_SIGNING_SECRET, else that of starling dev)")
	f.StringVar(&t.act.User, "user", "", "id of the user who does it")
	f.StringVar(&t.act.UserName, "user-name", "", "name of that user")
	f.StringVar(&t.act.Channel, "channel", "", "id of the channel; D… is a direct message")
	f.StringVar(&t.act.ChannelName, "channel-name", "", "name of that channel")
	f.StringVar(&t.act.Text, "text", "", "text of the message or command")
	f.StringVar(&t.team, "team", "", "id of the workspace")
	f.StringVar(&t.botUser, "bot-user", "", "user id of the app's bot")
	f.StringVar(&t.act.TS, "ts", "", "timestamp of the message (default now)")
	f.StringVar(&t.act.Thread, "thread", "", "timestamp of the thread that it is in")
	f.StringVar(&t.act.Command, "command", "", "slash command")
	f.StringVar(&t.act.ActionID, "action-id", "", "action_id of the element")
	f.StringVar(&t.act.BlockID, "block-id", "", "block_id of the element")
	f.StringVar(&t.act.Element, "element", "", "type of the element (default button)")
	f.StringArrayVar(&t.values, "value", nil, "what was chosen or typed; of a view name=value; may be repeated")
	f.StringVar(&t.act.CallbackID, "callback-id", "", "callback_id of the view or shortcut")
	f.StringVar(&t.act.Emoji, "emoji", "", "emoji of the reaction")
	f.StringVar(&t.act.Type, "type", "", "type of the event: team_join, message.channel_topic, …")
	f.StringVar(&t.act.ResponseURL, "response-url", "", "response_url of the command or interaction")
	f.StringVar(&t.act.TriggerID, "trigger-id", "", "trigger_id (default a new one)")
	f.StringVar(&t.eventID, "event-id", "", "event_id (default a new one; a copy is answered and not run again)")
	f.StringArrayVar(&t.fields, "field", nil, "a further field of the event or payload, name=value, where value may be JSON; may be repeated")
	f.StringVar(&t.file, "file", "", "send this payload (- is the standard input) instead of making one")
	f.BoolVar(&t.fresh, "fresh", false, "with --file: give it a new event_id or trigger_id")
	f.StringVar(&t.path, "path", "", "path of the webhook")
	f.StringVar(&t.method, "method", "POST", "method of the webhook")
	f.StringVar(&t.body, "body", "", "body of the webhook; @FILE reads it")
	f.StringArrayVar(&t.headers, "header", nil, "a further header, 'Name: value'; may be repeated")
	f.StringVar(&t.hookSecret, "hook-secret", "", "sign the webhook with this secret")
	f.StringVar(&t.signature, "signature", "github", "how: github, gitlab, stripe, pagerduty, grafana, hmac-sha256, bearer, or basic (the secret is user:password)")
	f.BoolVar(&t.json, "json", false, "print the answer as JSON")
	f.BoolVar(&t.dry, "dry", false, "print the request as a curl command, send nothing")
	f.BoolVar(&t.print, "payload", false, "print the payload alone, send nothing")
}

// request makes what is sent.
func (t *trigger) request(c *command, cfg *config.Config, args []string) (*slackRequest, error) {
	target, err := t.target(cfg)
	if err != nil {
		return nil, err
	}
	secret := t.secret
	if secret == "" && len(cfg.Slack.SigningSecrets) > 0 {
		secret = cfg.Slack.SigningSecrets[0]
	}
	if secret == "" { // the local Slack's: its ids are known to it
		secret = sim.DevSigningSecret
		t.local()
	}
	t.act.Now, t.act.EventID = c.env.Now(), t.eventID
	if t.team != "" {
		t.act.App.Team = t.team
	}
	if t.botUser != "" {
		t.act.App.BotUser = t.botUser
	}
	if t.file != "" {
		if len(args) > 1 {
			return nil, fmt.Errorf("--file gives the payload: %q is too much", args[1:])
		}
		p, err := t.recorded(c)
		if err != nil {
			return nil, err
		}
		return t.slackRequest(target, secret, p)
	}
	if len(args) == 0 {
		return nil, fmt.Errorf("want a kind: %s", strings.Join(triggerKinds(), ", "))
	}
	if args[0] == webhookKind {
		return t.webhook(c, target, args[1:])
	}
	if err := t.words(args[0], args[1:]); err != nil {
		return nil, err
	}
	p, err := t.act.Build(args[0])
	if err != nil {
		hint := ""
		if n := runtime.Nearest(args[0], triggerKinds()); n != "" {
			hint = fmt.Sprintf(", did you mean %s?", n)
		}
		return nil, fmt.Errorf("no kind %q%s (there are %s)", args[0], hint, strings.Join(triggerKinds(), ", "))
	}
	return t.slackRequest(target, secret, p)
}

// local takes the ids of the local Slack, whose Web API knows them.
func (t *trigger) local() {
	s := sim.DefaultSeed()
	t.act.App = payload.App{ID: s.App.ID, BotUser: s.App.UserID, Team: s.Team.ID, Domain: s.Team.Domain}
	if t.act.User == "" {
		t.act.User, t.act.UserName = s.Users[0].ID, s.Users[0].Name
	}
	if t.act.Channel == "" {
		t.act.Channel, t.act.ChannelName = s.Channels[0].ID, s.Channels[0].Name
	}
}

// target is where the server takes payloads.
func (t *trigger) target(cfg *config.Config) (*url.URL, error) {
	raw := t.url
	if raw == "" {
		host, port, err := net.SplitHostPort(cfg.Listen)
		if err != nil {
			return nil, fmt.Errorf("listen: %w", err)
		}
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
			host = "127.0.0.1"
		}
		scheme := "http"
		if cfg.TLS.Cert != "" {
			scheme = "https"
		}
		raw = scheme + "://" + net.JoinHostPort(host, port)
	} else if !strings.Contains(raw, "://") {
		raw = "http://" + raw
	}
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("--url %q: want http://HOST:PORT, with or without a path", t.url)
	}
	return u, nil
}

// words reads what follows the kind.
func (t *trigger) words(kind string, words []string) error {
	first := func(to *string) {
		if *to == "" && len(words) > 0 {
			*to, words = words[0], words[1:]
		}
	}
	switch kind {
	case "command":
		if len(words) > 0 { // with its text in the same quotes
			if name, text, ok := strings.Cut(words[0], " "); ok {
				words = append([]string{name, text}, words[1:]...)
			}
		}
		first(&t.act.Command)
	case "action", "options":
		first(&t.act.ActionID)
		t.values = append(t.values, words...)
		words = nil
	case "view", "view_closed":
		first(&t.act.CallbackID)
		t.values = append(t.values, words...)
		words = nil
	case "shortcut", "message_shortcut":
		first(&t.act.CallbackID)
	case "reaction", "reaction_removed":
		first(&t.act.Emoji)
	case "event":
		first(&t.act.Type)
	}
	if len(words) > 0 && t.act.Text != "" {
		return fmt.Errorf("--text and %q: one text is enough", strings.Join(words, " "))
	}
	if len(words) > 0 {
		t.act.Text = strings.Join(words, " ")
	}
	var err error
	if t.act.Fields, err = pairs("--field", t.fields); err != nil {
		return err
	}
	if kind == "view" || kind == "view_closed" {
		t.act.Values, err = pairs("the input", t.values)
		return err
	}
	switch len(t.values) {
	case 0:
	case 1:
		t.act.Value = t.values[0]
	default:
		list := make([]any, len(t.values))
		for i, v := range t.values {
			list[i] = v
		}
		t.act.Value = list
	}
	return nil
}

// pairs reads name=value, where a value that is a JSON list, object, number,
// true, false or null is taken as that.
func pairs(what string, texts []string) (payload.Object, error) {
	out := payload.Object{}
	for _, text := range texts {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("%s %q: want name=value", what, text)
		}
		var v any = value
		if value != "" && strings.ContainsAny(value[:1], `[{"tfn`) {
			if json.Unmarshal([]byte(value), &v) != nil {
				v = value
			}
		}
		out[name] = v
	}
	if len(out) == 0 {
		return nil, nil
	}
	return out, nil
}

// recorded reads the payload of --file.
func (t *trigger) recorded(c *command) (payload.Payload, error) {
	var text []byte
	var err error
	if t.file == "-" {
		text, err = io.ReadAll(io.LimitReader(c.env.Stdin, 8<<20))
	} else {
		text, err = os.ReadFile(t.file)
	}
	if err != nil {
		return payload.Payload{}, err
	}
	text = []byte(strings.TrimSpace(string(text)))
	if len(text) > 0 && text[0] == '{' {
		var o payload.Object
		d := json.NewDecoder(strings.NewReader(string(text)))
		d.UseNumber()
		if err := d.Decode(&o); err != nil {
			return payload.Payload{}, fmt.Errorf("%s: not JSON: %w", t.file, err)
		}
		_, event := o["event"]
		interaction := !event && o["type"] != "url_verification" && o["type"] != "app_rate_limited"
		switch {
		case t.fresh:
			o = t.renew(o, interaction)
		case interaction:
			return payload.Payload{ContentType: payload.FormType, Body: []byte(url.Values{"payload": {string(text)}}.Encode()), JSON: text}, nil
		default:
			return payload.Payload{ContentType: payload.JSONType, Body: text, JSON: text}, nil
		}
		if interaction {
			return payload.Form(o), nil
		}
		return payload.JSON(o), nil
	}
	f, err := url.ParseQuery(string(text))
	if err != nil || len(f) == 0 {
		return payload.Payload{}, fmt.Errorf("%s: neither JSON nor a form", t.file)
	}
	if !t.fresh {
		return payload.Payload{ContentType: payload.FormType, Body: text, JSON: text}, nil
	}
	if p := f.Get("payload"); p != "" {
		var o payload.Object
		if err := json.Unmarshal([]byte(p), &o); err != nil {
			return payload.Payload{}, fmt.Errorf("%s: payload is not JSON: %w", t.file, err)
		}
		return payload.Form(t.renew(o, true)), nil
	}
	f.Set("trigger_id", fmt.Sprintf("%d.fresh", t.act.Now.UnixNano()))
	return payload.Fields(f), nil
}

// renew gives a recorded payload an id of its own.
func (t *trigger) renew(o payload.Object, interaction bool) payload.Object {
	if interaction {
		o["trigger_id"] = fmt.Sprintf("%d.fresh", t.act.Now.UnixNano())
		return o
	}
	o["event_id"] = fmt.Sprintf("EvFRESH%X", t.act.Now.UnixNano())
	return o
}

// send sends the request and shows what came back.
func (c *command) send(ctx context.Context, r *slackRequest, asJSON bool) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, r.method, r.url, strings.NewReader(string(r.body)))
	if err != nil {
		return withCode(ExitUsage, err)
	}
	for _, h := range r.headers {
		req.Header.Add(h[0], h[1])
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	start := c.env.Now()
	res, err := client.Do(req)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return withCode(ExitStart, fmt.Errorf("nobody listens at %s: start `starling dev` or `starling serve`, or name the server with --url", r.url))
	}
	if err != nil {
		return withCode(ExitStart, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 8<<20))
	if err != nil {
		return withCode(ExitStart, fmt.Errorf("read the answer: %w", err))
	}
	return c.printAnswered(r, res, body, c.env.Now().Sub(start), asJSON)
}

func (c *command) printAnswered(r *slackRequest, res *http.Response, body []byte, took time.Duration, asJSON bool) error {
	ms := float64(took.Microseconds()) / 1000
	good := res.StatusCode >= 200 && res.StatusCode <= 299
	if asJSON {
		if err := writeJSON(c.env.Stdout, map[string]any{
			"url": r.url, "method": r.method, "payload": string(r.shown), "status": res.StatusCode, "content_type": res.Header.Get("Content-Type"),
			"body": string(body), "ms": ms,
		}); err != nil {
			return err
		}
	} else {
		s := c.style(c.env.Stdout)
		status := s.green(res.Status)
		if !good {
			status = s.red(res.Status)
		}
		fmt.Fprintf(c.env.Stdout, "%s %s  %s  %.1f ms\n", r.method, r.url, status, ms)
		if len(body) > 0 {
			fmt.Fprintln(c.env.Stdout, prettyBody(res.Header.Get("Content-Type"), body))
		}
	}
	switch {
	case good:
		return nil
	case res.StatusCode == http.StatusUnauthorized && r.signed:
		return withCode(ExitBad, errors.New("the server does not take the signature: give its signing secret with --secret or $SLACK_SIGNING_SECRET"))
	}
	return withCode(ExitBad, fmt.Errorf("the server answered %s", res.Status))
}

// shellQuote quotes a word for a POSIX shell.
func shellQuote(s string) string {
	plain := func(r rune) bool {
		return r < 0x80 && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:=@%", r))
	}
	if s != "" && !slices.ContainsFunc([]rune(s), func(r rune) bool { return !plain(r) }) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
