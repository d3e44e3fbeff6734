package cert

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"
)

// Keeper holds the certificate of two files and loads them again when they
// change. A pair that does not load, or does not belong together, leaves the
// one before in force. Its methods are safe for concurrent use.
type Keeper struct {
	cert, key string
	log       *slog.Logger
	now       func() time.Time
	current   atomic.Pointer[loaded]
}

// loaded is a pair as it was read.
type loaded struct {
	pair tls.Certificate
	sum  [sha256.Size]byte // of both files
}

// Every is how often Run looks at the files. They are read, not watched: they
// are a few kilobytes, and what replaces them (renewal programs, mounted
// secrets behind symbolic links) does so in every way there is.
const Every = 2 * time.Second

// soon is how long before its end a certificate is worth a warning.
const soon = 14 * 24 * time.Hour

// Open loads the pair. A nil logger discards, a nil clock is time.Now.
func Open(certFile, keyFile string, log *slog.Logger, now func() time.Time) (*Keeper, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if now == nil {
		now = time.Now
	}
	k := &Keeper{cert: certFile, key: keyFile, log: log, now: now}
	l, err := k.load()
	if err != nil {
		return nil, fmt.Errorf("load certificate: %w", err)
	}
	k.current.Store(l)
	k.tell(l, "certificate is loaded")
	return k, nil
}

// Get returns the certificate in force. It fits tls.Config.GetCertificate.
func (k *Keeper) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return &k.current.Load().pair, nil
}

// Config is how a server serves the certificate in force: TLS 1.2 at least,
// and HTTP/1.1.
func (k *Keeper) Config() *tls.Config {
	return &tls.Config{GetCertificate: k.Get, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
}

// NotAfter is when the certificate in force ends.
func (k *Keeper) NotAfter() time.Time { return k.current.Load().pair.Leaf.NotAfter }

// Run looks at the files until ctx ends, and takes up what has changed once it
// has stayed the same from one look to the next: key and certificate are
// written one after the other.
func (k *Keeper) Run(ctx context.Context) error {
	tick := time.NewTicker(Every)
	defer tick.Stop()
	w := watch{said: k.current.Load().sum}
	warned := k.now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		k.look(&w)
		if now := k.now(); now.Sub(warned) >= 24*time.Hour {
			warned = now
			k.warnEnd(k.current.Load())
		}
	}
}

// watch is what Run remembers between two looks: the files as they were the
// last time, and those that were loaded or complained of.
type watch struct {
	last, said [sha256.Size]byte
	missing    int // looks in a row at which a file was not there
}

func (k *Keeper) look(w *watch) {
	sum, err := k.sum()
	if err != nil {
		// A file may be missing for a moment while it is replaced.
		if w.missing++; w.missing == 2 {
			k.log.Warn("certificate cannot be read, the one before stays in force", "cert", k.cert, "key", k.key, "err", err)
		}
		return
	}
	w.missing = 0
	settled := sum == w.last
	w.last = sum
	if !settled || sum == w.said {
		return
	}
	w.said = sum
	if sum == k.current.Load().sum {
		return
	}
	l, err := k.load()
	if now := k.now(); err == nil && now.After(l.pair.Leaf.NotAfter) && now.Before(k.NotAfter()) {
		err = fmt.Errorf("it has expired on %s, the one before has not", l.pair.Leaf.NotAfter.UTC().Format(time.DateOnly))
	}
	if err != nil {
		k.log.Warn("changed certificate does not load, the one before stays in force", "cert", k.cert, "key", k.key, "err", err)
		return
	}
	k.current.Store(l)
	k.tell(l, "certificate has changed and is served")
}

// sum tells the contents of both files from any other.
func (k *Keeper) sum() ([sha256.Size]byte, error) {
	c, err := os.ReadFile(k.cert)
	if err != nil {
		return [sha256.Size]byte{}, err
	}
	p, err := os.ReadFile(k.key)
	if err != nil {
		return [sha256.Size]byte{}, err
	}
	return sumOf(c, p), nil
}

func sumOf(c, p []byte) [sha256.Size]byte {
	cs, ps := sha256.Sum256(c), sha256.Sum256(p)
	return sha256.Sum256(append(cs[:], ps[:]...))
}

// load reads the pair and checks that it belongs together.
func (k *Keeper) load() (*loaded, error) {
	c, err := os.ReadFile(k.cert)
	if err != nil {
		return nil, err
	}
	p, err := os.ReadFile(k.key)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(c, p)
	if err != nil {
		return nil, err
	}
	if pair.Leaf == nil {
		if pair.Leaf, err = x509.ParseCertificate(pair.Certificate[0]); err != nil {
			return nil, err
		}
	}
	return &loaded{pair, sumOf(c, p)}, nil
}

func (k *Keeper) tell(l *loaded, what string) {
	leaf := l.pair.Leaf
	hosts := append([]string(nil), leaf.DNSNames...)
	for _, ip := range leaf.IPAddresses {
		hosts = append(hosts, ip.String())
	}
	k.log.Info(what, "cert", k.cert, "hosts", hosts, "not_after", leaf.NotAfter.UTC().Format(time.RFC3339), "sha256", Fingerprint(leaf.Raw))
	k.warnEnd(l)
}

func (k *Keeper) warnEnd(l *loaded) {
	if len(l.pair.Leaf.DNSNames)+len(l.pair.Leaf.IPAddresses) == 0 {
		k.log.Warn("certificate names no host (subject alternative name): clients refuse it", "cert", k.cert)
	}
	switch left := l.pair.Leaf.NotAfter.Sub(k.now()); {
	case left <= 0:
		k.log.Warn("certificate has expired: clients refuse it", "cert", k.cert, "not_after", l.pair.Leaf.NotAfter)
	case left < soon:
		k.log.Warn("certificate expires soon", "cert", k.cert, "not_after", l.pair.Leaf.NotAfter)
	}
}
