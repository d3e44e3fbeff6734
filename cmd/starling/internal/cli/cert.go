package cli

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/starling-rules/starling/engine/cert"
)

func (c *command) certCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cert [HOST...]",
		Short: "Make a self-signed certificate for HTTPS",
		Long: "Cert makes a self-signed certificate for the hosts and addresses that are named\n" +
			"(without any: for this machine alone), and its private key, which only its owner\n" +
			"can read. Files that are there are left alone. A running server that is configured\n" +
			"with these files serves the new certificate within seconds.\n\n" +
			"Slack itself takes only certificates of a public authority: for it, put a proxy\n" +
			"with one in front (examples/proxy). This one is for senders that you can tell to\n" +
			"trust it.",
		Example: "  starling cert bot.internal 10.0.0.7\n" +
			"  starling cert --cert tls/cert.pem --key tls/key.pem --days 90 --force bot.internal\n" +
			"  curl --cacert cert.pem https://bot.internal:3443/healthz",
		Args: cobra.ArbitraryArgs,
	}
	f := cmd.Flags()
	certFile := f.String("cert", "cert.pem", "file for the certificate")
	keyFile := f.String("key", "key.pem", "file for the private key, mode 0600")
	days := f.Int("days", int(cert.DefaultLife/(24*time.Hour)), fmt.Sprintf("how long it is valid, at most %d", cert.MaxLife/(24*time.Hour)))
	force := f.Bool("force", false, "replace files that are there")
	asJSON := f.Bool("json", false, "print JSON")
	cmd.RunE = func(_ *cobra.Command, hosts []string) error {
		if most := int(cert.MaxLife / (24 * time.Hour)); *days < 1 || *days > most {
			return withCode(ExitUsage, fmt.Errorf("--days: want 1 to %d (got %d): clients refuse what is valid for longer", most, *days))
		}
		pair, err := cert.Generate(cert.Options{Hosts: hosts, Life: time.Duration(*days) * 24 * time.Hour, Now: c.env.Now()})
		if err != nil {
			return withCode(ExitUsage, err)
		}
		if err := pair.Write(*certFile, *keyFile, *force); errors.Is(err, cert.ErrExists) {
			return withCode(ExitBad, fmt.Errorf("%w: --force replaces it", err))
		} else if err != nil {
			return withCode(ExitBad, err)
		}
		return c.printCertificate(pair, *certFile, *keyFile, *asJSON)
	}
	return cmd
}

func (c *command) printCertificate(pair *cert.Pair, certFile, keyFile string, asJSON bool) error {
	if asJSON {
		return writeJSON(c.env.Stdout, map[string]any{
			"cert": certFile, "key": keyFile, "hosts": pair.Hosts, "not_after": pair.NotAfter, "sha256": pair.Fingerprint,
		})
	}
	fmt.Fprintf(c.env.Stdout, "%s  certificate for %s, valid until %s\n%s  its private key: keep it to yourself\nSHA-256 %s\n\n",
		certFile, strings.Join(pair.Hosts, ", "), pair.NotAfter.Format(time.DateOnly), keyFile, pair.Fingerprint)
	fmt.Fprintf(c.env.Stdout, "In starling.yaml, for HTTPS beside HTTP:\n\n  tls: {cert: %s, key: %s, listen: \"0.0.0.0:3443\"}\n\nWithout tls.listen there is HTTPS only, at the address of listen.\n",
		yamlPath(certFile), yamlPath(keyFile))
	return nil
}

// yamlPath writes a path so that it is the same wherever the server is started,
// in quotes if YAML needs them.
func yamlPath(name string) string {
	if abs, err := filepath.Abs(name); err == nil {
		name = abs
	}
	if strings.ContainsAny(name, " ,:#{}[]\"'&*!|>%@`") {
		return "'" + strings.ReplaceAll(name, "'", "''") + "'"
	}
	return name
}
