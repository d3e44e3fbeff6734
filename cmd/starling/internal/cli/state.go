package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/starling-rules/starling/engine/backup"
	"github.com/starling-rules/starling/engine/config"
)

// withState calls use with the state of the running server, or of the store if
// nothing listens there. make lets it make a store where there is none.
func (c *command) withState(ctx context.Context, cfg *config.Config, make bool, use func(backup.Target) error) error {
	if make && cfg.Data != "" && cfg.Queue.URL == "" {
		conn, err := net.DialTimeout("tcp", cfg.Admin, 2*time.Second)
		if err == nil {
			_ = conn.Close()
		} else if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
			return withCode(ExitStart, fmt.Errorf("make data directory: %w", err))
		}
	}
	return c.withOperator(ctx, cfg, func(o operator) error { return use(o.State()) })
}

// State is that of the server.
func (a *adminClient) State() backup.Target {
	dial := (&net.Dialer{Timeout: 2 * time.Second}).DialContext
	return &backup.Remote{Base: a.base, Client: &http.Client{Transport: &http.Transport{
		DialContext: dial, ResponseHeaderTimeout: time.Minute, MaxIdleConns: 1,
	}}}
}

// restoreFlags are the flags of restore and import.
type restoreFlags struct{ dry, merge, replace, json *bool }

func (f *restoreFlags) add(cmd *cobra.Command) {
	f.dry = cmd.Flags().Bool("dry-run", false, "change nothing, print what would be changed")
	f.merge = cmd.Flags().Bool("merge", false, "keep what the archive does not have (the default)")
	f.replace = cmd.Flags().Bool("replace", false, "remove what the archive does not have")
	f.json = cmd.Flags().Bool("json", false, "print JSON")
	cmd.MarkFlagsMutuallyExclusive("merge", "replace")
}

// restore reads an archive from a file, or stdin, into the store.
func (c *command) restore(cmd *cobra.Command, cfg *config.Config, file string, f restoreFlags, only backup.Filter) error {
	in, err := c.archive(file)
	if err != nil {
		return err
	}
	defer in.Close()
	// Before anything is asked of a server or made on the disk.
	if _, _, err := backup.Check(in, 0); err != nil {
		return withCode(ExitBad, fmt.Errorf("%s: %w", file, err))
	}
	o := backup.RestoreOptions{Mode: backup.Merge, Dry: *f.dry, Only: only, MaxBytes: int64(cfg.Queue.MaxBytes) / 8}
	if *f.replace {
		o.Mode = backup.Replace
	}
	if !*f.json {
		o.Tell = func(ch backup.Change, r *backup.Record) { fmt.Fprintf(c.env.Stdout, "%-7s %s\n", ch, shown(r)) }
	}
	var sum backup.Summary
	err = c.withState(cmd.Context(), cfg, !*f.dry, func(t backup.Target) error {
		sum, err = backup.Restore(cmd.Context(), t, in, o)
		return err
	})
	if err != nil {
		return err
	}
	if *f.json {
		return writeJSON(c.env.Stdout, sum)
	}
	n := sum.Changes
	did := ""
	if sum.Dry {
		did = " (dry run: nothing was changed)"
	}
	fmt.Fprintf(c.env.Stdout, "%d records: %d added, %d changed, %d the same, %d expired; %d deleted%s\n", sum.Records,
		n[backup.Added], n[backup.Changed], n[backup.Same], n[backup.Expired], n[backup.Deleted], did)
	return nil
}

// shown is a record on a line, with as much of its value as fits.
func shown(r *backup.Record) string {
	const most = 80
	v := string(r.Value)
	switch {
	case r.Value == nil && r.Data != nil:
		v = fmt.Sprintf("(%d bytes)", len(r.Data))
	case len(v) > most:
		v = fmt.Sprintf("%.*s… (%d bytes)", most, v, len(v))
	}
	if v == "" {
		return r.String()
	}
	return r.String() + " " + v
}

// archive opens a file to be read twice; stdin is kept in a temporary one.
func (c *command) archive(file string) (*os.File, error) {
	if file != "-" {
		f, err := os.Open(file)
		return f, withCode(ExitUsage, err)
	}
	f, err := os.CreateTemp("", "starling-archive-")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if _, err := io.Copy(f, c.env.Stdin); err != nil {
		return nil, errors.Join(fmt.Errorf("read archive: %w", err), f.Close())
	}
	_, err = f.Seek(0, io.SeekStart)
	return f, err
}

// writeArchive writes what the filter lets through to a file, or stdout. A file
// is there whole or not at all, and only its owner may read it.
func (c *command) writeArchive(cmd *cobra.Command, cfg *config.Config, file string, only backup.Filter) error {
	write := func(w io.Writer) (n int, err error) {
		err = c.withState(cmd.Context(), cfg, false, func(t backup.Target) error {
			n, err = backup.Write(cmd.Context(), w, t, backup.Header{Created: c.env.Now().UTC().Truncate(time.Second), Starling: Version}, only)
			return err
		})
		return n, err
	}
	if file == "-" {
		_, err := write(c.env.Stdout)
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+".*")
	if err != nil {
		return withCode(ExitUsage, err)
	}
	defer os.Remove(f.Name())
	n, err := write(f)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), file); err != nil {
		return err
	}
	fmt.Fprintf(c.env.Stderr, "%d records in %s\n", n, file)
	return nil
}
