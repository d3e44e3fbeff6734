package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/starling-rules/starling/engine"
	"github.com/starling-rules/starling/engine/config"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/explain"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib"
)

// explaining holds the flags of explain.
type explaining struct {
	json, all, server, save bool
	lang                    string
	channel, user           string
	limit                   int
}

func (c *command) explainCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "explain [FILE | - | ID]",
		Short: "Say what each rule makes of an event: matched, or why not, and what it would do",
		Long: "Explain takes an event through the rules and performs none of its effects. The\n" +
			"event is a file with what Slack sends (a JSON event or interaction, or the form\n" +
			"of a slash command), - for the standard input, or the id of an event or run that\n" +
			"a server has seen. Without an argument it lists the latest events of the server.\n\n" +
			"A file is explained by the rules on disk, an id by those of the running server;\n" +
			"--rules takes an id to the rules on disk, --server a file to the running server.\n" +
			"If no rule matches, a rule that does is printed, to begin with.",
		Example: "  starling explain event.json --rules rules\n" +
			"  starling trigger message deploy api --payload | starling explain - --channel-name ops\n" +
			"  starling explain                                   # what has come, and what matched\n" +
			"  starling explain Ev0123456789                      # why did my rule not fire?\n" +
			"  starling explain --save Ev0123456789 > event.json  # to try it again while writing",
		Args: cobra.MaximumNArgs(1),
	}
	c.configFlags(cmd)
	x := &explaining{}
	f := cmd.Flags()
	f.BoolVar(&x.json, "json", false, "print JSON")
	f.BoolVar(&x.all, "all", false, "list the rules for other kinds of events too")
	f.StringVar(&x.lang, "lang", "star", "language of the rule to begin with: star or lua")
	f.StringVar(&x.channel, "channel-name", "", "the name of the event's channel, for rules that go by it")
	f.StringVar(&x.user, "user-name", "", "the name or e-mail address of the event's user, for rules that go by it")
	f.BoolVar(&x.server, "server", false, "ask the running server, whose rules are in force")
	f.BoolVar(&x.save, "save", false, "print the event itself, as a file that explain reads")
	f.IntVar(&x.limit, "limit", 20, "how many events to list")
	_ = cmd.RegisterFlagCompletionFunc("lang", cobra.FixedCompletions([]string{"star", "lua"}, cobra.ShellCompDirectiveNoFileComp))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if x.lang != "star" && x.lang != "lua" {
			return withCode(ExitUsage, fmt.Errorf("--lang: want star or lua (got %q)", x.lang))
		}
		cfg, err := c.load(cmd, nil)
		if err != nil {
			return err
		}
		if len(args) == 0 {
			return c.listEvents(cmd.Context(), cfg, x)
		}
		text, name, err := c.eventText(args[0])
		switch {
		case errors.Is(err, fs.ErrNotExist) && !looksLikeFile(args[0]):
			return c.explainID(cmd, cfg, x, args[0])
		case err != nil:
			return withCode(ExitUsage, err)
		case x.server:
			return c.explainThere(cmd.Context(), cfg, x, "", text)
		}
		ev, notes, err := explain.Read(name, text, event.Meta{Received: c.env.Now(), Via: "local"})
		if err != nil {
			return badPayload(err)
		}
		return c.explainHere(cmd.Context(), cfg, x, ev, notes)
	}
	return cmd
}

