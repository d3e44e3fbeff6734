package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/starling-rules/starling/engine"
	"github.com/starling-rules/starling/engine/config"
	"github.com/starling-rules/starling/engine/install"
	"github.com/starling-rules/starling/engine/keyring"
)

const installsForms = "installs [list], installs show WHICH, installs add FILE, installs remove WHICH, installs reseal or installs key"

func (c *command) installsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "installs [list | show WHICH | add FILE | remove WHICH | reseal | key]",
		Short: "Show and handle the workspaces that have installed the app, and their tokens' key",
		Long: "Workspaces install the app on the install page of the server (OAuth). What Slack gives\n" +
			"for it, tokens above all, is kept in the store, encrypted with STARLING_KEY. WHICH is\n" +
			"the id (A0123/T0123), the workspace (T0123) or its name. Tokens are never printed.\n\n" +
			"Add stores what Slack answers to oauth.v2.access, for who comes from another server (- is\n" +
			"stdin). Remove forgets tokens; Slack is asked only with --revoke, which ends them there,\n" +
			"or --uninstall, which takes the app out of the workspace; both need the running server.\n\n" +
			"To change the key: put a new one before the old one, with a comma between them, and\n" +
			"start the server again; reseal; leave the old one out.",
		Example: "  export STARLING_KEY=$(starling installs key)\n" +
			"  starling installs                        # who has installed the app\n" +
			"  starling installs remove T0123 --revoke  # end its tokens, and forget them\n" +
			"  STARLING_KEY=$new,$old starling installs reseal",
		Args:      cobra.MaximumNArgs(2),
		ValidArgs: []string{"list", "show", "add", "remove", "reseal", "key"},
	}
	c.configFlags(cmd)
	asJSON := cmd.Flags().Bool("json", false, "print JSON")
	revoke := cmd.Flags().Bool("revoke", false, "remove: end the tokens at Slack first")
	uninstall := cmd.Flags().Bool("uninstall", false, "remove: take the app out of the workspace first")
	cmd.MarkFlagsMutuallyExclusive("revoke", "uninstall")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		what, which := "list", ""
		if len(args) > 0 {
			what = args[0]
		}
		if len(args) > 1 {
			which = args[1]
		}
		needs := map[string]bool{"list": false, "show": true, "add": true, "remove": true, "reseal": false, "key": false}
		if takes, known := needs[what]; !known || takes != (which != "") {
			return withCode(ExitUsage, errors.New("want "+installsForms))
		}
		end := ""
		switch {
		case *revoke:
			end = "revoke"
		case *uninstall:
			end = "uninstall"
		}
		if end != "" && what != "remove" {
			return withCode(ExitUsage, fmt.Errorf("--%s goes with installs remove", end))
		}
		if what == "key" {
			fmt.Fprintln(c.env.Stdout, keyring.Generate())
			return nil
		}
		cfg, err := c.load(cmd, nil)
		if err != nil {
			return err
		}
		return c.onInstalls(cmd.Context(), cfg, what, which, end, *asJSON)
	}
	return cmd
}

func (c *command) onInstalls(ctx context.Context, cfg *config.Config, what, which, end string, asJSON bool) error {
	var answer []byte
	if what == "add" {
		var err error
		if answer, err = c.readAnswer(which); err != nil {
			return err
		}
	}
	return c.withOperator(ctx, cfg, func(o operator) error {
		in := o.Installations()
		switch what {
		case "add":
			rep, err := in.Add(ctx, answer)
			return c.did(err, asJSON, rep, "%s (%s) is stored\n", rep.ID, nameOf(rep))
		case "reseal":
			n, err := in.Reseal(ctx)
			return c.did(err, asJSON, engine.Resealed{Sealed: n}, "%d installations sealed with the first key\n", n)
		}
		list, err := in.List(ctx)
		if err != nil {
			return withCode(ExitBad, err)
		}
		if what == "list" {
			if asJSON {
				return writeJSON(c.env.Stdout, list)
			}
			return c.printInstalls(list)
		}
		rep, err := engine.PickInstall(list, which)
		if err != nil {
			return withCode(ExitBad, err)
		}
		if what == "show" {
			if asJSON {
				return writeJSON(c.env.Stdout, rep)
			}
			return c.printInstall(rep)
		}
		return c.did(in.Remove(ctx, rep.ID, end), asJSON, rep, "%s (%s) is forgotten\n", rep.ID, nameOf(rep))
	})
}

// did reports what was done, unless it was not.
func (c *command) did(err error, asJSON bool, v any, format string, args ...any) error {
	if err != nil {
		return withCode(ExitBad, err)
	}
	if asJSON {
		return writeJSON(c.env.Stdout, v)
	}
	fmt.Fprintf(c.env.Stdout, format, args...)
	return nil
}

