package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/starling-rules/starling/engine"
	"github.com/starling-rules/starling/engine/config"
	"github.com/starling-rules/starling/engine/dispatch"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/explain"
	"github.com/starling-rules/starling/engine/keyring"
	"github.com/starling-rules/starling/engine/redact"
	"github.com/starling-rules/starling/engine/rules"
	"github.com/starling-rules/starling/engine/sim"
	"github.com/starling-rules/starling/stdlib"
)

func (c *command) devCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dev [DIR...]",
		Short: "Start a local Slack in the browser with your rules, no account needed",
		Long: "Dev starts a Slack of your own on this machine and the engine with your rules\n" +
			"behind it. Open the printed address, write a message, see which rules match and\n" +
			"what they do. Saving a rule makes it live. Nothing leaves the machine, and\n" +
			"nothing is kept when it ends unless --data names a directory.\n\n" +
			"With --slack-only there is no engine: the local Slack serves a program of yours,\n" +
			"on Bolt, slack-go or anything else, over Socket Mode or, with --events, over HTTP.\n\n" +
			"The local Slack has three workspaces, two of them in an organization, and apps can\n" +
			"be installed there by OAuth: open the install page that is printed, or send the\n" +
			"program's own to /oauth/v2/authorize with the client id that --slack-only prints.",
		Example: "  starling dev examples/quickstart\n  starling dev --page 127.0.0.1:8080 rules more-rules\n  starling dev --slack-only --events http://127.0.0.1:3000/slack/events",
	}
	c.configFlags(cmd)
	page := cmd.Flags().String("page", "127.0.0.1:3002", "address of the page, HOST:PORT")
	socketMode := cmd.Flags().Bool("socket", false, "the engine takes events over Socket Mode instead of HTTP")
	slackOnly := cmd.Flags().Bool("slack-only", false, "only the local Slack, for another program")
	events := cmd.Flags().String("events", "", "with --slack-only: where that program takes events over HTTP, on this machine")
	cmd.MarkFlagsMutuallyExclusive("socket", "slack-only")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case *slackOnly && len(args) > 0:
			return withCode(ExitUsage, errors.New("--slack-only runs no rules: leave the directories out"))
		case *slackOnly:
			return c.slackOnly(cmd.Context(), *page, *events)
		case *events != "":
			return withCode(ExitUsage, errors.New("--events goes with --slack-only"))
		}
		base := config.Default()
		base.Log.Level = "warn"
		if len(args) > 0 {
			base.Rules = args
		}
		cfg, err := c.load(cmd, base)
		if err != nil {
			return err
		}
		if len(args) > 0 {
			cfg.Rules = args
		}
		keepLocal(cfg, cmd.Flags().Changed)
		localBots(cfg)
		for _, dir := range cfg.Rules {
			if err := wantDirectory(dir); err != nil {
				return withCode(ExitUsage, err)
			}
		}
		reload := func() (*config.Config, error) {
			again, err := c.load(cmd, config.Default())
			if err == nil {
				localBots(again)
			}
			return again, err
		}
		return c.dev(cmd.Context(), cfg, *page, *socketMode, reload)
	}
	return cmd
}

// keepLocal takes back what a configuration made for serve would open to
// others or share with them, unless a flag asks for it here and now.
func keepLocal(cfg *config.Config, flagged func(name string) bool) {
	if !flagged("data") {
		cfg.Data = ""
	}
	if !flagged("listen") {
		cfg.Listen = "127.0.0.1:3000"
	}
	if !flagged("admin") {
		cfg.Admin = "127.0.0.1:3001"
	}
	cfg.Queue.URL, cfg.TLS = "", config.TLS{}
}

// localBots makes every configured bot the one of the local Slack, so that the
// handlers of each can be tried.
func localBots(cfg *config.Config) {
	seed := sim.DefaultSeed()
	for team := range cfg.Teams {
		cfg.Teams[team] = seed.Team.ID
	}
	for _, bots := range cfg.Bots {
		for name := range bots {
			bots[name] = seed.App.ID
		}
	}
	if len(cfg.Bots) > 0 {
		cfg.Apps = map[string]config.App{seed.App.ID: {ID: seed.App.ID}}
	}
	cfg.Warnings = slices.DeleteFunc(cfg.Warnings, func(w string) bool { return strings.Contains(w, " is disabled: ") })
}

// wantDirectory says what to do when a rules directory is none.
func wantDirectory(dir string) error {
	st, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("no directory %s: make it and save a script there, or name another one (starling dev DIR)", dir)
	case err != nil:
		return fmt.Errorf("look at rules directory: %w", err)
	case !st.IsDir():
		return fmt.Errorf("%s is a file: want the directory with the rules, %s", dir, filepath.Dir(dir))
	}
	return nil
}

