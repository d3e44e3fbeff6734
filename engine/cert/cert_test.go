package cert_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/starling-rules/starling/engine/cert"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func generate(t *testing.T, o cert.Options) *cert.Pair {
	t.Helper()
	if o.Now.IsZero() {
		o.Now = now
	}
	p, err := cert.Generate(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func leaf(t *testing.T, text []byte) *x509.Certificate {
	t.Helper()
	b, rest := pem.Decode(text)
	if b == nil || len(rest) > 0 {
		t.Fatalf("want one PEM block, got %q", text)
	}
	c, err := x509.ParseCertificate(b.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCertificateVerifiesForItsHostsAndNoOther(t *testing.T) {
	t.Parallel()
	p := generate(t, cert.Options{Hosts: []string{"Bot.Example.", "*.hooks.example", "10.1.2.3", "[fd00::7]", "bot.example"}})
	if got, want := strings.Join(p.Hosts, " "), "bot.example *.hooks.example 10.1.2.3 fd00::7"; got != want {
		t.Errorf("hosts: got %q, want %q", got, want)
	}
	c, roots := leaf(t, p.Cert), x509.NewCertPool()
	roots.AddCert(c)
	for host, good := range map[string]bool{
		"bot.example": true, "gh.hooks.example": true, "10.1.2.3": true, "[fd00::7]": true,
		"example": false, "hooks.example": false, "10.1.2.4": false, "localhost": false,
	} {
		_, err := c.Verify(x509.VerifyOptions{DNSName: host, Roots: roots, CurrentTime: now})
		if (err == nil) != good {
			t.Errorf("%s: verified %v, want %v (%v)", host, err == nil, good, err)
		}
	}
	for when, good := range map[time.Duration]bool{0: true, 364 * 24 * time.Hour: true, 366 * 24 * time.Hour: false, -2 * time.Hour: false} {
		_, err := c.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: now.Add(when)})
		if (err == nil) != good {
			t.Errorf("after %s: verified %v, want %v (%v)", when, err == nil, good, err)
		}
	}
	if c.IsCA {
		t.Error("a certificate of a server must not sign others")
	}
}

func TestCertificateWithoutHostsIsForThisMachine(t *testing.T) {
	t.Parallel()
	c := leaf(t, generate(t, cert.Options{}).Cert)
	for _, host := range cert.LocalHosts {
		if err := c.VerifyHostname(host); err != nil {
			t.Error(err)
		}
	}
}

func TestGenerateRefusesWhatIsNoHost(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{
		"https://bot.example": "URL", "bot.example:3000": "port", "a b": "neither", "": "neither", "-x": "neither", "a.*.b": "neither", "*": "neither",
		"bücher.example": "neither",
	} {
		if _, err := cert.Generate(cert.Options{Hosts: []string{"ok.example", host}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want one about %q", host, err, want)
		}
	}
	for _, life := range []time.Duration{-time.Hour, time.Minute, 826 * 24 * time.Hour} {
		if _, err := cert.Generate(cert.Options{Life: life}); err == nil {
			t.Errorf("valid for %s: no error", life)
		}
	}
}

func TestKeyIsReadableByItsOwnerAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c, k := filepath.Join(dir, "tls", "cert.pem"), filepath.Join(dir, "tls", "key.pem")
	first := generate(t, cert.Options{})
	if err := first.Write(c, k, false); err != nil {
		t.Fatal(err)
	}
	wantMode(t, k, 0o600)
	wantMode(t, c, 0o644)

	second := generate(t, cert.Options{})
	if err := second.Write(c, k, false); !errors.Is(err, cert.ErrExists) {
		t.Errorf("written over: %v", err)
	}
	wantText(t, c, first.Cert)
	if err := os.Chmod(k, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := second.Write(c, k, true); err != nil {
		t.Fatal(err)
	}
	wantText(t, c, second.Cert)
	wantText(t, k, second.Key)
	wantMode(t, k, 0o600)
	if left, err := filepath.Glob(filepath.Join(dir, "tls", ".*")); err != nil || len(left) > 0 {
		t.Errorf("files are left: %v %v", left, err)
	}
}

func TestWriteLeavesAKeyThatIsThereAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c, k := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if err := os.WriteFile(k, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := generate(t, cert.Options{}).Write(c, k, false); !errors.Is(err, cert.ErrExists) {
		t.Errorf("written over: %v", err)
	}
	wantText(t, k, []byte("precious"))
	if _, err := os.Stat(c); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a certificate without its key is left: %v", err)
	}
	if err := generate(t, cert.Options{}).Write(k, k, true); err == nil {
		t.Error("both went into one file")
	}
}

func wantMode(t *testing.T, name string, want fs.FileMode) {
	t.Helper()
	st, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	if st.Mode().Perm() != want {
		t.Errorf("%s has mode %o, want %o", name, st.Mode().Perm(), want)
	}
}

func wantText(t *testing.T, name string, want []byte) {
	t.Helper()
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s holds something else", name)
	}
}

