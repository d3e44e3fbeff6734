package cli

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/starling-rules/starling/engine/config"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/manifest"
	"github.com/starling-rules/starling/engine/rules"
	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib"
)

func (c *command) manifestCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "manifest",
		Short: "Print the Slack app manifest that the rules need: commands, events, scopes",
		Long: "Manifest reads the rules and prints what the Slack app has to be, as YAML to paste\n" +
			"under api.slack.com/apps, From a manifest. Beside each scope and event stands what\n" +
			"needs it. --diff compares with the manifest of an app that exists, as exported\n" +
			"there, and exits with 1 if that lacks something.\n\n" +
			"With slack.oauth in the configuration, or --redirect-url, it is one that workspaces\n" +
			"install by OAuth: --rotation makes its tokens expire, --org is for organizations.\n\n" +
			"What cannot be read off the rules, such as a method that is only known when it\n" +
			"runs, is told on stderr.",
		Example: "  starling manifest --url https://bot.example.com > manifest.yaml\n" +
			"  starling manifest --socket --name Deploybot\n" +
			"  starling manifest --url https://bot.example.com --redirect-url https://bot.example.com/slack/oauth_redirect\n" +
			"  starling manifest --diff exported.yaml        # what does the app lack?",
		Args: cobra.NoArgs,
	}
	c.configFlags(cmd)
	f := cmd.Flags()
	var o manifest.Options
	f.StringVar(&o.URL, "url", "", "where Slack reaches the server: https://HOST")
	f.BoolVar(&o.Socket, "socket", false, "Socket Mode instead of an address (default if SLACK_APP_TOKEN is set)")
	f.StringVar(&o.Name, "name", "Starling", "name of the app and its bot")
	f.StringSliceVar(&o.MessageShortcuts, "message-shortcut", nil, "callback_id of a shortcut that is one of messages; may be repeated")
	f.StringVar(&o.RedirectURL, "redirect-url", "", "where browsers come back to that install the app by OAuth (default slack.oauth.redirect_url)")
	f.BoolVar(&o.Rotation, "rotation", false, "tokens expire and are renewed (default slack.oauth.token_rotation)")
	f.BoolVar(&o.Org, "org", false, "organizations can install the app as a whole (default slack.oauth.org_deploy)")
	diff := f.String("diff", "", "compare with this manifest, YAML or JSON")
	asJSON := f.Bool("json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := c.load(cmd, nil)
		if err != nil {
			return err
		}
		if !cmd.Flags().Changed("socket") && o.URL == "" {
			o.Socket = cfg.Slack.AppToken != ""
		}
		oauthOptions(&o, cfg, cmd.Flags().Changed)
		var have *manifest.Manifest
		if *diff != "" {
			text, err := os.ReadFile(*diff)
			if err != nil {
				return withCode(ExitUsage, err)
			}
			if have, err = manifest.Read(text); err != nil {
				return withCode(ExitUsage, fmt.Errorf("%s: %w", *diff, err))
			}
		}
		r, sound, err := c.manifest(cmd.Context(), cfg, o)
		if err != nil {
			return err
		}
		if have != nil {
			err = c.printDiff(r, have, *asJSON)
		} else {
			err = c.printManifest(r, *asJSON)
		}
		if err == nil && (!sound || len(r.Problems) > 0) {
			err = withCode(ExitBad, errSaid)
		}
		return err
	}
	return cmd
}

// oauthOptions takes from the configuration what no flag says of OAuth.
func oauthOptions(o *manifest.Options, cfg *config.Config, flagged func(string) bool) {
	c := cfg.Slack.OAuth
	if !flagged("redirect-url") {
		o.RedirectURL = c.RedirectURL
	}
	if !flagged("rotation") {
		o.Rotation = c.TokenRotation
	}
	if !flagged("org") {
		o.Org = c.OrgDeploy
	}
	o.Install = c.On() || o.RedirectURL != ""
	o.Scopes = manifest.Scopes{Bot: c.Scopes, User: c.UserScopes}
}