// dev wires the local Slack and the engine to each other.
func (c *command) dev(ctx context.Context, cfg *config.Config, page string, socketMode bool, reload func() (*config.Config, error)) error {
	if cfg.Data == "" && len(cfg.Installs.Keys) == 0 {
		cfg.Installs.Keys = []string{keyring.Generate()} // nothing of what it seals is kept
	}
	if cfg.Data == "" {
		dir, err := os.MkdirTemp("", "starling-dev-")
		if err != nil {
			return withCode(ExitStart, err)
		}
		defer os.RemoveAll(dir)
		cfg.Data = filepath.Join(dir, "data")
	}
	slackLn, err1 := listenNear(page)
	eventsLn, err2 := listenNear(cfg.Listen)
	adminLn, err3 := listenNear(cfg.Admin)
	if err := errors.Join(err1, err2, err3); err != nil {
		return withCode(ExitStart, err)
	}
	if err := wantLoopback(page, slackLn); err != nil {
		return err
	}
	slack, err := sim.New(sim.Options{
		EventsURL: "http://" + eventsLn.Addr().String() + "/slack/events", URL: "http://" + slackLn.Addr().String(), SocketMode: socketMode, SharedClock: true,
		OAuth: localOAuth(),
	})
	if err != nil {
		return withCode(ExitStart, err)
	}
	cfg.Slack.SigningSecrets, cfg.Slack.BotToken, cfg.Slack.UserToken = []string{slack.SigningSecret()}, sim.DevBotToken, sim.DevUserToken
	cfg.Slack.APIURL, cfg.Slack.AppToken = slack.APIURL(), ""
	installPage := localInstall(cfg, eventsLn.Addr())
	if socketMode {
		cfg.Slack.AppToken = sim.DevAppToken
	}

	log := slog.New(without{logger(cfg, c.env.Stderr).Handler(), []string{"rule file has an error", "rule file is questionable", "rule files are questionable", "rules directory", "rules loaded"}})
	harden(log)
	for _, w := range cfg.Warnings {
		log.Warn(w)
	}
	shown := &sheet{slack: slack}
	told := &announcer{out: c.env.Stdout, now: c.env.Now, broken: map[string]string{}}
	lib, err := stdlib.Library()
	if err != nil {
		return withCode(ExitStart, err)
	}
	lint, err := linter(cfg)
	if err != nil {
		return withCode(ExitStart, err)
	}
	e, err := engine.New(ctx, engine.Options{
		Config: cfg, Reload: reload, Library: lib, Pool: c.pool(cfg, log), Lint: lint, Scripts: library(), Scopes: neededScopes, Listener: eventsLn, Admin: adminLn,
		Inspector: inspector{slack, shown}, Drain: time.Second, Version: Version, Logger: log, Now: slack.Now,
		OnRules: func(set *rules.Set, rep *rules.Report) {
			slack.SetCatalog(catalog(set))
			shown.loaded(set, rep)
			told.announce(set.Len(), rep)
		},
	})
	if err != nil {
		return withCode(ExitStart, err)
	}
	slack.SetHelper(scribe{e})
	slack.SetRunKeeper(keeper{e})
	shown.follow(e.SwitchedOff)
	ctx, stop := c.env.untilSignal(ctx, func() { _ = e.Reload(context.WithoutCancel(ctx)) })
	defer stop()
	slackCtx, stopSlack := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() {
		ended <- slack.Run(slackCtx, slackLn)
		stop() // without the page there is no point in going on
	}()
	go func() {
		select {
		case <-e.Started():
			fmt.Fprintf(c.env.Stdout, "\nLocal Slack: http://%s\nRules:       %s (saved changes are live at once)\n%sStop with Ctrl-C.\n\n", slackLn.Addr(), strings.Join(cfg.Rules, ", "), installPage)
		case <-ctx.Done():
		}
	}()
	err = e.Run(ctx)
	stopSlack()
	return withCode(ExitStart, errors.Join(err, <-ended))
}

func wantLoopback(page string, ln net.Listener) error {
	if a, ok := ln.Addr().(*net.TCPAddr); !ok || !a.IP.IsLoopback() {
		_ = ln.Close()
		return withCode(ExitUsage, fmt.Errorf("--page %s: the page is for this machine only, want a loopback address", page))
	}
	return nil
}