// looksLikeFile tells a file that is not there from an id.
func looksLikeFile(arg string) bool {
	return strings.ContainsAny(arg, `/\`) || strings.HasSuffix(arg, ".json") || strings.HasSuffix(arg, ".form") || strings.HasSuffix(arg, ".txt")
}

// eventText reads the file, or the standard input for "-".
func (c *command) eventText(arg string) (text []byte, name string, err error) {
	if arg == "-" {
		text, err = io.ReadAll(io.LimitReader(c.env.Stdin, 8<<20))
		return text, "standard input", err
	}
	text, err = os.ReadFile(arg)
	return text, arg, err
}

// badPayload shows an unreadable event with its place.
func badPayload(err error) error {
	if p, ok := errors.AsType[*runtime.Error](err); ok {
		err = runtime.Errors{p}
	}
	return withCode(ExitBad, err)
}

// offline loads the rules on disk, and tells on stderr which do not load.
func (c *command) offline(ctx context.Context, cfg *config.Config) (*engine.Offline, error) {
	for _, dir := range cfg.Rules {
		if err := wantRules(dir); err != nil {
			return nil, withCode(ExitUsage, err)
		}
	}
	lib, err := stdlib.Library()
	if err != nil {
		return nil, withCode(ExitStart, err)
	}
	log := slog.New(slog.DiscardHandler)
	o, err := engine.OpenOffline(ctx, engine.Options{
		Config: cfg, Library: lib, Pool: c.pool(cfg, log), Scripts: library(), Now: c.env.Now, Version: Version,
	})
	if err != nil {
		return nil, withCode(ExitStart, err)
	}
	rep := o.Report()
	for _, f := range rep.Files {
		if len(f.Errors) > 0 {
			fmt.Fprint(c.env.Stderr, f.Errors.Detail())
		}
	}
	for _, p := range rep.Problems {
		fmt.Fprintln(c.env.Stderr, "starling: "+p.Error())
	}
	return o, nil
}

// wantRules says what to do when a rules directory is not there.
func wantRules(dir string) error {
	st, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("no rules directory %s: name yours with --rules DIR", dir)
	case err != nil:
		return fmt.Errorf("look at rules directory: %w", err)
	case !st.IsDir():
		return fmt.Errorf("--rules %s: this is a file, want the directory it is in", dir)
	}
	return nil
}

// explainHere explains an event by the rules on disk.
func (c *command) explainHere(ctx context.Context, cfg *config.Config, x *explaining, ev *event.Event, notes []string) error {
	if x.save {
		return writeJSON(c.env.Stdout, explain.Store(ev))
	}
	o, err := c.offline(ctx, cfg)
	if err != nil {
		return err
	}
	defer o.Close(ctx)
	channel, user := explain.Names(ev)
	email := ""
	if x.channel != "" {
		channel = strings.TrimPrefix(x.channel, "#")
	}
	if x.user != "" {
		user = strings.TrimPrefix(x.user, "@")
	}
	if strings.Contains(user, "@") {
		user, email = "", user
	}
	o.Know(ev, channel, user, email)
	rep, err := o.Explain(ctx, ev)
	if err != nil {
		return withCode(ExitStart, err)
	}
	rep.Notes = append(notes, rep.Notes...)
	return c.printExplained(rep, x)
}

// explainID explains an event that a server has seen.
func (c *command) explainID(cmd *cobra.Command, cfg *config.Config, x *explaining, id string) error {
	ctx := cmd.Context()
	err := c.withOperator(ctx, cfg, func(o operator) error {
		there, running := o.(*adminClient)
		if running && !x.save && !cmd.Flags().Changed("rules") {
			return c.explainThere(ctx, cfg, x, id, nil)
		}
		var ev *event.Event
		var err error
		if running {
			ev, err = there.Event(ctx, id)
		} else if op, ok := o.(*engine.Operator); ok {
			ev, err = op.Event(ctx, id)
		}
		if err != nil {
			return err
		}
		return c.explainHere(ctx, cfg, x, ev, nil)
	})
	if errors.Is(err, queue.ErrNotFound) {
		return withCode(ExitBad, fmt.Errorf("no file and no event or run %q: starling explain lists the latest", id))
	}
	return err
}

// Event asks the server for an event.
func (a *adminClient) Event(ctx context.Context, id string) (*event.Event, error) {
	var text json.RawMessage
	if err := a.get(ctx, "/events/"+url.PathEscape(id), &text); err != nil {
		return nil, err
	}
	ev, _, err := explain.Read("event "+id, text, event.Meta{})
	return ev, err
}

// explainThere asks the running server: for an event by its id, or a payload.
func (c *command) explainThere(ctx context.Context, cfg *config.Config, x *explaining, id string, payload []byte) error {
	path := "/explain"
	if id != "" {
		path += "?id=" + url.QueryEscape(id)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+cfg.Admin+path, bytes.NewReader(payload))
	if err != nil {
		return withCode(ExitUsage, err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("ask the server: %w", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 64<<20))
	if err != nil {
		return fmt.Errorf("read the server's answer: %w", err)
	}
	switch res.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		return withCode(ExitBad, queue.ErrNotFound)
	case http.StatusBadRequest:
		var bad struct {
			Error   string
			Problem *runtime.Error
		}
		if json.Unmarshal(body, &bad) == nil && bad.Problem != nil {
			return badPayload(bad.Problem)
		}
		return withCode(ExitBad, errors.New(bad.Error))
	default:
		return withCode(ExitBad, fmt.Errorf("server answered %s: %.200s", res.Status, body))
	}
	var rep explain.Report
	if err := json.Unmarshal(body, &rep); err != nil {
		return fmt.Errorf("read the server's answer: %w", err)
	}
	return c.printExplained(&rep, x)
}

// listEvents shows the latest events of the running server.
func (c *command) listEvents(ctx context.Context, cfg *config.Config, x *explaining) error {
	var lines []engine.EventLine
	there := &adminClient{base: "http://" + cfg.Admin}
	err := there.get(ctx, "/events?limit="+strconv.Itoa(x.limit), &lines)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return withCode(ExitStart, fmt.Errorf("no server answers on %s, so there are no latest events to list (--admin names another; a file is explained without a server)", cfg.Admin))
	}
	if err != nil {
		return withCode(ExitStart, err)
	}
	if x.json {
		return writeJSON(c.env.Stdout, lines)
	}
	if len(lines) == 0 {
		fmt.Fprintln(c.env.Stdout, "No event has come since the server was started.")
		return nil
	}
	w := tabwriter.NewWriter(c.env.Stdout, 2, 8, 2, ' ', 0)
	fmt.Fprintln(w, "EVENT\tWHEN\tKIND\tCHANNEL\tUSER\tMATCHED\tABOUT")
	for _, l := range lines {
		matched := "-"
		if len(l.Matched) > 0 {
			matched = strings.Join(l.Matched, ", ")
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", l.ID, l.Received.Local().Format(time.DateTime), l.Kind, orDash(l.Channel), orDash(l.User), matched, shorten(l.Headline, 50))
	}
	return w.Flush()
}

// shorten makes one line of a text, at most n characters.
func shorten(text string, n int) string {
	text = strings.Join(strings.Fields(text), " ")
	if r := []rune(text); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return text
}
