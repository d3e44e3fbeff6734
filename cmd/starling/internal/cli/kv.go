package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/starling-rules/starling/engine/backup"
	"github.com/starling-rules/starling/engine/config"
	"github.com/starling-rules/starling/runtime"
)

// kvFlags are the flags of starling kv.
type kvFlags struct {
	restoreFlags
	script, ttl, after *string
	shared, text       *bool
	limit              *int
}

const kvForms = "want kv list [PREFIX], kv get KEY, kv set KEY VALUE, kv delete KEY, kv export [FILE] or kv import FILE"

func (c *command) kvCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "kv [list [PREFIX] | get KEY | set KEY VALUE | delete KEY | export [FILE] | import FILE]",
		Short: "Look at and change what scripts keep with kv: list, get, set, delete, export, import",
		Long: "Values are JSON. --script says whose keys are meant, by the path of the script below\n" +
			"its rules directory; --shared means those of kv.shared. The running server is asked\n" +
			"through its admin port; when none runs, the data directory is used, under its lock.\n" +
			"What an operator sets is not held to limits.kv_keys and limits.kv_bytes.\n\n" +
			"Export writes an archive as starling backup does, of keys alone; import reads one,\n" +
			"and so provides a server with keys before it starts: starling kv import seed.json,\n" +
			"then starling serve.",
		Example: "  starling kv list --script deploy.star\n" +
			"  starling kv get last --script deploy.star\n" +
			"  starling kv set repos '{\"octo/app\": \"#deploys\"}' --script github.star\n" +
			"  starling kv set motd hello --text --shared --ttl 1d\n" +
			"  starling kv export --script deploy.star deploy.json\n" +
			"  starling kv import deploy.json --dry-run",
		Args:      cobra.RangeArgs(0, 3),
		ValidArgs: []string{"list", "get", "set", "delete", "export", "import"},
	}
	c.configFlags(cmd)
	var f kvFlags
	f.add(cmd)
	flags := cmd.Flags()
	f.script = flags.String("script", "", "keys of this script")
	f.shared = flags.Bool("shared", false, "keys that all scripts share")
	f.text = flags.Bool("text", false, "with set: VALUE is a text, not JSON")
	f.ttl = flags.String("ttl", "", "with set: forget the key after so long: 10m, 1d")
	f.limit = flags.Int("limit", 100, "with list: how many keys")
	f.after = flags.String("after", "", "with list: begin after this key")
	cmd.MarkFlagsMutuallyExclusive("script", "shared")
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return c.kv(cmd, args, f) }
	return cmd
}

func (c *command) kv(cmd *cobra.Command, args []string, f kvFlags) error {
	verb, rest := "list", args
	if len(args) > 0 {
		verb, rest = args[0], args[1:]
	}
	least, most, known := 0, 1, true
	switch verb {
	case "list", "export":
	case "get", "delete", "import":
		least = 1
	case "set":
		least, most = 2, 2
	default:
		known = false
	}
	if !known || len(rest) < least || len(rest) > most {
		return withCode(ExitUsage, errors.New(kvForms))
	}
	if err := f.fit(cmd, verb); err != nil {
		return withCode(ExitUsage, err)
	}
	cfg, err := c.load(cmd, nil)
	if err != nil {
		return err
	}
	only := f.filter()
	switch verb {
	case "list":
		return c.listKeys(cmd.Context(), cfg, f, strings.Join(rest, ""))
	case "get":
		return c.getKey(cmd.Context(), cfg, only, rest[0])
	case "set":
		return c.setKey(cmd.Context(), cfg, f, rest[0], rest[1])
	case "delete":
		return c.deleteKey(cmd.Context(), cfg, only, rest[0])
	case "export":
		return c.writeArchive(cmd, cfg, fileOr(rest, 0), only)
	}
	return c.restore(cmd, cfg, rest[0], f.restoreFlags, only)
}

// fit says which flag does not go with the verb.
func (f *kvFlags) fit(cmd *cobra.Command, verb string) error {
	goes := map[string]string{
		"ttl": "set", "text": "set", "limit": "list", "after": "list", "json": "list import",
		"dry-run": "import", "merge": "import", "replace": "import",
	}
	for name, verbs := range goes {
		if cmd.Flags().Changed(name) && !strings.Contains(" "+verbs+" ", " "+verb+" ") {
			return fmt.Errorf("--%s goes with kv %s", name, strings.ReplaceAll(verbs, " ", " and kv "))
		}
	}
	switch verb {
	case "get", "set", "delete":
		if *f.script == "" && !*f.shared {
			return errors.New("whose key? --script FILE, or --shared")
		}
	}
	return nil
}

