// Package cert makes self-signed certificates and keeps the pair of a server
// up to date.
//
//	Generate   a certificate for hosts and addresses, with its private key
//	Write      both to files, the key readable by its owner alone
//	Keeper     the pair of two files, loaded again when they change
//
// The package knows no listener and no configuration: whoever serves asks a
// Keeper for the certificate at each handshake.
package cert

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// The life of a certificate. Clients, Apple's above all, refuse what is valid
// for longer than MaxLife.
const (
	DefaultLife = 365 * 24 * time.Hour
	MaxLife     = 825 * 24 * time.Hour
)

// LocalHosts are the hosts of a certificate that names none.
var LocalHosts = []string{"localhost", "127.0.0.1", "::1"}

// Options say what a certificate is for. The zero value is one for LocalHosts,
// valid from now on for DefaultLife.
type Options struct {
	// Hosts are names and addresses; a name may begin with "*." for all of one
	// level below. They become the subject alternative names, the first the
	// common name too.
	Hosts []string
	// Life is how long it is valid; 0 is DefaultLife.
	Life time.Duration
	// Now is when; zero is time.Now.
	Now time.Time
}

// Pair is a certificate with its private key, both in PEM.
type Pair struct {
	Cert, Key []byte
	// Hosts are what it is valid for, NotAfter until when. Fingerprint is the
	// SHA-256 of the certificate, as other programs show it.
	Hosts       []string
	NotAfter    time.Time
	Fingerprint string
}

// Generate makes a self-signed certificate with a new ECDSA key on P-256. It
// signs nothing but itself: who trusts it trusts no other.
func Generate(o Options) (*Pair, error) {
	hosts, err := hostsOf(o.Hosts)
	if err != nil {
		return nil, err
	}
	if o.Life == 0 {
		o.Life = DefaultLife
	}
	if o.Life < time.Hour || o.Life > MaxLife {
		return nil, fmt.Errorf("valid for %s: want an hour to %d days, clients refuse more", o.Life, MaxLife/(24*time.Hour))
	}
	if o.Now.IsZero() {
		o.Now = time.Now()
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("make serial number: %w", err)
	}
	t := &x509.Certificate{
		SerialNumber: serial.Add(serial, big.NewInt(1)),
		Subject:      pkix.Name{CommonName: commonName(hosts), Organization: []string{"Starling self-signed"}},
		// Clocks differ a little.
		NotBefore: o.Now.Add(-time.Hour).UTC().Truncate(time.Second), NotAfter: o.Now.Add(o.Life).UTC().Truncate(time.Second),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("sign certificate: %w", err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode key: %w", err)
	}
	return &Pair{
		Cert:  pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		Key:   pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
		Hosts: hosts, NotAfter: t.NotAfter, Fingerprint: Fingerprint(der),
	}, nil
}

// Fingerprint is the SHA-256 of a certificate in DER: "AB:CD:…".
func Fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return strings.ReplaceAll(fmt.Sprintf("% X", sum[:]), " ", ":")
}

// commonName is the first host as far as the field has room for it; clients go
// by the alternative names.
func commonName(hosts []string) string {
	if name := hosts[0]; len(name) <= 64 {
		return name
	}
	return "starling"
}

var hostName = regexp.MustCompile(`^(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$`)

// maxHosts bounds what one certificate names.
const maxHosts = 100

// hostsOf checks the hosts and writes each in one way.
func hostsOf(given []string) ([]string, error) {
	if len(given) == 0 {
		return slices.Clone(LocalHosts), nil
	}
	if len(given) > maxHosts {
		return nil, fmt.Errorf("%d hosts, at most %d go into one certificate", len(given), maxHosts)
	}
	var out []string
	var bad []error
	for _, h := range given {
		name, err := hostOf(h)
		switch {
		case err != nil:
			bad = append(bad, err)
		case !slices.Contains(out, name):
			out = append(out, name)
		}
	}
	return out, errors.Join(bad...)
}

func hostOf(h string) (string, error) {
	text := strings.Trim(h, "[]")
	if ip := net.ParseIP(text); ip != nil {
		return ip.String(), nil
	}
	name := strings.ToLower(strings.TrimSuffix(text, "."))
	switch {
	case strings.Contains(name, "://"):
		return "", fmt.Errorf("%q is a URL, want the host in it", h)
	case len(name) <= 253 && hostName.MatchString(name):
		return name, nil
	case strings.Contains(name, ":"):
		return "", fmt.Errorf("%q is no host: a certificate is for every port, leave it out", h)
	}
	return "", fmt.Errorf("%q is neither a host name nor an address", h)
}

// ErrExists says that a file is there already, and Write was not told to
// overwrite it.
var ErrExists = errors.New("there already")

// Write writes the pair to two files: the certificate with mode 0644, the key
// with 0600. Without force it replaces nothing: ErrExists. With force each file
// is replaced at once, so that a server which watches them reads whole files.
// Directories that are missing are made, for their owner alone.
func (p *Pair) Write(certFile, keyFile string, force bool) error {
	if filepath.Clean(certFile) == filepath.Clean(keyFile) {
		return fmt.Errorf("certificate and key go into two files (both are %s)", certFile)
	}
	if !force {
		for _, name := range []string{certFile, keyFile} {
			if _, err := os.Lstat(name); err == nil {
				return fmt.Errorf("%s is %w", name, ErrExists)
			} else if !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("look for %s: %w", name, err)
			}
		}
	}
	if err := put(keyFile, p.Key, 0o600, force); err != nil {
		return fmt.Errorf("write key: %w", err)
	}
	if err := put(certFile, p.Cert, 0o644, force); err != nil {
		if !force {
			err = errors.Join(err, os.Remove(keyFile)) // it was not there before
		}
		return fmt.Errorf("write certificate: %w", err)
	}
	return nil
}

// put writes a file of that mode whole, or not at all.
func put(name string, data []byte, mode fs.FileMode, force bool) (err error) {
	dir := filepath.Dir(name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".cert-*") // mode 0600 from the first moment
	if err != nil {
		return err
	}
	defer func() {
		if rmErr := os.Remove(f.Name()); rmErr != nil && !errors.Is(rmErr, fs.ErrNotExist) {
			err = errors.Join(err, rmErr)
		}
	}()
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if force {
		return os.Rename(f.Name(), name)
	}
	err = os.Link(f.Name(), name) // unlike a rename, it replaces nothing
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is %w", name, ErrExists)
	}
	return err
}
