package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/starling-rules/starling/engine"
	"github.com/starling-rules/starling/engine/config"
)

func (c *command) webhookCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "webhook",
		Short: "Try a webhook out: what its rule answers and would do",
		Example: "  starling webhook test /hooks/build\n" +
			"  starling webhook test /github 'payload=%7B%22ref%22%3A%22main%22%7D'",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(c.webhookTestCommand())
	for _, sub := range cmd.Commands() {
		politely(sub)
	}
	return cmd
}

func (c *command) webhookTestCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "test /PATH [BODY...]",
		Short: "Take one request through the webhooks; nothing is sent unless --live",
		Long: "Test takes a request through the webhooks as if it had come over HTTP, and shows\n" +
			"which rule it is for, what the sender would be told and what the rule would do.\n" +
			"Nothing is stored, sent or changed; with --live the running server performs it.\n" +
			"What a sender has to prove (signature, token) is not asked for.\n\n" +
			"The content type is guessed from the body: JSON, a form, else text. A body that\n" +
			"begins with @ is read from the file of that name, - from the standard input.\n\n" +
			"The running server answers, by the rules in force; without one, or with --rules,\n" +
			"the rules on disk do. It exits with 1 if the status is 400 or above.",
		Example: "  starling webhook test /hooks/build '{\"ok\": true}' --rules ./rules\n" +
			"  starling webhook test '/hooks/build?dry=1' @build.json --header 'X-GitHub-Event: push'\n" +
			"  starling webhook test --method GET /hooks/state\n" +
			"  starling webhook test --live /hooks/build '{\"ok\": true}'",
		Args: cobra.MinimumNArgs(1),
	}
	c.configFlags(cmd)
	var r engine.HookRequest
	f := cmd.Flags()
	f.StringVarP(&r.Method, "method", "X", "", "method of the request (default POST, or the one that the route takes)")
	headers := f.StringArrayP("header", "H", nil, "header of the request, 'Name: value'; may be repeated")
	f.BoolVar(&r.Live, "live", false, "let the running server perform what the rule does")
	asJSON := f.Bool("json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var err error
		r.Path = args[0]
		if r.Body, err = c.hookBody(args[1:]); err != nil {
			return withCode(ExitUsage, err)
		}
		if r.Headers, err = headersOf(*headers); err != nil {
			return withCode(ExitUsage, err)
		}
		cfg, err := c.load(cmd, nil)
		if err != nil {
			return err
		}
		t, err := c.testWebhook(cmd, cfg, r)
		if err != nil {
			return err
		}
		if *asJSON {
			err = writeJSON(c.env.Stdout, t)
		} else {
			c.printHookTest(t)
		}
		if err == nil && t.Status >= 400 {
			err = withCode(ExitBad, errSaid)
		}
		return err
	}
	return cmd
}

// testWebhook has the running server try the request, or the rules on disk.
func (c *command) testWebhook(cmd *cobra.Command, cfg *config.Config, r engine.HookRequest) (t *engine.HookTest, err error) {
	there, err := c.onServer(cmd, cfg, func(a *adminClient) error {
		t = new(engine.HookTest)
		return a.post(cmd.Context(), "/webhooks/test", r, t)
	})
	switch {
	case err != nil || there:
		return t, err
	case r.Live:
		return nil, withCode(ExitStart, fmt.Errorf("--live needs a running server, and none answers on %s (--admin names it, and --rules does not go with it)", cfg.Admin))
	}
	err = c.onDisk(cmd.Context(), cfg, func(o *engine.Offline) error {
		t, err = o.TestWebhook(cmd.Context(), r)
		return withCode(ExitBad, err)
	})
	return t, err
}

// hookBody is the rest of the command line, as in a chat; or a file.
func (c *command) hookBody(words []string) (string, error) {
	body := strings.Join(words, " ")
	var text []byte
	var err error
	switch name, isFile := strings.CutPrefix(body, "@"); {
	case body == "-":
		text, err = io.ReadAll(io.LimitReader(c.env.Stdin, 8<<20))
	case isFile:
		text, err = os.ReadFile(name)
	default:
		return body, nil
	}
	return string(text), err
}