// filter lets the keys of the script through, or those that all share, or both.
func (f *kvFlags) filter() backup.Filter {
	switch {
	case *f.shared:
		return backup.Filter{Kinds: []string{backup.Shared}}
	case *f.script != "":
		return backup.Filter{Kinds: []string{backup.KV}, Script: *f.script}
	}
	return backup.Filter{Kinds: []string{backup.KV, backup.Shared}}
}

// errEnough ends a list.
var errEnough = errors.New("enough")

func (c *command) listKeys(ctx context.Context, cfg *config.Config, f kvFlags, prefix string) error {
	only := f.filter()
	only.Prefix = prefix
	if len(only.Kinds) > 1 && *f.after != "" {
		return withCode(ExitUsage, errors.New("--after goes with --script or --shared"))
	}
	list, more := []*backup.Record{}, false
	err := c.withState(ctx, cfg, false, func(t backup.Target) error {
		list, more = list[:0], false
		err := t.Export(ctx, only, func(r *backup.Record) error {
			if r.Key <= *f.after {
				return nil
			}
			if more = len(list) >= *f.limit; more {
				return errEnough
			}
			list = append(list, r)
			return nil
		})
		if errors.Is(err, errEnough) {
			err = nil
		}
		return err
	})
	if err != nil {
		return err
	}
	if *f.json {
		return writeJSON(c.env.Stdout, list)
	}
	w := tabwriter.NewWriter(c.env.Stdout, 2, 8, 2, ' ', 0)
	fmt.Fprintln(w, "SCRIPT\tKEY\tEXPIRES\tVALUE")
	for _, r := range list {
		script, expires := r.Script, "never"
		if r.Kind == backup.Shared {
			script = "(shared)"
		}
		if r.Expires != nil {
			expires = "in " + r.Expires.Sub(c.env.Now()).Round(time.Second).String()
		}
		bare := *r
		bare.Kind, bare.Script, bare.Key = "", "", ""
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", script, r.Key, expires, strings.TrimSpace(shown(&bare)))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if more {
		fmt.Fprintf(c.env.Stdout, "there are more: --limit and --after go on\n")
	}
	return nil
}

func (c *command) getKey(ctx context.Context, cfg *config.Config, only backup.Filter, key string) error {
	only.Key = key
	var found *backup.Record
	err := c.withState(ctx, cfg, false, func(t backup.Target) error {
		return t.Export(ctx, only, func(r *backup.Record) error { found = r; return nil })
	})
	switch {
	case err != nil:
		return err
	case found == nil:
		return withCode(ExitBad, fmt.Errorf("no key %q", key))
	}
	text := []byte(found.Value)
	if found.Value == nil { // bytes, or a number that JSON has no form for
		v, err := runtime.Decode(found.Data)
		if err == nil {
			text, err = runtime.AppendJSON(nil, v)
		}
		if err != nil {
			return withCode(ExitBad, fmt.Errorf("show %q: %w: starling kv export has it", key, err))
		}
	}
	_, err = fmt.Fprintf(c.env.Stdout, "%s\n", text)
	return err
}

func (c *command) setKey(ctx context.Context, cfg *config.Config, f kvFlags, key, value string) error {
	if value == "-" {
		b, err := io.ReadAll(io.LimitReader(c.env.Stdin, 8<<20))
		if err != nil {
			return err
		}
		value = strings.TrimRight(string(b), "\n")
	}
	text := []byte(value)
	if *f.text {
		text, _ = runtime.AppendJSON(nil, value)
	}
	only := f.filter()
	r := &backup.Record{Kind: only.Kinds[0], Script: only.Script, Key: key, Value: json.RawMessage(text)}
	if *f.ttl != "" {
		d, err := runtime.ParseDuration(*f.ttl)
		if err != nil || d <= 0 {
			return withCode(ExitUsage, fmt.Errorf("--ttl: want a duration such as 10m or 1d (got %q)", *f.ttl))
		}
		at := c.env.Now().Add(d).UTC()
		r.Expires = &at
	}
	if !json.Valid(text) {
		return withCode(ExitUsage, fmt.Errorf("value: want JSON (got %.40q): a text is written '\"…\"', or with --text", value))
	}
	if err := r.Check(); err != nil {
		return withCode(ExitUsage, err)
	}
	return c.withState(ctx, cfg, true, func(t backup.Target) error {
		if _, err := t.Put(ctx, []*backup.Record{r}, false); err != nil {
			return err
		}
		return t.Finish(ctx)
	})
}

func (c *command) deleteKey(ctx context.Context, cfg *config.Config, only backup.Filter, key string) error {
	only.Key, only.NoValues = key, true
	return c.withState(ctx, cfg, false, func(t backup.Target) error {
		var found []*backup.Record
		err := t.Export(ctx, only, func(r *backup.Record) error { found = append(found, r); return nil })
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return withCode(ExitBad, fmt.Errorf("no key %q", key))
		}
		if err := t.Delete(ctx, found); err != nil {
			return err
		}
		return t.Finish(ctx)
	})
}