// manifest works out what the rules on disk need. sound is false if some of
// them do not load; what is wrong with them has been told.
func (c *command) manifest(ctx context.Context, cfg *config.Config, o manifest.Options) (r *manifest.Result, sound bool, err error) {
	off, err := c.offline(ctx, cfg)
	if err != nil {
		return nil, false, err
	}
	defer off.Close(ctx)
	calls, err := rulesCalls(off.Rules(), off.Bundle)
	if err != nil {
		return nil, false, withCode(ExitStart, err)
	}
	var uses []manifest.Use
	for _, a := range calls {
		uses = append(uses, manifest.Uses(a)...)
	}
	if off.Rules().Len() == 0 && off.Report().Errors == 0 {
		fmt.Fprintf(c.env.Stderr, "starling: there is no rule in %s (--rules names another directory)\n", strings.Join(cfg.Rules, ", "))
	}
	r, err = manifest.Build(off.Rules(), uses, o)
	return r, off.Report().Errors == 0, withCode(ExitUsage, err)
}

// rulesCalls analyses the scripts of the rules that are loaded, and what these
// load, each file once and in order.
func rulesCalls(set *rules.Set, bundle func(runtime.Digest) (*runtime.Bundle, bool)) ([]*runtime.Analysis, error) {
	lib, err := stdlib.Library()
	if err != nil {
		return nil, err
	}
	langs, err := languages(runtime.Host{Library: lib, Input: event.Host})
	if err != nil {
		return nil, err
	}
	files, lang := map[string][]byte{}, map[string]string{}
	for _, r := range set.Rules() {
		b, ok := bundle(r.Digest)
		if !ok || !r.Enabled {
			continue
		}
		for path, text := range b.Files {
			files[path], lang[path] = text, b.Language
		}
	}
	var out []*runtime.Analysis
	for _, path := range slices.Sorted(maps.Keys(files)) {
		for _, l := range langs {
			if a, ok := l.(runtime.Analyzer); ok && l.Name() == lang[path] {
				out = append(out, a.Analyze(path, files[path]))
			}
		}
	}
	return out, nil
}

// neededScopes are those that the rules in force need: what the install page
// asks for.
func neededScopes(set *rules.Set, bundle func(runtime.Digest) (*runtime.Bundle, bool)) (bot, user []string, err error) {
	calls, err := rulesCalls(set, bundle)
	if err != nil {
		return nil, nil, err
	}
	var uses []manifest.Use
	for _, a := range calls {
		uses = append(uses, manifest.Uses(a)...)
	}
	r, err := manifest.Build(set, uses, manifest.Options{Socket: true})
	if err != nil {
		return nil, nil, err
	}
	return r.Manifest.OAuth.Scopes.Bot, r.Manifest.OAuth.Scopes.User, nil
}

func (c *command) printManifest(r *manifest.Result, asJSON bool) error {
	if asJSON {
		return writeJSON(c.env.Stdout, r)
	}
	text, err := r.YAML()
	if err != nil {
		return err
	}
	c.manifestNotes(r)
	_, err = c.env.Stdout.Write(text)
	return err
}

func (c *command) manifestNotes(r *manifest.Result) {
	s := c.style(c.env.Stderr)
	for _, p := range r.Problems {
		fmt.Fprintln(c.env.Stderr, s.red("problem: ")+p)
	}
	for _, n := range r.Notes {
		fmt.Fprintln(c.env.Stderr, s.yellow("note: ")+n)
	}
}

// printDiff shows what the existing manifest lacks and has beyond.
func (c *command) printDiff(r *manifest.Result, have *manifest.Manifest, asJSON bool) error {
	d := r.Diff(have)
	if asJSON {
		if err := writeJSON(c.env.Stdout, d); err != nil {
			return err
		}
	} else {
		c.manifestNotes(r)
		out, s := c.env.Stdout, c.style(c.env.Stdout)
		show := func(mark string, items []manifest.Item) {
			for _, i := range items {
				line := mark + " " + i.What + " " + s.bold(i.Name)
				if i.Note != "" {
					line += ": " + i.Note
				}
				if len(i.Why) > 0 {
					line += s.dim("  for " + i.Why[0])
				}
				fmt.Fprintln(out, line)
			}
		}
		show(s.red("missing"), d.Missing)
		show(s.yellow("differs"), d.Changed)
		show(s.dim("extra  "), d.Extra)
		if len(d.Missing)+len(d.Changed)+len(d.Extra) == 0 {
			fmt.Fprintln(out, "The manifest is what the rules need.")
		} else {
			fmt.Fprintf(out, "%d missing, %d different, %d extra\n", len(d.Missing), len(d.Changed), len(d.Extra))
		}
	}
	if len(d.Missing) > 0 {
		return withCode(ExitBad, errSaid)
	}
	return nil
}
