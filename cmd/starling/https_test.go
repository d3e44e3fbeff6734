package main

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/starling-rules/starling/engine"
)

// dialing is a client that trusts the certificate of a file and no other.
func dialing(t *testing.T, file string) *http.Client {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(b) {
		t.Fatal("no certificate")
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true, ForceAttemptHTTP2: true}}
}

func asked(t *testing.T, client *http.Client, url string) (*http.Response, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := client.Do(req)
	if err == nil {
		_, _ = io.Copy(io.Discard, res.Body)
		res.Body.Close()
	}
	return res, err
}

// HTTPS beside HTTP, with a certificate that starling cert has made; a renewed
// one is served by the same process, a broken one is not.
func TestHTTPSBesideHTTPAndARenewedCertificate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	renew := func() { good(t, "cert", "--force", "--cert", certFile, "--key", keyFile, "127.0.0.1") }
	renew()
	secure, conf := freeAddress(t), filepath.Join(dir, "starling.yaml")
	writeFile(t, conf, "tls: {cert: "+certFile+", key: "+keyFile+", listen: \""+secure+"\"}\n")
	rules := filepath.Join(dir, "rules")
	writeFile(t, filepath.Join(rules, "a.star"), `on.webhook("GET /hi", lambda e: "hi", name = "hi", open = True)`)
	c := serve(t, newFakeSlack(t), rules, t.TempDir(), "--config", conf).ready()
	c.prints("https=" + secure)

	first := dialing(t, certFile)
	res, err := asked(t, first, "https://"+secure+"/hi")
	if err != nil || res.StatusCode != http.StatusOK || res.ProtoMajor != 1 || res.TLS.Version < tls.VersionTLS12 {
		t.Fatalf("HTTPS: %+v %v", res, err)
	}
	if status, _ := get("http://" + c.listen + "/hi"); status != http.StatusOK {
		t.Errorf("HTTP: status %d", status)
	}
	if _, err := asked(t, first, "https://"+strings.Replace(secure, "127.0.0.1", "localhost", 1)+"/hi"); err == nil {
		t.Error("the certificate is taken for a host that it does not name")
	}
	old, err := os.ReadFile(certFile)
	if err != nil {
		t.Fatal(err)
	}

	writeFile(t, certFile, "nothing")
	c.prints("does not load")
	if _, err := asked(t, first, "https://"+secure+"/hi"); err != nil {
		t.Errorf("after a broken file: %v", err)
	}
	renew()
	second := dialing(t, certFile)
	c.until("serves the renewed certificate", func() bool {
		_, err := asked(t, second, "https://"+secure+"/hi")
		return err == nil
	})
	if _, err := asked(t, first, "https://"+secure+"/hi"); err == nil {
		t.Error("the certificate before is still served")
	}
	writeFile(t, filepath.Join(dir, "old.pem"), string(old))
}

// Without tls.listen there is HTTPS alone, at listen.
func TestHTTPSAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	good(t, "cert", "--cert", certFile, "--key", keyFile)
	conf, rules := filepath.Join(dir, "starling.yaml"), filepath.Join(dir, "rules")
	writeFile(t, conf, "tls: {cert: "+certFile+", key: "+keyFile+"}\n")
	writeFile(t, filepath.Join(rules, "a.star"), `on.webhook("GET /hi", lambda e: "hi", name = "hi", open = True)`)
	c := serve(t, newFakeSlack(t), rules, t.TempDir(), "--config", conf).ready()
	if res, err := asked(t, dialing(t, certFile), "https://"+c.listen+"/hi"); err != nil || res.StatusCode != http.StatusOK {
		t.Errorf("HTTPS: %v", err)
	}
	if status, _ := get("http://" + c.listen + "/hi"); status == http.StatusOK {
		t.Error("plain HTTP is answered")
	}
	bad(t, 3, "starling cert makes a pair", "serve", "--config", missingPair(t), "--rules", rules)
}

func missingPair(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "starling.yaml")
	writeFile(t, file, "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\ndata: \"\"\nslack: {signing_secrets: [x]}\ntls: {cert: none.pem, key: none.pem}\n")
	return file
}

// The certificate that an operator asks the running server for is served by it.
func TestCertificateOfTheRunningServer(t *testing.T) {
	t.Parallel()
	data, rules := t.TempDir(), t.TempDir()
	writeFile(t, filepath.Join(rules, "a.star"), `on.message("hi", lambda e: "hi")`)
	c := serve(t, newFakeSlack(t), rules, data).ready()
	ask := func(body string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+c.admin+"/certificate", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		return do(t, req)
	}
	status, body := ask(`{"hosts": ["bot.internal"]}`)
	if status != http.StatusOK {
		t.Fatalf("status %d: %s", status, body)
	}
	rep := fromJSON[engine.CertificateReport](t, body)
	if rep.Served || rep.Hosts[0] != "bot.internal" || !strings.HasPrefix(rep.Cert, data) || !strings.Contains(rep.Config, rep.Key) || strings.Contains(body, "PRIVATE") {
		t.Errorf("got %s", body)
	}
	st, err := os.Stat(rep.Key)
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("key: %v %v", st.Mode(), err)
	}
	if status, body = ask(`{}`); status != http.StatusBadRequest || !strings.Contains(body, "there already") {
		t.Errorf("a second time: status %d: %s", status, body)
	}
	if status, body = ask(`{"force": true, "hosts": ["a b"]}`); status != http.StatusBadRequest || !strings.Contains(body, "neither a host name") {
		t.Errorf("no host: status %d: %s", status, body)
	}
}