// logs collects what is logged.
type logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logs) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.b.String()
	l.b.Reset()
	return s
}

func TestKeeperServesWhatIsRenewedAndKeepsWhatIsGood(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		c, k := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
		start := time.Now()
		one, two := generate(t, cert.Options{Now: start}), generate(t, cert.Options{Now: start, Hosts: []string{"two.example"}})
		if err := one.Write(c, k, false); err != nil {
			t.Fatal(err)
		}
		var said logs
		keeper, err := cert.Open(c, k, slog.New(slog.NewTextHandler(&said, nil)), nil)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ended := make(chan error, 1)
		go func() { ended <- keeper.Run(ctx) }()
		wait := func(looks int) {
			time.Sleep(time.Duration(looks) * cert.Every)
			synctest.Wait()
		}
		serves := func(want *cert.Pair, why string) {
			t.Helper()
			got, err := keeper.Get(nil)
			if err != nil || cert.Fingerprint(got.Certificate[0]) != want.Fingerprint {
				t.Errorf("%s: another certificate is served (%v)", why, err)
			}
		}
		wait(3)
		serves(one, "unchanged")
		said.take()

		if err := os.WriteFile(k, two.Key, 0o600); err != nil {
			t.Fatal(err)
		}
		wait(4)
		serves(one, "the key of another")
		if got := said.take(); strings.Count(got, "does not load") != 1 || strings.Contains(got, "PRIVATE") {
			t.Errorf("want one warning without the key, got %s", got)
		}

		if err := os.WriteFile(c, two.Cert, 0o644); err != nil {
			t.Fatal(err)
		}
		wait(3)
		serves(two, "renewed")
		if got := said.take(); !strings.Contains(got, "is served") || !strings.Contains(got, "two.example") {
			t.Errorf("the renewal is not told: %s", got)
		}

		if err := os.Remove(c); err != nil {
			t.Fatal(err)
		}
		wait(4)
		serves(two, "file gone")
		if got := said.take(); strings.Count(got, "cannot be read") != 1 {
			t.Errorf("want one warning, got %s", got)
		}
		expired := generate(t, cert.Options{Now: start.Add(-48 * time.Hour), Life: 24 * time.Hour})
		if err := expired.Write(c, k, true); err != nil {
			t.Fatal(err)
		}
		wait(3)
		serves(two, "an expired one comes")
		if err := one.Write(c, k, true); err != nil {
			t.Fatal(err)
		}
		wait(3)
		serves(one, "back again")
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestKeeperWarnsBeforeTheEnd(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c, k := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if err := generate(t, cert.Options{Life: 10 * 24 * time.Hour}).Write(c, k, false); err != nil {
		t.Fatal(err)
	}
	for at, want := range map[time.Duration]string{0: "expires soon", 11 * 24 * time.Hour: "has expired"} {
		var said logs
		if _, err := cert.Open(c, k, slog.New(slog.NewTextHandler(&said, nil)), func() time.Time { return now.Add(at) }); err != nil {
			t.Fatal(err)
		}
		if got := said.take(); !strings.Contains(got, want) {
			t.Errorf("after %s: %q is not among %s", at, want, got)
		}
	}
}

func TestOpenNeedsAPair(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c, k := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if _, err := cert.Open(c, k, nil, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no files: %v", err)
	}
	if err := generate(t, cert.Options{}).Write(c, k, false); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(k, generate(t, cert.Options{}).Key, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := cert.Open(c, k, nil, nil); err == nil {
		t.Error("a key of another certificate is taken")
	}
}

func TestServedOverTLS12AtLeastAndHTTP1(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c, k := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	p := generate(t, cert.Options{Now: time.Now()})
	if err := p.Write(c, k, false); err != nil {
		t.Fatal(err)
	}
	keeper, err := cert.Open(c, k, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf(t, p.Cert))
	shake := func(conf *tls.Config) (tls.ConnectionState, error) {
		conf.RootCAs, conf.ServerName = roots, "localhost"
		a, b := net.Pipe()
		defer a.Close()
		defer b.Close()
		server := tls.Server(b, keeper.Config())
		served := make(chan error, 1)
		go func() { served <- server.HandshakeContext(t.Context()) }()
		client := tls.Client(a, conf)
		err := client.HandshakeContext(t.Context())
		a.Close()
		<-served
		return client.ConnectionState(), err
	}
	state, err := shake(&tls.Config{NextProtos: []string{"h2", "http/1.1"}})
	if err != nil || state.NegotiatedProtocol != "http/1.1" || state.Version < tls.VersionTLS12 {
		t.Errorf("got %q, version %x, %v", state.NegotiatedProtocol, state.Version, err)
	}
	if _, err := shake(&tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}); err == nil { //nolint:gosec // the old version is what must be refused
		t.Error("TLS 1.1 is taken")
	}
}