// slackOnly runs the local Slack for a program that somebody else starts.
func (c *command) slackOnly(ctx context.Context, page, events string) error {
	ln, err := listenNear(page)
	if err != nil {
		return withCode(ExitStart, err)
	}
	if err := wantLoopback(page, ln); err != nil {
		return err
	}
	slack, err := sim.New(sim.Options{EventsURL: events, SocketMode: events == "", URL: "http://" + ln.Addr().String(), OAuth: localOAuth()})
	if err != nil {
		_ = ln.Close()
		return withCode(ExitUsage, err)
	}
	ctx, stop := c.env.untilSignal(ctx, func() {})
	defer stop()
	out := c.env.Stdout
	fmt.Fprintf(out, "\nLocal Slack:    %s\nWeb API:        %s\nBot token:      %s\n", slack.URL(), slack.APIURL(), sim.DevBotToken)
	if events == "" {
		fmt.Fprintf(out, "App token:      %s (Socket Mode)\n", sim.DevAppToken)
	} else {
		fmt.Fprintf(out, "Signing secret: %s\nEvents go to:   %s\n", slack.SigningSecret(), events)
	}
	fmt.Fprintf(out, "OAuth:          %s/oauth/v2/authorize, client id %s, client secret %s\n", slack.URL(), sim.DevClientID, sim.DevClientSecret)
	fmt.Fprint(out, "Stop with Ctrl-C.\n\n")
	return withCode(ExitStart, slack.Run(ctx, ln))
}

// listenNear listens on addr, or if its port is taken on any free one.
func listenNear(addr string) (net.Listener, error) {
	ln, err := net.Listen("tcp", addr)
	if err == nil {
		return ln, nil
	}
	host, _, splitErr := net.SplitHostPort(addr)
	if splitErr != nil {
		return nil, err
	}
	return net.Listen("tcp", net.JoinHostPort(host, "0"))
}

// catalog lists the commands and shortcuts that the rules know, for completion.
func catalog(set *rules.Set) sim.Catalog {
	var out sim.Catalog
	for _, r := range set.OfKind(event.Command) {
		item := sim.CatalogItem{Name: r.Pattern, Help: r.Help}
		if r.Args != nil {
			item.Usage = r.Args.String()
		}
		out.Commands = append(out.Commands, item)
	}
	for _, r := range set.OfKind(event.Shortcut) {
		item := sim.CatalogItem{Name: r.Pattern, Help: r.Help}
		out.Shortcuts = append(out.Shortcuts, item)
		out.MessageActions = append(out.MessageActions, item)
	}
	sort.Slice(out.Commands, func(i, j int) bool { return out.Commands[i].Name < out.Commands[j].Name })
	return out
}

// inspector shows the page what the engine does.
type inspector struct {
	slack *sim.Server
	shown *sheet
}

// Event implements dispatch.Inspector.
func (i inspector) Event(t dispatch.EventTrace) {
	e := t.Event
	out := sim.EventTrace{ID: e.ID, Kind: string(e.Kind), Type: e.Type, Text: explain.Headline(e), User: e.User, Channel: e.Channel, At: e.Received}
	for _, v := range t.Verdicts {
		out.Verdicts = append(out.Verdicts, sim.Verdict{Rule: v.Rule.ID, Matched: v.Matched, Reason: v.Why})
	}
	i.slack.TraceEvent(out)
	i.shown.refresh()
}

// Run implements dispatch.Inspector.
func (i inspector) Run(t dispatch.RunTrace) {
	clean := redact.NewSet().Clean // whatever looks like a secret
	out := sim.RunTrace{
		ID: t.ID, EventID: t.EventID, Rule: t.Rule, Outcome: string(t.Outcome), Error: clean(t.Error),
		Steps: t.Steps, Ms: float64(t.Took.Microseconds()) / 1000,
	}
	for _, e := range t.Effects {
		out.Effects = append(out.Effects, sim.EffectTrace{
			Step: e.Step, Kind: e.Kind, Args: asJSON(clean(e.Args)), Result: asJSON(clean(e.Result)), Ms: float64(e.Took.Microseconds()) / 1000,
		})
	}
	for _, l := range t.Logs {
		level, text, _ := strings.Cut(l, " ")
		out.Logs = append(out.Logs, sim.LogTrace{Level: strings.ToLower(level), Text: clean(text)})
	}
	i.slack.TraceRun(out)
	i.shown.refresh()
}

// asJSON passes JSON on, and quotes what is none (the text of an error).
func asJSON(text string) json.RawMessage {
	if json.Valid([]byte(text)) {
		return json.RawMessage(text)
	}
	b, _ := json.Marshal(text)
	return b
}