func headersOf(list []string) (map[string]string, error) {
	out := map[string]string{}
	for _, h := range list {
		name, v, ok := strings.Cut(h, ":")
		if !ok || strings.TrimSpace(name) == "" {
			return nil, fmt.Errorf("--header: want 'Name: value' (got %q)", h)
		}
		out[strings.TrimSpace(name)] = strings.TrimSpace(v)
	}
	return out, nil
}

// post sends JSON to the server. What it complains of exits with 1.
func (a *adminClient) post(ctx context.Context, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.base+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("ask the server: %w", err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 64<<20))
	if err != nil {
		return fmt.Errorf("read the server's answer: %w", err)
	}
	var bad struct{ Error string }
	switch {
	case res.StatusCode == http.StatusOK:
		return json.Unmarshal(text, out)
	case json.Unmarshal(text, &bad) == nil && bad.Error != "":
		return withCode(ExitBad, errors.New(bad.Error))
	}
	return withCode(ExitBad, fmt.Errorf("server answered %s: %.200s", res.Status, text))
}

func (c *command) printHookTest(t *engine.HookTest) {
	out, s := c.env.Stdout, c.style(c.env.Stdout)
	line := func(name, format string, args ...any) {
		fmt.Fprintf(out, "  %-9s %s\n", name, fmt.Sprintf(format, args...))
	}
	fmt.Fprintln(out, s.bold(t.Method+" "+t.Path))
	if t.ContentType != "" {
		how := ""
		if t.Guessed {
			how = s.dim("  (guessed)")
		}
		line("type", "%s%s", t.ContentType, how)
	}
	if t.Rule != "" {
		line("rule", "%s at %s, %s", s.bold(t.Rule), t.Position, t.Auth)
	}
	status := fmt.Sprintf("%d %s", t.Status, http.StatusText(t.Status))
	if t.Status < 400 {
		line("status", "%s", s.green(status))
	} else {
		line("status", "%s", s.red(status))
	}
	for _, name := range slices.Sorted(maps.Keys(t.Headers)) {
		if name != "content-length" {
			line("header", "%s: %s", name, t.Headers[name])
		}
	}
	for _, cookie := range t.Cookies {
		line("cookie", "%s", cookie)
	}
	if body := strings.TrimRight(t.Body, "\n"); body != "" {
		line("body", "%s", indent(body, "            "))
	} else {
		line("body", "%s", s.dim("(empty)"))
	}
	for _, n := range t.Notes {
		line("note", "%s", s.yellow(n))
	}
	c.printHookRuns(t)
}

func (c *command) printHookRuns(t *engine.HookTest) {
	out, s := c.env.Stdout, c.style(c.env.Stdout)
	const in = "    "
	effects := 0
	for _, run := range t.Runs {
		effects += len(run.Effects)
		fmt.Fprintf(out, "\n  %s %s\n", s.bold(run.Rule), s.dim(run.Outcome+", "+counted(len(run.Effects), "effect", "effects")))
		for _, e := range run.Effects {
			fmt.Fprintf(out, "%s%s %s%s\n", in, s.cyan(e.Kind), compact(e.Args), s.red(prefixed("  ", e.Error)))
		}
		for _, l := range run.Logs {
			fmt.Fprintln(out, in+s.dim("log: ")+indent(l, in))
		}
		if run.Error != "" {
			fmt.Fprintln(out, in+s.red(indent(strings.TrimRight(run.Error, "\n"), in)))
		}
	}
	switch {
	case t.Live:
		fmt.Fprintf(out, "\nPerformed, as event %s.\n", t.Event)
	case effects > 0:
		fmt.Fprintln(out, "\nNothing was sent or stored; --live lets the running server perform it.")
	}
}
