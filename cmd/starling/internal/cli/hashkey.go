package cli

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// minKey is the least length of a key of the HTTP API, in bytes: its hash must
// not give it away.
const minKey = 20

func (c *command) hashKeyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "hash-key",
		Short: "Make a key of the HTTP API, and its hash for the configuration",
		Long: "Hash-key makes a key that a service can use the HTTP API with, and the hash that goes\n" +
			"under authorization.keys in the configuration. The key is shown once and kept nowhere:\n" +
			"give it to the caller. `starling docs api` tells what a key may be allowed to do.",
		Example: "  starling config hash-key\n  printf %s \"$KEY\" | starling config hash-key --stdin",
		Args:    cobra.NoArgs,
	}
	given := cmd.Flags().Bool("stdin", false, "make the hash of the key on standard input")
	asJSON := cmd.Flags().Bool("json", false, "print JSON")
	cmd.RunE = func(*cobra.Command, []string) error {
		key := "stk_" + rand.Text() + rand.Text()
		if *given {
			text, err := io.ReadAll(io.LimitReader(c.env.Stdin, 64<<10))
			if err != nil {
				return withCode(ExitUsage, fmt.Errorf("read the key: %w", err))
			}
			key = strings.TrimRight(string(text), "\r\n")
			if len(key) < minKey || strings.ContainsAny(key, " \t\r\n") {
				return withCode(ExitUsage, errors.New("a key has at least 20 characters and no space: `starling config hash-key` makes a good one"))
			}
		}
		sum := sha256.Sum256([]byte(key))
		hash := "sha256:" + hex.EncodeToString(sum[:])
		switch {
		case *asJSON:
			out := map[string]string{"hash": hash}
			if !*given {
				out["key"] = key
			}
			return json.NewEncoder(c.env.Stdout).Encode(out)
		case *given:
			fmt.Fprintln(c.env.Stdout, hash)
		default:
			fmt.Fprintf(c.env.Stdout, "key   %s\nhash  %s\n", key, hash)
		}
		return nil
	}
	return cmd
}