// readAnswer reads a file, or stdin. What is no answer of Slack's is found
// before anything is asked of a server.
func (c *command) readAnswer(file string) ([]byte, error) {
	in := c.env.Stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, withCode(ExitUsage, err)
		}
		defer f.Close()
		in = f
	}
	answer, err := io.ReadAll(io.LimitReader(in, 1<<20))
	if err == nil {
		_, err = install.FromAnswer(answer, c.env.Now())
	}
	return answer, withCode(ExitBad, err)
}

func nameOf(r engine.InstallReport) string {
	if r.Installation == nil {
		return "unreadable"
	}
	return r.Name()
}

func (c *command) printInstalls(list []engine.InstallReport) error {
	if len(list) == 0 {
		fmt.Fprintln(c.env.Stdout, "no workspace has installed the app")
		return nil
	}
	w := tabwriter.NewWriter(c.env.Stdout, 2, 8, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tNAME\tSTATE\tBOT\tUSERS\tINSTALLED\tTOKEN ENDS")
	for _, r := range list {
		if r.Installation == nil {
			fmt.Fprintf(w, "%s\t\t%s\t\t\t\t\n", r.ID, r.State)
			continue
		}
		name := r.Name()
		if r.OrgWide {
			name += " (org-wide)"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\t%s\n", r.ID, name, r.State, r.BotUser, len(r.Users),
			r.Installed.UTC().Format(time.DateOnly), ends(c.env.Now(), r.Bot.Expires))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, r := range list {
		if r.Why != "" {
			fmt.Fprintf(c.env.Stdout, "\n%s: %s\n", r.ID, r.Why)
		}
	}
	if n := len(slices.DeleteFunc(slices.Clone(list), func(r engine.InstallReport) bool { return !r.OldKey })); n > 0 {
		fmt.Fprintf(c.env.Stdout, "\n%d of them are sealed with an old key: starling installs reseal\n", n)
	}
	return nil
}

// ends says when a token ends, seen from now.
func ends(now time.Time, at *time.Time) string {
	switch {
	case at == nil:
		return "never"
	case !at.After(now):
		return "it has"
	}
	return "in " + at.Sub(now).Round(time.Minute).String()
}

func (c *command) printInstall(r engine.InstallReport) error {
	w := tabwriter.NewWriter(c.env.Stdout, 2, 8, 2, ' ', 0)
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "%s\t%s\n", name, value)
		}
	}
	line("id", r.ID.String())
	line("state", r.State)
	line("why", r.Why)
	line("sealed with", "key "+r.Key)
	if in := r.Installation; in != nil {
		line("app", in.App)
		line("workspace", strings.TrimSpace(in.Team+" "+in.TeamName))
		line("organisation", strings.TrimSpace(in.Enterprise+" "+in.EnterpriseName))
		if in.OrgWide {
			line("org-wide", "yes: one token for all workspaces of the organisation")
		}
		line("bot", strings.TrimSpace(in.BotUser+" "+in.BotID))
		grant := func(name string, g install.Grant) {
			if g.Revoked != "" {
				line(name, g.Revoked)
				return
			}
			if g.Token == "" {
				return
			}
			line(name, "ends "+ends(c.env.Now(), g.Expires)+"; scopes "+strings.Join(g.Scopes, ","))
		}
		grant("bot token", in.Bot)
		for _, user := range slices.Sorted(maps.Keys(in.Users)) {
			grant("token of "+user, in.Users[user])
		}
		if in.Webhook != nil {
			line("incoming webhook", strings.TrimSpace(in.Webhook.Channel+" "+in.Webhook.ChannelID))
		}
		line("installed by", in.Installer)
		line("installed", in.Installed.UTC().Format(time.RFC3339))
		line("stored", in.Updated.UTC().Format(time.RFC3339))
	}
	return w.Flush()
}

// Installations are those of the server.
func (a *adminClient) Installations() engine.Installer { return adminInstalls{a} }

type adminInstalls struct{ a *adminClient }

// List implements engine.Installer.
func (i adminInstalls) List(ctx context.Context) (out []engine.InstallReport, err error) {
	return out, i.a.get(ctx, "/installs", &out)
}

// Add implements engine.Installer.
func (i adminInstalls) Add(ctx context.Context, answer []byte) (out engine.InstallReport, err error) {
	return out, i.a.post(ctx, "/installs", json.RawMessage(answer), &out)
}

// Remove implements engine.Installer.
func (i adminInstalls) Remove(ctx context.Context, id install.ID, end string) error {
	var out any
	return i.a.post(ctx, "/installs/remove/"+url.PathEscape(id.App)+"/"+url.PathEscape(id.Place)+"?end="+url.QueryEscape(end), nil, &out)
}

// Reseal implements engine.Installer.
func (i adminInstalls) Reseal(ctx context.Context) (int, error) {
	var out engine.Resealed
	err := i.a.do(ctx, http.MethodPost, "/installs/reseal", &out)
	return out.Sealed, err
}
